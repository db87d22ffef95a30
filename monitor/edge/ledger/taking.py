"""Records into the store: each once, whatever is delivered again, and all of a portion or nothing.

What a record that is delivered again says otherwise is merged so that the order makes no difference: the earliest time and reversal of a
refund, every recipient that it ever had, the latest outcome of a confirmation. Only where two rows contradict each other about money does
the first one stay.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from math import inf
from typing import cast

from monitor.edge.ledger.schema import DAY, SLOT
from monitor.edge.ledger.wording import conflict
from monitor.model.ledger import MOST_EXAMPLES, Confirmation, Outcome, Refund, RowFault, Side, Taken, Taking

MOST_REFUSED = 100_000  # keys of rows that could not be taken, the latest
AT_ONCE = 500  # records in one statement: half of the time of one by one is spent between two statements
_ADDRESS = re.compile(r"[^\s/@]{1,64}@[^\s/@]{1,255}")

_INSERT = {
    Side.REFUNDS: "INSERT OR IGNORE INTO refunds"
    " (key, number, amount, currency, at, recipient, provider, reversed_at, line, origin) VALUES",
    Side.CONFIRMATIONS: "INSERT OR IGNORE INTO confirmations"
    " (key, identity, amount, currency, at, recipient, provider, outcome, resend, line, origin, source) VALUES",
}
_VALUES = {
    Side.REFUNDS: "(?, ?, ?, ?, ?, ?, ?, ?, ?, {origin})",
    Side.CONFIRMATIONS: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {origin}, {source})",
}
_INSERTED = {
    Side.REFUNDS: "SELECT key, number FROM refunds WHERE id > ? ORDER BY id",
    Side.CONFIRMATIONS: "SELECT key, identity FROM confirmations WHERE id > ? ORDER BY id",
}
_BATCH = {
    Side.REFUNDS: "INSERT INTO batch (place, key, a, amount, currency, at, recipient, provider, b, line)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    Side.CONFIRMATIONS: "INSERT INTO batch (place, key, a, amount, currency, at, recipient, provider, b, c, line)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
}
_NEWEST = {
    Side.REFUNDS: "SELECT coalesce(max(id), 0) FROM refunds",
    Side.CONFIRMATIONS: "SELECT coalesce(max(id), 0) FROM confirmations",
}
# Those of the batch that say something else than what is kept.
_OTHERWISE = {
    Side.REFUNDS: """
        SELECT b.place - 1 FROM batch b CROSS JOIN refunds r ON r.key = b.key AND r.number = b.a
        WHERE b.amount <> r.amount OR b.currency <> r.currency OR b.at < r.at
           OR (b.recipient <> x'' AND b.recipient <> r.recipient)
           OR (b.b IS NOT NULL AND b.b < coalesce(r.reversed_at, 9e999))
        ORDER BY b.place""",
    Side.CONFIRMATIONS: """
        SELECT b.place - 1 FROM batch b CROSS JOIN confirmations c ON c.key = b.key AND c.source = {source} AND c.identity = b.a
        WHERE (b.amount IS NOT NULL AND b.amount IS NOT c.amount) OR (b.currency <> '' AND b.currency <> c.currency)
           OR b.at > c.at OR (b.at = c.at AND b.b <> c.outcome)
           OR (b.recipient <> x'' AND c.recipient = x'') OR b.c > c.resend
        ORDER BY b.place""",
}
_ADD = "INSERT INTO volumes {new} ON CONFLICT (side, slot) DO UPDATE SET records = records + excluded.records"
_SENT = """
    SELECT 'confirmations', CAST(at / :slot AS INTEGER), count(*) FROM confirmations c
    WHERE id > :before AND outcome = 'sent' {once} GROUP BY 2"""
# A mail that several sources show counts once: the n-th of its key in one of them, unless another one has shown as many.
_ONCE = """
    AND (SELECT count(*) FROM confirmations s WHERE s.key = c.key AND s.source = c.source AND s.id <= c.id) >
        (SELECT coalesce(max(shown), 0) FROM (
           SELECT count(*) AS shown FROM confirmations o WHERE o.key = c.key AND o.source <> c.source GROUP BY o.source))"""


def take(db: sqlite3.Connection, taking: Taking) -> Taken:
    """Within a transaction of the caller's. Raises sqlite3.Error."""
    taking = replace(taking, origin=_shown(taking.origin))
    source, several = _source(db, taking)
    origin = _origin(db, source, taking.origin)
    before = db.execute(_NEWEST[taking.side]).fetchone()[0]
    new = _insert(db, taking, origin, source)
    changed = 0
    conflicts: list[RowFault] = []
    if new < len(taking.records):
        changed, conflicts = _Again(db, taking, source, origin).merge(_known(db, taking, before))
    if new:
        _count(db, taking.side, before, several)
    _note(db, source, taking, new, conflicts)
    _note_refused(db, taking)
    return Taken(new, len(taking.records) - new - changed - len(conflicts), changed, tuple(conflicts))


