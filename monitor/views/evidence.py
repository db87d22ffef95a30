"""What the latest probes of each route show, in the order in which they were sent, and since when we cannot look or submit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from monitor.model.facts import (
    Accepted,
    Attempted,
    Closed,
    Deferred,
    Entry,
    Judged,
    Refused,
    Sighted,
    Started,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    Tripped,
    WatchBlind,
    WatchRestored,
    Withheld,
)
from monitor.model.instant import Instant
from monitor.model.mail import Field
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose
from monitor.model.verdict import Reason, Verdict
from monitor.views.probes import ProbeState

KEPT_TRIALS = 20  # of one route: more than an hour and a half at five minutes
KEPT_ENDED = 60  # of one route: the window in which single losses are counted
KEPT_LOST = 600  # of all routes
MONEY = frozenset({Field.AMOUNT, Field.FOREIGN_AMOUNT})


@dataclass(slots=True)
class Trial:
    """One attempted probe. `seq` is its first attempt, by which trials are ordered; `shown_by` the fact that says what it shows."""

    probe: ProbeId
    purpose: Purpose
    sent: Instant  # the first attempt
    seq: int
    shown_by: int
    reason: Reason | None = None  # of the latest revision
    unreached: bool = False  # the last attempt that ended found nobody to talk to; another one is to follow
    money: bool = False  # a wrong amount or currency was seen in it
    decided: Instant | None = None  # the latest revision
    version: str = ""  # that served it
    transit: float | None = None  # seconds from accepted to first sighted
    accepted: Instant | None = None  # by the peer


@dataclass(slots=True)
class Loss:
    """A probe that was closed unseen."""

    route: str
    sent: Instant
    seq: int  # of its end


@dataclass(slots=True)
class RouteEvidence:
    """`ended`: when the latest closed probes, seen or lost, were first attempted (seconds since the epoch)."""

    trials: list[Trial] = field(default_factory=list)
    steady: Instant | None = None  # a run of passes, unbroken up to the oldest kept trial, began here
    ended: list[float] = field(default_factory=list)

    def trial(self, probe: ProbeId) -> Trial | None:
        return next((trial for trial in reversed(self.trials) if trial.probe == probe), None)

    def begin(self, trial: Trial) -> None:
        self.trials.append(trial)
        if len(self.trials) <= KEPT_TRIALS:
            return
        oldest = self.trials.pop(0)
        if oldest.reason is Reason.PASS:
            self.steady = self.steady or oldest.sent
        elif oldest.reason is not None and oldest.reason.verdict is Verdict.FAIL:
            self.steady = None


@dataclass(slots=True)
class Moment:
    at: Instant
    seq: int


@dataclass(slots=True)
class Evidence:
    """Bounded by the routes, mailboxes and paths that there are. Routes by their text: snapshots are JSON."""

    routes: dict[str, RouteEvidence] = field(default_factory=dict)
    blind: dict[MailboxName, Instant] = field(default_factory=dict)  # since when, without a break
    restored: dict[MailboxName, Instant] = field(default_factory=dict)
    withheld: dict[PathName, Moment] = field(default_factory=dict)  # the latest probe for which there was no budget
    tripped: dict[MailboxName, Moment] = field(default_factory=dict)  # the latest trip
    lost: list[Loss] = field(default_factory=list)  # the latest ones, in the order of their ends

    def trials(self, route: str) -> list[Trial]:
        known = self.routes.get(route)
        return known.trials if known else []

    def accepted(self, routes: Iterable[str], sent: Instant) -> Instant | None:
        """When the first of the probes on these routes that were first attempted then was accepted; None: none, as far as is known."""
        times = [trial.accepted for route in routes for trial in self.trials(route) if trial.sent == sent and trial.accepted is not None]
        return min(times, key=lambda at: at.utc, default=None)

    def fold(self, entry: Entry, state: ProbeState | None) -> None:
        """`state`: the probe that the fact is about, as it was before the fact."""
        match entry.fact:
            case Judged() as fact:
                if trial := self._of(str(fact.route), fact.probe):
                    trial.reason, trial.decided, trial.shown_by, trial.unreached = fact.reason, fact.at, entry.seq, False
                    trial.transit = fact.transit_seconds
            case Attempted() as fact if state is not None:
                known = self.routes.setdefault(str(state.plan.route), RouteEvidence())
                if state.first_attempt is None:
                    known.begin(Trial(fact.probe, state.plan.purpose, fact.at, entry.seq, entry.seq))
            case SubmitError() | Accepted() | Deferred() | Refused() | SubmitUnknown() as fact if state is not None:
                if trial := self._of(str(state.plan.route), fact.probe):
                    trial.unreached = isinstance(fact, SubmitError) and fact.fault is SubmitFault.UNREACHABLE and fact.retry_in is not None
                    trial.shown_by = entry.seq
                    trial.version = getattr(fact, "served_version", "") or trial.version
                    trial.accepted = fact.at if isinstance(fact, Accepted) else trial.accepted
            case Sighted() as fact if state is not None:
                if (trial := self._of(str(state.plan.route), fact.probe)) and not MONEY.isdisjoint(fact.altered):
                    trial.money = True
            case Closed() if state is not None and state.judged is not None and state.first_attempt is not None:
                self._end(str(state.plan.route), state.first_attempt, state.judged, entry.seq)
            case Withheld() as fact if state is not None:
                self.withheld[state.plan.route.path] = Moment(fact.at, entry.seq)
            case WatchBlind() as fact:
                self.blind.setdefault(fact.mailbox, fact.at)
            case WatchRestored() as fact:
                self.blind.pop(fact.mailbox, None)
                self.restored[fact.mailbox] = fact.at
            case Started() as fact:  # while we were away nobody tried to look
                self.blind = dict.fromkeys(self.blind, fact.at)
            case Tripped() as fact:
                self.tripped[fact.mailbox] = Moment(fact.at, entry.seq)
            case _:
                pass

    def _of(self, route: str, probe: ProbeId) -> Trial | None:
        known = self.routes.get(route)
        return known.trial(probe) if known else None

    def _end(self, route: str, sent: Instant, judged: Judged, seq: int) -> None:
        if judged.reason is Reason.MISSING:
            self.lost = [*self.lost[1 - KEPT_LOST :], Loss(route, sent, seq)]
        elif judged.verdict is not Verdict.PASS and judged.placement is None:
            return  # never seen, for a reason that is no loss
        if known := self.routes.get(route):
            known.ended = [*known.ended[1 - KEPT_ENDED :], sent.utc]
