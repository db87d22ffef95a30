"""What a gate wants to probe next: the rest of each class's step, its routes and mailboxes in turn, and the control arm beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from monitor.model.instant import Instant
from monitor.model.probe import MailboxName, Route
from monitor.rules.gate.arms import Class
from monitor.rules.gate.decisive import overdue
from monitor.rules.gate.ends import Obstacles
from monitor.views.gates import GateState, GateTrial
from monitor.views.world import World

CONTROL_LEAST = 2  # control probes of a class at the start of an attempt: fewer cannot say that it is bad
CONTROL_EVERY = 10.0  # seconds between two rounds of control probes
CONTROL_ROUNDS = 3  # after the first one


def needs(world: World, state: GateState, open_: Sequence[Class], obstacles: Obstacles, now: Instant) -> tuple[Route, ...]:
    """Of these classes, control first: what proves a canary probe lost then proves a control probe lost at the latest with it."""
    if world.paused is not None or state.asked:  # what was asked for is planned first
        return ()
    control = [_control(world, each, obstacles, now) for each in open_]
    canary = [_canary(world, each, obstacles) for each in open_]
    return (*_in_turn(control), *_in_turn(canary))


def widened(world: World, classes: Sequence[Class], least: int, obstacles: Obstacles) -> tuple[Route, ...]:
    """One probe on each of as many further routes as a pass must rest on, those that were asked least first: behind a load balancer
    another version may serve a route many times."""
    counted = {trial.route for each in classes for trial in each.counted}
    asked = Counter(trial.route for each in classes for trial in each.own)
    routes = [route for each in classes if obstacles.left(each) > 0 for route in each.routes]
    fresh = [route for route in _usable(world, routes, obstacles) if route not in counted]
    return tuple(sorted(fresh, key=lambda route: asked[route])[: max(0, least)])


def next_round(of: Class, now: Instant) -> float:
    """Seconds until another round of control probes may go out."""
    return CONTROL_EVERY - min((now.seconds_since(trial.planned) for trial in of.beside_own), default=CONTROL_EVERY)


def _canary(world: World, of: Class, obstacles: Obstacles) -> list[Route]:
    missing = min(of.ruling.needed - len(of.counted), obstacles.left(of))
    return _spread(_usable(world, of.routes, obstacles), of.own, missing)


def _control(world: World, of: Class, obstacles: Obstacles, now: Instant) -> list[Route]:
    routes = _usable(world, of.beside, obstacles)
    first = max(CONTROL_LEAST, len({route.mailbox for route in routes}))
    sent = len(of.beside_own)
    if sent < first:
        return _spread(routes, of.beside_own, first - sent)
    if (of.adverse or overdue(world, of.under_way)) and next_round(of, now) <= 0:
        return _spread(routes, of.beside_own, min(first, first * (1 + CONTROL_ROUNDS) - sent))
    return []


def _usable(world: World, routes: Sequence[Route], obstacles: Obstacles) -> list[Route]:
    return [
        route
        for route in routes
        if obstacles.is_there(route) and route.mailbox not in world.evidence.blind and not obstacles.exhausted(route)
    ]


def _spread(routes: Sequence[Route], sent: Sequence[GateTrial], count: int) -> list[Route]:
    """So many, each time the mailbox and the route that were asked least."""
    boxes: Counter[MailboxName] = Counter(trial.route.mailbox for trial in sent)
    used: Counter[Route] = Counter(trial.route for trial in sent)
    chosen: list[Route] = []
    for _ in range(count if routes else 0):
        route = min(routes, key=lambda each: (boxes[each.mailbox], used[each]))
        boxes[route.mailbox] += 1
        used[route] += 1
        chosen.append(route)
    return chosen


def _in_turn(lists: Sequence[Sequence[Route]]) -> list[Route]:
    return [route for turn in zip_longest(*lists) for route in turn if route is not None]
