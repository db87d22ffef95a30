"""init against a lab: what works is written and works; what does not is named with its mend, and nothing is written."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import _parser
from monitor.cli.init import set_up
from monitor.cli.setup.writing import Target
from monitor.edge.secret import SystemSecrets
from monitor.lab import Fault, Scope
from monitor.settings import load
from tests.acceptance.conftest import PASSWORD, LabProcess, until
from tests.cli.conftest import Outcome
from tests.cli.test_init_answers import FakePerson
from tests.ports import free_port

Command = Callable[..., Outcome]


@dataclass
class Bench:
    """A lab's relay and two mailboxes that no other test has, and the words with which init is called for them."""

    lab: LabProcess
    directory: Path
    addresses: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    shop: bool = False

    @property
    def output(self) -> Path:
        return self.directory / "mailcanary.yaml"

    @property
    def words(self) -> list[str]:
        described = self.lab.description
        words = ["--output", str(self.output), "--ca-file", described["ca_file"], "--environment", "lab"]
        relay = described["relay"]
        words += ["--relay", f"{relay['host']}:{relay['starttls']}", "--author", f"refunds@{described['shop_domain']}"]
        if self.shop:
            words += ["--app-url", described["shop_url"]]
        for address in self.addresses:
            imap = self.lab.provider(address.partition("@")[2])
            words += ["--mailbox", address, "--imap", f"{imap['host']}:{imap['tls']}"]
        return words

    def spoil(self, fault: Fault, mailbox: int = 0, path: str | None = None, **params: Any) -> None:
        scope = Scope(mailbox=self.addresses[mailbox], path=path)
        self.lab.steer(lambda client: client.switch_on(fault, scope, **params))

    def recipients(self, address: str) -> list[str]:
        local = address.partition("@")[0]
        accepted = self.lab.steer(lambda client: client.accepted())["accepted"]
        found = [str(entry["recipient"]) for entry in accepted]
        return [to for to in found if to.partition("@")[0].partition("+")[0] == local and to.endswith(address.partition("@")[2])]

    def lying(self, address: str) -> int:
        found = self.lab.steer(lambda client: client.mailbox(address))
        return sum(folder["count"] for folder in found["folders"].values())

    def left(self) -> set[str]:
        return {at.name for at in self.directory.iterdir()}


