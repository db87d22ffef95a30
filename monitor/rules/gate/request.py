"""What somebody asks of a gate -> the attempt as it is written down, or why there is none. Idempotent by deploy and policy."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from monitor.model.facts import DeployMarked, GateRequested
from monitor.model.gate import Arm, Baseline, GateId, GatePolicy, GateRoute, faults
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.policy import CommandPath, HttpPath, PathPolicy, Policy, Role, SmtpPath
from monitor.model.verdict import Verdict
from monitor.rules.deploys import TOGETHER
from monitor.rules.gate.arms import is_called
from monitor.rules.gate.pace import whole
from monitor.rules.gate.sequence import rule
from monitor.rules.plain import plain
from monitor.views.gates import MOST_ATTEMPTS, MOST_RUNNING, GateState
from monitor.views.world import World

AGAIN_AFTER = 10.0  # seconds after a decision before another attempt begins: a loop that asks sooner hears the same answer
BEFORE = 1_800.0  # seconds before the deploy from which evidence tells what was usual
LATEST = 5  # trials of a route that tell what was usual


class Refusal(StrEnum):
    """Why nothing was begun."""

    NO_ROUTE = "no_route"
    UNKNOWN_ROUTE = "unknown_route"
    NEVER_DECIDES = "never_decides"
    ADVISORY = "advisory"  # its attempt holds nothing, and it was not asked for that
    OTHER_VERSION = "other_version"  # the gate is asking about another one
    OTHER_POLICY = "other_policy"  # the deploy is judged by another one already
    TOO_MANY = "too_many_attempts"
    CROWDED = "too_many_running"  # other gates; later it may be taken


class GateRefused(Exception):
    """Nothing was begun; the text says why and how to mend it."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class GateAsk:
    """A question: did this deploy break refund mail? `by`: who asks."""

    deploy: str
    policy: GatePolicy
    by: str
    service: str = ""
    version: str = ""
    sha: str = ""
    notify: bool = True
    advisory_until: float = 0.0


def gate_id(environment: str, deploy: str, policy: GatePolicy) -> GateId:
    whole = "\0".join((environment, deploy, policy.hash))
    return GateId(f"gate-{hashlib.sha256(whole.encode(errors='surrogatepass')).hexdigest()[:12]}")


def attempt(world: World, policy: Policy, ask: GateAsk, now: Instant) -> GateRequested | None:
    """The attempt that begins; None when the gate that there is answers: it runs, it has failed, a person answers for it, it passed on
    evidence that is still fresh, or it was decided a moment ago. Raises GateRefused."""
    gate = gate_id(policy.environment, ask.deploy, ask.policy)
    other = world.gates.of_deploy(ask.deploy)
    if other is not None and other.id != gate:
        held = other.request.policy
        why = f"deploy {plain(ask.deploy)} is judged by gate {other.id} under the policy {plain(held.name)} ({held.hash}) already"
        raise GateRefused(Refusal.OTHER_POLICY, f"{why}; ask under the same policy, or give a new deploy its own id")
    state = world.gates.known.get(gate)
    same = state is None or all(is_called(name, {*state.request.versions}) for name in _named(world, ask, state) if name)
    if state is not None and state.advisory(now) and ask.advisory_until <= now.utc and state.overridden(now) is None:
        why = f"gate {gate} was asked by {plain(state.request.by)[:100]} as advisory until {_when(state.request.advisory_until)}"
        mend = "ask as advisory too, wait until then, or give the release a deploy id of its own"
        raise GateRefused(Refusal.ADVISORY, f"{why}: whatever it finds, it holds nothing; {mend}")
    if state is not None and state.running and not same:
        why = f"gate {gate} is asking about {', '.join(map(plain, state.request.versions))}"
        raise GateRefused(Refusal.OTHER_VERSION, f"{why}; wait for it or cancel it, or give the other version a deploy id of its own")
    if state is not None and _answers(state, now, same=same):
        return None
    if state is not None and state.request.attempt >= MOST_ATTEMPTS:
        why = f"gate {gate} has had {MOST_ATTEMPTS} attempts"
        raise GateRefused(Refusal.TOO_MANY, f"{why}; `mailcanary gate explain {gate}` says why it stays inconclusive; deploy anew")
    if why := faults(ask.policy):
        raise GateRefused(Refusal.NEVER_DECIDES, f"policy {plain(ask.policy.name)}: {why}")
    routes = selected(policy, ask.policy)
    if why := out_of_reach(routes, policy, ask.policy):
        raise GateRefused(Refusal.NEVER_DECIDES, f"policy {plain(ask.policy.name)}: {why}")
    if len(world.gates.running()) >= MOST_RUNNING:
        raise GateRefused(Refusal.CROWDED, f"{MOST_RUNNING} gates are running; ask again when one has ended, or cancel one")
    return _requested(world, policy, ask, now, state, routes)


