"""Rows of files, databases and pushed batches -> records.

A row that cannot be taken becomes a fault with its line, its column and its mend; the good rows around it are kept. A refund whose
reversal names no time counts as reversed now, when it was first heard of: nothing is owed, and no mail that was sent before is accused.
A confirmation without an id of its own is known by all that it says, so that two rows which say the same are one; so is a refund that
names but its order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from typing import NoReturn, TypeVar

from monitor.model.ledger import Confirmation, Outcome, Refund, RowFault, Table, money
from monitor.model.sources import Layout, Match, RefundStatus
from monitor.rules.reconcile.cells import Unfit, address_of, digest, identity_of, number_of, outcome_of, text_of, truth_of, turned
from monitor.rules.reconcile.figures import FigureFault, currency_of, figure, minor, quoted, shown
from monitor.rules.reconcile.header import CONFIRMATIONS, REFUNDS, Header, header_of
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.times import AHEAD, TimeFault, clock_of

MOST_FAULTS = 10_000  # that are kept of one table: of each row of a portion, for the keys of refused rows accuse nobody
MOST_STRANGE = 20  # unknown statuses that a mend names
MOST_WORDS = 100  # spellings of statuses that are remembered
MOST_CODES = 200  # spellings of currencies that are remembered; to the next ones no nearest is looked for

_STATUSES: Mapping[str, RefundStatus] = {
    **dict.fromkeys(("processed", "done", "completed", "paid", "succeeded", "refunded"), RefundStatus.PROCESSED),
    **dict.fromkeys(("reversed", "cancelled", "canceled", "voided", "charged_back"), RefundStatus.REVERSED),
    **dict.fromkeys(("pending", "failed", "rejected", "draft"), RefundStatus.IGNORED),
}
R = TypeVar("R", Refund, Confirmation)
_made = tuple.__new__  # a third of the time of the constructor of a NamedTuple, a million times


class _Left(Enum):
    """Why a good row makes no record."""

    PROBE = "probe"
    NO_RECORD = "no record"  # no money moved, or nothing was sent yet


def refunds_of_rows(table: Table, layout: Layout, known: Known, now: float) -> tuple[list[Refund], list[RowFault], int]:
    """(records, faults, probes dropped)."""
    needed = _needed(known, "amount") if layout.currency else _needed(known, "amount", "currency")
    header = header_of(table, REFUNDS, needed, layout.columns)
    if isinstance(header, RowFault):
        return [], [header], 0
    reader = _Reader(layout, known, now)
    records, faults, dropped = _each(table, header, _by(known), reader.refund)
    return records, reader.with_all_words(faults), dropped


def confirmations_of_rows(table: Table, layout: Layout, known: Known, now: float) -> tuple[list[Confirmation], list[RowFault], int]:
    """(records, faults, probes dropped)."""
    header = header_of(table, CONFIRMATIONS, _needed(known), layout.columns)
    if isinstance(header, RowFault):
        return [], [header], 0
    return _each(table, header, _by(known), _Reader(layout, known, now).confirmation)


def _needed(known: Known, *money: str) -> tuple[str, ...]:
    return (_by(known), *money, "at")


def _by(known: Known) -> str:
    """The field by which both sides are matched."""
    return "refund" if known.match is Match.REFUND else "order"


def _each(table: Table, header: Header, by: str, read: Callable[..., R | _Left]) -> tuple[list[R], list[RowFault], int]:
    cut, width, theirs = header.cut, header.width, header.theirs
    records: list[R] = []
    faults: list[RowFault] = []
    refused = dropped = 0
    row: Sequence[object]
    for row, line in zip(table.rows, table.lines, strict=False):
        try:
            if len(row) != width:
                _misfit(len(row), width)
            record = read(*cut((*row, None)), line)
        except Unfit as unfit:
            refused += 1
            if refused <= MOST_FAULTS:
                key = _key_of(row, by, header)
                faults.append(RowFault(line, unfit.what, unfit.mend, theirs.get(unfit.field, ""), key))
            continue
        if isinstance(record, _Left):
            dropped += record is _Left.PROBE
        else:
            records.append(record)
    if refused > MOST_FAULTS:
        faults.append(RowFault(0, f"{refused - MOST_FAULTS} more rows were not taken", "mend these first"))
    return records, faults, dropped


def _key_of(row: Sequence[object], by: str, header: Header) -> str:
    """Of a row that was refused; empty where it cannot be read, or is no number but an address that came to stand there."""
    place = header.places[by]
    try:
        key = number_of(by, row[place]) if place < len(row) else ""
    except Unfit:
        return ""
    return key if "@" not in key else ""


def _misfit(fields: int, width: int) -> NoReturn:
    raise Unfit("", f"has {fields} fields, the header has {width}", "look for a delimiter inside a field that is not quoted")


class _Reader:
    """Reads one row at a time, given its cells in the order of the fields."""

    def __init__(self, layout: Layout, known: Known, now: float) -> None:
        self._known = known
        self._by_order = known.match is Match.ORDER
        self._decimal = layout.decimal
        self._minor = layout.minor_units
        self._negative = layout.negative
        self._currency = layout.currency
        self._statuses = {**_STATUSES} | {word.strip().lower(): status for word, status in layout.statuses.items()}
        self._clock = clock_of(layout, now)
        self._always = clock_of(layout, math.inf)
        self._now = now
        self._codes: dict[str, str | Unfit] = {}
        self._words: dict[str, RefundStatus] = {}  # statuses as they are written
        self._strange: dict[str, str] = {}  # what a fault says of an unknown one -> its word

    def refund(
        self,
        refund: object,
        order: object,
        amount: object,
        currency: object,
        at: object,
        recipient: object,
        status: object,
        reversed_at: object,
        line: int,
    ) -> Refund | _Left:
        key, number = self._key(refund, order)
        address = address_of(recipient)
        known = self._known
        if known.is_probe(number or key, address) or (number != key and known.is_probe(key, address)):
            return _Left.PROBE
        if status is None:
            standing = RefundStatus.PROCESSED
        else:
            standing = self._words.get(status) or self._status(status) if type(status) is str else self._status(status)
        if standing is RefundStatus.IGNORED:
            return _Left.NO_RECORD
        paid, code = self._money(amount, currency)
        undone: float | None = None
        if reversed_at is not None and reversed_at != "":
            undone = self._time("reversed_at", reversed_at)
        elif standing is RefundStatus.REVERSED:
            undone = self._now
        processed = self._time("at", at)
        if not number:
            when = datetime.fromtimestamp(self._settled(at, processed), UTC).isoformat().replace("+00:00", "Z")
            number = f"{key}, {shown(money(paid, code))}, {when}"
        whom = known.recipient(address) if address else b""
        return _made(Refund, (key, number, paid, code, processed, whom, known.provider(address) if address else "", undone, line))

    def confirmation(
        self,
        own_id: object,
        refund: object,
        order: object,
        amount: object,
        currency: object,
        at: object,
        recipient: object,
        outcome: object,
        resend: object,
        line: int,
    ) -> Confirmation | _Left:
        key, number = self._key(refund, order)
        address = address_of(recipient)
        known = self._known
        if known.is_probe(number or key, address) or (number != key and known.is_probe(key, address)):
            return _Left.PROBE
        became = Outcome.SENT if outcome is None else outcome_of(outcome)
        if became is None:
            return _Left.NO_RECORD
        if became is Outcome.SENT and known.is_holding(address):
            became = Outcome.HELD
        said: int | None = None
        code = ""
        if amount is not None and amount != "":
            said, code = self._money(amount, currency)
        sent = self._time("at", at)
        whom = known.recipient(address)
        identity = identity_of(own_id) if own_id is not None else ""
        if not identity:
            identity = "row:" + digest(
                b"\0".join((key.encode(), (number or key).encode(), whom, f"{said} {code} {self._settled(at, sent)!r}".encode()))
            )
        again = resend is not None and resend != "" and truth_of(resend)
        provider = known.provider(address) if address else ""
        return _made(Confirmation, (key, identity, said, code, sent, whom, provider, became.value, again, line))

    def _key(self, refund: object, order: object) -> tuple[str, str]:
        """(by which it is matched, number of the refund; empty: it has none beside its order's)."""
        if not self._by_order:
            number = number_of("refund", refund)
            return number, number
        key = number_of("order", order)
        return key, (number_of("refund", refund) if refund is not None and refund != "" else "")

    def _status(self, value: object) -> RefundStatus:
        word = text_of("status", value).lower()
        found = self._statuses.get(word)
        if found is None:
            what = f"the status {quoted(word)} is not known" if word else "there is no status"
            if len(self._strange) < MOST_STRANGE:
                self._strange[what] = quoted(word)
            raise Unfit("status", what, f"set `statuses: {{{quoted(word)}: processed}}`, or reversed or ignored")
        if isinstance(value, str) and len(self._words) < MOST_WORDS:
            self._words[value] = found
        return found

    def with_all_words(self, faults: list[RowFault]) -> list[RowFault]:
        """Each fault of an unknown status mends all of them, so that nobody learns of them one by one."""
        if len(self._strange) < 2:
            return faults
        words = ", ".join(f"{word}: processed" for word in self._strange.values())
        mend = f"set `statuses: {{{words}}}`, each to processed, reversed or ignored"
        return [replace(fault, mend=mend) if fault.what in self._strange else fault for fault in faults]

    def _money(self, amount: object, currency: object) -> tuple[int, str]:
        code = self._currency if currency is None or currency == "" else self._code(currency)
        is_text = type(amount) is str
        if self._negative:
            amount = turned(text_of("amount", amount))
        try:
            if type(amount) is str and is_text and not self._minor:
                paid, named = figure(amount, self._decimal, code)
            elif self._minor:
                paid, named = minor(text_of("amount", amount), code)
            else:  # numbers have a point, whatever the mark in text is
                paid, named = figure(text_of("amount", amount), ".", code, sure=True)
        except FigureFault as fault:
            raise Unfit("amount", fault.what, fault.mend) from None
        if named != code and currency is not None and currency != "":
            raise Unfit("amount", f"the amount is in {named}, its currency is {code}", "make the two agree")
        return paid, named

    def _code(self, value: object) -> str:
        raw = value if type(value) is str else text_of("currency", value)
        found = self._codes.get(raw)
        if found is None:
            try:
                found = currency_of(raw, near=len(self._codes) < MOST_CODES) if raw.strip() else self._currency
            except FigureFault as fault:
                found = Unfit("currency", fault.what, fault.mend)
            if len(self._codes) < MOST_CODES:
                self._codes[raw] = found
        if isinstance(found, Unfit):
            raise found
        return found

    def _time(self, field: str, value: object) -> float:
        try:
            return self._clock(value)
        except TimeFault as fault:
            raise Unfit(field, fault.what, fault.mend) from None

    def _settled(self, value: object, at: float) -> float:
        """The time, whenever the row is read: what a row is known by must not change when the later of two instants has come."""
        return at if at + AHEAD < self._now else self._always(value)
