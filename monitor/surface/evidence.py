"""How fresh the evidence is. Silence is never health: whoever shows a state says when it was last seen."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.desk import Desk
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.model.verdict import Verdict

MISSED = 3  # intervals without a verdict that are too many

EVIDENCE = (Verdict.PASS, Verdict.FAIL)  # the others say that we do not know


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of one route: when its last probe was judged, and whether that is too long ago. Instants of other processes compare by UTC."""

    route: Route
    last: Instant | None
    stale: bool
    known: bool  # its last verdict is about mail: neither inconclusive nor an error


def freshness(desk: Desk, route: Route, now: Instant) -> Freshness:
    """Stale: no verdict for three intervals and the time after which a probe is missing; a route that never had one gets as long
    from the start of the daemon."""
    policy, state = desk.policy.routes[route], desk.world.routes.get(str(route))
    last = state.judged if state else None
    since = last or (desk.world.started.at if desk.world.started else None)
    allowed = MISSED * policy.every + policy.deadlines.missing_after
    stale = since is not None and now.seconds_since(since) > allowed
    return Freshness(route, last, stale, state is not None and state.last is not None and state.last.verdict in EVIDENCE)


def evidence(desk: Desk, now: Instant) -> dict[str, object]:
    """As JSON: when anything was last judged, and of which routes nothing is known just now."""
    routes = [freshness(desk, route, now) for route in desk.policy.routes]
    last = max((route.last for route in routes if route.last is not None), key=lambda at: at.utc, default=None)
    return {
        "last_at": last.iso() if last else None,
        "age_seconds": round(max(0.0, now.seconds_since(last)), 3) if last else None,
        "routes": len(routes),
        "fresh": sum(1 for route in routes if route.last is not None and route.known and not route.stale),
        "stale": [str(route.route) for route in routes if route.stale],
        "unknown": [str(route.route) for route in routes if not route.stale and not route.known],
        "paused": desk.world.paused is not None,
    }
