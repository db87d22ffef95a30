"""How fresh the evidence is, of all routes. Silence is never health: whoever shows a state says when it was last seen."""

from __future__ import annotations

from monitor.desk import Desk
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.rules.freshness import Freshness, of_route


def freshness(desk: Desk, route: Route, now: Instant) -> Freshness:
    return of_route(desk.world, desk.policy, route, now)


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
