"""How long mail usually takes: quantiles to ten percent, a week of them, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.instant import Instant
from monitor.views.habit import DAYS, ENOUGH, SMALLEST, STEP, Habit

DAY = 86_400.0


def habit(*transits: float, start: float = 0.0, every: float = 60.0) -> Habit:
    made = Habit()
    for number, seconds in enumerate(transits):
        made.add(Instant(start + number * every, 0.0, "one"), seconds)
    return made


def test_too_little_history_is_no_habit() -> None:
    assert habit(*[1.0] * (ENOUGH - 1)).quantile(0.99) is None
    assert habit(*[1.0] * ENOUGH).quantile(0.99) == pytest.approx(1.0, rel=0.1)


@given(st.lists(st.floats(0.0, 5_000.0), min_size=ENOUGH, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_right_to_a_tenth(transits: list[float], share: float) -> None:
    found = habit(*transits, every=0.0).quantile(share)
    rank = next(index for index in range(1, len(transits) + 1) if index >= share * len(transits))
    exact = max(sorted(transits)[rank - 1], SMALLEST)
    assert found is not None
    assert exact / 1.001 <= found <= exact * STEP * 1.001


@given(st.lists(st.tuples(st.floats(0, 30 * DAY), st.floats(0, 1e6)), max_size=60))
def test_it_holds_a_week_and_its_sum(facts: list[tuple[float, float]]) -> None:
    made = Habit()
    for utc, seconds in facts:
        made.add(Instant(utc, 0.0, "one"), seconds)
        assert len(made.days) <= DAYS
    summed: dict[str, int] = {}
    for day in made.days.values():
        for bucket, count in day.items():
            summed[bucket] = summed.get(bucket, 0) + count
    assert made.week == summed


def test_what_is_older_than_a_week_is_forgotten() -> None:
    made = habit(*[100.0] * 40)
    for day in range(1, DAYS + 1):
        for _ in range(40):
            made.add(Instant(day * DAY, 0.0, "one"), 1.0)
    assert made.quantile(1.0) == pytest.approx(1.0, rel=0.1)
