"""The tables of the ledger store, and how its file is opened.

A record is inserted as if all were well with it (state TOLD, FINE): a comparison then writes only about those with which it is not, a
few in a hundred. What was compared is known by two marks, the highest ids of the last time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

VERSION = 1  # raised only when an older image could misread the file
CACHE = 65_536  # KiB of pages in memory at most
CACHE_ONCE = 196_608  # of a store that is gone with its process, which does nothing else meanwhile
SLOT = 300  # seconds; volumes are kept by so much
DAY = 86_400  # seconds

# states of refunds
AWAITED = 0  # no confirmation yet, and not missing yet
TOLD = 1
MISSING = 2
ELSEWHERE = 3  # somebody else was told
SETTLED = 4  # reversed before anybody was told: nothing is owed

# states of confirmations
UNDECIDED = 0  # without a refund, and one may still come
FINE = 1
ACCUSED = 2

_TABLES = f"""
CREATE TABLE sources (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, side TEXT NOT NULL, position TEXT NOT NULL DEFAULT '', memory TEXT NOT NULL DEFAULT '',
  first_read REAL NOT NULL, last_read REAL NOT NULL, read_until REAL, earliest REAL, latest REAL,
  records INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE origins (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (source, name));
CREATE TABLE faults (
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL, origin TEXT NOT NULL, line INTEGER NOT NULL, what TEXT NOT NULL, mend TEXT NOT NULL,
  field TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE days (source INTEGER NOT NULL, day INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (source, day)) WITHOUT ROWID;

CREATE TABLE refunds (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, number TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, at REAL NOT NULL,
  recipient BLOB NOT NULL, provider TEXT NOT NULL, reversed_at REAL, line INTEGER NOT NULL, origin INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT {TOLD});
CREATE UNIQUE INDEX refunds_by_key ON refunds (key, number);
CREATE INDEX refunds_awaited ON refunds (at) WHERE state = {AWAITED};
CREATE TABLE other_recipients (refund INTEGER NOT NULL, recipient BLOB NOT NULL, PRIMARY KEY (refund, recipient)) WITHOUT ROWID;
CREATE TABLE other_amounts (
  refund INTEGER NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, PRIMARY KEY (refund, amount, currency)) WITHOUT ROWID;

CREATE TABLE confirmations (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, identity TEXT NOT NULL, amount INTEGER, currency TEXT NOT NULL, at REAL NOT NULL,
  recipient BLOB NOT NULL, provider TEXT NOT NULL, outcome TEXT NOT NULL, resend INTEGER NOT NULL, line INTEGER NOT NULL,
  origin INTEGER NOT NULL, source INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT {FINE});
CREATE UNIQUE INDEX confirmations_by_key ON confirmations (key, source, identity);
CREATE INDEX confirmations_undecided ON confirmations (at) WHERE state = {UNDECIDED};
CREATE TABLE disputed_amounts (
  confirmation INTEGER NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, PRIMARY KEY (confirmation, amount, currency)
  ) WITHOUT ROWID;

CREATE TABLE refused (key TEXT NOT NULL, side TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (key, side)) WITHOUT ROWID;
CREATE TABLE changed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE differences (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, refund INTEGER, confirmation INTEGER, source TEXT,
  found REAL NOT NULL, settled REAL, note TEXT NOT NULL, at REAL NOT NULL, amount INTEGER, currency TEXT NOT NULL, customer BLOB NOT NULL,
  provider TEXT NOT NULL);
CREATE INDEX differences_open ON differences (key) WHERE settled IS NULL;
CREATE INDEX differences_by_time ON differences (at) WHERE settled IS NULL;
CREATE INDEX differences_by_key ON differences (key);
CREATE TABLE classes (name TEXT PRIMARY KEY, found INTEGER NOT NULL, latest REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE volumes (side TEXT NOT NULL, slot INTEGER NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (side, slot)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""

_BY_TIME = "CREATE INDEX refunds_by_time ON refunds (at)"  # for questions about a time, which nobody asks of a file that is gone at once
_SCRATCH = """
CREATE TEMP TABLE work (place INTEGER PRIMARY KEY, key TEXT NOT NULL);
CREATE TEMP TABLE batch (
  place INTEGER PRIMARY KEY, key TEXT, a TEXT, amount INTEGER, currency TEXT, at REAL, recipient BLOB, provider TEXT, b, c, line INTEGER);
"""


class NewerVersion(sqlite3.DatabaseError):
    """The file was written by a newer version of ours."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the store; None: a file that SQLite has unlinked before it gives it to us. Raises sqlite3.Error and OSError."""
    db = sqlite3.connect(path or "", isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=256)
    try:
        if path is not None:
            path.chmod(0o600)
        _prepare(db, lasting=path is not None)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, lasting: bool) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise NewerVersion(f"it is of version {version}, and this program knows {VERSION}")
    for setting in (f"cache_size=-{CACHE if lasting else CACHE_ONCE}", "temp_store=FILE", "mmap_size=0"):
        db.execute(f"PRAGMA {setting}")
    if lasting:
        db.execute("PRAGMA secure_delete=ON")
        if not version:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only takes hold before the first table
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
    else:
        db.execute("PRAGMA journal_mode=OFF")  # what fails half-way is thrown away
        db.execute("PRAGMA synchronous=OFF")
    if not version:
        db.executescript("BEGIN;" + _TABLES + (_BY_TIME + ";" if lasting else "") + "COMMIT;")
    db.executescript(_SCRATCH)


def meta(db: sqlite3.Connection, name: str) -> float | None:
    found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return found[0] if found else None


def remember(db: sqlite3.Connection, **values: float | None) -> None:
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
