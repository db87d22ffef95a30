"""Rows of files, databases and pushed batches -> records.

A row that cannot be taken becomes a fault with its line, its column and its mend; the good rows around it are kept. A refund whose
reversal names no time counts as reversed now, when it was first heard of: nothing is owed, and no mail that was sent before is accused.
A confirmation without an id of its own is known by all that it says, so that two rows which say the same are one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import NoReturn, TypeVar

from monitor.model.ledger import Confirmation, Outcome, Refund, RowFault, Table
from monitor.model.sources import Layout, Match, RefundStatus
from monitor.rules.reconcile.figures import FigureFault, currency_of, figure, minor, quoted
from monitor.rules.reconcile.header import CONFIRMATIONS, REFUNDS, Header, header_of
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.times import TimeFault, clock_of

MOST_FAULTS = 1_000  # that are kept of one table
LONGEST_NUMBER = 200  # characters of a refund's or order's number
LONGEST_ID = 998  # a line of RFC 5322: ids are Message-IDs at times
LONGEST_ADDRESS = 320
MOST_WORDS = 100  # spellings of statuses that are remembered
MOST_CODES = 200  # spellings of currencies that are remembered; to the next ones no nearest is looked for

_STATUSES: Mapping[str, RefundStatus] = {
    **dict.fromkeys(("processed", "done", "completed", "paid", "succeeded", "refunded"), RefundStatus.PROCESSED),
    **dict.fromkeys(("reversed", "cancelled", "canceled", "voided", "charged_back"), RefundStatus.REVERSED),
    **dict.fromkeys(("pending", "failed", "rejected", "draft"), RefundStatus.IGNORED),
}
_OUTCOMES: Mapping[str, Outcome | None] = {  # None: not decided yet, so no record yet
    **dict.fromkeys(("sent", "delivered", "accepted"), Outcome.SENT),
    **dict.fromkeys(("failed", "bounced", "rejected"), Outcome.FAILED),
    **dict.fromkeys(("held",), Outcome.HELD),
    **dict.fromkeys(("deferred", "queued"), None),
}
_TRUTHS = {**dict.fromkeys(("true", "yes", "y", "t", "1"), True), **dict.fromkeys(("", "false", "no", "n", "f", "0"), False)}
_DIGEST = 16  # bytes: of what stands for an id
_EXACT = 10**15  # up to here a binary fraction holds every whole number
_LONG = 10**18
_NEGATIVE = re.compile(r"[-\u2212](.{1,60})|\((.{1,60})\)|(.{1,60})[-\u2212]")
R = TypeVar("R", Refund, Confirmation)
_made = tuple.__new__  # a third of the time of the constructor of a NamedTuple, a million times


class _Left(Enum):
    """Why a good row makes no record."""

    PROBE = "probe"
    NO_RECORD = "no record"  # no money moved, or nothing was sent yet


class _Unfit(Exception):
    """The row cannot be taken."""

    def __init__(self, field: str, what: str, mend: str = "") -> None:
        self.field = field
        self.what = what
        self.mend = mend


def refunds_of_rows(table: Table, layout: Layout, known: Known, now: float) -> tuple[list[Refund], list[RowFault], int]:
    """(records, faults, probes dropped)."""
    needed = _needed(known, "amount") if layout.currency else _needed(known, "amount", "currency")
    header = header_of(table, REFUNDS, needed, layout.columns)
    if isinstance(header, RowFault):
        return [], [header], 0
    return _each(table, header, _Reader(layout, known, now).refund)


def confirmations_of_rows(table: Table, layout: Layout, known: Known, now: float) -> tuple[list[Confirmation], list[RowFault], int]:
    """(records, faults, probes dropped)."""
    header = header_of(table, CONFIRMATIONS, _needed(known), layout.columns)
    if isinstance(header, RowFault):
        return [], [header], 0
    return _each(table, header, _Reader(layout, known, now).confirmation)


def _needed(known: Known, *money: str) -> tuple[str, ...]:
    return ("refund" if known.match is Match.REFUND else "order", *money, "at")


def _each(table: Table, header: Header, read: Callable[..., R | _Left]) -> tuple[list[R], list[RowFault], int]:
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
        except _Unfit as unfit:
            refused += 1
            if refused <= MOST_FAULTS:
                faults.append(RowFault(line, unfit.what, unfit.mend, theirs.get(unfit.field, "")))
            continue
        if isinstance(record, _Left):
            dropped += record is _Left.PROBE
        else:
            records.append(record)
    if refused > MOST_FAULTS:
        faults.append(RowFault(0, f"{refused - MOST_FAULTS} more rows were not taken", "mend these first"))
    return records, faults, dropped


def _misfit(fields: int, width: int) -> NoReturn:
    raise _Unfit("", f"has {fields} fields, the header has {width}", "look for a delimiter inside a field that is not quoted")


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
        self._now = now
        self._codes: dict[str, str | _Unfit] = {}
        self._words: dict[str, RefundStatus] = {}  # statuses as they are written

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
        address = _address(recipient)
        known = self._known
        if known.is_probe(number, address) or (number != key and known.is_probe(key, address)):
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
        address = _address(recipient)
        known = self._known
        if known.is_probe(number, address) or (number != key and known.is_probe(key, address)):
            return _Left.PROBE
        became = Outcome.SENT if outcome is None else _outcome(outcome)
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
        identity = _identity(own_id) if own_id is not None else ""
        if not identity:
            identity = "row:" + _digest(b"\0".join((key.encode(), number.encode(), whom, f"{said} {code} {sent!r}".encode())))
        again = resend is not None and resend != "" and _truth(resend)
        provider = known.provider(address) if address else ""
        return _made(Confirmation, (key, identity, said, code, sent, whom, provider, became.value, again, line))

    def _key(self, refund: object, order: object) -> tuple[str, str]:
        """(by which it is matched, number of the refund)."""
        if not self._by_order:
            number = _number("refund", refund)
            return number, number
        key = _number("order", order)
        return key, (_number("refund", refund) if refund is not None and refund != "" else key)

    def _status(self, value: object) -> RefundStatus:
        word = _text("status", value).lower()
        found = self._statuses.get(word)
        if found is None:
            mend = f"set `statuses: {{{quoted(word)}: processed}}`, or reversed or ignored"
            raise _Unfit("status", f"the status {quoted(word)} is not known" if word else "there is no status", mend)
        if isinstance(value, str) and len(self._words) < MOST_WORDS:
            self._words[value] = found
        return found

    def _money(self, amount: object, currency: object) -> tuple[int, str]:
        code = self._currency if currency is None or currency == "" else self._code(currency)
        is_text = type(amount) is str
        if self._negative:
            amount = _turned(_text("amount", amount))
        try:
            if type(amount) is str and is_text and not self._minor:
                paid, named = figure(amount, self._decimal, code)
            elif self._minor:
                paid, named = minor(_text("amount", amount), code)
            else:  # numbers have a point, whatever the mark in text is
                paid, named = figure(_text("amount", amount), ".", code)
        except FigureFault as fault:
            raise _Unfit("amount", fault.what, fault.mend) from None
        if named != code and currency is not None and currency != "":
            raise _Unfit("amount", f"the amount is in {named}, its currency is {code}", "make the two agree")
        return paid, named

    def _code(self, value: object) -> str:
        raw = value if type(value) is str else _text("currency", value)
        found = self._codes.get(raw)
        if found is None:
            try:
                found = currency_of(raw, near=len(self._codes) < MOST_CODES) if raw.strip() else self._currency
            except FigureFault as fault:
                found = _Unfit("currency", fault.what, fault.mend)
            if len(self._codes) < MOST_CODES:
                self._codes[raw] = found
        if isinstance(found, _Unfit):
            raise found
        return found

    def _time(self, field: str, value: object) -> float:
        try:
            return self._clock(value)
        except TimeFault as fault:
            raise _Unfit(field, fault.what, fault.mend) from None


def _turned(amount: str) -> str:
    """-12.50 or (12.50) -> 12.50; nothing and nought stay what they are."""
    found = _NEGATIVE.fullmatch(amount)
    if found is None and any(digit in amount for digit in "123456789"):
        raise _Unfit("amount", f"{quoted(amount)} is positive", "leave `negative: true` away, or such rows out")
    return (found[1] or found[2] or found[3]).strip() if found else amount


def _text(field: str, value: object) -> str:
    """A cell as text. Numbers are written as they are, without an exponent where they are whole."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Unfit(field, f"is a {type(value).__name__}", "write text or a number")
    if isinstance(value, int) and abs(value) >= _LONG:
        raise _Unfit(field, "is a number of more than 18 digits", "write it as text")
    return str(int(value)) if abs(value) < _EXACT and value == int(value) else repr(value)


