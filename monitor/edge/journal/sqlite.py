"""The journal on disk: one SQLite table in WAL mode, written by one thread.

Whatever waits is committed together; a batch never waits to be filled. `synchronous=NORMAL` survives a killed process; a batch with a
durable fact is committed with `synchronous=FULL`, which survives a lost machine too (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from monitor.edge.journal import retention
from monitor.edge.journal.codec import SCHEMA, decode_fact, decode_view, encode, key_of, kind_of, shape_of
from monitor.edge.journal.place import JournalError, take
from monitor.edge.journal.tail import Tail
from monitor.model.facts import Entry, Fact
from monitor.model.policy import RetentionPolicy
from monitor.ports import JournalUnwritable

T = TypeVar("T")


class View(Protocol):
    seq: int

    def fold(self, entry: Entry) -> None: ...


V = TypeVar("V", bound=View)

MAX_WAITING = 10_000  # appends in the queue; more and append() raises JournalUnwritable("overloaded")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, schema INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS facts_by_key ON facts (key);
CREATE INDEX IF NOT EXISTS facts_by_kind_at ON facts (kind, at);
CREATE TABLE IF NOT EXISTS snapshots (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, schema INTEGER NOT NULL, body BLOB NOT NULL);
"""


_Row = tuple[Fact, str, str, float, bytes]  # the fact, its kind, key and instant, and its body
_Batch = list[tuple[Sequence[_Row], bool, "asyncio.Future[tuple[Entry, ...]]"]]


