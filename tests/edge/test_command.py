"""The command path: the contract of all submitters, and the program's side of it: environment, input, exit codes, what it prints."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.edge import command as edge
from monitor.edge import program
from monitor.edge.command import CONCURRENT, CommandSubmitter
from monitor.edge.program import MAX_ERR, MAX_OUT
from monitor.model.address import Address
from monitor.model.mail import Carrier
from monitor.model.policy import CommandPath, Demand, Locale, PathPolicy
from monitor.model.probe import PathName, ProbeId
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import (
    CommandSubmission,
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Reply,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from monitor.rules import compose
from monitor.rules.rehearse import rehearse
from tests.corpus import world
from tests.edge.submitter_contract import LONG, Mood, SubmitterContract
from tests.fakes.paths import PASSWORD, PASSWORD_REF, SEED, SEEDS, StubSecrets, mail

# The shop's program: it does what the file MOOD says, writes down each run, and announces it through the fifo.
PROGRAM = """
import json, os, signal, sys, time
here = os.path.dirname(os.path.abspath(__file__))
mood = open(f"{here}/mood").read()
given = sys.stdin.read()
with open(f"{here}/runs", "a") as runs:
    runs.write(json.dumps([given, dict(os.environ), sys.argv[1:]]) + "\\n")
with open(f"{here}/news", "w") as news:
    news.write("x")
print("noise", os.environ["SHOP_KEY"], file=sys.stderr)
if mood == "SILENT":
    time.sleep(600)
if mood == "LOSES":
    os.kill(os.getpid(), signal.SIGKILL)
if mood in CODES:
    print("my words " + os.environ["SHOP_KEY"], file=sys.stderr)
    sys.exit(CODES[mood])
