"""The probes of a gate by mailbox class and arm: what each says there, or why it says nothing.

The version that served a probe places it. What no version told is placed by its route: on a path that tells none it is control, whoever
served it; on a path that should have told, a good probe is control and a bad one is nobody's, for it may be either's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

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
UNSUBMITTED = frozenset({Reason.SUBMIT_UNKNOWN, Reason.SUBMIT_MISCONFIGURED})
UNANSWERED = "refused, or the answer was lost, before any version was told"
_NO_EVIDENCE = (Verdict.INCONCLUSIVE, Verdict.ERROR)
UNRULED = Ruling(None, 0, 0, 0, 0)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")  # git abbreviates a commit to no less
_COMMIT = (40, 64)  # hexadecimal digits of a whole one
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
    unanswered: list[GateTrial] = field(default_factory=list)  # canary probes that came to nothing before a version was told
    stale: int = 0  # good ones that are too old
    excused: int = 0  # of an attempt in which the control arm failed too
    renewed: int = 0  # good ones of an attempt in which too many were unanswered
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
    """Adverse, good, or None while it is open; of trials that say anything. A wrong amount waits for no verdict."""
    if trial.money:
        return True
    return None if trial.reason is None else trial.reason.verdict is Verdict.FAIL


def classes(world: World, state: GateState) -> list[Class]:
    """In the order of the routes. A provider that is not configured any more stays if its probes fail the gate."""
    request = state.request
    homes = {each.route: each for asked in state.requests for each in asked.routes}
    found = {name: _class(state, name, homes) for name in dict.fromkeys(each.provider for each in homes.values())}
    names = Names.of(state)
    placed = [
        (trial, home, place(trial, home.arm, names, trust=request.policy.trust_target))
        for trial in sorted(state.trials.values(), key=lambda trial: trial.seq or LAST)
        if (home := homes.get(trial.route)) is not None
    ]
    unanswered = [(trial, home.provider) for trial, home, arm in placed if home.arm is Arm.CANARY and _is_unanswered(trial, arm, names)]
    attempts = Counter((provider, trial.attempt) for trial, provider in unanswered)
    since = {name: _since(state, name, attempts) for name in found}
    for trial, home, arm in placed:
        _take(found[home.provider], trial, home.arm, arm, request, since[home.provider])
    for trial, provider in unanswered:
        if trial.attempt > max(since[provider].excused, since[provider].renewed):
            found[provider].unanswered.append(trial)
    for home in homes.values():
        for seen in world.evidence.trials(str(home.route)):
            if seen.probe not in state.trials and seen.sent.seconds_since(since[home.provider].compared) >= 0:
                _compare(found[home.provider], seen, home.arm, request, names)
    for each in found.values():
        each.ruling = rule(request.policy.plan, [outcome(trial) for trial in each.counted])
    return [each for each in found.values() if each.routes or each.ruling.passed is False or each.money]


@dataclass(frozen=True, slots=True)
class _Since:
    """Attempts of which something is set aside in this class. `excused`: the last one in which the control arm failed too: what was adverse
    or good until then says nothing of the deploy. `renewed`: the last one that too many unanswered probes kept from passing: what was good
    until then vouches for nothing. `compared`: the instant from which probes of others are compared."""

    excused: int
    renewed: int
    compared: Instant


@dataclass(frozen=True, slots=True)
class Names:
    """What the version under test calls itself, now and in any attempt: what was told against it stays, whatever it is called later."""

    now: Set[str]
    ever: Set[str]

    @classmethod
    def of(cls, state: GateState) -> Names:
        return cls(frozenset(state.request.versions), frozenset(name for asked in state.requests for name in asked.versions))

    def is_meant(self, told: str) -> bool:
        return is_called(told, self.now)

    def ever_meant(self, told: str) -> bool:
        return is_called(told, self.ever)


def is_called(told: str, names: Set[str]) -> bool:
    """A commit may be told abbreviated, by either side; a number that begins like another one is another one."""
    return told in names or _is_commit_of(told, frozenset(names))


@lru_cache(maxsize=1_024)
def _is_commit_of(told: str, names: frozenset[str]) -> bool:
    if not _ABBREVIATED.fullmatch(told):
        return False
    pairs = (sorted((told, name), key=len) for name in names if _ABBREVIATED.fullmatch(name))
    return any(len(whole) in _COMMIT and whole.startswith(short) for short, whole in pairs)


def _class(state: GateState, provider: str, homes: Mapping[Route, GateRoute]) -> Class:
    present = [each for each in state.request.routes if each.provider == provider]
    before = {each.route: each for asked in reversed(state.requests) for each in asked.baseline if each.route in homes}
    return Class(
        provider,
        tuple(each.route for each in present if each.arm is Arm.CANARY),
        tuple(each.route for each in present if each.arm is Arm.CONTROL) if state.request.policy.control is Control.STABLE else (),
        before=tuple(each for route, each in before.items() if homes[route].provider == provider),
    )


def _since(state: GateState, provider: str, unanswered: Mapping[tuple[str, int], int]) -> _Since:
    excused = renewed = 0
    for decision in state.decisions:
        tally = next((each for each in decision.classes if each.provider == provider), None)
        if tally is None or decision.attempt >= state.request.attempt:
            continue
        if tally.because is Because.BASELINE_BROKEN:
            excused = decision.attempt
        pooled = range(max(excused, renewed) + 1, decision.attempt + 1)
        if tally.because is Because.UNSUBMITTED and sum(unanswered[provider, attempt] for attempt in pooled) >= tally.limit:
            renewed = decision.attempt
    compared = next(asked.at for asked in state.requests if asked.attempt > excused) if excused else state.requests[0].began
    return _Since(excused, renewed, compared)


def _take(of: Class, trial: GateTrial, home: Arm, arm: Arm | None, request: GateRequested, since: _Since) -> None:
    if trial.attempt == request.attempt:
        (of.own if home is Arm.CANARY else of.beside_own).append(trial)
    if trial.gone:
        of.withdrawn += 1
        return
    if home is Arm.CANARY and arm is not Arm.CANARY and (trial.taken or trial.version):
        of.served[trial.version] += 1
    if _is_refusal(trial) and not (trial.version and arm is Arm.CONTROL) and trial.attempt > since.excused:
        of.refused.append(trial)
    if arm is Arm.CANARY:
        of.observed += trial.taken or bool(trial.version)
        _count(of, trial, request, since)
        return
    if home is Arm.CANARY:
        of.aside[_why_aside(trial)] += 1
    if arm is Arm.CONTROL and trial.attempt > since.excused:
        _control(of.control, trial)


def _is_unanswered(trial: GateTrial, arm: Arm | None, names: Names) -> bool:
    """A probe on a canary route that came to nothing before a version was told, or that the version under test put off and another one
    served: no evidence, and it may be the fault of the version under test."""
    if trial.gone:
        return False
    if _is_put_off(trial, names):
        return True
    if trial.version and not names.ever_meant(trial.version):
        return False
    if trial.reason in UNSUBMITTED:
        return not trial.taken
    return arm is None and outcome(trial) is True


def _is_put_off(trial: GateTrial, names: Names) -> bool:
    """The version under test put it off, and another one ended it."""
    if not trial.deferred_by or not (trial.taken or trial.final) or (trial.version and names.ever_meant(trial.version)):
        return False
    return any(names.ever_meant(version) for version in trial.deferred_by)


def place(trial: GateTrial, home: Arm, names: Names, *, trust: bool) -> Arm | None:
    """The arm that this probe is evidence for; None: neither."""
    if trial.reason is None and not trial.taken and not trial.final:
        return home  # who will serve it is not known yet
    if _is_put_off(trial, names):
        return None
    if trial.version:
        against = outcome(trial) is True
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


def _count(of: Class, trial: GateTrial, request: GateRequested, since: _Since) -> None:
    shows = outcome(trial)
    if trial.money:
        of.money.append(trial)
    if trial.reason is not None and trial.reason.verdict in _NO_EVIDENCE and not trial.money:
        of.aside[trial.reason.value] += 1
    elif shows is False and trial.attempt < request.attempt and _is_stale(trial, request):
        of.stale += 1
    elif trial.attempt <= since.excused and not trial.money:
        of.excused += 1
    elif shows is False and trial.attempt <= since.renewed:
        of.renewed += 1
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
