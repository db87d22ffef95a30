"""A lab in a process of its own, a configuration for mailboxes that no other test has, and the command in this process or another."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main
from tests.acceptance.conftest import PASSWORD, LabProcess, lab_process, tree_for, write_tree
from tests.ports import free_port

MAILBOXES = 60  # per provider


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """stderr, which is one line and no traceback, beside notes on the configuration."""
        (line,) = (text for text in self.err.splitlines() if not text.startswith("note: "))
        assert "Traceback" not in self.err, self.err
        return line.strip()


@pytest.fixture
def mailcanary(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command in this process."""
    for name in ("MAILCANARY_CONFIG", "MAILCANARY_TOKEN", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(word) for word in argv])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*argv: object, **options: Any) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "monitor", *map(str, argv)]
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "xdg"), "NO_COLOR": "1"}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
        running = subprocess.Popen(words, **(pipes | options))
        started.append(running)
        return running

    yield start
    for running in started:
        if running.poll() is None:
            running.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a child of its own may hold the pipes open
            running.communicate(timeout=10)


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    with lab_process("--mailboxes", str(MAILBOXES)) as running:
        yield running


@pytest.fixture(scope="session")
def rooms(lab: LabProcess) -> Iterator[tuple[str, ...]]:
    addresses = [[account["address"] for account in provider["accounts"]] for provider in lab.description["providers"]]
    return iter(list(zip(*addresses, strict=True)))


@dataclass
class Site:
    """A configuration that works, to be spoiled."""

    lab: LabProcess
    directory: Path
    addresses: Sequence[str]
    paths: Sequence[str]
    tree: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.tree = tree_for(self.lab.description, self.directory, self.addresses, self.paths)
        self.tree["listen"]["port"] = free_port()
        self.tree["notify"] = {"channels": {"phone": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}}

    @property
    def names(self) -> list[str]:
        return list(self.tree["mailboxes"])

    @property
    def server(self) -> str:
        return f"http://127.0.0.1:{self.tree['listen']['port']}"

    def write(self) -> Path:
        return write_tree(self.tree, self.directory)

    def wrong_password(self, mailbox: str) -> None:
        (self.directory / "wrong").write_text(PASSWORD + "x")
        self.tree["mailboxes"][mailbox]["imap"]["password"] = {"file": str(self.directory / "wrong")}

    def arrived(self, address: str) -> int:
        """Messages that lie in this account."""
        found = self.lab.steer(lambda client: client.mailbox(address))
        return sum(folder["count"] for folder in found["folders"].values())


@pytest.fixture
def site(lab: LabProcess, rooms: Iterator[tuple[str, ...]], tmp_path: Path) -> Site:
    """Two mailboxes and the bare SMTP path."""
    return Site(lab, tmp_path / "site", next(rooms)[:2], ["bare-smtp"])
