"""Which formats of times tell the day."""

from __future__ import annotations

import pytest

from monitor.model.time_format import TimeFormatError, check_time_format


@pytest.mark.parametrize(
    "form",
    [
        *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%m/%d/%y %I:%M %p", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S.%f%z", "%d %b %Y", "%A, %d %B %Y"),
        *("%Y-%j", "%G-W%V-%u", "%c", "%x", "%Y年%m月%d日", "100%% %d.%m.%Y", "%d.%m.%Y %H:%M %Z"),
    ],
)
def test_those_that_do(form: str) -> None:
    check_time_format(form)


@pytest.mark.parametrize(
    ("form", "what"),
    [
        ("dd.mm.yyyy", "no directive"),
        ("%H:%M", "does not tell the day"),
        ("%d.%m.", "does not tell the day"),
        ("%m/%Y", "does not tell the day"),
        ("%d %Y", "does not tell the day"),
        ("%Y-W%W", "does not tell the day"),
        ("%%d.%%m.%%Y", "does not tell the day"),
        ("%d.%m.%Y %", "no format of strptime"),
        ("%d.%m.%Y %q", "no format of strptime"),
        ("%s", "no format of strptime"),
        ("%d.%m.%Y %d", "names something twice"),
        ("\x00%d.%m.%Y", "no format of strptime"),
    ],
)
def test_those_that_do_not(form: str, what: str) -> None:
    with pytest.raises(TimeFormatError) as raised:
        check_time_format(form)
    assert what in raised.value.what
    assert "%d.%m.%Y" in raised.value.mend
