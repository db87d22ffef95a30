"""What an incident means for real refunds, in one line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from monitor.model.ledger import Impact
from monitor.model.money import Money
from monitor.model.verdict import Symptom
from monitor.rules.reconcile.impact import MOST_CURRENCIES, amounts, worded

LOST, BOGUS = Symptom.DELIVERY_MISSING, Symptom.LEDGER_SPURIOUS
OWED = Impact(0.0, 3_600.0, 31, 30, 8, 23, (Money(Decimal("1204.5000"), "EUR"),))
WRONG = Impact(0.0, 3_600.0, wrong=14, wrong_customers=12, wrong_money=(Money(Decimal("698.6000"), "GBP"),))
BOTH = replace(OWED, wrong=WRONG.wrong, wrong_customers=WRONG.wrong_customers, wrong_money=WRONG.wrong_money)


@pytest.mark.parametrize(
    ("impact", "symptom", "over", "said"),
    [
        (OWED, LOST, False, "31 real refunds of 30 customers since, 23 unconfirmed (1204.50 EUR still owed)"),
        (OWED, LOST, True, "31 real refunds of 30 customers meanwhile: confirmed 8, still owed 23 (1204.50 EUR)"),
        (replace(OWED, confirmed=31, owed=0, owed_money=()), LOST, False, "31 real refunds of 30 customers since, all confirmed"),
        (
            replace(OWED, confirmed=31, owed=0, owed_money=()),
            LOST,
            True,
            "31 real refunds of 30 customers meanwhile: confirmed 31, still owed 0",
        ),
        (
            replace(OWED, owed=20, awaited=3, awaited_money=(Money(Decimal("9.5000"), "EUR"),)),
            LOST,
            True,
            "31 real refunds of 30 customers meanwhile: confirmed 8, still owed 20 (1204.50 EUR), 3 not due yet (9.50 EUR)",
        ),
        (
            replace(OWED, owed=20, awaited=3),
            LOST,
            False,
            "31 real refunds of 30 customers since, 20 unconfirmed (1204.50 EUR still owed), 3 not due yet",
        ),
        (
            replace(OWED, owed=0, owed_money=(), awaited=23),
            LOST,
            False,
            "31 real refunds of 30 customers since, 8 confirmed, 23 not due yet",
        ),
        (replace(OWED, customers=0), LOST, False, "31 real refunds since, 23 unconfirmed (1204.50 EUR still owed)"),
        (
            replace(OWED, refunds=1, customers=1, owed=1),
            LOST,
            False,
            "1 real refund of 1 customer since, 1 unconfirmed (1204.50 EUR still owed)",
        ),
        (replace(OWED, owed_money=()), LOST, False, "31 real refunds of 30 customers since, 23 unconfirmed"),
        (
            replace(OWED, provider="gmail"),
            LOST,
            False,
            "at gmail: 31 real refunds of 30 customers since, 23 unconfirmed (1204.50 EUR still owed)",
        ),
        (Impact(0.0, 3_600.0), LOST, False, "no real refund since, as far as the ledger was read (1970-01-01 01:00:00Z)"),
        (Impact(0.0, float(-5)), LOST, True, "not known yet: the ledger was read until 1970-01-01 00:00:00Z only"),
        (Impact(90_000.0, 90_000.0), LOST, False, "not known yet: the ledger was read until 1970-01-02 01:00:00Z only"),
        (WRONG, BOGUS, False, "14 confirmations to 12 people that should not have been sent so (698.60 GBP)"),
        (replace(WRONG, wrong_customers=1), BOGUS, True, "14 confirmations to 1 person that should not have been sent so (698.60 GBP)"),
        (replace(WRONG, wrong_customers=0), BOGUS, False, "14 confirmations that should not have been sent so (698.60 GBP)"),
        (WRONG, LOST, False, "14 confirmations to 12 people that should not have been sent so (698.60 GBP)"),
        (
            BOTH,
            BOGUS,
            False,
            "14 confirmations to 12 people that should not have been sent so (698.60 GBP); "
            "31 real refunds of 30 customers since, 23 unconfirmed (1204.50 EUR still owed)",
        ),
        (
            BOTH,
            LOST,
            False,
            "31 real refunds of 30 customers since, 23 unconfirmed (1204.50 EUR still owed); "
            "14 confirmations to 12 people that should not have been sent so (698.60 GBP)",
        ),
    ],
)
def test_in_words(impact: Impact, symptom: Symptom, over: bool, said: str) -> None:
    assert worded(impact, symptom, over) == said


def test_amounts_are_ordered_and_bounded() -> None:
    money = [Money(Decimal(number), code) for number, code in enumerate(["EUR", "GBP", "SEK", "DKK", "NOK", "PLN"], 1)]
    assert amounts(money) == "6.00 PLN, 5.00 NOK, 4.00 DKK, 3.00 SEK and 2 more currencies"
    assert amounts(money[:1]) == "1.00 EUR"
    assert amounts(money[: MOST_CURRENCIES + 1]).endswith("and 1 more currency")
    assert amounts([Money(Decimal(1200), "JPY")]) == "1200 JPY"