def _requested(
    world: World, policy: Policy, ask: GateAsk, now: Instant, state: GateState | None, routes: tuple[GateRoute, ...]
) -> GateRequested:
    """What an earlier attempt knew of the deploy is not forgotten: when it began, what was usual before; and what it calls itself, unless
    that is named anew."""
    markers = [marker for marker in world.incidents.deploys if marker.deploy == ask.deploy]
    before = state.request if state is not None else None
    told = [marker.service for marker in reversed(markers)] + ([before.service] if before else [])
    service = ask.service or next((name for name in told if name), "")
    version, sha = _named(world, ask, state)
    versions = tuple(dict.fromkeys(name for name in (version, sha, ask.deploy) if name))
    began = before.began if before else _began(markers, now)
    return GateRequested(
        at=now,
        gate=gate_id(policy.environment, ask.deploy, ask.policy),
        deploy=ask.deploy,
        attempt=before.attempt + 1 if before else 1,
        policy=ask.policy,
        by=ask.by,
        versions=versions,
        routes=routes,
        began=began,
        until=now.plus(ask.policy.timeout),
        baseline=_baselines(world, routes, before, began, frozenset(versions)),
        service=service,
        version=version,
        sha=sha,
        marked=bool(markers) or (before is not None and before.marked),
        notify=ask.notify,
        advisory_until=ask.advisory_until,
    )


def selected(policy: Policy, gate: GatePolicy) -> tuple[GateRoute, ...]:
    """The routes that a gate probes: those it names, and beside them, for the control arm, those of the paths that no version serves to
    the same mailboxes. Raises GateRefused."""
    known = {str(route) for route in policy.routes} | {name for route in policy.routes for name in (route.path, route.mailbox)}
    for name in gate.routes:
        if name not in known:
            there = ", ".join(sorted({route.path for route in policy.routes}))
            raise GateRefused(Refusal.UNKNOWN_ROUTE, f"no route or path {plain(name)} is configured; there are the paths {there}")
    chosen = [route for route in policy.routes if not gate.routes or {str(route), route.path, route.mailbox} & set(gate.routes)]
    if not chosen:
        raise GateRefused(Refusal.NO_ROUTE, "no route is selected; nothing was sent")
    canary = [route for route in chosen if gate.trust_target or tells_version(policy.paths[route.path])]
    if not canary:
        why = "none of the selected paths tells which version served a probe"
        mend = "configure paths.NAME.version, or use a policy with trust_target where nothing but the version under test can answer"
        raise GateRefused(Refusal.NO_ROUTE, f"{why}; {mend}")
    boxes = {route.mailbox for route in canary}
    beside = [route for route in policy.routes if route not in canary and route.mailbox in boxes]
    return tuple(
        GateRoute(route, policy.mailboxes[route.mailbox].provider, arm)
        for arm, routes in ((Arm.CANARY, canary), (Arm.CONTROL, beside))
        for route in routes
        if policy.mailboxes[route.mailbox].role is Role.SEED
    )


def tells_version(path: PathPolicy) -> bool:
    match path.via:
        case SmtpPath():
            return False
        case HttpPath() | CommandPath() as via:
            return via.version is not None


def out_of_reach(routes: Sequence[GateRoute], policy: Policy, gate: GatePolicy) -> str:
    """Why these routes can never give the evidence of a pass, with the mend: too few of them, or no room for the fewest probes with which
    a class passes. Empty: they can."""
    canary = [each for each in routes if each.arm is Arm.CANARY]
    if len(canary) < gate.min_routes:
        return f"wants {gate.min_routes} routes, and {len(canary)} that tell a version are selected; lower min_routes, or select more"
    least, gates = rule(gate.plan, []).needed, policy.gates
    providers = dict.fromkeys(each.provider for each in canary)
    for provider in providers:
        boxes = {each.route.mailbox for each in canary if each.provider == provider}
        seconds = (math.ceil(least / (len(boxes) * gates.burst)) - 1) * gates.window
        if seconds >= gate.timeout:
            why = f"needs {least} probes to {provider}, {gates.burst} to a mailbox in {gates.window:g} s: that takes {seconds:g} s"
            return f"{why}, and the timeout is {gate.timeout:g} s; give it more time, add mailboxes, or raise gates.burst"
        if (most := sum(whole(gates.daily_share, policy.mailboxes[box].daily_budget) for box in boxes)) < least:
            why = f"needs {least} probes to {provider}, whose mailboxes have {most} a day for gates"
            return f"{why}; raise gates.daily_share, or the daily_budget of the mailboxes"
    paths = {each.route.path for each in canary}
    most, needed = sum(whole(gates.daily_share, policy.paths[path].daily_budget) for path in paths), least * len(providers)
    if most < needed:
        why = f"needs {needed} probes in all, and the paths {', '.join(sorted(paths))} have {most} a day for gates"
        return f"{why}; raise gates.daily_share, or the daily_budget of the paths"
    return ""


