"""A gate as one JSON document, schema mailcanary.gate/v1 (config/gate.schema.json). Every other form is made from it."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.desk import Desk
from monitor.model.facts import GateRequested
from monitor.model.gate import ClassTally, Example, GatePolicy, Sequential
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom, Verdict
from monitor.rules.gate import Standing, assess
from monitor.rules.gate.statistics import p_value
from monitor.rules.notice import runbook
from monitor.surface.gate.advice import next_step
from monitor.surface.gate.arms import ADVERSE, Sorted, arm_rows, sort
from monitor.surface.gate.checks import check_rows
from monitor.surface.gate.classes import INDEPENDENT, class_row, number, worst_bound
from monitor.surface.gate.safe import LONGEST_DEPLOY, LONGEST_NAME, LONGEST_REASON, safe
from monitor.surface.gate.standing import PENDING, effect
from monitor.views.gates import GateState, GateTrial

SCHEMA = "mailcanary.gate/v1"
MOST_UNSEEN = 20
ASSUMPTION = f"95 % upper bound of the class that allows most (Clopper and Pearson, one-sided), {INDEPENDENT}"


def gate_document(desk: Desk, state: GateState) -> dict[str, object]:
    """Every key is always there, typed; additive changes only. No address, no refund number. A decided gate shows the classes, the reason
    and the example of its decision, a running one how it stands now; arms and checks show its probes as they are known now."""
    world, policy, now = desk.world, desk.policy, desk.clock.now()
    request, decision, shown = state.request, state.decision, effect(state, now)
    standing = None if decision is not None else assess(world, state, policy, now)
    classes = decision.classes if decision is not None else standing.classes if standing is not None else ()
    probes = sort(world, state)
    reason = decision.reason if decision is not None else standing.reason if standing is not None else ""
    first, last = (decision.observed_from, decision.observed_to) if decision is not None else _observed(probes.trials)
    return {
        "schema": SCHEMA,
        "id": state.id,
        "state": "running" if decision is None else "decided",
        "verdict": shown.verdict,
        "found": shown.found,
        "because": decision.because.value if decision is not None else "",
        "reason": safe(reason, LONGEST_REASON),
        "environment": safe(policy.environment, LONGEST_NAME),
        "adverse": _adverse(state, standing, classes),
        "deploy": _deploy(request),
        "policy": policy_row(request.policy),
        "attempt": request.attempt,
        "attempts": _attempts(state),
        "requested_by": safe(request.by, LONGEST_NAME),
        "requested_at": request.at.iso(),
        "until": request.until.iso(),
        "decided_at": decision.at.iso() if decision is not None else None,
        "observed": {"from": _iso(first), "to": _iso(last)},
        "classes": [class_row(each, request.policy.plan, probes.sequence(each.provider), decision is None) for each in classes],
        "arms": arm_rows(world, state, probes),
        "checks": check_rows(state, classes, probes),
        "baseline": [
            {
                "route": str(each.route),
                "good": each.good,
                "bad": each.bad,
                "last_good": _iso(each.last_good),
                "last_bad": _iso(each.last_bad),
            }
            for each in request.baseline
        ],
        "stats": _stats(classes),
        "example": _example(decision.example if decision is not None else None, probes),
        "unseen": _unseen(decision.unseen if decision is not None else ()),
        "override": None
        if shown.override is None
        else {
            "by": safe(shown.override.by, LONGEST_NAME),
            "reason": safe(shown.override.reason),
            "at": shown.override.at.iso(),
            "until": _utc(shown.override.until),
        },
        "advisory": None if shown.advisory is None else {"until": _utc(shown.advisory)},
        "next_step": safe(next_step(state, shown, now), 2 * LONGEST_REASON),
        "runbook_url": runbook(policy, Symptom.GATE_HOLD),
        "report_url": f"{public}/v1/gates/{state.id}" if (public := policy.notify.public_url.rstrip("/")) else "",
    }


def policy_row(policy: GatePolicy) -> dict[str, object]:
    return {
        "name": safe(policy.name, LONGEST_NAME),
        "hash": policy.hash,
        "steps": [{"probes": step.probes, "accept": step.accept} for step in policy.plan.steps],
        "reject": policy.plan.reject,
        "sequential": _sequential(policy.plan.sequential),
        "timeout_s": policy.timeout,
        "deadline_s": policy.deadline,
        "settle_s": policy.settle,
        "fresh_for_s": policy.fresh_for,
        "min_routes": policy.min_routes,
        "routes": [safe(name, LONGEST_NAME) for name in policy.routes],
        "trust_target": policy.trust_target,
        "control": policy.control.value,
        "overdue_fails": policy.overdue_fails,
    }


def _sequential(test: Sequential | None) -> dict[str, object] | None:
    if test is None:
        return None
    return {"good": test.good, "bad": test.bad, "false_fail": test.false_fail, "false_pass": test.false_pass, "most": test.most}


def _deploy(request: GateRequested) -> dict[str, object]:
    return {
        "id": safe(request.deploy, LONGEST_DEPLOY),
        "service": safe(request.service, LONGEST_NAME),
        "version": safe(request.version, LONGEST_NAME),
        "sha": safe(request.sha, LONGEST_NAME),
        "versions": [safe(name, LONGEST_DEPLOY) for name in request.versions],
        "began_at": request.began.iso(),
        "marked": request.marked,
    }


def _attempts(state: GateState) -> list[dict[str, object]]:
    decided = {decision.attempt: decision for decision in state.decisions}
    rows: list[dict[str, object]] = []
    for request in state.requests:
        decision = decided.get(request.attempt)
        rows.append(
            {
                "attempt": request.attempt,
                "by": safe(request.by, LONGEST_NAME),
                "requested_at": request.at.iso(),
                "decided_at": decision.at.iso() if decision else None,
                "verdict": decision.verdict.value if decision else PENDING,
                "because": decision.because.value if decision else "",
                "reason": safe(decision.reason, LONGEST_REASON) if decision else "",
            }
        )
    return rows


def _adverse(state: GateState, standing: Standing | None, classes: Sequence[ClassTally]) -> bool:
    """There is evidence against the deploy, whatever was decided."""
    found = any(each.adverse for each in classes) or any(trial.money for trial in state.trials.values())
    return found or (standing is not None and standing.adverse) or (state.decision is not None and state.decision.verdict is Verdict.FAIL)


def _observed(trials: Sequence[GateTrial]) -> tuple[Instant | None, Instant | None]:
    sent = [trial.sent for trial in trials if trial.sent is not None and trial.reason is not None]
    shown = [trial.decided for trial in trials if trial.decided is not None]
    return min(sent, key=_by_utc, default=None), max(shown, key=_by_utc, default=None)


def _by_utc(at: Instant) -> float:
    return at.utc


def _stats(classes: Sequence[ClassTally]) -> dict[str, object]:
    """p_value: of the class in which the canary arm is worst beside the control arm, times the number of classes compared (Holm 1979)."""
    ratios = [each.llr for each in classes if each.llr is not None]
    compared = [
        p
        for each in classes
        if (p := p_value(each.adverse, each.good + each.adverse, each.control_bad, each.control_good + each.control_bad)) is not None
    ]
    return {
        "loss_upper95": worst_bound(classes),
        "llr": number(max(ratios)) if ratios else None,
        "p_value": number(min(1.0, min(compared) * len(compared))) if compared else None,
        "assumption": ASSUMPTION,
    }


def _example(example: Example | None, probes: Sorted) -> dict[str, object] | None:
    """Of the decision; otherwise the adverse probe that was sent first."""
    if example is None:
        worst = next((trial for trial in probes.trials if probes.mark(trial) == ADVERSE), None)
        if worst is None:
            return None
        reason = worst.reason.value if worst.reason is not None else "altered"
        example = Example(worst.probe, worst.route, worst.sent or worst.planned, reason, worst.said)
    return {
        "probe_id": safe(example.probe, LONGEST_NAME),
        "route": str(example.route),
        "sent_at": example.sent.iso(),
        "reason": safe(example.reason, LONGEST_NAME),
        "said": safe(example.said),
    }


def _unseen(lines: Sequence[str]) -> list[str]:
    shown = [safe(line) for line in lines[:MOST_UNSEEN]]
    return shown if len(lines) <= MOST_UNSEEN else [*shown[:-1], f"and {len(lines) - MOST_UNSEEN + 1} more"]


def _iso(at: Instant | None) -> str | None:
    return at.iso() if at is not None else None


def _utc(seconds: float) -> str:
    return Instant(seconds, 0.0, "").iso()
