"""The probes of a gate by mailbox class and arm: what each says there, or why it says nothing.

The version that served a probe places it. What no version told is placed by its route: on a path that tells none it is control, whoever
served it; on a path that should have told, a good probe is control and a bad one is nobody's, for it may be either's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from monitor.model.facts import GateRequested
from monitor.model.gate import Arm, Baseline, Because, Control, GateRoute
from monitor.model.instant import Instant
from monitor.model.probe import MailboxName, Route
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate.sequence import Ruling, rule
from monitor.views.evidence import Trial
from monitor.views.gates import GateState, GateTrial
from monitor.views.world import World

UNTOLD = "the version that served it was not told"
REFUSALS = frozenset({Reason.REJECTED, Reason.DEFERRED, Reason.SUBMIT_UNREACHABLE})
UNANSWERED = "refused, or the answer was lost, before any version was told"
_NO_EVIDENCE = (Verdict.INCONCLUSIVE, Verdict.ERROR)
UNRULED = Ruling(None, 0, 0, 0, 0)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")  # git abbreviates a commit to no less
LAST = 1 << 62  # the place of what was not attempted yet


@dataclass(slots=True)
class ControlArm:
    """Of one class: resolved probes, and this gate's own that are not."""

    good: int = 0
    bad: int = 0
    pending: list[GateTrial] = field(default_factory=list)
    arrived: list[GateTrial] = field(default_factory=list)  # this gate's own

    @property
    def is_bad(self) -> bool:
        return bad(self.good, self.bad)

    @property
    def is_bad_at_worst(self) -> bool:
        """If all that is pending were bad."""
        return bad(self.good, self.bad + len(self.pending))


@dataclass(slots=True)
class Class:
    """One mailbox class. `routes`, `beside`: the canary and the control routes of the present attempt. `counted`: the canary arm in send
    order, without what says nothing; `aside`: why that says nothing, and how often."""

    provider: str
    routes: tuple[Route, ...]
    beside: tuple[Route, ...]
    counted: list[GateTrial] = field(default_factory=list)
    good: list[GateTrial] = field(default_factory=list)  # of these
    adverse: list[GateTrial] = field(default_factory=list)
    pending: list[GateTrial] = field(default_factory=list)
    aside: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)  # other versions, "" where none was told
    money: list[GateTrial] = field(default_factory=list)
    refused: list[GateTrial] = field(default_factory=list)  # on the routes of either arm, unless another version said no
    control: ControlArm = field(default_factory=ControlArm)
    own: list[GateTrial] = field(default_factory=list)  # what the present attempt asked for on canary routes
    beside_own: list[GateTrial] = field(default_factory=list)  # and on control routes
    stale: int = 0  # good ones that are too old
    excused: int = 0  # adverse ones of an attempt in which the control arm failed too
    withdrawn: int = 0
    observed: int = 0  # probes that the version under test answered, whatever became of them
    ruling: Ruling = UNRULED
    before: tuple[Baseline, ...] = ()

    @property
    def mailboxes(self) -> tuple[MailboxName, ...]:
        return tuple(dict.fromkeys(route.mailbox for route in self.routes))

    @property
    def under_way(self) -> list[GateTrial]:
        return [trial for trial in self.pending if trial.sent is not None]


def bad(good: int, adverse: int) -> bool:
    """At least two are decided, and half of them adverse."""
    return good + adverse >= 2 and adverse >= good


def outcome(trial: GateTrial) -> bool | None:
    """Adverse, good, or None while it is open; of trials that say anything."""
    return None if trial.reason is None else trial.reason.verdict is Verdict.FAIL


def classes(world: World, state: GateState) -> list[Class]:
    """In the order of the routes. A provider that is not configured any more stays if its probes fail the gate."""
    request = state.request
    homes = {each.route: each for asked in state.requests for each in asked.routes}
    found = {name: _class(state, name, homes) for name in dict.fromkeys(each.provider for each in homes.values())}
    since = {name: _since(state, name) for name in found}
    names = Names.of(state)
    for trial in sorted(state.trials.values(), key=lambda trial: trial.seq or LAST):
        if (home := homes.get(trial.route)) is not None:
            _take(found[home.provider], trial, home.arm, request, names, since[home.provider][0])
    for home in homes.values():
        for seen in world.evidence.trials(str(home.route)):
            if seen.probe not in state.trials and seen.sent.seconds_since(since[home.provider][1]) >= 0:
                _compare(found[home.provider], seen, home.arm, request, names)
    for each in found.values():
        each.ruling = rule(request.policy.plan, [outcome(trial) for trial in each.counted])
    return [each for each in found.values() if each.routes or each.ruling.passed is False or each.money]


@dataclass(frozen=True, slots=True)
class Names:
    """What the version under test calls itself, now and in any attempt: what was told against it stays, whatever it is called later."""

    now: Set[str]
    ever: Set[str]

    @classmethod
    def of(cls, state: GateState) -> Names:
        return cls(frozenset(state.request.versions), frozenset(name for asked in state.requests for name in asked.versions))

    def is_meant(self, told: str) -> bool:
        return _is_one_of(told, self.now)

    def ever_meant(self, told: str) -> bool:
        return _is_one_of(told, self.ever)


