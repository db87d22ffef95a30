"""The differences in words: how many and how much, what probes say beside them, and the command that lists them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.facts import DeployMarked, Reconciled
from monitor.model.incident import THE_LEDGER, Confidence, DeployPhase, Diagnosis, Layer
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Impact, Side, Standing, Volume
from monitor.model.money import Money
from monitor.model.notice import Call
from monitor.model.verdict import Reason, Symptom
from monitor.rules.diagnose import LONGEST, MAX_SHOWS, diagnose
from monitor.rules.diagnose.ledger import LEDGER_SYMPTOMS
from monitor.rules.notice import LONGEST_ADVICE, render
from monitor.views.ledger import STORE, SYMPTOM_OF_CLASS
from tests.rules.incidents import app, relay
from tests.rules.test_incident_ledger import DUPLICATE, MISMATCHED, MISSING, SPURIOUS, Books
from tests.views.life import NOON


def told(play: Books, symptom: Symptom, since: float, now: float) -> Diagnosis:
    return diagnose(play.world, play.policy, THE_LEDGER, symptom, (), play.at(since), play.at(now))


def standing(play: Books, t: float, *classes: ClassStanding, volumes: tuple[Volume, ...] = ()) -> None:
    refunds, confirmations = NOON + t, NOON + t - 60
    play.tell(Reconciled(play.at(t), Standing(31, 8, 8, 3, 0, classes, refunds, confirmations), volumes))


MONEY = (Money(Decimal("80.00"), "GBP"), Money(Decimal("1204.50"), "EUR"))


@pytest.fixture
def play() -> Books:
    return Books()


def test_missing_ones_in_numbers(play: Books) -> None:
    standing(play, 1_800, ClassStanding(MISSING, 23, 23, NOON + 1_700, NOON + 120, 22, MONEY))
    said = told(play, Symptom.LEDGER_MISSING, 120, 1_800)
    assert (
        said.summary == "23 refunds since 12:02:00Z have no confirmation (1204.50 EUR, 80.00 GBP; 22 customers): probably the application"
    )
    assert said.shows[:2] == (
        "31 refunds in the ledger, 8 confirmed, 3 not due yet; 8 confirmations",
        "read: refunds until 12:30:00Z (shop-db), confirmations until 12:29:00Z (relay-log)",
    )
    assert said.against == ("no probe since then says whether mail arrives",)
    assert said.next_step == f"mailcanary ledger show --kind missing --since {play.at(120).when:%Y-%m-%d}T12:02:00Z --format csv"


@pytest.mark.parametrize(
    ("kind", "summary"),
    [
        (MISSING, "1 refund since 12:02:00Z has no confirmation (1 customer): probably the application"),
        (SPURIOUS, "1 confirmation without a refund since 12:02:00Z (1 customer): the application"),
        (
            MISMATCHED,
            "1 confirmation since 12:02:00Z says another amount or currency, or went to somebody else (1 customer): the application",
        ),
        (DUPLICATE, "1 confirmation since 12:02:00Z is not the first to the same person (1 customer): the application"),
    ],
)
def test_one_of_each(play: Books, kind: DifferenceClass, summary: str) -> None:
    standing(play, 1_800, ClassStanding(kind, 1, 1, NOON + 1_700, NOON + 120, 1))
    assert told(play, SYMPTOM_OF_CLASS[kind], 120, 1_800).summary == summary


def test_new_ones_beside_old_ones_that_people_know_of(play: Books) -> None:
    play.differ(SPURIOUS, 10, 60)
    play.by_hand(100)
    play.differ(SPURIOUS, 4, 400)
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.summary.startswith("4 confirmations without a refund since")
    assert "(all 14 that are open: 140.00 EUR; 14 customers)" in play.last.diagnosis.summary


def test_spurious_ones_after_a_deploy(play: Books) -> None:
    play.tell(DeployMarked(play.at(108), "d4", DeployPhase.FINISH, "shop", "v4", by="ana"))
    standing(play, 1_800, ClassStanding(SPURIOUS, 14, 14, NOON + 1_700, NOON + 120, 14))
    said = told(play, Symptom.LEDGER_SPURIOUS, 120, 1_800)
    assert "14 confirmations without a refund since 12:02:00Z (14 customers), after deploy shop v4 (began 12.0 s after)" in said.summary
    assert said.next_step.startswith("roll back shop v4, if it can be; mailcanary ledger show --kind spurious --since ")
    assert said.changed == ("12:01:48Z deploy finished: shop v4 by ana (it began 12.0 s after)",)


def test_a_start_that_was_marked_a_moment_late(play: Books) -> None:
    play.tell(DeployMarked(play.at(121), "d4", DeployPhase.START, "shop", "v4", by="ana"))
    standing(play, 1_800, ClassStanding(SPURIOUS, 14, 14, NOON + 1_700, NOON + 120, 14))
    said = told(play, Symptom.LEDGER_SPURIOUS, 120, 1_800)
    assert said.summary.startswith(
        "14 confirmations without a refund since 12:02:00Z (14 customers), at about the same time as deploy shop v4"
    )
    assert said.next_step.startswith("roll back shop v4, if it can be; ")


def test_a_rollback_is_not_rolled_back(play: Books) -> None:
    play.tell(DeployMarked(play.at(108), "d4", DeployPhase.ROLLBACK, "shop", "v4"))
    assert told(play, Symptom.LEDGER_SPURIOUS, 120, 1_800).next_step.startswith("mailcanary ledger show --kind spurious")


@pytest.mark.parametrize("kind", DifferenceClass)
def test_the_command_fits_into_the_notice_uncut(play: Books, kind: DifferenceClass) -> None:
    """A command that ends in the middle is worse than none."""
    play.tell(DeployMarked(play.at(50), "d" * 40, DeployPhase.FINISH, "checkout-api", "v512-rc1", by="ana"))
    play.differ(kind, 7, 60)
    assert play.last.diagnosis is not None
    assert len(play.last.diagnosis.next_step) <= LONGEST_ADVICE
    assert "--format csv  2) mailcanary incident show INC-1\n" in render(play.last, play.policy, "k", Call.FIRE).text


def test_probes_that_arrive_point_at_the_application(play: Books) -> None:
    play.passes(130, 2)
    standing(play, 1_800, ClassStanding(MISSING, 5, 5, NOON + 1_700, NOON + 120, 5))
    said = told(play, Symptom.LEDGER_MISSING, 120, 1_800)
    assert said.layer is Layer.APPLICATION
    assert "all 24 probes since then arrive" in said.shows


def test_probes_that_fail_on_every_path_point_at_the_relay_and_their_incident_is_named(play: Books) -> None:
    t = 130.0
    for number in (1, 2, 3, 4, 5, 6) * 2:
        t += 10
        play.probe(app(number), t, Reason.REJECTED)
        play.probe(relay(number), t, Reason.REJECTED)
        play.ask(t + 3)
    incident = next(state for state in play.world.incidents.open() if state.parent is None)
    standing(play, 1_800, ClassStanding(MISSING, 5, 5, NOON + 1_700, NOON + 120, 5))
    said = told(play, Symptom.LEDGER_MISSING, 120, 1_800)
    assert said.layer is Layer.RELAY
    assert f"{incident.id} is open about smtp_reject of {incident.last.scope}" in said.shows
    assert any(line.startswith("probes fail too: ") for line in said.shows)
    assert said.next_step.startswith("mailcanary ledger show")


def test_no_confirmation_at_all_is_doubted(play: Books) -> None:
    play.tell(Reconciled(play.at(100), Standing(5, 0, 0, 0, 0, (ClassStanding(MISSING, 5, 5),), NOON + 90, NOON + 90)))
    said = told(play, Symptom.LEDGER_MISSING, 10, 100)
    assert "no confirmation was ever read: is their source the right one?" in said.against
    assert said.confidence is Confidence.LOW


def test_a_volume_out_of_bounds(play: Books) -> None:
    collapse = Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, NOON + 60, NOON + 660, 0, 24.0, "refunds")
    standing(play, 700, volumes=(replace(collapse, side=Side.REFUNDS), collapse))
    said = told(play, Symptom.VOLUME, 60, 700)
    assert "confirmations" in said.summary.partition(";")[0]
    assert "no probe since then says whether mail arrives" in said.against
    assert said.next_step.endswith("mailcanary ledger status")
    standing(play, 760, volumes=(replace(collapse, flow=Flow.FLOOD),))
    assert "--kind spurious" in told(play, Symptom.VOLUME, 60, 760).next_step
    standing(play, 820)
    assert told(play, Symptom.VOLUME, 60, 820).next_step == "mailcanary ledger status"


def test_blind_sources_with_their_mend(play: Books) -> None:
    play.blinded("shop-db", 10)
    play.blinded("gone", 10)
    said = told(play, Symptom.LEDGER_BLIND, 10, 1_000)
    assert said.layer is Layer.MONITOR
    assert said.summary.startswith("refunds and confirmations cannot be compared: source shop-db cannot be read")
    assert said.shows[0] == "source shop-db cannot be read since 12:00:10Z: no answer"
    assert said.next_step == "see whether it runs; then mailcanary ledger status"


def test_what_a_source_says_is_masked(play: Books) -> None:
    """It stands in notices that go to chat rooms."""
    play.blinded("shop-db", 10)
    play.world.ledger.blind["shop-db"] = replace(play.world.ledger.blind["shop-db"], detail="bob@box.test refused\x1b[2J RF-12345678")
    text = " ".join(told(play, Symptom.LEDGER_BLIND, 10, 1_000).shows)
    assert "bob@" not in text
    assert "12345678" not in text
    assert text.isprintable()


def test_money_of_many_currencies_is_bounded(play: Books) -> None:
    money = tuple(Money(Decimal(number), code) for number, code in enumerate(["EUR", "GBP", "SEK", "DKK", "NOK", "PLN", "CZK"], 1))
    standing(play, 1_800, ClassStanding(MISSING, 9, 9, NOON + 1_700, NOON + 120, 9, money))
    assert "and 3 more currencies" in told(play, Symptom.LEDGER_MISSING, 120, 1_800).summary


@pytest.mark.parametrize("symptom", sorted(LEDGER_SYMPTOMS))
def test_it_is_total_when_nothing_is_known(play: Books, symptom: Symptom) -> None:
    said = told(play, symptom, 0, 60)
    assert said.summary and said.next_step


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    some.builds(
        ClassStanding,
        some.sampled_from(list(DifferenceClass)),
        some.integers(0, 10**9),
        some.integers(0, 10**9),
        some.none() | some.floats(0, 4e9),
        some.none() | some.floats(0, 4e9),
        some.integers(0, 10**9),
        some.lists(some.builds(Money, some.decimals(0, 10**15, places=4), some.sampled_from(["EUR", "JPY", "KWD"])), max_size=30).map(
            tuple
        ),
    ),
    some.text(max_size=300),
)
def test_it_is_bounded_whatever_stands_there(known: ClassStanding, detail: str) -> None:
    play = Books()
    play.blinded(STORE, 10)
    play.world.ledger.blind[STORE] = replace(play.world.ledger.blind[STORE], detail=detail)
    standing(play, 1_800, known)
    said = told(play, SYMPTOM_OF_CLASS[known.kind], 120, 1_800)
    assert len(said.shows) <= MAX_SHOWS
    assert all(len(line) <= LONGEST and line.isprintable() for line in (said.summary, *said.shows, said.next_step))


def test_the_notice_of_an_incident_of_the_ledger(play: Books) -> None:
    play.differ(SPURIOUS, 14, 60, began=50)
    impact = Impact(NOON + 50, NOON + 60, 3, 3, 3, wrong=14, wrong_customers=14, wrong_money=(Money(Decimal("698.60"), "GBP"),))
    text = render(replace(play.last, impact=impact), play.policy, "k", Call.FIRE)
    assert text.title.startswith(
        "[PAGE][test] Confirmations without a refund: 14 wrong confirmations, 698.60 GBP; the application (since 12:00:50Z)"
    )
    impact_line = (
        "Impact:   14 confirmations to 14 people that should not have been sent so (698.60 GBP); "
        "3 real refunds of 3 customers since, all confirmed\n"
    )
    assert impact_line in text.text
    assert text.dedup_key == "mailcanary/test/ledger_spurious/ledger"
    play.by_hand(100)
    over = render(replace(play.last, impact=impact), play.policy, "k", Call.RESOLVE).text
    assert "Adverse" not in over
    assert "closed by ana: known" in over
    assert "3 real refunds of 3 customers meanwhile: confirmed 3, still owed 0" in over
    assert "on real refunds: not measured" in render(play.last, play.policy, "k", Call.RESOLVE).text
