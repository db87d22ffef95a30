"""What lasts: a place from which nothing good has come for long, or where mail is mostly late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitor.model.incident import Opening
from monitor.model.probe import PathName, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident.scene import Bad, Kind, Scene
from monitor.rules.incident.suspects import Finding, adverse, is_news, of_no_path

SUSTAINED_ENOUGH = 3  # probes of one mailbox; a provider has at least two
LATE_ENOUGH = 6


def long_since(scene: Scene, slow: Sequence[Bad], family: Symptom) -> bool:
    """The first of these, or of those just before it, was sent long enough ago for anything to have lasted."""
    began = (run[0].trial.sent for bad in slow if (run := scene.run(bad.route, family)))
    return any(scene.now.seconds_since(sent) >= scene.policy.incidents.sustained_after for sent in began)


def sustained(scene: Scene, suspects: Sequence[Bad], family: Symptom, told: bool) -> Finding | None:
    """Nothing good from one provider, or one mailbox, for so long: what usually passes has not passed. A place that was told of hides no
    other one, unless `told`."""
    everywhere = of_no_path(scene, adverse(scene, scene.layout.routes.values(), family), family)
    for provider in sorted(scene.layout.providers_of(bad.route for bad in suspects)):
        routes = [bad.route for bad in everywhere if scene.layout.provider(bad.route) == provider]
        boxes = {route.mailbox for route in routes}
        if len(boxes) > 1 and (run := _lasting(scene, routes, family, 1.0)):
            wider = [bad.route for bad in everywhere if bad.route not in routes]
            together = (*run, *_also_lasting(scene, wider, family, run[0]))
            if told or is_news(scene, together, family):
                return Finding(Opening.SUSTAINED, _worst(run), together)
        # while another mailbox of the provider looks bad, one alone is named only after twice the time
        for mailbox in sorted(boxes):
            mine = [route for route in routes if route.mailbox == mailbox]
            run = _lasting(scene, mine, family, 1.0 if len(boxes) == 1 else 2.0)
            if run and (told or is_news(scene, run, family)):
                return Finding(Opening.SUSTAINED, _worst(run), tuple(run))
    return None


def _lasting(scene: Scene, routes: Sequence[Route], family: Symptom, times: float) -> list[Bad]:
    """The adverse probes of these routes since any of them was good, if they span long enough; else none."""
    run: list[Bad] = []
    for route, trial in scene.merged(routes):
        showing = scene.shows(trial, route)
        if showing.kind is Kind.GOOD:
            break
        bad = Bad(route, trial, showing)
        if showing.speaks_of(family) and scene.counts(bad, family):
            run.append(bad)
    run.reverse()
    long_enough = len(run) >= SUSTAINED_ENOUGH and _span(run) >= scene.policy.incidents.sustained_after * times
    return run if long_enough else []


def _also_lasting(scene: Scene, routes: Sequence[Route], family: Symptom, first: Bad) -> list[Bad]:
    """Other providers that have been as bad for half as long: the same trouble, if it began at the same time as `first`."""
    found: list[Bad] = []
    for provider in sorted(scene.layout.providers_of(routes)):
        run = _lasting(scene, [route for route in routes if scene.layout.provider(route) == provider], family, 0.5)
        if run and abs(first.trial.sent.seconds_since(run[0].trial.sent)) <= scene.policy.incidents.sustained_after:
            found += run
    return found


def late(scene: Scene, path: PathName, family: Symptom, slow: Sequence[Bad], told: bool) -> Finding | None:
    """At least half of the latest probes of one place came late, over a long time."""
    if family is not Symptom.DELIVERY_MISSING:
        return None
    suspects = [bad for bad in slow if bad.trial.reason is Reason.LATE]
    places: list[tuple[Route, ...]] = [scene.layout.of_mailbox[name] for name in sorted({bad.route.mailbox for bad in suspects})]
    places += [scene.layout.of_provider[name] for name in sorted(scene.layout.providers_of(bad.route for bad in suspects))]
    if suspects:  # a place that was told of does not speak for the rest of the path
        places.append(tuple(route for route in scene.layout.of_path[path] if told or scene.covering(route, family) is None))
    for place in places:
        found = _mostly_late(scene, place)
        if found and (told or is_news(scene, found, family)):
            return Finding(Opening.SUSTAINED, Symptom.DELIVERY_LATE, tuple(found))
    return None


def _mostly_late(scene: Scene, place: Sequence[Route]) -> list[Bad]:
    seen, slow = 0, list[Bad]()
    for route, trial in scene.merged(place):
        showing = scene.shows(trial, route)
        if showing.kind is Kind.NOTHING:
            continue
        seen += 1
        bad = Bad(route, trial, showing)
        if trial.reason is Reason.LATE and scene.counts(bad, Symptom.DELIVERY_MISSING):
            slow.append(bad)
        if seen >= LATE_ENOUGH and len(slow) * 2 >= seen and _span(slow[::-1]) >= scene.policy.incidents.sustained_after:
            return slow[::-1]
    return []


def _worst(run: Sequence[Bad]) -> Symptom:
    """Missing says more than overdue; late says that it came."""
    counts = Counter(bad.showing.symptom for bad in run if bad.showing.symptom is not None)
    order = (Symptom.DELIVERY_MISSING, Symptom.DELIVERY_STALLED, Symptom.DELIVERY_LATE)
    return next((symptom for symptom in order if counts[symptom]), counts.most_common(1)[0][0])


def _span(run: Sequence[Bad]) -> float:
    return run[-1].trial.sent.seconds_since(run[0].trial.sent) if run else 0.0
