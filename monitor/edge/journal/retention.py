"""What leaves the journal, in small steps: the daemon never stops for it.

Nothing leaves that something kept rests on: the evidence of a verdict that is no pass, the facts behind an open incident, the probes of a
gate, and what people have not been told yet.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from monitor.model.policy import RetentionPolicy

STEP = 200  # probes, or rows, in one call
DAY = 86_400.0
_REST = 7 * DAY  # seconds after which no verdict is given any more that could rest on a fact: longer than any watch window

# what only the views needed; a mark that is gone means that a folder is read again from the oldest open probe on
_SEEN = ("looked", "scanned", "foreign", "clock_jumped", "watch_blind", "watch_restored", "started", "zone_observed")
_FLEETING = (*_SEEN, "reconciled", "source_blind", "source_restored")
_TRIPWIRE = ("stray", "unasked", "tripped", "doubted", "imitated")
_ASKED = ("deploy_marked", "inspection_asked", "ledger_purged", "silence_planned", "silence_ended")
_TOLD = (*_TRIPWIRE, *_ASKED, "reloaded", "reload_refused")  # by themselves, as long as failures
_INCIDENT = ("transition", "notified", "notify_failed", "acknowledged", "silenced", "resolve_asked", "noted")  # the whole story or nothing
_GATE = ("gate_requested", "gate_probing", "gate_decided", "gate_cancelled", "gate_overridden")  # likewise

# `+` before a kind, and CROSS JOIN: a story is found by its key, never by going through all facts of a kind
# (https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_)
# max() picks the row that the other columns come from (https://www.sqlite.org/lang_select.html#bareagg)
_LATEST = """SELECT key, max(seq) AS seq, at, json_extract(CAST(body AS TEXT), '$.phase') AS phase
  FROM facts WHERE kind = 'transition' GROUP BY key"""
_OVER = "('resolved', 'cleared')"
_BEHIND = f"""SELECT e.value FROM facts AS t, json_each(CAST(t.body AS TEXT), '$.evidence') AS e
  WHERE t.kind = 'transition' AND t.key IN (SELECT key FROM ({_LATEST}) WHERE phase NOT IN {_OVER})
  UNION ALL SELECT e.value FROM facts AS d, json_each(CAST(d.body AS TEXT), '$.evidence') AS e
  WHERE d.kind = 'gate_decided' AND json_extract(CAST(d.body AS TEXT), '$.verdict') <> 'pass'"""  # noqa: S608 - constants
_BEHIND_KEYS = f"SELECT key FROM facts WHERE seq IN ({_BEHIND})"  # noqa: S608
_RUNNING = """SELECT key FROM facts AS r WHERE kind = 'gate_requested' GROUP BY key
  HAVING max(json_extract(CAST(body AS TEXT), '$.attempt')) > coalesce((
    SELECT max(json_extract(CAST(d.body AS TEXT), '$.attempt')) FROM facts AS d WHERE d.key = r.key AND +d.kind = 'gate_decided'), 0)"""
# the gate that asked for probe f, if that gate is still told of
_ASKER = """SELECT g.key FROM facts AS p CROSS JOIN facts AS g ON g.key = json_extract(CAST(p.body AS TEXT), '$.gate')
  WHERE p.key = f.key AND +p.kind = 'probe_planned' AND +g.kind = 'gate_requested'"""

# what a zone's baseline was learned from; without it a change of last month would be how the zone is meant to be
_OF_DOMAIN = "json_extract(CAST({}.body AS TEXT), '$.domain')"
_BASELINE = f"""f.kind = 'zone_observed' AND json_extract(CAST(f.body AS TEXT), '$.learned') = 1 AND NOT EXISTS (
  SELECT 1 FROM facts AS l WHERE l.kind = 'zone_learned' AND l.seq > f.seq AND {_OF_DOMAIN.format("l")} = {_OF_DOMAIN.format("f")})"""  # noqa: S608
# how refunds and confirmations stand, though nothing has moved since; and how they stood when people were told, or what is settled would
# be told again by whoever folds the journal anew
_STANDING = """f.kind = 'reconciled' AND (f.seq = (SELECT max(r.seq) FROM facts AS r WHERE r.kind = 'reconciled') OR f.seq IN (
  SELECT e.value FROM facts AS t, json_each(CAST(t.body AS TEXT), '$.evidence') AS e
  WHERE t.kind = 'transition' AND json_extract(CAST(t.body AS TEXT), '$.scope.kind') = 'ledger'))"""
# planned for longer ahead than facts are kept; and its early end, without which it would come back
_NOT_OVER = """kind IN ('silence_planned', 'silence_ended') AND json_extract(CAST(body AS TEXT), '$.silence') IN (
  SELECT json_extract(CAST(s.body AS TEXT), '$.silence') FROM facts AS s
    WHERE s.kind = 'silence_planned' AND json_extract(CAST(s.body AS TEXT), '$.until') > ?)"""
# each holds the whole baseline: only the last of a domain counts
_OUTDATED = f"""kind = 'zone_learned' AND seq NOT IN (
  SELECT max(l.seq) FROM facts AS l WHERE l.kind = 'zone_learned' GROUP BY {_OF_DOMAIN.format("l")})"""  # noqa: S608

_PASSES = f"""
SELECT key FROM facts AS f WHERE kind = 'judged' AND at < :before AND json_extract(CAST(body AS TEXT), '$.revision') = 0
  AND EXISTS (SELECT 1 FROM facts AS c WHERE c.key = f.key AND +c.kind = 'closed')
  AND NOT EXISTS (SELECT 1 FROM facts AS g WHERE g.key = f.key AND +g.kind = 'judged'
                  AND json_extract(CAST(g.body AS TEXT), '$.verdict') <> 'pass')
  AND key NOT IN ({_BEHIND_KEYS})"""  # noqa: S608
_PASSED = f"{_PASSES} AND NOT EXISTS ({_ASKER}) ORDER BY at LIMIT :step"
_GATE_PASSED = f"{_PASSES} AND NOT EXISTS ({_ASKER} AND g.key IN ({_RUNNING})) ORDER BY at LIMIT :step"
_ENDED = f"""SELECT key FROM facts AS f WHERE kind IN ('closed', 'withdrawn') AND at < :before AND key NOT IN ({_BEHIND_KEYS})
  AND NOT EXISTS ({_ASKER})
