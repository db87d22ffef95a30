"""Amounts as people write them: exact, or a fault with its mend; never a guess."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.ledger import money
from monitor.model.money import Money
from monitor.rules.reconcile.figures import MOST, FigureFault, currencies, currency_of, figure, minor, shown

TAKEN = [
    ("12.50", ".", "EUR", 125_000, "EUR"),
    ("12.5", ".", "EUR", 125_000, "EUR"),
    ("12", ".", "EUR", 120_000, "EUR"),
    ("0", ".", "EUR", 0, "EUR"),
    ("0.00", ".", "EUR", 0, "EUR"),
    ("007.10", ".", "EUR", 71_000, "EUR"),
    (" 12.50 ", ".", "EUR", 125_000, "EUR"),
    ("12.3400", ".", "EUR", 123_400, "EUR"),  # NUMERIC(19, 4) of a database
    ("1200.00", ".", "JPY", 12_000_000, "JPY"),
    ("1.234", ".", "KWD", 12_340, "KWD"),
    ("1.230", ".", "KWD", 12_300, "KWD"),
    ("1.230 KWD", ".", "", 12_300, "KWD"),
    ("0.500", ".", "EUR", 5_000, "EUR"),  # no thousands begin with a nought
    ("1234.500", ".", "EUR", 12_345_000, "EUR"),  # nor are they of four digits
    ("1,000", ",", "EUR", 10_000, "EUR"),  # a comma is the mark where somebody said so
    ("1.2345", ".", "CLF", 12_345, "CLF"),
    ("12,50", ",", "EUR", 125_000, "EUR"),
    ("1,234.50", ".", "EUR", 12_345_000, "EUR"),
    ("1.234,50", ",", "EUR", 12_345_000, "EUR"),
    ("1.234.567,89", ",", "EUR", 12_345_678_900, "EUR"),
    ("1 234,50", ",", "EUR", 12_345_000, "EUR"),
    ("1\u00a0234,50", ",", "EUR", 12_345_000, "EUR"),
    ("1\u202f234,50", ",", "EUR", 12_345_000, "EUR"),
    ("1'234.50", ".", "CHF", 12_345_000, "CHF"),
    ("1\u2019234.50", ".", "CHF", 12_345_000, "CHF"),
    ("1,234,567", ".", "EUR", 12_345_670_000, "EUR"),
    ("1 234", ".", "EUR", 12_340_000, "EUR"),  # a space is no decimal mark anywhere
    ("1,234", ".", "JPY", 12_340_000, "JPY"),  # nor is there a part of a yen
    ("12.50 EUR", ".", "EUR", 125_000, "EUR"),
    ("EUR 12.50", ".", "", 125_000, "EUR"),
    ("12,50 eur", ",", "", 125_000, "EUR"),
    ("€12.50", ".", "", 125_000, "EUR"),
    ("12,50\u00a0€", ",", "GBP", 125_000, "EUR"),  # the default is for what names none
    ("£1,234.50", ".", "", 12_345_000, "GBP"),
    ("£5.00", ".", "EGP", 50_000, "EGP"),
    ("¥1200", ".", "", 12_000_000, "JPY"),
    ("¥1200", ".", "CNY", 12_000_000, "CNY"),
    ("$5", ".", "CAD", 50_000, "CAD"),
    ("US$5", ".", "CAD", 50_000, "USD"),
    ("$12.50 USD", ".", "EUR", 125_000, "USD"),
    ("99 kr", ".", "SEK", 990_000, "SEK"),
    ("5", ".", "bgn", 50_000, "BGN"),
    ("100000000000.00", ".", "EUR", MOST, "EUR"),
]

REFUSED = [
    ("1.234,50", ".", "EUR", "decimal mark '.'", 'set `decimal: ","`'),
    ("12,50", ".", "EUR", "decimal mark '.'", 'set `decimal: ","`'),
    ("12.50", ",", "EUR", "decimal mark ','", 'set `decimal: "."`'),
    ("1,234.50", ",", "EUR", "decimal mark ','", 'set `decimal: "."`'),
    ("1,234", ".", "EUR", "may mean 1234 or 1.234", "without grouping"),
    ("1.234", ",", "EUR", "may mean 1234 or 1,234", "without grouping"),
    ("1,234", ".", "KWD", "may mean", "without grouping"),
    ("1.000", ".", "EUR", "may mean 1000 or 1", "without grouping"),
    ("1.230", ".", "EUR", "may mean 1230 or 1.23", "without grouping"),
    ("12.340", ".", "EUR", "may mean 12340 or 12.34", "without grouping"),
    ("1.000 EUR", ".", "", "may mean 1000 or 1", "without grouping"),
    ("1.000", ".", "JPY", "may mean 1000 or 1", "without grouping"),
    ("1.000", ",", "EUR", "may mean 1000 or 1,000", "without grouping"),
    ("12,34.50", ".", "EUR", "no amount", "without grouping"),
    ("1,234 567.00", ".", "EUR", "no amount", "without grouping"),
    ("1,23,456.00", ".", "INR", "no amount", "without grouping"),
    ("12.345", ".", "EUR", "3 decimals, EUR has 2", "round"),
    ("12.50", ".", "JPY", "JPY has none", "minor_units"),
    ("1.23456", ".", "CLF", "5 decimals", "round"),
    ("-12.50", ".", "EUR", "negative", "`negative: true`"),
    ("\u221212.50", ".", "EUR", "negative", "`negative: true`"),
    ("(12.50)", ".", "EUR", "negative", "`negative: true`"),
    ("12.50-", ".", "EUR", "negative", "`negative: true`"),
    ("NaN", ".", "EUR", "no number", ""),
    ("inf", ".", "EUR", "no number", ""),
    ("1e3", ".", "EUR", "scientific", "cast"),
    ("1.5E+10", ".", "EUR", "scientific", "cast"),
    ("100000000000.01", ".", "EUR", "above 100,000,000,000", "column"),
    ("9" * 15, ".", "EUR", "above", ""),
    ("9" * 65, ".", "EUR", "65 characters", ""),
    ("１２.50", ".", "EUR", "not 0 to 9", "ASCII"),
    ("١٢", ".", "EUR", "not 0 to 9", "ASCII"),
    ("", ".", "EUR", "no amount", "fill"),
    ("   ", ".", "EUR", "no amount", "fill"),
    ("twelve", ".", "EUR", "no amount", ""),
    ("12.50 apples", ".", "EUR", "'apples' beside", ""),
    ("€12.50 USD", ".", "EUR", "two currencies", ""),
    ("$5", ".", "", "several currencies", "code"),
    ("$5", ".", "EUR", "several currencies", "code"),
    ("12.50", ".", "", "names no currency", "currency:"),
    ("12.50", ".", "EURO", "'EURO' is no currency", "is EUR meant?"),
    ("12.50", ".", "GPB", "'GPB'", "is GBP meant?"),
    ("12.50", ".", "978", "'978'", "is EUR meant?"),
    ("12.50", ".", "US Dollar", "'US Dollar'", "is USD meant?"),
    ("12.50", ".", "XXX", "nobody is paid", ""),
    ("12.50", ".", "XTS", "nobody is paid", ""),
    ("12.50", ".", "XAU", "nobody is paid", ""),
    ("12.50", ".", "$", "several currencies", "code"),
    ("12.50", ".", "Monopoly money", "no currency", "three letters"),
    ("\udcff12.50", ".", "EUR", "not UTF-8", "UTF-8"),
    ("12\x0050", ".", "EUR", "control characters", ""),
]


@pytest.mark.parametrize(("text", "decimal", "currency", "amount", "code"), TAKEN)
def test_is_taken(text: str, decimal: str, currency: str, amount: int, code: str) -> None:
    assert figure(text, decimal, currency) == (amount, code)


@pytest.mark.parametrize(("text", "decimal", "currency", "what", "mend"), REFUSED, ids=lambda value: ascii(value)[:30])
def test_is_refused_with_its_mend(text: str, decimal: str, currency: str, what: str, mend: str) -> None:
    with pytest.raises(FigureFault) as raised:
        figure(text, decimal, currency)
    assert what in raised.value.what
    assert mend in raised.value.mend


@pytest.mark.parametrize(("text", "currency", "amount"), [("1250", "EUR", 125_000), ("1250", "JPY", 12_500_000), ("1250", "KWD", 12_500)])
def test_smallest_units(text: str, currency: str, amount: int) -> None:
    assert minor(text, currency) == (amount, currency)


@pytest.mark.parametrize("text", ["12.50", "12,50", "1250.00", "1 250", "", "-5", "9" * 15 + "0"])
def test_what_is_no_count_of_smallest_units(text: str) -> None:
    with pytest.raises(FigureFault):
        minor(text, "EUR")


def test_no_address_stands_in_a_fault() -> None:
    with pytest.raises(FigureFault) as raised:
        figure("ann.smith@example.com 5", ".", "EUR")
    assert "ann" not in str(raised.value)


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [
        ("12.5", "EUR", "12.50 EUR"),
        ("1200", "JPY", "1200 JPY"),
        ("1.5", "KWD", "1.500 KWD"),
        ("1E+3", "EUR", "1000.00 EUR"),
        ("0", "EUR", "0.00 EUR"),
        ("12.3456", "EUR", "12.3456 EUR"),  # never rounded
        ("-3", "EUR", "-3.00 EUR"),
        ("3", "ABC", "3.00 ABC"),
    ],
)
def test_money_as_it_is_shown(amount: str, code: str, text: str) -> None:
    assert shown(Money(Decimal(amount), code)) == text


def test_a_sign_may_stand_for_its_code_only_where_it_is_one() -> None:
    assert [currency_of(text) for text in ("€", " eur ", "£", "Eur", "US$")] == ["EUR", "EUR", "GBP", "EUR", "USD"]


PAID = st.sampled_from(sorted(currencies()))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 10**13), PAID, st.sampled_from(".,"), st.sampled_from(["", " ", "'", "\u00a0", "other"]))
def test_what_is_shown_is_read_again(units: int, code: str, decimal: str, grouping: str) -> None:
    """Whatever the grouping, the same amount to the smallest unit; an ambiguous one is refused, never read as another."""
    amount = units * 10 ** (4 - currencies()[code])
    if amount > MOST:
        return
    whole, _, part = shown(money(amount, code)).split()[0].partition(".")
    separator = {"other": "," if decimal == "." else "."}.get(grouping, grouping)
    text = f"{int(whole):,}".replace(",", separator) + (decimal + part if part else "")
    assert figure(f"{text} {code}", decimal, "") == (amount, code)
    assert figure(text, decimal, code) == (amount, code)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.decimals(0, 10**9, places=4), PAID)
def test_the_two_ways_agree(amount: Decimal, code: str) -> None:
    """The short way of plain figures and the careful one, which a blank behind it takes."""
    text = format(amount, "f")

    def answer(written: str) -> object:
        try:
            return figure(written, ".", code)
        except FigureFault as fault:
            return fault.mend

    assert answer(text) == answer(text + " ")


@pytest.mark.hostile
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text("0123456789.,' \u00a0eE+-()$€£EURJPY\x00\udcff", max_size=70),
    ),
    st.sampled_from(".,"),
    st.sampled_from(["", "EUR", "JPY", "KWD", "XXX", "\udcff", "€"]),
)
def test_whatever_is_written_is_taken_within_bounds_or_refused(text: str, decimal: str, currency: str) -> None:
    for read in (lambda: figure(text, decimal, currency), lambda: minor(text, currency)):
        try:
            amount, code = read()
        except FigureFault as fault:
            assert fault.what
            assert str(fault).isprintable()
        else:
            assert 0 <= amount <= MOST
            assert code in currencies()
            assert amount % 10 ** (4 - currencies()[code]) == 0
