"""Gates in a few words each: for lists, the status and the rows of deploys."""

from __future__ import annotations

from monitor.model.instant import Instant
from monitor.surface.gate.safe import LONGEST_DEPLOY, LONGEST_NAME, LONGEST_REASON, safe
from monitor.surface.gate.standing import Effect, effect, held
from monitor.views.gates import Gates, GateState

MOST_LATEST = 5


def gate_row(state: GateState, now: Instant) -> dict[str, object]:
    """`verdict` is what pipelines act on, `found` what the evidence says; a running gate's reason is empty."""
    request, decision, shown = state.request, state.decision, effect(state, now)
    return {
        "id": state.id,
        "deploy": safe(request.deploy, LONGEST_DEPLOY),
        "service": safe(request.service, LONGEST_NAME),
        "version": safe(request.version, LONGEST_NAME),
        "policy": safe(request.policy.name, LONGEST_NAME),
        "attempt": request.attempt,
        "verdict": shown.verdict,
        "found": shown.found,
        "because": decision.because.value if decision is not None else "",
        "reason": safe(decision.reason, LONGEST_REASON) if decision is not None else "",
        "requested_at": request.at.iso(),
        "decided_at": decision.at.iso() if decision is not None else None,
        **_excuses(shown),
    }


def _excuses(shown: Effect) -> dict[str, object]:
    """Who lets it pass, whatever was found."""
    override, advisory = shown.override, shown.advisory
    return {
        "override": None if override is None else {"by": safe(override.by, LONGEST_NAME), "until": Instant(override.until, 0.0, "").iso()},
        "advisory": None if advisory is None else {"until": Instant(advisory, 0.0, "").iso()},
    }


def gates_of(gates: Gates, deploy: str, now: Instant) -> list[dict[str, object]]:
    """Of one deploy, the latest first."""
    return [gate_row(state, now) for state in reversed(gates.known.values()) if state.request.deploy == deploy]


def gates_summary(gates: Gates, now: Instant) -> dict[str, object]:
    """For the status. `held`: decided gates that hold a deploy back now; `overrides`: those that pass by an override only."""
    shown = [effect(state, now) for state in gates.known.values()]
    latest = [gate_row(state, now) for state in list(gates.known.values())[-MOST_LATEST:]][::-1]
    return {
        "running": len(gates.running()),
        "held": len(held(gates, now)),
        "overrides": sum(each.override is not None and each.found != each.verdict for each in shown),
        "latest": [{key: row[key] for key in ("id", "deploy", "verdict", "found", "reason", "override", "advisory")} for row in latest],
    }
