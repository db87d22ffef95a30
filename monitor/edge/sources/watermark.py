"""How far a query was read: the value of the column that grows, as the database gave it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

MAX_TEXT = 200  # characters of a watermark that is text

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)([.,]\d{1,9})?( ?(?:Z|[+-]\d\d(?::?\d\d)?))?\Z", re.ASCII | re.IGNORECASE)


class WatermarkError(Exception):
    """A value that cannot say how far was read."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


class Kind(StrEnum):
    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    NAIVE = "time"
    ZONED = "zoned"
    DATE = "date"
    TEXT = "text"


_NUMBERS = frozenset({Kind.INT, Kind.DECIMAL, Kind.FLOAT})
_CALLED = {Kind.NAIVE: "a time without zone", Kind.ZONED: "a time with zone", Kind.DATE: "a date", Kind.TEXT: "text"}


@dataclass(frozen=True, slots=True)
class Watermark:
    """Values of one family have an order: numbers, times with zone, times without, dates, text (by code point)."""

    kind: Kind
    value: int | Decimal | float | datetime | date | str

    @classmethod
    def of(cls, value: object) -> Watermark:
        """Raises WatermarkError for NULL and for what has no order."""
        match value:
            case None:
                raise WatermarkError("is NULL", "let the query leave such rows out, or fill the column")
            case bool():
                raise WatermarkError("is true or false", "name a time of change or a number")
            case int():
                return cls(Kind.INT, value)
            case Decimal() if value.is_finite():
                return cls(Kind.DECIMAL, value)
            case float() if math.isfinite(value):
                return cls(Kind.FLOAT, value)
            case datetime():
                return cls(Kind.NAIVE if value.tzinfo is None else Kind.ZONED, value)
            case date():
                return cls(Kind.DATE, value)
            case str() if len(value) <= MAX_TEXT:
                return cls(Kind.TEXT, value)
            case str():
                raise WatermarkError(f"is text of more than {MAX_TEXT} characters", "name a time of change or a number")
        raise WatermarkError(f"is no time, number or text ({type(value).__name__})", "CAST it in the query")

    @classmethod
    def parse(cls, kind: str, text: str) -> Watermark:
        """What `str(watermark)` said. Raises ValueError, and ArithmeticError for a Decimal."""
        match Kind(kind):
            case Kind.INT:
                return cls(Kind.INT, int(text))
            case Kind.DECIMAL:
                return cls(Kind.DECIMAL, Decimal(text))
            case Kind.FLOAT:
                return cls(Kind.FLOAT, float(text))
            case Kind.NAIVE | Kind.ZONED as time:
                return cls(time, datetime.fromisoformat(text))
            case Kind.DATE:
                return cls(Kind.DATE, date.fromisoformat(text))
            case Kind.TEXT:
                return cls(Kind.TEXT, text)

    def __str__(self) -> str:
        return self.value.isoformat() if isinstance(self.value, date) else str(self.value)

    @property
    def called(self) -> str:
        """What it is, for people."""
        return _CALLED.get(self.kind, "a number")

    def before(self, other: Watermark) -> bool:
        """Whether it is lower. Raises WatermarkError when the two have no order."""
        if not self.is_like(other):
            raise WatermarkError(f"is {other.called} and was {self.called} before", "CAST it in the query, or give the source another name")
        return bool(self.value < other.value)  # type: ignore[operator]  # of one family

    def is_like(self, other: Watermark) -> bool:
        return self.kind is other.kind or (self.kind in _NUMBERS and other.kind in _NUMBERS)

    def less(self, overlap: float) -> Watermark:
        """The watermark `overlap` seconds, or as much of a number, before. Raises WatermarkError for text that is no time."""
        if overlap <= 0:
            return self
        match self.value:
            case int():
                return Watermark(self.kind, self.value - math.ceil(overlap))
            case Decimal():
                return Watermark(self.kind, self.value - Decimal(str(overlap)))
            case float():
                return Watermark(self.kind, self.value - overlap)
            case datetime():
                return Watermark(self.kind, _earlier(self.value, overlap))
            case date():
                return Watermark(self.kind, date.fromordinal(max(1, self.value.toordinal() - math.ceil(overlap / 86_400))))
            case str():
                return Watermark(self.kind, _earlier_text(self.value, overlap))


def _earlier(time: datetime, seconds: float) -> datetime:
    try:
        return time - timedelta(seconds=seconds)
    except OverflowError:  # the year 1
        return datetime.min.replace(tzinfo=time.tzinfo)


def _earlier_text(text: str, seconds: float) -> str:
    """A time as text, in the same spelling: what stands after the seconds stays, so that texts keep their order."""
    found = _ISO.match(text)
    try:
        if found is None:
            raise ValueError("no time")  # noqa: TRY301 - one answer to both
        earlier = _earlier(datetime.fromisoformat(f"{found[1]} {found[3]}"), math.ceil(seconds))
    except ValueError:
        raise WatermarkError(
            "is text that is no ISO 8601 time, so nothing can be taken off it",
            "CAST it to a time or a number in the query, or set overlap: 0s",
        ) from None
    return f"{earlier.date().isoformat()}{found[2]}{earlier.time().isoformat()}{found[4] or ''}{found[5] or ''}"
