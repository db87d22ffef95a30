"""Deleting exactly our own messages (RFC 3501 sections 2.3.2, 6.4.3; UIDPLUS, RFC 4315). The only code that uses SELECT."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.edge.imap.connection import Connection
from monitor.edge.imap.reading import chunks, open_folder, search, uid_set, which
from monitor.model.mail import Folder


async def remove(connection: Connection, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
    """Returns those of `uids` that are gone, as a SEARCH afterwards shows. Leaves the folder open for writing: EXAMINE something next."""
    opened = await open_folder(connection, folder, "SELECT")
    gone: list[int] = []
    if opened.uidvalidity == uidvalidity and not opened.read_only:
        for chunk in chunks(uids):
            if not await _expunge(connection, chunk):
                break
            left = set(await which(connection, chunk))
            gone += [uid for uid in chunk if uid not in left]
    return tuple(gone)


async def _expunge(connection: Connection, uids: Sequence[int]) -> bool:
    """Flag and expunge. False when nothing may be done."""
    names = uid_set(uids)
    if connection.capabilities & {"UIDPLUS", "IMAP4REV2"}:
        return await _flag(connection, b"+FLAGS.SILENT", names) and (await connection.run("UID EXPUNGE", names)).ok
    # A bare EXPUNGE takes every message that bears \Deleted, the owner's as well: only if ours are the only ones.
    ours = set(await which(connection, uids))
    before = set(await search(connection, b"DELETED"))
    if before - ours:
        return False
    if not ours:
        return True
    if not await _flag(connection, b"+FLAGS.SILENT", uid_set(sorted(ours))):
        return False
    if set(await search(connection, b"DELETED")) != ours:
        await _flag(connection, b"-FLAGS.SILENT", uid_set(sorted(ours - before)))
        return False
    return (await connection.run("EXPUNGE")).ok


async def _flag(connection: Connection, change: bytes, names: bytes) -> bool:
    return not names or (await connection.run("UID STORE", names, change, b"(\\Deleted)")).ok
