"""ports.Ledger on SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from monitor.edge.ledger import answers, comparing, purging, taking
from monitor.edge.ledger.answers import Undecided
from monitor.edge.ledger.schema import SLOT, NewerVersion, connect, transaction
from monitor.model.ledger import (
    ClassStanding,
    Impact,
    Page,
    Purge,
    Purged,
    Slice,
    SourceStanding,
    Standing,
    Taken,
    Taking,
    Wanted,
    Windows,
)
from monitor.ports import LedgerUnreadable

T = TypeVar("T")


class SqliteLedger:
    """Implements ports.Ledger. Opens `path` at its first use, in a thread of its own; None: a file that nobody else can see and that is
    gone with the process. After an error it is opened anew with the next call; without a path it stays unusable, because what was in it
    is lost."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._lost = ""  # why a store without a path is unusable
        self._classes: tuple[ClassStanding, ...] | None = None  # as they stand; None: to be added up again
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._closed = False

    async def begin(self, mark: str) -> bool:
        def mark_it(db: sqlite3.Connection) -> bool:
            kept = db.execute("SELECT value FROM meta WHERE name = 'mark'").fetchone()
            if kept is None:
                db.execute("INSERT INTO meta VALUES ('mark', ?)", (mark,))
            elif kept[0] != mark:
                purging.everything(db, mark)
                self._classes = None
                return True
            return False

        return await self._run(mark_it)

    async def reached(self, source: str) -> tuple[str, str]:
        def read(db: sqlite3.Connection) -> tuple[str, str]:
            return db.execute("SELECT position, memory FROM sources WHERE name = ?", (source,)).fetchone() or ("", "")

        return await self._run(read)

    async def take(self, portion: Taking) -> Taken:
        def write(db: sqlite3.Connection) -> Taken:
            with transaction(db):
                return taking.take(db, portion)

        return await self._run(write)

    async def reconcile(self, windows: Windows, now: float) -> Standing:
        def compare(db: sqlite3.Connection) -> Standing:
            with transaction(db):
                changed = comparing.reconcile(db, windows, now)
            if changed:
                self._classes = None
            return self._standing(db)

        return await self._run(compare)

    async def standing(self) -> Standing:
        return await self._run(self._standing)

    async def undecided(self, windows: Windows) -> Undecided:
        """What the latest comparison, of these windows, left open."""
        return await self._run(lambda db: answers.undecided(db, comparing.bounds_of(db, windows)))

    async def differences(self, wanted: Wanted) -> Page:
        return await self._run(lambda db: answers.differences(db, wanted))

    async def impact(self, since: float, until: float, provider: str = "") -> Impact:
        return await self._run(lambda db: answers.impact(db, since, until, provider))

    async def volume(self, since: float, slice_seconds: float) -> tuple[Slice, ...]:
        """`slice_seconds`: a multiple of 300; at most 100,000 slices, the latest."""
        if slice_seconds <= 0 or slice_seconds % SLOT:
            raise ValueError(f"volumes are kept by {SLOT} seconds, and slices of {slice_seconds:g} cut through them")
        return await self._run(lambda db: answers.volume(db, since, slice_seconds))

    async def sources(self) -> tuple[SourceStanding, ...]:
        return await self._run(answers.sources)

    async def purge(self, purge: Purge) -> Purged:
        """In steps, between which others get their turn. What was deleted before an error stays deleted."""
        total = Purged(0, 0, 0)
        if purge.recipient:
            total = await self._run(lambda db: purging.person(db, purge.recipient))
            if self._path is not None:
                path = self._path
                await self._run(lambda db: purging.overwrite(db, path, purge.recipient))
        if purge.before is not None:
            before = purge.before
            opened, steps = await self._run(lambda db: (db, purging.older(db, before)))
            while (step := await self._run(lambda db: self._step(db, opened, steps))) is not None:
                total = Purged(*(one + other for one, other in zip(_counts(total), _counts(step), strict=True)))
        self._classes = None
        return total

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
            self._thread.shutdown()

    # --- in the thread ------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise LedgerUnreadable(f"{self._name}: is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._opened())
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError, ArithmeticError, ValueError, TypeError):
            if self._path is None:  # what was half done cannot be taken back there
                self._lost = f"{self._name}: what it was given last could not be kept; begin again"
                self._shut()
            raise  # a bug, which no mend of the file would help
        except (sqlite3.Error, OSError) as error:
            self._shut()
            told = f"{self._name}: the ledger store cannot be used ({' '.join(str(error).split())}); {_mend(error, self._path)}"
            self._lost = told if self._path is None else ""
            raise LedgerUnreadable(told) from None

    def _opened(self) -> sqlite3.Connection:
        if self._lost:
            raise LedgerUnreadable(self._lost)
        if self._db is not None and self._path is not None and _identity(self._path) != self._identity:
            self._shut()
            raise LedgerUnreadable(
                f"{self._path}: the ledger store is gone, or another file has taken its place, while it was in use; "
                "put it back, or leave it: a new one is begun and filled from its sources"
            )
        if self._db is None:
            self._db = connect(self._path)
            self._identity = _identity(self._path) if self._path is not None else (0, 0)
        return self._db

    def _shut(self) -> None:
        self._classes = None
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _standing(self, db: sqlite3.Connection) -> Standing:
        if self._classes is None:
            self._classes = answers.classes(db)
        return answers.standing(db, self._classes)

    def _step(self, db: sqlite3.Connection, opened: sqlite3.Connection, steps: Iterator[Purged]) -> Purged | None:
        if db is not opened:
            raise LedgerUnreadable(f"{self._name}: was opened anew during a purge; purge again")
        return next(steps, None)

    @property
    def _name(self) -> str:
        return str(self._path) if self._path is not None else "the temporary ledger store"


def _counts(purged: Purged) -> tuple[int, int, int]:
    return purged.refunds, purged.confirmations, purged.differences


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino


def _mend(error: Exception, path: Path | None) -> str:
    if isinstance(error, NewerVersion):
        return "run the version that wrote it, or move it away: a new one is filled from its sources"
    text = str(error)
    if "full" in text or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
        return "free disk space" if path is not None else "free disk space there, or let TMPDIR name another directory"
    if "locked" in text:
        return "stop the other process that uses it"
    if "malformed" in text or "not a database" in text:
        return "restore it from a backup, or move it away: a new one is filled from its sources"
    return "make it readable and writable for us, in a local directory"
