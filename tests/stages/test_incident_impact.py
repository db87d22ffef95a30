"""What an incident means for real refunds is put on what people are told, and never holds a page up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Judged, Reconciled, ResolveAsked, SourceBlind, SourceRestored, Transition
from monitor.model.incident import Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Impact, Side, Standing
from monitor.model.policy import Policy
from monitor.model.probe import ProbeId, Purpose, Route
from monitor.model.verdict import Reason, Symptom
from monitor.ports import LedgerUnreadable
from monitor.rules.reconcile.impact import provider_of
from monitor.stages import incident
from monitor.stages.incident import IMPACT_WITHIN
from tests.fakes.ledger import FakeLedger
from tests.stages.house import House
from tests.stages.test_incident import told, two_paths
from tests.stages.test_reconcile import DB, LOG, a_house, shelves, with_ledger
from tests.stages.virtual import MIDNIGHT, virtual

IMPACT = Impact(MIDNIGHT, MIDNIGHT + 60, 31, 30, 8, 23)


@dataclass
class Asked(FakeLedger):
    """Answers after `takes` seconds. `asked`: since, until, provider."""

    takes: float = 0.0
    asked: list[tuple[float, float, str]] = field(default_factory=list)

    async def impact(self, since: float, until: float, provider: str = "") -> Impact:
        self.asked.append((since - MIDNIGHT, until - MIDNIGHT, provider))
        await asyncio.sleep(self.takes)
        self._check()
        return replace(IMPACT, provider=provider)


def missing(now: Instant, open_: int, found: int, began: float) -> Reconciled:
    known = ClassStanding(DifferenceClass.MISSING, open_, found, now.utc, MIDNIGHT + began if open_ else None, open_)
    return Reconciled(now, Standing(31, 8, 8, 0, 0, (known,), now.utc - 1, now.utc - 1))


def ledgered(of: Policy) -> Policy:
    return replace(of, ledger=with_sources(of))


def with_sources(of: Policy) -> Any:
    return replace(of.ledger, sources={"shop-db": DB, "relay-log": LOG})


async def rejected(house: House, routes: list[Route]) -> None:
    now = house.desk.clock.now()
    for number, route in enumerate(routes):
        probe = ProbeId(f"{number + len(house.entries):012x}")
        await house.desk.journal.append([Judged(now, probe, route, Purpose.SCHEDULED, 0, Reason.REJECTED.verdict, Reason.REJECTED, "", ())])


def test_differences_wake_the_stage_and_people_hear_what_they_mean(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = Asked()
        house = House(ledgered(two_paths(tmp_path)), ledger=ledger)
        async with house.running("incident"):
            await house.sleep(100)
            await house.desk.journal.append([missing(house.desk.clock.now(), 5, 5, 40.0)])
            await house.until(lambda: told(house), 0.5)
            (opened,) = told(house)
            assert (opened.symptom, opened.severity, opened.impact) == (Symptom.LEDGER_MISSING, Severity.PAGE, IMPACT)
            assert ledger.asked == [(pytest.approx(40.0), pytest.approx(100.0), "")]
            await house.sleep(100)
            await house.desk.journal.append([missing(house.desk.clock.now(), 0, 5, 40.0)])
            await house.until(lambda: len(told(house)) == 2, 0.5)
            assert (told(house)[1].phase, told(house)[1].impact) == (Phase.RESOLVED, IMPACT)
            assert len(ledger.asked) == 2

    run()


def test_an_incident_of_probes_says_it_too_and_steps_that_nobody_hears_of_do_not(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = Asked()
        house = House(ledgered(two_paths(tmp_path)), ledger=ledger)
        async with house.running("submit", "watch", "judge", "incident"):
            await house.watched()
            house.post.transit = None
            for _ in range(4):
                await house.probe()
                await house.sleep(300)
            assert told(house)
            for fact in house.facts(Transition):
                heard = fact.phase in incident.TOLD and fact.parent is None
                assert (fact.impact is not None) == heard
            assert any(fact.phase is Phase.SUSPECTED for fact in house.facts(Transition))

    run()


@pytest.mark.parametrize(
    ("scope", "provider"),
    [
        (Scope(ScopeKind.PROVIDER, "provider-1"), "provider-1"),
        (Scope(ScopeKind.MAILBOX, "seed-1"), "provider-1"),
        (Scope(ScopeKind.MAILBOX, "gone"), ""),
        (Scope(ScopeKind.MAILBOX, "holding"), ""),
        (Scope(ScopeKind.ALL), ""),
        (Scope(ScopeKind.PATH, "app"), ""),
        (Scope(ScopeKind.DOMAIN, "provider-1"), ""),
        (Scope(ScopeKind.LEDGER), ""),
    ],
)
def test_customers_of_a_provider_are_counted_where_only_it_is_concerned(tmp_path: Path, scope: Scope, provider: str) -> None:
    assert provider_of(scope, two_paths(tmp_path, holding=True)) == provider


def test_what_a_part_of_another_incident_becomes_is_not_weighed(tmp_path: Path) -> None:
    """Nobody is told of it. Its beginning is: whoever looks at it, or reads the report, sees what it meant."""

    @virtual
    async def run() -> None:
        ledger = Asked()
        house = House(ledgered(two_paths(tmp_path)), ledger=ledger)
        async with house.running("incident"):
            await house.sleep(100)
            await house.desk.journal.append([missing(house.desk.clock.now(), 5, 5, 40.0)])
            await house.until(lambda: told(house), 0.5)
            (whole,) = told(house)
            step = replace(whole, phase=Phase.RECOVERING, impact=None)
            part = replace(whole, parent=whole.incident, impact=None)
            grown = replace(part, phase=Phase.GROWN)
            weighed = await house.incident._weighed([part, grown, step, replace(whole, impact=None)])
            assert [fact.impact for fact in weighed] == [IMPACT, None, None, IMPACT]

    run()


@pytest.mark.parametrize(
    ("ledger", "says"),
    [(Asked(takes=60.0), "did not say within 1 s"), (Asked(broken=LedgerUnreadable("ledger.sqlite3: damaged")), "ledger.sqlite3: damaged")],
)
def test_a_store_that_does_not_answer_holds_no_page_up(tmp_path: Path, ledger: Asked, says: str, caplog: pytest.LogCaptureFixture) -> None:
    @virtual
    async def run() -> None:
        house = House(ledgered(two_paths(tmp_path)), ledger=ledger)
        async with house.running("incident"):
            await house.sleep(100)
            await house.desk.journal.append([missing(house.desk.clock.now(), 5, 5, 40.0)])
            await house.until(lambda: told(house), IMPACT_WITHIN + 0.1)
            (opened,) = told(house)
            assert opened.impact is None
            assert house.elapsed <= 100 + IMPACT_WITHIN + 0.1

    run()
    assert [record.getMessage() for record in caplog.records if says in record.getMessage()]


def test_without_a_ledger_nobody_is_asked(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = Asked()
        house = House(two_paths(tmp_path), ledger=ledger)
        async with house.running("submit", "watch", "judge", "incident"):
            await house.watched()
            house.post.transit = None
            for _ in range(4):
                await house.probe()
                await house.sleep(300)
            assert told(house)
        assert ledger.asked == []
        assert all(fact.impact is None for fact in house.facts(Transition))

    run()


def test_a_blind_source_is_a_ticket_in_its_time(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = House(ledgered(two_paths(tmp_path)), ledger=Asked())
        async with house.running("incident"):
            await house.sleep(10)
            await house.desk.journal.append([SourceBlind(house.desk.clock.now(), "shop-db", Side.REFUNDS, "no answer", "look")])
            await house.until(lambda: told(house), 2_000)
            assert house.elapsed == pytest.approx(10 + house.policy.incidents.blind_after, abs=1)
            await house.desk.journal.append([SourceRestored(house.desk.clock.now(), "shop-db", Side.REFUNDS)])
            await house.until(lambda: len(told(house)) == 2, 0.5)

    run()


def test_from_rows_to_a_page_and_back(tmp_path: Path) -> None:
    """The two stages together: thirty refunds of a bad deploy whose mail goes nowhere; later it is sent again."""

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        lost = [(f"R{number}", "10.00", 1_000.0 + number) for number in range(30)]
        async with house.running("reconcile", "incident"):
            await house.sleep(1_040)
            refunds.rows = [lost]
            await house.until(lambda: told(house), 1_000)
            (opened,) = told(house)
            assert (opened.symptom, opened.since.utc) == (Symptom.LEDGER_MISSING, pytest.approx(MIDNIGHT + 1_000))
            assert house.elapsed <= 1_000 + 600 + 40
            await house.until(lambda: told(house)[-1].severity is Severity.PAGE, 100)
            now = house.elapsed
            confirmations.rows = [[(number, amount, now) for number, amount, _ in lost]]
            await house.until(lambda: told(house)[-1].phase is Phase.RESOLVED, 100)
        over = told(house)[-1].impact
        assert over is not None
        assert (over.refunds, over.confirmed, over.owed) == (30, 30, 0)

    run()


def test_a_person_closes_it_and_nothing_opens_it_again_but_new_ones(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        confirmations.rows = [[(f"B{number}", "10.00", 700.0) for number in range(3)]]
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        refunds.rows = [[("R0", "1.00", 1.0)]]
        async with house.running("reconcile", "incident"):
            await house.until(lambda: [fact for fact in told(house) if fact.symptom is Symptom.LEDGER_SPURIOUS], 900)
            (opened,) = [fact for fact in told(house) if fact.symptom is Symptom.LEDGER_SPURIOUS]
            await house.desk.journal.append([ResolveAsked(house.desk.clock.now(), opened.incident, "ana", "told them")])
            await house.sleep(7_200)
        assert [fact.phase for fact in told(house) if fact.symptom is Symptom.LEDGER_SPURIOUS] == [Phase.OPENED, Phase.RESOLVED]

    run()
