"""Times as ledgers write them -> seconds since the epoch.

ISO 8601 with or without a zone (RFC 3339 with a space too), seconds or milliseconds since the epoch, or a format of strptime. A time
without a zone is one of `Layout.time_zone`; where the clocks go back it happened twice and where they go forward never, and is taken as
the later of the two instants that it may mean, unless that is still to come: nobody is accused of being an hour late. A date without a
time is the last second of that day: nothing is demanded before it is over. What lies before the year 2000, or more than a day ahead, is a
fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from monitor.model.sources import Layout
from monitor.rules.reconcile.figures import quoted

OLDEST = 946_684_800.0  # 2000-01-01
AHEAD = 86_400.0  # seconds that a clock of theirs, or the last second of today, may be ahead
LONGEST = 64  # characters of a time

_MILLISECONDS = 100_000_000_000  # more than so many seconds since the epoch are milliseconds
_EPOCH = re.compile(r"([0-9]{9,13})(\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}|[0-9]{4}-?W[0-9]{2}(?:-?[0-9])?")
_NAMED_UTC = re.compile(r"(.*[0-9]) ?(?:UTC|GMT|Z)", re.I)
_NO_TIME = re.compile(r"%[HIMSTXcs]")  # a format without any of them is one of dates
_MONTHS = 12
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class TimeFault(ValueError):
    """What is wrong with a time, and the mend."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


def clock_of(layout: Layout, now: float) -> Callable[[object], float]:
    """The reader of this layout's times: text or number -> seconds since the epoch. It raises TimeFault. Zone and format are good ones.
    `now`: infinite for a reader whose answers do not depend on when it is asked."""
    zone, form, latest = _zone(layout.time_zone), layout.time_format, now + AHEAD
    iso, dates_only = datetime.fromisoformat, bool(form) and not _NO_TIME.search(form)

    def read(value: object) -> float:
        if type(value) is str and not form and len(value) > 10:
            try:
                moment = iso(value)
                at = moment.timestamp() if moment.tzinfo is not None else _placed(moment, zone, now)
            except (ValueError, OverflowError):
                at = _carefully(value, zone, now)
        elif form and isinstance(value, str):
            at = _formatted(value.strip(), form, zone, now, dates_only=dates_only)
        else:
            at = _carefully(value, zone, now)
        if OLDEST <= at <= latest:
            return at
        raise TimeFault(*_astray(value, at, latest))

    return read


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return UTC if name.upper() in ("", "UTC", "Z") else ZoneInfo(name)


def _placed(moment: datetime, zone: tzinfo, now: float) -> float:
    """A time of the wall clock, as the later instant that it may mean (PEP 495: in a fold that is the second, in a gap the first), or as
    the earlier one where the later is beyond `now`."""
    if zone is UTC:
        return moment.replace(tzinfo=UTC).timestamp()
    first = moment.replace(tzinfo=zone)
    earlier, later = sorted((first.timestamp(), first.replace(fold=1).timestamp()))
    return later if later <= now else earlier


def _carefully(value: object, zone: tzinfo, now: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(value)
    if not isinstance(value, str):
        raise TimeFault("there is no time" if value is None else f"a {type(value).__name__} is no time", _MEND)
    text = value.strip()
    if not text or len(text) > LONGEST:
        raise TimeFault(f"a time of {len(text)} characters" if text else "there is no time", _MEND)
    if _EPOCH.fullmatch(text):
        return _epoch(float(text) if "." in text else int(text))
    try:
        if _DATE.fullmatch(text):
            return _end_of(datetime.fromisoformat(text), zone, now)
        named = _NAMED_UTC.fullmatch(text)
        moment = datetime.fromisoformat(f"{named[1]}Z" if named else text)
        return moment.timestamp() if moment.tzinfo is not None else _placed(moment, zone, now)
    except (ValueError, OverflowError):
        raise TimeFault(f"{quoted(value)} is no time of ISO 8601", _mend(text)) from None


def _formatted(text: str, form: str, zone: tzinfo, now: float, *, dates_only: bool) -> float:
    if not text or len(text) > LONGEST:
        raise TimeFault(f"a time of {len(text)} characters" if text else "there is no time", "write it as `time_format:` says")
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the layout's where the text has none
        if dates_only:
            return _end_of(moment, zone, now)
        return moment.timestamp() if moment.tzinfo is not None else _placed(moment, zone, now)
    except (ValueError, OverflowError, re.error):
        raise TimeFault(f"{quoted(text)} is no time like {form!r}", "set `time_format:` to what the rows have") from None


def _end_of(day: datetime, zone: tzinfo, now: float) -> float:
    return _placed(day + _DAY - _SECOND, zone, now)


def _epoch(value: int | float) -> float:
    """Seconds or milliseconds, whichever makes a time of this century."""
    if not abs(value) < 10**15:  # infinite and what is no number too
        raise TimeFault("a number that is no time since the epoch", "write seconds or milliseconds")
    return value / 1000.0 if abs(value) >= _MILLISECONDS else float(value)


_MEND = "write it like 2026-03-01T12:00:00Z"


def _mend(text: str) -> str:
    if re.fullmatch(r"[0-9]{14}", text):
        return 'set `time_format: "%Y%m%d%H%M%S"`'
    if found := re.match(r"[0-9]{1,2}([./-])([0-9]{1,2})[./-][0-9]{4}(.?)", text):
        sign, second, rest = found.groups()
        day, month = ("%m", "%d") if int(second) > _MONTHS else ("%d", "%m")
        clock = " %I:%M:%S %p" if text.upper().endswith(("AM", "PM")) else " %H:%M:%S"
        return f'set `time_format:`, as in "{day}{sign}{month}{sign}%Y{clock if rest else ""}"'
    return f"{_MEND}, or set `time_format:`"


def _astray(value: object, at: float, latest: float) -> tuple[str, str]:
    shown = quoted(str(value)[:LONGEST])
    if at > latest:
        return f"{shown} lies more than a day in the future", "look for a clock that is wrong, or for another column"
    return f"{shown} lies before the year 2000", "look for a column that is not a time, or for seconds written as something else"
