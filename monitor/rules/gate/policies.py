"""The built-in policies, and what is wrong with one that can never decide."""

from __future__ import annotations

from monitor.model.gate import DEEP, QUICK, STANDARD, GatePlan, GatePolicy, GatesPolicy, GateStep, Sequential

BUILT_IN: dict[str, GatePolicy] = {
    QUICK: GatePolicy(QUICK, GatePlan((GateStep(10, 0), GateStep(30, 1)))),
    STANDARD: GatePolicy(STANDARD, GatePlan((GateStep(30, 0), GateStep(60, 1))), timeout=1_200.0),
    DEEP: GatePolicy(DEEP, GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)), timeout=7_200.0, fresh_for=10_800.0),
}


def named(name: str, gates: GatesPolicy) -> GatePolicy | None:
    """The policy of this name: the shop's own, or built in."""
    return gates.policies.get(name) or BUILT_IN.get(name)


def faults(policy: GatePolicy) -> str:
    """Why this policy can never decide, with the mend; empty: it can."""
    plan = policy.plan
    if plan.most <= 0:
        return "asks for no probe, and no evidence never passes; give it steps"
    return ""
