"""Times as ledgers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.sources import Layout
from monitor.rules.reconcile.times import AHEAD, OLDEST, TimeFault, clock_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
BERLIN = {"time_zone": "Europe/Berlin"}

TAKEN: list[tuple[object, dict[str, str], str]] = [
    ("2026-03-01T12:00:00Z", {}, "2026-03-01T12:00:00"),
    ("2026-03-01T12:00:00+01:00", {}, "2026-03-01T11:00:00"),
    ("2026-03-01 12:00:00+01", {}, "2026-03-01T11:00:00"),
    ("2026-03-01 12:00:00.25", {}, "2026-03-01T12:00:00.250000"),
    ("2026-03-01 12:00:00 UTC", {}, "2026-03-01T12:00:00"),
    ("2026-03-01 12:00:00 gmt", BERLIN, "2026-03-01T12:00:00"),
    ("2026-03-01t12:00:00z", {}, "2026-03-01T12:00:00"),
    (" 2026-03-01T12:00 ", {}, "2026-03-01T12:00:00"),
    ("20260301T120000Z", {}, "2026-03-01T12:00:00"),
    ("1772366400", BERLIN, "2026-03-01T12:00:00"),
    ("1772366400000", {}, "2026-03-01T12:00:00"),
    ("1772366400.5", {}, "2026-03-01T12:00:00.500000"),
    (1772366400, {}, "2026-03-01T12:00:00"),
    (1772366400250, {}, "2026-03-01T12:00:00.250000"),
    (1772366400.5, {}, "2026-03-01T12:00:00.500000"),
    ("2026-01-01 12:00:00", BERLIN, "2026-01-01T11:00:00"),
    ("2026-07-01 12:00:00", BERLIN, "2026-07-01T10:00:00"),
    ("2026-07-01T12:00:00Z", BERLIN, "2026-07-01T12:00:00"),
    ("2026-10-25 02:30:00", BERLIN, "2026-10-25T01:30:00"),  # twice: the second
    ("2026-03-29 02:30:00", BERLIN, "2026-03-29T01:30:00"),  # never: the later of what it may mean
    ("2026-04-05 01:45:00", {"time_zone": "Australia/Lord_Howe"}, "2026-04-04T15:15:00"),  # half an hour back
    ("2026-03-01", {}, "2026-03-01T23:59:59"),  # a date: its last second
    ("20260301", {}, "2026-03-01T23:59:59"),
    ("2026-07-01", BERLIN, "2026-07-01T21:59:59"),
    ("2026-11-22", {"time_zone": "Pacific/Auckland"}, "2026-11-22T10:59:59"),
    ("01.03.2026 12:00", {"time_format": "%d.%m.%Y %H:%M"}, "2026-03-01T12:00:00"),
    ("01.07.2026 12:00", {"time_format": "%d.%m.%Y %H:%M", **BERLIN}, "2026-07-01T10:00:00"),
    ("01.07.2026 12:00 +0000", {"time_format": "%d.%m.%Y %H:%M %z", **BERLIN}, "2026-07-01T12:00:00"),
    ("01/03/2026", {"time_format": "%d/%m/%Y"}, "2026-03-01T23:59:59"),
    ("20260301120000", {"time_format": "%Y%m%d%H%M%S"}, "2026-03-01T12:00:00"),
    ("2026-11-23T11:59:59Z", {}, "2026-11-23T11:59:59"),  # a clock of theirs is ahead
]

REFUSED: list[tuple[object, dict[str, str], str, str]] = [
    ("", {}, "no time", "2026"),
    (None, {}, "no time", "2026"),
    (True, {}, "a bool", "2026"),
    ("yesterday", {}, "ISO 8601", "time_format"),
    ("01.03.2026 12:00", {}, "ISO 8601", '"%d.%m.%Y %H:%M:%S"'),
    ("03/01/2026", {}, "ISO 8601", '"%d/%m/%Y"'),
    ("03/13/2026", {}, "ISO 8601", '"%m/%d/%Y"'),
    ("03-13-2026 9:05 PM", {}, "ISO 8601", '"%m-%d-%Y %I:%M:%S %p"'),
    ("20260301120000", {}, "ISO 8601", '"%Y%m%d%H%M%S"'),
    ("2026-02-30T12:00:00Z", {}, "ISO 8601", ""),
    ("2026-03-01T12:00:60Z", {}, "ISO 8601", ""),
    ("2026-03-01T12:00:00+01:00 UTC", {}, "ISO 8601", ""),
    ("２０２６-03-01T12:00:00Z", {}, "ISO 8601", ""),
    ("2026-11-23T12:00:01Z", {}, "in the future", "clock"),
    ("9999-12-31T23:59:59-14:00", {}, "in the future", ""),
    ("9999-12-31", {}, "ISO 8601", ""),
    ("1999-12-31T23:59:59Z", {}, "before the year 2000", "column"),
    ("0001-01-01T00:00:00+14:00", {}, "before the year 2000", ""),
    (0, {}, "before the year 2000", ""),
    (float("nan"), {}, "no time since the epoch", ""),
    (float("inf"), {}, "no time since the epoch", ""),
    (10**400, {}, "no time since the epoch", ""),
    ("9" * 65, {}, "65 characters", ""),
    ("2026-03-01T12:00:00Z", {"time_format": "%d.%m.%Y"}, "no time like", "time_format"),
    ("ann@example.com", {}, "'***@example.com'", ""),
]


@pytest.mark.parametrize(("value", "layout", "expected"), TAKEN)
def test_is_taken(value: object, layout: dict[str, str], expected: str) -> None:
    assert datetime.fromtimestamp(clock_of(Layout(**layout), NOW)(value), UTC).isoformat() == f"{expected}+00:00"  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "layout", "what", "mend"), REFUSED)
def test_is_refused_with_its_mend(value: object, layout: dict[str, str], what: str, mend: str) -> None:
    with pytest.raises(TimeFault) as raised:
        clock_of(Layout(**layout), NOW)(value)  # type: ignore[arg-type]
    assert what in raised.value.what
    assert mend in raised.value.mend


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(OLDEST, NOW), st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]))
def test_an_instant_with_its_zone_is_read_exactly(at: float, zone: str) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    read = clock_of(Layout(time_zone=zone), NOW)
    assert read(moment.isoformat()) == moment.timestamp()
    assert read(moment.strftime("%Y-%m-%d %H:%M:%S.%f UTC")) == moment.timestamp()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.datetimes(datetime(2001, 1, 1), datetime(2026, 1, 1)), st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tehran"]))  # noqa: DTZ001 - wall clocks
def test_a_time_of_the_wall_clock_is_the_later_one_that_it_may_be(wall: datetime, zone: str) -> None:
    at = clock_of(Layout(time_zone=zone), NOW)(wall.isoformat(sep=" "))
    assert at == max(wall.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() for fold in (0, 1))


@pytest.mark.parametrize(
    ("layout", "text"), [({}, "2026-10-25 02:30:00"), ({}, " 2026-10-25T02:30 "), ({"time_format": "%d.%m.%Y %H:%M"}, "25.10.2026 02:30")]
)
@pytest.mark.parametrize(
    ("now", "expected"), [("00:30:00", "00:30"), ("01:29:59", "00:30"), ("01:30:00", "01:30"), ("23:00:00", "01:30"), ("00:00:00", "00:30")]
)
def test_of_two_instants_none_that_is_still_to_come(layout: dict[str, str], text: str, now: str, expected: str) -> None:
    read = clock_of(Layout(**layout, **BERLIN), datetime.fromisoformat(f"2026-10-25T{now}Z").timestamp())  # type: ignore[arg-type]
    assert datetime.fromtimestamp(read(text), UTC).isoformat() == f"2026-10-25T{expected}:00+00:00"


@pytest.mark.hostile
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.text(max_size=70), st.text("0123456789-:TZ+. WUTC\x00\udcff", max_size=40), st.integers(), st.floats(), st.none(), st.booleans()
    ),
    st.sampled_from(["", "%d.%m.%Y", "%Y-%m-%dT%H:%M:%S%z", "%", "%d %d"]),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
def test_whatever_is_written_is_a_time_within_bounds_or_a_fault(value: object, form: str, zone: str) -> None:
    try:
        at = clock_of(Layout(time_format=form, time_zone=zone), NOW)(value)
    except TimeFault as fault:
        assert fault.what
        assert str(fault).isprintable()
    else:
        assert OLDEST <= at <= NOW + AHEAD
