"""What leaves the journal, in small steps: the daemon never stops for it."""

from __future__ import annotations

import sqlite3

from monitor.model.policy import RetentionPolicy

STEP = 200  # probes, or rows, in one call
# what only the views needed; a mark that is gone means that a folder is read again from the oldest open probe on
_FLEETING = ("looked", "scanned", "foreign", "clock_jumped", "watch_blind", "watch_restored", "started")

_PASSED = """
SELECT key FROM facts AS f WHERE kind = 'judged' AND at < :before AND json_extract(CAST(body AS TEXT), '$.revision') = 0
  AND EXISTS (SELECT 1 FROM facts AS c WHERE c.key = f.key AND c.kind = 'closed')
  AND NOT EXISTS (SELECT 1 FROM facts AS g WHERE g.key = f.key AND g.kind = 'judged'
                  AND json_extract(CAST(g.body AS TEXT), '$.verdict') <> 'pass')
ORDER BY at LIMIT :step"""
_ENDED = "SELECT key FROM facts WHERE kind IN ('closed', 'withdrawn') AND at < :before ORDER BY at LIMIT :step"


def retire(db: sqlite3.Connection, policy: RetentionPolicy, now: float) -> int:
    """One step: passes past their time, anything past the time of failures, then, while the file is over its cap, the oldest passes, and
    when there are none the oldest of what only the views needed: a flood of forged mail must not fill the disk.

    A probe that is still watched (not closed) is never retired. Returns how many facts were deleted.
    """
    gone = _delete_probes(db, _PASSED, now - policy.passes)
    gone += _delete_probes(db, _ENDED, now - policy.failures)
    gone += _delete_kinds(db, _FLEETING, now - policy.passes)
    gone += _delete_kinds(db, ("stray",), now - policy.failures)
    if size(db) > policy.max_bytes:
        gone += _delete_probes(db, _PASSED, now) or _delete_kinds(db, _FLEETING, now)
    if gone:
        db.executescript("PRAGMA incremental_vacuum(256)")  # execute() would step it once: one page
    return gone


def size(db: sqlite3.Connection) -> int:
    """Bytes in use by the database, free pages not counted."""
    pages, free, page = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * page)


def _delete_kinds(db: sqlite3.Connection, kinds: tuple[str, ...], before: float) -> int:
    marks = ", ".join("?" * len(kinds))
    query = f"DELETE FROM facts WHERE seq IN (SELECT seq FROM facts WHERE kind IN ({marks}) AND at < ? ORDER BY seq LIMIT ?)"  # noqa: S608 - only marks
    return db.execute(query, (*kinds, before, STEP * 10)).rowcount


def _delete_probes(db: sqlite3.Connection, query: str, before: float) -> int:
    keys = [row[0] for row in db.execute(query, {"before": before, "step": STEP})]
    if not keys:
        return 0
    marks = ", ".join("?" * len(keys))
    return db.execute(f"DELETE FROM facts WHERE key IN ({marks})", keys).rowcount  # noqa: S608 - only marks
