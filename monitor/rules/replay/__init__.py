"""Judging a recorded journal again: what the probes of the past would have been called under another policy.

Two strands are folded from the same facts. One judges each probe by the plan that was recorded with it, the other by the plan that the new
policy would have written: its deadlines, and what the receiver must say. A difference is laid to the policy only where the first strand
comes out as the record says; elsewhere the recorded verdict is kept, and counted as not reproduced: its evidence has been retired, another
version of the rules gave it, or a mailbox had another role then.

Incidents are opened again along the second strand, and set beside those of the record.

What was done stays done: which probes were sent and when, where they were looked for, how each copy was read (altered, placement, whose
Authentication-Results counted). A probe whose record ends before a longer deadline stays open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from monitor.model.facts import Acknowledged, Closed, Entry, Judged, ProbePlanned, ResolveAsked, Silenced, Transition, Withdrawn
from monitor.model.incident import Phase, Scope, Severity
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import ProbeId, Purpose, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.replay.deciding import MAX_OPENED
from monitor.rules.replay.strand import OPEN, Course, Strand
from monitor.views.incidents import Incidents

__all__ = ["Change", "Course", "Opened", "Replay", "Replayed", "Tally", "reasons", "replanned"]

MAX_CHANGES = 10_000  # probes that are listed one by one; all are counted

SAME_TROUBLE = 3600.0  # seconds that two openings of one symptom and scope may lie apart and still be the same incident


@dataclass(frozen=True, slots=True)
class Change:
    """A probe that the policy would have called otherwise, and why."""

    probe: ProbeId
    route: Route
    planned: Instant
    old: Course
    new: Course


@dataclass(slots=True)
class Tally:
    """The last verdicts on the probes of one route, as recorded and under the new policy. None: open when the record ends."""

    old: Counter[Reason | None] = field(default_factory=Counter)
    new: Counter[Reason | None] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident that was opened as recorded (`old`), under the new policy (`new`), or both times."""

    symptom: Symptom
    scope: Scope
    severity: Severity
    old: Instant | None
    new: Instant | None

    @property
    def seconds_later(self) -> float | None:
        """How much later it opens under the new policy; negative: earlier."""
        return self.new.seconds_since(self.old) if self.old and self.new else None


@dataclass(slots=True)
class Replayed:
    """What came of it. `kept`: verdicts that could not be derived again, so nothing is said of them; `unknown`: those on routes that the
    new policy does not have; `retimed`: only the first of several verdicts could not, and is kept."""

    facts: int = 0
    began: Instant | None = None
    ended: Instant | None = None
    probes: int = 0
    kept: int = 0
    unknown: int = 0
    retimed: int = 0
    changed: int = 0
    changes: list[Change] = field(default_factory=list)
    routes: dict[Route, Tally] = field(default_factory=dict)
    incidents: list[Opened] = field(default_factory=list)  # in the order of time
    unread: int = 0  # facts of kinds that this version does not know
    amounts_differ: bool = False  # the new policy allows other amounts; how the copies were read is kept


def replanned(plan: ProbePlanned, policy: Policy) -> ProbePlanned:
    """The plan as this policy would have written it. The deadlines of a one-shot probe may have been given with the call; they stay."""
    route, path = policy.routes.get(plan.route), policy.paths.get(plan.route.path)
    if route is None or path is None:
        return plan
    demand = path.demand
    return replace(
        plan,
        deadlines=plan.deadlines if plan.purpose is Purpose.CLI else route.deadlines,
        expectation=replace(plan.expectation, spf=demand.spf, dkim=demand.dkim, dmarc=demand.dmarc),
    )


