"""When suspicion becomes an incident. Each rule returns what it found, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitor.model.incident import Opening, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.probe import PathName, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident.scene import Bad, Kind, Scene, family_of
from monitor.views.incidents import IncidentState

WINDOW = 4  # a suspect and its confirm probes
ENOUGH = 2  # adverse probes in the window
STALLED_ENOUGH = 4  # the suspect and three confirm probes
STALLED_WITHOUT_BUDGET = 2
STALLED_PROVIDERS = 3  # or all there are: two that are slow at the same time are chance, once a month
WITHOUT_CONTROL = 2.0  # times overdue, where no control path arrives to tell the path's fault from everybody's
OTHERS_PATIENCE = 20.0  # seconds to wait whether other paths fail as well: longer than a relay is tried to be reached
TAKEN_PATIENCE = 8.0  # where relays refuse, the control path has answered when its relay takes mail; its arrival is waited for so long
ROUND_PATIENCE = 180.0  # seconds to wait for a confirm round before what one place shows is believed alone
SUSTAINED_ENOUGH = 3  # probes of one mailbox; a provider has at least two
LATE_ENOUGH = 6
SEEN = frozenset(
    {Reason.PASS, Reason.LATE, Reason.SPAM, Reason.MISFILED, Reason.MISROUTED, Reason.ALTERED, Reason.UNAUTHENTICATED, Reason.DUPLICATE}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Enough evidence. `scope`: where it is not the smallest one that holds the evidence."""

    opening: Opening
    symptom: Symptom
    bad: tuple[Bad, ...]
    scope: Scope | None = None

    @property
    def routes(self) -> set[Route]:
        return {bad.route for bad in self.bad}


