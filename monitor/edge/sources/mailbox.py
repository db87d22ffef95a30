"""A mailbox that gets a copy of every confirmation (Bcc, always_bcc, journaling)."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ssl import SSLContext

from monitor.edge.imap import ImapMailbox
from monitor.model.instant import Instant
from monitor.model.ledger import Mails, Portion
from monitor.model.mail import BlindCause, Folder, Look, Mark
from monitor.model.policy import FolderNames, WatchPolicy
from monitor.model.sources import MailboxSource
from monitor.ports import Clock, Mailbox, MailboxError, Secrets, SourceError

# what the owner fills, and views of mail that lies elsewhere too (RFC 6154 section 2)
_NOT_JOURNAL = frozenset({"\\all", "\\important", "\\flagged", "\\trash", "\\sent", "\\drafts"})
_PERMANENT = frozenset({BlindCause.AUTH_REFUSED, BlindCause.MISCONFIGURED, BlindCause.TLS})
_PREFIXES = ("inbox.", "inbox/")  # of servers that keep all folders below INBOX


@dataclass(frozen=True, slots=True)
class _Position:
    """`marks`: by the wire name of the folder. `since`: when the last round that found something began, at first the first one; a folder
    that is new, or has another UIDVALIDITY, is read from the day before on."""

    since: float | None = None
    marks: dict[str, Mark] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> _Position:
        """The beginning for what is empty or none of ours: reading again changes nothing."""
        try:
            found = json.loads(text)
            marks = {str(wire): Mark(int(validity), int(uid)) for wire, (validity, uid) in found["marks"].items()}
            return cls(float(found["since"]), marks)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
            return cls()

    def __str__(self) -> str:
        marks = {wire: (mark.uidvalidity, mark.next_uid) for wire, mark in self.marks.items()}
        return json.dumps({"since": self.since, "marks": marks}, separators=(",", ":"))


@dataclass(slots=True)
class _Round:
    """One look at every folder. `at`: the position at which it goes on; another one begins another round."""

    began: float
    marks: dict[str, Mark]  # at its beginning
    folders: tuple[Folder, ...]
    left: deque[Folder]
    at: str = ""


class JournalMailbox:
    """Implements ports.LedgerSource over ports.Mailbox; EXAMINE and BODY.PEEK only. Its first read begins with the day before. One
    connection is kept between reads. A portion is one look, bounded in messages and bytes (edge.imap.reading)."""

    def __init__(
        self, source: MailboxSource, watch: WatchPolicy, secrets: Secrets, tls: Callable[[str | None], SSLContext], clock: Clock
    ) -> None:
        self._policy = source.mailbox
        self._clock = clock
        self._mailbox: Mailbox = ImapMailbox(source.mailbox, watch, secrets, tls, clock)
        self._connected = False
        self._round: _Round | None = None

    async def read(self, position: str, deadline: float) -> Portion:
        """Empty folders are passed over; when half of the time is over, an empty portion says that there is more."""
        try:
            async with asyncio.timeout(deadline):
                return await self._read(position, self._clock.now().plus(deadline / 2))
        except MailboxError as error:
            await self._disconnect()
            raise SourceError(f"{self._where}: {error}", error.mend or "look at the mail server", error.cause not in _PERMANENT) from None
        except TimeoutError:
            await self._disconnect()
            raise SourceError(f"{self._where}: no answer within {deadline:g} s", "look at the mail server") from None
        except asyncio.CancelledError:
            self._connected = False  # the mailbox has dropped its connection
            self._round = None
            raise

    async def close(self) -> None:
        await self._disconnect()

    @property
    def _where(self) -> str:
        return f"the mailbox {self._policy.name} at {self._policy.host}:{self._policy.port}"

    async def _disconnect(self) -> None:
        self._connected = False
        self._round = None
        await self._mailbox.close()

    # --- one read ---------------------------------------------------------------------------------------------------------------

    async def _read(self, text: str, enough: Instant) -> Portion:
        position = _Position.parse(text)
        current = await self._begun(text, position)
        began = current.began if position.since is None else position.since
        position = _Position(began, dict(position.marks))
        since = replace(self._clock.now(), utc=began)
        origin = "INBOX"
        while current.left:
            folder = current.left[0]
            look = await self._mailbox.look(folder, position.marks.get(folder.wire), since)
            position.marks[folder.wire] = look.mark
            if not look.more:
                current.left.popleft()
            if look.copies:
                return self._portion(current, folder.name, look, position)
            if self._clock.now().reached(enough):
                break
            origin = folder.name
        return self._portion(current, origin, None, position)

    def _portion(self, current: _Round, origin: str, look: Look | None, position: _Position) -> Portion:
        more = bool(current.left)
        if more:
            current.at = str(position)
        else:
            self._round = None
            there = {folder.wire for folder in current.folders}
            marks = {wire: mark for wire, mark in position.marks.items() if wire in there}
            position = _Position(position.since if marks == current.marks else current.began, marks)
        return Portion(origin, Mails(look.copies if look else ()), str(position), more, None if more else current.began)

    async def _begun(self, text: str, position: _Position) -> _Round:
        """The round under way if it goes on at this position, or a new one."""
        if self._round is not None and self._connected and self._round.at == text:
            return self._round
        began = self._clock.now().utc
        folders = await (self._mailbox.folders() if self._connected else self._mailbox.open())
        self._connected = True
        kept = tuple(folder for folder in folders if _is_read(folder, self._policy.folders))
        self._round = _Round(began, position.marks, kept, deque(kept))
        return self._round


def _is_read(folder: Folder, names: FolderNames) -> bool:
    """INBOX and every other folder, the one of spam too, but those that the owner fills and those that the configuration ignores."""
    name = folder.name.casefold()
    if name == "inbox":
        return True
    bare = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
    ignored = {ignored.casefold() for ignored in names.ignore}
    return not (folder.attributes & _NOT_JOURNAL or {name, bare} & ignored)
