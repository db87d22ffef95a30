"""What the rules look at: the world, the incidents as they stand, and what each probe shows now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model.facts import Entry
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import PathName, ProbeId, Route
from monitor.model.verdict import SYMPTOM_OF, Reason, Symptom, Verdict
from monitor.rules import overdue
from monitor.rules.incident.layout import Layout
from monitor.views.evidence import Trial
from monitor.views.incidents import Incidents, IncidentState
from monitor.views.probes import ProbeState
from monitor.views.world import World

_DELIVERY = frozenset({Symptom.DELIVERY_STALLED, Symptom.DELIVERY_MISSING, Symptom.DELIVERY_LATE})
_SLOW = frozenset({Reason.MISSING, Reason.LATE, Reason.DEFERRED, Reason.STALLED})
_UNSEEN = frozenset({Reason.MISSING, Reason.DEFERRED, Reason.STALLED})
_OURS = frozenset({Symptom.SUBMIT_BLIND, Symptom.MONITOR})  # of the verdicts that are about us


class Kind(StrEnum):
    """What one probe says about the mail."""

    GOOD = "good"
    HARD = "hard"  # certain, and it will not mend itself: rejected, spam, misrouted
    SLOW = "slow"  # it may pass: overdue, missing, late, deferred
    OURS = "ours"  # we could not submit, or it is our own fault: nothing about the mail
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Showing:
    kind: Kind
    symptom: Symptom | None = None
    unseen: bool = False  # it has arrived nowhere

    @property
    def adverse(self) -> bool:
        return self.kind is Kind.HARD or self.kind is Kind.SLOW

    def speaks_of(self, family: Symptom) -> bool:
        """It is adverse evidence of this family."""
        return self.symptom is not None and family_of(self.symptom) is family and self.kind is not Kind.NOTHING


_NOTHING = Showing(Kind.NOTHING)
_GOOD = Showing(Kind.GOOD)


@dataclass(frozen=True, slots=True)
class Bad:
    """An adverse probe."""

    route: Route
    trial: Trial
    showing: Showing


def family_of(symptom: Symptom) -> Symptom:
    """Stalled, missing and late are stages of one thing."""
    return Symptom.DELIVERY_MISSING if symptom in _DELIVERY else symptom


@dataclass(slots=True)
class Scene:
    world: World
    incidents: Incidents  # the world's, plus what was decided just now
    layout: Layout
    policy: Policy
    now: Instant
    _shown: dict[ProbeId, Showing] = field(default_factory=dict)
    _trials: dict[Route, list[Trial]] = field(default_factory=dict)

    def fold(self, entry: Entry) -> None:
        """Take in what was decided just now. The world is left as it is."""
        if self.incidents is self.world.incidents:
            self.incidents = self.incidents.copy()
        self.incidents.fold(entry)

    def trials(self, route: Route) -> list[Trial]:
        """In the order of their sending."""
        found = self._trials.get(route)
        if found is None:
            found = self._trials[route] = self.world.evidence.trials(str(route))
        return found

    def shows(self, trial: Trial, route: Route) -> Showing:
        showing = self._shown.get(trial.probe)
        if showing is None:
            showing = self._shown[trial.probe] = _judged(trial.reason) if trial.reason else self._unjudged(trial, route)
        return showing

    def _unjudged(self, trial: Trial, route: Route) -> Showing:
        state = self.world.probes.get(trial.probe)
        if state is None or state.seen:
            return _NOTHING
        if trial.unreached:
            return Showing(Kind.SLOW, Symptom.SMTP_REJECT, unseen=True)
        if state.unknown is not None or route.mailbox in self.world.evidence.blind or not self._overdue(state, route, 1.0):
            return _NOTHING
        held_up = state.deferred is not None or state.error is not None or (state.attempt > 1 and not state.taken)
        return Showing(Kind.SLOW, Symptom.SMTP_REJECT if held_up else Symptom.DELIVERY_STALLED, unseen=True)

    def _overdue(self, state: ProbeState, route: Route, times: float) -> bool:
        look, sent = state.unseen_look, state.first_attempt
        if look is None or sent is None or look.began.seconds_since(sent) < state.plan.deadlines.overdue_floor * times:
            return False
        known = self.world.routes.get(str(route))
        return overdue.is_overdue(state, known.habit if known else None, times)

    def long_overdue(self, trial: Trial, route: Route, times: float) -> bool:
        """Unseen for `times` as long as makes a probe overdue, or proven missing."""
        if trial.reason is not None:
            return trial.reason in _UNSEEN
        state = self.world.probes.get(trial.probe)
        return trial.unreached or (state is not None and self._overdue(state, route, times))

    def latest(self, route: Route, family: Symptom) -> Bad | Trial | None:
        """The newest probe of the route that says anything about the mail, or about this family: Bad where it is adverse of any kind."""
        for trial in reversed(self.trials(route)):
            showing = self.shows(trial, route)
            if showing.kind is Kind.GOOD:
                return trial
            if showing.adverse or showing.speaks_of(family):
                return Bad(route, trial, showing)
        return None

    def adverse(self, route: Route, family: Symptom) -> Bad | None:
        """The route's newest evidence, if it is adverse, of this family, and newer than the last resolution that it would contradict."""
        found = self.latest(route, family)
        if isinstance(found, Bad) and found.showing.speaks_of(family) and self.counts(found, family):
            return found
        return None

    def counts(self, bad: Bad, family: Symptom) -> bool:
        """What was sent before an incident about it was resolved is not held against anybody again."""
        return all(
            self.is_after(bad.trial.sent, state.resolved_at)
            for state in self.incidents.known.values()
            if state.resolved_at is not None and family_of(state.last.symptom) is family and self.layout.holds(state.last.scope, bad.route)
        )

    def is_after(self, at: Instant, end: Instant) -> bool:
        """It came after that end. An end in the future was dated by a clock that has been set back since: what another process saw is not
        surely older."""
        return at.seconds_since(end) > 0 or (at.process != end.process and self.now.seconds_since(end) < 0)

    def ended(self, state: IncidentState) -> Instant | None:
        """When it was resolved, where anybody can say how long ago that is: not of an end in the future."""
        at = state.resolved_at
        return at if at is not None and self.now.seconds_since(at) >= 0 else None

    def covering(self, route: Route, family: Symptom) -> IncidentState | None:
        """The open incident of this family whose scope holds the route."""
        for state in self.incidents.open():
            if family_of(state.last.symptom) is family and self.layout.holds(state.last.scope, route):
                return state
        return None

    def suspicion(self, path: PathName, family: Symptom) -> IncidentState | None:
        for state in self.incidents.suspicions():
            if family_of(state.last.symptom) is family and state.last.scope.name == path:
                return state
        return None

    def run(self, route: Route, family: Symptom) -> list[Bad]:
        """The adverse evidence of this family since the route was last good, oldest first."""
        found: list[Bad] = []
        for trial in reversed(self.trials(route)):
            showing = self.shows(trial, route)
            if showing.kind is Kind.GOOD:
                break
            if showing.speaks_of(family):
                found.append(Bad(route, trial, showing))
        return [bad for bad in reversed(found) if self.counts(bad, family)]

    def merged(self, routes: Iterable[Route]) -> list[tuple[Route, Trial]]:
        """The trials of these routes, newest first."""
        pairs = [(route, trial) for route in routes for trial in self.trials(route)]
        return sorted(pairs, key=lambda pair: pair[1].seq, reverse=True)


def _judged(reason: Reason) -> Showing:
    symptom = SYMPTOM_OF[reason]
    match reason.verdict:
        case Verdict.PASS:
            return _GOOD
        case Verdict.FAIL:
            return Showing(Kind.SLOW if reason in _SLOW else Kind.HARD, symptom, reason in _UNSEEN)
        case Verdict.INCONCLUSIVE | Verdict.ERROR:
            ours = symptom in _OURS and reason is not Reason.CLOCK_JUMP  # a clock that jumped mends itself
            return Showing(Kind.OURS, symptom) if ours else _NOTHING
