"""Transitions: what changes, and all that is needed to tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from monitor.model.facts import Transition
from monitor.model.incident import IncidentId, Opening, Phase, Scope, ScopeKind, Severity, Tally
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.model.verdict import Symptom
from monitor.rules import deploys, diagnose
from monitor.rules.incident.blindness import Trouble
from monitor.rules.incident.layout import severity
from monitor.rules.incident.scene import Bad, Kind, Scene, family_of
from monitor.views.incidents import IncidentState

MOST_EVIDENCE = 50  # seqs in one transition
GROWN_EVERY = 300.0  # seconds between two notices that it grew: a pager that rings for each route is switched off
FLAP_SLOWER = 4.0  # times as long until it counts as recovered


def opened(
    scene: Scene,
    incident: IncidentId,
    symptom: Symptom,
    scope: Scope,
    opening: Opening,
    bad: Sequence[Bad],
    before: IncidentState | None = None,
) -> Transition:
    """`before`: the incident of which this is another episode."""
    routes = {bad.route for bad in bad}
    began = min(bad, key=lambda b: b.trial.seq).trial.sent
    fact = Transition(
        at=scene.now,
        incident=incident,
        phase=Phase.OPENED,
        symptom=before.last.symptom if before else symptom,
        scope=scope,
        severity=severity(symptom, scope),
        episode=before.last.episode + 1 if before else 1,
        since=began,
        routes=tuple(sorted(str(route) for route in routes)),
        opening=opening,
        evidence=tuple(sorted({b.trial.shown_by for b in bad}))[-MOST_EVIDENCE:],
    )
    return explained(scene, fact)


def troubled(scene: Scene, incident: IncidentId, trouble: Trouble, before: IncidentState | None) -> Transition:
    """Opened by something else than probes."""
    fact = Transition(
        at=scene.now,
        incident=incident,
        phase=Phase.OPENED,
        symptom=trouble.symptom,
        scope=trouble.scope,
        severity=trouble.severity,
        episode=before.last.episode + 1 if before else 1,
        since=trouble.since,
        routes=tuple(sorted(str(route) for route in scene.layout.within(trouble.scope))),
        opening=trouble.opening,
        evidence=trouble.evidence,
    )
    told = explained(scene, fact)
    if told.diagnosis is None or not trouble.shows:
        return told
    shows = (*trouble.shows, *told.diagnosis.shows)[: diagnose.MAX_SHOWS]
    return replace(told, diagnosis=replace(told.diagnosis, shows=shows))


def begun(
    scene: Scene, symptom: Symptom, scope: Scope, level: Severity, since: Instant, opening: Opening, evidence: tuple[int, ...] = ()
) -> Transition:
    """Opened without a probe: a new incident, or another episode of the one that ended within the hour. Nothing is thought of it yet."""
    recent = scene.incidents.reopenable(scene.policy.incidents, scene.now)
    before = next((state for state in reversed(recent) if state.last.symptom is symptom and state.last.scope == scope), None)
    return Transition(
        at=scene.now,
        incident=before.id if before else scene.incidents.following(),
        phase=Phase.OPENED,
        symptom=symptom,
        scope=scope,
        severity=level,
        episode=before.last.episode + 1 if before else 1,
        since=since,
        opening=opening,
        evidence=evidence[-MOST_EVIDENCE:],
    )


def step(scene: Scene, state: IncidentState, phase: Phase, note: str = "", by: str = "") -> Transition:
    """A change that nobody is told of: its grounds stand in the transitions before."""
    return replace(state.last, at=scene.now, phase=phase, note=note, by=by, confirm=(), diagnosis=None, deploys=(), evidence=(), tallies=())


def grown(scene: Scene, state: IncidentState, bad: Sequence[Bad], level: Severity, note: str = "") -> Transition:
    routes = {*state.last.routes, *(str(b.route) for b in bad)}
    fact = replace(
        step(scene, state, Phase.GROWN, note),
        severity=level,
        routes=tuple(sorted(routes)),
        evidence=tuple(sorted({b.trial.shown_by for b in bad}))[-MOST_EVIDENCE:],
    )
    return explained(scene, fact)


def resolved(scene: Scene, state: IncidentState, note: str, by: str = "") -> Transition:
    """With the diagnosis of its opening: afterwards the pattern shows mostly what is good."""
    fact = step(scene, state, Phase.RESOLVED, note, by)
    grounds = state.opened or state.last
    tallies = _tallies(scene, scene.layout.within(fact.scope), fact)
    evidence = grounds.evidence
    if fact.scope.kind is ScopeKind.LEDGER and scene.world.ledger.last is not None:  # how much had been found when it was over
        evidence = (*evidence, scene.world.ledger.last_seq)
    return replace(fact, tallies=tallies, evidence=evidence, diagnosis=grounds.diagnosis, deploys=grounds.deploys)


def explained(scene: Scene, fact: Transition) -> Transition:
    """With the counts, the last good evidence, what is thought of it, and the deploys beside its beginning."""
    within = scene.layout.within(fact.scope)
    affected = [route for name in fact.routes if (route := scene.layout.routes.get(name))]
    last_good = _last_good(scene, within, fact.since)
    accepted = scene.world.evidence.accepted(fact.routes, fact.since)
    beside = deploys.candidates(scene.incidents.deploys, fact.since, last_good, _control_good(scene, affected, fact), accepted)
    diagnosis = diagnose.diagnose(scene.world, scene.policy, fact.scope, fact.symptom, fact.routes, fact.since, scene.now, beside)
    return replace(
        fact,
        last_good=last_good,
        tallies=_tallies(scene, within, fact),
        diagnosis=diagnosis,
        deploys=beside,
    )


def _last_good(scene: Scene, routes: Iterable[Route], since: Instant) -> Instant | None:
    good = [t.sent for r in routes for t in scene.trials(r) if scene.shows(t, r).kind is Kind.GOOD and since.seconds_since(t.sent) >= 0]
    return min(good, key=since.seconds_since, default=None)


def _tallies(scene: Scene, routes: Iterable[Route], fact: Transition) -> tuple[Tally, ...]:
    """What was sent from its beginning to the last that was bad, by path and provider; of each route the latest probes only. What recovery
    sends afterwards would make each outage look half as bad."""
    family = family_of(fact.symptom)
    shown = [(route, trial, scene.shows(trial, route)) for route in routes for trial in scene.trials(route)]
    since = [(route, trial, showing) for route, trial, showing in shown if trial.sent.seconds_since(fact.since) >= 0]
    last = max((trial.sent for _, trial, showing in since if showing.speaks_of(family)), key=lambda at: at.utc, default=scene.now)
    sent: Counter[tuple[str, str]] = Counter()
    bad: Counter[tuple[str, str]] = Counter()
    for route, trial, showing in since:
        if showing.kind is not Kind.NOTHING and last.seconds_since(trial.sent) >= 0:
            key = (str(route.path), scene.layout.provider(route))
            sent[key] += 1
            bad[key] += showing.speaks_of(family)
    return tuple(Tally(path, provider, bad[path, provider], sent[path, provider]) for path, provider in sorted(sent))


def _control_good(scene: Scene, affected: Sequence[Route], fact: Transition) -> bool:
    """Since it began, something has arrived on a path that is not affected."""
    paths = {route.path for route in affected}
    return any(
        scene.shows(trial, route).kind is Kind.GOOD and trial.sent.seconds_since(fact.since) >= 0
        for path, routes in scene.layout.of_path.items()
        if path not in paths
        for route in routes
        for trial in scene.trials(route)
    )
