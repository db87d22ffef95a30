"""The comparison: joins find the keys with which something may be wrong, the pairing says what, and only that is written.

Keys that are looked at: those of new records, unless one join shows one refund with one confirmation that is right; those of changed
records; those that have come of age since the last time.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.edge.ledger.pairing import MOST, Bounds, Claim, Compared, Due, Mail, compare
from monitor.edge.ledger.schema import AWAITED, FINE, TOLD, UNDECIDED, meta, remember
from monitor.model.ledger import CLASS_OF, DifferenceClass, DifferenceKind, Side, Windows

CHUNK = 2_000  # keys that are in memory at a time
RECORDS = 50_000  # of them, on each side

# No join: of a key with a hundred thousand records on both sides it would be of their product.
_NEW_REFUNDS = """
    SELECT r.key FROM refunds r WHERE r.id > :refunds AND (
      r.state <> 1 OR r.reversed_at IS NOT NULL
      OR (SELECT count(*) FROM (SELECT 1 FROM confirmations c WHERE c.key = r.key LIMIT 2)) <> 1
      OR NOT EXISTS (SELECT 1 FROM confirmations c WHERE c.key = r.key AND c.state = 1 AND c.amount = r.amount AND c.currency = r.currency
                     AND c.outcome = 'sent' AND (c.recipient = r.recipient OR c.recipient = x'' OR r.recipient = x''))
      OR EXISTS (SELECT 1 FROM refunds s WHERE s.key = r.key AND s.id <> r.id))"""
_NEW_CONFIRMATIONS = """
    SELECT c.key FROM confirmations c WHERE c.id > :confirmations
    AND NOT EXISTS (SELECT 1 FROM refunds r WHERE r.key = c.key AND r.id > :refunds)"""
_CHANGED = "SELECT key FROM changed"
_REFUNDS_OF_AGE = f"SELECT key FROM refunds WHERE state = {AWAITED} AND at BETWEEN :refunds_from AND :refunds_until"  # noqa: S608 - a constant
_CONFIRMATIONS_OF_AGE = f"""
    SELECT key FROM confirmations WHERE state = {UNDECIDED} AND at BETWEEN :confirmations_from AND :confirmations_until"""  # noqa: S608
_WORK = f"INSERT INTO work (key) {' UNION '.join((_NEW_REFUNDS, _NEW_CONFIRMATIONS, _CHANGED, _REFUNDS_OF_AGE, _CONFIRMATIONS_OF_AGE))}"

_REFUNDS = """
    SELECT w.place, r.id, r.number, r.amount, r.currency, r.at, r.recipient, r.provider, r.reversed_at, r.state
    FROM work w CROSS JOIN refunds r ON r.key = w.key WHERE w.place BETWEEN ? AND ?"""
_MAILS = """
    SELECT w.place, c.id, c.source, c.identity, c.amount, c.currency, c.at, c.recipient, c.provider, c.outcome, c.resend, c.state
    FROM work w CROSS JOIN confirmations c ON c.key = w.key WHERE w.place BETWEEN ? AND ?"""
_OTHER_AMOUNTS = """
    SELECT r.id, a.amount, a.currency FROM work w CROSS JOIN refunds r ON r.key = w.key CROSS JOIN other_amounts a ON a.refund = r.id
    WHERE w.place BETWEEN ? AND ?"""
_OTHER_RECIPIENTS = """
    SELECT r.id, a.recipient FROM work w CROSS JOIN refunds r ON r.key = w.key CROSS JOIN other_recipients a ON a.refund = r.id
    WHERE w.place BETWEEN ? AND ?"""
_REFUSED = "SELECT w.place, f.side FROM work w CROSS JOIN refused f ON f.key = w.key WHERE w.place BETWEEN ? AND ?"
_OPEN = """
    SELECT w.place, d.id, d.kind, d.refund, d.confirmation, d.source, d.note, d.at, d.amount, d.currency, d.customer, d.provider
    FROM work w CROSS JOIN differences d ON d.key = w.key AND d.settled IS NULL WHERE w.place BETWEEN ? AND ? ORDER BY w.place, d.id"""


class _TooMany(Exception):
    """Records for the memory; fewer keys have fewer."""


class _Open(NamedTuple):
    """A difference that stands in the store."""

    id: int
    kind: str
    refund: int | None
    confirmation: int | None
    source: str | None
    content: tuple[object, ...]


@dataclass(slots=True)
class _Written:
    """What a comparison changes."""

    refund_states: list[tuple[int, int]] = field(default_factory=list)
    mail_states: list[tuple[int, int]] = field(default_factory=list)
    settled: list[tuple[float, int]] = field(default_factory=list)
    moved: list[tuple[object, ...]] = field(default_factory=list)
    found: list[tuple[object, ...]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    classes: Counter[DifferenceClass] = field(default_factory=Counter)


def reconcile(db: sqlite3.Connection, windows: Windows, now: float) -> bool:
    """Whether differences came, went or became others. Within a transaction of the caller's. Raises sqlite3.Error."""
    last = {name: meta(db, name) or 0 for name in ("refund_mark", "confirmation_mark", "refunds", "confirmations", "told")}
    again = meta(db, "refund_within") not in (None, windows.refund_within)  # what is long before is something else now
    bounds = bounds_of(db, windows)
    _collect(db, bounds, 0 if again else last["refund_mark"], 0 if again else last["confirmation_mark"])
    names = dict(db.execute("SELECT id, name FROM sources"))
    written = False
    counts = Counter[str]()
    top = db.execute("SELECT coalesce(max(place), 0) FROM work").fetchone()[0]
    for first in range(1, top + 1, CHUNK):
        for changes in _looks(db, (first, min(top, first + CHUNK - 1)), names, bounds, now):
            _write(db, changes, now)
            counts.update(changes.counts)
            written = written or bool(changes.settled or changes.moved or changes.found)
    db.execute("DELETE FROM work")
    db.execute("DELETE FROM changed")
    _remember(db, windows, last, counts)
    return written


