"""Evidence -> incidents: suspicion, confirm round, opening, recovery. Design 5: overdue, open at once, diagnosis.

`decide` is asked after every batch of facts that matters and at the times that it names itself. It returns transitions until nothing is
left to say: folding them and asking again gives nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from monitor.model.facts import Entry, Transition
from monitor.model.incident import IncidentId, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import PathName, Purpose, Route
from monitor.model.verdict import Symptom
from monitor.rules.incident import causes, findings, gates, ledger, outage, recovery, silences, telling, tripwires
from monitor.rules.incident.blindness import Trouble, next_blind, troubles
from monitor.rules.incident.confirm import confirm_round
from monitor.rules.incident.layout import Layout, severity
from monitor.rules.incident.losses import lossy
from monitor.rules.incident.opening import at_once, find
from monitor.rules.incident.scene import Bad, Kind, Scene, family_of
from monitor.rules.incident.suspects import Finding
from monitor.views.incidents import IncidentState
from monitor.views.world import World

__all__ = ["Decision", "Layout", "decide"]

MOST = 100  # suspicions and open incidents; beyond it only what pages is opened, and that is bounded by paths and providers
CONFIRM_EVERY = 60.0  # seconds between two confirm rounds of one path
WAKE_SUSPECT = 5.0  # seconds until the next look while anything is suspect
WAKE_OPEN = 15.0  # while anything is open
_KEPT_OUT = frozenset({Symptom.SMTP_REJECT, Symptom.BOUNCED, Symptom.DELIVERY_MISSING})  # mail that somebody does not let in
_WAITS = (next_blind, findings.next_blind, ledger.next_blind, silences.next_change)
MOST_STEPS = 200  # transitions of one decision; more are left to the next one, at once


@dataclass(frozen=True, slots=True)
class Decision:
    """`wake`: seconds until to ask again although nothing happens; None: only when something does."""

    transitions: tuple[Transition, ...]
    wake: float | None


def decide(world: World, layout: Layout, policy: Policy, now: Instant, touched: Collection[Route] | None = None) -> Decision:
    """What changes now.

    `touched`: the routes on which something happened since the last decision; what has nothing to do with them is left alone. Empty: time
    has passed, or somebody said something. None: look at everything.
    """
    routes = tuple(layout.routes.values()) if touched is None else tuple(route for route in touched if route in policy.routes)
    scene = Scene(world, world.incidents, layout, policy, now)
    transitions: list[Transition] = []
    concerned = None if not touched else frozenset(routes)
    steps: tuple[Callable[[], list[Transition]], ...] = (
        lambda: silences.silenced(scene),
        lambda: _followed(scene, concerned),
        lambda: _suspicions(scene, concerned),
        lambda: _troubles(scene),
        lambda: _gates(scene),
        lambda: _differences(scene),
        lambda: _findings(scene),
        lambda: _losses(scene, routes),
        lambda: _begun(scene, routes),
    )
    while len(transitions) < MOST_STEPS:
        new = next((found for step in steps if (found := step())), None)
        if new is None:
            return Decision(tuple(transitions), _wake(scene))
        for decided in new:
            fact = silences.kept(scene, tripwires.placed(scene, causes.placed(scene, decided)))
            transitions.append(fact)
            scene.fold(Entry(world.seq + len(transitions), "transition", fact))
        concerned = None  # what was decided may concern anything
    return Decision(tuple(transitions), 0.0)


def _wake(scene: Scene) -> float | None:
    waits = [wait for wait in (each(scene) for each in _WAITS) if wait is not None]
    if scene.incidents.suspicions():
        waits.append(WAKE_SUSPECT)
    if scene.incidents.open():
        waits.append(WAKE_OPEN)
    return min(waits, default=None)


def _followed(scene: Scene, concerned: frozenset[Route] | None) -> list[Transition]:
    for state in scene.incidents.open():
        touched = concerned is None or any(scene.layout.holds(state.last.scope, route) for route in concerned)
        if touched and (fact := recovery.follow(scene, state)):
            return [fact]
    return []


# --- suspicions -----------------------------------------------------------------------------------------------------------


def _suspicions(scene: Scene, concerned: frozenset[Route] | None) -> list[Transition]:
    for state in scene.incidents.suspicions():
        family, path = family_of(state.last.symptom), PathName(state.last.scope.name)
        if concerned is not None and not any(route.path == path or route in state.confirm for route in concerned):
            continue
        found = find(scene, path, family, state)
        if (found is None or found.opening is Opening.CONFIRMED) and (fact := _asked_elsewhere(scene, state, path, family)):
            return [fact]
        if found:
            if new := _opened(scene, found, state):
                return new
        elif not _is_pending(scene, path, family):
            note = "what came later was good" if path in scene.layout.of_path else "its path is no longer configured"
            return [telling.step(scene, state, Phase.CLEARED, note)]
        elif fact := _asked_again(scene, state, path, family):
            return [fact]
    return []


def _is_pending(scene: Scene, path: PathName, family: Symptom) -> bool:
    return any(_uncovered(scene, route, family) for route in scene.layout.of_path.get(path, ()))


def _uncovered(scene: Scene, route: Route, family: Symptom) -> Bad | None:
    bad = scene.adverse(route, family)
    return bad if bad is not None and scene.covering(route, family) is None else None


def _asked_again(scene: Scene, state: IncidentState, path: PathName, family: Symptom) -> Transition | None:
    """The confirm round that could not be asked for when suspicion arose, or that was lost with the process before."""
    lost = state.asked is not None and state.asked.process != scene.now.process and not _any_sent(scene, state)
    if (state.asked is not None and not lost) or not _may_confirm(scene, path):
        return None
    bad = next(b for route in scene.layout.of_path[path] if (b := _uncovered(scene, route, family)))
    confirm = confirm_round(scene, bad.route)
    return replace(telling.step(scene, state, Phase.SUSPECTED), confirm=confirm) if confirm else None


def _asked_elsewhere(scene: Scene, state: IncidentState, path: PathName, family: Symptom) -> Transition | None:
    """Another round, for another provider that looks bad since the last one, which had good answers: that one was about something else.
    One for each provider."""
    if state.asked is None or not _may_confirm(scene, path) or not _any_good(scene, path, state.asked):
        return None
    known = scene.layout.providers_of(route for name in state.last.routes if (route := scene.layout.routes.get(name)))
    for route in scene.layout.of_path.get(path, ()):
        bad = _uncovered(scene, route, family)
        if bad is None or bad.trial.purpose is Purpose.CONFIRM or scene.layout.provider(route) in known:
            continue
        if bad.trial.sent.seconds_since(state.asked) > 0 and bad.showing.kind is not Kind.OURS:
            again = telling.step(scene, state, Phase.SUSPECTED)
            return replace(again, routes=tuple(sorted({*again.routes, str(route)})), confirm=confirm_round(scene, route))
    return None


def _any_good(scene: Scene, path: PathName, since: Instant) -> bool:
    return any(
        trial.sent.seconds_since(since) >= 0 and scene.shows(trial, route).kind is Kind.GOOD
        for route in scene.layout.of_path.get(path, ())
        for trial in scene.trials(route)
    )


def _any_sent(scene: Scene, state: IncidentState) -> bool:
    asked = state.asked
    return asked is not None and any(
        trial.sent.seconds_since(asked) >= 0 for route in state.confirm if route in scene.policy.routes for trial in scene.trials(route)
    )


def _may_confirm(scene: Scene, path: PathName) -> bool:
    before = scene.incidents.rounds.get(path)
    return before is None or scene.now.seconds_since(before) >= CONFIRM_EVERY or before.utc > scene.now.utc


def _begun(scene: Scene, routes: Iterable[Route]) -> list[Transition]:
    """New suspicions, and what opens without one."""
    for route in routes:
        for family in _adverse_families(scene, route):
            bad = scene.adverse(route, family)
            if bad is None or scene.suspicion(route.path, family):
                continue
            found = at_once(scene, route.path, family)
            if not _is_news(scene, route, family, found):
                continue
            if found:
                if new := _opened(scene, found, None):
                    return new
            elif bad.showing.kind is not Kind.OURS and not _is_full(scene):
                return [_suspected(scene, bad, family)]
    return []


def _is_news(scene: Scene, route: Route, family: Symptom, found: Finding | None) -> bool:
    """Nothing open covers the route, or what was found is everything and only less is open."""
    covers = [s for s in scene.incidents.open() if family_of(s.last.symptom) is family and scene.layout.holds(s.last.scope, route)]
    if found is None or found.scope is None or found.scope.kind is not ScopeKind.ALL:
        return not covers
    return all(state.last.scope.kind is not ScopeKind.ALL for state in covers)


def _adverse_families(scene: Scene, route: Route) -> list[Symptom]:
    """Of the newest probes that are not good."""
    families: dict[Symptom, None] = {}
    for trial in reversed(scene.trials(route)):
        showing = scene.shows(trial, route)
        if showing.kind is Kind.GOOD:
            break
        if showing.symptom is not None:
            families[family_of(showing.symptom)] = None
    return list(families)


def _suspected(scene: Scene, bad: Bad, family: Symptom) -> Transition:
    path = bad.route.path
    scope = Scope(ScopeKind.PATH, path)
    symptom = bad.showing.symptom or family
    return Transition(
        at=scene.now,
        incident=scene.incidents.following(),
        phase=Phase.SUSPECTED,
        symptom=symptom,
        scope=scope,
        severity=severity(symptom, scene.layout.smallest([bad.route])),
        episode=0,
        since=bad.trial.sent,
        routes=(str(bad.route),),
        evidence=(bad.trial.shown_by,),
        confirm=confirm_round(scene, bad.route) if _may_confirm(scene, path) else (),
    )


def _is_full(scene: Scene) -> bool:
    return len(scene.incidents.open()) + len(scene.incidents.suspicions()) >= MOST


# --- openings -------------------------------------------------------------------------------------------------------------


def _opened(scene: Scene, found: Finding, suspicion: IncidentState | None) -> list[Transition]:
    """The opening, the end of the suspicion where an earlier incident is opened again, and what becomes part of it."""
    scope = found.scope or scene.layout.smallest(found.routes)
    family = family_of(found.symptom)
    level = severity(found.symptom, scope)
    if level is not Severity.PAGE and suspicion is None and _is_full(scene):
        return []
    before = _before(scene, family, scope)
    incident = before.id if before else suspicion.id if suspicion else scene.incidents.following()
    new: list[Transition] = []
    if before is not None and suspicion is not None:
        new.append(telling.step(scene, suspicion, Phase.CLEARED, f"it is {before.id} again"))
    fact = telling.opened(scene, incident, found.symptom, scope, found.opening, found.bad, before)
    if whole := _same_fault(scene, found, family, level):
        fact = replace(fact, parent=whole.id, note=f"part of {whole.id}")
    return [*new, fact, *_parts(scene, family, scope, incident)]


def _same_fault(scene: Scene, found: Finding, family: Symptom, level: Severity) -> IncidentState | None:
    """The open incident that tells of the same fault under another name: what one path sees refused, another one's relay keeps in its
    queue, and it stays away. What wakes nobody hides nothing that would."""
    if family not in _KEPT_OUT:
        return None
    for state in scene.incidents.open():
        named_otherwise = family_of(state.last.symptom) in _KEPT_OUT - {family} and state.parent is None
        loud_enough = state.last.severity is Severity.PAGE or level is Severity.TICKET
        speaks = named_otherwise and loud_enough and not causes.is_silent(scene, state)
        if speaks and all(scene.layout.holds(state.last.scope, route) for route in found.routes):
            return state
    return None


def _before(scene: Scene, family: Symptom, scope: Scope) -> IncidentState | None:
    """The incident of which this is another episode."""
    recent = scene.incidents.reopenable(scene.policy.incidents, scene.now)
    same = [state for state in recent if family_of(state.last.symptom) is family and state.last.scope == scope]
    return same[-1] if same else None


def _parts(scene: Scene, family: Symptom, scope: Scope, incident: IncidentId) -> list[Transition]:
    """Open incidents of the same family that it holds: they go on in silence."""
    narrower = [
        state
        for state in scene.incidents.open()
        if family_of(state.last.symptom) is family and state.parent is None and _holds(scene, scope, state)
    ]
    return [
        replace(telling.step(scene, state, Phase.GROWN, f"part of {incident}"), parent=incident)
        for state in narrower
        if state.id != incident
    ]


def _holds(scene: Scene, scope: Scope, state: IncidentState) -> bool:
    """Where it has no route that is still configured, its own place has to be the scope's: nothing holds nothing."""
    routes = [route for name in state.last.routes if (route := scene.layout.routes.get(name))]
    return scope.kind is ScopeKind.ALL or (bool(routes) and all(scene.layout.holds(scope, route) for route in routes))


