"""`mailcanary deploy`: a pipeline marks what it does, and may repeat itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port

Command = Callable[..., Outcome]
WHOLE = ("--deploy", "d-1", "--service", "checkout-api", "--version", "v512", "--sha", "a1b2c3d", "--by", "ana")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


@pytest.mark.parametrize("phase", list(DeployPhase))
def test_each_phase_is_a_fact(mailcanary: Command, daemon: Served, phase: DeployPhase) -> None:
    outcome = mailcanary("deploy", phase.value, *WHOLE, "--server", daemon.url)
    assert outcome.code == 0 and outcome.out.startswith(f"deploy d-1: {phase.value} marked at 20") and not outcome.err
    (fact,) = daemon.facts()
    assert isinstance(fact, DeployMarked)
    assert fact == DeployMarked(fact.at, "d-1", phase, "checkout-api", "v512", "a1b2c3d", "ana", "cli")


def test_said_again_it_is_the_first(mailcanary: Command, daemon: Served) -> None:
    words = ("deploy", "start", "--server", daemon.url, "--format", "json")
    first, again = (json.loads(mailcanary(*words, *WHOLE).out) for _ in range(2))
    assert first == again and first["schema"] == "mailcanary.deploy/v1" and len(daemon.facts()) == 1
    assert json.loads(mailcanary(*words, "--deploy", "d-2").out)["version"] == ""
    assert len(daemon.facts()) == 2


def test_when_and_where_it_was(mailcanary: Command, daemon: Served) -> None:
    words = ("deploy", "start", "--deploy", "d-1", "--server", daemon.url)
    then = datetime.fromtimestamp(daemon.now.utc - 600, UTC).isoformat()
    assert mailcanary(*words, "--at", then, "--url", "https://ci.test/1").code == 0
    (fact,) = daemon.facts()
    assert isinstance(fact, DeployMarked) and fact.url == "https://ci.test/1"
    assert fact.at.utc == pytest.approx(daemon.now.utc - 600, abs=30)


@pytest.mark.parametrize(
    ("at", "why"),
    [("2199-01-01T00:00:00Z", "set the clock that is wrong"), ("tomorrow", "write a time"), ("2030-01-01T00:00:00", "write a time")],
)
def test_a_time_that_cannot_be(mailcanary: Command, daemon: Served, at: str, why: str) -> None:
    outcome = mailcanary("deploy", "start", "--deploy", "d-1", "--at", at, "--server", daemon.url)
    assert outcome.code == 2 and why in outcome.line and daemon.facts() == []


def test_a_finish_before_the_start(mailcanary: Command, daemon: Served) -> None:
    words = ("--deploy", "d-1", "--server", daemon.url)
    assert mailcanary("deploy", "start", *words).code == 0
    before = datetime.fromtimestamp(daemon.now.utc - 600, UTC).isoformat()
    outcome = mailcanary("deploy", "finish", *words, "--at", before)
    assert outcome.code == 2 and "before" in outcome.line and len(daemon.facts()) == 1


@pytest.mark.parametrize("argv", [(), ("start",), ("begin", "--deploy", "d"), ("finish", "--deploy")])
def test_a_call_that_cannot_be_read(mailcanary: Command, argv: tuple[str, ...]) -> None:
    outcome = mailcanary("deploy", *argv)
    assert outcome.code == 2 and "usage: mailcanary deploy" in outcome.err and not outcome.out


@pytest.mark.parametrize("words", [("--deploy", ""), ("--deploy", "d" * 401), ("--deploy", "d", "--version", "v\x1b[2J")])
def test_a_marker_that_cannot_be(mailcanary: Command, daemon: Served, words: tuple[str, ...]) -> None:
    outcome = mailcanary("deploy", "start", *words, "--server", daemon.url)
    assert outcome.code == 2 and outcome.line and daemon.facts() == []


def test_no_daemon_there_and_something_else_there(mailcanary: Command, daemon: Served) -> None:
    assert mailcanary("deploy", "start", "--deploy", "d", "--server", f"http://127.0.0.1:{free_port()}").code == 4
    assert mailcanary("deploy", "start", "--deploy", "d", "--server", "ftp://x").code == 2
    elsewhere = mailcanary("deploy", "start", "--deploy", "d", "--server", f"{daemon.url}/metrics")
    assert elsewhere.code == 2 and daemon.facts() == []


def test_the_token_of_the_role(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, open_to="0.0.0.0") as daemon:
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["ONCALL"])
        refused = mailcanary("deploy", "start", "--deploy", "d", "--server", daemon.url)
        assert refused.code == 2 and "listen.tokens.deploy" in refused.line and daemon.facts() == []
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["DEPLOY"])
        assert mailcanary("deploy", "start", "--deploy", "d", "--server", daemon.url).code == 0
