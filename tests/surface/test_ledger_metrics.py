"""The ledger on /metrics: none configured, never compared, and nothing wrong are three different things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.model.facts import Entry, Fact, Reconciled, SourceBlind, SourceRestored
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Side, SourceStanding, Standing
from monitor.model.policy import Policy
from monitor.model.sources import LedgerPolicy
from monitor.ports import LedgerUnreadable
from monitor.surface.metrics import Metrics, Vitals
from monitor.surface.metrics.registry import Labels
from monitor.views.ledger import KEPT_STEPS
from monitor.views.world import World
from tests.fakes.ledger import FakeLedger
from tests.stages.house import policy
from tests.surface.books import mail, pushed, refund, shop, with_ledger
from tests.surface.premises import served

OPEN = ("unconfirmed_refunds", "spurious_confirmations", "mismatched_confirmations", "duplicate_confirmations")


class Page:
    """A world of reconciliations and the page that it makes."""

    def __init__(self, rules: Policy, world: World | None = None) -> None:
        self.world = world or World()
        self.metrics = Metrics(rules, self.world, Vitals())

    def fold(self, *facts: Fact) -> Page:
        """All of them before any is counted, as a busy journal does."""
        entries = [Entry(self.world.seq + number, "fact", fact) for number, fact in enumerate(facts, start=1)]
        for entry in entries:
            self.world.fold(entry)
        for entry in entries:
            self.metrics.count(entry)
        return self

    def all(self, name: str) -> dict[Labels, float]:
        """By the labels after the environment."""
        families = text_string_to_metric_families(self.metrics.expose("")[0].decode())
        return {
            tuple(value for key, value in sample.labels.items() if key != "environment"): sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"mailcanary_ledger_{name}"
        }

    def one(self, name: str) -> float | None:
        return self.all(name).get(())

    def found(self) -> list[float]:
        counted = self.all("differences_found_total")
        return [counted[(kind.value,)] for kind in DifferenceClass]

    def names(self) -> set[str]:
        families = text_string_to_metric_families(self.metrics.expose("")[0].decode())
        return {sample.name for family in families for sample in family.samples if "_ledger_" in sample.name}


@pytest.fixture
def books(tmp_path: Path) -> Policy:
    return with_ledger(policy(tmp_path))


def compared(at: float, found: Sequence[int], open_: Sequence[int] = (0, 0, 0, 0), oldest: float | None = None) -> Reconciled:
    classes = tuple(ClassStanding(kind, o, f) for kind, o, f in zip(DifferenceClass, open_, found, strict=True))
    return Reconciled(Instant(at, at, "p"), Standing(classes=classes, oldest_unconfirmed=oldest))


def test_without_a_ledger_there_is_nothing(tmp_path: Path) -> None:
    page = Page(policy(tmp_path))
    assert page.names() == set()
    page.metrics.sources_read((SourceStanding("shop", Side.REFUNDS, 1.0, 1.0, 1.0, None, None),))
    assert page.names() == set()


def test_from_the_start_but_for_what_nobody_has_looked_for(books: Policy) -> None:
    page = Page(books)
    assert page.found() == [0, 0, 0, 0] and page.one("last_reconciled_timestamp_seconds") == 0
    assert all(page.one(name) is None for name in (*OPEN, "oldest_unconfirmed_timestamp_seconds"))
    assert page.all("source_blind") == {("shop",): 0, ("mailer",): 0} and page.all("source_read_until_timestamp_seconds") == {}
    page.fold(compared(50.0, (0, 0, 0, 0)))
    assert [page.one(name) for name in OPEN] == [0, 0, 0, 0] and page.one("oldest_unconfirmed_timestamp_seconds") == 0
    assert page.one("last_reconciled_timestamp_seconds") == 50


def test_what_differs(books: Policy) -> None:
    page = Page(books).fold(compared(50.0, (5, 6, 7, 8), (1, 2, 3, 4), 17.0))
    assert [page.one(name) for name in OPEN] == [1, 2, 3, 4] and page.one("oldest_unconfirmed_timestamp_seconds") == 17


def test_found_only_grows(books: Policy) -> None:
    """By as much as each fact tells of more than the one before it, however many are folded at once; a lost store counts anew."""
    page = Page(books).fold(compared(1.0, (1, 0, 0, 2)), compared(2.0, (1, 3, 0, 2)), compared(3.0, (4, 3, 1, 2), (0, 0, 0, 0)))
    assert page.found() == [4, 3, 1, 2]
    page.fold(compared(4.0, (2, 3, 0, 2)))
    assert page.found() == [6, 3, 1, 2]
    page.fold(compared(5.0, (2, 3, 0, 2)))
    assert page.found() == [6, 3, 1, 2]


def test_found_counts_from_the_start_of_the_process(books: Policy) -> None:
    before = Page(books).fold(compared(1.0, (9, 9, 9, 9)))
    page = Page(books, before.world)
    assert page.found() == [0, 0, 0, 0]
    page.fold(compared(2.0, (9, 10, 9, 9)))
    assert page.found() == [0, 1, 0, 0]


def test_found_is_right_over_more_facts_than_the_view_keeps(books: Policy) -> None:
    page = Page(books)
    for number in range(3 * KEPT_STEPS):
        page.fold(compared(float(number), (number, 0, 0, 0)))
    assert page.found()[0] == 3 * KEPT_STEPS - 1


def test_a_blind_source_and_a_blind_store(books: Policy) -> None:
    at = Instant(5.0, 5.0, "p")
    page = Page(books).fold(SourceBlind(at, "mailer", Side.CONFIRMATIONS, "no", ""))
    assert page.all("source_blind") == {("shop",): 0, ("mailer",): 1}
    page.fold(SourceRestored(at, "mailer", Side.CONFIRMATIONS), SourceBlind(at, "ledger", Side.REFUNDS, "the disk is full", ""))
    assert page.all("source_blind") == {("shop",): 1, ("mailer",): 1}
    text = page.metrics.expose("")[0].decode()
    assert 'mailcanary_monitor_errors_total{component="ledger"} 2.0' in text


def test_how_far_each_source_was_read(books: Policy) -> None:
    page = Page(books)
    page.metrics.sources_read(
        (
            SourceStanding("shop", Side.REFUNDS, 1.0, 90.0, 80.0, None, None),
            SourceStanding("old", Side.REFUNDS, 1.0, 1.0, 1.0, None, None),
        )
    )
    assert page.all("source_read_until_timestamp_seconds") == {("shop",): 50, ("mailer",): 0}  # less the lag


def test_a_reload(books: Policy, tmp_path: Path) -> None:
    """Sources come and go with the configuration; without one, gauges go at once."""
    page = Page(books).fold(compared(1.0, (1, 1, 1, 1), (1, 1, 1, 1)))
    other = with_ledger(books, pushed("till", Side.REFUNDS), pushed("mailer", Side.CONFIRMATIONS))
    page.metrics.reload(other)
    assert set(page.all("source_blind")) == {("till",), ("mailer",)}
    page.metrics.reload(replace(books, ledger=LedgerPolicy()))
    assert not {name for name in page.names() if "differences_found" not in name}
    page.metrics.reload(replace(books, ledger=LedgerPolicy()))
    assert page.all("differences_found_total") == {}


async def test_the_store_is_asked_when_the_page_is(tmp_path: Path) -> None:
    """And a store that does not answer leaves what it said before."""
    ledger = FakeLedger()

    async with served(shop(tmp_path), ledger=ledger) as site:

        async def lines() -> list[float]:
            status, text = await site.get("/metrics")
            assert status == 200
            found = (line for line in text.splitlines() if line.startswith("mailcanary_ledger_source_read_until"))
            return [float(line.rpartition(" ")[2]) for line in found]

        assert await lines() == [0, 0]
        await site.post("/v1/refunds", {"refunds": [refund()]})
        await site.post("/v1/confirmations", {"confirmations": [mail()]})
        now = site.clock.now().utc
        assert await lines() == [pytest.approx(now - 30.0, abs=0.01), pytest.approx(now, abs=0.01)]
        ledger.broken = LedgerUnreadable("gone")
        assert await lines() == [pytest.approx(now - 30.0, abs=0.01), pytest.approx(now, abs=0.01)]


async def test_a_store_that_never_answered_says_nothing(tmp_path: Path) -> None:
    async with served(shop(tmp_path), ledger=FakeLedger(broken=LedgerUnreadable("gone"))) as site:
        status, text = await site.get("/metrics")
        assert status == 200 and "\nmailcanary_ledger_source_read_until_timestamp_seconds{" not in text
        assert "\nmailcanary_ledger_source_blind{" in text
