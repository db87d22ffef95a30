"""How far each side was read -> what may be decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.ledger import Side, SourceStanding, Windows
from monitor.model.sources import LedgerPolicy, PushSource, SourcePolicy
from monitor.rules.reconcile.windows import lag_of, windows_of

A = SourcePolicy("a", Side.REFUNDS, PushSource(), 10.0, 5.0)
B = SourcePolicy("b", Side.REFUNDS, PushSource(), 10.0, 0.0)
C = SourcePolicy("c", Side.CONFIRMATIONS, PushSource(), 10.0, 30.0)
POLICY = LedgerPolicy(sources={one.name: one for one in (A, B, C)}, confirm_within=600.0, refund_within=60.0)
READ_A = SourceStanding("a", Side.REFUNDS, 1_000.0, 2_000.0, 1_990.0, 900.0, 1_980.0)
READ_B = SourceStanding("b", Side.REFUNDS, 1_500.0, 2_000.0, 1_995.0, None, None)
READ_C = SourceStanding("c", Side.CONFIRMATIONS, 1_100.0, 2_000.0, 2_000.0, 1_200.0, 1_990.0)


def test_a_side_was_read_as_far_as_its_slowest_source_and_from_its_youngest() -> None:
    assert windows_of(POLICY, (READ_A, READ_B, READ_C)) == Windows(600.0, 60.0, 1_985.0, 1_970.0, 1_500.0, 1_100.0)
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
    windows = windows_of(POLICY, sources)
    assert windows.refunds_until is None
    assert windows.confirmations_until == 1_970.0


def test_sources_that_are_no_longer_configured_say_nothing() -> None:
    old = replace(READ_A, source="old", read_until=5.0, first_read=99_999.0)
    assert windows_of(POLICY, (old, READ_A, READ_B, READ_C)) == windows_of(POLICY, (READ_A, READ_B, READ_C))


def test_a_side_without_sources_decides_nothing() -> None:
    windows = windows_of(LedgerPolicy(sources={"a": A}), (READ_A,))
    assert (windows.confirmations_until, windows.confirmations_from) == (None, None)
    assert windows.refunds_until == 1_985.0
