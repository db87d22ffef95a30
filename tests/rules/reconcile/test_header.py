"""Columns that are not there: what is wrong with the header, and what is proposed."""

from __future__ import annotations

import pytest
import yaml

from monitor.model.ledger import RowFault, Table
from monitor.rules.reconcile.header import CONFIRMATIONS, REFUNDS, _written, header_of

NEEDED = ("refund", "amount", "currency", "at")


def fault(columns: str, named: dict[str, str] | None = None, needed: tuple[str, ...] = NEEDED) -> RowFault:
    found = header_of(Table(tuple(columns.split(",")), [], []), REFUNDS, needed, named or {})
    assert isinstance(found, RowFault)
    return found


@pytest.mark.parametrize(
    ("columns", "proposed"),
    [
        ("Gutschrift,Betrag,Währung,Datum,Kunde", "refund: Gutschrift, amount: Betrag, currency: Währung, at: Datum, recipient: Kunde"),
        ("Erstattungsdatum,Erstattung,Betrag,Waehrung", "refund: Erstattung, amount: Betrag, currency: Waehrung, at: Erstattungsdatum"),
        ("Gebucht am,Nummer,Betrag (EUR),currency,E-Mail", "refund: Nummer, amount: 'Betrag (EUR)', at: Gebucht am, recipient: E-Mail"),
        ("paid_at,refund_total,refund_ref,ccy", "refund: refund_ref, amount: refund_total, currency: ccy, at: paid_at"),
        ("refund,total,currency,at,Kundennummer", "amount: total"),
        ("refund,total,currency,at,recipient,Kunde", "amount: total"),
        ("refund,currency,at,x", "amount: THEIR NAME OF AMOUNT"),
        (
            "Merchant Account,Psp Reference,Modification Reference,Creation Date,Gross Currency,Gross Credit",
            "refund: Modification Reference, amount: Gross Credit, currency: Gross Currency, at: Creation Date",
        ),
        ("MessageID,From,To,ReceivedAt,Total,currency", "refund: THEIR NAME OF REFUND, amount: Total, at: ReceivedAt, recipient: To"),
        ("Date,From Email Address,Invoice Number,Transaction ID,sum,ccy", "refund: Transaction ID, amount: sum, currency: ccy, at: Date"),
        ("Date,Time,TimeZone,Name,Currency,Gross,Fee,Net,Transaction ID", "refund: Transaction ID, amount: Gross, at: Date"),
    ],
)  # fmt: skip
def test_the_columns_that_are_meant(columns: str, proposed: str) -> None:
    assert fault(columns).mend.startswith(f"set `columns: {{{proposed}}}`")


@pytest.mark.parametrize("name", ["Amount: net", "the 'total'", "Total #", "{total}", "[total]", "Total (EUR)", "% total", "total"])
def test_what_is_proposed_can_be_copied_into_the_configuration(name: str) -> None:
    mend = fault(f"refund;currency;at;{name}".replace(";", ",")).mend
    proposed = yaml.safe_load(mend.removeprefix("set `").partition("`")[0])
    assert proposed == {"columns": {"amount": name}}


@pytest.mark.parametrize("name", ["No", "null", "12"])
def test_what_yaml_takes_for_something_else_is_quoted(name: str) -> None:
    assert _written(name) == f"'{name}'"


def test_a_column_that_the_configuration_names_wrongly_is_looked_for_by_what_it_is() -> None:
    assert "amount: Betrag" in fault("refund,Betrag,currency,at", {"amount": "total"}).mend


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("refund,am\udcfcunt,currency,at", {}),
        ("Gutschrift,Betrag,W\udce4hrung,Datum", {}),
        ("refund,amount,currency,at,Empf\udce4nger", {"recipient": "Empfänger"}),
        ("refund,amount,currency,at,Empf\udce4nger", {"outcome": "x"}),  # of the other side
    ],
)
def test_a_header_in_another_encoding(columns: str, named: dict[str, str]) -> None:
    found = fault(columns, named)
    assert (found.line, found.mend) == (1, "save the file as UTF-8")
    assert "not UTF-8" in found.what
    (found.what + found.mend).encode()


def test_a_column_that_nobody_asks_for_may_be_called_what_it_likes() -> None:
    for fields in (REFUNDS, CONFIRMATIONS):
        assert not isinstance(header_of(Table(("refund", "amount", "currency", "at", "Gr\udcfcnde"), [], []), fields, NEEDED, {}), RowFault)


@pytest.mark.parametrize(
    "row",
    ["RF-1,12.50,EUR,2026-03-01T12:00:00Z", "RF-1,-12,EUR,x", "RF-1,x,EUR,01.03.2026", "RF-1,x,EUR,ann@example.com"],
)  # fmt: skip
def test_a_file_without_a_header_line(row: str) -> None:
    found = fault(row)
    assert (found.line, found.what) == (1, "has no header line: its first line is a row")
    assert found.mend == "put the names of the columns above it, as refund,amount,currency,at"


@pytest.mark.parametrize("columns", ["Nummer,Betrag,2026", "refund,12.50,EUR,x", "a,b,c"])
def test_a_header_is_one_where_any_column_is_found_or_nothing_looks_like_a_row(columns: str) -> None:
    assert "no column" in fault(columns).what


def test_no_cell_of_a_row_is_proposed() -> None:
    assert fault("RF-1,12.50,EUR,david@example.com").what.startswith("has no header line")
    assert "@" not in fault("refund,12.50,EUR,david@example.com").mend


def test_what_a_column_is_called_is_fit_for_the_mend() -> None:
    mend = fault("refund,amount\x00\u202e{x},currency,at").mend
    assert mend.isprintable()
    assert "amount: 'amount\\x00\\u202e{x}'" in mend
