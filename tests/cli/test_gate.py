"""`mailcanary gate` against the daemon's own HTTP surface: what it asks, prints, writes and exits with. No stage runs behind it unless said
so: the tests decide the gates."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from monitor.cli.gate import attempt
from monitor.cli.gate.remote import Remote
from monitor.model.facts import GateCancelled, GateOverridden, GateRequested
from monitor.model.gate import Because, Control
from monitor.rules.gate import request as asking
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served

Command = Callable[..., Outcome]
SCHEMA = json.loads((Path(__file__).parents[2] / "config" / "gate.schema.json").read_text())
RUN = ("gate", "run", "--deploy", "d-1", "--trust-target")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "MAILCANARY_SERVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with served(tmp_path) as site:
        monkeypatch.setenv("MAILCANARY_SERVER", site.url)
        yield site


@contextlib.contextmanager
def meanwhile(work: Callable[[], None], when: Callable[[], object]) -> Iterator[None]:
    """`work` in a thread, once `when` holds. What goes wrong there goes wrong here."""
    wrong: list[BaseException] = []

    def run() -> None:
        deadline = time.monotonic() + 20
        try:
            while not when():
                assert time.monotonic() < deadline, "it never came to that"
                time.sleep(0.01)
            work()
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(30)
    assert not wrong, wrong


def decided(mailcanary: Command, daemon: Served, because: Because, *words: object) -> Outcome:
    """A gate that is decided so while the command waits for it."""
    with meanwhile(lambda: daemon.decide(because), daemon.running):
        return mailcanary(*RUN, *words)


def requests(daemon: Served) -> list[GateRequested]:
    return [fact for fact in daemon.facts() if isinstance(fact, GateRequested)]


# --- exit codes and forms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("because", "code", "word"),
    [
        (Because.CLEAN, 0, "PASS"),
        (Because.LOSSES, 1, "FAIL"),
        (Because.WRONG_AMOUNT, 1, "FAIL"),
        (Because.UNOBSERVED, 3, "INCONCLUSIVE"),
        (Because.OWN_FAULT, 4, "ERROR"),
    ],
)
def test_the_verdict_is_the_exit_code_and_the_last_line(
    mailcanary: Command, daemon: Served, tmp_path: Path, because: Because, code: int, word: str
) -> None:
    document, report = tmp_path / "gate.json", tmp_path / "gate.xml"
    outcome = decided(mailcanary, daemon, because, "--json", document, "--junit", report)
    (state,) = daemon.desk.world.gates.known.values()
    assert outcome.code == code and "Traceback" not in outcome.err
    assert outcome.out.splitlines()[-1] == f"GATE {word} {state.id} as the test wants it"
    assert outcome.out.startswith(f"GATE {word}") and len(outcome.out.splitlines()) > 3, "the report comes before the last line"
    written = json.loads(document.read_text())
    jsonschema.validate(written, SCHEMA)
    assert (written["id"], written["because"], written["state"]) == (state.id, because.value, "decided")
    suite = ElementTree.fromstring(report.read_text())
    assert suite.iter("testcase") and not list(suite.iter("skipped"))
    assert (document.stat().st_mode & 0o777, sorted(path.name for path in tmp_path.glob(".*"))) == (0o644, [])


def test_json_is_one_document_on_stdout(mailcanary: Command, daemon: Served) -> None:
    outcome = decided(mailcanary, daemon, Because.LOSSES, "--format", "json")
    document = json.loads(outcome.out)
    jsonschema.validate(document, SCHEMA)
    assert outcome.code == 1 and document["verdict"] == "fail"


def test_a_log_gets_plain_lines_of_progress(mailcanary: Command, daemon: Served) -> None:
    outcome = decided(mailcanary, daemon, Because.CLEAN)
    first = outcome.err.splitlines()[0]
    assert re.fullmatch(r"gate gate-\w{12} attempt 1: 0 of 2 classes decided, 0 of 20 probes resolved, 0 pending, 0 adverse", first), first
    assert "\x1b" not in outcome.out + outcome.err


def test_asked_again_it_is_the_same_gate(mailcanary: Command, daemon: Served) -> None:
    first = decided(mailcanary, daemon, Because.LOSSES)
    assert mailcanary(*RUN).out == first.out, "a FAIL stays a FAIL, however often a pipeline retries"
    assert mailcanary(*RUN).code == 1 and len(requests(daemon)) == 1


def test_a_deploy_of_flagger_may_be_asked_for(mailcanary: Command, daemon: Served) -> None:
    deploy = "/".join(("n" * 63, "c" * 253, "f" * 64))
    assert mailcanary("gate", "run", "--deploy", deploy, "--trust-target", "--no-wait").code == 0
    assert mailcanary("gate", "status", "--deploy", deploy).code == 0 and requests(daemon)[0].deploy == deploy


def test_a_deploy_is_found_by_the_name_that_it_was_given(mailcanary: Command, daemon: Served) -> None:
    """The daemon keeps one space where two were written."""
    words = ("--deploy", " build  7 ", "--trust-target")
    assert mailcanary("gate", "run", *words, "--no-wait").code == 0
    daemon.decide(Because.LOSSES)
    assert mailcanary("gate", "wait", *words[:2]).code == 1 and mailcanary("gate", "status", *words[:2]).code == 0
    assert mailcanary("gate", "run", *words).code == 1 and [fact.deploy for fact in requests(daemon)] == ["build 7"]


def test_what_is_said_arrives(mailcanary: Command, daemon: Served, tmp_path: Path) -> None:
    words = [
        "--service",
        "checkout",
        "--version",
        "v2",
        "--sha",
        "a1b2",
        "--by",
        "ana",
        "--routes",
        "seed-1, relay/seed-2",
        "--probes",
        "7",
    ]
    words += ["--deadline", "1m30s", "--control", "none", "--min-routes", "2", "--advisory", "1h30m", "--no-notify"]
    outcome = decided(mailcanary, daemon, Because.CLEAN, *words)
    (fact,) = requests(daemon)
    policy = fact.policy
    assert outcome.code == 0 and (fact.service, fact.version, fact.sha, fact.by, fact.notify) == ("checkout", "v2", "a1b2", "ana", False)
    assert (policy.routes, policy.plan.steps[0].probes, policy.deadline) == (("seed-1", "relay/seed-2"), 7, 90.0)
    assert (policy.control, policy.min_routes, policy.trust_target) == (Control.NONE, 2, True)
    assert fact.advisory_until == pytest.approx(fact.at.utc + 5_400, abs=30)


def test_a_policy_file_goes_whole(mailcanary: Command, daemon: Served, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("steps: [{probes: 4, accept: 0}, {probes: 9, accept: 1}]\ntimeout: 5m\ntrust_target: true\n")
    with meanwhile(lambda: daemon.decide(Because.CLEAN), daemon.running):
        assert mailcanary("gate", "run", "--deploy", "d-1", "--policy", file).code == 0
    policy = requests(daemon)[0].policy
    assert [(step.probes, step.accept) for step in policy.plan.steps] == [(4, 0), (9, 1)] and policy.timeout == 300.0


def test_an_override_and_an_advisory_pass_and_say_so(mailcanary: Command, daemon: Served) -> None:
    assert decided(mailcanary, daemon, Because.LOSSES).code == 1
    overridden = mailcanary("gate", "override", "--deploy", "d-1", "--by", "ana", "--reason", "known fault", "--for", "2h")
    assert overridden.code == 0 and any(isinstance(fact, GateOverridden) for fact in daemon.facts())
    assert re.search(r"  PASS \(found fail; override by ana until 20\S+Z\)  as the test", mailcanary("gate", "status").out)
    again = mailcanary(*RUN)
    assert again.code == 0 and "found fail" in again.out and "(override by ana until 20" in again.out.splitlines()[-1]
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    with meanwhile(lambda: daemon.decide(Because.LOSSES), daemon.running):
        advised = mailcanary("gate", "run", "--deploy", "d-2", "--trust-target", "--advisory-until", until)
    assert advised.code == 0 and "(advisory until 20" in advised.out.splitlines()[-1]


# --- waiting --------------------------------------------------------------------------------------------------------


def test_only_begin_and_wait_later(mailcanary: Command, daemon: Served) -> None:
    begun = mailcanary(*RUN, "--no-wait")
    assert begun.code == 0 and begun.out.splitlines()[-1].startswith("GATE PENDING gate-") and daemon.running()
    with meanwhile(lambda: daemon.decide(Because.LOSSES), lambda: True):
        waited = mailcanary("gate", "wait", "--deploy", "d-1")
    assert waited.code == 1 and waited.out.splitlines()[-1].startswith("GATE FAIL gate-")
    assert mailcanary(*RUN, "--no-wait").code == 1, "decided already: there is nothing to wait for"


@pytest.mark.parametrize("words", [(*RUN, "--timeout", "300ms"), ("gate", "wait", "--deploy", "d-1", "--timeout", "300ms")])
def test_a_wait_that_is_over_is_inconclusive_and_the_gate_goes_on(mailcanary: Command, daemon: Served, words: tuple[str, ...]) -> None:
    mailcanary(*RUN, "--no-wait")
    outcome = mailcanary(*words)
    assert outcome.code == 3 and outcome.out.splitlines()[-1].startswith("GATE PENDING gate-")
    jsonschema.validate(json.loads(mailcanary(*words, "--format", "json").out), SCHEMA)
    assert "not decided within 0.3 s; the gate goes on in the daemon: `mailcanary gate wait gate-" in outcome.err and daemon.running()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "HOLD", 0.05)
    monkeypatch.setattr(asking, "AGAIN_AFTER", 0.0)


def test_held_it_is_asked_again_until_it_is_clear(mailcanary: Command, daemon: Served, impatient: None) -> None:
    def decide() -> None:
        daemon.decide(Because.UNOBSERVED)
        deadline = time.monotonic() + 20
        while not daemon.running() and time.monotonic() < deadline:
            time.sleep(0.01)
        daemon.decide(Because.CLEAN)

    with meanwhile(decide, daemon.running):
        outcome = mailcanary(*RUN, "--on-inconclusive", "hold")
    assert outcome.code == 0 and [fact.attempt for fact in requests(daemon)] == [1, 2] and "asking again in" in outcome.err


def test_held_it_is_not_asked_for_ever(mailcanary: Command, daemon: Served, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "HOLD", 1.0)
    outcome = decided(mailcanary, daemon, Because.UNOBSERVED, "--on-inconclusive", "hold", "--timeout", "900ms")
    assert outcome.code == 3 and len(requests(daemon)) == 1
    assert decided(mailcanary, daemon, Because.TOO_FEW).code == 3, "and not at all where it blocks"
    assert [fact.attempt for fact in requests(daemon)] == [1, 2]


def test_what_somebody_cancels_is_not_asked_again(mailcanary: Command, daemon: Served, impatient: None) -> None:
    outcome = decided(mailcanary, daemon, Because.CANCELLED, "--on-inconclusive", "hold")
    assert outcome.code == 3 and len(requests(daemon)) == 1


# --- a signal in the middle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_what_this_call_began(
    mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    with served(tmp_path, deciding=True) as daemon:
        monkeypatch.setenv("MAILCANARY_SERVER", daemon.url)
        with meanwhile(lambda: os.kill(os.getpid(), number), daemon.running):
            outcome = mailcanary(*RUN, "--json", tmp_path / "gate.json")
        (cancelled,) = (fact for fact in daemon.facts() if isinstance(fact, GateCancelled))
        assert outcome.code == code and number.name in cancelled.reason and not daemon.running()
        assert outcome.out.splitlines()[-1].startswith("GATE INCONCLUSIVE gate-")
    written = json.loads((tmp_path / "gate.json").read_text())
    assert (written["verdict"], written["because"]) == ("inconclusive", "cancelled")
    assert signal.getsignal(number) is before


def test_a_signal_leaves_what_another_call_began(mailcanary: Command, daemon: Served) -> None:
    mailcanary(*RUN, "--no-wait")
    with meanwhile(lambda: os.kill(os.getpid(), signal.SIGINT), lambda: time.sleep(0.5) is None):
        outcome = mailcanary(*RUN)
    assert outcome.code == 130 and daemon.running() and not any(isinstance(fact, GateCancelled) for fact in daemon.facts())
    assert "begun by another call" in outcome.err and outcome.out.splitlines()[-1].startswith("GATE PENDING gate-")


def test_a_signal_that_a_finalizer_swallows_is_heeded(mailcanary: Command, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is raised while an object is being finalized gets any further, and each answer's connection is finalized."""

    class Answer(io.RawIOBase):
        def close(self) -> None:
            super().close()
            if signals:
                signal.raise_signal(signals.pop())

    def look(self: Remote, gate: str, wait: float = 0.0, within: float = 10.0) -> dict[str, object]:
        Answer()
        return looked(self, gate, 0.0, within)

    looked, signals = Remote.look, [signal.SIGINT]
    monkeypatch.setattr(Remote, "look", look)
    mailcanary(*RUN, "--no-wait")
    outcome = mailcanary(*RUN, "--timeout", "5s")
    assert outcome.code == 130 and "begun by another call" in outcome.err and daemon.running()


