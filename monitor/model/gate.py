"""The release gate: one deploy, one policy, evidence from all attempts, one decision after each."""

from __future__ import annotations

import hashlib
import math
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


BUILT_IN: dict[str, GatePolicy] = {  # docs/gate-statistics.md says what each can see
    QUICK: GatePolicy(QUICK, GatePlan((GateStep(10, 0), GateStep(30, 1))), timeout=900.0),
    STANDARD: GatePolicy(STANDARD, GatePlan((GateStep(30, 0), GateStep(60, 1), GateStep(90, 2)), reject=3), timeout=2_100.0),
    DEEP: GatePolicy(DEEP, GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)), timeout=7_200.0, fresh_for=10_800.0),
}

LEAST_SHARE = 1e-6  # what is closer together is the same as far as 1000 probes can tell, and as far as floats can
MOST_PROBES = 1_000  # that a plan may ask of one mailbox class
LONGEST_TIMEOUT = 21_600.0
LONGEST_SETTLE = 600.0
LONGEST_FRESH = 604_800.0


def faults(policy: GatePolicy) -> str:
    """Why this policy can never decide, never fail, or contradicts itself, with the mend; empty: it can."""
    plan = policy.plan
    why = _sequential_faults(plan, plan.sequential) if plan.sequential is not None else _step_faults(plan)
    return why or _time_faults(policy) or _scope_faults(policy)


def _step_faults(plan: GatePlan) -> str:
    if not plan.steps:
        return "asks for no probe, and no evidence never passes; give it steps, or a sequential test"
    if plan.reject < 1:
        return f"fails with {plan.reject} adverse probes, so it can never pass; let reject be 1 or more"
    if plan.most > MOST_PROBES:
        return f"asks for {plan.most} probes of a mailbox class; {MOST_PROBES} are the most"
    before: GateStep | None = None
    for step in plan.steps:
        if step.probes < 1 or step.accept < 0:
            return f"has a step of {step.probes} probes that accepts {step.accept}; a step has a probe at least, and accepts 0 or more"
        if step.accept >= step.probes:
            return f"passes {step.probes} probes although all {step.accept} of them may be adverse; accept fewer than there are probes"
        if step.accept >= plan.reject:
            return f"accepts {step.accept} adverse probes in {step.probes}, and fails with {plan.reject}; let reject be greater"
        if before is not None and (step.probes <= before.probes or step.accept <= before.accept):
            said = f"{before.probes} probes with {before.accept}, then {step.probes} with {step.accept}"
            return f"has steps that do not grow: {said}; let each step have more probes and accept more than the one before"
        before = step
    last = plan.steps[-1]
    if last.accept != plan.reject - 1:
        undecided = f"after {last.probes} probes it passes with {last.accept} adverse ones and fails with {plan.reject}"
        return f"can end undecided: {undecided}; let the last step accept {plan.reject - 1}"
    return ""


def _sequential_faults(plan: GatePlan, test: Sequential) -> str:
    if plan.steps:
        return "has both steps and a sequential test; keep one of them"
    for name in ("good", "bad", "false_fail", "false_pass"):
        if not LEAST_SHARE <= (share := getattr(test, name)) <= 1 - LEAST_SHARE:
            return f"has {name} = {share:g}; let it be a share between 0 and 1, at least {LEAST_SHARE:f} from either"
    if test.bad - test.good < LEAST_SHARE:
        return f"calls {test.good:g} adverse good and {test.bad:g} bad; let good be less than bad, by at least {LEAST_SHARE:f}"
    if test.false_fail + test.false_pass >= 1:
        return f"may be wrong {test.false_fail:g} and {test.false_pass:g} of the time, which is no better than a coin; let both be small"
    if test.most > MOST_PROBES:
        return f"asks for {test.most} probes of a mailbox class; {MOST_PROBES} are the most"
    least = math.log(test.false_pass / (1 - test.false_fail)) / math.log((1 - test.bad) / (1 - test.good))
    if test.most < least - 1e-9:
        return f"is cut off at {test.most} probes, and cannot pass before {math.ceil(least - 1e-9)}; let most be at least that"
    return ""


def _time_faults(policy: GatePolicy) -> str:
    if not 0 < policy.timeout <= LONGEST_TIMEOUT:
        return f"has a timeout of {policy.timeout:g} s; let it be more than 0 and at most {LONGEST_TIMEOUT:g}"
    if not 0 <= policy.settle <= LONGEST_SETTLE:
        return f"settles for {policy.settle:g} s; let it be from 0 to {LONGEST_SETTLE:g}"
    if not 0 <= policy.fresh_for <= LONGEST_FRESH:
        return f"trusts evidence for {policy.fresh_for:g} s; let fresh_for be from 0 to {LONGEST_FRESH:g}"
    if policy.deadline is not None and not 0 < policy.deadline <= LONGEST_TIMEOUT:
        return f"has a deadline of {policy.deadline:g} s; let it be more than 0 and at most {LONGEST_TIMEOUT:g}"
    if policy.timeout <= policy.settle + (policy.deadline or 0.0):
        proves = "" if policy.deadline is None else f"proves a loss after {policy.deadline:g} s and "
        return f"{proves}settles for {policy.settle:g} s, but its timeout is {policy.timeout:g} s; let that be longer than both together"
    return ""


def _scope_faults(policy: GatePolicy) -> str:
    if policy.min_routes < 1:
        return f"demands {policy.min_routes} routes, and no evidence never passes; let min_routes be 1 or more"
    if policy.overdue_fails and policy.control is Control.NONE:
        return "fails what is overdue while the control arm arrives, and has no control arm; drop overdue_fails, or let control be stable"
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
    FINDING = "finding"  # DNS or authentication of the sending domain broke after this deploy began
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
    Because.FINDING: Verdict.FAIL,
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
