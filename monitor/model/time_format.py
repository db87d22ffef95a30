"""How times are written, in the directives of strptime: whether such a format tells the day."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# No two of year, month and day of a probe are alike, and no two probes share one: what a format leaves out comes back as something else.
_PROBES = (datetime(2026, 11, 22, 15, 4, 59, tzinfo=UTC), datetime(2031, 7, 9, 3, 8, 0, tzinfo=UTC))
_MEND = "name day, month and year, as in %d.%m.%Y %H:%M"


class TimeFormatError(ValueError):
    """What is wrong with a format, and the mend."""

    def __init__(self, what: str, mend: str = _MEND) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


def check_time_format(form: str) -> None:
    """Raises TimeFormatError where times that are written so could not be read, or bear no day, month or year."""
    if "%" not in form:
        raise TimeFormatError("has no directive of strptime")
    try:
        told = [datetime.strptime(probe.strftime(form), form).date() for probe in _PROBES]  # noqa: DTZ007 - only the day is looked at
    except (ValueError, re.error):
        raise TimeFormatError("is no format of strptime, or names something twice") from None
    if told != [probe.date() for probe in _PROBES]:
        raise TimeFormatError("does not tell the day, the month and the year")
