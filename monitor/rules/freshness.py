"""How fresh the evidence is. Silence is never health: whoever shows a state says when it was last seen."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.facts import Transition
from monitor.model.incident import ScopeKind
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.model.verdict import Verdict
from monitor.views.world import World

MISSED = 3  # intervals without a verdict that are too many
EVIDENCE = (Verdict.PASS, Verdict.FAIL)  # the others say that we do not know


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of one route: when its last probe was judged, and whether that is too long ago. Instants of other processes compare by UTC."""

    route: Route
    last: Instant | None
    stale: bool
    known: bool  # its last verdict is about mail: neither inconclusive nor an error


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one incident: the latest evidence about what it affects; `stale`: none of that is fresh, so that nobody knows how it stands."""

    last: Instant | None
    stale: bool


def of_route(world: World, policy: Policy, route: Route, now: Instant) -> Freshness:
    """Stale: no verdict for three intervals and the time after which a probe is missing; a route that never had one gets as long
    from the start of the daemon."""
    timing, state = policy.routes[route], world.routes.get(str(route))
    last = state.judged if state else None
    since = last or (world.started.at if world.started else None)
    allowed = MISSED * timing.every + timing.deadlines.missing_after
    stale = since is not None and now.seconds_since(since) > allowed
    return Freshness(route, last, stale, state is not None and state.last is not None and state.last.verdict in EVIDENCE)


def of_incident(world: World, policy: Policy, fact: Transition, now: Instant) -> Seen:
    """Of its routes by their probes, of a domain by its inspections, of the ledger by its reconciliations."""
    match fact.scope.kind:
        case ScopeKind.DOMAIN:
            zone = world.zones.domains.get(fact.scope.name)
            return Seen(zone.last.at if zone and zone.last else None, zone is None or zone.blind is not None)
        case ScopeKind.LEDGER:
            return Seen(world.ledger.last.at if world.ledger.last else None, bool(world.ledger.blind))
        case _:
            routes = [route for route in policy.routes if str(route) in fact.routes]
            fresh = [of_route(world, policy, route, now) for route in routes]
            return Seen(_last(world, fact), bool(fresh) and not any(each.known and not each.stale for each in fresh))


def dated(world: World, policy: Policy, fact: Transition, now: Instant) -> str:
    """What has to be said of what is told now although nobody has looked since; empty: somebody has."""
    seen = of_incident(world, policy, fact, now)
    if not seen.stale:
        return ""
    return f"no fresh evidence, last evidence at {seen.last.iso()}" if seen.last is not None else "no fresh evidence"


def _last(world: World, fact: Transition) -> Instant | None:
    """When a probe to one of its routes was last judged by what was seen of it."""
    trials = [trial for name in fact.routes for trial in world.evidence.trials(name)]
    times = [
        trial.decided for trial in trials if trial.decided is not None and trial.reason is not None and trial.reason.verdict in EVIDENCE
    ]
    return max(times, key=lambda at: at.utc, default=None)