print(json.dumps({"refund": {"id": "rf_7"}, "version": "v9"}))
""".replace("CODES", repr({"POSTPONES": os.EX_TEMPFAIL, "DECLINES": 1, "FORBIDS": os.EX_CONFIG, "AWAY": os.EX_UNAVAILABLE}))


def policy(*argv: str, environment: dict[str, str | SecretRef] | None = None, **changes: object) -> PathPolicy:
    via = CommandPath(argv, environment or {}, {"token": "{{ token }}"}, "/refund/id", "/version", False)
    return PathPolicy(
        name=PathName("shop"),
        via=replace(via, **changes),  # type: ignore[arg-type]
        carriers=(Carrier.HEADER,),
        locales=(Locale("en-GB", "GBP", "£{amount}"),),
        allowed_amounts=(),
        demand=Demand(),
        attempt_timeout=10,
        retry_backoff=1,
        retry_for=10,
        unreachable_for=10,
        daily_budget=10,
    )


def given(recipient: Address = SEED, body: bytes = b'{"synthetic": true}') -> CommandSubmission:
    return CommandSubmission(ProbeId("0123456789ab"), recipient, body)


class ProgramBench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        program = directory / "refund"
        program.write_text(f"#!{sys.executable}\n{PROGRAM}")
        program.chmod(0o700)
        os.mkfifo(directory / "news")
        self.news = os.open(directory / "news", os.O_RDWR | os.O_NONBLOCK)
        self.submitter = CommandSubmitter(
            policy(str(program), "--synthetic", environment={"SHOP_KEY": PASSWORD_REF, "REGION": "eu"}),
            SEEDS,
            StubSecrets(),
            {"PATH": os.environ["PATH"], "HOME": "/root", "RELAY_PASSWORD": "x"},
        )

    def submission(self, recipient: Address) -> Submission:
        return given(recipient)

    async def mood(self, mood: Mood) -> None:
        (self.directory / "mood").write_text(mood.name)

    def runs(self) -> list[tuple[str, dict[str, str], list[str]]]:
        runs = self.directory / "runs"
        return [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []

    @property
    def received(self) -> int:
        return len(self.runs())

    touched = received

    async def arrival(self) -> None:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.news, arrived.set)
        await arrived.wait()
        loop.remove_reader(self.news)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProgramBench]:
    made = ProgramBench(tmp_path)
    yield made
    os.close(made.news)


class TestProgram(SubmitterContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[ProgramBench]:
        made = ProgramBench(tmp_path)
        yield made
        os.close(made.news)

    async def test_no_reply_before_the_deadline_is_unanswered_and_sent_once(self, bench: ProgramBench) -> None:  # type: ignore[override]
        """As in the contract; an interpreter that starts may need more than its short deadline."""
        await bench.mood(Mood.SILENT)
        assert isinstance(await bench.submitter.submit(given(), 4.0), Unanswered)
        assert bench.received == 1
        assert isinstance(await self.submit(bench, Mood.TAKES), Taken)


async def test_what_the_program_gets_and_what_we_make_of_its_answer(bench: ProgramBench) -> None:
    await bench.mood(Mood.TAKES)
    outcome = await bench.submitter.submit(given(body=b'{"a": "\xc3\xa4"}'), LONG)
    assert outcome == Taken(Reply(200, '{"refund": {"id": "rf_7"}, "version": "v9"}'), app_refund_id="rf_7", served_version="v9")
    [(stdin, environment, argv)] = bench.runs()
    assert (stdin, argv) == ('{"a": "ä"}', ["--synthetic"])
    assert environment.pop("LC_CTYPE", "") in ("", "C.UTF-8"), "Python's own"
    assert environment == {"PATH": os.environ["PATH"], "SHOP_KEY": PASSWORD, "REGION": "eu"}


async def test_secrets_are_read_at_each_run_and_never_shown(bench: ProgramBench) -> None:
    await bench.mood(Mood.DECLINES)
    outcome = await bench.submitter.submit(given(), LONG)
    assert outcome == Declined(Step.REQUEST, Reply(1, "(exit code) my words ***"))
    bench.submitter._secrets.values[PASSWORD_REF.name] = "another one"  # type: ignore[attr-defined]
    await bench.mood(Mood.TAKES)
    await bench.submitter.submit(given(), LONG)
    assert [environment["SHOP_KEY"] for _, environment, _ in bench.runs()] == [PASSWORD, "another one"]


# ---- small programs ---------------------------------------------------------------------------------------------------


def submitter(*argv: str, **more: object) -> CommandSubmitter:
    return CommandSubmitter(policy(*argv, **more), SEEDS, StubSecrets())  # type: ignore[arg-type]


async def ended(*argv: str, deadline: float = LONG, **more: object) -> Outcome:
    return await submitter(*argv, **more).submit(given(), deadline)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0, Taken),
        (os.EX_TEMPFAIL, Postponed),
        (os.EX_UNAVAILABLE, Unreached),
        (os.EX_USAGE, Misconfigured),
        (os.EX_CONFIG, Misconfigured),
        (126, Misconfigured),
        (127, Misconfigured),
        (1, Declined),
        (os.EX_DATAERR, Declined),
        (os.EX_SOFTWARE, Declined),
        (os.EX_NOPERM, Declined),
        (255, Declined),
    ],
)
async def test_exit_codes(code: int, kind: type[Outcome]) -> None:
    outcome = await ended("sh", "-c", f"echo first >&2; echo 'the  reason' >&2; echo >&2; exit {code}")
    assert isinstance(outcome, kind)
    if code:
        assert f"exit code {code}: the reason" in str(outcome) or outcome.reply == Reply(code, "(exit code) the reason")  # type: ignore[union-attr]


async def test_killed_by_a_signal_is_unanswered() -> None:
    assert await ended("sh", "-c", "echo oh >&2; kill -15 $$") == Unanswered(Step.REQUEST, "the program was killed by signal 15: oh")


async def test_at_the_deadline_the_whole_group_is_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    outcome = await ended("sh", "-c", f"sleep 600 > {fifo} & trap '' TERM; sleep 600", deadline=0.5)
    assert outcome == Unanswered(Step.REQUEST, "the program did not end within 0.5 s and was killed")
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "the child held the other end open until it died"
    os.close(reader)


async def test_a_program_that_has_ended_is_not_unanswered_because_of_its_child() -> None:
    """What it left behind holds its stdout open, in a session of its own."""
    outcome = await ended("sh", "-c", 'echo \'{"version": "v1"}\'; setsid sleep 5 & exit 0', deadline=1.0)
    assert isinstance(outcome, Taken) and outcome.served_version == "v1"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("/nowhere/refund",), "No such file"),
        (("no-such-program-in-path",), "No such file"),
        (("/etc/passwd",), "Permission denied"),
        (("echo", "a\0b"), "a NUL in it"),
    ],
)
async def test_a_program_that_cannot_be_started(argv: tuple[str, ...], words: str) -> None:
    outcome = await ended(*argv)
    assert isinstance(outcome, Misconfigured)
    assert words in outcome.detail and "command of this path" in outcome.mend


async def test_no_format_that_the_system_knows(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\0\1\2")
    program.chmod(0o700)
    assert isinstance(await ended(str(program)), Misconfigured)


async def test_a_machine_without_room_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    outcome = await ended("true")
    assert isinstance(outcome, Unreached) and "temporarily" in outcome.detail


@pytest.mark.parametrize(("value", "words"), [("a\0b", "SHOP_KEY contains NUL"), (None, "is not set")])
async def test_secrets_that_no_environment_can_hold(value: str | None, words: str) -> None:
    secrets = StubSecrets({PASSWORD_REF.name: value} if value else {})
    made = CommandSubmitter(policy("true", environment={"SHOP_KEY": PASSWORD_REF}), SEEDS, secrets)
    for outcome in (await made.submit(given(), LONG), await made.reach(LONG)):
        assert isinstance(outcome, Misconfigured) and words in outcome.detail and "a\0b" not in str(outcome)


async def test_a_secret_that_a_program_prints(tmp_path: Path) -> None:
    from monitor.edge.secret import SystemSecrets

    ref = SecretRef(SecretSource.COMMAND, "echo from-a-program")
    path = policy("sh", "-c", 'echo "{\\"version\\": \\"$KEY!\\"}"', environment={"KEY": ref})
    outcome = await CommandSubmitter(path, SEEDS, SystemSecrets()).submit(given(), LONG)
    assert isinstance(outcome, Taken) and outcome.served_version == "***!", "even where it is asked for"


async def test_no_slot_before_the_deadline_means_not_started(tmp_path: Path) -> None:
    busy = submitter("sh", "-c", "sleep 600")
    running = [asyncio.create_task(busy.submit(given(), LONG)) for _ in range(CONCURRENT)]
    await asyncio.sleep(0)
    outcome = await busy.submit(given(), 0.2)
    assert outcome == Unreached(Step.CONNECT, "the program was not started within 0.2 s")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


# ---- what it prints ---------------------------------------------------------------------------------------------------


async def test_an_answer_that_lacks_what_is_asked_for() -> None:
    outcome = await ended("echo", "[1]")
    assert outcome == Taken(Reply(200, "[no refund id at /refund/id of the answer] [no served version at /version of the answer] [1]"))
    assert await ended("true", refund_id=None, version=None) == Taken(Reply(200, "exit code 0"))


async def test_an_endless_answer_is_bounded() -> None:
    outcome = await ended("sh", "-c", "head -c 3000000 /dev/zero; exit 0")
    assert isinstance(outcome, Taken) and f"longer than {MAX_OUT} bytes" in outcome.reply.text
    exact = await ended(sys.executable, "-c", f"print('{{\"version\": \"v' + 'x' * {MAX_OUT - 16} + '\"}}', end='')")
    assert isinstance(exact, Taken) and exact.served_version.startswith("vxxx") and len(exact.served_version) <= 200


async def test_memory_is_bounded_whatever_it_prints() -> None:
    both = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2"
    ran = await program.run(("sh", "-c", both), {"PATH": os.environ["PATH"]}, b"", LONG)
    assert (ran.code, len(ran.out), ran.out_cut, len(ran.err), ran.err_cut) == (0, MAX_OUT, True, MAX_ERR, True)


async def test_words_that_would_act_on_a_terminal_and_too_many_of_them() -> None:
    outcome = await ended("sh", "-c", "printf 'a \\033[31mred\\007 \\377 word' >&2; exit 1")
    assert isinstance(outcome, Declined) and outcome.reply.text == "(exit code) a [31mred \ufffd word"
    outcome = await ended("sh", "-c", f"head -c {MAX_ERR * 3} /dev/zero | tr '\\0' s >&2; exit 1")
    assert isinstance(outcome, Declined) and "says nothing" in outcome.reply.text, "its beginning is lost: it may be half a secret"


async def test_input_that_nobody_reads() -> None:
    outcome = await submitter("true", refund_id=None, version=None).submit(given(body=b"x" * 1_000_000), LONG)
    assert isinstance(outcome, Taken)


# ---- reach, and what is not for it ------------------------------------------------------------------------------------


async def test_reach_runs_nothing(bench: ProgramBench) -> None:
    outcome = await bench.submitter.reach(LONG)
    assert isinstance(outcome, Taken) and outcome.reply.text == f"{bench.directory / 'refund'} can be run; no refund was asked for"
    assert bench.runs() == []
    (bench.directory / "refund").chmod(0o600)
    assert isinstance(
        await bench.submitter.reach(LONG), (Taken if os.getuid() == 0 and os.access(bench.directory / "refund", os.X_OK) else Misconfigured)
    )
    assert isinstance(await submitter("no-such-program").reach(LONG), Misconfigured)
    assert isinstance(await submitter("a\0b").reach(LONG), Misconfigured)
    assert isinstance(await submitter("true").reach(LONG), Taken)


async def test_other_paths_and_submissions_are_mistakes_of_ours() -> None:
    with pytest.raises(TypeError, match="program"):
        await submitter("true").submit(mail(), LONG)
    with pytest.raises(TypeError, match="no command path"):
        CommandSubmitter(world.smtp_path(), SEEDS, StubSecrets())


def test_without_a_path_the_systems_default() -> None:
    assert CommandSubmitter(policy("true"), SEEDS, StubSecrets(), {})._path == os.defpath


def test_the_codes_are_those_of_sysexits() -> None:
    assert (edge._TRY_LATER, edge._NOT_THERE, sorted(edge._OURS)) == (75, 69, [64, 78, 126, 127])


# ---- what it is given -------------------------------------------------------------------------------------------------


def test_the_input_is_rendered_from_the_plan() -> None:
    via = CommandPath(("x",), {}, {"to": "{{ recipient }}", "n": [1, None, "{{ token }}"], "ü": "{{ amount }}"}, None, None, False)
    plan = world.planned()
    made = compose.command_submission(plan, via)
    assert (made.probe, made.recipient) == (plan.probe, plan.recipient)
    assert json.loads(made.body) == {"to": str(plan.recipient), "n": [1, None, plan.token], "ü": dict(plan.expectation.fields)["amount"]}
    assert compose.command_submission(plan, replace(via, input=None)).body == b""
    with pytest.raises(compose.TemplateBroken):
        compose.command_submission(plan, replace(via, input="{{ nothing }}"))


def test_rehearsal() -> None:
    """Faults stand at the key of the input; the environment is no template."""

    def faults(body: object, carriers: tuple[Carrier, ...] = (Carrier.HEADER,), **changes: object) -> list[tuple[object, str]]:
        made = replace(policy("x", environment={"A": "{{ broken"}, input=body, **changes), carriers=carriers)
        return [(fault.key, fault.what) for fault in rehearse(made)]

    assert faults({"token": "{{ token }}"}) == []
    assert [key for key, _ in faults({"a": ["{{ oops }}", "{{ token }}"]})] == [("input", "a", 0)]
    [(key, what)] = faults({"a": "{{ recipient }}"})
    assert key == ("input",) and "never given {{ token }}" in what
    assert [key for key, _ in faults(None)] == [("input",)]
    assert [key for key, _ in faults({}, (), refund_id=None)] == [("carriers",)]
    assert faults({}, (), refund_id="/id") == []
