"""Which policy a name means, and a policy changed for one gate by what stands beside its name in a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.gate import BUILT_IN, Control, GatePlan, GatePolicy, GatesPolicy, GateStep


def named(name: str, gates: GatesPolicy) -> GatePolicy | None:
    """The policy of this name: the shop's own, or built in."""
    return gates.policies.get(name) or BUILT_IN.get(name)


def there_are(gates: GatesPolicy) -> str:
    """The names that `named` knows, for who asked for another one."""
    return ", ".join(sorted({*BUILT_IN, *gates.policies}))


def changed(
    policy: GatePolicy,
    *,
    routes: Sequence[str] | None = None,
    probes: int | None = None,
    deadline: float | None = None,
    timeout: float | None = None,
    control: Control | None = None,
    min_routes: int | None = None,
    trust_target: bool | None = None,
) -> GatePolicy:
    """None leaves a thing as it is; whatever is changed makes another policy, with a star behind its name. Lengths in seconds."""
    other = replace(
        policy,
        routes=policy.routes if routes is None else tuple(routes),
        plan=policy.plan if probes is None else _of(policy.plan, probes),
        deadline=policy.deadline if deadline is None else deadline,
        timeout=policy.timeout if timeout is None else timeout,
        control=policy.control if control is None else control,
        min_routes=policy.min_routes if min_routes is None else min_routes,
        trust_target=policy.trust_target if trust_target is None else trust_target,
    )
    return other if other == policy else replace(other, name=f"{policy.name}*")


def _of(plan: GatePlan, probes: int) -> GatePlan:
    """So many probes of each class without an adverse one pass it; one adverse asks for as many again, two fail."""
    if plan.sequential is not None:
        return replace(plan, sequential=replace(plan.sequential, most=probes))
    return GatePlan((GateStep(probes, 0), GateStep(2 * probes, 1)), reject=2)