def at_once(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """What needs no second look."""
    match family:
        case Symptom.SUBMIT_BLIND:
            return _unable(scene, path)
        case Symptom.MONITOR:
            return _itself(scene, path)
        case _:
            return money(scene, path, family)


def find(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, told: bool = False) -> Finding | None:
    """What the evidence on this path amounts to. None: not enough, worth waiting for more, or (unless `told`) told of already."""
    suspects = _adverse(scene, scene.layout.of_path.get(path, ()), family)
    hard = [bad for bad in suspects if bad.showing.kind is Kind.HARD]
    slow = [bad for bad in suspects if bad.showing.kind is Kind.SLOW]
    found = money(scene, path, family)
    if found is None and hard:
        found = _wide(scene, path, family, suspicion, hard) or _narrow(scene, path, family, suspicion, hard)
    if found is None and len({bad.route.mailbox for bad in slow}) > 1:
        found = stalled(scene, path, family)
    if found is None and slow and _long_since(scene, slow, family):
        found = _sustained(scene, slow, family)
    if found is None and slow:
        found = _late(scene, path, family, slow)
    if found is None or told or any(scene.covering(route, family) is None for route in found.routes):
        return found
    return None


def money(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """A wrong amount or currency, even once. Its scope is the path: whoever prints the amount is there, no provider changes it."""
    if family is not Symptom.CONTENT_WRONG:
        return None
    found = [bad for bad in _adverse(scene, scene.layout.of_path.get(path, ()), family) if bad.trial.money]
    return Finding(Opening.AT_ONCE, family, tuple(found), Scope(ScopeKind.PATH, path)) if found else None


def stalled(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """Total loss: whatever was sent on the path since its mail was last seen anywhere is overdue or missing.

    While a control path arrives to one of the same mailboxes, being overdue is enough; otherwise as many must be unseen for twice as long.
    """
    if family not in (Symptom.DELIVERY_MISSING, Symptom.SMTP_REJECT):
        return None
    lost = _run_since_seen(scene, path)
    if not _are_total(scene, path, lost):
        return None
    began = lost[0].trial.sent
    if _arrives(scene, path, lost):
        affected: Sequence[Bad] = lost
    elif _are_total(scene, path, [bad for bad in lost if scene.long_overdue(bad.trial, bad.route, WITHOUT_CONTROL)]):
        others = [other for other in scene.layout.of_path if other != path]
        affected = [*lost, *(bad for other in others for bad in _run_since_seen(scene, other) if bad.trial.sent.seconds_since(began) >= 0)]
    else:
        return None
    refused = [bad for bad in lost if bad.showing.symptom is Symptom.SMTP_REJECT]
    symptom = Symptom.SMTP_REJECT if len(refused) * 2 > len(lost) else Symptom.DELIVERY_STALLED
    if family_of(symptom) is not family:
        return None
    return Finding(Opening.STALLED, symptom, tuple(affected))


def _run_since_seen(scene: Scene, path: PathName) -> list[Bad]:
    """The overdue and missing probes of the path since its mail was last seen, oldest first."""
    run: list[Bad] = []
    for route, trial in scene.merged(scene.layout.of_path.get(path, ())):
        state = scene.world.probes.get(trial.probe)
        if trial.reason in SEEN or (state is not None and state.seen):
            break
        showing = scene.shows(trial, route)
        bad = Bad(route, trial, showing)
        if showing.unseen and scene.counts(bad, family_of(showing.symptom or Symptom.DELIVERY_MISSING)):
            run.append(bad)
    return run[::-1]


def _are_total(scene: Scene, path: PathName, lost: Sequence[Bad]) -> bool:
    """They are enough, at enough providers, for everything on the path."""
    if not lost:
        return False
    withheld = scene.world.evidence.withheld.get(path)
    short = withheld is not None and withheld.at.seconds_since(lost[0].trial.sent) >= 0
    if len(lost) < (STALLED_WITHOUT_BUDGET if short else STALLED_ENOUGH):
        return False
    blind = scene.world.evidence.blind
    reach = scene.layout.providers_of(route for route in scene.layout.of_path[path] if route.mailbox not in blind)
    covered = scene.layout.providers_of(bad.route for bad in lost)
    return len({bad.route.mailbox for bad in lost}) >= 2 and len(covered) >= min(STALLED_PROVIDERS, len(reach))


def _arrives(scene: Scene, path: PathName, lost: Sequence[Bad]) -> bool:
    """Another path has arrived in one of these mailboxes meanwhile."""
    began = lost[0].trial.sent
    return any(
        trial.reason in SEEN and trial.sent.seconds_since(began) >= 0
        for mailbox in {bad.route.mailbox for bad in lost}
        for route in scene.layout.of_mailbox[mailbox]
        if route.path != path
        for trial in scene.trials(route)
    )


def _long_since(scene: Scene, slow: Sequence[Bad], family: Symptom) -> bool:
    """The first of these, or of those just before it, was sent long enough ago for anything to have lasted."""
    began = (run[0].trial.sent for bad in slow if (run := scene.run(bad.route, family)))
    return any(scene.now.seconds_since(sent) >= scene.policy.incidents.sustained_after for sent in began)


def _wide(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, found: Sequence[Bad]) -> Finding | None:
    """Certain failures at two providers within one round confirm each other."""
    if len(scene.layout.providers_of(bad.route for bad in found)) < 2:
        return None
    newest = max(found, key=lambda bad: bad.trial.seq)
    plan = scene.policy.routes[newest.route]
    near = [bad for bad in found if newest.trial.sent.seconds_since(bad.trial.sent) <= plan.every + plan.deadlines.missing_after]
    if len(scene.layout.providers_of(bad.route for bad in near)) < 2 or _others_undecided(scene, path, family, suspicion):
        return None
    elsewhere = [bad for bad in _adverse(scene, scene.layout.routes.values(), family) if bad.route.path != path]
    return Finding(Opening.CONFIRMED, family, (*near, *(bad for bad in elsewhere if bad.showing.kind is Kind.HARD or bad.trial.unreached)))


def _narrow(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, suspects: Sequence[Bad]) -> Finding | None:
    """Two of the four latest probes of one place failed for certain. Waits for the confirm round, which may show that it is wider."""
    if not _round_over(scene, suspicion):
        return None
    mailboxes = {bad.route.mailbox for bad in suspects}
    places = [scene.layout.of_mailbox[mailbox] for mailbox in sorted(mailboxes)]
    places += [scene.layout.of_provider[provider] for provider in sorted(scene.layout.providers_of(bad.route for bad in suspects))]
    places.append(scene.layout.of_path[path])
    for place in places:
        window = _window(scene, place, family)
        certain = [bad for bad in window if bad.showing.speaks_of(family) and bad.showing.kind is Kind.HARD and scene.counts(bad, family)]
        found = _of_no_path(scene, certain, family)
        if len(found) >= ENOUGH:
            together = {bad.trial.probe: bad for bad in (*found, *(s for s in suspects if s.route in place))}
            return Finding(Opening.CONFIRMED, family, tuple(together.values()))
    return None


def _window(scene: Scene, routes: Iterable[Route], family: Symptom) -> list[Bad]:
    """The latest probes of these routes that say anything about the mail."""
    window = []
    for route, trial in scene.merged(routes):
        showing = scene.shows(trial, route)
        if showing.kind is Kind.GOOD or showing.adverse or showing.speaks_of(family):
            window.append(Bad(route, trial, showing))
            if len(window) == WINDOW:
                break
    return window


def _others_undecided(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None) -> bool:
    """The control probe is still out, or another path is suspect of the same and its confirm round is not over: wait a little, so that
    one fault is one page, and the page says whose fault it is. Where no round was asked for there is no control to wait for."""
    waited = scene.now.seconds_since(suspicion.last.at) if suspicion is not None else OTHERS_PATIENCE
    if suspicion is None or waited >= OTHERS_PATIENCE:
        return False
    if suspicion.asked is not None:
        controls = [route for route in suspicion.confirm if route.path != path and route in scene.policy.routes]
        silent = [route for route in controls if not _answered(scene, route, suspicion.asked)]
        taken = family is Symptom.SMTP_REJECT and all(_taken(scene, route, suspicion.asked) for route in silent)
        if silent and not (taken and waited >= TAKEN_PATIENCE):
            return True
    others = (scene.suspicion(other, family) for other in scene.layout.of_path if other != path)
    return any(other is not None and not _round_over(scene, other) for other in others)


def _round_over(scene: Scene, suspicion: IncidentState | None) -> bool:
    """Each route of the confirm round has shown something since, or nobody waits for it any longer."""
    if suspicion is None:
        return True
    asked = suspicion.asked
    if scene.now.seconds_since(asked or suspicion.last.at) > ROUND_PATIENCE:
        return True
    return asked is not None and all(route not in scene.policy.routes or _answered(scene, route, asked) for route in suspicion.confirm)


def _answered(scene: Scene, route: Route, asked: Instant) -> bool:
    return any(
        trial.sent.seconds_since(asked) >= 0 and (trial.reason is not None or scene.shows(trial, route).kind is not Kind.NOTHING)
        for trial in scene.trials(route)
    )


def _taken(scene: Scene, route: Route, asked: Instant) -> bool:
    """The relay of its path has accepted a probe since."""
    since = (scene.world.probes.get(trial.probe) for trial in scene.trials(route) if trial.sent.seconds_since(asked) >= 0)
    return any(state is not None and state.taken for state in since)


def _sustained(scene: Scene, suspects: Sequence[Bad], family: Symptom) -> Finding | None:
    """Nothing good from one provider, or one mailbox, for so long: what usually passes has not passed."""
    everywhere = _of_no_path(scene, _adverse(scene, scene.layout.routes.values(), family), family)
    for provider in sorted(scene.layout.providers_of(bad.route for bad in suspects)):
        routes = [bad.route for bad in everywhere if scene.layout.provider(bad.route) == provider]
        boxes = {route.mailbox for route in routes}
        if len(boxes) > 1 and (run := _lasting(scene, routes, family, 1.0)):
            wider = [bad.route for bad in everywhere if bad.route not in routes]
            return Finding(Opening.SUSTAINED, _worst(run), (*run, *_also_lasting(scene, wider, family)))
        # while another mailbox of the provider looks bad, one alone is named only after twice the time
        for mailbox in sorted(boxes):
            mine = [route for route in routes if route.mailbox == mailbox]
            if run := _lasting(scene, mine, family, 1.0 if len(boxes) == 1 else 2.0):
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


def _also_lasting(scene: Scene, routes: Sequence[Route], family: Symptom) -> list[Bad]:
    """Other providers that have been as bad for half as long: the same trouble."""
    found: list[Bad] = []
    for provider in sorted(scene.layout.providers_of(routes)):
        found += _lasting(scene, [route for route in routes if scene.layout.provider(route) == provider], family, 0.5)
    return found


def _late(scene: Scene, path: PathName, family: Symptom, slow: Sequence[Bad]) -> Finding | None:
    """At least half of the latest probes of one place came late, over a long time."""
    if family is not Symptom.DELIVERY_MISSING:
        return None
    suspects = [bad for bad in slow if bad.trial.reason is Reason.LATE]
    places: list[tuple[Route, ...]] = [scene.layout.of_mailbox[name] for name in sorted({bad.route.mailbox for bad in suspects})]
    places += [scene.layout.of_provider[name] for name in sorted(scene.layout.providers_of(bad.route for bad in suspects))]
    if suspects:
        places.append(scene.layout.of_path[path])
    for place in places:
        if found := _mostly_late(scene, place):
            return Finding(Opening.SUSTAINED, Symptom.DELIVERY_LATE, tuple(found))
    return None


def _mostly_late(scene: Scene, place: Sequence[Route]) -> list[Bad]:
    window: list[Bad] = []
    for route, trial in scene.merged(place):
        showing = scene.shows(trial, route)
        if showing.kind is not Kind.NOTHING:
            window.append(Bad(route, trial, showing))
        late = [bad for bad in window if bad.trial.reason is Reason.LATE and scene.counts(bad, Symptom.DELIVERY_MISSING)]
        if len(window) >= LATE_ENOUGH and len(late) * 2 >= len(window) and _span(late[::-1]) >= scene.policy.incidents.sustained_after:
            return late[::-1]
    return []


def _unable(scene: Scene, path: PathName) -> Finding | None:
    """Two of the four latest submissions on a path came to nothing for a reason of ours."""
    family = Symptom.SUBMIT_BLIND
    bad = [b for b in _window(scene, scene.layout.of_path.get(path, ()), family) if b.showing.kind is Kind.OURS and scene.counts(b, family)]
    if len(bad) < ENOUGH:
        return None
    paths = [other for other in scene.layout.of_path if _all_unable(scene, other)]
    if len(paths) == len(scene.layout.of_path):
        bad += [b for b in _adverse(scene, scene.layout.routes.values(), family) if b.route.path != path]
        return Finding(Opening.BLIND, family, tuple(bad), Scope(ScopeKind.ALL))
    return Finding(Opening.BLIND, family, tuple(bad), Scope(ScopeKind.PATH, path))


def _all_unable(scene: Scene, path: PathName) -> bool:
    window = _window(scene, scene.layout.of_path[path], Symptom.SUBMIT_BLIND)
    return sum(bad.showing.kind is Kind.OURS for bad in window) >= ENOUGH


def _itself(scene: Scene, path: PathName) -> Finding | None:
    """Our own fault, even once."""
    found = _adverse(scene, scene.layout.of_path.get(path, ()), Symptom.MONITOR)
    return Finding(Opening.ITSELF, Symptom.MONITOR, tuple(found), Scope(ScopeKind.ALL)) if found else None


def _adverse(scene: Scene, routes: Iterable[Route], family: Symptom) -> list[Bad]:
    """The newest evidence of these routes where it is adverse."""
    found = (scene.adverse(route, family) for route in routes)
    return [bad for bad in found if bad is not None]


def _of_no_path(scene: Scene, found: Iterable[Bad], family: Symptom) -> list[Bad]:
    """Without what a path that is known to be broken does: it says nothing about one place."""
    held = ((bad, scene.covering(bad.route, family)) for bad in found)
    return [bad for bad, state in held if state is None or state.last.scope.kind is not ScopeKind.PATH]


def _worst(run: Sequence[Bad]) -> Symptom:
    """Missing says more than overdue; late says that it came."""
    counts = Counter(bad.showing.symptom for bad in run if bad.showing.symptom is not None)
    order = (Symptom.DELIVERY_MISSING, Symptom.DELIVERY_STALLED, Symptom.DELIVERY_LATE)
    return next((symptom for symptom in order if counts[symptom]), counts.most_common(1)[0][0])


def _span(run: Sequence[Bad]) -> float:
    return run[-1].trial.sent.seconds_since(run[0].trial.sent) if run else 0.0