ORDER BY at LIMIT :step"""  # noqa: S608
_STORIES = f"""
SELECT key FROM ({_LATEST}) AS i WHERE at < :before AND phase IN {_OVER}
  AND NOT EXISTS (
    SELECT 1 FROM facts AS t WHERE t.key = i.key AND +t.kind = 'transition'
      AND json_extract(CAST(t.body AS TEXT), '$.phase') IN ('opened', 'grown', 'flapping', 'resolved')
      AND EXISTS (SELECT 1 FROM facts AS n WHERE n.key = i.key AND +n.kind = 'notify_failed'
                  AND json_extract(CAST(n.body AS TEXT), '$.about') = t.seq)
      AND NOT EXISTS (SELECT 1 FROM facts AS n WHERE n.key = i.key AND +n.kind IN ('notified', 'notify_failed')
                      AND json_extract(CAST(n.body AS TEXT), '$.about') = t.seq
                      AND (n.kind = 'notified' OR json_extract(CAST(n.body AS TEXT), '$.retry_in') IS NULL)))
LIMIT :step"""  # noqa: S608
_IN_FORCE = """SELECT 1 FROM facts AS o WHERE o.key = s.key AND +o.kind = 'gate_overridden'
  AND json_extract(CAST(o.body AS TEXT), '$.until') > :now"""
_GATES = f"""
SELECT key FROM facts AS s WHERE kind IN {_GATE} GROUP BY key
  HAVING max(at) < :before AND key NOT IN ({_RUNNING})
    AND NOT EXISTS ({_IN_FORCE})
LIMIT :step"""  # noqa: S608
_GATES_UNFAILED = f"""
SELECT key FROM facts AS s WHERE kind IN {_GATE} GROUP BY key
  HAVING max(at) < :before AND key NOT IN ({_RUNNING})
    AND NOT EXISTS (SELECT 1 FROM facts AS d WHERE d.key = s.key AND +d.kind = 'gate_decided'
                    AND json_extract(CAST(d.body AS TEXT), '$.verdict') = 'fail')
    AND NOT EXISTS ({_IN_FORCE})
