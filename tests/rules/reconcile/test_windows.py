"""How far each side was read -> what may be decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.ledger import Side, SourceStanding, Windows
from monitor.model.sources import FileFormat, FilesSource, Layout, LedgerPolicy, PushSource, SourcePolicy
from monitor.rules.reconcile.windows import lag_of, windows_of

A = SourcePolicy("a", Side.REFUNDS, PushSource(), 10.0, 5.0)
B = SourcePolicy("b", Side.REFUNDS, PushSource(), 10.0, 0.0)
C = SourcePolicy("c", Side.CONFIRMATIONS, PushSource(), 10.0, 30.0)
POLICY = LedgerPolicy(sources={one.name: one for one in (A, B, C)}, confirm_within=600.0, refund_within=60.0)
NOW = 2_000.0
DAY = 86_400.0
READ_A = SourceStanding("a", Side.REFUNDS, 1_000.0, 2_000.0, 1_990.0, 900.0, 1_980.0, days=(900.0,))
READ_B = SourceStanding("b", Side.REFUNDS, 1_500.0, 2_000.0, 1_995.0, None, None)
READ_C = SourceStanding("c", Side.CONFIRMATIONS, 1_100.0, 2_000.0, 2_000.0, 1_200.0, 1_990.0, days=(1_200.0,))


def test_a_side_was_read_as_far_as_its_slowest_source_and_from_its_youngest() -> None:
    assert windows_of(POLICY, (READ_A, READ_B, READ_C), NOW) == Windows(600.0, 60.0, 1_985.0, 1_970.0, 1_500.0, 1_100.0)
    assert lag_of(POLICY) == 30.0
    assert lag_of(LedgerPolicy()) == 0.0


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param((READ_A, READ_C), id="never read"),
        pytest.param((READ_A, replace(READ_B, read_until=None), READ_C), id="never read to its end"),
        pytest.param((READ_A, replace(READ_B, side=Side.CONFIRMATIONS), READ_C), id="was of the other side"),
    ],
)
def test_a_source_that_says_nothing_stops_its_side_only(sources: tuple[SourceStanding, ...]) -> None:
    windows = windows_of(POLICY, sources, NOW)
    assert windows.refunds_until is None
    assert windows.confirmations_until == 1_970.0


def test_sources_that_are_no_longer_configured_say_nothing() -> None:
    old = replace(READ_A, source="old", read_until=5.0, first_read=99_999.0)
    assert windows_of(POLICY, (old, READ_A, READ_B, READ_C), NOW) == windows_of(POLICY, (READ_A, READ_B, READ_C), NOW)


def test_a_side_without_sources_decides_nothing() -> None:
    windows = windows_of(LedgerPolicy(sources={"a": A}), (READ_A,), NOW)
    assert (windows.confirmations_until, windows.confirmations_from) == (None, None)
    assert windows.refunds_until == 1_985.0


def test_a_clock_that_was_ahead_for_one_read_decides_nothing_in_advance() -> None:
    file = replace(A, via=FilesSource("/l", FileFormat.CSV, Layout()))
    policy = replace(POLICY, sources={"a": file, "c": C})
    assert windows_of(policy, (replace(READ_A, read_until=NOW + DAY), READ_C), NOW).refunds_until == NOW - 5.0


def test_a_push_that_is_complete_has_its_lag_in_it_and_no_more() -> None:
    said = replace(READ_C, read_until=NOW + 30.0)
    assert windows_of(POLICY, (READ_A, READ_B, said), NOW).confirmations_until == NOW
    assert windows_of(POLICY, (READ_A, READ_B, replace(said, read_until=NOW + DAY)), NOW).confirmations_until == NOW
    files = replace(C, via=FilesSource("/l", FileFormat.CSV, Layout()))
    policy = replace(POLICY, sources={**POLICY.sources, "c": files})
    assert windows_of(policy, (READ_A, READ_B, said), NOW).confirmations_until == NOW - 30.0


@pytest.mark.parametrize(
    ("first_read", "days", "begun"),
    [
        pytest.param(40 * DAY, (), 40 * DAY, id="nothing yet"),
        pytest.param(40 * DAY, (40 * DAY + 9.0,), 40 * DAY, id="since it is read"),
        pytest.param(40 * DAY + 9.0, (38 * DAY + 5.0, 39 * DAY, 40 * DAY), 38 * DAY + 5.0, id="days that follow one another"),
        pytest.param(40 * DAY, (10 * DAY, 39 * DAY + 80_000.0, 40 * DAY), 39 * DAY + 80_000.0, id="one old row that came late"),
        pytest.param(40 * DAY, (10 * DAY, 40 * DAY + 7.0), 40 * DAY, id="an old row after it began"),
        pytest.param(60 * DAY, (10 * DAY, 11 * DAY, 12 * DAY), 10 * DAY, id="a history that ended long ago"),
        pytest.param(40 * DAY, (37 * DAY, 39 * DAY, 40 * DAY), 39 * DAY, id="a gap of a day"),
    ],
)
def test_where_a_history_begins(first_read: float, days: tuple[float, ...], begun: float) -> None:
    read = replace(READ_C, first_read=first_read, earliest=min(days, default=None), days=days)
    assert windows_of(POLICY, (READ_A, READ_B, read), 99 * DAY).confirmations_from == begun
