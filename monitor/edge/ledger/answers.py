"""What the store is asked. Money is added up in two halves, so that no sum overflows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from monitor.edge.ledger.pairing import Bounds
from monitor.edge.ledger.schema import AWAITED, SLOT, TOLD, UNDECIDED, meta
from monitor.edge.ledger.wording import place
from monitor.model.ledger import (
    CLASS_OF,
    MOST_DAYS,
    ClassStanding,
    Difference,
    DifferenceClass,
    DifferenceKind,
    Impact,
    Page,
    RowFault,
    Side,
    Slice,
    SourceStanding,
    Standing,
    Wanted,
    money,
)
from monitor.model.money import Money

MOST_SLICES = 100_000  # of a volume, the latest
_HALF = 1_000_000_000

_KINDS: Mapping[DifferenceClass, tuple[DifferenceKind, ...]] = {
    one: tuple(kind for kind, of in CLASS_OF.items() if of is one) for one in DifferenceClass
}
_DIFFERENCES = """
    SELECT d.id, d.kind, d.key, d.found, d.settled, d.note,
      r.number, r.amount, r.currency, r.at, rs.name, ro.name, r.line,
      c.amount, c.currency, c.at, cs.name, co.name, c.line
    FROM differences d
    LEFT JOIN refunds r ON r.id = d.refund LEFT JOIN origins ro ON ro.id = r.origin LEFT JOIN sources rs ON rs.id = ro.source
    LEFT JOIN confirmations c ON c.id = d.confirmation LEFT JOIN origins co ON co.id = c.origin LEFT JOIN sources cs ON cs.id = c.source
    WHERE d.id > :after AND (:since IS NULL OR d.found >= :since) AND (NOT :open OR d.settled IS NULL)
      AND (:provider = '' OR d.provider = :provider) AND instr(:kinds, ' ' || d.kind || ' ')
    ORDER BY d.id LIMIT :limit"""
_OF_TIME = "at >= :since AND at < :until AND reversed_at IS NULL AND (:provider = '' OR provider = :provider)"
_TOLD = f"(state = {TOLD} AND id <= :compared)"
_NOT_DUE = f"(state = {AWAITED} OR id > :compared)"
_WRONG = """
    FROM differences WHERE settled IS NULL AND at >= :since AND at < :until AND kind <> 'missing'
    AND (:provider = '' OR provider = :provider)"""
_SUMS = "sum(amount / 1000000000), sum(amount % 1000000000)"
_COUNTS = f"count(*), count(DISTINCT nullif(recipient, x'')), total({_TOLD}), total({_NOT_DUE})"
_REFUNDS_OF_TIME = f"SELECT {_COUNTS} FROM refunds WHERE {_OF_TIME}"  # noqa: S608 - constants
_OWED = f"SELECT currency, {_SUMS} FROM refunds WHERE {_OF_TIME} AND NOT {_TOLD} AND NOT {_NOT_DUE} GROUP BY currency"  # noqa: S608
_AWAITED = f"SELECT currency, {_SUMS} FROM refunds WHERE {_OF_TIME} AND {_NOT_DUE} GROUP BY currency"  # noqa: S608
_WRONG_OF_TIME = f"SELECT count(*), count(DISTINCT nullif(customer, x'')) {_WRONG}"
_WRONG_MONEY = f"SELECT currency, {_SUMS} {_WRONG} AND amount IS NOT NULL GROUP BY currency"
_OPEN = "FROM differences WHERE settled IS NULL AND instr(:kinds, ' ' || kind || ' ')"
_CLASS = f"SELECT count(*), min(at), count(DISTINCT nullif(customer, x'')) {_OPEN}"
_CLASS_MONEY = f"SELECT currency, {_SUMS} {_OPEN} AND amount IS NOT NULL GROUP BY currency"

_NEVER = f"""
    SELECT (SELECT count(*) FROM refunds WHERE state = {AWAITED} AND at <= :refunds_until)
      + (SELECT count(*) FROM confirmations WHERE state = {UNDECIDED} AND (at < :confirmations_from OR at <= :confirmations_until))"""  # noqa: S608
_YOUNG = f"""
    SELECT (EXISTS (SELECT 1 FROM refunds WHERE state = {AWAITED})
        AND NOT EXISTS (SELECT 1 FROM refunds WHERE at BETWEEN :refunds_from AND :refunds_until))
      OR (EXISTS (SELECT 1 FROM confirmations WHERE state = {UNDECIDED})
        AND NOT EXISTS (SELECT 1 FROM confirmations WHERE at BETWEEN :confirmations_from AND :confirmations_until))"""  # noqa: S608


class Undecided(NamedTuple):
    """`never`: records that wait in vain, because what would decide them lies before what was read, or because too many have their
    number; `young`: something waits on a side of which nothing has come of age, so nothing could have been found there."""

    never: int = 0
    young: bool = False


def undecided(db: sqlite3.Connection, bounds: Bounds) -> Undecided:
    """Of a store that was compared within `bounds`."""
    if bounds.refunds is None or bounds.confirmations is None:
        return Undecided()
    asked = {
        "refunds_from": bounds.refunds[0],
        "refunds_until": bounds.refunds[1],
        "confirmations_from": bounds.confirmations[0],
        "confirmations_until": bounds.confirmations[1],
    }
    never, young = db.execute(_NEVER, asked).fetchone()[0], db.execute(_YOUNG, asked).fetchone()[0]
    return Undecided(never, bool(young))


def standing(db: sqlite3.Connection, classes: tuple[ClassStanding, ...]) -> Standing:
    counts = {name: int(meta(db, name) or 0) for name in ("refunds", "confirmations", "told", "awaited", "undecided")}
    return Standing(
        refunds=counts["refunds"],
        confirmations=counts["confirmations"],
        confirmed=counts["told"],
        awaited=counts["awaited"],
        undecided=counts["undecided"],
        classes=classes,
        refunds_until=meta(db, "refunds_until"),
        confirmations_until=meta(db, "confirmations_until"),
        oldest_unconfirmed=next(one.earliest for one in classes if one.kind is DifferenceClass.MISSING),
    )


def classes(db: sqlite3.Connection) -> tuple[ClassStanding, ...]:
    """Goes over all open differences."""
    ever = {name: (found, latest) for name, found, latest in db.execute("SELECT name, found, latest FROM classes")}
    result = []
    for kind in DifferenceClass:
        kinds = {"kinds": _spelt(_KINDS[kind])}
        unsettled, earliest, customers = db.execute(_CLASS, kinds).fetchone()
        found, latest = ever.get(kind.value, (0, None))
        sums = _money(db.execute(_CLASS_MONEY, kinds))
        result.append(ClassStanding(kind, unsettled, found, latest, earliest, customers, sums))
    return tuple(result)


def differences(db: sqlite3.Connection, wanted: Wanted) -> Page:
    rows = db.execute(
        _DIFFERENCES,
        {
            "after": wanted.after,
            "since": wanted.since,
            "open": wanted.open_only,
            "provider": wanted.provider,
            "kinds": _spelt(wanted.kinds),
            "limit": wanted.limit + 1,
        },
    ).fetchall()
    page = rows[: wanted.limit]
    return Page(tuple(_difference(*row) for row in page), page[-1][0] if page and len(rows) > len(page) else None)


def impact(db: sqlite3.Connection, since: float, until: float, provider: str) -> Impact:
    asked = {"since": since, "until": until, "provider": provider, "compared": meta(db, "refund_mark") or 0}
    refunds, customers, told, awaited = db.execute(_REFUNDS_OF_TIME, asked).fetchone()
    wrong, wrong_customers = db.execute(_WRONG_OF_TIME, asked).fetchone()
    read = (meta(db, "refunds_until"), meta(db, "confirmations_until"))
    return Impact(
        since=since,
        until=min(until, *(at for at in read if at is not None)) if any(at is not None for at in read) else until,
        refunds=refunds,
        customers=customers,
        confirmed=int(told),
        owed=refunds - int(told) - int(awaited),
        owed_money=_money(db.execute(_OWED, asked)),
        awaited=int(awaited),
        awaited_money=_money(db.execute(_AWAITED, asked)),
        wrong=wrong,
        wrong_customers=wrong_customers,
        wrong_money=_money(db.execute(_WRONG_MONEY, asked)),
        provider=provider,
    )


def volume(db: sqlite3.Connection, since: float, slice_seconds: float) -> tuple[Slice, ...]:
    """`slice_seconds`: a multiple of SLOT."""
    newest = db.execute("SELECT max(slot) FROM volumes").fetchone()[0]
    if newest is None:
        return ()
    last = int(newest * SLOT // slice_seconds)
    first = max(int(since // slice_seconds), last - MOST_SLICES + 1)
    counts: dict[str, dict[int, int]] = {side.value: {} for side in Side}
    for side, slot, records in db.execute("SELECT side, slot, records FROM volumes WHERE slot >= ?", (first * slice_seconds // SLOT,)):
        place = int(slot * SLOT // slice_seconds)
        counts[side][place] = counts[side].get(place, 0) + records
    refunds, confirmations = counts[Side.REFUNDS], counts[Side.CONFIRMATIONS]
    return tuple(Slice(at * slice_seconds, refunds.get(at, 0), confirmations.get(at, 0)) for at in range(first, last + 1))


def sources(db: sqlite3.Connection) -> tuple[SourceStanding, ...]:
    faults: dict[int, list[tuple[str, RowFault]]] = {}
    for source, origin, *fault in db.execute("SELECT source, origin, line, what, mend, field FROM faults ORDER BY id"):
        faults.setdefault(source, []).append((origin, RowFault(*fault)))
    rows = db.execute(
        "SELECT id, name, side, first_read, last_read, read_until, earliest, latest, records, refused, dropped FROM sources ORDER BY name"
    )
    return tuple(_source(*row, tuple(faults.get(row[0], ())), _days(db, row[0])) for row in rows)


def _days(db: sqlite3.Connection, source: int) -> tuple[float, ...]:
    rows = db.execute("SELECT at FROM days WHERE source = ? ORDER BY day DESC LIMIT ?", (source, MOST_DAYS))
    return tuple(row[0] for row in rows)[::-1]


def _source(_: int, name: str, side: str, *rest: Any) -> SourceStanding:
    return SourceStanding(name, Side(side), *rest)


def _difference(*row: Any) -> Difference:
    _, kind, key, found, settled, note, *both = row
    number, amount, currency, at, source, origin, line = both[:7]
    said, said_currency, sent_at, shown_by, shown_in, shown_line = both[7:]
    return Difference(
        kind=DifferenceKind(kind),
        key=key,
        found=found,
        settled=settled,
        number=number or "",
        refund=money(amount, currency) if at is not None else None,
        refund_at=at,
        refund_place=place(source, origin, line) if at is not None else "",
        confirmation=money(said, said_currency) if said is not None and said_currency else None,
        confirmation_at=sent_at,
        confirmation_place=place(shown_by, shown_in, shown_line) if sent_at is not None else "",
        note=note,
    )


def _money(sums: Iterable[tuple[str, int, int]]) -> tuple[Money, ...]:
    return tuple(money(high * _HALF + low, currency) for currency, high, low in sorted(sums) if currency)


def _spelt(kinds: Iterable[DifferenceKind]) -> str:
    return f" {' '.join(kinds)} "