@pytest.fixture
def bench(lab: LabProcess, rooms: Iterator[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("monitor.cli.setup.trying.TAGGED_WITHIN", 3.0)
    monkeypatch.setattr("monitor.cli.setup.trying.WITHIN", 4.0)
    directory = tmp_path / "bench"
    directory.mkdir()
    made = Bench(lab, directory, next(rooms)[:2])
    made.environ = {f"MAILCANARY_INIT_MAILBOX_{number}_PASSWORD": PASSWORD for number in (1, 2)}
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


# --- it works ---------------------------------------------------------------------------------------------------------


def test_what_is_written_works(mailcanary: Command, bench: Bench) -> None:
    bench.shop = True
    said = mailcanary("init", "--yes", *bench.words)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"next: mailcanary run -c {bench.output}; nobody is paged until notify: names a channel"
    assert bench.left() == {"mailcanary.yaml", "secrets"}
    lines = said.err.splitlines()
    assert [line[:4] for line in lines if "probing" not in line] == ["ok  "] * 8, said.err
    for words in (
        "path relay: ",
        "path app: ",
        "mailbox aurora-1: ",
        "spam is 'Junk'",
        "probe relay/aurora-1: arrived in INBOX",
        "its clock agrees",
    ):
        assert words in said.err, words
    loaded = load(bench.output, SystemSecrets())
    policy = loaded.policy
    assert {(box.provider, box.authserv_ids, box.plus_tags) for box in policy.mailboxes.values()} == {
        ("aurora", ("mx.aurora.test",), True),
        ("borealis", ("mx.borealis.test",), True),
    }
    assert [len(bench.recipients(address)) for address in bench.addresses] == [2, 2], "one probe a route"
    assert all("+" in to for address in bench.addresses for to in bench.recipients(address))
    assert [bench.lying(address) for address in bench.addresses] == [0, 0], "the probes are taken away again"
    live = mailcanary("check-config", "--live", "-c", bench.output)
    assert live.code == 0, live.out
    probed = mailcanary("probe", "-c", bench.output, "--format", "json")
    assert probed.code == 0, probed.out
    assert {row["authentication"]["authserv_id"] for row in json.loads(probed.out)["probes"]} == {"mx.aurora.test", "mx.borealis.test"}


def test_no_secret_and_no_address_is_told(mailcanary: Command, bench: Bench) -> None:
    bench.spoil(Fault.IMAP_AUTH_REFUSED, 1)
    said = mailcanary("init", "--yes", *bench.words)
    for text in (said.out, said.err):
        assert PASSWORD not in text and bench.addresses[1] not in text


def test_without_probes_nothing_is_submitted(mailcanary: Command, bench: Bench) -> None:
    said = mailcanary("init", "--yes", "--no-probe", *bench.words)
    assert said.code == 0 and f"mailcanary probe -c {bench.output}" in said.out
    assert [bench.recipients(address) for address in bench.addresses] == [[], []]
    assert "# authserv_ids: no probe was looked at" in bench.output.read_text()
    load(bench.output, SystemSecrets())


def test_a_relay_that_refuses_plus_tags(mailcanary: Command, bench: Bench) -> None:
    bench.spoil(Fault.REFUSE, 0, "smtp", times=1)
    said = mailcanary("init", "--yes", *bench.words)
    assert said.code == 0, said.err
    name = "aurora-1"
    assert f"plus_tags: false for {name}" in said.out
    boxes = load(bench.output, SystemSecrets()).policy.mailboxes
    assert [boxes[box].plus_tags for box in boxes] == [False, True]
    assert bench.recipients(bench.addresses[0]) == [bench.addresses[0]]


def test_a_provider_that_loses_plus_tags(mailcanary: Command, bench: Bench) -> None:
    bench.spoil(Fault.ACCEPT_AND_DROP, 1, times=1)
    said = mailcanary("init", "--yes", *bench.words)
    assert said.code == 0, said.err
    first, second = bench.recipients(bench.addresses[1])
    assert "+" in first and "+" not in second
    assert [box.plus_tags for box in load(bench.output, SystemSecrets()).policy.mailboxes.values()] == [True, False]


# --- it does not work -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "path", "code", "said"),
    [
        (Fault.REFUSE, "smtp", 1, "FAIL probe relay/aurora-1: rejected: the peer answered 554"),
        (Fault.ACCEPT_AND_DROP, None, 1, "FAIL probe relay/aurora-1: missing: accepted"),
        (Fault.JUNK, None, 1, "FAIL probe relay/aurora-1: spam: arrived in the spam folder"),
        (Fault.ALTER_AMOUNT, None, 1, "FAIL probe relay/aurora-1: altered: the amount"),
        (Fault.IMAP_AUTH_REFUSED, None, 3, "???? mailbox aurora-1: auth_refused: "),
    ],
)
def test_nothing_is_written(mailcanary: Command, bench: Bench, fault: Fault, path: str | None, code: int, said: str) -> None:
    bench.spoil(fault, 0, path)
    outcome = mailcanary("init", "--yes", *bench.words)
    assert outcome.code == code and outcome.out == ""
    assert said in outcome.err and outcome.err.splitlines()[-1] == "nothing was written" and "Traceback" not in outcome.err
    assert bench.left() == set()


def test_no_probe_goes_out_while_a_mailbox_is_blind(mailcanary: Command, bench: Bench) -> None:
    bench.spoil(Fault.IMAP_AUTH_REFUSED, 0)
    assert mailcanary("init", "--yes", *bench.words).code == 3
    assert [bench.recipients(address) for address in bench.addresses] == [[], []]


def test_a_relay_that_is_not_there_is_broken_mail(mailcanary: Command, bench: Bench) -> None:
    said = mailcanary("init", "--yes", *bench.words, "--relay", "127.0.0.1:1")
    assert said.code == 1 and "FAIL path relay: connect: " in said.err and bench.left() == set()


def test_a_relay_that_knows_no_login(mailcanary: Command, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCANARY_INIT_RELAY_PASSWORD", "hunter2")
    said = mailcanary("init", "--yes", *bench.words, "--relay-user", "canary")
    assert said.code == 3 and "???? path relay: auth: " in said.err and "remove the username" in said.err and "hunter2" not in said.err


def test_a_guessed_server_that_is_nowhere(mailcanary: Command, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.cli.setup.interview.guesses", lambda _domain: ("127.0.0.2", "127.0.0.3"))  # no name leaves this host
    words = bench.words
    while "--imap" in words:
        at = words.index("--imap")
        del words[at : at + 2]
    said = mailcanary("init", "--yes", *words)
    assert said.code == 3
    assert "no IMAP server found (tried 127.0.0.2, 127.0.0.3); name it with --imap HOST" in said.err


def test_what_lacks_is_usage(mailcanary: Command, bench: Bench) -> None:
    said = mailcanary("init", "--yes", "--output", bench.output)
    assert said.code == 2 and "--relay HOST[:PORT]" in said.err and "--mailbox ADDRESS" in said.err
    asked = mailcanary("init", "--output", bench.output)  # no terminal here either
    assert asked.code == 2 and asked.err == said.err


def test_what_the_settings_refuse_is_usage(mailcanary: Command, bench: Bench) -> None:
    said = mailcanary("init", "--yes", *bench.words, "--ca-file", bench.directory / "nowhere.pem")
    assert said.code == 2 and "paths.relay.ca_file: " in said.err and "nothing was sent and nothing was written" in said.err
    assert bench.left() == set()


def test_a_file_that_is_there_stays(mailcanary: Command, bench: Bench) -> None:
    bench.output.write_text("mine")
    said = mailcanary("init", "--yes", *bench.words)
    assert said.code == 2 and "is there already; give --force" in said.line and bench.output.read_text() == "mine"
    assert mailcanary("init", "--yes", "--force", "--no-probe", *bench.words).code == 0
    assert bench.output.read_text().startswith("# Written by `mailcanary init`")


def test_a_file_that_is_there_stays_when_it_does_not_work(mailcanary: Command, bench: Bench) -> None:
    bench.output.write_text("mine")
    bench.spoil(Fault.IMAP_AUTH_REFUSED, 0)
    assert mailcanary("init", "--yes", "--force", *bench.words).code == 3
    assert bench.output.read_text() == "mine" and bench.left() == {"mailcanary.yaml"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_nothing(process: Any, bench: Bench, number: signal.Signals, code: int) -> None:
    bench.spoil(Fault.ACCEPT_AND_DROP, 0)
    running = process("init", "--yes", *bench.words)
    until(lambda: bool(bench.recipients(bench.addresses[0])), "a probe is on its way")
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code and "Traceback" not in err, err
    assert bench.left() == set(), "no secret stays behind"


# --- a person decides -------------------------------------------------------------------------------------------------


def arranged(bench: Bench, person: FakePerson, *more: str) -> int:
    arguments = _parser().parse_args(["init", *bench.words, *more])
    return set_up(Target(bench.output, "secrets", False), arguments, dict(bench.environ), person)


def test_a_password_mistyped_is_asked_for_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.environ["MAILCANARY_INIT_MAILBOX_1_PASSWORD"] = "wrong"
    person = FakePerson([("[t]ry again", "answer"), ("password for", PASSWORD)])
    assert arranged(bench, person) == 0
    assert "auth_refused" in capsys.readouterr().err and person.script == []
    assert (bench.directory / "secrets" / "aurora-1-password").read_text() == PASSWORD + "\n"
    assert not any("mailbox 2" in asked for asked in person.asked), "only what failed"


def test_a_person_may_try_again_when_it_is_mended(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.spoil(Fault.IMAP_AUTH_REFUSED, 0, times=1)
    assert arranged(bench, FakePerson([("[t]ry again", "t")])) == 0
    assert "not everything" not in capsys.readouterr().out


def test_a_person_may_have_it_written_all_the_same(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.spoil(Fault.JUNK, 0)
    assert arranged(bench, FakePerson([("[t]ry again", "x"), ("[t]ry again", "w")])) == 1, "mail is broken, and written"
    assert "not everything works yet" in capsys.readouterr().out
    load(bench.output, SystemSecrets())


def test_a_person_may_give_up(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.spoil(Fault.JUNK, 0)
    assert arranged(bench, FakePerson([("[t]ry again", "q")])) == 1
    assert "nothing was written" in capsys.readouterr().err and bench.left() == set()


def test_mailboxes_of_a_live_daemon_are_left_alone(mailcanary: Command, process: Any, bench: Bench) -> None:
    assert mailcanary("init", "--yes", "--no-probe", *bench.words).code == 0
    bench.output.write_text(bench.output.read_text().replace("listen:\n", f"listen:\n  port: {free_port()}\n"))
    running = process("run", "-c", bench.output)
    until((bench.directory / "state" / "journal.sqlite3").exists, "the daemon holds its mailboxes")
    said = mailcanary("init", "--yes", *bench.words, "--output", bench.directory / "other.yaml", "--secrets", "others")
    running.terminate()
    running.communicate(timeout=60)
    assert said.code == 2 and "owned by another mailcanary process" in said.err and "nothing was sent and nothing was written" in said.err
