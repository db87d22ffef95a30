"""Differences as rows and as CSV: exact money, and nothing that a spreadsheet or a terminal would obey."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.ledger import Difference, DifferenceKind, Impact, money
from monitor.model.money import Money
from monitor.surface.ledger import COLUMNS, difference_row, differences_csv, impact_row, money_rows

WHOLE = Difference(
    DifferenceKind.AMOUNT,
    "A-1",
    1_770_000_000.0,
    settled=1_770_000_100.5,
    number="R-1",
    refund=Money(Decimal("12.5000"), "EUR"),
    refund_at=1_769_999_000.0,
    refund_place="shop, refunds.csv, line 3",
    confirmation=Money(Decimal("1200.0000"), "JPY"),
    confirmation_at=1_769_999_001.0,
    confirmation_place="mailer, mails.csv, line 4",
    note="the 2nd of 3",
)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_has_every_column_and_no_other() -> None:
    row = difference_row(WHOLE)
    assert tuple(row) == COLUMNS
    assert row == {
        "kind": "amount",
        "refund": "R-1",
        "refund_at": "2026-02-02T02:23:20.000Z",
        "refund_amount": "12.50",
        "refund_currency": "EUR",
        "confirmation_at": "2026-02-02T02:23:21.000Z",
        "confirmation_amount": "1200",
        "confirmation_currency": "JPY",
        "refund_place": "shop, refunds.csv, line 3",
        "confirmation_place": "mailer, mails.csv, line 4",
        "found": "2026-02-02T02:40:00.000Z",
        "note": "the 2nd of 3",
        "settled": "2026-02-02T02:41:40.500Z",
        "class": "mismatched",
    }


def test_what_is_not_there_is_null_and_an_empty_cell() -> None:
    row = difference_row(Difference(DifferenceKind.SPURIOUS, "A-1", 0.0))
    assert {name for name, value in row.items() if value is None} == {
        "refund_at", "refund_amount", "refund_currency", "confirmation_at", "confirmation_amount", "confirmation_currency", "settled"
    }  # fmt: skip
    assert row["refund"] == "A-1"  # a confirmation without a refund is known by what it names
    (cells,) = read(differences_csv([row]))
    assert cells["refund_at"] == "" and cells["kind"] == "spurious" and "None" not in cells.values()


def test_columns_stay_where_they_are() -> None:
    """Others read them by place."""
    assert differences_csv([]) == (
        "kind,refund,refund_at,refund_amount,refund_currency,confirmation_at,confirmation_amount,confirmation_currency,"
        "refund_place,confirmation_place,found,note,settled,class\n"
    )
    assert differences_csv([], header=False) == ""


@pytest.mark.parametrize(
    "number", ["=1+1", "+49", "-7", "@SUM(A1)", '=cmd|"/c calc"!A0', " =1", "\uff1d1", "\uff20x", '=HYPERLINK("http://x.test")']
)
def test_no_cell_is_a_formula(number: str) -> None:
    difference = Difference(DifferenceKind.MISSING, "k", 0.0, number=number, note=number, refund_place=number)
    (cells,) = read(differences_csv([difference_row(difference)]))
    assert cells["refund"] == cells["note"] == cells["refund_place"] == f"'{number}"


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(number=HOSTILE, note=HOSTILE, place=HOSTILE)
def test_whatever_comes_in_is_one_row_of_one_line(number: str, note: str, place: str) -> None:
    row = difference_row(Difference(DifferenceKind.MISSING, "k", 0.0, number=number, note=note, refund_place=place))
    text = differences_csv([row], header=False)
    assert text.count("\n") == 1 and text[:-1].isprintable()
    (cells,) = csv.reader(io.StringIO(text))
    assert len(cells) == len(COLUMNS) and not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(-(10**16), 10**16), st.sampled_from(["EUR", "JPY", "KWD", "GBP"]))
def test_money_is_exact(amount: int, currency: str) -> None:
    (row,) = money_rows([money(amount, currency)])
    assert Decimal(str(row["amount"])) * 10_000 == amount and row["currency"] == currency


def test_an_impact() -> None:
    told = impact_row(
        Impact(0.0, 60.0, 31, 30, 8, 23, (Money(Decimal("1204.5"), "EUR"),), 4, (), 2, 1, (Money(Decimal(3), "GBP"),), "gmail")
    )
    assert told == {
        "since": "1970-01-01T00:00:00.000Z",
        "until": "1970-01-01T00:01:00.000Z",
        "refunds": 31,
        "customers": 30,
        "confirmed": 8,
        "owed": 23,
        "owed_money": [{"amount": "1204.50", "currency": "EUR"}],
        "awaited": 4,
        "awaited_money": [],
        "wrong": 2,
        "wrong_customers": 1,
        "wrong_money": [{"amount": "3.00", "currency": "GBP"}],
        "provider": "gmail",
    }
