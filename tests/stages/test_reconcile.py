"""The reconcile stage on virtual time: what it reads and when, what it does when it cannot, and when it says something."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Reconciled, SourceBlind, SourceRestored
from monitor.model.ledger import (
    Confirmation,
    DifferenceClass,
    Portion,
    Purge,
    Purged,
    Refund,
    Side,
    Table,
    Taken,
    Taking,
    Windows,
)
from monitor.model.policy import Policy
from monitor.model.sources import FileFormat, FilesSource, Layout, LedgerPolicy, PushSource, SourcePolicy
from monitor.ports import LedgerUnreadable, SourceError
from monitor.stages.reconcile import FIRST_RETRY, LONGEST_RETRY, PERIOD, PURGE_EVERY, READ_WITHIN
from monitor.views.ledger import STORE
from tests.fakes.ledger import FakeLedger
from tests.stages.house import House, policy
from tests.stages.virtual import MIDNIGHT, virtual

FILES = FilesSource("/ledger/*.csv", FileFormat.CSV, Layout())
DB = SourcePolicy("shop-db", Side.REFUNDS, FILES, every=10.0, lag=5.0)
LOG = SourcePolicy("relay-log", Side.CONFIRMATIONS, FILES, every=10.0, lag=0.0)
PUSHED = SourcePolicy("pushed", Side.REFUNDS, PushSource(), every=10.0, lag=0.0)


def with_ledger(directory: Path, *sources: SourcePolicy, **known: Any) -> Policy:
    named = {one.name: one for one in sources or (DB, LOG)}
    ledger = replace(LedgerPolicy(sources=named, confirm_within=600.0, refund_within=60.0, volume=False), **known)
    return replace(policy(directory), ledger=ledger)


@dataclass
class Shelf:
    """A source in memory: rows per portion, and what it raises instead. `reads`: (loop time, position) of each."""

    side: Side
    rows: list[list[tuple[str, str, float]]] = field(default_factory=list)  # portions: number, amount, seconds after midnight
    fails: list[SourceError] = field(default_factory=list)
    reads: list[tuple[float, str]] = field(default_factory=list)
    ended: bool = True  # it is read to its end; or it lags for ever
    hangs: bool = False
    closed: bool = False
    columns: tuple[str, ...] = ("refund", "amount", "currency", "at")

    async def read(self, position: str, deadline: float) -> Portion:
        assert deadline == READ_WITHIN
        now = asyncio.get_running_loop().time()
        self.reads.append((round(now, 3), position))
        if self.hangs:
            await asyncio.sleep(1e9)
        if self.fails:
            raise self.fails.pop(0)
        place = int(position or "0")
        here = self.rows[place] if place < len(self.rows) else []
        after = min(place + 1, len(self.rows))
        more = after < len(self.rows)
        table = Table(self.columns if here else (), [(n, a, "EUR", str(MIDNIGHT + t)) for n, a, t in here], range(1, len(here) + 1))
        return Portion("shelf", table, str(after), more, MIDNIGHT + now if self.ended and not more else None)

    async def close(self) -> None:
        self.closed = True


def shelves() -> tuple[Shelf, Shelf]:
    return Shelf(Side.REFUNDS), Shelf(Side.CONFIRMATIONS)


def a_house(of: Policy, refunds: Shelf, confirmations: Shelf, ledger: FakeLedger | None = None, before: House | None = None) -> House:
    return House(of, before, ledger=ledger or FakeLedger(), sources={"shop-db": refunds, "relay-log": confirmations})


def counts(house: House) -> list[tuple[int, int]]:
    """(missing open, missing found) of each fact."""
    found = []
    for fact in house.facts(Reconciled):
        missing = next(each for each in fact.standing.classes if each.kind is DifferenceClass.MISSING)
        found.append((missing.open, missing.found))
    return found


def test_a_refund_without_a_confirmation_is_missing_once_its_time_is_over(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(30)
            refunds.rows = [[("R1", "10.00", 25.0), ("R2", "11.00", 26.0)]]
            confirmations.rows = [[("R1", "10.00", 28.0)]]
            await house.sleep(600)
            assert (0, 0) in counts(house)
            assert all(open_ == 0 for open_, _ in counts(house))
            await house.sleep(30)
        assert counts(house)[-1] == (1, 1)
        last = house.facts(Reconciled)[-1]
        assert (last.standing.refunds, last.standing.confirmations, last.standing.confirmed) == (2, 1, 1)
        assert 626 <= last.at.mono <= 650

    run()


def test_it_is_said_at_once_when_differences_change_and_else_every_minute(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(3_600)
            times = house.times(Reconciled)
            assert 55 <= len(times) <= 62
            refunds.rows = [[("R1", "10.00", 100.0)]]
            await house.sleep(30)
            assert counts(house)[-1] == (1, 1)
            assert house.times(Reconciled)[-1] <= 3_600 + 2 * 10 + 1

    run()


def test_a_source_that_lags_stops_its_side_and_nothing_is_said(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(100)
            refunds.ended = confirmations.ended = False
            await house.sleep(100)
            before = len(house.facts(Reconciled))
            await house.sleep(90_000)
            assert len(house.facts(Reconciled)) == before
        assert counts(house)[-1] == (0, 0)

    run()


def test_the_sides_are_read_as_far_as_their_slowest_source_less_its_lag(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = FakeLedger()
        house = a_house(with_ledger(tmp_path, every=1.0), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(105)
        windows: Windows = ledger.windows[-1]
        last_read = max(t for t, _ in refunds.reads)
        assert windows.refunds_until == pytest.approx(MIDNIGHT + last_read - DB.lag, abs=0.01)
        assert windows.confirmations_until == pytest.approx(MIDNIGHT + max(t for t, _ in confirmations.reads), abs=0.01)
        assert windows.refunds_from == pytest.approx(MIDNIGHT, abs=0.01)
        assert (windows.confirm_within, windows.refund_within) == (600.0, 60.0)

    run()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_sources_are_read_on_their_schedule_and_a_backlog_at_once(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[(f"R{number}", "10.00", 1.0)] for number in range(50)]
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(35)
        backlog = [t for t, _ in refunds.reads if t < 1]
        assert len(backlog) == 50
        assert [round(t) for t, _ in refunds.reads if t > 1] == [10, 20, 30]
        assert [round(t) for t, _ in confirmations.reads] == [0, 10, 20, 30]
        assert [position for _, position in refunds.reads[:3]] == ["", "1", "2"]

    run()


def test_a_backlog_starves_nobody(tmp_path: Path) -> None:
    """Between two portions everybody else gets a turn."""

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[(f"R{number}", "10.00", 1.0)] for number in range(200)]
        confirmations.rows = [[(f"R{number}", "10.00", 1.0)] for number in range(200)]
        ledger = FakeLedger()
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            while len(ledger.takings) < 100:
                await asyncio.sleep(0)
            first = [taking.side for taking in ledger.takings]
            assert abs(first.count(Side.REFUNDS) - first.count(Side.CONFIRMATIONS)) <= 4
            assert house.facts(Reconciled), "and the two are compared meanwhile"

    run()


def test_a_source_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.hangs = True
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(100)
        assert len(confirmations.reads) >= 9

    run()


def test_after_a_restart_it_reads_on_from_where_it_was(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)], [("R2", "10.00", 1.0)]]
        ledger, of = FakeLedger(), with_ledger(tmp_path)
        house = a_house(of, refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(15)
        refunds.reads.clear()
        again = await a_house(of, refunds, confirmations, ledger, house).restored()
        async with again.running("reconcile"):
            await again.sleep(5)
        assert refunds.reads[0][1] == "2"

    run()


def test_probes_are_dropped_by_their_numbers_on_both_sides(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = FakeLedger()
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("submit", "reconcile"):
            await house.watched()
            (probe,) = await house.probe()
            number = house.world.probes[probe].plan.story.refund_number
            refunds.rows = [[(number, "10.00", 1.0), ("R1", "10.00", 1.0)]]
            confirmations.rows = [[(number, "10.00", 1.0)]]
            await house.sleep(15)
        kept = [row.number for taking in ledger.takings for row in taking.records if isinstance(row, Refund)]
        assert kept == ["R1"]
        assert not any(isinstance(row, Confirmation) for taking in ledger.takings for row in taking.records)
        assert sum(taking.dropped for taking in ledger.takings) == 2

    run()


# --- what cannot be read ----------------------------------------------------------------------------------------------


def unreachable(times: int) -> list[SourceError]:
    return [SourceError("no answer", "see whether it runs") for _ in range(times)]


def test_one_failure_is_none_and_the_second_is_blindness_said_once(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.fails = unreachable(1)
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(60)
            assert house.facts(SourceBlind) == []
            refunds.fails = unreachable(12)
            await house.sleep(3_600)
            (blind,) = house.facts(SourceBlind)
            assert (blind.source, blind.side, blind.detail, blind.mend) == ("shop-db", Side.REFUNDS, "no answer", "see whether it runs")
            (restored,) = house.facts(SourceRestored)
            assert restored.source == "shop-db"

    run()


def test_the_waits_between_failures_grow_and_are_bounded(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.fails = unreachable(20)
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(6_000)
        times = [t for t, _ in refunds.reads]
        waits = [round(after - before) for before, after in itertools.pairwise(times)][:19]
        assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
        assert max(waits) == LONGEST_RETRY
        assert len(confirmations.reads) > 500

    run()


def test_a_blind_source_stops_its_side(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(15)
            confirmations.fails = unreachable(1_000)
            await house.sleep(20_000)
            assert counts(house)[-1] == (0, 0)
            confirmations.fails = []
            await house.sleep(LONGEST_RETRY + 30)
            assert counts(house)[-1] == (1, 1)

    run()


def test_a_source_that_was_blind_before_the_restart_is_restored_when_it_reads(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.fails = unreachable(1_000)
        of = with_ledger(tmp_path)
        house = a_house(of, refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(100)
        assert len(house.facts(SourceBlind)) == 1
        again = await a_house(of, refunds, confirmations, FakeLedger(), house).restored()
        async with again.running("reconcile"):
            await again.sleep(100)
            assert len(again.facts(SourceBlind)) == 1, "it is known already"
            refunds.fails = []
            await again.sleep(LONGEST_RETRY)
        assert [fact.source for fact in again.facts(SourceRestored)] == ["shop-db"]
        assert again.world.ledger.blind == {}

    run()


def test_a_store_that_cannot_be_used_blinds_everything_and_ends_nothing(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        ledger = FakeLedger()
        ledger.broken = LedgerUnreadable("ledger.sqlite3: no space left on device; make room")
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(3_000)
            (blind,) = house.facts(SourceBlind)
            assert (blind.source, blind.detail) == (STORE, "ledger.sqlite3: no space left on device; make room")
            assert house.facts(Reconciled) == []
            ledger.broken = None
            await house.sleep(LONGEST_RETRY + 60)
            assert [fact.source for fact in house.facts(SourceRestored)] == [STORE]
            assert house.facts(Reconciled)

    run()


class Full(FakeLedger):
    """Answers, but takes nothing."""

    full = True

    async def take(self, taking: Taking) -> Taken:
        if self.full:
            raise LedgerUnreadable("full")
        return await super().take(taking)


def test_a_store_that_only_answers_is_not_well(tmp_path: Path) -> None:
    """What reads well and what writes badly do not contradict each other for ever."""

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = Full()
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(3_000)
            assert (len(house.facts(SourceBlind)), len(house.facts(SourceRestored))) == (1, 0)
            ledger.full = False
            await house.sleep(LONGEST_RETRY + 60)
            assert (len(house.facts(SourceBlind)), len(house.facts(SourceRestored))) == (1, 1)

    run()


class Slow(FakeLedger):
    """A disk that takes a minute."""

    async def take(self, taking: Taking) -> Taken:
        await asyncio.sleep(60.0)
        return await super().take(taking)


def test_where_the_disk_is_slow_reading_waits(tmp_path: Path) -> None:
    """Nothing piles up: one portion of each source is all that is ever held."""

    @virtual
    async def run() -> None:
        refunds = Shelf(Side.REFUNDS, [[(f"R{number}", "10.00", 1.0)] for number in range(100)])
        ledger = Slow()
        house = House(with_ledger(tmp_path, DB), ledger=ledger, sources={"shop-db": refunds})
        async with house.running("reconcile"):
            for _ in range(50):
                await house.sleep(45)
                assert len(refunds.reads) - len(ledger.takings) <= 1
            assert len(ledger.takings) > 30

    run()


class Unsure(FakeLedger):
    """Keeps what it is given, and breaks before it can say so."""

    async def take(self, taking: Taking) -> Taken:
        taken = await super().take(taking)
        if len(self.takings) == 1:
            raise LedgerUnreadable("gone")
        return taken


def test_after_the_store_failed_it_reads_on_from_what_was_kept(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds = Shelf(Side.REFUNDS, [[("R1", "10.00", 1.0)], [("R2", "10.00", 1.0)]])
        house = House(with_ledger(tmp_path, DB), ledger=Unsure(), sources={"shop-db": refunds})
        async with house.running("reconcile"):
            await house.sleep(9)
        assert [position for _, position in refunds.reads] == ["", "1"]

    run()


# --- comparing --------------------------------------------------------------------------------------------------------


def test_they_are_compared_at_most_as_often_as_the_policy_says(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = FakeLedger()
        fast = replace(DB, every=0.5), replace(LOG, every=0.5)
        house = a_house(with_ledger(tmp_path, *fast, every=20.0), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(201)
        assert len(refunds.reads) > 300
        assert 10 <= len(ledger.windows) <= 12

    run()


def test_what_is_pushed_is_compared_when_the_stage_is_nudged(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = FakeLedger()
        house = House(with_ledger(tmp_path, PUSHED, every=1.0), ledger=ledger)
        async with house.running("reconcile"):
            await house.sleep(5)
            before = len(ledger.windows)
            house.reconcile.nudge()
            await house.sleep(0.1)
            assert len(ledger.windows) == before + 1
            await house.sleep(PERIOD + 1)
            assert len(ledger.windows) == before + 2, "and now and then without"

    run()


def test_what_is_past_its_time_is_forgotten_once_an_hour(tmp_path: Path) -> None:
    class Purging(FakeLedger):
        async def purge(self, purge: Purge) -> Purged:
            purges.append((asyncio.get_running_loop().time(), purge))
            return Purged(0, 0, 0)

    purges: list[tuple[float, Purge]] = []

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        house = a_house(with_ledger(tmp_path, retention=86_400.0), refunds, confirmations, Purging())
        async with house.running("reconcile"):
            await house.sleep(2.5 * PURGE_EVERY)

    run()
    assert [round(t / PURGE_EVERY, 1) for t, _ in purges] == pytest.approx([0.0, 1.0, 2.0], abs=0.1)
    assert [purge.recipient for _, purge in purges] == [b""] * 3
    assert [purge.before for _, purge in purges] == pytest.approx([MIDNIGHT + t - 86_400.0 for t, _ in purges])


def test_volumes_are_judged_once_a_minute(tmp_path: Path) -> None:
    class Counting(FakeLedger):
        async def volume(self, since: float, slice_seconds: float) -> tuple[Any, ...]:
            asked.append(slice_seconds)
            return ()

    asked: list[float] = []

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        house = a_house(with_ledger(tmp_path, volume=True), refunds, confirmations, Counting())
        async with house.running("reconcile"):
            await house.sleep(605)
            of = house.desk.policy
            house.desk.policy = replace(of, ledger=replace(of.ledger, volume=False))
            before = len(asked)
            await house.sleep(605)
            assert len(asked) == before

    run()
    assert 9 <= len(asked) <= 11


# --- another configuration --------------------------------------------------------------------------------------------


def test_without_sources_it_waits_and_asks_nothing(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = FakeLedger()
        ledger.broken = LedgerUnreadable("nobody may ask")
        house = House(policy(tmp_path), ledger=ledger)
        async with house.running("reconcile"):
            house.reconcile.nudge()
            await house.sleep(90_000)
        assert house.entries == []

    run()


def test_a_reload_brings_parts_and_changes_sources(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        ledger = FakeLedger()
        house = House(replace(policy(tmp_path)), ledger=ledger)
        async with house.running("reconcile"):
            await house.sleep(10)
            house.desk.policy = with_ledger(tmp_path)
            house.reconcile.reload({"shop-db": refunds, "relay-log": confirmations})
            await house.sleep(25)
            assert len(refunds.reads) == 3
            assert house.facts(Reconciled)
            other = Shelf(Side.REFUNDS)
            house.desk.policy = with_ledger(tmp_path, replace(DB, every=5.0), LOG)
            house.reconcile.reload({"shop-db": other, "relay-log": confirmations})
            before = len(confirmations.reads)
            await house.sleep(21)
            assert len(refunds.reads) == 3
            assert other.reads[0][1] == "1", "it reads on where the one before was"
            assert len(other.reads) == 5
            assert len(confirmations.reads) - before in (2, 3), "what is the same goes on in its rhythm"
            house.desk.policy = policy(tmp_path)
            house.reconcile.reload({})
            await house.sleep(1)
            reads = len(other.reads), len(confirmations.reads), len(ledger.windows)
            await house.sleep(1_000)
            assert (len(other.reads), len(confirmations.reads), len(ledger.windows)) == reads

    run()


def test_it_ends_when_it_is_cancelled_in_the_middle_of_a_read(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.hangs = True
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(15)
            house.reconcile.reload({"shop-db": Shelf(Side.REFUNDS), "relay-log": confirmations})
            await house.sleep(15)

    run()


def test_all_sources_are_read_now_when_somebody_asks(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        slow = replace(DB, every=86_400.0)
        house = a_house(with_ledger(tmp_path, slow, LOG), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(1_000.5)
            assert len(refunds.reads) == 1
            house.reconcile.read_now()
            await house.sleep(0.1)
            assert [t for t, _ in refunds.reads] == [0.0, 1_000.5] and confirmations.reads[-1][0] == 1_000.5
            await house.sleep(3_000)
            assert len(refunds.reads) == 2, "once"

    run()


# --- what cannot be taken ---------------------------------------------------------------------------------------------


async def until_read(ledger: FakeLedger, source: str) -> float | None:
    return next(each.read_until for each in await ledger.sources() if each.source == source)


def test_of_a_source_that_cannot_be_understood_nothing_is_known(tmp_path: Path) -> None:
    """A column has another name. The refunds are not known, so no confirmation is without one, for as long as it lasts."""

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.columns = ("refund", "total", "currency", "at")
        ledger, of = FakeLedger(), with_ledger(tmp_path)
        house = a_house(of, refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(25)
            read = await until_read(ledger, "shop-db")
            assert read is not None and house.facts(SourceBlind) == [], "there was nothing yet"
            refunds.rows = [[("R1", "10.00", 25.0)]]
            confirmations.rows = [[("R1", "10.00", 28.0)]]
            await house.sleep(30_000)
            assert await until_read(ledger, "shop-db") == read
            (blind,) = house.facts(SourceBlind)
            assert (blind.source, blind.side) == ("shop-db", Side.REFUNDS)
            assert all(each.open == 0 for each in house.facts(Reconciled)[-1].standing.classes)
        refunds.reads.clear()
        again = await a_house(of, refunds, confirmations, ledger, house).restored()
        async with again.running("reconcile"):
            await again.sleep(1_000)
            assert await until_read(ledger, "shop-db") == read, "a restart mends nothing"
            assert [position for _, position in refunds.reads[:2]] == ["1", "1"]
            layout = Layout(columns={"amount": "total"})
            again.desk.policy = with_ledger(tmp_path, replace(DB, via=replace(FILES, layout=layout)), LOG)
            again.reconcile.reload(again.sources)
            refunds.reads.clear()
            await again.sleep(60)
            assert [position for _, position in refunds.reads[:2]] == ["", "1"], "it is read anew, once"
            assert [fact.source for fact in again.facts(SourceRestored)] == ["shop-db"]
            standing = again.facts(Reconciled)[-1].standing
            assert (standing.refunds, standing.confirmed) == (1, 1)
            later = await until_read(ledger, "shop-db")
            assert later is not None and later > read

    run()


def test_a_row_that_is_refused_stops_no_source_of_which_others_are_taken(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = FakeLedger()
        refunds.rows = [[("", "10.00", 1.0), ("R1", "10.00", 1.0)]]
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(100)
        assert house.facts(SourceBlind) == []
        assert await until_read(ledger, "shop-db") == pytest.approx(MIDNIGHT + 90, abs=0.1)

    run()


def test_what_is_written_otherwise_is_read_on_where_it_was(tmp_path: Path) -> None:
    """Only as what it is read makes a difference, not how often."""

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        ledger = FakeLedger()
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(15)
            house.desk.policy = with_ledger(tmp_path, replace(DB, every=5.0, lag=1.0), LOG)
            house.reconcile.reload(house.sources)
            refunds.reads.clear()
            await house.sleep(15)
        assert {position for _, position in refunds.reads} == {"1"}

    run()


def test_rows_are_read_beside_the_loop(tmp_path: Path) -> None:
    """What takes long to be understood holds up nobody: outside it is a thread."""
    threads: list[str] = []

    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        refunds.rows = [[("R1", "10.00", 1.0)]]
        loop = asyncio.get_running_loop()
        inline = loop.run_in_executor

        def noted(executor: Any, func: Any, *args: Any) -> Any:
            threads.append("reading")
            return inline(executor, func, *args)

        loop.run_in_executor = noted  # type: ignore[method-assign]
        house = a_house(with_ledger(tmp_path), refunds, confirmations)
        async with house.running("reconcile"):
            await house.sleep(15)

    run()
    assert len(threads) == 4


def test_a_refused_row_that_says_whom_it_is_about_neither_stops_a_source_nor_mends_one(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        refunds, confirmations = shelves()
        ledger = FakeLedger()
        refunds.rows = [[("R1", "no amount", 1.0)]]
        house = a_house(with_ledger(tmp_path), refunds, confirmations, ledger)
        async with house.running("reconcile"):
            await house.sleep(35)
            assert await until_read(ledger, "shop-db") == pytest.approx(MIDNIGHT + 30, abs=0.1)
            refunds.rows.append([("", "10.00", 1.0)])
            await house.sleep(30)
            refunds.rows.append([("R2", "no amount", 1.0)])
            await house.sleep(30)
            assert await until_read(ledger, "shop-db") == pytest.approx(MIDNIGHT + 30, abs=0.1)
            assert len(house.facts(SourceBlind)) == 1 and house.facts(SourceRestored) == []
            refunds.rows.append([("R3", "10.00", 1.0)])
            await house.sleep(30)
            assert await until_read(ledger, "shop-db") == pytest.approx(MIDNIGHT + 120, abs=0.1)

    run()