# --- bad input ------------------------------------------------------------------------------------------------------

NEVER = "steps: [{probes: 5, accept: 1}]\nreject: 1\n"
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no deploy": (("--deploy", ""), "--deploy"),
    "a deploy without end": (("--deploy", "d" * 401), "at most 400 characters"),
    "an author without end": (("--by", "a" * 101), "at most 100 characters"),
    "a deploy of several lines": (("--deploy", "d\x1b[2J"), "--deploy"),
    "an unknown policy": (("--policy", "lax"), "no policy lax is known; there are deep, quick, standard"),
    "a policy file that is not there": (("--policy", "./none.yaml"), "none.yaml"),
    "a policy file that never decides": (("--policy", "./never.yaml"), "never.yaml"),
    "no such route": (("--routes", "nowhere"), "no route or path nowhere is configured"),
    "no route": (("--routes", " , "), "names no route"),
    "no probe": (("--probes", "0"), "no evidence never passes"),
    "too many probes": (("--probes", "100000"), "probes"),
    "no route needed": (("--min-routes", "0"), "no evidence never passes"),
    "a deadline of no length": (("--deadline", "0s"), "--deadline 0s"),
    "a deadline in no unit": (("--deadline", "90"), "--deadline 90"),
    "a timeout of no length": (("--timeout", "soon"), "--timeout soon"),
    "an advisory in the past": (("--advisory-until", "2020-01-01"), "over already"),
    "an advisory at no time": (("--advisory-until", "tomorrow"), "write a time like"),
    "an advisory for ever": (("--advisory", "25h"), "at most 24h"),
    "an advisory for ever, by itself": (("--local", "--advisory", "25h"), "at most 24h"),
    "another environment": (("--environment", "prod"), "is of test; nothing was sent"),
    "a configuration of no use": (("-c", "mailcanary.yaml"), "only for --local"),
    "a state directory of no use": (("--state-dir", "x"), "only for --local"),
    "no server": (("--server", "ftp://x"), "give a URL"),
    "no token file": (("--token-file", "none"), "none: No such file"),
    "local, and left alone": (("--local", "--no-wait"), "--no-wait"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_line_and_exit_2_and_sends_nothing(mailcanary: Command, daemon: Served, tmp_path: Path, name: str) -> None:
    words, why = WRONG[name]
    (tmp_path / "never.yaml").write_text(NEVER)
    outcome = mailcanary(*RUN, *words, "--json", tmp_path / "gate.json", "--junit", tmp_path / "gate.xml")
    assert outcome.code == 2 and why in outcome.line and daemon.facts() == []
    assert outcome.out.startswith("GATE ERROR - ") and outcome.out.count("\n") == 1
    written = json.loads((tmp_path / "gate.json").read_text())
    jsonschema.validate(written, SCHEMA)
    assert written["verdict"] == "error" and not written["classes"]
    assert list(ElementTree.parse(tmp_path / "gate.xml").getroot().iter("error"))


def test_a_version_that_nobody_tells_is_said_before_anything_is_sent(mailcanary: Command, daemon: Served) -> None:
    outcome = mailcanary("gate", "run", "--deploy", "d-1")
    assert outcome.code == 2 and "tells which version" in outcome.line and daemon.facts() == []


def test_another_policy_for_the_same_deploy(mailcanary: Command, daemon: Served) -> None:
    decided(mailcanary, daemon, Because.LOSSES)
    outcome = mailcanary(*RUN, "--policy", "standard")
    assert outcome.code == 2 and "is judged by gate" in outcome.line and len(requests(daemon)) == 1


@pytest.mark.parametrize("action", ["status", "explain", "wait", "cancel", "override"])
@pytest.mark.parametrize("words", [("gate-000000000000",), ("--deploy", "nope"), ("--deploy", "a/b c?"), ("../status",)])
def test_an_unknown_gate(mailcanary: Command, daemon: Served, action: str, words: tuple[str, ...]) -> None:
    more = {"cancel": ("--reason", "r"), "override": ("--reason", "r", "--for", "1h", "--by", "ana")}.get(action, ())
    outcome = mailcanary("gate", action, *words, *more)
    assert outcome.code == 2 and "404" in outcome.line and daemon.facts() == []


@pytest.mark.parametrize("words", [(), ("gate-000000000000", "--deploy", "d")])
def test_a_gate_that_is_not_named_and_one_named_twice(mailcanary: Command, daemon: Served, words: tuple[str, ...]) -> None:
    assert "name the gate by its id, or its deploy" in mailcanary("gate", "explain", *words).line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("cancel", "--deploy", "d-1", "--reason", "r", "--by", ""), "by"),
        (("override", "--deploy", "d-1", "--reason", "", "--by", "ana", "--for", "1h"), "reason"),
        (("override", "--deploy", "d-1", "--reason", "r", "--by", "ana", "--for", "25h"), "at most 24h"),
        (("override", "--deploy", "d-1", "--reason", "r", "--by", "ana", "--for", "1h"), "still running"),
    ],
)
def test_what_people_may_not_say(mailcanary: Command, daemon: Served, words: tuple[str, ...], why: str) -> None:
    mailcanary(*RUN, "--no-wait")
    outcome = mailcanary("gate", *words)
    assert outcome.code == 2 and why in outcome.line and len(daemon.facts()) == 1