def bounds_of(db: sqlite3.Connection, windows: Windows) -> Bounds:
    """What was purged may come again, and accuses nobody."""
    forgotten = _forgotten(db)
    refunds = confirmations = None
    if windows.confirmations_from is not None and windows.confirmations_until is not None:
        refunds = (max(windows.confirmations_from, forgotten), windows.confirmations_until - windows.confirm_within)
    if windows.refunds_from is not None and windows.refunds_until is not None:
        begun = max(windows.refunds_from, forgotten) + windows.confirm_within
        confirmations = (begun, windows.refunds_until - windows.refund_within)
    return Bounds(refunds, confirmations, windows.refund_within, forgotten)


def _forgotten(db: sqlite3.Connection) -> float:
    forgotten = meta(db, "forgotten")
    return float("-inf") if forgotten is None else forgotten


def _collect(db: sqlite3.Connection, bounds: Bounds, refund_mark: float, confirmation_mark: float) -> None:
    nothing = (1.0, 0.0)
    refunds, confirmations = bounds.refunds or nothing, bounds.confirmations or nothing
    db.execute("DELETE FROM work")
    db.execute(
        _WORK,
        {
            "refunds": refund_mark,
            "confirmations": confirmation_mark,
            "refunds_from": refunds[0],
            "refunds_until": refunds[1],
            "confirmations_from": confirmations[0],
            "confirmations_until": confirmations[1],
        },
    )


def _looks(db: sqlite3.Connection, span: tuple[int, int], names: Mapping[int, str], bounds: Bounds, now: float) -> Iterator[_Written]:
    first, last = span
    try:
        changes = _look(db, span, names, bounds, now)
    except _TooMany:
        middle = (first + last) // 2
        yield from _looks(db, (first, middle), names, bounds, now)
        yield from _looks(db, (middle + 1, last), names, bounds, now)
    else:
        yield changes


def _look(db: sqlite3.Connection, span: tuple[int, int], names: Mapping[int, str], bounds: Bounds, now: float) -> _Written:
    due, mails, unsettled = _refunds(db, span), _mails(db, span, names), _unsettled(db, span)
    refused = set(db.execute(_REFUSED, span))
    changes = _Written()
    for place, key in db.execute("SELECT place, key FROM work WHERE place BETWEEN ? AND ?", span).fetchall():
        refunds, sent = due.get(place, []), mails.get(place, [])
        if len(refunds) + len(sent) > MOST:
            changes.counts["told"] -= _leave(db, key, now)
            continue
        unread = (not refunds and (place, Side.REFUNDS) in refused) or (not sent and (place, Side.CONFIRMATIONS) in refused)
        compared = compare(key, refunds, sent, bounds, unread)
        _note_states(refunds, sent, compared, changes)
        _note_claims(key, unsettled.get(place, []), compared.claims, changes, now)
    return changes