def _answers(state: GateState, now: Instant, *, same: bool) -> bool:
    """`same`: it was asked about the version that is named now."""
    decision = state.decision
    if decision is None or decision.verdict is Verdict.FAIL or state.overridden(now) is not None:
        return True
    passed = decision.verdict is Verdict.PASS
    if passed and (state.spoiled or not same):
        return False
    age = now.seconds_since(decision.at)
    # negative: the clock was set back while another process ran, and nobody knows how old it is
    return 0 <= age < (trusted_for(state.request.policy) if passed else AGAIN_AFTER)


def trusted_for(policy: GatePolicy) -> float:
    """Seconds for which a pass answers whoever asks again."""
    return max(AGAIN_AFTER, policy.fresh_for)


def _began(markers: Sequence[DeployMarked], now: Instant) -> Instant:
    """Its first start, or where nobody marked that its first finish; never ahead of our clock, which a marker's need not be."""
    starts = [marker.at for marker in markers if marker.phase is DeployPhase.START]
    finishes = [marker.at for marker in markers if marker.phase is DeployPhase.FINISH]
    first = min(starts or finishes, key=lambda at: at.utc, default=now)
    return first if now.reached(first) else now


def _named(world: World, ask: GateAsk, state: GateState | None) -> tuple[str, str]:
    """The version and the commit under test: as the ask calls them, completed by the latest marker, and then by the attempt before, as
    far as these do not call it otherwise: then they are about another one."""
    version, sha = ask.version, ask.sha
    markers = [marker for marker in reversed(world.incidents.deploys) if marker.deploy == ask.deploy]
    before: list[DeployMarked | GateRequested] = [*markers, *([state.request] if state is not None else [])]
    for told in before:
        if _agree(version, told.version) and _agree(sha, told.sha):
            version, sha = version or told.version, sha or told.sha
    return version, sha


def _agree(one: str, other: str) -> bool:
    return not one or not other or is_called(one, {other})


def _when(utc: float) -> str:
    try:
        return f"{datetime.fromtimestamp(utc, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (OverflowError, OSError, ValueError):
        return "a time that no calendar has"


def _baselines(
    world: World, routes: Sequence[GateRoute], before: GateRequested | None, began: Instant, versions: Set[str]
) -> tuple[Baseline, ...]:
    """As an earlier attempt saw it, for its probes have taken the place of what was before the deploy; of a new route, as it is known."""
    kept = {each.route: each for each in before.baseline} if before else {}
    return tuple(kept.get(each.route) or _baseline(world, each, began, versions) for each in routes)


def _baseline(world: World, of: GateRoute, began: Instant, versions: Set[str]) -> Baseline:
    """The latest decided trials before the deploy: also before somebody told us of it, so none that the version under test served, and
    none that it may have failed, for a start is marked a moment late."""
    route = of.route
    ages = [(t, began.seconds_since(t.sent)) for t in world.evidence.trials(str(route)) if not is_called(t.version, versions)]
    known = [
        (trial.sent, trial.reason.verdict, of.arm is Arm.CANARY and not trial.version and age <= TOGETHER)
        for trial, age in ages
        if 0 <= age <= BEFORE and trial.reason is not None
    ]
    before = [(sent, verdict) for sent, verdict, doubtful in known if verdict is not Verdict.FAIL or not doubtful]
    latest = [(sent, verdict) for sent, verdict in before if verdict in (Verdict.PASS, Verdict.FAIL)][-LATEST:]
    good = [sent for sent, verdict in latest if verdict is Verdict.PASS]
    bad = [sent for sent, verdict in latest if verdict is Verdict.FAIL]
    return Baseline(route, len(good), len(bad), good[-1] if good else None, bad[-1] if bad else None)
