"""A nursery of daemons that are to be killed.

    python child.py            reads jobs from stdin, one JSON object a line; answers each with a line when its daemon has ended

The nursery imports the daemon once and forks a process for each job: a start costs milliseconds, and everything that a life of the daemon
opens (journal, locks, sockets, threads, event loop) is opened after the fork. A job is

    {"id": 1, "config": FILE, "log": FILE, "trace": FILE, "kill": ["before"|"after", "commit"|KIND OF FACT|"smtp"|"http"|"imap", N] | null,
     "lifetime": [N, seconds] | null, "deadline": seconds}

`kill`: the daemon kills itself with SIGKILL just before or just after its Nth commit, the commit of its Nth fact of a kind, or its Nth
write on such connections. `lifetime`: the nursery kills it from outside, so many seconds after its Nth commit or write, of whatever kind.
Without either it ends by itself when there was a probe, every probe is closed, and nothing is left to clean up. The answer is
{"id": 1, "status": what waitpid says, negative for a signal}.

The composition is that of `mailcanary run`: settings, then app.assembled and app.running. Only the hooks below are the test's own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from asyncio import selector_events
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitor.app import App, assembled
from monitor.edge.journal import SqliteJournal
from monitor.edge.secret import SystemSecrets
from monitor.model.policy import HttpPath, Policy, SmtpPath
from monitor.rules.rehearse import rehearse
from monitor.settings import load

STUCK = -1000  # the status of a daemon that did not end in time


class Sites:
    """Counts the sites of one life, writes each down, and dies at the chosen one."""

    def __init__(self, trace: str, kill: list[Any] | None, kinds: dict[int, str], ripe: tuple[int, int] | None) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill = tuple(kill) if kill else None
        self._kinds = kinds
        self._ripe = ripe  # after so many sites a word goes to this pipe
        self._counts: Counter[str] = Counter()
        self._events = 0
        self._lock = threading.Lock()

    def kind_of(self, transport: Any) -> str | None:
        peer = transport.get_extra_info("peername")
        return self._kinds.get(peer[1]) if isinstance(peer, tuple) else None

    def begin(self, kind: str, detail: str | None = None) -> int:
        """The number of the site; it is written down, and counts as an event, when there is a detail."""
        with self._lock:  # commits are another thread's
            self._counts[kind] += 1
            number = self._counts[kind]
            if detail is not None:
                os.write(self._trace, f"{kind} {number} {detail}\n".encode())
                self._events += 1
                if self._ripe and self._events == self._ripe[0]:
                    os.write(self._ripe[1], b"%d\n" % os.getpid())
        self._at("before", kind, number)
        return number

    def end(self, kind: str, number: int) -> None:
        self._at("after", kind, number)

    def _at(self, when: str, kind: str, number: int) -> None:
        if self._kill == (when, kind, number):
            os.write(self._trace, f"KILL {when} {kind} {number}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


SITES: Sites | None = None


def hook() -> None:
    """Put the sites around every commit and every write of bytes to a socket, TLS or not."""
    commit = SqliteJournal._commit

    def committing(self: SqliteJournal, batch: Any) -> Any:
        assert SITES is not None
        kinds = [row[1] for rows, *_ in batch for row in rows]
        number = SITES.begin("commit", ",".join(kinds))
        facts = [(kind, SITES.begin(kind)) for kind in kinds]
        entries = commit(self, batch)
        SITES.end("commit", number)
        for kind, count in facts:
            SITES.end(kind, count)
        return entries

    SqliteJournal._commit = committing  # type: ignore[method-assign]
    transport = selector_events._SelectorSocketTransport
    write, writelines = transport.write, transport.writelines

    def writing(self: Any, data: Any) -> None:
        assert SITES is not None
        kind = SITES.kind_of(self)
        number = SITES.begin(kind, ascii(bytes(data[:60]))) if kind else 0
        write(self, data)
        if kind:
            SITES.end(kind, number)

    transport.write = writing
    if "writelines" in vars(transport):  # else it calls write

        def writing_lines(self: Any, pieces: Any) -> None:
            assert SITES is not None
            pieces = list(pieces)
            kind = SITES.kind_of(self)
            number = SITES.begin(kind, ascii(bytes(b"".join(pieces)[:60]))) if kind else 0
            writelines(self, pieces)
            if kind:
                SITES.end(kind, number)

        transport.writelines = writing_lines


def kinds_of(policy: Policy) -> dict[int, str]:
    """Which connection is what, by the peer's port."""
    kinds = {box.port: "imap" for box in policy.mailboxes.values()}
    for path in policy.paths.values():
        match path.via:
            case SmtpPath() as via:
                kinds[via.port] = "smtp"
            case HttpPath() as via:
                kinds[urlsplit(via.url).port or 80] = "http"
    return kinds