def _insert(db: sqlite3.Connection, taking: Taking, origin: int, source: int) -> int:
    """How many were new."""
    into, values = _INSERT[taking.side], _VALUES[taking.side].format(origin=origin, source=source)
    whole = len(taking.records) // AT_ONCE * AT_ONCE
    new = 0
    statement = f"{into} {', '.join([values] * AT_ONCE)}" if whole else ""
    for start in range(0, whole, AT_ONCE):
        new += db.execute(statement, [*chain.from_iterable(taking.records[start : start + AT_ONCE])]).rowcount
    rest = taking.records[whole:]
    return new + max(0, db.executemany(f"{into} {values}", rest).rowcount) if rest else new


def _known(db: sqlite3.Connection, taking: Taking, before: int) -> list[int]:
    """The places of those records that were there already: the others stand in the table in the same order."""
    inserted = iter(db.execute(_INSERTED[taking.side], (before,)))
    expected = next(inserted, None)
    known: list[int] = []
    for place, record in enumerate(taking.records):
        if record[:2] == expected:
            expected = next(inserted, None)
        else:
            known.append(place)
    return known


class _Again:
    """Those rows of a portion that were taken before."""

    def __init__(self, db: sqlite3.Connection, taking: Taking, source: int, origin: int) -> None:
        self._db = db
        self._taking = taking
        self._source = source
        self._origin = origin

    def merge(self, known: Sequence[int]) -> tuple[int, list[RowFault]]:
        """(how many changed something, those that contradict). `known`: the places of those records."""
        db, side = self._db, self._taking.side
        db.execute("DELETE FROM batch")
        db.executemany(_BATCH[side], ((place + 1, *self._taking.records[place]) for place in known))
        places = [row[0] for row in db.execute(_OTHERWISE[side].format(source=self._source))]
        db.execute("DELETE FROM batch")
        changed = 0
        conflicts: list[RowFault] = []
        for place in places:
            row = self._taking.records[place]
            told = self._refund(row) if isinstance(row, Refund) else self._confirmation(row)
            if told:
                db.execute("INSERT OR IGNORE INTO changed VALUES (?)", (row.key,))
            if isinstance(told, RowFault):
                conflicts.append(told)
            else:
                changed += told
        return changed, conflicts

    def _refund(self, row: Refund) -> bool | RowFault:
        db = self._db
        ident, *kept, line, origin = db.execute(
            "SELECT r.id, r.at, r.reversed_at, r.recipient, r.provider, r.amount, r.currency, r.line, o.name"
            " FROM refunds r JOIN origins o ON o.id = r.origin WHERE r.key = ? AND r.number = ?",
            (row.key, row.number),
        ).fetchone()
        at, reversed_at, recipient, provider, amount, currency = kept
        reversals = [one for one in (reversed_at, row.reversed_at) if one is not None]
        merged = [min(at, row.at), min(reversals, default=None), recipient, provider]
        if row.recipient and not recipient:
            merged[2:] = [row.recipient, row.provider]
        changed: bool = merged != kept[:4]
        if changed:
            db.execute("UPDATE refunds SET at = ?, reversed_at = ?, recipient = ?, provider = ? WHERE id = ?", (*merged, ident))
        if row.recipient and recipient not in (b"", row.recipient):
            added = db.execute("INSERT OR IGNORE INTO other_recipients VALUES (?, ?)", (ident, row.recipient))
            changed = changed or bool(added.rowcount)
        if (row.amount, row.currency) != (amount, currency):
            added = db.execute("INSERT OR IGNORE INTO other_amounts VALUES (?, ?, ?)", (ident, row.amount, row.currency))
            if added.rowcount:
                first, second = (line, origin, amount, currency), (row.line, self._taking.origin, row.amount, row.currency)
                return conflict(f"refund {row.number}", first, second)
        return changed

    def _confirmation(self, row: Confirmation) -> bool | RowFault:
        db = self._db
        ident, *kept, line, origin = db.execute(
            "SELECT c.id, c.at, c.outcome, c.amount, c.currency, c.recipient, c.provider, c.resend, c.line, o.name"
            " FROM confirmations c JOIN origins o ON o.id = c.origin WHERE c.key = ? AND c.source = ? AND c.identity = ?",
            (row.key, self._source, row.identity),
        ).fetchone()
        at, outcome, amount, currency, recipient, provider, resend = kept
        at, outcome = max((at, outcome), (row.at, row.outcome), key=_later)
        merged = [
            at,
            outcome,
            row.amount if amount is None else amount,
            currency or row.currency,
            *((recipient, provider) if recipient else (row.recipient, row.provider)),
            int(resend or row.resend),
        ]
        changed: bool = merged != kept
        if changed:
            db.execute(
                "UPDATE confirmations SET at = ?, outcome = ?, amount = ?, currency = ?, recipient = ?, provider = ?, resend = ?"
                " WHERE id = ?",
                (*merged, ident),
            )
        says = row.amount if row.amount is not None else merged[2], row.currency or merged[3]
        if says[0] is not None and says != (merged[2], merged[3]):
            added = db.execute("INSERT OR IGNORE INTO disputed_amounts VALUES (?, ?, ?)", (ident, *says))
            if added.rowcount:
                first, second = (line, origin, merged[2], merged[3]), (row.line, self._taking.origin, *says)
                return conflict(f"a confirmation of {row.key}", first, second)
        return changed


