"""When which route is probed next, and whether the budget allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from monitor.model.instant import Instant
from monitor.model.policy import RoutePolicy
from monitor.model.probe import Route

JUMP_THRESHOLD = 3.0  # seconds that UTC and the monotonic clock may drift apart within a tick before it is a jump


@dataclass(frozen=True, slots=True)
class Slot:
    """A route and the instant at which it is due."""

    route: Route
    due: Instant


def opening(routes: Mapping[Route, RoutePolicy], last_planned: Callable[[Route], Instant | None], now: Instant) -> tuple[Slot, ...]:
    """The first slot of each route after a start: staggered over one interval, the longest unprobed first, never a catch-up burst.

    A route that was probed before the restart is not probed again before its interval is over.
    """
    ranked = sorted(routes.values(), key=lambda policy: _age_key(last_planned(policy.route)))
    slots = []
    for rank, policy in enumerate(ranked):
        due = now.plus(policy.every * rank / len(ranked))
        previous = last_planned(policy.route)
        if previous is not None:
            waited = max(0.0, now.seconds_since(previous))  # a clock that stepped back must not postpone by more than an interval
            due = max(due, now.plus(policy.every - min(waited, policy.every)), key=lambda instant: instant.mono)
        slots.append(Slot(policy.route, due))
    return tuple(slots)


def following(policy: RoutePolicy, due: Instant, now: Instant, draw: float) -> Slot:
    """The slot after the one that was due; `draw` in -1..1 spreads it by the jitter. After a long sleep the rhythm starts anew."""
    step = policy.every * (1 + policy.jitter * draw)
    start = due if now.seconds_since(due) < policy.every else now
    return Slot(policy.route, start.plus(step))


def jump(before: Instant, after: Instant) -> float | None:
    """By how many seconds UTC stepped against the monotonic clock between two readings of one process; None if it did not."""
    seconds = (after.utc - before.utc) - (after.mono - before.mono)
    return seconds if abs(seconds) > JUMP_THRESHOLD else None


def over_budget(spent: tuple[int, int], path_budget: int, mailbox_budget: int) -> str:
    """Empty while the daily budget allows another probe; otherwise what is used up, in plain words."""
    used_path, used_mailbox = spent
    if used_path >= path_budget:
        return f"the path's budget of {path_budget} probes a day is used up (resets at 00:00 UTC)"
    if used_mailbox >= mailbox_budget:
        return f"the mailbox's budget of {mailbox_budget} probes a day is used up (resets at 00:00 UTC)"
    return ""


def backoff(first: float, attempt: int) -> float:
    """Wait before the attempt after `attempt`: doubling, at most ten times the first wait."""
    return min(first * float(2 ** min(attempt - 1, 10)), first * 10)


def soonest(slots: Iterable[Slot]) -> Slot | None:
    return min(slots, key=lambda slot: slot.due.mono, default=None)


def _age_key(planned: Instant | None) -> float:
    return float("-inf") if planned is None else planned.utc
