"""Gates: what was asked, what their probes show, what was decided, what people said."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import (
    Accepted,
    Attempted,
    Deferred,
    Entry,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateProbing,
    GateRequested,
    Judged,
    ProbePlanned,
    Refused,
    Sighted,
    Started,
    SubmitError,
    SubmitUnknown,
    Tripped,
    Withdrawn,
    Withheld,
)
from monitor.model.gate import Arm, GateId
from monitor.model.instant import Instant
from monitor.model.mail import Field, Placement
from monitor.model.probe import MailboxName, ProbeId, Route
from monitor.model.submission import Step
from monitor.model.verdict import Reason, Verdict
from monitor.views.budget import Budget

KEPT_GATES = 50  # passes go first, failures last, each the oldest first; a running one or one under an override stays
KEPT_TRIALS = 20_000  # of all gates together: beyond them a decided gate goes although there are fewer than KEPT_GATES
MOST_TRIALS = 4_000  # probes of one gate
MOST_RUNNING = 30  # gates at once
MOST_ATTEMPTS = 20
KEPT_BURST = 200  # the latest gate probes of one mailbox: no burst may be larger
KEPT_TRIPS = 20
KEPT_VERSIONS = 5  # that put one probe off
AHEAD = 60.0  # seconds that a clock may have been ahead
MONEY = frozenset({Field.AMOUNT, Field.FOREIGN_AMOUNT})


@dataclass(slots=True)
class GateTrial:
    """One probe of a gate. `seq`: its first attempt, by which trials are ordered; 0 before it."""

    probe: ProbeId
    route: Route
    attempt: int  # of the gate
    planned: Instant
    seq: int = 0
    sent: Instant | None = None
    shown_by: int = 0  # seq of the fact that says what it shows
    taken: bool = False
    version: str = ""  # that served it, or refused it
    step: Step | None = None  # where it was refused or deferred
    final: bool = False  # refused, unreached or given up: there will be no further attempt
    said: str = ""  # the peer's words, or the verdict's explanation
    money: bool = False  # a wrong amount or currency was seen in it
    reason: Reason | None = None  # of the latest revision
    decided: Instant | None = None
    seen: Instant | None = None  # first sighting
    transit: float | None = None
    placement: Placement | None = None
    folder: str = ""
    mailbox: MailboxName | None = None  # where it was seen
    message_id: str = ""
    gone: bool = False  # withdrawn: it was never attempted and never will be
    deferred_by: tuple[str, ...] = ()  # the versions that put it off
    turned: Instant | None = None  # when it turned out bad; None while it is not


@dataclass(slots=True)
class GateState:
    """One gate over all its attempts. `requests` and `decisions` in their order; each attempt has at most one decision: a pass may be taken
    back by a fail."""

    id: GateId
    requests: list[GateRequested]
    trials: dict[ProbeId, GateTrial] = field(default_factory=dict)
    decisions: list[GateDecided] = field(default_factory=list)
    override: GateOverridden | None = None
    cancelled: GateCancelled | None = None  # of the present attempt
    begun: int = 0  # seq of the present attempt's request
    asked: int = 0  # probes that were asked for and are not planned yet
    asked_at: Instant | None = None

    @property
    def request(self) -> GateRequested:
        """The present attempt's."""
        return self.requests[-1]

    @property
    def decision(self) -> GateDecided | None:
        """The present attempt's; None while it runs."""
        last = self.decisions[-1] if self.decisions else None
        return last if last is not None and last.attempt == self.request.attempt else None

    @property
    def running(self) -> bool:
        return self.decision is None

    def is_fresh(self, now: Instant) -> bool:
        """Its decision is so young that people may rely on it."""
        return self.decision is not None and 0 <= now.seconds_since(self.decision.at) < self.request.policy.fresh_for

    @property
    def spoiled(self) -> bool:
        """It passed, and later a probe on its canary routes turned bad."""
        passed = self.decision
        if passed is None or passed.verdict is not Verdict.PASS:
            return False
        canary = {each.route for each in self.request.routes if each.arm is Arm.CANARY}
        turned = (trial.turned for trial in self.trials.values() if trial.turned is not None and trial.route in canary)
        return any(at.seconds_since(passed.at) > 0 for at in turned)

    def advisory(self, now: Instant) -> bool:
        """Whatever is found, the present attempt holds nothing yet. One that was asked by a clock that was ahead is none."""
        return self.request.at.utc - AHEAD <= now.utc < self.request.advisory_until

    def overridden(self, now: Instant) -> GateOverridden | None:
        """The override that is in force. UTC: it outlives processes. One that was given by a clock that was ahead is not."""
        override = self.override
        return override if override is not None and override.at.utc - AHEAD <= now.utc < override.until else None


@dataclass(slots=True)
class Trip:
    at: Instant
    seq: int
    mailbox: MailboxName
    arrived: float | None = None  # seconds since the epoch, by the receiver's clock