def test_the_token_of_the_role(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, open_to="0.0.0.0") as daemon:
        monkeypatch.setenv("MAILCANARY_SERVER", daemon.url)
        nobody = mailcanary(*RUN)
        assert nobody.code == 2 and "401" in nobody.line and "MAILCANARY_TOKEN" in nobody.line
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["DEPLOY"])
        refused = mailcanary(*RUN)
        assert refused.code == 2 and "listen.tokens.gate" in refused.line and daemon.facts() == []
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["GATE"])
        assert decided(mailcanary, daemon, Because.LOSSES, "--environment", "test").code == 1
        words = ("gate", "override", "--deploy", "d-1", "--by", "ana", "--reason", "r", "--for", "1h")
        refused = mailcanary(*words)
        assert refused.code == 2 and "listen.tokens.oncall" in refused.line
        token = tmp_path / "token"
        token.write_text(SECRETS["ONCALL"] + "\n")
        assert mailcanary(*words, "--token-file", token).code == 0


@pytest.mark.parametrize("token", ["one\ntwo", "t\u00f6ken", "\udcff"])
def test_a_token_that_no_header_takes_is_never_shown(mailcanary: Command, daemon: Served, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_bytes(token.encode("utf-8", "surrogateescape"))
    outcome = mailcanary(*RUN, "--token-file", tmp_path / "token")
    assert outcome.code == 2 and "put the token there and nothing else" in outcome.line and token not in outcome.out + outcome.err


# --- looking, and saying --------------------------------------------------------------------------------------------


def test_looking_exits_0_whatever_was_found(mailcanary: Command, daemon: Served) -> None:
    assert mailcanary("gate", "status").out == "no gate yet; `mailcanary gate run --deploy ID` begins one\n"
    decided(mailcanary, daemon, Because.LOSSES)
    (gate,) = daemon.desk.world.gates.known
    for words in (("status", gate), ("status", "--deploy", "d-1"), ("status", gate.removeprefix("gate-")), ("explain", gate)):
        shown = mailcanary("gate", *words)
        assert shown.code == 0 and not shown.err
        assert shown.out.splitlines()[-1] == f"GATE FAIL {gate} as the test wants it" and len(shown.out.splitlines()) > 3
        jsonschema.validate(json.loads(mailcanary("gate", *words, "--format", "json").out), SCHEMA)
    listed = mailcanary("gate", "status")
    assert (listed.code, listed.out) == (0, f"{gate}  d-1  FAIL  as the test wants it\n")
    assert json.loads(mailcanary("gate", "status", "--format", "json").out)["gates"][0]["id"] == gate


def test_a_gate_is_cancelled_and_said_to_be(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, deciding=True) as daemon:
        monkeypatch.setenv("MAILCANARY_SERVER", daemon.url)
        mailcanary(*RUN, "--no-wait")
        words = ("gate", "cancel", "--deploy", "d-1", "--by", "ana", "--reason", "wrong build")
        cancelled = mailcanary(*words)
        assert cancelled.code == 0 and cancelled.out.startswith("GATE INCONCLUSIVE gate-") and "wrong build" in cancelled.out
        again = mailcanary(*words)
        assert again.code == 0 and "decided already; nothing was cancelled" in again.line
        assert sum(isinstance(fact, GateCancelled) for fact in daemon.facts()) == 1


# --- GitHub ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        (tmp_path / name).write_text("before\n")
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    return tmp_path


def test_github_gets_its_forms_by_itself(mailcanary: Command, daemon: Served, runner: Path) -> None:
    outcome = decided(mailcanary, daemon, Because.LOSSES)
    lines = outcome.out.splitlines()
    assert outcome.code == 1 and lines[-1].startswith("GATE FAIL gate-") and any(line.startswith("::error title=") for line in lines[:-1])
    outputs = (runner / "GITHUB_OUTPUT").read_text()
    assert outputs.startswith("before\n") and "verdict=fail\n" in outputs
    summary = (runner / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.startswith("before\n") and "as the test wants it" in summary
    as_json = mailcanary(*RUN, "--format", "json")
    assert json.loads(as_json.out)["verdict"] == "fail" and "::error title=" in as_json.err
    quiet = mailcanary(*RUN, "--no-github")
    assert "::" not in quiet.out and (runner / "GITHUB_OUTPUT").read_text().count("verdict=") == 2


def test_github_hears_of_what_could_not_be_asked(mailcanary: Command, daemon: Served, runner: Path) -> None:
    assert mailcanary(*RUN, "--policy", "lax").code == 2
    assert "verdict=error\n" in (runner / "GITHUB_OUTPUT").read_text() and "lax" in (runner / "GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.parametrize("name", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
def test_a_file_of_the_runner_that_takes_nothing_is_a_remark(
    mailcanary: Command, daemon: Served, runner: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(runner / "none" / "file"))
    outcome = decided(mailcanary, daemon, Because.CLEAN)
    assert outcome.code == 0 and f"${name}: No such file or directory; it was not written, which changes no verdict" in outcome.err


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_a_remark(mailcanary: Command, daemon: Served, tmp_path: Path) -> None:
    outcome = decided(mailcanary, daemon, Because.LOSSES, "--json", tmp_path / "none" / "gate.json", "--junit", tmp_path)
    assert outcome.code == 1 and outcome.err.count("it was not written, which changes no verdict") == 2


def test_a_file_is_replaced_whole_a_link_stays_one_and_a_device_is_written_to(mailcanary: Command, daemon: Served, tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("the old one")
    link.symlink_to(real)
    with real.open() as reading:
        assert decided(mailcanary, daemon, Because.CLEAN, "--json", link, "--junit", "/dev/null").code == 0
        assert reading.read() == "the old one"
    assert link.is_symlink() and json.loads(real.read_text())["verdict"] == "pass"


def test_a_reader_that_has_left_changes_no_verdict(mailcanary: Command, daemon: Served, process: Any) -> None:
    decided(mailcanary, daemon, Because.LOSSES)
    reading, writing = os.pipe()
    running = process(*RUN, "--server", daemon.url, stdout=writing)
    os.close(writing)
    os.close(reading)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1 and "Traceback" not in err
