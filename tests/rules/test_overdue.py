"""When a probe is overdue."""

from __future__ import annotations

import pytest

from monitor.rules.overdue import FACTOR, is_overdue, overdue_after, overdue_at
from monitor.views.habit import ENOUGH, Habit
from tests.views.life import DEADLINES, Life, at, submitted


def habit(seconds: float, count: int = ENOUGH) -> Habit:
    made = Habit()
    for _ in range(count):
        made.add(at(0), seconds)
    return made


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, DEADLINES.late_after),
        (habit(1.0, ENOUGH - 1), DEADLINES.late_after),
        (habit(1.0), DEADLINES.overdue_floor),
        (habit(20.0), FACTOR * 20.0),
        (habit(500.0), DEADLINES.missing_after),
    ],
    ids=["no history", "too little", "fast", "slow", "slower than missing"],
)
def test_it_is_three_times_the_habit_within_bounds(known: Habit | None, expected: float) -> None:
    assert overdue_after(DEADLINES, known) == pytest.approx(expected, rel=0.1)


def test_it_counts_from_the_first_attempt() -> None:
    assert overdue_at(Life().state, habit(1.0)) is None
    assert overdue_at(Life().attempt(5).defer(6, 60.0).attempt(66).state, habit(1.0)) == at(25)


class TestIsOverdue:
    def test_needs_a_look_that_began_after_it(self) -> None:
        assert not is_overdue(submitted().state, habit(1.0))
        assert not is_overdue(submitted().look(19.9, lasted=60).state, habit(1.0))
        assert is_overdue(submitted().look(20.0).state, habit(1.0))

    def test_twice_as_long_needs_a_later_look(self) -> None:
        assert not is_overdue(submitted().look(39.0).state, habit(1.0), 2.0)
        assert is_overdue(submitted().look(40.0).state, habit(1.0), 2.0)

    def test_not_what_was_seen_or_refused(self) -> None:
        assert not is_overdue(submitted().look(30).see(31).state, habit(1.0))
        assert not is_overdue(submitted().see(5).look(30).state, habit(1.0))
        assert not is_overdue(Life().attempt(0).refuse(1).look(30).state, habit(1.0))

    def test_but_what_was_put_off(self) -> None:
        assert is_overdue(Life().attempt(0).defer(1, 60.0).look(30).state, habit(1.0))
