"""What is checked on each route, and what the probes of a gate say about it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.model.facts import GateDecided, GateRequested
from monitor.model.gate import GATE_VERDICT, Arm, Because, ClassTally
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Verdict
from monitor.surface.gate.arms import ADVERSE, GOOD, Sorted
from monitor.surface.gate.classes import WHY, count_of
from monitor.surface.gate.safe import LONGEST_NAME, safe
from monitor.surface.gate.standing import PENDING
from monitor.views.gates import GateState, GateTrial

MOST_EVIDENCE = 5  # probes of one check


class Check(StrEnum):
    LOSS = "loss"
    CONTENT = "content"
    PLACEMENT = "placement"
    DUPLICATE = "duplicate"
    AUTHENTICATION = "authentication"
    LATENESS = "lateness"
    SUBMISSION = "submission"


CHECK_OF: dict[Reason, Check] = {
    Reason.REJECTED: Check.SUBMISSION,
    Reason.DEFERRED: Check.SUBMISSION,
    Reason.SUBMIT_UNREACHABLE: Check.SUBMISSION,
    Reason.BOUNCED: Check.LOSS,
    Reason.MISSING: Check.LOSS,
    Reason.STALLED: Check.LOSS,
    Reason.MISROUTED: Check.LOSS,  # the customer did not get it
    Reason.LATE: Check.LATENESS,
    Reason.SPAM: Check.PLACEMENT,
    Reason.MISFILED: Check.PLACEMENT,
    Reason.ALTERED: Check.CONTENT,
    Reason.UNAUTHENTICATED: Check.AUTHENTICATION,
    Reason.DUPLICATE: Check.DUPLICATE,
}
DECISIVE = {Because.WRONG_AMOUNT: Check.CONTENT, Because.REFUSED: Check.SUBMISSION, Because.STALLED: Check.LOSS}


@dataclass(frozen=True, slots=True)
class Ground:
    """What the checks of one route stand on."""

    request: GateRequested
    decision: GateDecided | None
    tally: ClassTally | None
    probes: Sorted
    trials: Sequence[GateTrial]  # on the route, in send order
    resolved: int  # good or adverse


def check_rows(state: GateState, tallies: Sequence[ClassTally], probes: Sorted) -> list[dict[str, object]]:
    """Every check on every canary route: as many rows whatever happened."""
    of_class = {tally.provider: tally for tally in tallies}
    rows: list[dict[str, object]] = []
    for each in state.request.routes:
        if each.arm is Arm.CANARY:
            own = [trial for trial in probes.trials if trial.route == each.route]
            resolved = sum(probes.mark(trial) in (GOOD, ADVERSE) for trial in own)
            ground = Ground(state.request, state.decision, of_class.get(each.provider), probes, own, resolved)
            rows += [_row(check, each.route, ground) for check in Check]
    return rows


def evidence(trial: GateTrial) -> dict[str, object]:
    seen = f"{trial.mailbox}: {trial.folder}" if trial.mailbox is not None and trial.folder else ""
    return {
        "probe_id": safe(trial.probe, LONGEST_NAME),
        "sent_at": (trial.sent or trial.planned).iso(),
        "message_id_hash": _hash(trial.message_id),
        "reply": safe(trial.said),
        "seen_in": safe(seen),
    }


def _hash(message_id: str) -> str:
    """Where the application makes the mail we do not know it."""
    return hashlib.sha256(message_id.encode(errors="surrogatepass")).hexdigest()[:12] if message_id else ""


def _row(check: Check, route: Route, ground: Ground) -> dict[str, object]:
    adverse = [trial for trial in ground.trials if check in _speaks_against(trial, ground)]
    verdict = _verdict(check, ground, bool(adverse))
    kinds = sorted({trial.reason.value for trial in adverse if trial.reason is not None and trial.reason.verdict is Verdict.FAIL})
    what = " or ".join(kinds).replace("_", " ") or "adverse"
    limit = ground.tally.limit if ground.tally else ground.request.policy.plan.reject
    name = safe(ground.tally.provider, LONGEST_NAME) if ground.tally else "its class"
    return {
        "name": check.value,
        "route": str(route),
        "verdict": verdict,
        "observed": f"{len(adverse)} of {count_of(len(ground.trials))} {what}, {ground.resolved} resolved",
        "threshold": f"{name} fails at {limit} adverse probes" + _also(check),
        "reason": _reason(verdict, adverse, ground),
        "evidence": [evidence(trial) for trial in adverse[:MOST_EVIDENCE]],
    }


def _speaks_against(trial: GateTrial, ground: Ground) -> set[Check]:
    """The checks that this probe is evidence against. A refusal tells no version, and speaks all the same where it decided the gate."""
    found: set[Check] = set()
    adverse = ground.probes.mark(trial) == ADVERSE
    if trial.money and adverse:
        found.add(Check.CONTENT)
    if trial.probe in ground.probes.refused and ground.decision is not None and ground.decision.because is Because.REFUSED:
        found.add(Check.SUBMISSION)
    if adverse and trial.reason in CHECK_OF:
        found.add(CHECK_OF[trial.reason])
    return found


def _verdict(check: Check, ground: Ground, adverse: bool) -> str:
    if ground.decision is None:
        return PENDING
    because = ground.tally.because if ground.tally else None
    of_class = GATE_VERDICT[because] if because is not None else Verdict.INCONCLUSIVE
    if adverse and (of_class is Verdict.FAIL or DECISIVE.get(ground.decision.because) is check):
        return Verdict.FAIL.value
    if of_class is Verdict.ERROR:
        return Verdict.ERROR.value
    if not ground.resolved or of_class is Verdict.INCONCLUSIVE:
        return Verdict.INCONCLUSIVE.value
    return Verdict.PASS.value


def _also(check: Check) -> str:
    match check:
        case Check.CONTENT:
            return "; one wrong amount fails the gate"
        case Check.SUBMISSION:
            return "; refused at several providers, or before the recipient, fails the gate"
        case _:
            return ""


def _reason(verdict: str, adverse: Sequence[GateTrial], ground: Ground) -> str:
    if adverse:
        first = adverse[0]
        return safe(f"first {first.probe} sent {(first.sent or first.planned).when:%H:%M:%S}Z: {first.said}")
    if verdict == Verdict.PASS:
        return ""
    if verdict == PENDING:
        return "the gate is not decided yet"
    if not ground.resolved:
        return "no probe that counts was resolved on this route"
    because = ground.tally.because if ground.tally else None
    return f"its mailbox class is not decided: {WHY[because] if because else 'the gate ended before'}"
