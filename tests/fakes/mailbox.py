"""A Mailbox on an account in memory."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Copy, Folder, Look, Mark
from monitor.ports import MailboxError

BATCH = 20  # messages a look
MAX_RAW = 256 * 1024


@dataclass
class Stored:
    uid: int
    raw: bytes
    internaldate: float
    flags: set[str]


@dataclass
class FakeFolder:
    attributes: frozenset[str] = frozenset()
    uidvalidity: int = 1
    next_uid: int = 1
    arrivals: int = 0
    messages: list[Stored] = field(default_factory=list)


class FakeAccount:
    """The server's side. `trouble` is raised by every call while it is set; `before` runs ahead of every call, to wait or to interfere."""

    def __init__(self, now: Callable[[], float], folders: Iterable[str] = ("INBOX", "Junk", "Archive"), password: str = "right") -> None:
        self.now = now
        self.password = password
        self.folders = {name: FakeFolder(frozenset({"\\junk"} if name == "Junk" else ())) for name in folders}
        self.trouble: MailboxError | None = None
        self.before: Callable[[str], Awaitable[None]] | None = None
        self.calls: list[tuple[float, str]] = []  # (UTC, method)
        self.sessions: set[FakeMailbox] = set()

    def deliver(self, raw: bytes, folder: str = "INBOX", flags: Iterable[str] = (), internaldate: float | None = None) -> int:
        kept = self.folders[folder]
        uid, kept.next_uid = kept.next_uid, kept.next_uid + 1
        kept.messages.append(Stored(uid, raw, self.now() if internaldate is None else internaldate, {flag.lower() for flag in flags}))
        kept.arrivals += 1
        self.ring()
        return uid

    def move(self, uid: int, source: str, target: str) -> int:
        kept = self.folders[source]
        message = next(message for message in kept.messages if message.uid == uid)
        kept.messages.remove(message)
        return self.deliver(message.raw, target, message.flags, message.internaldate)

    def renew_uidvalidity(self, folder: str) -> None:
        kept = self.folders[folder]
        kept.uidvalidity += 1
        kept.next_uid = 1
        for message in kept.messages:
            message.uid, kept.next_uid = kept.next_uid, kept.next_uid + 1

    def cut(self) -> None:
        for session in list(self.sessions):
            session.lost()

    def fail(self, trouble: MailboxError) -> None:
        """Cut, and nothing works until heal()."""
        self.trouble = trouble
        self.cut()

    def heal(self) -> None:
        self.trouble = None

    def ring(self) -> None:
        for session in self.sessions:
            session.ring()


class FakeMailbox:
    def __init__(self, account: FakeAccount, password: str | None = None) -> None:
        self._account = account
        self._password = account.password if password is None else password
        self._open = False
        self._nudged = False
        self._known = 0  # arrivals in INBOX at the last look
        self._wake = asyncio.Event()

    async def open(self) -> tuple[Folder, ...]:
        await self.close()
        await self._pass("open")
        if self._password != self._account.password:
            raise MailboxError(BlindCause.AUTH_REFUSED, "LOGIN: NO [AUTHENTICATIONFAILED] wrong user name or password", "mend the password")
        self._open = True
        self._known = self._account.folders["INBOX"].arrivals
        self._account.sessions.add(self)
        return self._listed()

    async def folders(self) -> tuple[Folder, ...]:
        await self._pass("folders")
        self._need()
        return self._listed()

    async def look(self, folder: Folder, mark: Mark | None, since: Instant) -> Look:
        await self._pass("look")
        kept = self._folder(folder)
        if folder.name == "INBOX":
            self._known = kept.arrivals
        if mark is not None and mark.uidvalidity == kept.uidvalidity:
            wanted = kept.messages[bisect_left(kept.messages, mark.next_uid, key=lambda message: message.uid) :]
        else:
            oldest = datetime.combine(datetime.fromtimestamp(since.utc, UTC).date() - timedelta(days=1), datetime.min.time(), UTC)
            wanted = [message for message in kept.messages if message.internaldate >= oldest.timestamp()]
        shown, more = wanted[:BATCH], len(wanted) > BATCH
        copies = tuple(Copy(folder, kept.uidvalidity, m.uid, len(m.raw), m.internaldate, m.raw[:MAX_RAW]) for m in shown)
        return Look(folder, Mark(kept.uidvalidity, shown[-1].uid + 1 if more else kept.next_uid), copies, more)

    async def idle(self, seconds: float) -> bool:
        await self._pass("idle")
        self._need()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not self._nudged and self._account.folders["INBOX"].arrivals == self._known:
                        self._wake.clear()
                        await self._wake.wait()
                        self._need()
        except asyncio.CancelledError:
            self.lost()
            raise
        if self._account.folders["INBOX"].arrivals != self._known:
            return True
        self._nudged = False
        return False

    def nudge(self) -> None:
        if self._open:
            self._nudged = True
            self._wake.set()

    async def present(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        await self._pass("present")
        kept = self._folder(folder)
        there = {message.uid for message in kept.messages} if kept.uidvalidity == uidvalidity else set()
        return tuple(sorted(there & set(uids)))

    async def remove(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        await self._pass("remove")
        kept = self._folder(folder)
        if kept.uidvalidity != uidvalidity:
            return ()
        kept.messages = [message for message in kept.messages if message.uid not in uids]
        return tuple(sorted(uids))

    async def close(self) -> None:
        self.lost()

    def lost(self) -> None:
        self._open = False
        self._nudged = False
        self._account.sessions.discard(self)
        self._wake.set()

    def ring(self) -> None:
        self._wake.set()

    async def _pass(self, method: str) -> None:
        self._account.calls.append((self._account.now(), method))
        if self._account.before is not None:
            await self._account.before(method)
        if self._account.trouble is not None:
            self.lost()
            raise self._account.trouble

    def _need(self) -> None:
        if not self._open:
            raise MailboxError(BlindCause.CLOSED, "the server closed the connection")

    def _folder(self, folder: Folder) -> FakeFolder:
        self._need()
        if folder.name not in self._account.folders:
            self.lost()
            raise MailboxError(BlindCause.FOLDER_MISSING, f"no folder {folder.name!r}")
        return self._account.folders[folder.name]

    def _listed(self) -> tuple[Folder, ...]:
        names = sorted(self._account.folders, key=lambda name: name != "INBOX")
        return tuple(Folder(name, name, self._account.folders[name].attributes) for name in names)