class Replay:
    """Takes the entries of a journal in order; `since` leaves out probes that were planned before."""

    def __init__(self, policy: Policy, since: float | None = None) -> None:
        self._policy = policy
        self._since = since
        self._own = Strand(policy, lambda plan: plan)
        self._new = Strand(policy, lambda plan: replanned(plan, policy), with_incidents=True)
        self._incidents = Incidents()  # of the record
        self._opened: list[Transition] = []
        self._plans: dict[ProbeId, ProbePlanned] = {}  # of probes that are not compared yet
        self._recorded: dict[ProbeId, Course] = {}
        self._result = Replayed()

    def take(self, entry: Entry) -> None:
        result, fact = self._result, entry.fact
        result.facts += 1
        if fact is None:
            result.unread += 1
            return
        result.began = result.began or fact.at
        result.ended = fact.at
        self._own.take(entry)
        self._new.take(entry)
        self._incidents.fold(entry)
        match fact:
            case Transition(phase=Phase.OPENED):
                if len(self._opened) < MAX_OPENED:
                    self._opened.append(fact)
            case Acknowledged() | Silenced() | ResolveAsked() if self._new.deciding:
                self._new.deciding.heard(fact, self._incidents)
            case ProbePlanned():
                self._plans[fact.probe] = fact
            case Judged() if fact.probe in self._plans:
                before = self._recorded.get(fact.probe, OPEN)
                self._recorded[fact.probe] = before.with_next(fact.reason, fact.explanation)
            case Withdrawn():
                self._plans.pop(fact.probe, None)
            case Closed():
                self._compare(fact.probe)
            case _:
                pass

    def end(self) -> Replayed:
        """The comparison, with what is still open."""
        self._own.end()
        self._new.end()
        for probe in list(self._plans):
            self._compare(probe)
        new = self._new.deciding.opened if self._new.deciding else []
        self._result.incidents = _paired(*([fact for fact in facts if self._is_asked_for(fact.at)] for facts in (self._opened, new)))
        return self._result

    def _is_asked_for(self, at: Instant) -> bool:
        return self._since is None or at.utc >= self._since

    def _compare(self, probe: ProbeId) -> None:
        plan = self._plans.pop(probe, None)
        recorded, own, new = (courses.pop(probe, OPEN) for courses in (self._recorded, self._own.courses, self._new.courses))
        if plan is None or not self._is_asked_for(plan.at):
            return
        result = self._result
        result.probes += 1
        if plan.route not in self._policy.routes:
            result.unknown += 1
            new = recorded
        elif own.last is not recorded.last:
            result.kept += 1
            new = recorded
        elif own.first is not recorded.first:  # the judge came by a moment earlier or later than it does here
            result.retimed += 1
            new = replace(new, first=recorded.first)
        path = self._policy.paths.get(plan.route.path)
        result.amounts_differ |= path is not None and path.allowed_amounts != plan.expectation.allowed_amounts
        tally = result.routes.setdefault(plan.route, Tally())
        tally.old[recorded.last] += 1
        tally.new[new.last] += 1
        if (recorded.first, recorded.last) != (new.first, new.last):
            result.changed += 1
            if len(result.changes) < MAX_CHANGES:
                result.changes.append(Change(probe, plan.route, plan.at, recorded, new))


def _paired(old: list[Transition], new: list[Transition]) -> list[Opened]:
    """Each recorded opening with the nearest one of the same symptom and scope; each is used once."""
    left = list(new)
    pairs = []
    for was in old:
        alike = [fact for fact in left if (fact.symptom, fact.scope) == (was.symptom, was.scope)]
        nearest = min(alike, key=lambda fact: abs(fact.at.seconds_since(was.at)), default=None)
        if nearest is not None and abs(nearest.at.seconds_since(was.at)) <= SAME_TROUBLE:
            left.remove(nearest)
            pairs.append(Opened(was.symptom, was.scope, nearest.severity, was.at, nearest.at))
        else:
            pairs.append(Opened(was.symptom, was.scope, was.severity, was.at, None))
    pairs += [Opened(fact.symptom, fact.scope, fact.severity, None, fact.at) for fact in left]
    return sorted(pairs, key=lambda pair: (pair.old or pair.new or _NEVER).utc)


_NEVER = Instant(0.0, 0.0, "")


def reasons(tally: Tally) -> Iterator[tuple[Reason | None, int, int]]:
    """(reason, so often as recorded, so often under the new policy), in the order of the enum, open probes last."""
    for reason in (*Reason, None):
        if tally.old[reason] or tally.new[reason]:
            yield reason, tally.old[reason], tally.new[reason]