def _leave(db: sqlite3.Connection, key: str, now: float) -> int:
    """Too many records for one key: nothing new is said of them, but once that it is so. How many count as told no more."""
    told = db.execute("UPDATE refunds SET state = ? WHERE key = ? AND state = ?", (AWAITED, key, TOLD)).rowcount
    db.execute("UPDATE confirmations SET state = ? WHERE key = ? AND state = ? AND outcome = 'sent'", (UNDECIDED, key, FINE))
    what = f"more than {MOST} records have one and the same number to be matched by; nothing is decided about them"
    db.execute(
        """
        INSERT INTO faults (source, origin, line, what, mend, field, at)
        SELECT source, name, 0, ?2, ?3, '', ?4 FROM (
          SELECT o.source, o.name FROM refunds r JOIN origins o ON o.id = r.origin WHERE r.key = ?1
          UNION ALL SELECT o.source, o.name FROM confirmations c JOIN origins o ON o.id = c.origin WHERE c.key = ?1 LIMIT 1)
        WHERE NOT EXISTS (SELECT 1 FROM faults WHERE what = ?2)""",
        (key, what, "let `columns` name what differs from refund to refund", now),
    )
    return told


def _within(found: list[Any], read: int) -> bool:
    """Of a key with too many it is enough to know that."""
    if read > RECORDS:
        raise _TooMany
    return len(found) <= MOST


def _refunds(db: sqlite3.Connection, span: tuple[int, int]) -> Mapping[int, list[Due]]:
    amounts, recipients = defaultdict[int, set[tuple[int, str]]](set), defaultdict[int, set[bytes]](set)
    if db.execute("SELECT EXISTS (SELECT 1 FROM other_amounts)").fetchone()[0]:
        for ident, amount, currency in db.execute(_OTHER_AMOUNTS, span):
            amounts[ident].add((amount, currency))
    if db.execute("SELECT EXISTS (SELECT 1 FROM other_recipients)").fetchone()[0]:
        for ident, recipient in db.execute(_OTHER_RECIPIENTS, span):
            recipients[ident].add(recipient)
    found = defaultdict[int, list[Due]](list)
    read = 0
    for place, *row in db.execute(_REFUNDS, span):
        if not _within(found[place], read):
            continue
        read += 1
        ident, _, amount, currency, _, recipient, *_ = row
        said = frozenset({(amount, currency), *amounts.get(ident, ())})
        known = frozenset(({recipient} if recipient else set()) | recipients.get(ident, set()))
        found[place].append(Due._make((*row, said, known)))
    return found


def _mails(db: sqlite3.Connection, span: tuple[int, int], names: Mapping[int, str]) -> Mapping[int, list[Mail]]:
    found = defaultdict[int, list[Mail]](list)
    read = 0
    for place, ident, source, *rest in db.execute(_MAILS, span):
        if not _within(found[place], read):
            continue
        read += 1
        found[place].append(Mail(ident, names[source], *rest))
    return found


def _unsettled(db: sqlite3.Connection, span: tuple[int, int]) -> Mapping[int, list[_Open]]:
    found = defaultdict[int, list[_Open]](list)
    for place, ident, kind, refund, confirmation, source, *content in db.execute(_OPEN, span):
        found[place].append(_Open(ident, kind, refund, confirmation, source, tuple(content)))
    return found


def _note_states(refunds: Iterable[Due], mails: Iterable[Mail], compared: Compared, changes: _Written) -> None:
    for refund in refunds:
        state = compared.refunds[refund.id]
        if state != refund.state:
            changes.refund_states.append((state, refund.id))
            changes.counts["told"] += (state == TOLD) - (refund.state == TOLD)
    for mail in mails:
        state = compared.mails[mail.id]
        if state != mail.state:
            changes.mail_states.append((state, mail.id))


def _note_claims(key: str, unsettled: list[_Open], claims: Iterable[Claim], changes: _Written, now: float) -> None:
    """What was found before stays found, though another source speaks of the same mail now."""
    standing = {_mark(old.kind, old.refund, old.confirmation): old for old in unsettled}
    left = []
    for claim in claims:
        old = standing.pop(_mark(claim.kind, *_records(claim)[:2]), None)
        if old is None:
            left.append(claim)
        else:
            _move(old, claim, changes)
    by_source: dict[tuple[str, str | None], list[_Open]] = {}
    for old in standing.values():
        by_source.setdefault((old.kind, old.source), []).append(old)
    for claim in left:
        same = next((olds for mark, olds in by_source.items() if olds and _same_mail(mark, claim)), None)
        if same is not None:
            _move(same.pop(0), claim, changes)
        else:
            changes.found.append((claim.kind.value, key, *_records(claim), now, *_content(claim)))
            changes.classes[CLASS_OF[claim.kind]] += 1
    changes.settled += [(now, old.id) for olds in by_source.values() for old in olds]