def _losses(scene: Scene, touched: Collection[Route]) -> list[Transition]:
    found = lossy(scene, touched)
    return _opened(scene, found, None) if found else []


def _troubles(scene: Scene) -> list[Transition]:
    for trouble in (*tripwires.troubles(scene), *troubles(scene)):
        if trouble.severity is Severity.PAGE or not _is_full(scene):
            return _opened_trouble(scene, trouble)
    return []


def _gates(scene: Scene) -> list[Transition]:
    fact = None if _is_full(scene) else gates.held(scene)
    return [fact] if fact else []


def _differences(scene: Scene) -> list[Transition]:
    fact = ledger.found(scene, _is_full(scene))
    return [fact] if fact else []


def _findings(scene: Scene) -> list[Transition]:
    fact = findings.found(scene, _is_full(scene))
    if fact is None:
        return []
    if outage.is_everywhere(fact.symptom, fact.scope):
        return [fact, *outage.parts(scene, fact)]
    return [fact, *_parts(scene, fact.symptom, fact.scope, fact.incident)]


def _opened_trouble(scene: Scene, trouble: Trouble) -> list[Transition]:
    before = _before(scene, trouble.symptom, trouble.scope)
    incident = before.id if before else scene.incidents.following()
    fact = telling.troubled(scene, incident, trouble, before)
    return [fact, *_parts(scene, trouble.symptom, trouble.scope, incident)]
