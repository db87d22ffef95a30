"""Which routes there are, and the schedule and deadlines of each, overrides applied."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from monitor.model.duration import duration
from monitor.model.policy import Role
from monitor.model.probe import Deadlines, MailboxName, PathName, Route
from monitor.settings.faults import KeyPath
from monitor.settings.shape import DeadlinesOverride, RouteShape, Settings

_EVERY = 300.0
_DAY = 86_400.0
_PER_ROUTE = 360  # probes a day: one in 5 minutes is 288; the rest is for confirm, gate and CLI probes
_PER_PATH = 2400
_SCHEDULED_SHARE = 288 / 360  # of a daily budget that somebody wrote
_WATCH_ON = duration("30m") or 0.0
_NO_OVERRIDE = DeadlinesOverride()


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """A route as configured; its entry under `routes:`, if any, stands at `at`."""

    route: Route
    every: float
    jitter: float
    deadlines: Deadlines
    at: KeyPath | None


def pairs(settings: Settings) -> Iterator[tuple[Route, RouteShape | None, KeyPath | None]]:
    """Every route, with its entry under `routes:` if there is one; those with an unknown path or mailbox are left out."""
    if settings.routes is None:
        seeds = [name for name, box in settings.mailboxes.items() if box.role is Role.SEED]
        for path in settings.paths:
            for mailbox in seeds:
                yield Route(PathName(path), MailboxName(mailbox)), None, None
        return
    seen = set()
    for index, entry in enumerate(settings.routes):
        route = Route(PathName(entry.path), MailboxName(entry.mailbox))
        known = entry.path in settings.paths and entry.mailbox in settings.mailboxes
        if known and route not in seen and settings.mailboxes[entry.mailbox].role is Role.SEED:
            seen.add(route)
            yield route, entry, ("routes", index)


def planned(settings: Settings) -> tuple[PlannedRoute, ...]:
    """All routes, resolved."""
    listed = list(pairs(settings))
    by_path = Counter(route.path for route, _, _ in listed)
    by_mailbox = Counter(route.mailbox for route, _, _ in listed)
    resolved = []
    for route, entry, at in listed:
        own = entry.deadlines if entry else _NO_OVERRIDE
        fitting = max(
            _DAY * by_path[route.path] / path_budget(settings, route.path),
            _DAY * by_mailbox[route.mailbox] / mailbox_budget(settings, route),
        )
        default = max(_EVERY, math.ceil(round(fitting / _SCHEDULED_SHARE / 10, 3)) * 10.0)
        resolved.append(
            PlannedRoute(
                route,
                every=(entry.every if entry else None) or settings.schedule.every or default,
                jitter=settings.schedule.jitter if entry is None or entry.jitter is None else entry.jitter,
                deadlines=deadlines(settings, own),
                at=at,
            )
        )
    return tuple(resolved)


def deadlines(settings: Settings, own: DeadlinesOverride = _NO_OVERRIDE) -> Deadlines:
    """The general deadlines, or those of a route."""
    general = settings.deadlines
    missing = own.missing or general.missing
    watch_until = own.watch_until or general.watch_until or missing + _WATCH_ON
    floor = own.overdue_floor or general.overdue_floor
    return Deadlines(own.late or general.late, missing, own.give_up or general.give_up, watch_until, floor)


def path_budget(settings: Settings, path: PathName) -> int:
    """What is written, or enough for every route every five minutes, up to a hundred probes an hour."""
    routes = sum(1 for route, _, _ in pairs(settings) if route.path == path)
    return settings.paths[path].daily_budget or settings.budgets.per_path or min(_PER_ROUTE * max(routes, 1), _PER_PATH)


def mailbox_budget(settings: Settings, route: Route) -> int:
    return settings.mailboxes[route.mailbox].daily_budget or settings.budgets.per_mailbox