@dataclass(slots=True)
class Gates:
    """`known` in the order of the first requests. `bursts`: when the latest gate probes of each mailbox were planned."""

    known: dict[GateId, GateState] = field(default_factory=dict)
    owner: dict[ProbeId, GateId] = field(default_factory=dict)
    bursts: dict[MailboxName, list[Instant]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)  # of gate probes planned
    trips: list[Trip] = field(default_factory=list)

    def running(self) -> list[GateState]:
        return [state for state in self.known.values() if state.running]

    def of_deploy(self, deploy: str) -> GateState | None:
        """A deploy is judged by one policy: its gate."""
        return next((state for state in reversed(self.known.values()) if state.request.deploy == deploy), None)

    def trial(self, probe: ProbeId) -> GateTrial | None:
        gate = self.owner.get(probe)
        return self.known[gate].trials.get(probe) if gate is not None else None

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case GateRequested() as fact:
                self._requested(entry.seq, fact)
            case GateProbing() | GateDecided() | GateOverridden() | GateCancelled() as fact:
                if state := self.known.get(fact.gate):
                    _told(state, fact)
            case ProbePlanned() as fact if fact.gate:
                self._planned(fact)
            case Started():  # what an earlier process was asked to plan, it never will
                for state in self.known.values():
                    state.asked = 0
            case Tripped() as fact:
                self.trips = [*self.trips[1 - KEPT_TRIPS :], Trip(fact.at, entry.seq, fact.mailbox, fact.arrived)]
            case _ as fact if fact is not None and (trial := self.trial(getattr(fact, "probe", ProbeId("")))):
                self._shown(trial, entry.seq, fact)

    def _requested(self, seq: int, fact: GateRequested) -> None:
        """Of two that asked at the same moment the first one began the attempt."""
        state = self.known.get(fact.gate)
        if state is None:
            self.known[fact.gate] = GateState(fact.gate, [fact], begun=seq)
        elif fact.attempt > state.request.attempt:
            state.requests.append(fact)
            state.begun, state.cancelled, state.asked = seq, None, 0
        self._make_room(fact.at)

    def _make_room(self, now: Instant) -> None:
        done = [state for state in self.known.values() if not state.running and state.overridden(now) is None]
        trials = len(self.owner)
        for state in sorted(done, key=_worth_keeping):
            if len(self.known) <= KEPT_GATES and trials <= KEPT_TRIALS:
                return
            trials -= len(state.trials)
            del self.known[state.id]
            for probe in state.trials:
                self.owner.pop(probe, None)

    def _planned(self, fact: ProbePlanned) -> None:
        burst = self.bursts.setdefault(fact.route.mailbox, [])
        burst.append(fact.at)
        del burst[:-KEPT_BURST]
        self.budget.spend(fact.at, fact.route)
        if (state := self.known.get(GateId(fact.gate))) is None:
            return
        state.asked = max(0, state.asked - 1)
        if before := self.owner.pop(fact.probe, None):  # planned anew: what was known of it counts no more
            self.known[before].trials.pop(fact.probe, None)
        if len(state.trials) < MOST_TRIALS:
            state.trials[fact.probe] = GateTrial(fact.probe, fact.route, state.request.attempt, fact.at, message_id=fact.message_id)
            self.owner[fact.probe] = state.id

    def _shown(self, trial: GateTrial, seq: int, fact: Fact) -> None:
        match fact:
            case Attempted():
                trial.final, trial.step = False, None
                if trial.sent is None:
                    trial.sent, trial.seq = fact.at, seq
            case Accepted():
                trial.taken, trial.version = True, fact.served_version
                trial.said = trial.said if trial.money else str(fact.reply)
            case SubmitUnknown():
                trial.step, trial.said, trial.final = fact.step, fact.detail, True
            case Refused():
                trial.step, trial.said, trial.final = fact.step, str(fact.reply), True
                trial.version = fact.served_version or trial.version
            case Deferred():
                trial.step, trial.said, trial.final = fact.step, str(fact.reply), fact.retry_in is None
                trial.version = fact.served_version or trial.version
                if fact.served_version and fact.served_version not in trial.deferred_by:
                    trial.deferred_by = (*trial.deferred_by, fact.served_version)[-KEPT_VERSIONS:]
            case SubmitError():
                trial.step, trial.said, trial.final = None, fact.detail, fact.retry_in is None
            case Withheld() | Withdrawn():
                trial.gone, trial.said = isinstance(fact, Withdrawn), getattr(fact, "detail", "withdrawn")
            case Sighted():
                trial.seen = trial.seen or fact.at
                if not MONEY.isdisjoint(fact.altered):
                    trial.money, trial.turned = True, trial.turned or fact.at
                    trial.said = f"the mail that arrived differs in {', '.join(fact.altered)}"
            case Judged():
                trial.reason, trial.decided, trial.said = fact.reason, fact.at, fact.explanation
                trial.transit, trial.placement, trial.folder, trial.mailbox = (
                    fact.transit_seconds, fact.placement, fact.folder, fact.mailbox
                )  # fmt: skip
                trial.version = fact.served_version or trial.version
                bad = trial.money or fact.verdict is Verdict.FAIL
                trial.turned = (trial.turned or fact.at) if bad else None
            case _:
                return
        trial.shown_by = seq


def _told(state: GateState, fact: GateProbing | GateDecided | GateOverridden | GateCancelled) -> None:
    """What is said of an attempt that is over changes nothing."""
    match fact:
        case GateProbing():
            if state.running and fact.attempt == state.request.attempt:  # whatever was asked for before is planned, or never will be
                state.asked, state.asked_at = len(fact.routes), fact.at
        case GateDecided():
            if fact.attempt != state.request.attempt:
                return
            if state.running:
                state.decisions.append(fact)
                state.asked = 0
            elif (passed := state.decision) and (passed.verdict, fact.verdict) == (Verdict.PASS, Verdict.FAIL):
                state.decisions[-1] = fact  # the pass is taken back
        case GateOverridden():
            if not state.running:
                state.override = fact
        case GateCancelled():
            if state.running:
                state.cancelled = state.cancelled or fact


def _worth_keeping(state: GateState) -> int:
    """A pass can be had again; what failed must not be forgotten by asking about other deploys."""
    verdict = state.decision.verdict if state.decision else None
    return 0 if verdict is Verdict.PASS else 2 if verdict is Verdict.FAIL else 1
