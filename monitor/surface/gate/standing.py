"""What a gate means for a pipeline now: what its evidence says, and what a person has said about that."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.facts import GateOverridden
from monitor.model.instant import Instant
from monitor.model.verdict import Verdict
from monitor.rules.gate.request import trusted_for
from monitor.rules.words import lapse
from monitor.views.gates import Gates, GateState

PENDING = "pending"
HELD_FOR = 86_400.0  # seconds: nobody waits longer for a gate


@dataclass(frozen=True, slots=True)
class Effect:
    """`found`: what the evidence says; `verdict`: what pipelines act on. Both a Verdict's word or `pending`.

    An override counts for the gate until it ends, while another attempt runs too; an advisory gate blocks nothing once it is decided.
    """

    verdict: str
    found: str
    override: GateOverridden | None
    advisory: float | None  # seconds since the epoch; None: not or no longer advisory


def effect(state: GateState, now: Instant) -> Effect:
    decision = state.decision
    found = decision.verdict.value if decision is not None else PENDING
    override = state.overridden(now)
    advisory = state.request.advisory_until if state.advisory(now) else None
    excused = override is not None or (advisory is not None and decision is not None)
    return Effect(Verdict.PASS.value if excused else found, found, override, advisory)


def stale(state: GateState, now: Instant) -> str:
    """Why a gate that passed answers for nothing any more until it is asked anew; empty: it does, or it did not pass, or a person does."""
    decision = state.decision
    if decision is None or decision.verdict is not Verdict.PASS or state.overridden(now) is not None:
        return ""
    if state.spoiled:
        return "stale: it passed, and something that this rests on has turned bad since"
    trusted = trusted_for(state.request.policy)
    if 0 <= now.seconds_since(decision.at) < trusted:
        return ""
    return f"stale: it passed at {decision.at.iso()}, and its evidence is trusted for {lapse(trusted)}; ask anew"


def held(gates: Gates, now: Instant) -> list[GateState]:
    """Decided gates that hold a deploy back: neither passed nor excused, not a day old, and no later deploy of the service has passed."""
    found: list[GateState] = []
    passed: set[str] = set()
    for state in reversed(gates.known.values()):
        decision = state.decision
        if decision is None:
            continue
        if effect(state, now).verdict == Verdict.PASS:
            passed.add(state.request.service)
        elif state.request.service not in passed and now.seconds_since(decision.at) < HELD_FOR:
            found.append(state)
    return found[::-1]
