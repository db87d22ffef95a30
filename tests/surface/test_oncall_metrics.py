"""What on-call asks /metrics first: how many of the open incidents are pages, how long a notice has waited, whether quiet is planned."""

from __future__ import annotations

from pathlib import Path

from monitor.model.facts import SilenceEnded, SilencePlanned
from monitor.model.incident import IncidentId, Severity, SilenceId
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.surface.metrics import Metrics, Vitals
from tests.stages.house import House, policy
from tests.stages.virtual import virtual
from tests.surface import happenings as so

SECOND = IncidentId("INC-2")


def value(metrics: Metrics, sample: str, now: Instant | None = None) -> float:
    lines = metrics.expose("text/plain", now)[0].decode().splitlines()
    (found,) = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == f"mailcanary_{sample}"]
    return float(found)


def watched(house: House) -> Metrics:
    metrics = Metrics(house.policy, house.world, Vitals())
    house.journal.fold_into(metrics.count)
    return metrics


@virtual
async def test_pages_among_the_open_incidents(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics, at = watched(house), house.clock.now()

    def shown(symptom: Symptom = Symptom.DELIVERY_STALLED) -> tuple[float, float]:
        labels = f'{{environment="test",symptom="{symptom.value}"}}'
        return value(metrics, f"incidents_open{labels}"), value(metrics, f"incidents_open_pages{labels}")

    assert all(shown(symptom) == (0, 0) for symptom in Symptom), "each is there from the start"
    await house.journal.append([so.opened(at), so.opened(at, SECOND, severity=Severity.TICKET)])
    assert shown() == (2, 1)
    await house.journal.append([so.resolved(at.plus(1))])
    assert shown() == (1, 0)


@virtual
async def test_since_when_the_oldest_notice_waits(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path)))
    metrics, at = watched(house), house.clock.now()
    name = "notification_oldest_pending_timestamp_seconds"
    assert value(metrics, name) == 0
    await house.journal.append([so.opened(at), so.opened(at.plus(30), SECOND)])
    assert value(metrics, name, at.plus(60)) == at.utc
    await house.journal.append([so.notified(at.plus(40), 1)])
    assert value(metrics, name, at.plus(60)) == at.plus(30).utc
    await house.journal.append([so.notified(at.plus(50), 2, incident=SECOND)])
    assert value(metrics, name, at.plus(60)) == 0


@virtual
async def test_planned_silences_in_force(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics, at = watched(house), house.clock.now()
    name = 'silences_active{environment="test"}'
    first = SilencePlanned(at, SilenceId("SIL-1"), "ana", "the relay moves", at.utc + 100, at.utc + 200)
    await house.journal.append([first, SilencePlanned(at, SilenceId("SIL-2"), "ana", "likewise", at.utc + 150, at.utc + 300)])
    counted = {seconds: value(metrics, name, at.plus(seconds)) for seconds in (0, 99, 100, 199, 200, 299, 300)}
    assert counted == {0: 0, 99: 0, 100: 1, 199: 2, 200: 1, 299: 1, 300: 0}
    await house.journal.append([SilenceEnded(at.plus(160), SilenceId("SIL-1"), "ana")])
    assert value(metrics, name, at.plus(165)) == 1, "a person ended the first"
