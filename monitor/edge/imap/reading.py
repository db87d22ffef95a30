"""Opening a folder, finding messages in it, fetching their beginnings: EXAMINE and BODY.PEEK only (RFC 3501 sections 6.3.2, 6.4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from monitor.edge.imap import answers
from monitor.edge.imap.answers import MAX_UID, Fetched
from monitor.edge.imap.connection import Connection
from monitor.edge.imap.login import temporary
from monitor.edge.imap.stream import Malformed, string
from monitor.model.mail import BlindCause, Copy, Folder

BATCH = 20  # messages of one look, and of one FETCH
WINDOW = 64 * 1024  # of each message in the first round trip
MAX_RAW = 512 * 1024  # of one message in all, whatever its size
MAX_LOOK = 2 * 1024 * 1024  # of all messages of one look, except that the first is always read

_CHUNK = 100  # UIDs in one command line
_SEARCH = frozenset({b"SEARCH", b"ESEARCH"})
_FETCH = frozenset({b"FETCH"})


@dataclass(frozen=True, slots=True)
class Opened:
    """What EXAMINE or SELECT says of a folder. Some servers keep UIDNEXT to themselves."""

    uidvalidity: int
    uidnext: int | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class Harvest:
    """The messages that one FETCH brought, and whether some response could not be read."""

    messages: dict[int, Fetched]
    unreadable: bool


async def open_folder(connection: Connection, folder: Folder, verb: str = "EXAMINE") -> Opened:
    """EXAMINE or SELECT. The connection's counters start anew."""
    name = answers.wire(folder)
    connection.selected = None
    reply = await connection.run(verb, string(name), selects=True)
    if not reply.ok:
        where = f"{verb} of the folder {answers.words(folder.name)}"
        if temporary(reply):
            raise connection.refused(reply, where, BlindCause.PROTOCOL, "the watch tries again")
        raise connection.refused(reply, where, BlindCause.FOLDER_MISSING, "was the folder removed? the watch lists the folders anew")
    uidvalidity = _whole(reply.codes.get(b"UIDVALIDITY"))
    if uidvalidity is None:
        raise connection.error(BlindCause.PROTOCOL, f"the server names no UIDVALIDITY for the folder {answers.words(folder.name)}")
    connection.selected = name
    return Opened(uidvalidity, _whole(reply.codes.get(b"UIDNEXT")), reply.code == b"READ-ONLY")


async def search(connection: Connection, *criteria: bytes) -> list[int]:
    """UID SEARCH, ascending. No CHARSET: all our criteria are ASCII and some servers refuse one (trap 18)."""
    reply = await connection.run("UID SEARCH", *criteria, collect=_SEARCH)
    if not reply.ok:  # trap 19: the status text is not a result
        raise connection.refused(reply, "UID SEARCH")
    try:
        return answers.uids(reply.responses)
    except Malformed as error:
        raise _surprise(connection, error) from error


async def which(connection: Connection, uids: Iterable[int]) -> list[int]:
    """Those of `uids` that are in the open folder, ascending."""
    found: list[int] = []
    for chunk in chunks(uids):
        found += sorted(set(chunk) & set(await search(connection, b"UID", uid_set(chunk))))
    return found


async def next_uid(connection: Connection) -> int:
    """UIDNEXT for a server that does not tell it: one above the last message."""
    if not connection.exists:
        return 1
    harvest = await _fetch(connection, b"*", b"(UID)")
    return max(harvest.messages, default=0) + 1


async def fetch_from(connection: Connection, first: int) -> dict[int, Fetched]:
    """All messages with uid >= first; only for when they are known to be few. n:* names the last message even below n."""
    if first > MAX_UID:
        return {}
    harvest = await _fetch(connection, b"%d:*" % first, _items(0, WINDOW))
    if harvest.unreadable:  # which one could not be read? Ask for them by name, or mail would pass unseen
        return await fetch_these(connection, (await search(connection, b"UID", b"%d:*" % first))[:BATCH], first)
    return {uid: message for uid, message in harvest.messages.items() if uid >= first}


