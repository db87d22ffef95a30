"""Gates on /metrics: counters of what was decided since the start, gauges of what holds now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.facts import Attempted, DeployMarked, Fact, GateCancelled, GateDecided, GateOverridden, GateRequested, ProbePlanned
from monitor.model.gate import BUILT_IN, GATE_VERDICT, Because, GateId
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.surface.metrics import Metrics
from tests.stages.house import House, policy
from tests.stages.virtual import MIDNIGHT, virtual
from tests.surface.test_metrics import Scrape, told

GATE = GateId("gate-0123456789ab")
ENV = {"environment": "test"}


def at(seconds: float) -> Instant:
    return Instant(MIDNIGHT + seconds, seconds, "first")


def requested(seconds: float, attempt: int = 1, gate: GateId = GATE, deploy: str = "d-1", advisory: float = 0.0) -> GateRequested:
    return GateRequested(
        at(seconds), gate, deploy, attempt, BUILT_IN["quick"], "ci", (deploy,), (), at(seconds), at(seconds + 600), advisory_until=advisory
    )  # fmt: skip


def decided(seconds: float, because: Because, attempt: int = 1, gate: GateId = GATE, deploy: str = "d-1") -> GateDecided:
    return GateDecided(at(seconds), gate, deploy, attempt, GATE_VERDICT[because], because, "why", (), ())


def overridden(seconds: float, lasts: float) -> GateOverridden:
    return GateOverridden(at(seconds), GATE, "ann", "known", MIDNIGHT + seconds + lasts)


def rolled_back(seconds: float, deploy: str = "d-1") -> DeployMarked:
    return DeployMarked(at(seconds), deploy, DeployPhase.ROLLBACK)


class Page(Scrape):
    """As scraped at a moment; the numbers of gates without the environment."""

    def __init__(self, metrics: Metrics, seconds: float) -> None:
        super().__init__(metrics, now=at(seconds))

    def gate(self, name: str, **labels: str) -> float:
        return self.value(f"mailcanary_{name}", **ENV, **labels)


async def page(tmp_path: Path, *facts: Fact, now: float = 100.0) -> Page:
    house = House(policy(tmp_path))
    metrics = told(house)
    await house.journal.append(facts)
    return Page(metrics, now)


@virtual
async def test_decisions_durations_and_flips(tmp_path: Path) -> None:
    shown = await page(
        tmp_path,
        requested(0),
        decided(4, Because.TOO_FEW),
        requested(20, 2),
        decided(28, Because.BUDGET, 2),
        requested(40, 3),
        decided(100, Because.LOSSES, 3),
        requested(40, gate=GateId("gate-other"), deploy="d-2"),
        decided(41, Because.CLEAN, gate=GateId("gate-other"), deploy="d-2"),
    )
    counts = {verdict: shown.gate("gate_decisions_total", verdict=verdict) for verdict in ("pass", "fail", "inconclusive", "error")}
    assert counts == {"pass": 1, "fail": 1, "inconclusive": 2, "error": 0}
    assert shown.gate("gate_flips_total") == 1, "inconclusive twice is no flip, and another gate is another matter"
    assert shown.gate("gate_duration_seconds_count") == 4 and shown.gate("gate_duration_seconds_sum") == pytest.approx(4 + 8 + 60 + 1)
    assert shown.gate("gate_duration_seconds_bucket", le="5.0") == 2 and shown.gate("gate_duration_seconds_bucket", le="60.0") == 4


@virtual
async def test_what_runs_and_since_when(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics = told(house)
    assert Page(metrics, 1).gate("gates_running") == Page(metrics, 1).gate("gate_oldest_running_timestamp_seconds") == 0
    await house.journal.append([requested(5), requested(9, gate=GateId("gate-other"), deploy="d-2")])
    shown = Page(metrics, 20)
    assert shown.gate("gates_running") == 2 and shown.gate("gate_oldest_running_timestamp_seconds") == MIDNIGHT + 5
    assert shown.gate("gate_held") == 0, "it is not decided"
    await house.journal.append([decided(30, Because.TOO_FEW)])
    assert Page(metrics, 31).gate("gate_oldest_running_timestamp_seconds") == MIDNIGHT + 9
    await house.journal.append([requested(50, 2)])
    assert Page(metrics, 51).gate("gates_running") == 2
    assert Page(metrics, 51).gate("gate_oldest_running_timestamp_seconds") == MIDNIGHT + 9


@pytest.mark.parametrize(
    ("facts", "held"),
    [
        ((), 0),
        ((requested(0),), 0),
        ((requested(0), decided(9, Because.CLEAN)), 0),
        ((requested(0), decided(9, Because.LOSSES)), 1),
        ((requested(0), decided(9, Because.TOO_FEW)), 1),
        ((requested(0), decided(9, Because.OWN_FAULT)), 1),
        ((requested(0), GateCancelled(at(8), GATE, "ci", ""), decided(9, Because.CANCELLED)), 0),  # nobody waits for it
        ((requested(0), decided(9, Because.TOO_FEW), requested(20, 2)), 0),  # runs again
        ((requested(0), decided(9, Because.TOO_FEW), requested(20, 2), decided(30, Because.CLEAN, 2)), 0),
        ((requested(0), decided(9, Because.LOSSES), overridden(20, 100.0)), 0),
        ((requested(0), decided(9, Because.LOSSES), overridden(20, 79.0)), 1),  # it has ended
        ((requested(0, advisory=MIDNIGHT + 101), decided(9, Because.LOSSES)), 0),
        ((requested(0, advisory=MIDNIGHT + 99), decided(9, Because.LOSSES)), 1),
        ((requested(0), decided(9, Because.LOSSES), rolled_back(20)), 0),
        ((requested(0), decided(9, Because.LOSSES), rolled_back(20, "d-0")), 1),
        ((requested(0), decided(9, Because.LOSSES), requested(40, gate=GateId("gate-b"), deploy="d-2")), 0),  # another deploy since
        (
            (
                requested(0), decided(9, Because.CLEAN),
                requested(40, gate=GateId("gate-b"), deploy="d-2"), decided(50, Because.LOSSES, gate=GateId("gate-b"), deploy="d-2"),
            ),
            1,
        ),
    ],
)  # fmt: skip
def test_the_gate_of_the_latest_deploy_holds_it(tmp_path: Path, facts: tuple[Fact, ...], held: int) -> None:
    @virtual
    async def story() -> None:
        assert (await page(tmp_path, *facts)).gate("gate_held") == held

    story()


@virtual
async def test_what_people_let_through_is_counted_while_it_is_in_force(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics = told(house)
    other = GateId("gate-other")
    await house.journal.append([
        requested(0), decided(9, Because.LOSSES), overridden(10, 60.0), requested(11, gate=other, deploy="d-2", advisory=MIDNIGHT + 80)
    ])  # fmt: skip
    seen = [(Page(metrics, now).gate("gate_overrides_active"), Page(metrics, now).gate("gate_advisories_active")) for now in (20, 75, 90)]
    assert seen == [(1, 1), (0, 1), (0, 0)]


@virtual
async def test_probes_of_gates_are_counted_beside_all(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(30)
    later = House(house.policy)
    metrics = told(later)
    facts = [entry.fact for entry in house.entries if entry.fact is not None]
    mine = house.facts(ProbePlanned)[0]
    await later.journal.append([replace(mine, gate=GATE) if fact is mine else fact for fact in facts])
    shown = Page(metrics, 60)
    assert len(house.facts(Attempted)) == 2 and shown.gate("gate_probes_total") == 1
    assert sum(shown.all("mailcanary_probes_submitted_total").values()) == 2
    assert sum(shown.all("mailcanary_probe_results_total").values()) == 2, "their verdicts count as those of others do"


@virtual
async def test_a_decision_of_a_gate_that_is_not_known_any_more_is_counted(tmp_path: Path) -> None:
    shown = await page(tmp_path, decided(9, Because.LOSSES))
    assert shown.gate("gate_decisions_total", verdict="fail") == 1
    assert shown.gate("gate_duration_seconds_count") == 0 == shown.gate("gate_held")
