"""Where mail fails and where it does not: probes counted over paths x providers since an incident began."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from monitor.model.facts import SubmitFault
from monitor.model.instant import Instant
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.submission import Step
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.rules.overdue import is_overdue
from monitor.rules.words import bounced, peer_said
from monitor.views.probes import ProbeState
from monitor.views.world import World

_NOT_ARRIVED = frozenset(
    {
        Reason.REJECTED,
        Reason.DEFERRED,
        Reason.SUBMIT_UNREACHABLE,
        Reason.SUBMIT_MISCONFIGURED,
        Reason.BOUNCED,
        Reason.MISSING,
        Reason.STALLED,
        Reason.LATE,
        Reason.MISROUTED,
    }
)
_BAD: dict[Symptom, frozenset[Reason]] = {  # of the symptoms that probes show
    Symptom.DELIVERY_MISSING: _NOT_ARRIVED,
    Symptom.DELIVERY_LATE: _NOT_ARRIVED,
    Symptom.DELIVERY_STALLED: _NOT_ARRIVED,
    Symptom.MISROUTED: _NOT_ARRIVED,
    Symptom.BOUNCED: _NOT_ARRIVED,
    Symptom.SMTP_REJECT: _NOT_ARRIVED,
    Symptom.SUBMIT_BLIND: _NOT_ARRIVED | {Reason.SUBMIT_UNKNOWN},
    Symptom.SPAM_PLACEMENT: frozenset({Reason.SPAM}),
    Symptom.MISFILED: frozenset({Reason.MISFILED}),
    Symptom.CONTENT_WRONG: frozenset({Reason.ALTERED}),
    Symptom.DUPLICATE: frozenset({Reason.DUPLICATE}),
    Symptom.AUTH: frozenset({Reason.UNAUTHENTICATED}),
    Symptom.MAILBOX_BLIND: frozenset(),
    Symptom.BUDGET: frozenset({Reason.BUDGET_EXHAUSTED}),
    Symptom.BASELINE: frozenset({Reason.BASELINE_BROKEN}),
    Symptom.MONITOR: frozenset({Reason.CLOCK_JUMP, Reason.JOURNAL_UNWRITABLE, Reason.OVERLOADED, Reason.INTERNAL}),
    Symptom.STRAY: frozenset(),
    Symptom.GATE_HOLD: frozenset(),
}
_FAULTS = {
    SubmitFault.UNREACHABLE: Reason.SUBMIT_UNREACHABLE,
    SubmitFault.MISCONFIGURED: Reason.SUBMIT_MISCONFIGURED,
    SubmitFault.OVERLOADED: Reason.OVERLOADED,
    SubmitFault.INTERNAL: Reason.INTERNAL,
}
_BEFORE_THE_MAILBOX = frozenset({Step.CONNECT, Step.TLS, Step.AUTH, Step.MAIL_FROM})


@dataclass(frozen=True, slots=True)
class Observation:
    """One probe that shows something. `said`: the peer's words on it; `outright`: it failed before the peer knew for which mailbox."""

    route: Route
    provider: str
    bad: bool
    reason: Reason | None = None
    also: tuple[Reason, ...] = ()
    said: str = ""
    explanation: str = ""
    outright: bool = False
    unreached: bool = False
    holding: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """`failing`: routes on which at least half of the evidence is bad; without any such, those with any bad evidence; without that, those
    that are said to be affected and show nothing good. `fine`: routes with good evidence that are not failing."""

    observations: tuple[Observation, ...]
    failing: frozenset[Route]
    fine: frozenset[Route]
    providers: dict[MailboxName, str] = field(default_factory=dict)  # of the seed mailboxes

    @property
    def bad(self) -> list[Observation]:
        return [seen for seen in self.observations if seen.bad]

    def places(self, routes: Iterable[Route]) -> set[str]:
        """The providers of these routes."""
        return {self.providers[route.mailbox] for route in routes}

    def counts(self, path: PathName) -> dict[str, tuple[int, int]]:
        """Provider -> (bad, all) of the probes on this path."""
        found: dict[str, tuple[int, int]] = {}
        for seen in self.observations:
            if seen.route.path == path:
                bad, sent = found.get(seen.provider, (0, 0))
                found[seen.provider] = (bad + seen.bad, sent + 1)
        return dict(sorted(found.items()))


