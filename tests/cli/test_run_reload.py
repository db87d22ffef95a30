"""How the command takes signals and reads its file again; the daemon behind it is tests/acceptance/reload's."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import UsageError
from monitor.cli.run import _Early, _reload
from monitor.model.policy import Policy
from monitor.surface.log import Log, LogFormat
from tests.stages.house import policy


@pytest.fixture
def hang_up() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hang_up_before_the_daemon_runs_neither_ends_it_nor_is_lost(hang_up: None) -> None:
    early = _Early()
    assert not early.asked
    os.kill(os.getpid(), signal.SIGHUP)
    assert early.asked


class Daemon:
    """What the command asks of the App."""

    def __init__(self, why: str = "", writable: bool = True) -> None:
        self.refused: list[str] = []
        self.taken: list[Policy] = []
        self._why = why
        self.desk: Any = type("desk", (), {"writable": writable})()

    async def refuse(self, why: str) -> None:
        self.refused.append(why)

    async def reload(self, policy: Policy) -> str:
        self.taken.append(policy)
        return self._why


def records(out: io.StringIO) -> list[tuple[str, str, str]]:
    return [(line["level"], line["event"], line["msg"]) for line in map(json.loads, out.getvalue().splitlines())]


async def test_every_fault_is_a_line_and_the_fact_has_the_first(tmp_path: Path) -> None:
    def read(_: object) -> Policy:
        raise UsageError("file:1: a is wrong; mend a\nfile:2: b is wrong; mend b\nfile:3: c")

    daemon, out = Daemon(), io.StringIO()
    await _reload(daemon, Log(LogFormat.JSON, "test", lambda: "now", out), read)  # type: ignore[arg-type]
    assert [level for level, _, _ in records(out)] == ["error"] * 3 and records(out)[1][2] == "file:2: b is wrong; mend b"
    assert daemon.refused == ["file:1: a is wrong; mend a, and 2 more faults"] and not daemon.taken


async def test_notes_are_told_and_a_refusal_without_a_disk_is_a_line(tmp_path: Path) -> None:
    new = policy(tmp_path)

    def read(tell: Any) -> Policy:
        tell("file:9: probably not meant")
        return new

    daemon, out = Daemon("no space", writable=False), io.StringIO()
    await _reload(daemon, Log(LogFormat.JSON, "test", lambda: "now", out), read)  # type: ignore[arg-type]
    assert daemon.taken == [new]
    assert records(out) == [
        ("warning", "configuration", "file:9: probably not meant"),
        ("error", "reload_refused", "the configuration was not taken: no space"),
    ]
