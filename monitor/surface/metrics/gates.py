"""Gates as gauges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from monitor.model.facts import DeployMarked
from monitor.model.gate import Because
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.verdict import Verdict
from monitor.views.gates import Gates, GateState


def gate_gauges(environment: str, gates: Gates, markers: Sequence[DeployMarked], now: Instant) -> Iterable[Metric]:
    running = gates.running()

    def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"mailcanary_{name}", text, labels=("environment",))
        family.add_metric((environment,), value)
        return family

    states = gates.known.values()
    return (
        gauge("gates_running", "Gates that are not decided yet.", len(running)),
        gauge(
            "gate_oldest_running_timestamp_seconds",
            "When the present attempt of the gate that has run longest began; 0: none runs.",
            min((state.request.at.utc for state in running), default=0),
        ),
        gauge(
            "gate_overrides_active",
            "Gates that count as passed because a person answers for them.",
            sum(state.overridden(now) is not None for state in states),
        ),
        gauge("gate_advisories_active", "Gates whose verdict blocks nothing for now.", sum(_is_advisory(state, now) for state in states)),
        gauge("gate_held", "1: the gate of the latest deploy has not passed, and holds it.", _holds(gates, markers, now)),
    )


def _is_advisory(state: GateState, now: Instant) -> bool:
    return now.utc < state.request.advisory_until


def _holds(gates: Gates, markers: Sequence[DeployMarked], now: Instant) -> bool:
    """Decided, not passed, and nobody has let it through or given the deploy up (cancelled the gate, rolled back)."""
    state = next(reversed(gates.known.values()), None)
    if state is None or state.decision is None or state.decision.verdict is Verdict.PASS or state.decision.because is Because.CANCELLED:
        return False
    if state.overridden(now) is not None or _is_advisory(state, now):
        return False
    return not any(marker.deploy == state.request.deploy and marker.phase is DeployPhase.ROLLBACK for marker in markers)
