"""The release gate: one deploy, one policy, evidence from all attempts, one decision after each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from monitor.model.instant import Instant
from monitor.model.probe import MailboxName, Route
from monitor.model.verdict import Verdict

GateId = NewType("GateId", str)  # gate-<12 hex digits>, made of environment, deploy and policy: asking again finds the same gate

QUICK, STANDARD, DEEP = "quick", "standard", "deep"


class Control(StrEnum):
    """What the probes of the version under test are compared with."""

    STABLE = "stable"  # what other versions served, and paths that no version serves
    NONE = "none"


class Arm(StrEnum):
    CANARY = "canary"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class GateStep:
    """When `probes` probes of a class are resolved, it passes with at most `accept` adverse ones."""

    probes: int
    accept: int


@dataclass(frozen=True, slots=True)
class Sequential:
    """Wald's sequential probability ratio test between two shares of adverse probes, cut off at `most` probes."""

    good: float  # a deploy that adverse probes of this share must not block
    bad: float  # a deploy that adverse probes of this share must not pass
    false_fail: float
    false_pass: float
    most: int


@dataclass(frozen=True, slots=True)
class GatePlan:
    """How many probes of one mailbox class decide: steps with a number of adverse probes that fails it, or a sequential test."""

    steps: tuple[GateStep, ...] = ()
    reject: int = 2  # adverse probes with which a class fails, at any step
    sequential: Sequential | None = None

    @property
    def most(self) -> int:
        """Probes of one class that it can ask for."""
        return self.sequential.most if self.sequential else max((step.probes for step in self.steps), default=0)


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What a gate demands. Seconds; whatever is changed makes another policy, and so another gate."""

    name: str
    plan: GatePlan
    timeout: float = 600.0  # of one attempt: then it is inconclusive
    deadline: float | None = None  # proves absence after this instead of the route's deadlines.missing
    settle: float = 2.0  # after the last probe that a pass rests on was seen: second copies and moves to junk show meanwhile
    fresh_for: float = 3600.0  # good evidence older than this before the attempt vouches for nothing; bad evidence does not age
    min_routes: int = 1  # routes that must have resolved canary probes
    routes: tuple[str, ...] = ()  # names of paths, mailboxes or path/mailbox; empty: all
    trust_target: bool = False  # what does not tell its version is the version under test
    control: Control = Control.STABLE
    overdue_fails: bool = False  # overdue at two providers while the control arm arrives fails before the deadline

    @property
    def hash(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


BUILT_IN: dict[str, GatePolicy] = {
    QUICK: GatePolicy(QUICK, GatePlan((GateStep(10, 0), GateStep(30, 1)))),
    STANDARD: GatePolicy(STANDARD, GatePlan((GateStep(30, 0), GateStep(60, 1))), timeout=1_200.0),
    DEEP: GatePolicy(DEEP, GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)), timeout=7_200.0, fresh_for=10_800.0),
}


def faults(policy: GatePolicy) -> str:
    """Why this policy can never decide, with the mend; empty: it can."""
    plan = policy.plan
    if plan.most <= 0:
        return "asks for no probe, and no evidence never passes; give it steps"
    return ""


@dataclass(frozen=True, slots=True)
class GateRoute:
    """A route as a gate knows it, whatever the configuration becomes. `provider`: its mailbox class."""

    route: Route
    provider: str
    arm: Arm  # canary: its answers tell the version, or the target is trusted


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the latest probes of a route showed before the deploy."""

    route: Route
    good: int
    bad: int
    last_good: Instant | None = None
    last_bad: Instant | None = None


class Because(StrEnum):
    """Why a gate decided as it did."""

    CLEAN = "clean"
    LOSSES = "losses"  # too many adverse probes in one class
    WRONG_AMOUNT = "wrong_amount"
    TRIPPED = "tripped"  # refund mail of ours in a tripwire mailbox
    REFUSED = "refused"  # by the relay or the application, where it was taken before this deploy
    STALLED = "stalled"  # overdue at several providers while the control arm arrives
    BASELINE_BROKEN = "baseline_broken"  # the control arm fails too, and did before this deploy or does for one provider only
    UNOBSERVED = "unobserved"  # the version under test was never seen to serve a probe
    TOO_FEW = "too_few"  # the attempt's time was over before enough probes were resolved
    BLIND = "blind"  # nobody can look into the mailboxes of a class
    UNSUBMITTED = "unsubmitted"  # submission is paused, misconfigured, or its answers were lost
    BUDGET = "budget"  # the day's share of probes for gates is used up
    CANCELLED = "cancelled"
    OWN_FAULT = "own_fault"  # the monitor itself


GATE_VERDICT: dict[Because, Verdict] = {
    Because.CLEAN: Verdict.PASS,
    Because.LOSSES: Verdict.FAIL,
    Because.WRONG_AMOUNT: Verdict.FAIL,
    Because.TRIPPED: Verdict.FAIL,
    Because.REFUSED: Verdict.FAIL,
    Because.STALLED: Verdict.FAIL,
    Because.BASELINE_BROKEN: Verdict.INCONCLUSIVE,
    Because.UNOBSERVED: Verdict.INCONCLUSIVE,
    Because.TOO_FEW: Verdict.INCONCLUSIVE,
    Because.BLIND: Verdict.INCONCLUSIVE,
    Because.UNSUBMITTED: Verdict.INCONCLUSIVE,
    Because.BUDGET: Verdict.INCONCLUSIVE,
    Because.CANCELLED: Verdict.INCONCLUSIVE,
    Because.OWN_FAULT: Verdict.ERROR,
}


@dataclass(frozen=True, slots=True)
class ClassTally:
    """One mailbox class (the mailboxes of one provider) of a gate: counts of probes, and what follows from them.

    The canary arm: `sent` = `good` + `adverse` + `pending` + `aside`; aside: no evidence for either (blind, unknown, not attributed).
    """

    provider: str
    because: Because | None  # None: undecided
    sent: int
    good: int
    adverse: int
    pending: int
    aside: int
    needed: int  # resolved probes with which the present step is complete
    limit: int  # adverse probes with which it fails
    control_good: int
    control_bad: int
    loss_upper: float  # 95 % upper bound on the loss (Clopper and Pearson 1934), were losses independent; 1.0 without a probe
    llr: float | None = None  # of a sequential test: the log likelihood ratio, bad to good
    reasons: tuple[tuple[str, int], ...] = ()  # of the adverse probes: reason, count; most first
    mailboxes: tuple[MailboxName, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """The probe that shows best what is wrong. `said`: the verdict's explanation, or the peer's words."""

    probe: str
    route: Route
    sent: Instant
    reason: str
    said: str


@dataclass(frozen=True, slots=True)
class GatesPolicy:
    """What gates may use of the mailboxes and the budget, and the policies of this shop's own beside the built-in ones."""

    default: str = QUICK
    burst: int = 6  # gate probes to one mailbox within `window`, all gates together
    window: float = 60.0  # seconds
    daily_share: float = 0.5  # of the daily budgets, for all gates together
    policies: Mapping[str, GatePolicy] = field(default_factory=dict)