def _is_one_of(told: str, names: Set[str]) -> bool:
    """A commit may be told abbreviated, by either side."""
    if told in names or not _COMMIT.fullmatch(told):
        return told in names
    return any(_COMMIT.fullmatch(name) and (name.startswith(told) or told.startswith(name)) for name in names)


def _class(state: GateState, provider: str, homes: Mapping[Route, GateRoute]) -> Class:
    present = [each for each in state.request.routes if each.provider == provider]
    before = {each.route: each for asked in reversed(state.requests) for each in asked.baseline if each.route in homes}
    return Class(
        provider,
        tuple(each.route for each in present if each.arm is Arm.CANARY),
        tuple(each.route for each in present if each.arm is Arm.CONTROL) if state.request.policy.control is Control.STABLE else (),
        before=tuple(each for route, each in before.items() if homes[route].provider == provider),
    )


def _since(state: GateState, provider: str) -> tuple[int, Instant]:
    """The last attempt in which this class's control arm failed too: what was adverse until then is held neither against the deploy nor
    against the control arm. And the instant from which probes of others are compared."""
    broken = [
        decision.attempt
        for decision in state.decisions
        for tally in decision.classes
        if tally.provider == provider and tally.because is Because.BASELINE_BROKEN and decision.attempt < state.request.attempt
    ]
    if broken:
        return broken[-1], next(asked.at for asked in state.requests if asked.attempt > broken[-1])
    return 0, state.requests[0].began


def _take(of: Class, trial: GateTrial, home: Arm, request: GateRequested, names: Names, excused: int) -> None:
    if trial.attempt == request.attempt:
        (of.own if home is Arm.CANARY else of.beside_own).append(trial)
    if trial.gone:
        of.withdrawn += 1
        return
    arm = place(trial, home, names, trust=request.policy.trust_target)
    if home is Arm.CANARY and arm is not Arm.CANARY and (trial.taken or trial.version):
        of.served[trial.version] += 1
    if _is_refusal(trial) and not (trial.version and arm is Arm.CONTROL) and trial.attempt > excused:
        of.refused.append(trial)
    if arm is Arm.CANARY:
        of.observed += trial.taken or bool(trial.version)
        _count(of, trial, request, excused)
        return
    if home is Arm.CANARY:
        of.aside[_why_aside(trial)] += 1
    if arm is Arm.CONTROL and trial.attempt > excused:
        _control(of.control, trial)


def place(trial: GateTrial, home: Arm, names: Names, *, trust: bool) -> Arm | None:
    """The arm that this probe is evidence for; None: neither."""
    against = trial.money or outcome(trial) is True
    if trial.reason is None and not trial.taken and not trial.final:
        return home  # who will serve it is not known yet
    if trial.version:
        return Arm.CANARY if names.is_meant(trial.version) or (against and names.ever_meant(trial.version)) else Arm.CONTROL
    if home is Arm.CONTROL or trust:
        return home
    return Arm.CONTROL if trial.reason is not None and trial.reason.verdict is Verdict.PASS else None


def _why_aside(trial: GateTrial) -> str:
    if trial.reason is not None and trial.reason.verdict in _NO_EVIDENCE:
        return trial.reason.value
    if trial.version:
        return f"served by {trial.version}"
    return UNTOLD if trial.taken else UNANSWERED


def _count(of: Class, trial: GateTrial, request: GateRequested, excused: int) -> None:
    shows = outcome(trial)
    if trial.money:
        of.money.append(trial)
    if trial.reason is not None and trial.reason.verdict in _NO_EVIDENCE:
        of.aside[trial.reason.value] += 1
    elif shows is False and trial.attempt < request.attempt and _is_stale(trial, request):
        of.stale += 1
    elif shows and trial.attempt <= excused and not trial.money:
        of.excused += 1
    else:
        of.counted.append(trial)
        (of.pending if shows is None else of.adverse if shows else of.good).append(trial)


def _is_stale(trial: GateTrial, request: GateRequested) -> bool:
    return trial.sent is not None and request.at.seconds_since(trial.sent) > request.policy.fresh_for


def _control(arm: ControlArm, trial: GateTrial) -> None:
    if trial.reason is None:
        if trial.sent is not None:
            arm.pending.append(trial)
    elif trial.reason.verdict is Verdict.PASS:
        arm.good += 1
        arm.arrived.append(trial)
    elif trial.reason.verdict is Verdict.FAIL:
        arm.bad += 1


def _is_refusal(trial: GateTrial) -> bool:
    return trial.reason is not None and trial.reason in REFUSALS


def _compare(of: Class, seen: Trial, home: Arm, request: GateRequested, names: Names) -> None:
    if seen.reason is not None and is_compared(seen, home, request, names):
        of.control.good += seen.reason.verdict is Verdict.PASS
        of.control.bad += seen.reason.verdict is Verdict.FAIL


def is_compared(seen: Trial, home: Arm, request: GateRequested, names: Names) -> bool:
    """A probe that this gate did not ask for is evidence for the control arm."""
    if seen.reason is None or names.ever_meant(seen.version):
        return False
    if seen.version or home is Arm.CONTROL:
        return True
    return not request.policy.trust_target and seen.reason.verdict is Verdict.PASS
