"""A release gate that holds a deploy is a ticket too: a pipeline that waits is looked at by nobody.

One incident for each deploy. It opens with a decision that is no pass, grows when a later attempt decides otherwise, and is over when
nothing is held any more. No probe opens or ends it: it has no routes, and is part of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.model.facts import GateDecided, GateRequested, Transition
from monitor.model.gate import Because
from monitor.model.incident import DeployCandidate, DeployPhase, Diagnosis, Layer, Link, Opening, Phase, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom, Verdict
from monitor.rules.deploys import NEAR, rolled_back, stands_beside
from monitor.rules.incident import telling
from monitor.rules.incident.layout import severity
from monitor.rules.incident.scene import Scene
from monitor.views.gates import GateState
from monitor.views.incidents import IncidentState

WAITED = 86_400.0  # seconds after its decision: nobody waits for that gate any more
MOST_SHOWS = 8
LONGEST = 300  # characters of a line


@dataclass(frozen=True, slots=True)
class _Hold:
    """A deploy that is held. `began`: the deploy; `decided`: the latest decision about it."""

    deploy: str
    service: str
    began: Instant
    decided: Instant


@dataclass(frozen=True, slots=True)
class _End:
    """Why nothing is held any more, and whose word it was."""

    note: str
    by: str = ""


def held(scene: Scene) -> Transition | None:
    """The next deploy that a gate holds and nobody was told of."""
    for gate in scene.world.gates.known.values():
        decision = gate.decisions[-1] if gate.decisions else None
        if decision is None or decision.verdict is Verdict.PASS or not _asked(gate, decision).notify:
            continue
        if scene.world.gates.of_deploy(gate.request.deploy) is not gate:
            continue
        hold = _hold(gate, decision)
        if _is_news(scene, hold) and _end(scene, hold) is None:
            return _opened(scene, gate, decision)
    return None


def follow(scene: Scene, state: IncidentState) -> Transition | None:
    """The next change of an open one; None: the deploy is still held."""
    gate = scene.world.gates.of_deploy(state.last.scope.name)
    last = gate.decisions[-1] if gate is not None and gate.decisions else None
    if end := _end(scene, _remembered(state) if gate is None or last is None else _hold(gate, last)):
        return telling.resolved(scene, state, end.note, end.by)
    if gate is None or last is None or not _asked(gate, last).notify:
        return None
    told = _told(gate, state)
    if told is not None and told.verdict is last.verdict:
        return None
    note = f"attempt {last.attempt} says {last.verdict.value}" + (f", attempt {told.attempt} said {told.verdict.value}" if told else "")
    return _explained(scene, telling.step(scene, state, Phase.GROWN, note), gate, last)


def _hold(gate: GateState, decision: GateDecided) -> _Hold:
    first = gate.requests[0]
    return _Hold(first.deploy, first.service, first.began, decision.at)


def _remembered(state: IncidentState) -> _Hold:
    """Of a gate that is forgotten meanwhile."""
    first = state.opened or state.last
    service, began = (first.deploys[0].service, first.deploys[0].at) if first.deploys else ("", first.since)
    return _Hold(first.scope.name, service, began, first.since)


def _is_news(scene: Scene, hold: _Hold) -> bool:
    """No incident tells of it, and none that did ended after that decision."""
    scope = Scope(ScopeKind.DEPLOY, hold.deploy)
    about = [s for s in scene.incidents.known.values() if s.last.symptom is Symptom.GATE_HOLD and s.last.scope == scope]
    return all(state.resolved_at is not None and scene.is_after(hold.decided, state.resolved_at) for state in about)


def _told(gate: GateState, state: IncidentState) -> GateDecided | None:
    """The decision that people know of: by what was said of it, for clocks may jump between two processes."""
    known = state.explained.diagnosis if state.explained is not None else None
    return next((decision for decision in reversed(gate.decisions) if _diagnosis(gate, decision) == known), None)


# --- the end ----------------------------------------------------------------------------------------------------------


def _end(scene: Scene, hold: _Hold) -> _End | None:
    gate = scene.world.gates.of_deploy(hold.deploy)
    if gate is not None and gate.decisions and (end := _released(gate, scene.now)):
        return end
    for other in scene.world.gates.known.values():
        if _succeeds(other, hold):
            return _End(f"gate {other.id} of the later deploy {other.request.deploy} has passed")
    if scene.now.seconds_since(hold.decided) >= WAITED:
        return _End("a day has gone by since the decision: nobody waits for this gate any more")
    return None


def _succeeds(other: GateState, hold: _Hold) -> bool:
    """A later deploy, of the same service as far as both say which, has passed since."""
    first, last = other.requests[0], other.decisions[-1] if other.decisions else None
    if last is None or last.verdict is not Verdict.PASS or first.deploy == hold.deploy:
        return False
    same = not hold.service or not first.service or first.service == hold.service
    return same and first.began.seconds_since(hold.began) > 0 and last.at.seconds_since(hold.decided) > 0


def _released(gate: GateState, now: Instant) -> _End | None:
    last = gate.decisions[-1]
    if last.verdict is Verdict.PASS:
        return _End(f"gate {gate.id} has passed: {last.reason}")
    if last.because is Because.CANCELLED:
        by = gate.cancelled.by if gate.cancelled is not None else ""
        return _End(f"gate {gate.id} was cancelled{f': {gate.cancelled.reason}' if gate.cancelled is not None else ''}", by)
    if (override := gate.overridden(now)) is not None:
        until = replace(now, utc=override.until).when
        return _End(f"gate {gate.id} was overridden until {until:%Y-%m-%d %H:%M:%S}Z: {override.reason}", override.by)
    return None


# --- in words ---------------------------------------------------------------------------------------------------------


def _opened(scene: Scene, gate: GateState, decision: GateDecided) -> Transition:
    scope = Scope(ScopeKind.DEPLOY, gate.request.deploy)
    level = severity(Symptom.GATE_HOLD, scope)
    fact = telling.begun(scene, Symptom.GATE_HOLD, scope, level, decision.at, Opening.HELD)
    return _explained(scene, fact, gate, decision)


def _explained(scene: Scene, fact: Transition, gate: GateState, decision: GateDecided) -> Transition:
    return replace(
        fact,
        evidence=decision.evidence[-telling.MOST_EVIDENCE :],
        diagnosis=_diagnosis(gate, decision),
        deploys=(_candidate(scene, gate, fact.since),),
    )


def _diagnosis(gate: GateState, decision: GateDecided) -> Diagnosis:
    """Of the decision alone: the same whenever it is made."""
    asked = _asked(gate, decision)
    advisory = asked.advisory_until > decision.at.utc
    shows = ("the gate was asked for advice only: it blocks nothing",) if advisory else ()
    whole = f"{decision.verdict.value} by gate {gate.id} (policy {asked.policy.name}, attempt {decision.attempt}): {decision.reason}"
    return Diagnosis(
        layer=_layer(decision.because),
        summary=whole[:LONGEST],
        shows=tuple(line[:LONGEST] for line in (*shows, *decision.unseen))[:MOST_SHOWS],
        said=(decision.example.said[:LONGEST],) if decision.example is not None and decision.example.said else (),
        next_step=_next_step(asked, decision)[:LONGEST],
    )


def _next_step(asked: GateRequested, decision: GateDecided) -> str:
    explain = f"mailcanary gate explain {decision.gate}"
    name = " ".join(part for part in (asked.service, asked.version or asked.deploy) if part)
    match decision.verdict:
        case Verdict.FAIL | Verdict.PASS:
            return f"{explain}; then roll {name} back, or mend it and deploy anew; or override the gate, if you answer for it"
        case Verdict.INCONCLUSIVE | Verdict.ERROR:
            return f"{explain}; mend what it could not see and run the gate again; or roll {name} back, or override the gate"


def _layer(because: Because) -> Layer:
    match because:
        case Because.LOSSES | Because.WRONG_AMOUNT | Because.TRIPPED | Because.REFUSED | Because.STALLED | Because.UNOBSERVED:
            return Layer.APPLICATION  # what this deploy changed
        case Because.FINDING:
            return Layer.DNS
        case Because.BASELINE_BROKEN:
            return Layer.RELAY  # other versions fail too
        case Because.TOO_FEW | Because.BLIND | Because.UNSUBMITTED | Because.BUDGET | Because.OWN_FAULT | Because.CANCELLED | Because.CLEAN:
            return Layer.MONITOR


def _candidate(scene: Scene, gate: GateState, since: Instant) -> DeployCandidate:
    """As its latest marker beside the decision tells, or the request where it has none."""
    asked, markers = gate.request, scene.incidents.deploys
    marker = next((each for each in reversed(markers) if each.deploy == asked.deploy and stands_beside(each, since)), None)
    at = marker.at if marker is not None else asked.began
    after = since.seconds_since(at)
    found = DeployCandidate(
        deploy=asked.deploy,
        phase=marker.phase if marker is not None else DeployPhase.START,
        service=(marker.service if marker is not None else "") or asked.service,
        version=(marker.version if marker is not None else "") or asked.version,
        by=marker.by if marker is not None else "",
        at=at,
        seconds_after=after if marker is not None else max(0.0, after),
        link=Link.NEAR if after <= NEAR else Link.NONE,
    )
    return replace(found, taken_back=rolled_back(found, markers))


def _asked(gate: GateState, decision: GateDecided) -> GateRequested:
    """The attempt that it decides."""
    return next((request for request in gate.requests if request.attempt == decision.attempt), gate.request)
