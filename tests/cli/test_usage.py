"""Calls and configurations that cannot work: exit 2, one line that says why, nothing sent."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from monitor import __version__
from monitor.edge.journal import SqliteJournal
from tests.cli.conftest import Outcome
from tests.ports import free_port

Command = Callable[..., Outcome]
WITH_CONFIG = ("run", "probe", "check-config")


def tree(directory: Path) -> dict[str, Any]:
    (directory / "secret").write_text("a secret of thirty-two characters!")
    secret = {"file": str(directory / "secret")}
    imap = {"host": "127.0.0.1", "port": 1, "security": "plain", "password": secret}
    return {
        "environment": "test",
        "instance": "one",
        "signing": {"keys": [{"number": 1, "secret": secret}]},
        "state_dir": str(directory / "state"),
        "listen": {"host": "127.0.0.1", "port": free_port()},
        "paths": {"relay": {"kind": "smtp", "host": "127.0.0.1", "port": 1, "security": "plain", "author": "refunds@shop.test"}},
        "mailboxes": {
            name: {"provider": "p", "address": f"{name}@box.test", "imap": imap}
            for name in ("seed-1", "seed-2")
        },
    }  # fmt: skip


def written(directory: Path, content: dict[str, Any] | str) -> Path:
    file = directory / "mailcanary.yaml"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def test_the_version_and_the_commands(mailcanary: Command) -> None:
    assert mailcanary("--version").out == f"mailcanary {__version__}\n"
    shown = mailcanary("--help")
    assert shown.code == 0
    every = ["run", "init", "probe", "check-config", "incident", "deploy", "notify", "replay", "pause", "resume", "healthz", "demo"]
    for text in (*every, "exit codes: 0 pass, 1 fail"):
        assert text in shown.out
    for command in every:
        assert mailcanary(command, "--help").code == 0


@pytest.mark.parametrize("argv", [(), ("prob",), ("probe", "--nonsense"), ("probe", "--format", "xml"), ("run", "--log-format", "x")])
def test_a_call_that_cannot_be_read(mailcanary: Command, argv: tuple[str, ...]) -> None:
    outcome = mailcanary(*argv)
    assert outcome.code == 2 and "usage: mailcanary" in outcome.err and not outcome.out


@pytest.mark.parametrize("command", WITH_CONFIG)
def test_no_configuration(mailcanary: Command, command: str) -> None:
    outcome = mailcanary(command)
    assert outcome.code == 2 and "--config FILE" in outcome.line and "MAILCANARY_CONFIG" in outcome.line


@pytest.mark.parametrize("command", WITH_CONFIG)
def test_a_file_that_is_not_there_or_is_none(mailcanary: Command, command: str, tmp_path: Path) -> None:
    outcome = mailcanary(command, "--config", tmp_path / "nothing.yaml")
    assert outcome.code == 2 and "nothing.yaml: no such file" in outcome.line and "--config" in outcome.line
    outcome = mailcanary(command, "-c", tmp_path)
    assert outcome.code == 2 and "is a directory" in outcome.line


def test_the_configuration_of_the_environment(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCANARY_CONFIG", str(tmp_path / "elsewhere.yaml"))
    assert "elsewhere.yaml: no such file" in mailcanary("check-config").line
    monkeypatch.delenv("MAILCANARY_CONFIG")
    written(tmp_path, tree(tmp_path))
    assert mailcanary("check-config").code == 0, "./mailcanary.yaml"


def test_bad_yaml(mailcanary: Command, tmp_path: Path) -> None:
    file = written(tmp_path, "environment: [production\ninstance: x\n")
    outcome = mailcanary("check-config", "-c", file)
    assert outcome.code == 2 and f"{file}:2" in outcome.line


def test_every_fault_has_a_line_with_its_place_and_its_mend(mailcanary: Command, tmp_path: Path) -> None:
    content = tree(tmp_path)
    content["colour"] = "blue"
    content["paths"]["relay"]["prot"] = 25
    content["deadlines"] = {"late": "10m", "missing": "5m"}
    content["mailboxes"]["seed-1"]["address"] = "no address"
    outcome = mailcanary("probe", "-c", written(tmp_path, content))
    lines = outcome.err.splitlines()
    assert outcome.code == 2 and not outcome.out and len(lines) >= 4
    assert all(line.startswith(f"{tmp_path}/mailcanary.yaml:") and ";" in line for line in lines), lines
    for word in ("colour", "paths.relay.prot", "deadlines", "mailboxes.seed-1.address"):
        assert any(word in line for line in lines), word
    assert not (tmp_path / "state").exists() and not (tmp_path / "xdg").exists()


def test_a_recipient_that_is_no_seed(mailcanary: Command, tmp_path: Path) -> None:
    content = tree(tmp_path)
    content["mailboxes"]["seed-2"]["role"] = "holding"
    content["routes"] = [{"path": "relay", "mailbox": "seed-2"}]
    outcome = mailcanary("run", "-c", written(tmp_path, content))
    assert outcome.code == 2 and "routes.0" in outcome.line and "seed-2" in outcome.line


def test_a_template_without_its_carrier(mailcanary: Command, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "subject.txt").write_text("Your refund {{ refund_number }}")
    (templates / "message.txt").write_text("{{ amount }} {{ refund_number }} {{ order_number }} {{ customer_name }}")
    (templates / "message.html").write_text("<p>{{ amount }} {{ refund_number }} {{ order_number }} {{ customer_name }}</p>")
    content = tree(tmp_path)
    content["paths"]["relay"]["templates"] = str(templates)
    file = written(tmp_path, content)
    outcome = mailcanary("probe", "-c", file)
    assert outcome.code == 2 and "Traceback" not in outcome.err
    number = next(at for at, line in enumerate(file.read_text().splitlines(), 1) if '"templates"' in line)
    for line in outcome.err.splitlines():
        assert line.startswith(f"{file}:{number}: paths.relay.templates: ") and "token" in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--path", "rely"), ("--path rely", "relay")),
        (("--mailbox", "nobody"), ("--mailbox nobody", "seed-1, seed-2")),
        (("--deadline", "soon"), ("--deadline", "soon")),
        (("--deadline", "-5s"), ("--deadline",)),
        (("--deadline", "0s"), ("--deadline",)),
        (("--deadline", "5"), ("--deadline",)),
    ],
)
def test_bad_choices_of_a_probe(mailcanary: Command, tmp_path: Path, argv: tuple[str, ...], words: tuple[str, ...]) -> None:
    flag, value = argv
    outcome = mailcanary("probe", "-c", written(tmp_path, tree(tmp_path)), f"{flag}={value}")
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.line
    assert not (tmp_path / "xdg").exists()


def test_a_choice_that_leaves_no_route(mailcanary: Command, tmp_path: Path) -> None:
    content = tree(tmp_path)
    content["routes"] = [{"path": "relay", "mailbox": "seed-1"}]
    outcome = mailcanary("probe", "-c", written(tmp_path, content), "--mailbox", "seed-2")
    assert outcome.code == 2 and "nothing was sent" in outcome.err.splitlines()[-1]


def test_check_config_says_that_it_is_well(mailcanary: Command, tmp_path: Path) -> None:
    content = tree(tmp_path)
    content["notify"] = {"channels": {"phone": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}}
    file = written(tmp_path, content)
    outcome = mailcanary("check-config", "-c", file)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("\nconfiguration ok: 1 paths, 2 mailboxes, 2 routes; try --live to log in and connect\n")
    told = json.loads(mailcanary("check-config", "-c", file, "--format", "json").out)
    assert told == {"schema": "mailcanary.check-config/v1", "ok": True, "live": False, "trials": []}


@pytest.mark.parametrize("command", ["check-config", "probe"])
def test_what_is_allowed_but_probably_not_meant_is_noted_on_stderr(mailcanary: Command, tmp_path: Path, command: str) -> None:
    content = tree(tmp_path)
    content["budgets"] = {"per_path": 300}
    content["paths"]["spare"] = content["paths"]["relay"]
    content["routes"] = [{"path": "relay", "mailbox": name, "every": "1m"} for name in ("seed-1", "seed-2")]
    file = written(tmp_path, content)
    outcome = mailcanary(command, "-c", file, *(["--path=nobody"] if command == "probe" else []))
    notes = [line for line in outcome.err.splitlines() if line.startswith(f"note: {file}:")]
    assert any("paths.relay: is due 2880 probes a day but may have 300" in note for note in notes)
    assert any("paths.spare: no route uses it" in note for note in notes)
    assert command == "probe" or (outcome.code == 0 and "note" not in outcome.out)


# --- commands that ask a daemon -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pause", "resume", "healthz"])
def test_a_daemon_that_is_not_there(mailcanary: Command, command: str) -> None:
    outcome = mailcanary(command, "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and "no answer" in outcome.line and "mailcanary run" in outcome.line and not outcome.out


@pytest.mark.parametrize("command", ["pause", "resume", "healthz"])
@pytest.mark.parametrize("server", ["localhost:9464", "ftp://x", "", "file:///etc/passwd"])
def test_a_server_that_is_no_url(mailcanary: Command, command: str, server: str) -> None:
    outcome = mailcanary(command, "--server", server)
    assert outcome.code == 2 and "give a URL like" in outcome.line


@pytest.mark.parametrize("server", ["http://", "http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x"])
def test_a_url_that_leads_nowhere(mailcanary: Command, server: str) -> None:
    outcome = mailcanary("healthz", "--server", server)
    assert outcome.code in (2, 4) and server in outcome.line


def test_a_token_file_that_is_not_there(mailcanary: Command, tmp_path: Path) -> None:
    outcome = mailcanary("pause", "--token-file", tmp_path / "token")
    assert outcome.code == 2 and "--token-file" in outcome.line


# --- our own fault --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "probe"])
def test_a_journal_of_a_newer_version(mailcanary: Command, tmp_path: Path, command: str) -> None:
    file = written(tmp_path, tree(tmp_path))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)

    async def make() -> None:
        await SqliteJournal(state).close()

    asyncio.run(make())
    with closing(sqlite3.connect(state / "journal.sqlite3")) as db:
        db.execute("INSERT INTO facts VALUES (1, 'started', '', 0, 99, '{}')")
        db.commit()
    outcome = mailcanary(command, "-c", file, *(["--state-dir", state] if command == "probe" else []))
    assert outcome.code == 4 and "newer mailcanary (journal schema 99" in outcome.line and ";" in outcome.line


@pytest.mark.parametrize("command", ["run", "probe"])
def test_a_state_directory_that_cannot_be_used(mailcanary: Command, tmp_path: Path, command: str) -> None:
    content = tree(tmp_path)
    (tmp_path / "file").write_text("")
    content["state_dir"] = str(tmp_path / "file")
    outcome = mailcanary(command, "-c", written(tmp_path, content), *(["--state-dir", tmp_path / "file"] if command == "probe" else []))
    assert outcome.code == 4 and str(tmp_path / "file") in outcome.line


def test_a_bug_is_exit_4_and_never_broken_mail(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr("monitor.cli.check_config.call", broken)
    outcome = mailcanary("check-config", "-c", written(tmp_path, tree(tmp_path)))
    assert outcome.code == 4 and "a fault of our own: ZeroDivisionError('no such luck')" in outcome.err.splitlines()[-1]


def test_ctrl_c_anywhere(mailcanary: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("monitor.cli.healthz.call", interrupted)
    assert mailcanary("healthz") == Outcome(130, "", "")


def test_the_module_and_the_script_are_the_same(process: Callable[..., subprocess.Popen[str]]) -> None:
    out, err = process("--version").communicate(timeout=60)
    assert (out, err) == (f"mailcanary {__version__}\n", "")