async def live(policy: Policy) -> None:
    async with assembled(policy, exclusive=False) as app, app.running(schedule=True):
        while not finished(app):
            await app.journal.wait(app.journal.last)


def finished(app: App) -> bool:
    world = app.desk.world
    planned = any(world.route(route).planned is not None for route in app.desk.policy.routes)
    return planned and not world.probes and not world.leftovers


def warm_up(config: str) -> None:
    """What `mailcanary run` does first; here once for all lives, because compiling the templates is half of the work of a short one."""
    for path in load(Path(config), SystemSecrets()).policy.paths.values():
        rehearse(path)


def be_a_daemon(job: dict[str, Any], clock: int) -> None:
    global SITES  # noqa: PLW0603 - one life, one process
    policy = load(Path(job["config"]), SystemSecrets()).policy
    SITES = Sites(job["trace"], job["kill"], kinds_of(policy), (job["lifetime"][0], clock) if job["lifetime"] else None)
    asyncio.run(live(policy))


def fork(job: dict[str, Any], clock: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        be_a_daemon(job, clock)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class Nursery:
    def __init__(self) -> None:
        self._children: dict[int, tuple[dict[str, Any], float]] = {}  # pid -> job, and when it is killed
        self._unread = b""
        self._warm = False
        self._wake, end = os.pipe()
        os.set_blocking(end, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        self._clock, self._clock_end = os.pipe()

    def run(self) -> None:
        open_ = True
        while open_ or self._children:
            now = time.monotonic()
            soonest = min((due for _, due in self._children.values()), default=now + 3600.0)
            ready, _, _ = select.select([self._wake, self._clock, *([0] if open_ else [])], [], [], max(0.0, soonest - now))
            if self._wake in ready:
                os.read(self._wake, 4096)
            if self._clock in ready:
                self._start_clocks()
            if 0 in ready:
                open_ = self._read()
            self._kill_due()
            self._reap()

    def _read(self) -> bool:
        data = os.read(0, 65536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            job = json.loads(line)
            if not self._warm:
                self._warm = True
                warm_up(job["config"])
            self._children[fork(job, self._clock_end)] = (job, time.monotonic() + job["deadline"])
        if not data:
            for pid in self._children:
                os.kill(pid, signal.SIGKILL)
        return bool(data)

    def _start_clocks(self) -> None:
        for word in os.read(self._clock, 4096).split():  # whole words: a write to a pipe this short is not torn
            if (pid := int(word)) in self._children:
                job, _ = self._children[pid]
                job["ripe"] = True
                self._children[pid] = (job, time.monotonic() + job["lifetime"][1])

    def _kill_due(self) -> None:
        now = time.monotonic()
        for pid, (job, due) in self._children.items():
            if due <= now:
                job["stuck"] = not job.get("ripe")
                os.kill(pid, signal.SIGKILL)
                self._children[pid] = (job, now + 3600.0)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            job, _ = self._children.pop(pid)
            code = STUCK if job.get("stuck") else os.waitstatus_to_exitcode(status)
            os.write(1, json.dumps({"id": job["id"], "status": code}).encode() + b"\n")


if __name__ == "__main__":
    hook()
    gc.collect()
    gc.freeze()
    Nursery().run()