ORDER BY max(at) LIMIT :step"""  # noqa: S608
_EVIDENCE = """
SELECT e.value FROM facts AS j, json_each(CAST(j.body AS TEXT), '$.evidence') AS e
  WHERE j.kind = 'judged' AND j.at BETWEEN ? AND ? AND json_extract(CAST(j.body AS TEXT), '$.verdict') <> 'pass'"""


@dataclass(slots=True)
class Sweep:
    """How far fleeting facts have been gone through: what was kept as evidence is looked at again a day later."""

    after: int = 0
    began: float = 0.0


def retire(db: sqlite3.Connection, policy: RetentionPolicy, now: float, sweep: Sweep) -> int:
    """One step: passes past their time, anything past the time of failures, then, while the file is over its cap, the oldest passes, and
    when there are none the oldest of what only the views needed: a flood of forged mail must not fill the disk. Last go the passes of
    gates that are decided, then gates that did not fail: with them goes good evidence, never bad.

    A probe that is still watched (not closed) is never retired, nor is a gate that runs. Returns how many facts were deleted.
    """
    if abs(now - sweep.began) > DAY:
        sweep.after, sweep.began = 0, now
    gone = _delete_by_key(db, _PASSED, now - policy.passes, now)
    gone += _delete_by_key(db, _GATES, now - policy.failures, now)
    gone += _delete_by_key(db, _ENDED, now - policy.failures, now)
    gone += _delete_by_key(db, _STORIES, now - policy.failures, now)
    gone += _delete_fleeting(db, now - policy.passes, sweep)
    gone += _delete_told(db, now - policy.failures, now)
    gone += db.execute(f"DELETE FROM facts WHERE seq IN (SELECT seq FROM facts WHERE {_OUTDATED} LIMIT ?)", (STEP,)).rowcount  # noqa: S608
    if size(db) > policy.max_bytes:
        gone += (
            _delete_by_key(db, _PASSED, now, now)
            or _delete_fleeting(db, now, sweep)
            or _delete_by_key(db, _GATE_PASSED, now, now)
            or _delete_by_key(db, _GATES_UNFAILED, now, now)
        )
    if gone:
        db.executescript("PRAGMA incremental_vacuum(256)")  # execute() would step it once: one page
    return gone


def size(db: sqlite3.Connection) -> int:
    """Bytes in use by the database, free pages not counted."""
    pages, free, page = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * page)


def _delete_told(db: sqlite3.Connection, before: float, now: float) -> int:
    query = f"""DELETE FROM facts WHERE seq IN (SELECT seq FROM facts WHERE kind IN ({_marks(_TOLD)}) AND at < ?
      AND seq NOT IN ({_BEHIND}) AND NOT ({_NOT_OVER}) ORDER BY seq LIMIT ?)"""  # noqa: S608 - only marks and constants
    return db.execute(query, (*_TOLD, before, now, STEP * 10)).rowcount


def _delete_fleeting(db: sqlite3.Connection, before: float, sweep: Sweep) -> int:
    """The next of them, but for those that a verdict which is kept, or an open incident, rests on."""
    found = f"""SELECT seq, at FROM facts AS f WHERE kind IN ({_marks(_FLEETING)}) AND at < ? AND seq > ?
      AND NOT ({_BASELINE}) AND NOT ({_STANDING}) ORDER BY seq LIMIT ?"""  # noqa: S608
    rows = db.execute(found, (*_FLEETING, before, sweep.after, STEP * 10)).fetchall()
    if not rows:
        return 0
    times = [at for _, at in rows]
    kept = {seq for (seq,) in db.execute(_EVIDENCE, (min(times) - _REST, max(times) + _REST))} | {seq for (seq,) in db.execute(_BEHIND)}
    gone = json.dumps([seq for seq, _ in rows if seq not in kept])
    deleted = db.execute("DELETE FROM facts WHERE seq IN (SELECT value FROM json_each(?))", (gone,)).rowcount
    sweep.after = rows[-1][0]
    return deleted


def _delete_by_key(db: sqlite3.Connection, query: str, before: float, now: float) -> int:
    """All facts of the probes, incidents or gates that the query finds."""
    keys = [row[0] for row in db.execute(query, {"before": before, "now": now, "step": STEP})]
    if not keys:
        return 0
    return db.execute(f"DELETE FROM facts WHERE key IN ({_marks(keys)})", keys).rowcount  # noqa: S608 - only marks


def _marks(values: tuple[str, ...] | list[str]) -> str:
    return ", ".join("?" * len(values))
