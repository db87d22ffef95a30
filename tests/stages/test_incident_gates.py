"""A gate's decision wakes the incident stage, and people hear of it at once."""

from __future__ import annotations

from pathlib import Path

from monitor.model.facts import GateDecided, GateOverridden, GateRequested
from monitor.model.gate import BUILT_IN, QUICK, Arm, Because, GateId, GateRoute
from monitor.model.incident import Phase
from monitor.model.verdict import Symptom, Verdict
from tests.stages.house import House
from tests.stages.test_incident import APP, told, two_paths
from tests.stages.virtual import virtual

GATE = GateId("gate-1a2b3c4d5e6f")


def test_people_hear_of_a_hold_and_of_its_end(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        policy = two_paths(tmp_path)
        route = next(route for route in policy.routes if route.path == APP)
        house = House(policy)
        async with house.running("incident"):
            await house.sleep(10)
            now = house.desk.clock.now()
            canary = GateRoute(route, "provider-1", Arm.CANARY)
            await house.desk.journal.append(
                [
                    GateRequested(now, GATE, "v2", 1, BUILT_IN[QUICK], "ci", ("v2",), (canary,), now, now.plus(900)),
                    GateDecided(now, GATE, "v2", 1, Verdict.FAIL, Because.LOSSES, "2 of 10 lost", (), ()),
                ]
            )
            await house.until(lambda: told(house), 0.5)
            (opened,) = told(house)
            assert (opened.phase, opened.symptom, opened.scope.name) == (Phase.OPENED, Symptom.GATE_HOLD, "v2")
            await house.sleep(600)
            assert told(house) == [opened]
            now = house.desk.clock.now()
            await house.desk.journal.append([GateOverridden(now, GATE, "ana", "known", now.utc + 600)])
            await house.until(lambda: len(told(house)) == 2, 0.5)
            await house.sleep(2_000)
        assert [fact.phase for fact in told(house)] == [Phase.OPENED, Phase.RESOLVED]

    run()
