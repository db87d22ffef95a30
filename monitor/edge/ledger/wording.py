"""What the store says of records in words."""

from __future__ import annotations

from monitor.model.ledger import SCALE, RowFault

_Said = tuple[int, str, int | None, str]  # line, origin, amount, currency
_LONGEST = 64  # characters of a number that came from outside


def conflict(what: str, first: _Said, second: _Said) -> RowFault:
    """Two rows that contradict each other."""
    apart = first[1] != second[1]
    text = f"{_shown(what)} is{_told(first, apart)} and{_told(second, apart)}; the first one is kept"
    return RowFault(second[0], text, "find out which one is right")


def place(source: str, origin: str, line: int) -> str:
    return ", ".join(part for part in (source, origin if origin != source else "", f"line {line}" if line else "") if part)


def span(seconds: float) -> str:
    """A duration in its largest unit, rounded down."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _told(said: _Said, apart: bool) -> str:
    line, origin, amount, currency = said
    where = f" on line {line}" if line else ""
    return f"{where}{f' of {origin}' if apart else ''} with {_exactly(amount or 0, currency)}"


def _exactly(amount: int, currency: str) -> str:
    whole, parts = divmod(abs(amount), SCALE)
    decimals = f"{parts:04d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals} {currency}".rstrip()


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[: _LONGEST + 20])
