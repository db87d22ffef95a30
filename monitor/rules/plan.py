"""When which route is probed next, and whether the budget allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from monitor.model.instant import Instant
from monitor.model.policy import RoutePolicy
from monitor.model.probe import Deadlines, PathName, Route

JUMP_THRESHOLD = 3.0  # seconds that UTC and the monotonic clock may drift apart within a tick before it is a jump


@dataclass(frozen=True, slots=True)
class Due(Instant):
    """When a route is due. The jitter spreads it around `nominal`, its place in the rhythm; the rhythm itself never wanders, so that the
    routes of a path stay as evenly spread after a month as they were at the start."""

    nominal: Instant


@dataclass(frozen=True, slots=True)
class Slot:
    """A route and when it is due; `every` is the interval that its place in the rhythm was made for."""

    route: Route
    due: Due
    every: float


def opening(routes: Mapping[Route, RoutePolicy], last_planned: Callable[[Route], Instant | None], now: Instant) -> tuple[Slot, ...]:
    """The first slot of each route after a start: never a catch-up burst.

    The routes of each path are spread evenly over one interval, the longest unprobed first, and the paths are shifted against each other:
    whatever breaks on one path, a probe of it is under way an interval divided by its routes later, plus the jitter. A route that was
    probed before the restart is not probed again before its interval is over.
    """
    paths: dict[PathName, list[RoutePolicy]] = {}
    for policy in routes.values():
        paths.setdefault(policy.route.path, []).append(policy)
    slots = []
    for number, path in enumerate(paths.values()):
        for rank, policy in enumerate(sorted(path, key=lambda policy: _age_key(last_planned(policy.route)))):
            nominal = now.plus(policy.every * (rank + number / len(paths)) / len(path))
            previous = last_planned(policy.route)
            rested = now
            if previous is not None:
                waited = max(0.0, now.seconds_since(previous))  # a clock that stepped back must not postpone by more than an interval
                rested = now.plus(policy.every - min(waited, policy.every))
            slots.append(_slot(policy, max(nominal, rested, key=lambda instant: instant.mono), nominal))
    return tuple(sorted(slots, key=lambda slot: slot.due.mono))


def following(policy: RoutePolicy, due: Due, now: Instant, draw: float) -> Slot:
    """The slot after the one that was due; `draw` in -1..1 spreads it, by half the jitter, so that two probes are the jitter further apart
    at most. What was slept through is not made up for: the next place in the rhythm, at least half an interval from now."""
    missed = max(0.0, now.seconds_since(due.nominal) // policy.every)
    nominal = due.nominal.plus(policy.every * (missed + 1))
    spread = nominal.plus(policy.every * policy.jitter * draw / 2)
    return _slot(policy, max(spread, now.plus(policy.every / 2), key=lambda instant: instant.mono), nominal)


def rejoined(
    slots: Mapping[Route, Slot], routes: Mapping[Route, RoutePolicy], last_planned: Callable[[Route], Instant | None], now: Instant
) -> dict[Route, Slot]:
    """The slots after the routes were replaced: what stays keeps its rhythm, what is new or has another interval opens staggered, as after
    a start, what is gone has none."""
    kept = {route: slot for route, slot in slots.items() if route in routes and routes[route].every == slot.every}
    opened = opening({route: policy for route, policy in routes.items() if route not in kept}, last_planned, now)
    return kept | {slot.route: slot for slot in opened}


def jump(before: Instant, after: Instant) -> float | None:
    """By how many seconds UTC stepped against the monotonic clock between two readings of one process; None if it did not."""
    seconds = (after.utc - before.utc) - (after.mono - before.mono)
    return seconds if abs(seconds) > JUMP_THRESHOLD else None


def proven_by(seconds: float, deadlines: Deadlines) -> Deadlines:
    """These deadlines, with absence proven after so many seconds."""
    return replace(
        deadlines,
        late_after=min(deadlines.late_after, seconds),
        missing_after=seconds,
        give_up_after=seconds * 1.5,
        watch_until=max(seconds * 2, 60.0),
    )


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


def _slot(policy: RoutePolicy, due: Instant, nominal: Instant) -> Slot:
    return Slot(policy.route, Due(due.utc, due.mono, due.process, nominal), policy.every)


def _age_key(planned: Instant | None) -> float:
    return float("-inf") if planned is None else planned.utc