def _move(old: _Open, claim: Claim, changes: _Written) -> None:
    records, content = _records(claim), _content(claim)
    if (old.refund, old.confirmation, old.source, old.content) != (*records, content):
        changes.moved.append((*records, *content, old.id))


def _mark(kind: str, refund: int | None, confirmation: int | None) -> tuple[str, int | None]:
    return kind, refund if kind == DifferenceKind.MISSING else confirmation


def _same_mail(mark: tuple[str, str | None], claim: Claim) -> bool:
    """Another source speaks of it now."""
    kind, source = mark
    return kind == claim.kind != DifferenceKind.MISSING and claim.mail is not None and source != claim.mail.source


def _records(claim: Claim) -> tuple[int | None, int | None, str | None]:
    """(refund, confirmation, its source)."""
    mail = claim.mail
    return claim.refund.id if claim.refund else None, mail.id if mail else None, mail.source if mail else None


def _content(claim: Claim) -> tuple[Any, ...]:
    """(note, time, amount, currency, customer, provider) that stand in the difference itself, for its sums."""
    says: Due | Mail | None = claim.refund if claim.kind is DifferenceKind.MISSING else claim.mail
    whose: Due | Mail | None = claim.mail if claim.kind is DifferenceKind.SPURIOUS else claim.refund
    assert says is not None and whose is not None  # noqa: S101 - by the kinds of claims
    return claim.note, says.at, says.amount, says.currency, whose.recipient, whose.provider


def _write(db: sqlite3.Connection, changes: _Written, now: float) -> None:
    db.executemany("UPDATE refunds SET state = ? WHERE id = ?", changes.refund_states)
    db.executemany("UPDATE confirmations SET state = ? WHERE id = ?", changes.mail_states)
    db.executemany("UPDATE differences SET settled = ? WHERE id = ?", changes.settled)
    db.executemany(
        "UPDATE differences SET refund = ?, confirmation = ?, source = ?, note = ?, at = ?, amount = ?, currency = ?, customer = ?,"
        " provider = ? WHERE id = ?",
        changes.moved,
    )
    db.executemany(
        "INSERT INTO differences (kind, key, refund, confirmation, source, found, note, at, amount, currency, customer, provider)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        changes.found,
    )
    db.executemany(
        "INSERT INTO classes VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET found = found + ?2, latest = max(latest, ?3)",
        [(kind.value, number, now) for kind, number in changes.classes.items()],
    )


def _remember(db: sqlite3.Connection, windows: Windows, last: Mapping[str, float], counts: Mapping[str, int]) -> None:
    new_refunds, refund_mark = db.execute(
        "SELECT count(*), coalesce(max(id), 0) FROM refunds WHERE id > ?", (last["refund_mark"],)
    ).fetchone()
    new_mails, confirmation_mark = db.execute(
        "SELECT count(*), coalesce(max(id), 0) FROM confirmations WHERE id > ?", (last["confirmation_mark"],)
    ).fetchone()
    begun = float("-inf") if windows.confirmations_from is None else max(windows.confirmations_from, _forgotten(db))
    early = db.execute(f"SELECT count(*) FROM refunds WHERE state = {AWAITED} AND at < ?", (begun,)).fetchone()[0]  # noqa: S608
    waiting = db.execute(f"SELECT count(*) FROM refunds WHERE state = {AWAITED}").fetchone()[0]  # noqa: S608
    undecided = db.execute(f"SELECT count(*) FROM confirmations WHERE state = {UNDECIDED}").fetchone()[0]  # noqa: S608
    remember(
        db,
        refund_mark=max(refund_mark, last["refund_mark"]),
        confirmation_mark=max(confirmation_mark, last["confirmation_mark"]),
        refunds=last["refunds"] + new_refunds,
        confirmations=last["confirmations"] + new_mails,
        told=last["told"] + new_refunds + counts.get("told", 0),
        awaited=waiting - early,
        undecided=undecided + early,
        refund_within=windows.refund_within,
        refunds_until=windows.refunds_until,
        confirmations_until=windows.confirmations_until,
    )
