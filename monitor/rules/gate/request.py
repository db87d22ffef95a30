"""What somebody asks of a gate -> the attempt as it is written down, or why there is none. Idempotent by deploy and policy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.model.facts import DeployMarked, GateRequested
from monitor.model.gate import Arm, Baseline, GateId, GatePolicy, GateRoute, faults
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.policy import CommandPath, HttpPath, PathPolicy, Policy, Role, SmtpPath
from monitor.model.probe import Route
from monitor.model.verdict import Verdict
from monitor.rules.plain import plain
from monitor.views.gates import MOST_ATTEMPTS, GateState
from monitor.views.world import World

AGAIN_AFTER = 10.0  # seconds after a decision before another attempt begins: a loop that asks sooner hears the same answer
BEFORE = 1_800.0  # seconds before the deploy from which evidence tells what was usual
LATEST = 5  # trials of a route that tell what was usual


class Refusal(StrEnum):
    """Why nothing was begun."""

    NO_ROUTE = "no_route"
    UNKNOWN_ROUTE = "unknown_route"
    NEVER_DECIDES = "never_decides"
    OTHER_POLICY = "other_policy"  # the deploy is judged by another one already
    TOO_MANY = "too_many_attempts"


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
    """The attempt that begins; None when the gate that there is answers: it runs, it has failed, it passed on evidence that is still fresh,
    or it was decided a moment ago. Raises GateRefused."""
    gate = gate_id(policy.environment, ask.deploy, ask.policy)
    other = world.gates.of_deploy(ask.deploy)
    if other is not None and other.id != gate:
        held = other.request.policy
        why = f"deploy {plain(ask.deploy)} is judged by gate {other.id} under the policy {held.name} ({held.hash}) already"
        raise GateRefused(Refusal.OTHER_POLICY, f"{why}; ask under the same policy, or give a new deploy its own id")
    state = world.gates.known.get(gate)
    if state is not None and _answers(state, now):
        return None
    if state is not None and state.request.attempt >= MOST_ATTEMPTS:
        why = f"gate {gate} has had {MOST_ATTEMPTS} attempts"
        raise GateRefused(Refusal.TOO_MANY, f"{why}; `mailcanary gate explain {gate}` says why it stays inconclusive; deploy anew")
    if why := faults(ask.policy):
        raise GateRefused(Refusal.NEVER_DECIDES, f"policy {ask.policy.name}: {why}")
    markers = [marker for marker in world.incidents.deploys if marker.deploy == ask.deploy]
    first = state.requests[0] if state is not None else None
    began = first.began if first else _began(markers, now)
    routes = selected(policy, ask.policy)
    version, sha = _told(ask.version, markers, "version"), _told(ask.sha, markers, "sha")
    return GateRequested(
        at=now,
        gate=gate,
        deploy=ask.deploy,
        attempt=state.request.attempt + 1 if state else 1,
        policy=ask.policy,
        by=ask.by,
        versions=tuple(dict.fromkeys(name for name in (version, sha, ask.deploy) if name)),
        routes=routes,
        began=began,
        until=now.plus(ask.policy.timeout),
        baseline=first.baseline if first else tuple(_baseline(world, each.route, began) for each in routes),
        service=_told(ask.service, markers, "service"),
        version=version,
        sha=sha,
        marked=bool(markers),
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


def _answers(state: GateState, now: Instant) -> bool:
    decision = state.decision
    if decision is None or decision.verdict is Verdict.FAIL:
        return True
    age = now.seconds_since(decision.at)
    if decision.verdict is Verdict.PASS:
        return age <= state.request.policy.fresh_for
    return age < AGAIN_AFTER


def _began(markers: Sequence[DeployMarked], now: Instant) -> Instant:
    starts = [marker.at for marker in markers if marker.phase is not DeployPhase.ROLLBACK]
    return min(starts, key=lambda at: at.utc, default=now)


def _told(said: str, markers: Sequence[DeployMarked], name: str) -> str:
    told = [text for marker in markers if (text := str(getattr(marker, name)))]
    return said or (told[-1] if told else "")


def _baseline(world: World, route: Route, began: Instant) -> Baseline:
    """The latest decided trials before the deploy."""
    ages = [(trial, began.seconds_since(trial.sent)) for trial in world.evidence.trials(str(route)) if trial.reason is not None]
    before = [trial for trial, age in ages if 0 <= age <= BEFORE][-LATEST:]
    good = [trial for trial in before if trial.reason is not None and trial.reason.verdict is Verdict.PASS]
    bad = [trial for trial in before if trial.reason is not None and trial.reason.verdict is Verdict.FAIL]
    return Baseline(route, len(good), len(bad), good[-1].sent if good else None, bad[-1].sent if bad else None)
