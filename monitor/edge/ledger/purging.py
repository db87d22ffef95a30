"""Forgetting. What is deleted is overwritten (PRAGMA secure_delete), given back to the file system in steps, and gone from the WAL too.

Of old records those stay of whose key there is a younger one, and so do their differences: what is left must not look like another one.
What is older goes, settled or not: much of what differs never can settle.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from monitor.edge.ledger.schema import DAY, SLOT, TOLD, meta, remember, transaction
from monitor.model.ledger import Purged
from monitor.ports import LedgerUnreadable

STEP = 20_000  # records in one transaction
PAGES = 2_000  # given back in one step
_BLOCK = 1 << 20

_NO_YOUNGER = """
      AND NOT EXISTS (SELECT 1 FROM refunds r WHERE r.key = t.key AND r.at >= :before)
      AND NOT EXISTS (SELECT 1 FROM confirmations c WHERE c.key = t.key AND c.at >= :before)"""
_OLD_DIFFERENCES = f"DELETE FROM differences AS t WHERE t.at < :before AND (t.settled IS NOT NULL OR (TRUE {_NO_YOUNGER}))"  # noqa: S608
_OLD = f"""
    SELECT t.id FROM {{table}} t WHERE t.id > :last AND t.at < :before {_NO_YOUNGER}
      AND NOT EXISTS (SELECT 1 FROM differences d WHERE d.key = t.key)
    ORDER BY t.id LIMIT :step"""  # noqa: S608
_SIDES = {"refunds": ("other_recipients", "other_amounts"), "confirmations": ("disputed_amounts",)}
_OF = {"refunds": "refund", "confirmations": "confirmation"}
_MARKS = {"refunds": "refund_mark", "confirmations": "confirmation_mark"}  # see schema


def older(db: sqlite3.Connection, before: float) -> Iterator[Purged]:
    """What is older than `before`, a step at a time; each says what it has deleted."""
    with transaction(db):
        remember(db, forgotten=max(before, meta(db, "forgotten") or before))
        gone = db.execute(_OLD_DIFFERENCES, {"before": before}).rowcount
        db.execute("DELETE FROM volumes WHERE slot < CAST(? / ? AS INTEGER)", (before, SLOT))
        db.execute("DELETE FROM days WHERE day < CAST(? / ? AS INTEGER)", (before, DAY))
        db.execute("DELETE FROM faults WHERE at < ?", (before,))
        db.execute("DELETE FROM refused WHERE at < ?", (before,))
    yield Purged(0, 0, gone)
    for table in _SIDES:
        last = 0
        while True:
            with transaction(db):
                last, gone = _delete(db, table, last, before)
            if not gone:
                break
            yield Purged(gone, 0, 0) if table == "refunds" else Purged(0, gone, 0)
    with transaction(db):
        _recount(db)
    yield from _shrink(db)


def _delete(db: sqlite3.Connection, table: str, last: int, before: float) -> tuple[int, int]:
    ids = db.execute(_OLD.format(table=table), {"last": last, "before": before, "step": STEP}).fetchall()
    for other in _SIDES[table]:
        db.executemany(f"DELETE FROM {other} WHERE {_OF[table]} = ?", ids)  # noqa: S608 - names of ours
    db.executemany(f"DELETE FROM {table} WHERE id = ?", ids)  # noqa: S608
    _lower(db, table)
    return (ids[-1][0] if ids else last), len(ids)


def _lower(db: sqlite3.Connection, table: str) -> None:
    """The ids above the newest one that is left are given again, perhaps before the purge is over: those are not compared yet."""
    newest = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]  # noqa: S608 - names of ours
    if (meta(db, _MARKS[table]) or 0) > newest:
        remember(db, **{_MARKS[table]: newest})


def _recount(db: sqlite3.Connection) -> None:
    for table, mark in _MARKS.items():
        counted = db.execute(f"SELECT count(*) FROM {table} WHERE id <= ?", (meta(db, mark) or 0,)).fetchone()[0]  # noqa: S608
        remember(db, **{table: counted})
    told = db.execute("SELECT count(*) FROM refunds WHERE state = ? AND id <= ?", (TOLD, meta(db, _MARKS["refunds"]) or 0)).fetchone()[0]
    remember(db, told=told)
    db.execute("DELETE FROM origins WHERE id NOT IN (SELECT origin FROM refunds) AND id NOT IN (SELECT origin FROM confirmations)")


def person(db: sqlite3.Connection, recipient: bytes) -> Purged:
    """Every trace of one recipient: records and differences stay, and nobody is named in them. Faults go, because they repeat what rows
    said; what readers remember of the recipient goes, or it would come back with the next line."""
    with transaction(db):
        refunds = {row[0] for row in db.execute("SELECT id FROM refunds WHERE recipient = ?", (recipient,))}
        refunds |= {row[0] for row in db.execute("SELECT refund FROM other_recipients WHERE recipient = ?", (recipient,))}
        db.execute("UPDATE refunds SET recipient = x'', provider = '' WHERE recipient = ?", (recipient,))
        db.execute("DELETE FROM other_recipients WHERE recipient = ?", (recipient,))
        mails = db.execute("UPDATE confirmations SET recipient = x'', provider = '' WHERE recipient = ?", (recipient,)).rowcount
        named = db.execute("UPDATE differences SET customer = x'', provider = '' WHERE customer = ?", (recipient,)).rowcount
        spelt = recipient.hex()
        db.execute("UPDATE sources SET memory = replace(memory, ?1, '') WHERE instr(memory, ?1)", (spelt,))
        db.execute("DELETE FROM faults")
    return Purged(len(refunds), mails, named)


def everything(db: sqlite3.Connection, mark: str) -> None:
    """As if it were new, under another mark."""
    tables = [row[0] for row in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    with transaction(db):
        for table in tables:
            db.execute(f"DELETE FROM main.{table}")  # noqa: S608 - names of ours
        db.execute("INSERT INTO meta VALUES ('mark', ?)", (mark,))
    for _ in _shrink(db):
        pass


def overwrite(db: sqlite3.Connection, path: Path, recipient: bytes) -> None:
    """Make sure that the bytes are in no file any more: what moved from page to page may have left a copy behind. Raises LedgerUnreadable
    where somebody who reads the file keeps an old state of it alive."""
    _checkpoint(db)
    if _found(path, recipient):
        db.execute("VACUUM")
        _checkpoint(db)
        if _found(path, recipient):
            raise LedgerUnreadable(
                f"{path}: another process reads the file, and what was forgotten is still in it; end it, and purge again"
            )


def _shrink(db: sqlite3.Connection) -> Iterator[Purged]:
    while db.execute("PRAGMA freelist_count").fetchone()[0]:
        before = db.execute("PRAGMA freelist_count").fetchone()[0]
        db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        yield Purged(0, 0, 0)
        if db.execute("PRAGMA freelist_count").fetchone()[0] >= before:  # a file that cannot shrink
            break
    _checkpoint(db)


def _checkpoint(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _found(path: Path, recipient: bytes) -> bool:
    """In the file or in its write-ahead log, as bytes or spelt out, as readers remember it."""
    files = (path, path.with_name(f"{path.name}-wal"))
    needles = (recipient, recipient.hex().encode())
    return any(_within(file, needles) for file in files if file.exists())


def _within(path: Path, needles: Sequence[bytes]) -> bool:
    longest = max(map(len, needles))
    tail = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            window = tail + block
            if any(needle in window for needle in needles):
                return True
            tail = window[1 - longest :]
    return False
