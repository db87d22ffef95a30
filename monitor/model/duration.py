"""Lengths of time as people write them: `1h30m`."""

from __future__ import annotations

import re

NO_DURATION, DURATIONS = "is no length of time", "write 90s, 5m, 1h30m or 2d"

_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?")
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def duration(text: str) -> float | None:
    """`1h30m` -> 5400.0; None when it is no duration."""
    found = _DURATION.fullmatch(text)
    if not found or not text:
        return None
    return sum(int(count) * unit for count, (_, unit) in zip(found.groups(default="0"), _UNITS, strict=True)) / 1000


def parse_duration(text: str) -> float:
    """`1h30m` -> 5400.0; raises ValueError with the mend."""
    seconds = duration(text)
    if seconds is None:
        raise ValueError(f"{NO_DURATION}; {DURATIONS}")
    return seconds


def print_duration(seconds: float) -> str:
    """5400.0 -> `1h30m`, to the millisecond."""
    rest = round(seconds * 1000)
    parts = []
    for name, unit in _UNITS:
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"
