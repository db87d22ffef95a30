"""A journal read from outside, a live daemon's too: nothing is locked, nothing is written, no file is made beside it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from monitor.edge.journal.codec import SCHEMA, decode_fact
from monitor.edge.journal.place import JournalError
from monitor.model.facts import Entry

PAGE = 1000  # facts in one short transaction: a long one would keep the daemon's write-ahead log from being emptied


def read_only(path: Path) -> Iterator[Entry]:
    """All facts that the file holds now, in order. Raises JournalError, also in the middle: a damaged journal gives no half answer."""
    settled = not path.with_name(
        f"{path.name}-wal"
    ).exists()  # a daemon that ended well leaves no log, and nothing to be made for reading it
    before = _stamp(path)
    try:
        with contextlib.closing(_open(path, settled)) as db:
            last, schema = db.execute("SELECT coalesce(max(seq), 0), coalesce(max(schema), 0) FROM facts").fetchone()
            if schema > SCHEMA:
                newer = f"written by a newer mailcanary (journal schema {schema}, this one knows {SCHEMA})"
                raise JournalError(f"{path}: {newer}; replay it with the newer image")
            after = 0
            while page := _page(db, after, last):
                yield from page
                after = page[-1].seq
    except (sqlite3.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise JournalError(f"{path}: is no journal that can be read ({reason}); name the state directory, or take a backup of it") from None
    if settled and _stamp(path) != before:
        raise JournalError(f"{path}: a daemon began to write it meanwhile; call again")


def count(path: Path) -> int:
    """About how many facts there are to read; 0 where that cannot be told."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open(path, _settled(path))) as db:
        return int(db.execute("SELECT count(*) FROM facts").fetchone()[0])
    return 0


def _settled(path: Path) -> bool:
    """A daemon that ended well leaves no log; then SQLite is told that nobody writes, and makes no files of its own."""
    return not path.with_name(f"{path.name}-wal").exists()


def _open(path: Path, settled: bool) -> sqlite3.Connection:
    where = f"file:{quote(str(path.absolute()))}?mode=ro" + ("&immutable=1" if settled else "")
    return sqlite3.connect(where, uri=True, isolation_level=None, timeout=5.0)


def _page(db: sqlite3.Connection, after: int, last: int) -> list[Entry]:
    rows = db.execute("SELECT seq, kind, body FROM facts WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, last, PAGE))
    return [Entry(seq, kind, decode_fact(kind, body)) for seq, kind, body in rows]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror}); name a state directory or its journal.sqlite3") from None
    return found.st_mtime_ns, found.st_size
