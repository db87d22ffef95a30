"""What every Ledger owes (ports.Ledger, model.ledger)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.ledger import (
    MOST_EXAMPLES,
    ClassStanding,
    Difference,
    DifferenceClass,
    DifferenceKind,
    Impact,
    Purge,
    Purged,
    RowFault,
    Side,
    Slice,
    Standing,
    Taken,
    Wanted,
    money,
)
from monitor.ports import Ledger
from tests.edge.ledger.cases import ANNA, BERT, CARL, CASES, CONFIRM, GRACE, HOUR, LATE, NOON, Case, mail, part, refund, windows
from tests.fakes.ledger import confirmations, refunds

NOTHING = Standing(classes=tuple(ClassStanding(kind) for kind in DifferenceClass))


async def kinds(ledger: Ledger, wanted: Wanted | None = None) -> list[tuple[str, str]]:
    page = await ledger.differences(wanted or Wanted())
    return sorted((one.kind.value, one.number or one.key) for one in page.differences)


def of(standing: Standing, kind: DifferenceClass) -> ClassStanding:
    return next(one for one in standing.classes if one.kind is kind)


class LedgerContract:
    # --- the comparison -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    @pytest.mark.parametrize("mails_first", [False, True])
    async def test_the_rules_of_the_comparison(self, ledger: Ledger, case: Case, mails_first: bool) -> None:
        takings = [refunds(*case.refunds), confirmations(*case.mails), confirmations(*case.also, source="log")]
        for taking in reversed(takings) if mails_first else takings:
            if taking.records:
                await ledger.take(taking)
        standing = await ledger.reconcile(case.windows, LATE)
        page = await ledger.differences(Wanted())
        found = sorted((one.kind.value, one.number, one.note) for one in page.differences)
        assert found == sorted(case.expected)
        assert (standing.confirmed, standing.awaited, standing.undecided) == (case.confirmed, case.awaited, case.undecided)
        assert sum(one.open for one in standing.classes) == sum(one.found for one in standing.classes) == len(found)

    async def test_an_empty_one(self, ledger: Ledger) -> None:
        assert await ledger.standing() == NOTHING
        assert await ledger.reconcile(windows(), 5.0) == replace(NOTHING, refunds_until=LATE, confirmations_until=LATE)
        assert await ledger.sources() == ()
        assert await ledger.reached("ledger") == ("", "")
        assert (await ledger.differences(Wanted())).differences == ()
        assert await ledger.volume(0.0, 300.0) == ()
        assert await ledger.impact(0.0, 10.0) == Impact(0.0, 10.0)

    async def test_late_evidence_settles_and_the_count_of_what_was_found_only_grows(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund("R1"), refund("R2"), refund("R3")))
        await ledger.take(confirmations(mail("X1")))
        first = await ledger.reconcile(windows(), 1.0)
        assert (of(first, DifferenceClass.MISSING).open, of(first, DifferenceClass.SPURIOUS).open) == (3, 1)
        await ledger.take(confirmations(mail("R1", "late")))
        await ledger.take(refunds(refund("R2", reversed_at=NOON), refund("X1")))
        then = await ledger.reconcile(windows(), 2.0)
        assert await kinds(ledger) == [("missing", "R3")]
        missing, spurious = of(then, DifferenceClass.MISSING), of(then, DifferenceClass.SPURIOUS)
        assert (missing.open, missing.found, missing.latest) == (1, 3, 1.0)
        assert (spurious.open, spurious.found, spurious.latest) == (0, 1, 1.0)
        page = await ledger.differences(Wanted(open_only=False))
        assert sorted((one.key, one.settled) for one in page.differences) == [("R1", 2.0), ("R2", 2.0), ("R3", None), ("X1", 2.0)]

    async def test_what_was_settled_and_differs_again_is_found_again(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund()))
        await ledger.reconcile(windows(), 1.0)
        await ledger.take(confirmations(mail()))
        await ledger.reconcile(windows(), 2.0)
        await ledger.take(confirmations(mail(outcome="failed", at=NOON + 70.0)))
        standing = await ledger.reconcile(windows(), 3.0)
        missing = of(standing, DifferenceClass.MISSING)
        assert (missing.open, missing.found, missing.latest) == (1, 2, 3.0)
        page = await ledger.differences(Wanted(open_only=False))
        assert [(one.found, one.settled) for one in page.differences] == [(1.0, 2.0), (3.0, None)]

    async def test_comes_of_age_without_anything_new(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund()))
        await ledger.take(confirmations(mail("X1")))
        early = await ledger.reconcile(windows(NOON + 60.0), 1.0)
        assert (early.awaited, early.undecided, early.oldest_unconfirmed) == (1, 1, None)
        await ledger.reconcile(windows(NOON + 60.0 + GRACE), 2.0)
        assert await kinds(ledger) == [("spurious", "X1")]
        late = await ledger.reconcile(windows(NOON + CONFIRM), 3.0)
        assert await kinds(ledger) == [("missing", "R1"), ("spurious", "X1")]
        assert (late.awaited, late.undecided, late.oldest_unconfirmed) == (0, 0, NOON)

    async def test_a_longer_history_decides_more(self, ledger: Ledger) -> None:
        """A source that goes back in time."""
        await ledger.take(refunds(refund()))
        assert (await ledger.reconcile(windows(begun=NOON + 5.0), 1.0)).undecided == 1
        await ledger.take(confirmations(mail("R0", at=NOON - HOUR)))
        await ledger.reconcile(windows(begun=NOON - HOUR), 2.0)
        assert ("missing", "R1") in await kinds(ledger)

    async def test_what_was_found_stays_when_a_side_cannot_be_read_any_more(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund()))
        await ledger.take(confirmations(mail("X1")))
        await ledger.reconcile(windows(), 1.0)
        await ledger.take(confirmations(mail("R2", "other"), mail("X1", "m2")))
        await ledger.take(refunds(refund(to=BERT)))
        await ledger.reconcile(windows(None, None), 2.0)
        assert await kinds(ledger) == [("missing", "R1"), ("spurious", "X1")]

    async def test_another_grace_judges_reversals_anew(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund(reversed_at=NOON)))
        await ledger.take(confirmations(mail(at=NOON + HOUR)))
        await ledger.reconcile(windows(), 1.0)
        assert await kinds(ledger) == [("spurious", "R1")]
        standing = await ledger.reconcile(replace(windows(), refund_within=HOUR), 2.0)
        assert (await kinds(ledger), standing.confirmed, standing.refunds) == ([], 1, 1)

    async def test_another_source_speaks_of_the_same_mail(self, ledger: Ledger) -> None:
        await ledger.take(confirmations(mail("X1"), source="journal"))
        await ledger.reconcile(windows(), 1.0)
        await ledger.take(confirmations(mail("X1", "a-1"), source="alog"))
        standing = await ledger.reconcile(windows(), 2.0)
        spurious = of(standing, DifferenceClass.SPURIOUS)
        assert (spurious.open, spurious.found, spurious.latest) == (1, 1, 1.0)

    @pytest.mark.parametrize("order", [("P1", "O1"), ("O1", "P1")])
    async def test_the_first_refund_of_an_order_may_bear_its_number(self, ledger: Ledger, order: tuple[str, str]) -> None:
        await ledger.take(confirmations(mail("O1")))
        for place, number in enumerate(order):
            await ledger.take(refunds(part(number, 100_000, at=NOON + 5.0 * (number == "P1"))))
            await ledger.reconcile(windows(), float(place))
        assert await kinds(ledger) == [("missing", "P1")]

    # --- coming in ------------------------------------------------------------------------------------------------------

    async def test_delivered_again(self, ledger: Ledger) -> None:
        shop, sent = refunds(refund("R1"), refund("R2"), refund("R1")), confirmations(mail("R1"), mail("R1", "m2"))
        assert await ledger.take(shop) == Taken(2, 1)
        assert await ledger.take(shop) == Taken(0, 3)
        assert await ledger.take(sent) == Taken(2, 0)
        assert await ledger.take(sent) == Taken(0, 2)
        assert await ledger.take(replace(shop, source="push")) == Taken(0, 3)  # another source shows the same refunds
        assert await ledger.take(replace(sent, source="log")) == Taken(2, 0)  # and another one its own mails
        standing = await ledger.reconcile(windows(), 1.0)
        assert (standing.refunds, standing.confirmations, standing.confirmed) == (2, 4, 1)

    async def test_what_changes(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund(to=b"")))
        assert (await ledger.take(refunds(refund(to=ANNA)))).changed == 1
        assert (await ledger.take(refunds(refund(to=BERT)))).changed == 1
        assert (await ledger.take(refunds(refund(reversed_at=NOON + 9.0)))).changed == 1
        assert (await ledger.take(refunds(refund(reversed_at=NOON + 8.0)))).changed == 1
        assert (await ledger.take(refunds(refund(at=NOON - 1.0)))).changed == 1
        assert await ledger.take(refunds(refund(to=BERT), refund(reversed_at=NOON + 9.0), refund(at=NOON + 1.0))) == Taken(0, 3)
        await ledger.take(confirmations(mail(amount=None, to=b"", currency="")))
        assert (await ledger.take(confirmations(mail()))).changed == 1
        assert (await ledger.take(confirmations(mail(resend=True)))).changed == 1
        assert await ledger.take(confirmations(mail(), mail(amount=None), mail(to=b""), mail(at=NOON))) == Taken(0, 4)

    async def test_rows_that_contradict_each_other(self, ledger: Ledger) -> None:
        rows = [refund("R7", 125_000, line=2), refund("R7", 130_000, line=9), refund("R7", 1, line=11, currency="USD")]
        taken = await ledger.take(refunds(*rows))
        assert (taken.new, taken.known, taken.changed) == (1, 0, 0)
        assert [fault.line for fault in taken.conflicts] == [9, 11]
        assert taken.conflicts[0].what == "refund R7 is on line 2 with 12.50 EUR and on line 9 with 13.00 EUR; the first one is kept"
        assert taken.conflicts[1].what == "refund R7 is on line 2 with 12.50 EUR and on line 11 with 0.0001 USD; the first one is kept"
        assert await ledger.take(refunds(*rows)) == Taken(0, 3)  # told of once
        elsewhere = await ledger.take(replace(refunds(refund("R7", -5, line=0)), origin="b.csv"))
        assert "R7 is on line 2 of ledger with 12.50 EUR and of b.csv with -0.0005 EUR" in elsewhere.conflicts[0].what
        sent = [mail("R7", "m", 125_000, line=1), mail("R7", "m", 7, line=2)]
        assert [fault.line for fault in (await ledger.take(confirmations(*sent))).conflicts] == [2]
        assert await ledger.take(confirmations(*sent)) == Taken(0, 2)
        assert [source.refused for source in await ledger.sources()] == [3, 1]

    async def test_the_position_goes_with_the_records(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund(), position="p1", memory="m1", read_until=50.0, at=60.0))
        assert await ledger.reached("ledger") == ("p1", "m1")
        await ledger.take(refunds(read_until=40.0, at=60.0))  # pushed: nothing to read on from; and never back
        assert await ledger.reached("ledger") == ("p1", "m1")
        assert (await ledger.sources())[0].read_until == 50.0

    async def test_a_clock_that_was_ahead_is_not_believed_for_long(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund(), at=86_400.0, read_until=86_400.0))
        await ledger.take(refunds(at=100.0))
        assert (await ledger.sources())[0].read_until == 86_400.0
        await ledger.take(refunds(at=160.0, read_until=150.0))
        assert (await ledger.sources())[0].read_until == 150.0

    async def test_the_days_of_its_records(self, ledger: Ledger) -> None:
        day = 86_400.0
        await ledger.take(refunds(refund("R1", at=9 * day + 5.0), refund("R2", at=9 * day + 3.0), refund("R3", at=11 * day)))
        await ledger.take(refunds(refund("R4", at=9 * day + 1.0), refund("R5", at=12 * day - 1.0), refund("R3", at=11 * day)))
        await ledger.take(confirmations(mail(at=2 * day)))
        assert [one.days for one in await ledger.sources()] == [(9 * day + 1.0, 11 * day), (2 * day,)]
        await ledger.purge(Purge(before=11 * day + 7.0))
        assert [one.days for one in await ledger.sources()] == [(11 * day,), ()]

    async def test_faults_are_forgotten_with_their_time_and_with_any_person(self, ledger: Ledger) -> None:
        await ledger.take(refunds(at=5.0, faults=(RowFault(1, "old"),)))
        await ledger.take(refunds(at=9.0, faults=(RowFault(2, "young"),)))
        await ledger.purge(Purge(before=7.0))
        assert [one.what for _, one in (await ledger.sources())[0].faults] == ["young"]
        await ledger.purge(Purge(recipient=CARL))
        (source,) = await ledger.sources()
        assert (source.faults, source.refused) == ((), 2)

    async def test_a_person_who_is_forgotten_is_not_remembered_by_a_reader(self, ledger: Ledger) -> None:
        memory = f'{{"pending":["{ANNA.hex()}","{BERT.hex()}"]}}'
        await ledger.take(confirmations(position="p", memory=memory))
        await ledger.purge(Purge(recipient=ANNA))
        assert await ledger.reached("mails") == ("p", f'{{"pending":["","{BERT.hex()}"]}}')

    async def test_sources(self, ledger: Ledger) -> None:
        fault = RowFault(3, "no amount", "write one", "amount")
        await ledger.take(confirmations(at=5.0, source="zlog"))
        await ledger.take(refunds(refund(at=7.0), refund("R2", at=9.0), at=20.0, faults=(fault,), dropped=2, read_until=12.0))
        await ledger.take(refunds(refund("R3", at=3.0), at=30.0, faults=tuple(RowFault(line, "bad") for line in range(30)), dropped=1))
        shop, log = await ledger.sources()
        assert (log.source, log.side, log.first_read, log.earliest, log.read_until) == ("zlog", Side.CONFIRMATIONS, 5.0, None, None)
        assert (shop.source, shop.side, shop.first_read, shop.last_read, shop.read_until) == ("ledger", Side.REFUNDS, 20.0, 30.0, 12.0)
        assert (shop.earliest, shop.latest, shop.records, shop.refused, shop.dropped) == (3.0, 9.0, 3, 31, 3)
        assert [one.line for _, one in shop.faults] == list(range(30))[-MOST_EXAMPLES:]
        assert shop.faults[0][0] == "ledger"

    # --- going out ------------------------------------------------------------------------------------------------------

    async def test_a_difference_bears_its_evidence(self, ledger: Ledger) -> None:
        await ledger.take(replace(refunds(refund(line=4)), origin="refunds.csv"))
        await ledger.take(confirmations(mail(amount=90_000, line=7)))
        await ledger.reconcile(windows(), 3.0)
        assert (await ledger.differences(Wanted())).differences == (
            Difference(
                DifferenceKind.AMOUNT,
                "R1",
                found=3.0,
                number="R1",
                refund=money(100_000, "EUR"),
                refund_at=NOON,
                refund_place="ledger, refunds.csv, line 4",
                confirmation=money(90_000, "EUR"),
                confirmation_at=NOON + 60.0,
                confirmation_place="mails, line 7",
            ),
        )

    async def test_differences_by_page_and_filter(self, ledger: Ledger) -> None:
        await ledger.take(refunds(*(refund(f"R{number}", provider="gmail" if number % 2 else "") for number in range(5))))
        await ledger.reconcile(windows(), 1.0)
        await ledger.take(confirmations(mail("X1"), mail("R0")))
        await ledger.reconcile(windows(), 2.0)
        pages, after = [], 0
        while True:
            page = await ledger.differences(Wanted(limit=2, after=after))
            pages.append([one.key for one in page.differences])
            if page.after is None:
                break
            after = page.after
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [key for page in pages for key in page] == ["R1", "R2", "R3", "R4", "X1"]
        assert await kinds(ledger, Wanted(kinds=(DifferenceKind.SPURIOUS, DifferenceKind.AMOUNT))) == [("spurious", "X1")]
        assert await kinds(ledger, Wanted(kinds=())) == []
        assert await kinds(ledger, Wanted(since=2.0)) == [("spurious", "X1")]
        assert await kinds(ledger, Wanted(provider="gmail")) == [("missing", "R1"), ("missing", "R3")]
        assert len((await ledger.differences(Wanted(open_only=False))).differences) == 6

    async def test_customers_and_money_of_each_class(self, ledger: Ledger) -> None:
        rows = [refund("R1"), refund("R2"), refund("R3", 5, to=BERT, currency="USD"), refund("R4", to=b""), refund("R5"), refund("R6")]
        await ledger.take(refunds(*rows))
        sent = [
            mail("R5", amount=None),
            mail("R5", "m2"),
            mail("R6", to=CARL, amount=7),
            mail("X1", to=b"", at=NOON + 9.0),
            mail("X2", amount=None),
        ]
        await ledger.take(confirmations(*sent))
        standing = await ledger.reconcile(windows(), 1.0)
        missing, spurious, mismatched, duplicate = standing.classes
        assert missing == ClassStanding(DifferenceClass.MISSING, 4, 4, 1.0, NOON, 2, (money(300_000, "EUR"), money(5, "USD")))
        assert spurious == ClassStanding(DifferenceClass.SPURIOUS, 2, 2, 1.0, NOON + 9.0, 1, (money(100_000, "EUR"),))
        assert (mismatched.customers, mismatched.money) == (1, (money(7, "EUR"),))
        assert (duplicate.open, duplicate.customers, duplicate.money) == (1, 1, ())
        assert standing.oldest_unconfirmed == NOON
        assert await ledger.standing() == standing

    async def test_no_sum_is_too_great(self, ledger: Ledger) -> None:
        most = 2**63 - 1
        await ledger.take(refunds(*(refund(f"R{number}", most) for number in range(3))))
        standing = await ledger.reconcile(windows(), 1.0)
        assert of(standing, DifferenceClass.MISSING).money == (money(3 * most, "EUR"),)
        assert (await ledger.impact(0.0, LATE)).owed_money == (money(3 * most, "EUR"),)

    async def test_impact(self, ledger: Ledger) -> None:
        rows = [
            refund("R1", at=NOON - 1.0),  # before
            refund("R2"),  # told
            refund("R3", to=BERT, provider="gmail"),  # missing
            refund("R4", at=LATE - 1.0),  # awaited
            refund("R5", to=CARL),  # somebody else was told
            refund("R6", reversed_at=LATE),
            refund("R7", 33, currency="USD", to=b""),  # told a wrong amount
            refund("R8", at=LATE),  # after
        ]
        await ledger.take(refunds(*rows))
        await ledger.take(
            confirmations(mail("R2"), mail("R5", to=ANNA), mail("R7", amount=44, currency="USD"), mail("X1", to=BERT, provider="gmail"))
        )
        await ledger.reconcile(windows(), 1.0)
        impact = await ledger.impact(NOON, LATE)
        assert (impact.refunds, impact.customers, impact.confirmed, impact.owed, impact.awaited) == (5, 3, 2, 2, 1)
        assert (impact.owed_money, impact.awaited_money) == ((money(200_000, "EUR"),), (money(100_000, "EUR"),))
        assert (impact.wrong, impact.wrong_customers) == (3, 2)
        assert impact.wrong_money == (money(200_000, "EUR"), money(44, "USD"))
        of_gmail = await ledger.impact(NOON, LATE, "gmail")
        assert (of_gmail.refunds, of_gmail.owed, of_gmail.wrong, of_gmail.provider) == (1, 1, 1, "gmail")
        assert (await ledger.impact(NOON, LATE + 99.0)).until == LATE

    async def test_volume(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund("R1", at=600.0), refund("R2", at=899.0), refund("R3", at=1_500.0)))
        sent = confirmations(
            mail("R1", at=660.0), mail("R1", "m2", at=660.0), mail("R2", at=900.0), mail("R3", at=1_500.0, outcome="failed")
        )
        await ledger.take(sent)
        await ledger.take(replace(sent, source="log"))
        assert await ledger.volume(300.0, 300.0) == (
            Slice(300.0, 0, 0),
            Slice(600.0, 2, 2),
            Slice(900.0, 0, 1),
            Slice(1_200.0, 0, 0),
            Slice(1_500.0, 1, 0),
        )
        assert await ledger.volume(0.0, 1_200.0) == (Slice(0.0, 2, 3), Slice(1_200.0, 1, 0))

    # --- forgetting -----------------------------------------------------------------------------------------------------

    async def test_purge_of_what_is_old(self, ledger: Ledger) -> None:
        old, young = NOON, NOON + 9 * HOUR
        await ledger.take(refunds(refund("R1"), refund("R2"), refund("R3"), refund("R4", at=young)))
        await ledger.take(confirmations(mail("R1"), mail("R3", at=young), mail("R4", at=young), mail("X1")))
        await ledger.reconcile(windows(), 1.0)
        assert await kinds(ledger) == [("missing", "R2"), ("spurious", "X1")]
        await ledger.take(refunds(refund("X1")))
        await ledger.reconcile(windows(), 2.0)
        assert await ledger.purge(Purge(before=old + HOUR)) == Purged(refunds=3, confirmations=2, differences=2)
        assert await ledger.purge(Purge(before=old + HOUR)) == Purged(0, 0, 0)
        standing = await ledger.reconcile(windows(LATE + 1.0), 3.0)
        assert (standing.refunds, standing.confirmations, standing.confirmed) == (2, 2, 2)  # R3 was told of lately
        assert await kinds(ledger) == []
        # what was forgotten comes again, without its other half: nobody is accused
        await ledger.take(refunds(refund("R1")))
        await ledger.take(confirmations(mail("X1")))
        standing = await ledger.reconcile(windows(LATE + 2.0), 4.0)
        assert (await kinds(ledger), standing.undecided) == ([], 2)

    async def test_purge_of_what_never_settles(self, ledger: Ledger) -> None:
        """And what of it is shown again accuses nobody again."""
        shop = refunds(refund("R1"), refund("R2"), refund("R3"), refund("R4", reversed_at=NOON), refund("R5"))
        sent = confirmations(
            mail("R2", amount=7), mail("R3", to=BERT), mail("R4", at=NOON + 2 * HOUR), mail("R5"), mail("R5", "m2"), mail("X1")
        )
        await ledger.take(shop)
        await ledger.take(sent)
        standing = await ledger.reconcile(windows(), 1.0)
        assert [one.open for one in standing.classes] == [1, 2, 2, 1]
        assert await ledger.purge(Purge(before=NOON + 3 * HOUR)) == Purged(refunds=5, confirmations=6, differences=6)
        standing = await ledger.standing()
        assert [(one.open, one.found, one.customers) for one in standing.classes] == [(0, 1, 0), (0, 2, 0), (0, 2, 0), (0, 1, 0)]
        await ledger.take(shop)
        await ledger.take(sent)
        standing = await ledger.reconcile(windows(), 2.0)
        assert await kinds(ledger) == [] and [one.found for one in standing.classes] == [1, 2, 2, 1]

    async def test_purge_leaves_what_has_younger_records(self, ledger: Ledger) -> None:
        """With all of its number: it would be found again without the rest."""
        await ledger.take(refunds(part("P1", 100), part("P2", 200, at=NOON + 5 * HOUR), refund("R1")))
        await ledger.take(confirmations(mail("R1", amount=7), mail("R1", "m2", at=NOON + 5 * HOUR)))
        await ledger.reconcile(windows(), 1.0)
        before = await kinds(ledger)
        assert before == [("duplicate", "R1"), ("missing", "P1"), ("missing", "P2")]
        assert await ledger.purge(Purge(before=NOON + 4 * HOUR)) == Purged(0, 0, 0)
        await ledger.take(refunds(part("P1", 100, to=CARL)))  # looked at again
        standing = await ledger.reconcile(windows(), 2.0)
        assert await kinds(ledger) == before and of(standing, DifferenceClass.MISSING).found == 2

    async def test_what_is_new_after_a_purge_is_compared(self, ledger: Ledger) -> None:
        """Places in the tables are given again."""
        await ledger.take(refunds(*(refund(f"R{number}") for number in range(4))))
        await ledger.take(confirmations(*(mail(f"R{number}") for number in range(4))))
        await ledger.reconcile(windows(), 1.0)
        await ledger.purge(Purge(before=LATE))
        await ledger.take(refunds(refund("N1", at=LATE + 1.0)))
        await ledger.take(confirmations(mail("N2", at=LATE + CONFIRM)))
        standing = await ledger.reconcile(windows(LATE + 9 * HOUR), 2.0)
        assert await kinds(ledger) == [("missing", "N1"), ("spurious", "N2")]
        assert (standing.refunds, standing.confirmations, standing.confirmed) == (1, 1, 0)

    async def test_what_was_made_under_another_mark_is_forgotten(self, ledger: Ledger) -> None:
        assert not await ledger.begin("one")
        await ledger.take(refunds(refund(), position="p"))
        await ledger.reconcile(windows(), 1.0)
        assert not await ledger.begin("one")
        assert await kinds(ledger) == [("missing", "R1")]
        assert await ledger.begin("two")
        assert not await ledger.begin("two")
        assert (await ledger.standing(), await kinds(ledger), await ledger.sources()) == (NOTHING, [], ())
        assert await ledger.reached("ledger") == ("", "")
        assert await ledger.take(refunds(refund("R2"))) == Taken(1, 0)
        assert (await ledger.reconcile(windows(), 2.0)).refunds == 1

    async def test_purge_of_a_person(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund("R1"), refund("R2", to=BERT), refund("R2", to=ANNA), refund("R3", to=BERT)))
        await ledger.take(confirmations(mail("X1", provider="gmail"), mail("R3", to=BERT)))
        await ledger.reconcile(windows(), 1.0)
        assert await ledger.purge(Purge(recipient=ANNA)) == Purged(refunds=2, confirmations=1, differences=2)
        assert await ledger.purge(Purge(recipient=ANNA)) == Purged(0, 0, 0)
        standing = await ledger.standing()
        assert [one.customers for one in standing.classes] == [1, 0, 0, 0]
        assert await kinds(ledger) == [("missing", "R1"), ("missing", "R2"), ("spurious", "X1")]
        assert (await ledger.impact(0.0, LATE)).customers == 1
        assert await kinds(ledger, Wanted(provider="gmail")) == []

    async def test_a_part_without_a_mail_is_missing_beside_one_that_waits(self, ledger: Ledger) -> None:
        """An order: its second mail came before the second refund."""
        await ledger.take(refunds(part("P1", 100)))
        await ledger.take(confirmations(mail("O1", "a", 100), mail("O1", "b", 200)))
        assert (await ledger.reconcile(windows(NOON + GRACE), 1.0)).undecided == 1
        assert await kinds(ledger) == []
        await ledger.take(refunds(part("P2", 200, at=NOON + 50.0)))
        standing = await ledger.reconcile(windows(), 2.0)
        assert (await kinds(ledger), standing.confirmed, standing.undecided) == ([], 2, 0)

    # --- what was refused, and what is too much -------------------------------------------------------------------------

    async def test_a_refused_refund_keeps_its_mail_from_being_accused(self, ledger: Ledger) -> None:
        await ledger.take(refunds(faults=(RowFault(3, "amount 10,00", key="R1"), RowFault(4, "no number"))))
        await ledger.take(confirmations(mail("R1"), mail("R1", "m2", outcome="failed"), mail("R2")))
        assert (await ledger.reconcile(windows(), 1.0)).undecided == 1
        assert await kinds(ledger) == [("spurious", "R2")]
        await ledger.take(refunds(refund(to=BERT)))
        assert (await ledger.reconcile(windows(), 2.0)).undecided == 0
        assert await kinds(ledger) == [("recipient", "R1"), ("spurious", "R2")]

    async def test_a_refused_confirmation_keeps_its_refund_from_being_missing(self, ledger: Ledger) -> None:
        await ledger.take(confirmations(faults=(RowFault(3, "amount 10,00", key="R1"),)))
        await ledger.take(refunds(refund("R1"), refund("R2"), refund("R3", reversed_at=NOON)))
        standing = await ledger.reconcile(windows(), 1.0)
        assert (await kinds(ledger), standing.awaited, standing.confirmed) == ([("missing", "R2")], 1, 0)
        await ledger.take(confirmations(mail(outcome="failed")))
        await ledger.reconcile(windows(), 2.0)
        assert await kinds(ledger) == [("missing", "R1"), ("missing", "R2")]

    async def test_a_refused_row_takes_back_what_was_said_before_it_came(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund("R1")))
        await ledger.take(confirmations(mail("X1")))
        await ledger.reconcile(windows(), 1.0)
        assert await kinds(ledger) == [("missing", "R1"), ("spurious", "X1")]
        await ledger.take(refunds(faults=(RowFault(9, "amount", key="X1"), RowFault(9, "amount", key="R1"))))
        await ledger.take(confirmations(faults=(RowFault(9, "amount", key="R1"),)))
        standing = await ledger.reconcile(windows(), 2.0)
        assert (await kinds(ledger), standing.awaited, standing.undecided) == ([], 1, 1)

    async def test_a_conflict_refuses_nothing(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund(), refund(amount=7)))
        await ledger.reconcile(windows(), 1.0)
        assert await kinds(ledger) == [("missing", "R1")]

    async def test_of_too_many_records_of_one_key_nothing_is_decided(self, ledger: Ledger) -> None:
        parts = [part(f"P{number}", number + 1) for number in range(251)]
        await ledger.take(refunds(*parts[:250]))
        await ledger.take(confirmations(*(mail("O1", f"m{number}", 1_000_000 + number) for number in range(250))))
        assert len((await ledger.differences(Wanted())).differences) == 0
        standing = await ledger.reconcile(windows(), 1.0)
        assert (len((await ledger.differences(Wanted())).differences), standing.confirmed) == (250, 250)
        await ledger.take(refunds(parts[250]))
        for now in (2.0, 3.0):
            standing = await ledger.reconcile(windows(), now)
            assert (standing.confirmed, standing.awaited, len((await ledger.differences(Wanted())).differences)) == (0, 251, 250)
        told = [fault.what for source in await ledger.sources() for _, fault in source.faults]
        assert told in ([], ["more than 500 records have one and the same number to be matched by; nothing is decided about them"])

    async def test_owed_is_what_is_due(self, ledger: Ledger) -> None:
        await ledger.take(refunds(refund("R1"), refund("R2", 5), refund("R3", 7, at=NOON + HOUR), refund("R4")))
        await ledger.take(confirmations(mail("R1"), mail("R2", amount=5, to=BERT)))
        await ledger.reconcile(windows(NOON + CONFIRM), 1.0)
        await ledger.take(refunds(refund("R5", 9)))  # not looked at yet
        found = await ledger.impact(0.0, LATE)
        assert (found.refunds, found.confirmed, found.owed, found.awaited) == (5, 1, 2, 2)
        assert (found.owed_money, found.awaited_money) == ((money(100_005, "EUR"),), (money(16, "EUR"),))
