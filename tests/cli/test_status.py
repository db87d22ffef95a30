"""`mailcanary status`: a look at a daemon, once or all the time."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from monitor.cli import status
from monitor.model.incident import IncidentId
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port
from tests.surface import happenings as so

Command = Callable[..., Outcome]
PATIENCE = 20.0  # seconds


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


def test_exits_0_whatever_the_state(mailcanary: Command, daemon: Served) -> None:
    first = mailcanary("status", "--server", daemon.url)
    assert (first.code, first.err) == (0, "") and first.out.startswith(" STARTING  no probe was judged yet")
    daemon.happen(so.opened(daemon.now))
    shown = mailcanary("status", "--server", daemon.url)
    assert shown.code == 0 and shown.out.startswith(" PAGE  1 incident pages") and "\x1b" not in shown.out


def test_json_is_the_daemons_own_document(mailcanary: Command, daemon: Served) -> None:
    document = json.loads(mailcanary("status", "--format", "json", "--server", daemon.url).out)
    assert document["schema"] == "mailcanary.status/v1" and document["headline"]["severity"] == "starting"


def test_no_daemon(mailcanary: Command) -> None:
    for more in ((), ("--watch",)):
        outcome = mailcanary("status", *more, "--server", f"http://127.0.0.1:{free_port()}")
        assert outcome.code == 4 and "no answer" in outcome.line and not outcome.out


def test_wrong_calls(mailcanary: Command, daemon: Served) -> None:
    assert mailcanary("status", "--server", "ftp://x").code == 2
    assert mailcanary("status", "--format", "xml").code == 2
    assert mailcanary("status", "more").code == 2


def test_without_its_token(mailcanary: Command, tmp_path: Path) -> None:
    with served(tmp_path, "0.0.0.0") as site:
        refused = mailcanary("status", "--server", site.url)
        assert refused.code == 2 and "--token-file" in refused.line
        token = tmp_path / "token"
        token.write_text(SECRETS["READ"])
        assert mailcanary("status", "--server", site.url, "--token-file", token).code == 0


def test_narrow(mailcanary: Command, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.happen(so.opened(daemon.now))
    monkeypatch.setenv("COLUMNS", "60")
    lines = mailcanary("status", "--server", daemon.url).out.splitlines()
    assert max(map(len, lines)) <= 60


def test_words_from_outside_stay_on_their_line(mailcanary: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now), so.deployed(daemon.now, so.HOSTILE, version=so.HOSTILE))
    out = mailcanary("status", "--server", daemon.url).out
    assert all(char.isprintable() or char == "\n" for char in out) and "seed+tag" not in out


class TestWatchWithoutATerminal:
    """A line for each change, and none for the time that goes by."""

    @pytest.fixture(autouse=True)
    def fast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(status, "EVERY", 0.0)

    @pytest.fixture
    def heard(self, monkeypatch: pytest.MonkeyPatch) -> list[status.Heard]:
        """What the daemon says, one after another; then the reader presses Ctrl-C."""
        told: list[status.Heard] = []

        def news(_: object) -> Iterator[status.Heard]:
            yield from told
            raise KeyboardInterrupt

        monkeypatch.setattr(status, "_news", news)
        return told

    def test_lines(self, mailcanary: Command, daemon: Served, heard: list[status.Heard]) -> None:
        quiet = now(mailcanary, daemon)
        daemon.happen(so.opened(daemon.now))
        broken = now(mailcanary, daemon)
        daemon.happen(so.resolved(daemon.now))
        heard += [quiet, quiet, broken, broken, "it is gone", "it is gone", broken, now(mailcanary, daemon)]
        outcome = mailcanary("status", "--watch", "--server", daemon.url)
        assert (outcome.code, outcome.err) == (130, "NO ANSWER: it is gone\n")
        words = [line.split("Z ")[1].split(":")[0] for line in outcome.out.splitlines()]
        assert words == ["STARTING", "PAGE", "PAGE", "STARTING"], "when it answers again, what it says is said again"

    def test_json_lines(self, mailcanary: Command, daemon: Served, heard: list[status.Heard]) -> None:
        before = now(mailcanary, daemon)
        daemon.happen(so.opened(daemon.now))
        heard += [now(mailcanary, daemon), before]
        outcome = mailcanary("status", "--watch", "--format", "json", "--server", daemon.url)
        assert [json.loads(line)["headline"]["severity"] for line in outcome.out.splitlines()] == ["page", "starting"]

    def test_news_of_a_daemon_that_comes_and_goes(self, tmp_path: Path) -> None:
        arguments = type("Arguments", (), {"server": f"http://127.0.0.1:{free_port()}", "token_file": None})()
        with served(tmp_path) as site:
            gone, arguments.server = arguments.server, site.url
            news = status._news(arguments)
            assert isinstance(next(news), dict)
            arguments.server = gone
            lost = next(news)
            assert isinstance(lost, str) and "no answer" in lost
            arguments.server = site.url
            assert isinstance(next(news), dict)


def now(mailcanary: Command, daemon: Served) -> status.Document:
    return json.loads(mailcanary("status", "--format", "json", "--server", daemon.url).out)  # type: ignore[no-any-return]


def test_age_and_loss_are_shown(monkeypatch: pytest.MonkeyPatch, mailcanary: Command, daemon: Served) -> None:
    times = [100.0]
    monkeypatch.setattr(status.clock, "monotonic", lambda: times[0])
    seen = status.Seen(now(mailcanary, daemon))
    assert "NO ANSWER" not in shown(seen)
    times[0] += 60
    assert "NO ANSWER  what follows is 60.0 s old; it takes long" in shown(seen)
    seen.hear("http://x: no answer (refused)")
    assert "NO ANSWER  what follows is 60.0 s old; http://x: no answer (refused)" in shown(seen)
    seen.hear(now(mailcanary, daemon))
    assert "NO ANSWER" not in shown(seen)


def shown(seen: status.Seen) -> str:
    console = Console(width=120, highlight=False)
    with console.capture() as caught:
        console.print(seen.drawn(120))
    return caught.get()


@dataclass
class Terminal:
    """A command on a terminal of its own."""

    running: subprocess.Popen[bytes]
    master: int
    seen: bytearray = field(default_factory=bytearray)

    def until(self, text: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, end - time.monotonic()))
            assert ready, bytes(self.seen[-2_000:])
            with contextlib.suppress(OSError):
                self.seen += os.read(self.master, 65_536)

    def ends(self) -> int:
        end = time.monotonic() + PATIENCE
        while self.running.poll() is None:
            assert time.monotonic() < end
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # else what it still writes would hold it up
                    os.read(self.master, 65_536)
        return self.running.returncode


@pytest.fixture
def watching(daemon: Served) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "monitor", "status", "--watch", "--server", daemon.url]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", "NO_COLOR": "1"}
    running = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    yield Terminal(running, master)
    if running.poll() is None:
        running.kill()
    running.wait(10)
    os.close(master)


def test_watch_on_a_terminal_redraws_and_q_ends_it(watching: Terminal, daemon: Served) -> None:
    watching.until(b"STARTING")
    daemon.happen(so.opened(daemon.now, IncidentId("INC-7")))
    watching.until(b"INC-7")
    os.write(watching.master, b"xq")
    assert watching.ends() == 0
    assert b"\x1b[?1049h" in watching.seen, "what was on the screen before comes back"


def test_ctrl_c_ends_it(watching: Terminal) -> None:
    watching.until(b"STARTING")
    watching.running.send_signal(signal.SIGINT)
    assert watching.ends() == 130
