"""Which policy a name means."""

from __future__ import annotations

from monitor.model.gate import BUILT_IN, GatePolicy, GatesPolicy


def named(name: str, gates: GatesPolicy) -> GatePolicy | None:
    """The policy of this name: the shop's own, or built in."""
    return gates.policies.get(name) or BUILT_IN.get(name)