def observe(world: World, policy: Policy, symptom: Symptom, affected: Collection[Route], since: Instant) -> Pattern:
    """What the probes first attempted since then show, and which routes that leaves failing and fine."""
    providers = {name: box.provider for name, box in policy.mailboxes.items() if box.role is Role.SEED}
    observations = tuple(_observations(world, policy, symptom, since, providers))
    bad: dict[Route, int] = {}
    good: dict[Route, int] = {}
    for seen in observations:
        counted = bad if seen.bad else good
        counted[seen.route] = counted.get(seen.route, 0) + 1
    failing = {route for route, count in bad.items() if count >= good.get(route, 0)}
    failing = (
        failing or set(bad) or {route for route in affected if route.mailbox in providers and route.path in policy.paths} - good.keys()
    )
    return Pattern(observations, frozenset(failing), frozenset(good.keys() - failing), providers)


def _observations(
    world: World, policy: Policy, symptom: Symptom, since: Instant, providers: dict[MailboxName, str]
) -> Iterator[Observation]:
    holding = frozenset(name for name, box in policy.mailboxes.items() if box.role is Role.HOLDING)
    wanted = _BAD[symptom]
    for state in list(world.probes.values()):
        route = state.plan.route
        if route.mailbox not in providers or route.path not in policy.paths:
            continue
        began = state.first_attempt or (state.plan.at if state.withheld else None)
        if began is None or began.seconds_since(since) < 0:
            continue
        if (seen := _observed(world, state, providers[route.mailbox], wanted, holding)) is not None:
            yield seen
    for route in policy.routes:  # what is closed already
        for trial in world.evidence.trials(str(route)):
            if trial.reason is None or trial.probe in world.probes or trial.sent.seconds_since(since) < 0:
                continue
            if trial.reason in wanted:
                yield Observation(route, providers[route.mailbox], True, trial.reason)
            elif _arrived(trial.reason):
                yield Observation(route, providers[route.mailbox], False, trial.reason)


def _arrived(reason: Reason) -> bool:
    """A probe with this verdict is in its mailbox."""
    return reason is Reason.LATE or (reason.verdict in (Verdict.PASS, Verdict.FAIL) and reason not in _NOT_ARRIVED)


def _observed(
    world: World, state: ProbeState, provider: str, wanted: frozenset[Reason], holding: frozenset[MailboxName]
) -> Observation | None:
    route, judged = state.plan.route, state.judged
    said, outright = _said(state)
    unreached = state.error is not None and state.error.fault is SubmitFault.UNREACHABLE
    if judged is None:
        reason = _heading_for(world, state)
        return Observation(route, provider, True, reason, (), said, "", outright, unreached) if reason in wanted else None
    if {judged.reason, *judged.also} & wanted:
        held = any(seen.fact.mailbox in holding for seen in state.elsewhere()) and not state.own()
        return Observation(route, provider, True, judged.reason, judged.also, said, judged.explanation, outright, unreached, held)
    return Observation(route, provider, False, judged.reason) if _arrived(judged.reason) else None


def _heading_for(world: World, state: ProbeState) -> Reason | None:
    """What an undecided probe will be if nothing changes."""
    if state.deferred is not None:
        return Reason.DEFERRED
    if state.error is not None:
        return _FAULTS[state.error.fault]
    known = world.routes.get(str(state.plan.route))
    return Reason.STALLED if is_overdue(state, known.habit if known else None) else None


def _said(state: ProbeState) -> tuple[str, bool]:
    """The peer's last words on this probe, and whether they came before it knew for which mailbox the mail is."""
    if state.refused is not None:
        return peer_said(state.refused.step, state.refused.reply), state.refused.step in _BEFORE_THE_MAILBOX
    if state.dsn is not None and state.dsn.action == "failed":
        return bounced(state.dsn), False
    if state.deferred is not None:
        return peer_said(state.deferred.step, state.deferred.reply), state.deferred.step in _BEFORE_THE_MAILBOX
    if state.error is not None:
        return state.error.detail, True
    return (state.unknown.detail, False) if state.unknown is not None else ("", False)