class SqliteJournal:
    """Implements ports.Journal."""

    def __init__(self, directory: Path) -> None:
        """Take the lock and open `directory/journal.sqlite3`, making the directory (0700) if need be. Raises JournalError."""
        self.path = directory / "journal.sqlite3"
        self._lock = take(directory)
        self._tail = Tail()
        self._waiting: _Batch = []
        self._sweep = retention.Sweep()
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            self._db = _open(self.path)
            opened = self.path.stat()
            self._identity = (opened.st_dev, opened.st_ino)
            row = self._db.execute("SELECT coalesce(max(seq), 0), coalesce(max(schema), 0) FROM facts").fetchone()
            sequence = self._db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'facts'").fetchone()
        except (sqlite3.Error, OSError) as error:
            self._lock.close()
            raise JournalError(_unreadable(self.path, error)) from None
        except JournalError:
            self._lock.close()
            raise
        if row[1] > SCHEMA:
            self._db.close()
            self._lock.close()
            raise JournalError(
                f"{self.path}: written by a newer mailcanary (journal schema {row[1]}, this one knows {SCHEMA}); "
                "run the newer image, or move the file away to start without history"
            )
        self._tail.start_at(max(row[0], sequence[0]))

    def restore(self, name: str, view: type[V]) -> V:
        """The view as the journal has it: the last snapshot, then the facts after it; every later fact is folded into it too.

        A snapshot of another version's shape is ignored: the facts are the truth. Raises JournalError on a damaged fact.
        """
        try:
            restored = self._snapshot(name, view) or view()
            rows = self._db.execute("SELECT seq, kind, body FROM facts WHERE seq > ? ORDER BY seq", (restored.seq,))
            for seq, kind, body in rows:
                restored.fold(Entry(seq, kind, decode_fact(kind, body)))
        except (sqlite3.Error, ValueError) as error:
            raise JournalError(_unreadable(self.path, error)) from None
        self._tail.fold_into(restored.fold)
        return restored

    def _snapshot(self, name: str, view: type[V]) -> V | None:
        row = self._db.execute("SELECT body, schema FROM snapshots WHERE name = ?", (name,)).fetchone()
        if row is None or row[1] != shape_of(view):
            return None
        try:
            return decode_view(row[0], view)
        except ValueError:
            return None

    # --- ports.Journal -----------------------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        return self._tail.last

    def fold_into(self, fold: Callable[[Entry], None]) -> None:
        """Call `fold` with every later fact, right after its commit and before any reader is woken."""
        self._tail.fold_into(fold)

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        if not facts:
            return ()
        if len(self._waiting) >= MAX_WAITING:
            raise JournalUnwritable(f"{self.path}: {MAX_WAITING} appends are waiting; the disk is too slow")
        # encoded here: a fact that cannot be stored fails at its writer and spoils nobody else's batch
        rows = [(fact, kind_of(fact), key_of(fact), fact.at.utc, encode(fact)) for fact in facts]
        done: asyncio.Future[tuple[Entry, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, durable, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting(), name="journal")
        # shielded: a cancelled stage must not leave a fact committed but not folded
        return await asyncio.shield(done)

    async def read(self, after: int, limit: int = 500) -> tuple[Entry, ...]:
        recent = self._tail.read(after, limit)
        return recent if recent is not None else await self._in_thread(self._read_disk, after, limit)

    async def wait(self, after: int) -> None:
        await self._tail.wait(after)

    # --- upkeep ------------------------------------------------------------------------------------------------------

    async def save_snapshot(self, name: str, view: View) -> None:
        """Store a view with its place. Encoded on the loop, so that it is of one moment. Raises JournalUnwritable."""
        await self._in_thread(self._store_snapshot, name, view.seq, shape_of(type(view)), encode(view))

    async def retire(self, policy: RetentionPolicy, now: float) -> int:
        """Delete a bounded step of what is past its retention; returns how many facts went. 0: nothing left to do.

        Raises JournalUnwritable: even deleting needs space for the log of it.
        """
        return await self._in_thread(self._retire, policy, now)

    async def size(self) -> int:
        """Bytes in use. Raises JournalUnwritable when the file cannot be read any more."""
        return await self._in_thread(self._size)

    async def verify(self) -> None:
        """Is what we write still what a restart would read? Raises JournalError when the file is gone, another, or damaged: SQLite goes on
        in its cache and in a deleted file without a word."""
        await self._in_thread(self._verify, self._tail.last)

    async def close(self) -> None:
        """Let the queue run empty, checkpoint, release the lock."""
        if self._writing is not None:
            await self._writing
        await self._in_thread(self._db.close)
        self._thread.shutdown()
        self._lock.close()

    # --- the writer --------------------------------------------------------------------------------------------------

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                entries = await self._in_thread(self._commit, batch)
                self._tail.push([entry for group in entries for entry in group])
            except Exception as error:  # a fold that fails is a bug: it must end the daemon, not leave its appenders waiting
                for _, _, done in batch:
                    if not done.done():
                        done.set_exception(error)
                        done.exception()  # retrieved here: its waiter may be gone
                continue
            for (_, _, done), group in zip(batch, entries, strict=True):
                if not done.done():
                    done.set_result(group)

    def _commit(self, batch: _Batch) -> list[tuple[Entry, ...]]:
        entries: list[tuple[Entry, ...]] = []
        seq = self._tail.last
        db = self._db
        full = any(durable for _, durable, _ in batch)
        try:
            db.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            for rows, _, _ in batch:
                group = []
                for fact, kind, key, at, body in rows:
                    seq += 1
                    db.execute(
                        "INSERT INTO facts (seq, kind, key, at, schema, body) VALUES (?, ?, ?, ?, ?, ?)",
                        (seq, kind, key, at, SCHEMA, body),
                    )
                    group.append(Entry(seq, kind, fact))
                entries.append(tuple(group))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise JournalUnwritable(f"{self.path}: {error}; free disk space or make it writable, submitting stops until then") from None
        return entries

    def _read_disk(self, after: int, limit: int) -> tuple[Entry, ...]:
        rows = self._db.execute("SELECT seq, kind, body FROM facts WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return tuple(Entry(seq, kind, decode_fact(kind, body)) for seq, kind, body in rows)

    def _store_snapshot(self, name: str, seq: int, shape: int, body: bytes) -> None:
        try:
            self._db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)", (name, seq, shape, body))
        except sqlite3.Error as error:
            raise JournalUnwritable(f"{self.path}: {error}") from None

    def _retire(self, policy: RetentionPolicy, now: float) -> int:
        try:
            return retention.retire(self._db, policy, now, self._sweep)
        except sqlite3.Error as error:
            raise JournalUnwritable(f"{self.path}: {error}") from None

    def _verify(self, last: int) -> None:
        try:
            found = self.path.stat()
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal is gone while it is in use ({error.strerror}); restore it, or start without it"
            ) from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise JournalError(
                f"{self.path}: another file has taken the journal's place while it was in use; restart with the one that is right"
            )
        try:
            with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                row = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'facts'").fetchone()
        except sqlite3.OperationalError:  # busy, or no file descriptor is left: says nothing about the file
            return
        except sqlite3.DatabaseError as error:
            raise JournalError(_unreadable(self.path, error)) from None
        if row[0] < last:
            raise JournalError(_unreadable(self.path, f"fact {last} was committed, and {row[0]} is the last that can be read"))

    def _size(self) -> int:
        try:
            return retention.size(self._db)
        except sqlite3.Error as error:
            raise JournalUnwritable(f"{self.path}: {error}") from None

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments))


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        path.chmod(0o600)
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only takes hold before the first table
        db.execute("PRAGMA journal_mode=WAL")
        check = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check == "ok":
            db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    if check != "ok":
        db.close()
        raise JournalError(_unreadable(path, check))
    return db


def _unreadable(path: Path, why: object) -> str:
    reason = " ".join(str(why).split())  # SQLite's own findings have several lines
    return f"{path}: the journal cannot be read ({reason}); restore it from a backup, or move it away to start without history"