def _later(stand: tuple[float, str]) -> tuple[float, bool, str]:
    at, outcome = stand
    return at, outcome != Outcome.SENT, outcome


def _source(db: sqlite3.Connection, taking: Taking) -> tuple[int, bool]:
    """(id of the source, whether its side has others)."""
    db.execute(
        "INSERT OR IGNORE INTO sources (name, side, first_read, last_read) VALUES (?, ?, ?, ?)",
        (taking.source, taking.side.value, taking.at, taking.at),
    )
    ident = db.execute("SELECT id FROM sources WHERE name = ?", (taking.source,)).fetchone()[0]
    several = db.execute("SELECT count(*) FROM sources WHERE side = ?", (taking.side.value,)).fetchone()[0] > 1
    return cast(int, ident), several


def _origin(db: sqlite3.Connection, source: int, name: str) -> int:
    db.execute("INSERT OR IGNORE INTO origins (source, name) VALUES (?, ?)", (source, name))
    return cast(int, db.execute("SELECT id FROM origins WHERE source = ? AND name = ?", (source, name)).fetchone()[0])


def _count(db: sqlite3.Connection, side: Side, before: int, several: bool) -> None:
    """Volumes."""
    if side is Side.REFUNDS:
        statement = _ADD.format(new="SELECT 'refunds', CAST(at / :slot AS INTEGER), count(*) FROM refunds WHERE id > :before GROUP BY 2")
    else:
        statement = _ADD.format(new=_SENT.format(once=_ONCE if several else ""))
    db.execute(statement, {"slot": SLOT, "before": before})


def _note(db: sqlite3.Connection, source: int, taking: Taking, new: int, conflicts: Sequence[RowFault]) -> None:
    """A time until when it was read that has not come yet was said by a clock that was wrong: it does not stay."""
    times = [row.at for row in taking.records]
    faults = (*taking.faults, *conflicts)
    _note_days(db, source, times)
    db.execute(
        """
        UPDATE sources SET first_read = min(first_read, :at), last_read = max(last_read, :at),
          read_until = CASE WHEN read_until > :at THEN coalesce(:until, read_until)
            ELSE coalesce(max(read_until, :until), read_until, :until) END,
          earliest = coalesce(min(earliest, :earliest), earliest, :earliest), latest = coalesce(max(latest, :latest), latest, :latest),
          records = records + :new, refused = refused + :refused, dropped = dropped + :dropped
        WHERE id = :source""",
        {
            "at": taking.at,
            "until": taking.read_until,
            "earliest": min(times, default=None),
            "latest": max(times, default=None),
            "new": new,
            "refused": len(faults),
            "dropped": taking.dropped,
            "source": source,
        },
    )
    if taking.position is not None:
        db.execute("UPDATE sources SET position = ?, memory = ? WHERE id = ?", (taking.position, taking.memory, source))
    if faults:
        db.executemany(
            "INSERT INTO faults (source, origin, line, what, mend, field, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (source, taking.origin, one.line, _clean(one.what), _clean(one.mend), _clean(one.column), taking.at)
                for one in faults[-MOST_EXAMPLES:]
            ],
        )
        db.execute(
            "DELETE FROM faults WHERE source = ?1 AND id <= (SELECT id FROM faults WHERE source = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (source, MOST_EXAMPLES),
        )


def _note_refused(db: sqlite3.Connection, taking: Taking) -> None:
    """There is such a row, whatever it says: while nothing else of its side is known, it keeps the other side from being accused."""
    keys = {_clean(fault.key) for fault in taking.faults if fault.key}
    if not keys:
        return
    db.executemany(
        "INSERT INTO refused VALUES (?1, ?2, ?3) ON CONFLICT (key, side) DO UPDATE SET at = max(at, ?3)",
        [(key, taking.side.value, taking.at) for key in sorted(keys)],
    )
    db.executemany("INSERT OR IGNORE INTO changed VALUES (?)", [(key,) for key in sorted(keys)])
    db.execute(
        "DELETE FROM refused WHERE (SELECT count(*) FROM refused) > ?1 AND (key, side) NOT IN"
        " (SELECT key, side FROM refused ORDER BY at DESC, key, side LIMIT ?1)",
        (MOST_REFUSED,),
    )


def _note_days(db: sqlite3.Connection, source: int, times: Sequence[float]) -> None:
    first: dict[int, float] = {}
    for at in times:
        day = int(at // DAY)
        if at < first.get(day, inf):
            first[day] = at
    db.executemany(
        "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT (source, day) DO UPDATE SET at = min(at, excluded.at)",
        [(source, day, at) for day, at in first.items()],
    )


def _clean(text: str) -> str:
    """Bytes that were no UTF-8 stand in it as lone surrogates, which no table takes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _shown(origin: str) -> str:
    """A file that is named after a customer names nobody here."""
    return _ADDRESS.sub("***", _clean(origin))
