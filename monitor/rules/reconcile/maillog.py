"""One line of a mail log: when, which host, which daemon of Postfix, which queue id, and what it says.

Read are syslog with and without a year (RFC 3164, RFC 5424), times of RFC 3339 and ISO 8601, Postfix's own maillog_file, and the message
ids of Solaris. Whatever else stands in a log is no entry.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MAX_LINE = 8 * 1024  # characters that are read of a line; syslog cuts far earlier
AHEAD = 86_400.0  # seconds by which a line may be ahead of us
_ASKEW = 60.0  # seconds by which the clock of a host may be wrong
_YEARS = 8  # that are gone back for a 29th of February

_LINE = re.compile(
    r"(?:<\d{1,3}>(?:1 )?)?"
    r"([A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
    r" (\S{1,255}) ([^\s\[\]:]{1,100})(?:\[\d{1,10}\]:| \d{1,10} \S{1,50} -) (?:\[ID \d{1,10} [\w.]{1,40}\] )?(.*)",
    re.DOTALL | re.ASCII,
)
# short ones are hexadecimal; long ones (enable_long_queue_ids) have digits and consonants
QUEUE_ID = "[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,30}"
_QUEUED = re.compile(f"({QUEUE_ID}): (.*)", re.DOTALL)
_STAMP = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(\.\d{1,6})?", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII)
_MONTHS = {
    name: number for number, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}
_DAEMON = re.compile(
    "anvil|bounce|cleanup|defer|discard|dnsblog|error|flush|lmtp|local|master|pickup|pipe|post[a-z-]{3,10}|proxymap|[no]?qmgr|qmqpd|retry"
    "|scache|sendmail|showq|smtpd?|spawn|tlsmgr|tlsproxy|trace|trivial-rewrite|verify|virtual"
)


class Entry(NamedTuple):
    """A line of Postfix. `queue_id` is empty where it speaks of none; `stamp` is as it stands, see `instant`."""

    stamp: str
    host: str
    daemon: str
    queue_id: str
    text: str


def entry(line: str) -> Entry | None:
    """The line taken apart; None if it is not Postfix's. The name that an instance has in the log (syslog_name) makes no difference."""
    found = _LINE.match(line[:MAX_LINE])
    if found is None:
        return None
    stamp, host, tag, rest = found.groups()
    _, slash, daemon = tag.rpartition("/")
    if not slash or not _DAEMON.fullmatch(daemon):
        return None
    queued = _QUEUED.match(rest)
    return Entry(stamp, host, daemon, queued[1], queued[2]) if queued else Entry(stamp, host, daemon, "", rest)


def instant(stamp: str, zone: ZoneInfo, now: float) -> float | None:
    """Seconds since the epoch; None if there is no such time. A stamp without a year is the latest such time that is not more than AHEAD of
    `now`: a log that is older than a year is dated wrongly. Of an hour that exists twice the later one, unless that is yet to come."""
    try:
        if iso := _ISO.fullmatch(stamp):
            return _full(iso, zone, now)
        return _yearless(stamp, zone, now)
    except (ValueError, OverflowError):
        return None


def _full(found: re.Match[str], zone: ZoneInfo, now: float) -> float:
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    tz = UTC if found[8] else zone if not found[9] else _offset(found[9], int(found[10]), int(found[11]))
    at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=tz)  # a leap second is the one before
    return _placed(at, now) + float(f"0.{found[7] or 0}")


def _placed(at: datetime, now: float) -> float:
    """The earlier of two times would accuse: it is longer ago."""
    earlier, later = sorted(at.replace(fold=fold).timestamp() for fold in (0, 1))
    return later if later <= now + _ASKEW else earlier


@lru_cache(maxsize=64)
def _offset(sign: str, hours: int, minutes: int) -> timezone:
    return timezone((-1 if sign == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _yearless(stamp: str, zone: ZoneInfo, now: float) -> float | None:
    found = _STAMP.match(stamp)
    month = _MONTHS.get(found[1]) if found else None
    if found is None or month is None:
        return None
    day, hour, minute, second = (int(found[group]) for group in range(2, 6))
    this = datetime.fromtimestamp(now + AHEAD, zone).year
    for year in range(this, this - _YEARS, -1):
        if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
            continue
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        placed = _placed(at, now) + float(found[6] or 0)
        if placed <= now + AHEAD:
            return placed
    return None
