"""What is pushed past the stage: how far such a source is known, and what another key does to what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.edge.sources.pushed import Pushed
from monitor.model.facts import Reconciled
from monitor.model.ledger import Confirmation, DifferenceClass, Refund, Side, Taking
from monitor.model.policy import Policy
from monitor.model.sources import COMPLETE, LedgerPolicy, Match, PushSource, SourcePolicy
from tests.fakes.ledger import FakeLedger
from tests.stages.house import House, policy
from tests.stages.virtual import MIDNIGHT, virtual

LAG = 100.0
SHOP = SourcePolicy("shop", Side.REFUNDS, PushSource(), every=60.0, lag=LAG)
MAILER = SourcePolicy("mailer", Side.CONFIRMATIONS, PushSource(), every=60.0, lag=LAG)
ANN = b"ann's hash!!"


def pushed(directory: Path) -> Policy:
    ledger = LedgerPolicy(key=b"one key", sources={one.name: one for one in (SHOP, MAILER)}, confirm_within=600.0, volume=False)
    return replace(policy(directory), ledger=ledger)


def a_house(directory: Path, ledger: FakeLedger) -> House:
    house = House(pushed(directory), ledger=ledger, sources={})
    house.sources.update({one.name: Pushed(house.desk.clock) for one in (SHOP, MAILER)})
    return house


def taking(source: SourcePolicy, *records: Refund | Confirmation, **more: object) -> Taking:
    return Taking(source.name, source.side, "pushed", records, MIDNIGHT, **more)  # type: ignore[arg-type]


def missing(house: House) -> int:
    last = house.facts(Reconciled)[-1].standing
    return next(each.open for each in last.classes if each.kind is DifferenceClass.MISSING)


def test_a_shop_whose_mailer_falls_silent_is_noticed(tmp_path: Path) -> None:
    """Silence is what the accident looks like: nothing is pushed any more, and the refund is missing all the same."""

    @virtual
    async def run() -> None:
        ledger = FakeLedger()
        house = a_house(tmp_path, ledger)
        async with house.running("reconcile"):
            await house.sleep(30)
            await ledger.take(taking(SHOP, Refund("R1", "R1", 100_000, "EUR", MIDNIGHT + 30)))
            await house.sleep(600)
            assert missing(house) == 0, "its time is over only when what may still come has come"
            await house.sleep(LAG + 130)
            assert missing(house) == 1

    run()


def test_where_batches_say_until_when_they_are_complete_only_that_counts(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        ledger = FakeLedger()
        house = a_house(tmp_path, ledger)
        async with house.running("reconcile"):
            await house.sleep(30)
            await ledger.take(taking(MAILER, position=COMPLETE, read_until=MIDNIGHT + 30))
            await ledger.take(taking(SHOP, Refund("R1", "R1", 100_000, "EUR", MIDNIGHT + 30)))
            await house.sleep(86_400)
            assert missing(house) == 0, "the mailer has not said that it is there"
            await ledger.take(taking(MAILER, position=COMPLETE, read_until=MIDNIGHT + 86_400))
            await house.sleep(130)
            assert missing(house) == 1

    run()


@pytest.mark.parametrize("change", [{"key": b"another key"}, {"match": Match.ORDER}])
def test_another_key_or_match_begins_anew(tmp_path: Path, change: dict[str, object]) -> None:
    """Hashes of two keys would differ for the same customer, and everybody's mail would seem to have gone to somebody else."""

    @virtual
    async def run() -> None:
        ledger = FakeLedger()
        house = a_house(tmp_path, ledger)
        async with house.running("reconcile"):
            await house.sleep(30)
            await ledger.take(taking(SHOP, Refund("R1", "R1", 100_000, "EUR", MIDNIGHT, ANN)))
            await house.sleep(60)
            assert (await ledger.standing()).refunds == 1
            house.desk.policy = replace(house.desk.policy, ledger=replace(house.desk.policy.ledger, **change))  # type: ignore[arg-type]
            house.reconcile.reload(house.sources)
            await house.sleep(60)
            assert (await ledger.standing()).refunds == 0
            await ledger.take(taking(SHOP, Refund("R1", "R1", 100_000, "EUR", MIDNIGHT, b"other hash!!")))
            await house.sleep(60)
            assert (await ledger.standing()).refunds == 1, "and only once"

    run()
