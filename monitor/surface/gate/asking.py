"""What outsiders ask of gates and say about them, written down: from the API, and from a gate that runs by itself."""

from __future__ import annotations

from monitor.desk import Desk
from monitor.model.facts import GateCancelled, GateOverridden
from monitor.model.gate import GateId
from monitor.model.verdict import Verdict
from monitor.rules.gate.request import GateAsk, attempt, gate_id
from monitor.views.gates import GateState

LONGEST_OVERRIDE = 86_400.0  # seconds


class NothingToOverride(Exception):
    """The gate runs, or has passed, or nobody answers for it; the text says so."""


async def begin(desk: Desk, ask: GateAsk) -> tuple[GateState, bool]:
    """The gate, and whether an attempt of it began with this question; of two that come at once one begins it and the other joins. Raises
    GateRefused, JournalUnwritable."""
    request = attempt(desk.world, desk.policy, ask, desk.clock.now())
    entries = await desk.journal.append([request], durable=True) if request is not None else ()
    state = desk.world.gates.known[gate_id(desk.policy.environment, ask.deploy, ask.policy)]
    return state, any(entry.seq == state.begun for entry in entries)


async def cancel(desk: Desk, gate: GateId, by: str, reason: str) -> GateState:
    """Its running attempt ends inconclusive; what its probes showed is kept. A gate that is decided stays as it is. Raises KeyError for an
    unknown gate, JournalUnwritable."""
    state = desk.world.gates.known[gate]
    if state.running and state.cancelled is None:
        await desk.journal.append([GateCancelled(desk.clock.now(), gate, by, reason)], durable=True)
    return state


async def override(desk: Desk, gate: GateId, by: str, reason: str, seconds: float) -> GateState:
    """A person answers for it, for `seconds`, at most LONGEST_OVERRIDE. Raises KeyError for an unknown gate, NothingToOverride,
    JournalUnwritable."""
    state = desk.world.gates.known[gate]
    decision = state.decision
    if decision is None:
        raise NothingToOverride(f"{gate} is still running; wait for its decision, or cancel it")
    if decision.verdict is Verdict.PASS:
        raise NothingToOverride(f"{gate} has passed; there is nothing to override")
    if not by.strip() or not reason.strip() or seconds <= 0:
        raise NothingToOverride(f"an override of {gate} needs who answers for it, why, and for how long")
    now = desk.clock.now()
    await desk.journal.append([GateOverridden(now, gate, by, reason, now.utc + min(seconds, LONGEST_OVERRIDE))], durable=True)
    return state
