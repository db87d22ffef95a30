"""When a probe is overdue: unseen for longer than its route's own habit. Overdue makes suspicious; it is no verdict."""

from __future__ import annotations

from monitor.model.instant import Instant
from monitor.model.probe import Deadlines
from monitor.views.habit import Habit
from monitor.views.probes import ProbeState

FACTOR = 3.0  # times the p99 of the last week


def overdue_after(deadlines: Deadlines, habit: Habit | None) -> float:
    """Seconds from the first attempt. Without history: the deadline for late. Never after the one for missing."""
    usual = habit.quantile(0.99) if habit else None
    allowed = deadlines.late_after if usual is None else max(deadlines.overdue_floor, FACTOR * usual)
    return min(allowed, deadlines.missing_after)


def overdue_at(state: ProbeState, habit: Habit | None) -> Instant | None:
    """The instant from which a look that does not show the probe makes it overdue; None before its first attempt."""
    if state.first_attempt is None:
        return None
    return state.first_attempt.plus(overdue_after(state.plan.deadlines, habit))


def is_overdue(state: ProbeState, habit: Habit | None, times: float = 1.0) -> bool:
    """A complete look at its mailbox that began past that instant (past `times` its length) did not show it, and nothing has been decided
    yet."""
    look, sent = state.unseen_look, state.first_attempt
    if not state.hunted or state.judged is not None or look is None or sent is None:
        return False
    return look.began.seconds_since(sent) >= overdue_after(state.plan.deadlines, habit) * times
