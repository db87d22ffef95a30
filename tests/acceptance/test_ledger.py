"""Real refunds on a whole mail world: a shop that trades while its deploys lose, invent and garble confirmations; what the reconciliation
lists, who is paged, and what each incident says of customers and money.

Everything but the process is real: servers on loopback, the shop's book of refunds and its relay's log as files that grow, journal and
ledger store on disk, the stages as `mailcanary run` starts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from monitor.app import App, assembled
from monitor.edge.secret import SystemSecrets
from monitor.lab import Fault, Lab, LabSpec
from monitor.lab.configuration import configuration, write_configuration
from monitor.lab.shop_mail import Refund
from monitor.model.facts import DeployMarked, Entry, Reconciled, Transition
from monitor.model.incident import DeployPhase, Link, Phase, Severity
from monitor.model.ledger import Difference, DifferenceKind, Side, Wanted
from monitor.model.money import Money
from monitor.model.verdict import Symptom
from monitor.settings import load
from tests.acceptance.conftest import PASSWORD

pytestmark = [pytest.mark.timeout(90)]

CUSTOMERS = ("ann@aurora.test", "bo@cumulus.test", "cy@borealis.test")
STRANGER = "never.bought@aurora.test"


@dataclasses.dataclass
class Scene:
    lab: Lab
    app: App
    told: list[Transition]
    sold: int = 0

    async def until(self, happened: Callable[[], bool], what: str = "") -> None:
        try:
            async with asyncio.timeout(30):
                while not happened():
                    await self.app.journal.wait(self.app.journal.last)
        except TimeoutError:
            last = self.app.desk.world.ledger.last
            raise AssertionError(f"never: {what}; {last.standing if last else 'never reconciled'}") from None

    async def deploy(self, version: str) -> None:
        await self.app.journal.append([DeployMarked(self.app.edges.clock.now(), f"d-{version}", DeployPhase.START, version=version)])
        self.lab.deploy(version)

    def refund(self, amount: str = "12.50", currency: str = "GBP", to: str = CUSTOMERS[0]) -> str:
        """A customer's money goes back; the shop's number of it."""
        self.sold += 1
        return self.lab.shop.refund(Refund(f"C-{self.sold}", f"A-{self.sold}", Decimal(amount), currency, "Ann", to, "en-GB"))

    async def differences(self) -> list[Difference]:
        page = await self.app.ledger.differences(Wanted())
        assert page.after is None
        return list(page.differences)

    async def differ(self, wanted: dict[DifferenceKind, set[str]]) -> list[Difference]:
        """Wait until exactly these differ."""

        async def found() -> bool:
            have: dict[DifferenceKind, set[str]] = {}
            for each in await self.differences():
                have.setdefault(each.kind, set()).add(each.key)
            return have == wanted

        await eventually(found, lambda: f"{wanted} is not what differs")
        return await self.differences()

    async def settled(self) -> None:
        """Both sides were read past now, and nothing is awaited any more."""
        now = self.app.edges.clock.now().utc

        async def read() -> bool:
            standing = await self.app.ledger.standing()
            until = [standing.refunds_until or 0.0, standing.confirmations_until or 0.0]
            return min(until) >= now and not standing.awaited

        await eventually(read, lambda: "not everything was read")

    def opened(self, symptom: Symptom) -> Transition | None:
        return next((fact for fact in self.told if fact.symptom is symptom and fact.phase is Phase.OPENED), None)

    def latest(self, symptom: Symptom) -> Transition | None:
        return next((fact for fact in reversed(self.told) if fact.symptom is symptom), None)


async def eventually(happened: Callable[[], Awaitable[bool]], why: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(30):
            while not await happened():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(why()) from None


@contextlib.asynccontextmanager
async def scene(directory: Path, **ledger: Any) -> AsyncIterator[Scene]:
    books = directory / "books"
    books.mkdir(exist_ok=True)
    spec = LabSpec(password=PASSWORD, strangers=(STRANGER,), customers=CUSTOMERS, books=books)
    async with Lab(spec) as lab, daemon(lab, directory, **ledger) as here:
        yield here


@contextlib.asynccontextmanager
async def daemon(lab: Lab, directory: Path, **ledger: Any) -> AsyncIterator[Scene]:
    tree = configuration(lab.description.as_json(), directory / "secret", directory / "state", "plain")
    tree["schedule"] = {"every": "2s", "jitter": "0%"}
    (directory / "key").write_text("a signing key of the acceptance suites")
    tree["signing"] = {"keys": [{"number": 1, "secret": {"file": str(directory / "key")}}]}
    tree["ledger"] |= {"key": {"file": str(directory / "key")}, "confirm_within": "2s", "refund_within": "1s", "every": "200ms"} | ledger
    for source in (*tree["ledger"]["refunds"].values(), *tree["ledger"]["confirmations"].values()):
        source["every"] = "200ms"
    policy = load(write_configuration(tree, directory, PASSWORD), SystemSecrets()).policy
    async with assembled(dataclasses.replace(policy, drain=1.0), exclusive=False) as app:
        told: list[Transition] = []
        app.journal.fold_into(lambda entry: told.append(entry.fact) if isinstance(entry.fact, Transition) else None)
        async with app.running(schedule=True):
            here = Scene(lab, app, told)
            await here.until(lambda: app.desk.world.ledger.last is not None, "reconciled once")
            yield here


async def test_a_shop_that_trades_well_has_no_difference(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        for number in range(20):
            here.refund(f"{number + 1}.99", "EUR" if number % 2 else "GBP", CUSTOMERS[number % 3])
            await asyncio.sleep(0.05)
        await here.settled()
        assert await here.differences() == []
        standing = await here.app.ledger.standing()
        assert (standing.refunds, standing.confirmed) == (20, 20), "probes are no refunds"
        assert not [fact for fact in here.told if fact.symptom.value.startswith(("ledger", "volume"))]


async def test_a_line_that_sends_refund_mail_elsewhere_is_missing_confirmations_and_their_impact(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        for customer in CUSTOMERS:
            here.refund(to=customer)
        await here.settled()
        await here.deploy("v2")
        lost = {here.refund("10.00", "GBP", CUSTOMERS[number % 3]) for number in range(4)} | {here.refund("7.00", "EUR")}
        differences = await here.differ({DifferenceKind.MISSING: lost})
        assert {difference.refund for difference in differences} == {Money(Decimal("10"), "GBP"), Money(Decimal("7"), "EUR")}
        assert all("holding" in difference.note for difference in differences), "its mail went to a mailbox of ours"
        await here.until(lambda: _is_page(here.opened(Symptom.LEDGER_MISSING), here.latest(Symptom.LEDGER_MISSING)), "a page")
        page = here.latest(Symptom.LEDGER_MISSING)
        assert page is not None and page.severity is Severity.PAGE
        assert page.deploys and page.deploys[0].deploy == "d-v2" and page.deploys[0].link is not Link.NONE
        assert page.impact is not None and (page.impact.owed, page.impact.customers) == (5, 3)
        assert set(page.impact.owed_money) == {Money(Decimal("40"), "GBP"), Money(Decimal("7"), "EUR")}
        await here.until(lambda: here.opened(Symptom.MISROUTED) is not None, "the probes' own incident")
        misrouted = here.opened(Symptom.MISROUTED)
        assert misrouted is not None and misrouted.impact is not None, "every incident says what it means for real refunds"


def _is_page(*facts: Transition | None) -> bool:
    return any(fact is not None and fact.severity is Severity.PAGE for fact in facts)


async def test_mail_to_people_without_a_refund_pages_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.refund()
        await asyncio.sleep(2.5)  # about what may be older than the ledger nothing is said
        await here.deploy("v4")
        await here.until(lambda: here.opened(Symptom.STRAY) is not None, "the tripwire")
        await here.until(lambda: here.opened(Symptom.LEDGER_SPURIOUS) is not None, "the ledger")
        here.lab.deploy("v3")
        page = here.opened(Symptom.LEDGER_SPURIOUS)
        assert page is not None and page.severity is Severity.PAGE and page.impact is not None and page.impact.wrong >= 1
        await here.settled()
        bogus = {mail.message_id[1:].partition(".")[0] for mail in here.lab.relay.accepted if mail.recipient == STRANGER}
        await here.differ({DifferenceKind.SPURIOUS: bogus})


async def test_a_late_confirmation_settles_and_the_incident_ends(tmp_path: Path) -> None:
    async with scene(tmp_path, page={"missing": 1}) as here:
        here.refund()
        await here.settled()
        await here.lab.switch_on(Fault.HOLD_QUEUE)
        late = here.refund()
        await here.differ({DifferenceKind.MISSING: {late}})
        await here.until(lambda: here.opened(Symptom.LEDGER_MISSING) is not None, "opened")
        await here.lab.switch_off(Fault.HOLD_QUEUE)
        await here.differ({})
        await here.until(lambda: _phase(here.latest(Symptom.LEDGER_MISSING)) is Phase.RESOLVED, "resolved")
        over = here.latest(Symptom.LEDGER_MISSING)
        assert over is not None and over.impact is not None and over.impact.owed == 0


def _phase(fact: Transition | None) -> Phase | None:
    return fact.phase if fact is not None else None


async def test_a_source_that_cannot_be_read_accuses_nobody(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.refund()
        await here.settled()
        await asyncio.sleep(2.5)
        book = tmp_path / "books" / "refunds.jsonl"
        book.rename(book.with_suffix(".gone"))
        await here.until(lambda: "shop" in here.app.desk.world.ledger.blind, "blind")
        await here.deploy("v4")
        here.lab.deploy("v3")
        await asyncio.sleep(3)
        assert await here.differences() == [], "its refund may stand in what cannot be seen"
        book.with_suffix(".gone").rename(book)
        await here.until(lambda: "shop" not in here.app.desk.world.ledger.blind, "restored")
        await here.until(lambda: here.opened(Symptom.LEDGER_SPURIOUS) is not None, "seen, and bogus")


async def test_a_restart_reads_on_and_forgets_nothing(tmp_path: Path) -> None:
    books = tmp_path / "books"
    books.mkdir()
    async with Lab(LabSpec(password=PASSWORD, strangers=(STRANGER,), customers=CUSTOMERS, books=books)) as lab:
        async with daemon(lab, tmp_path) as here:
            here.refund()
            await here.settled()
            lab.deploy("v2")
            lost = here.refund()
            await here.differ({DifferenceKind.MISSING: {lost}})
            lab.deploy("v1")
        Scene(lab, here.app, [], 10).refund("3.00")  # while nobody looks
        async with daemon(lab, tmp_path) as again:
            await again.settled()
            await again.differ({DifferenceKind.MISSING: {lost}})
            standing = await again.app.ledger.standing()
            assert (standing.refunds, standing.confirmed) == (3, 2)
            found = next(each for each in standing.classes if each.kind.value == "missing")
            assert found.found == 1, "found once"


async def test_no_customer_stands_in_any_file_of_ours(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v2")
        lost = here.refund()
        await here.differ({DifferenceKind.MISSING: {lost}})
        sources = await here.app.ledger.sources()
        assert {(source.source, source.side) for source in sources} == {("shop", Side.REFUNDS), ("relay-log", Side.CONFIRMATIONS)}
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            assert not any(customer.encode() in raw or customer.partition("@")[0].encode() + b"@" in raw for customer in CUSTOMERS), file
    with contextlib.closing(sqlite3.connect(f"file:{tmp_path}/state/journal.sqlite3?mode=ro", uri=True)) as db:
        kinds = {row[0] for row in db.execute("SELECT DISTINCT kind FROM facts")}
    assert "reconciled" in kinds


def test_a_fold_of_the_facts_knows_how_the_ledger_stood(tmp_path: Path) -> None:
    """What the incidents rest on is in the journal, not in the store."""

    async def play() -> tuple[Reconciled | None, list[Entry]]:
        entries: list[Entry] = []
        async with scene(tmp_path) as here:
            here.app.journal.fold_into(entries.append)
            here.lab.deploy("v2")
            await here.differ({DifferenceKind.MISSING: {here.refund()}})
            await here.until(lambda: here.opened(Symptom.LEDGER_MISSING) is not None, "opened")
        return here.app.desk.world.ledger.last, entries

    last, entries = asyncio.run(play())
    assert last == [entry.fact for entry in entries if isinstance(entry.fact, Reconciled)][-1]
