"""What the acceptance suites share: a lab in a process of its own, configurations as an engineer would write them, `mailcanary run` as a
process of its own, and its journal, read after it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from monitor.lab.configuration import configuration, write_configuration
from monitor.lab.control import LabClient

T = TypeVar("T")

PASSWORD = "lab password"
SIGNING_KEY = "a signing key of the acceptance suites"
START_WITHIN = 30.0


@dataclass(frozen=True)
class LabProcess:
    """A lab that runs elsewhere. `steer` calls its control API from any thread without an event loop."""

    description: dict[str, Any]

    def steer(self, work: Callable[[LabClient], Awaitable[T]]) -> T:
        async def call() -> T:
            async with LabClient(self.description["control_url"]) as client:
                return await work(client)

        return asyncio.run(call())

    def provider(self, domain: str) -> dict[str, Any]:
        return next(provider for provider in self.description["providers"] if provider["domain"] == domain)


@contextlib.contextmanager
def lab_process(*arguments: str) -> Iterator[LabProcess]:
    process = subprocess.Popen([sys.executable, "-m", "monitor.lab", "--stdin", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the lab did not start"
        yield LabProcess(json.loads(line))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="session")
def start_lab() -> Callable[..., contextlib.AbstractContextManager[LabProcess]]:
    return lab_process


def tree_for(
    description: Mapping[str, Any], directory: Path, addresses: Sequence[str], paths: Sequence[str], *, security: str = "plain"
) -> dict[str, Any]:
    """A configuration of these seed mailboxes (and no holding mailbox) and these paths. Every probe bears its token as plus-tag too, so
    that the relay's book of accepted recipients names the probe."""
    secret = directory / "secret"
    tree = configuration(description, secret, directory / "state", security)
    wanted = set(addresses)
    tree["mailboxes"] = {name: box for name, box in tree["mailboxes"].items() if box["address"] in wanted}
    assert len(tree["mailboxes"]) == len(wanted)
    for box in tree["mailboxes"].values():
        box["plus_tags"] = True
    tree["paths"] = {name: path for name, path in tree["paths"].items() if name in paths}
    for path in tree["paths"].values():
        path["carriers"] = [*path["carriers"], "plus_tag"]
    (directory / "key").write_text(SIGNING_KEY)
    tree["signing"] = {"keys": [{"number": 1, "secret": {"file": str(directory / "key")}}]}
    return tree


def write_tree(tree: dict[str, Any], directory: Path) -> Path:
    return write_configuration(tree, directory, PASSWORD)


@dataclass(frozen=True)
class Row:
    """One fact as it stands in the journal; `body` is its JSON."""

    seq: int
    kind: str
    key: str
    at: float
    body: dict[str, Any]


def read_journal(state_dir: Path) -> list[Row]:
    """All facts, in order, by nothing but SQLite: what the daemon left behind, not what it thinks."""
    path = state_dir / "journal.sqlite3"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        try:
            rows = db.execute("SELECT seq, kind, key, at, body FROM facts ORDER BY seq").fetchall()
        except sqlite3.OperationalError:  # killed before it had made the table
            return []
    return [Row(seq, kind, key, at, json.loads(body)) for seq, kind, key, at, body in rows]


class Daemon:
    """`mailcanary run` in its own process; stderr goes to a file."""

    def __init__(self, config: Path, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", "--config", str(config), "--log-format", "json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                self.get("/livez")
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "the daemon does not answer"
                time.sleep(0.05)
            else:
                return

    def metrics(self) -> dict[str, float]:
        """Sample -> value; the sample is written as in the exposition, labels included."""
        found = {}
        for line in self.get("/metrics").splitlines():
            if line and not line.startswith("#"):
                sample, _, value = line.partition(" # ")[0].rpartition(" ")
                found[sample] = float(value)
        return found

    def rss(self) -> int:
        """Bytes of memory in use now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most that it ever was."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def daemon(config: Path, port: int, log: Path) -> Iterator[Daemon]:
    running = Daemon(config, port, log)
    try:
        running.ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def until(happened: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for it; the bound is for a machine that is busy, nothing is measured by it."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
