"""Single losses that are too many: each alone may be chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import nlargest

from monitor.model.incident import Opening, Scope, ScopeKind
from monitor.model.probe import ProbeId, Purpose, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident.scene import Bad, Kind, Scene, Showing
from monitor.rules.incident.suspects import Finding
from monitor.views.evidence import Loss, Trial
from monitor.views.incidents import IncidentState

ENOUGH = 3  # lost
OF = 60  # closed probes: at one loss in 2,000, three of sixty are chance once in 30,000 such windows
NOT_OLDER = 21_600.0  # seconds

_LOST = Showing(Kind.SLOW, Symptom.DELIVERY_MISSING, unseen=True)
_WIDTH = {ScopeKind.MAILBOX: 0, ScopeKind.PROVIDER: 1, ScopeKind.PATH: 2, ScopeKind.ALL: 3}


def lossy(scene: Scene, touched: Collection[Route]) -> Finding | None:
    """Three of the latest sixty closed probes of a provider, a path or everything were never seen: the narrowest of these that hold a
    touched route with a loss."""
    recent = [loss for loss in scene.world.evidence.lost if scene.now.seconds_since(loss.sent) <= NOT_OLDER]
    if len(recent) < ENOUGH:
        return None
    lost = [(route, loss) for loss in recent if (route := scene.layout.routes.get(loss.route))]
    news = [route for route, _ in lost if route in touched]
    places = [
        *(scene.layout.of_provider[name] for name in sorted(scene.layout.providers_of(news))),
        *(scene.layout.of_path[name] for name in sorted({route.path for route in news})),
        *([tuple(scene.layout.routes.values())] if news else []),
    ]
    for place in places:
        found = _of_window(scene, place, lost)
        if len(found) < ENOUGH:
            continue
        scope = scene.layout.smallest(route for route, _ in found)
        counted = [(route, loss) for route, loss in found if _counts(scene, route, loss, scope)]
        fresh = any(scene.covering(route, Symptom.DELIVERY_MISSING) is None for route, _ in counted)
        if len(counted) >= ENOUGH and fresh:
            return Finding(Opening.LOSSY, Symptom.DELIVERY_MISSING, tuple(_bad(route, loss) for route, loss in counted))
    return None


def _of_window(scene: Scene, place: Collection[Route], lost: Sequence[tuple[Route, Loss]]) -> list[tuple[Route, Loss]]:
    """Those that are among the latest closed probes of this place."""
    known = [found for route in place if (found := scene.world.evidence.routes.get(str(route)))]
    ended = nlargest(OF, (sent for found in known for sent in found.ended))
    held = set(place)
    return [(route, loss) for route, loss in lost if route in held and ended and loss.sent.utc >= ended[-1]]


def _counts(scene: Scene, route: Route, loss: Loss, scope: Scope) -> bool:
    """It is not told of yet, or only by an incident that is narrower than this one would be."""
    covering = scene.covering(route, Symptom.DELIVERY_MISSING)
    return scene.counts(_bad(route, loss), Symptom.DELIVERY_MISSING) and (covering is None or _narrower(covering, scope))


def _narrower(state: IncidentState, scope: Scope) -> bool:
    return _WIDTH[state.last.scope.kind] < _WIDTH[scope.kind]


def _bad(route: Route, loss: Loss) -> Bad:
    trial = Trial(ProbeId(""), Purpose.SCHEDULED, loss.sent, loss.seq, loss.seq, Reason.MISSING)
    return Bad(route, trial, _LOST)
