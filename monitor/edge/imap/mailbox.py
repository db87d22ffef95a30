"""The Mailbox port over IMAP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from monitor.edge.imap import answers, reading, removal
from monitor.edge.imap.answers import MAX_UID
from monitor.edge.imap.connection import Connection
from monitor.edge.imap.login import TlsSource, connect
from monitor.edge.imap.stream import Malformed
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Folder, Look, Mark
from monitor.model.policy import MailboxPolicy, WatchPolicy
from monitor.ports import Clock, MailboxError, Secrets

MAX_FOLDERS = 500  # a mailbox with more is refused: what is not looked at cannot be called empty
NOOP_EVERY = 5.0  # seconds between questions to a server without IDLE
LOGOUT_WITHIN = 2.0

_INBOX = Folder("INBOX", "INBOX")
_LIST = frozenset({b"LIST"})
_T = TypeVar("_T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look at INBOX left behind: an announcement is news only beyond it."""

    mark: Mark
    exists: int
    more: bool


class ImapMailbox:
    """One IMAP account over one connection (ports.Mailbox). Not for two tasks at once."""

    __slots__ = (
        "_clock",
        "_connection",
        "_examined_at",
        "_idle_holds",
        "_nudged",
        "_policy",
        "_secrets",
        "_seen",
        "_tls",
        "_wake",
        "_watch",
    )

    def __init__(self, policy: MailboxPolicy, watch: WatchPolicy, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        self._policy = policy
        self._watch = watch
        self._secrets = secrets
        self._tls = tls
        self._clock = clock
        self._connection: Connection | None = None
        self._seen: _Seen | None = None
        self._examined_at: Instant | None = None
        self._idle_holds = True
        self._nudged = False
        self._wake: asyncio.Future[None] | None = None

    # --- the port -----------------------------------------------------------------------------------------------

    async def open(self) -> tuple[Folder, ...]:
        """Connect, log in, list the selectable folders, INBOX first. More than MAX_FOLDERS: MISCONFIGURED."""
        await self.close()
        self._seen = None
        self._examined_at = None
        self._idle_holds = True
        self._connection = await connect(self._policy, self._watch.command_timeout, self._secrets, self._tls)
        return await self._guarded(self._folders(self._connection))

    async def folders(self) -> tuple[Folder, ...]:
        return await self._guarded(self._folders(self._alive()))

    async def look(self, folder: Folder, mark: Mark | None, since: Instant) -> Look:
        """At most BATCH messages and MAX_LOOK bytes; a message costs at most MAX_RAW bytes."""
        return await self._guarded(self._look(self._alive(), folder, mark, since))

    async def idle(self, seconds: float) -> bool:
        """IDLE on INBOX, or NOOP every NOOP_EVERY seconds where IDLE is missing or not held."""
        return await self._guarded(self._idle(self._alive(), seconds))

    def nudge(self) -> None:
        """End a running idle(), or the next one, at once."""
        self._nudged = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if self._connection is not None:
            self._connection.nudge()

    async def present(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        """Those of `uids` that the folder still holds under this UIDVALIDITY."""
        if not uids:
            return ()
        return await self._guarded(self._present(self._alive(), folder, uidvalidity, uids))

    async def remove(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        """Delete exactly these messages; see removal."""
        if not uids:
            return ()
        return await self._guarded(self._remove(self._alive(), folder, uidvalidity, uids))

    async def close(self) -> None:
        """LOGOUT if the server answers at once; never raises, and may be called at any time."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if connection.failure is None:
                with contextlib.suppress(MailboxError, TimeoutError):
                    async with asyncio.timeout(LOGOUT_WITHIN):
                        await connection.run("LOGOUT", patient=True)
        finally:
            connection.drop()
        with contextlib.suppress(TimeoutError):  # the loop tells us that the socket is closed
            async with asyncio.timeout(LOGOUT_WITHIN):
                await asyncio.shield(connection.gone)

    # --- one way out --------------------------------------------------------------------------------------------

    def _alive(self) -> Connection:
        if self._connection is None:
            raise MailboxError(BlindCause.CLOSED, f"{self._policy.host}:{self._policy.port}: not open", "call open() first")
        return self._connection

    async def _guarded(self, work: Awaitable[_T]) -> _T:
        """Whatever goes wrong, or is cancelled in the middle: the connection is never used again (traps 4, 5)."""
        connection = self._connection
        try:
            return await work
        except BaseException as error:
            if connection is not None:
                connection.drop(error if isinstance(error, MailboxError) else None)
            raise

    # --- folders ------------------------------------------------------------------------------------------------

    async def _folders(self, connection: Connection) -> tuple[Folder, ...]:
        known = connection.capabilities
        utf8 = "IMAP4REV1" not in known and "IMAP4REV2" in known
        # RFC 6154 section 2: RETURN needs LIST-EXTENDED; a server that has SPECIAL-USE alone names the uses unasked.
        extended = utf8 or {"SPECIAL-USE", "LIST-EXTENDED"} <= known
        plain = (b'""', b'"*"')
        reply = await connection.run("LIST", *plain, *((b"RETURN (SPECIAL-USE)",) if extended else ()), collect=_LIST)
        if extended and not reply.ok:
            reply = await connection.run("LIST", *plain, collect=_LIST)
        if not reply.ok:
            raise connection.refused(reply, "LIST")
        found: dict[str, Folder] = {"INBOX": _INBOX}  # always there (RFC 3501 section 5.1), even if LIST forgets it
        for response in reply.responses:
            try:
                folder = answers.folder(response, utf8)
            except Malformed as error:
                log.warning("%s: skipped %s", connection.where, error)
                continue
            if folder is not None:
                earlier = found.get(folder.wire)
                found[folder.wire] = folder if earlier is None else Folder(folder.name, folder.wire, folder.attributes | earlier.attributes)
        if len(found) > MAX_FOLDERS:
            raise connection.error(
                BlindCause.MISCONFIGURED,
                f"the account has {len(found)} selectable folders; at most {MAX_FOLDERS} can be watched",
                "use an account of its own for the seed, without shared folders",
            )
        return tuple(found.values())

    # --- looking ------------------------------------------------------------------------------------------------

    async def _look(self, connection: Connection, folder: Folder, mark: Mark | None, since: Instant) -> Look:
        inbox = folder.wire.upper() == _INBOX.wire
        if inbox and mark is not None and self._is_fresh(connection, mark):
            if not connection.arrived:
                await self._noop(connection)  # Gmail tells of new mail only then
            arrived, connection.arrived, connection.changed = connection.arrived, 0, False
            if not arrived:
                return Look(folder, mark, ())
            look = await self._from_mark(connection, folder, mark, arrived, None)
        else:
            if inbox:
                self._examined_at = self._clock.now()
            opened = await reading.open_folder(connection, folder)
            if mark is None or mark.uidvalidity != opened.uidvalidity:
                look = await self._from_date(connection, folder, opened, since)
            elif opened.uidnext is not None and opened.uidnext <= mark.next_uid:
                # Equal: nothing is new. Lower should not be: whatever was restored there must be seen when it grows again.
                look = Look(folder, Mark(opened.uidvalidity, opened.uidnext), ())
            else:
                expected = connection.exists if opened.uidnext is None else opened.uidnext - mark.next_uid
                look = await self._from_mark(connection, folder, mark, expected, opened.uidnext)
        if inbox:
            self._seen = _Seen(look.mark, connection.exists - connection.arrived, look.more)
        return look

    def _is_fresh(self, connection: Connection, mark: Mark) -> bool:
        """Whether INBOX is open and this mark is where we stopped: then NOOP is as good as a new EXAMINE. Not for ever: some servers
        show a folder as it was when it was opened."""
        if connection.selected != b"INBOX" or self._seen is None or self._seen.more or self._seen.mark != mark or self._examined_at is None:
            return False
        return connection.arrived > 0 or self._clock.now().seconds_since(self._examined_at) < self._watch.poll_every

    async def _noop(self, connection: Connection) -> None:
        reply = await connection.run("NOOP")
        if not reply.ok:
            raise connection.refused(reply, "NOOP")

    async def _from_date(self, connection: Connection, folder: Folder, opened: reading.Opened, since: Instant) -> Look:
        day = datetime.fromtimestamp(since.utc, UTC) - timedelta(days=1)  # the server's zone may be another
        uids = await reading.search(connection, b"SINCE", answers.search_date(day))
        return await self._harvest(connection, folder, opened.uidvalidity, 1, uids, opened.uidnext)

    async def _from_mark(self, connection: Connection, folder: Folder, mark: Mark, expected: int, uidnext: int | None) -> Look:
        if mark.next_uid > MAX_UID:
            return Look(folder, mark, ())
        if expected <= reading.BATCH:
            messages = await reading.fetch_from(connection, mark.next_uid)
            if len(messages) <= reading.BATCH:
                return await self._finish(connection, folder, mark, messages, [], uidnext)
        uids = await reading.search(connection, b"UID", b"%d:*" % mark.next_uid)
        return await self._harvest(connection, folder, mark.uidvalidity, mark.next_uid, uids, uidnext)

    async def _harvest(
        self, connection: Connection, folder: Folder, uidvalidity: int, first: int, uids: Sequence[int], uidnext: int | None
    ) -> Look:
        wanted = [uid for uid in uids if uid >= first]
        batch, rest = wanted[: reading.BATCH], wanted[reading.BATCH :]
        messages = await reading.fetch_these(connection, batch)
        if not wanted and uidnext is None and first == 1:
            uidnext = await reading.next_uid(connection)
        after = Mark(uidvalidity, batch[-1] + 1 if batch else first)
        look = await self._finish(connection, folder, Mark(uidvalidity, first), messages, rest, uidnext)
        if look.more and look.copies:
            return look
        return Look(folder, Mark(uidvalidity, max(after.next_uid, look.mark.next_uid)), look.copies, look.more)

    async def _finish(
        self,
        connection: Connection,
        folder: Folder,
        mark: Mark,
        messages: dict[int, answers.Fetched],
        rest: Sequence[int],
        uidnext: int | None,
    ) -> Look:
        """The mark moves only over what was handled: to UIDNEXT when that is all."""
        copies, cut = await reading.copies(connection, folder, mark.uidvalidity, messages)
        handled = copies[-1].uid + 1 if copies else mark.next_uid
        more = cut or bool(rest)
        reached = handled if more or uidnext is None else max(handled, uidnext)
        return Look(folder, Mark(mark.uidvalidity, max(reached, mark.next_uid)), tuple(copies), more)

    # --- waiting ------------------------------------------------------------------------------------------------

    async def _idle(self, connection: Connection, seconds: float) -> bool:
        if connection.selected != b"INBOX":
            await self._return_to_inbox(connection)
        if connection.changed or (self._seen is not None and self._seen.more):
            return True
        if self._nudged:
            self._nudged = False
            return False
        if self._idle_holds and "IDLE" in connection.capabilities:
            announced = await connection.idle(seconds)
            if announced is not None:
                self._nudged = False
                return announced
            self._idle_holds = False
        return await self._poll(connection, seconds)

    async def _return_to_inbox(self, connection: Connection) -> reading.Opened:
        """What came to INBOX while another folder was open was announced to nobody: compare."""
        self._examined_at = self._clock.now()
        opened = await reading.open_folder(connection, _INBOX)
        seen = self._seen
        if seen is None:
            return opened
        if opened.uidvalidity != seen.mark.uidvalidity:
            self._seen = None
            connection.changed = True
        else:
            grown = connection.exists - seen.exists if opened.uidnext is None else opened.uidnext - seen.mark.next_uid
            connection.arrived = max(connection.arrived, grown)
            connection.changed = connection.changed or connection.arrived > 0
        return opened

    async def _poll(self, connection: Connection, seconds: float) -> bool:
        deadline = self._clock.now().plus(seconds)
        while True:
            await self._noop(connection)
            left = deadline.seconds_since(self._clock.now())
            if connection.changed or left <= 0 or self._nudged:
                self._nudged = False
                return connection.changed
            await self._pause(connection, min(NOOP_EVERY, left))

    async def _pause(self, connection: Connection, seconds: float) -> None:
        """A sleep that a nudge and the end of the connection cut short."""
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((sleep, self._wake, connection.gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wake = None
            sleep.cancel()

    async def _present(self, connection: Connection, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        inbox = folder.wire.upper() == _INBOX.wire  # opened so that news since the last look still count
        opened = await (self._return_to_inbox(connection) if inbox else reading.open_folder(connection, folder))
        if opened.uidvalidity != uidvalidity:
            return ()
        return tuple(await reading.which(connection, uids))

    # --- cleaning up --------------------------------------------------------------------------------------------

    async def _remove(self, connection: Connection, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        gone = await removal.remove(connection, folder, uidvalidity, uids)
        if folder.wire.upper() != _INBOX.wire:
            await reading.open_folder(connection, folder)  # read-only again
            return gone
        if self._seen is not None:
            self._seen = replace(self._seen, exists=self._seen.exists - len(gone))
        await self._return_to_inbox(connection)
        return gone