def _number(field: str, value: object) -> str:
    number = value.strip() if type(value) is str else _text(field, value)
    if not number:
        raise _Unfit(field, f"there is no {field} number", "fill it in, or leave the row out")
    if len(number) > LONGEST_NUMBER or not number.isprintable():
        _unfit(field, number, LONGEST_NUMBER)
    return number


def _address(value: object) -> str:
    if value is None or value == "":
        return ""
    address = value.strip() if type(value) is str else _text("recipient", value)
    if len(address) > LONGEST_ADDRESS or not address.isprintable():
        _unfit("recipient", address, LONGEST_ADDRESS)
    return address


def _unfit(field: str, text: str, longest: int) -> NoReturn:
    """Says why: it is too long, or not printable."""
    if len(text) > longest:
        raise _Unfit(field, f"has {len(text)} characters, at most {longest} are taken", "look for a quote that is not closed")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _Unfit(field, "has bytes that are not UTF-8", "save the file as UTF-8")
    raise _Unfit(field, "has control or invisible characters", "take them out")


def _identity(value: object) -> str:
    """Of an id of its own; empty: it has none. A Message-ID may hold an address: of what has an @ a digest is kept."""
    own = value.strip() if type(value) is str else _text("id", value)
    if not own:
        return ""
    if len(own) > LONGEST_ID or not own.isprintable():
        _unfit("id", own, LONGEST_ID)
    return f"mid:{_digest(own.encode())}" if "@" in own else f"id:{own}"


def _digest(what: bytes) -> str:
    return hashlib.blake2b(what, digest_size=_DIGEST).hexdigest()


def _outcome(value: object) -> Outcome | None:
    word = _text("outcome", value).lower()
    if word not in _OUTCOMES:
        known = ", ".join(_OUTCOMES)
        raise _Unfit("outcome", f"the outcome {quoted(word)} is not known" if word else "there is no outcome", f"write one of {known}")
    return _OUTCOMES[word]


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text("resend", value).lower()
    if word not in _TRUTHS:
        raise _Unfit("resend", f"{quoted(word)} is neither true nor false", "write true or false")
    return _TRUTHS[word]