async def fetch_these(connection: Connection, uids: Sequence[int], first: int = 1) -> dict[int, Fetched]:
    """These messages with uid >= first, without those that vanished meanwhile."""
    wanted = [uid for uid in uids if uid >= first]
    if not wanted:
        return {}
    harvest = await _fetch(connection, uid_set(wanted), _items(0, WINDOW))
    found = {uid: harvest.messages[uid] for uid in wanted if uid in harvest.messages}
    missing = [uid for uid in wanted if uid not in found]
    if missing and harvest.unreadable and await search(connection, b"UID", uid_set(missing)):
        raise connection.error(BlindCause.PROTOCOL, "the server sent a FETCH response that cannot be read, and the message is still there")
    return found


async def copies(connection: Connection, folder: Folder, uidvalidity: int, messages: dict[int, Fetched]) -> tuple[list[Copy], bool]:
    """The messages as copies, large ones read on up to MAX_RAW; and whether the bound of a look cut some off."""
    made: list[Copy] = []
    room = MAX_LOOK
    for uid in sorted(messages):
        message = messages[uid]
        raw = (message.body or b"")[:MAX_RAW]
        if made and room < len(raw):
            return made, True
        if len(raw) == WINDOW and (message.size is None or message.size > WINDOW):
            if made and room < MAX_RAW:
                return made, True
            raw += await _rest(connection, uid)
        room -= len(raw)
        made.append(Copy(folder, uidvalidity, uid, _size(message, raw), message.internaldate, raw))
    return made, False


async def _rest(connection: Connection, uid: int) -> bytes:
    """What follows the first window; empty when the message vanished."""
    message = (await _fetch(connection, b"%d" % uid, _items(WINDOW, MAX_RAW - WINDOW))).messages.get(uid)
    if message is None or not message.body:
        return b""
    if message.origin is None:  # the server ignored the part and sent the whole
        return message.body[WINDOW:MAX_RAW]
    return message.body[: MAX_RAW - WINDOW] if message.origin == WINDOW else b""


def _size(message: Fetched, raw: bytes) -> int:
    """The message's size. An answer shorter than we asked for is all there is, whatever RFC822.SIZE estimated (RFC 3501 section 6.4.5)."""
    if raw and len(raw) < MAX_RAW and len(raw) != WINDOW:
        return len(raw)
    stated = message.size or 0
    return stated if stated > len(raw) else len(raw) + (len(raw) >= MAX_RAW and message.size is None)


def _items(origin: int, count: int) -> bytes:
    if origin:
        return b"(UID BODY.PEEK[]<%d.%d>)" % (origin, count)
    return b"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.%d>)" % count


async def _fetch(connection: Connection, uids: bytes, items: bytes) -> Harvest:
    reply = await connection.run("UID FETCH", uids, items, collect=_FETCH)
    if not reply.ok and reply.code != b"EXPUNGEISSUED":  # RFC 5530: some vanished, the others are here
        raise connection.refused(reply, "UID FETCH", mend="the watch tries again; some providers limit the bytes of a day")
    messages: dict[int, Fetched] = {}
    unreadable = False
    for response in reply.responses:
        try:
            message = answers.fetched(response)
        except Malformed:
            unreadable = True
            continue
        if message.uid is None:
            if message.body is not None:
                raise connection.error(BlindCause.PROTOCOL, "a FETCH response brings a message without its UID")
        elif message.uid in messages:
            messages[message.uid].add(message)
        elif message.exists or items == b"(UID)":
            messages[message.uid] = message
    return Harvest(messages, unreadable)


def chunks(uids: Iterable[int]) -> Iterator[list[int]]:
    """The UIDs, ascending and each once, in pieces that fit into a command line (RFC 7162 section 4: 8,192 octets)."""
    wanted = sorted({uid for uid in uids if 0 < uid <= MAX_UID})
    for start in range(0, len(wanted), _CHUNK):
        yield wanted[start : start + _CHUNK]


def uid_set(uids: Sequence[int]) -> bytes:
    """A sequence set of exactly these UIDs."""
    return b",".join(b"%d" % uid for uid in uids)


def _whole(digits: bytes | None) -> int | None:
    number = int(digits) if digits is not None and digits.isdigit() and len(digits) <= 10 else 0
    return number or None


def _surprise(connection: Connection, error: Malformed) -> Exception:
    return connection.error(BlindCause.PROTOCOL, f"the server sent {error}")
