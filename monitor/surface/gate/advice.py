"""What to do next about a gate: one line, for whoever reads the log of a pipeline."""

from __future__ import annotations

from monitor.model.facts import GateDecided
from monitor.model.gate import Because
from monitor.model.instant import Instant
from monitor.model.verdict import Verdict
from monitor.surface.gate.safe import LONGEST_NAME, safe
from monitor.surface.gate.standing import Effect, stale
from monitor.views.gates import GateState

MEND: dict[Because, str] = {
    Because.BASELINE_BROKEN: "mend what is broken beside this deploy (`mailcanary incident list`), then ask again",
    Because.UNOBSERVED: "see that the path reaches the version under test and that its answers tell this version, then ask again; "
    "a policy with trust_target is for targets that nothing else can answer",
    Because.TOO_FEW: "ask again, what was found is kept; give it a longer --timeout, or mailboxes whose deadlines are shorter",
    Because.BLIND: "mend the mailboxes that cannot be looked into (`mailcanary status` says why), then ask again",
    Because.UNSUBMITTED: "see that submission works (`mailcanary status`, `mailcanary resume`), then ask again",
    Because.BUDGET: "ask again tomorrow (UTC), or raise daily_budget or gates.daily_share",
    Because.CANCELLED: "ask again when it is wanted; what was found is kept",
    Because.OWN_FAULT: "look at the monitor's own log and disk, then ask again",
}


def next_step(state: GateState, shown: Effect, now: Instant) -> str:
    decision = state.decision
    if shown.override is not None and shown.found != Verdict.PASS:
        until = Instant(shown.override.until, 0.0, "").iso()
        return f"the deploy goes on by override; mend it or roll it back before {until}, then the gate holds again"
    if decision is None:
        return f"wait: `mailcanary gate wait {state.id}`; it is decided by {state.request.until.iso()}"
    if old := stale(state, now):
        return f"ask again before anything is released on it; {old}"
    text = _decided(state, decision)
    if state.override is not None and shown.override is None and decision.verdict is not Verdict.PASS:
        ended = Instant(state.override.until, 0.0, "").iso()
        text = f"the override by {safe(state.override.by, LONGEST_NAME)} ended at {ended}; {text}"
    if shown.advisory is not None and decision.verdict is not Verdict.PASS:
        text = f"advisory until {Instant(shown.advisory, 0.0, '').iso()}, nothing is held back; {text}"
    return text


def _decided(state: GateState, decision: GateDecided) -> str:
    match decision.verdict:
        case Verdict.PASS:
            return "nothing to do"
        case Verdict.FAIL:
            what = safe(state.request.version or state.request.deploy, LONGEST_NAME)
            return f"roll back {what}, or mend it and deploy anew under a new id; `mailcanary gate explain {state.id}` shows the probes"
        case Verdict.INCONCLUSIVE | Verdict.ERROR:
            return MEND.get(decision.because, "ask again")
