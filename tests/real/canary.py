"""mailcanary as its users run it: a configuration file, the command in a process of its own, what it prints, and what its daemon serves.

Nothing here imports `monitor`: the outward contracts are all that is known.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 150.0  # for anything that must happen at all; never a measure

Tree = dict[str, Any]

TIMES: Tree = {
    "submission": {"attempt_timeout": "20s", "retry_backoff": "500ms", "retry_for": "30s", "unreachable_for": "2s"},
    "budgets": {"per_path": 100_000, "per_mailbox": 100_000},
    "watch": {
        "sweep_after": "500ms",
        "poll_every": "3s",
        "idle_renew": "60s",
        "command_timeout": "20s",
        "reconnect_min": "200ms",
        "reconnect_max": "1s",
    },
}
# a host that is busy with other tests must not make mail late; what is to be missing shall be so soon
CALM: Tree = {"overdue_floor": "1s", "late": "40s", "missing": "50s", "give_up": "80s", "watch_until": "10m"}
HASTY: Tree = {"overdue_floor": "1s", "late": "2s", "missing": "4s", "give_up": "80s", "watch_until": "10m"}


def until(done: Callable[[], object], what: str) -> None:
    """Wait for what must happen."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"{what}: did not happen"
        time.sleep(0.1)


def command(*arguments: str) -> list[str]:
    """The command line; where util-linux is, the process dies with the test run, whatever ends that."""
    setpriv = shutil.which("setpriv")
    leash = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    script = Path(sys.executable).with_name("mailcanary")
    return [*leash, *([str(script)] if script.exists() else [sys.executable, "-m", "monitor"]), *arguments]


class Probe:
    """`mailcanary probe --format json`, begun at once; what it printed when it is over."""

    def __init__(self, config: Path, state: Path, *arguments: str) -> None:
        words = command("probe", "--config", str(config), "--state-dir", str(state), "--format", "json", *arguments)
        self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._said: tuple[str, str] | None = None
        self._lock = threading.Lock()

    def _end(self) -> tuple[str, str]:
        with self._lock:
            if self._said is None:
                self._said = self._process.communicate(timeout=PATIENCE)
        return self._said

    @property
    def exit_code(self) -> int:
        self._end()
        return self._process.returncode

    @property
    def report(self) -> Tree:
        out, err = self._end()
        try:
            document: Tree = json.loads(out)
        except ValueError:
            raise AssertionError(f"exit {self._process.returncode}, no JSON on stdout: {out!r}\n{err}") from None
        return document

    def row(self, mailbox: str) -> Tree:
        rows = [row for row in self.report["probes"] if row["route"].endswith(f"/{mailbox}")]
        assert len(rows) == 1, self.report
        found: Tree = rows[0]
        return found

    def kill(self) -> None:
        with self._lock:
            if self._said is None:
                self._process.kill()
                self._said = self._process.communicate()


class Daemon:
    """`mailcanary run`, with its log lines as they come."""

    def __init__(self, config: Path, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self.lines: list[Tree] = []
        self.odd: list[str] = []  # on stderr, but no JSON
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            command("run", "--config", str(config), "--log-format", "json"), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="log of the daemon", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for text in self._process.stderr:
            with self._news:
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.odd.append(text)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait(self, wanted: Callable[[Tree], object], since: int = 0, what: str = "a log line") -> Tree:
        """The first line from `since` on that is wanted."""
        until, at = time.monotonic() + PATIENCE, since
        with self._news:
            while True:
                for line in self.lines[at:]:
                    if wanted(line):
                        return line
                at = max(at, len(self.lines))
                left = until - time.monotonic()
                if left <= 0 or (self._process.poll() is not None and not self._reader.is_alive()):
                    told = "\n".join([*self.odd, *(json.dumps(line) for line in self.lines[since:][-40:])])
                    raise AssertionError(f"{what} did not come:\n{told}")
                self._news.wait(min(left, 1.0))

    def judged(self, mailbox: str, result: str, since: int = 0, probe: str | None = None) -> Tree:
        """The first verdict of this kind on this mailbox's route, or on this very probe."""

        def wanted(line: Tree) -> bool:
            mine = line["event"] == "judged" and line["route"].endswith(f"/{mailbox}") and probe in (None, line["probe_id"])
            return mine and line["result"] == result

        return self.wait(wanted, since, f"a verdict {result} on {probe or mailbox}")

    @property
    def mark(self) -> int:
        with self._news:
            return len(self.lines)

    def told(self, event: str, mailbox: str | None = None) -> list[Tree]:
        with self._news:
            return [line for line in self.lines if line["event"] == event and mailbox in (None, line.get("mailbox"))]

    def get(self, path: str) -> Tree:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=20) as reply:
            document: Tree = json.loads(reply.read())
        return document

    def status(self) -> Tree:
        return self.get("/v1/status")

    def route(self, mailbox: str) -> Tree:
        return next(route for route in self.status()["routes"] if route["route"].endswith(f"/{mailbox}"))

    def mailbox(self, name: str) -> Tree:
        return next(box for box in self.status()["mailboxes"] if box["mailbox"] == name)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series that bear these labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=20) as reply:
            text = reply.read().decode()
        found = [
            line
            for line in text.splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(f'{key}="{value}"' in line for key, value in labels.items())
        ]
        assert found, f"no series {name} {labels}"
        return sum(float(line.rpartition(" ")[2]) for line in found)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(30)
        finally:
            self.kill()
        return code

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stderr is not None:
            with contextlib.suppress(OSError):
                self._process.stderr.close()


def check_live(config: Path) -> tuple[int, Tree]:
    """`mailcanary check-config --live`: its exit code and its document."""
    done = subprocess.run(
        command("check-config", "--config", str(config), "--live", "--format", "json"),
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}\n{done.stderr}") from None


def write(
    directory: Path, instance: str, paths: Tree, mailboxes: Tree, routes: Sequence[Mapping[str, Any]], port: int, **more: Any
) -> Path:
    """A configuration as an engineer would write it, in JSON, which is YAML too."""
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / "signing-key"
    key.write_text("the same key for all instances of this suite\n")
    key.chmod(0o600)
    tree: Tree = {
        **TIMES,
        "environment": "real",
        "instance": instance,
        "signing": {"keys": [{"number": 1, "secret": {"file": str(key)}}]},
        "deadlines": CALM,
        "state_dir": str(directory / "state"),
        "listen": {"host": HOST, "port": port},
        "paths": paths,
        "mailboxes": mailboxes,
        "routes": list(routes),
        "inspect": {"enabled": False},  # its zones are nobody's: no question may leave this machine
        **more,
    }
    at = directory / "mailcanary.yaml"
    at.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")
    return at
