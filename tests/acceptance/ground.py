"""A daemon on a lab of its own process: its file, its log and its journal, for the suites that do things to the process."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Daemon, LabProcess, Row, daemon, read_journal, until, write_tree
from tests.acceptance.conftest import tree_for as lab_tree
from tests.ports import free_port

QUICK = {"every": "500ms", "jitter": "0%"}
ANSWERS = ("reloaded", "reload_refused")
RARE = {"every": "7d", "jitter": "0%"}


@dataclass
class Ground:
    """`addresses` are seeds of the lab that nobody else uses; `tree` is the configuration as it will be written next."""

    lab: LabProcess
    directory: Path
    addresses: list[str]
    tree: dict[str, Any]

    @property
    def names(self) -> list[str]:
        return list(self.tree["mailboxes"])

    def write(self) -> Path:
        return write_tree(self.tree, self.directory)

    def only(self, *names: str) -> dict[str, Any]:
        """Leave these mailboxes; returns the others."""
        boxes = self.tree["mailboxes"]
        self.tree["mailboxes"] = {name: boxes[name] for name in names}
        return {name: box for name, box in boxes.items() if name not in names}

    @contextlib.contextmanager
    def running(self, name: str = "log") -> Iterator[Daemon]:
        with daemon(self.write(), self.tree["listen"]["port"], self.directory / name) as running:
            yield running

    def facts(self, kind: str) -> list[Row]:
        return [row for row in read_journal(self.directory / "state") if row.kind == kind]

    def judged(self) -> list[dict[str, Any]]:
        return [row.body for row in self.facts("judged")]

    def hang_up(self, running: Daemon) -> dict[str, Any]:
        """Write the configuration, SIGHUP; the line that says what became of it."""
        count = len(lines(running, *ANSWERS))
        self.write()
        running.process.send_signal(signal.SIGHUP)
        until(lambda: len(lines(running, *ANSWERS)) > count, "the reload is answered")
        return lines(running, *ANSWERS)[-1]


def lines(running: Daemon, *events: str) -> list[dict[str, Any]]:
    """The log lines of these events so far; every line must be JSON."""
    text = running.log.read_text()
    records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [record for record in records if record["event"] in events]


def metric(running: Daemon, name: str) -> float:
    """The sum of its samples."""
    return sum(value for sample, value in running.metrics().items() if sample.partition("{")[0] == name)


def ground(lab: LabProcess, directory: Path, addresses: list[str], **changes: Any) -> Ground:
    tree = lab_tree(lab.description, directory, addresses, ["bare-smtp"])
    tree["listen"]["port"] = free_port()
    tree["schedule"] = dict(QUICK)
    return Ground(lab, directory, addresses, tree | changes)


def progress(count: Callable[[], int], what: str, more: int = 1, seconds: float = 30.0) -> None:
    """Wait until there are `more` of them than now."""
    before = count()
    until(lambda: count() >= before + more, what, seconds)


def stays(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Nothing of the kind happens for a while: all that can be shown of an absence."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not happened(), what
        time.sleep(0.05)
