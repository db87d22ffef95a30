"""An inspection wakes the incident stage, and a restart tells nothing twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import ZoneObserved
from monitor.model.incident import EVERYWHERE, Phase, Severity
from monitor.model.inspection import Cause, DomainPolicy, InspectPolicy
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from tests.stages.house import House
from tests.stages.test_incident import told, two_paths
from tests.stages.virtual import virtual

SHOP = "shop.test"
GONE = CheckResult(CheckId.DKIM_K1, Status.FAIL, "s1._domainkey.shop.test", Gravity.CRITICAL, "no key record")


def inspecting(directory: Path) -> Policy:
    return replace(two_paths(directory), inspect=InspectPolicy(domains={SHOP: DomainPolicy(SHOP)}))


async def inspected(house: House, *results: CheckResult, blind: str = "") -> None:
    await house.desk.journal.append([ZoneObserved(house.desk.clock.now(), SHOP, Cause.SCHEDULE, results, (), (), blind=blind)])


def test_people_hear_of_a_finding_and_of_its_end(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = House(inspecting(tmp_path))
        async with house.running("incident"):
            await house.sleep(10)
            await inspected(house, GONE)
            await house.sleep(60)
            assert told(house) == []
            await inspected(house, GONE)
            await house.until(lambda: told(house), 0.5)
            (opened,) = told(house)
            assert (opened.phase, opened.symptom, opened.severity) == (Phase.OPENED, Symptom.AUTH_DKIM, Severity.PAGE)
            for _ in range(4):
                await house.sleep(900)
                await inspected(house, GONE)
        assert told(house) == [opened]
        async with house.running("incident"):
            await house.sleep(900)
            await inspected(house, GONE)
            await house.sleep(60)
            assert told(house) == [opened], "never twice"
            await inspected(house)
            await house.sleep(300)
            assert told(house) == [opened], "one good inspection ends nothing"
            await inspected(house)
            await house.until(lambda: len(told(house)) == 2, 0.5)
        assert [fact.phase for fact in told(house)] == [Phase.OPENED, Phase.RESOLVED]

    run()


def test_silent_resolvers_are_told_of_when_nothing_else_happens(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = House(inspecting(tmp_path))
        async with house.running("incident"):
            await house.sleep(10)
            await inspected(house, blind="timeout")
            await house.sleep(house.policy.incidents.blind_after - 5)
            assert told(house) == []
            await house.sleep(10)
            (opened,) = told(house)
            assert (opened.symptom, opened.scope, opened.severity) == (Symptom.DNS_BLIND, EVERYWHERE, Severity.TICKET)

    run()
