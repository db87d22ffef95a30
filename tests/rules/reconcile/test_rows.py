"""Rows -> records, where values are not text, where there are very many faults, and against whatever there is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.ledger import Confirmation, Lines, Outcome, Refund, Side, Table
from monitor.model.sources import Layout, Match, PushSource, RefundStatus, SourcePolicy
from monitor.rules.reconcile.cells import LONGEST_NUMBER
from monitor.rules.reconcile.reading import read
from monitor.rules.reconcile.rows import MOST_FAULTS, MOST_STRANGE, confirmations_of_rows, refunds_of_rows
from tests.rules.reconcile.rows import NOW, known, table

AT = "2026-03-01T12:00:00Z"
PLAIN = Layout()
REFUNDS = "refund amount currency at recipient"


class Written(str):
    """A number of JSON, as the API hands it over."""


def one_refund(*cells: object, columns: str = REFUNDS, layout: Layout = PLAIN, match: Match = Match.REFUND) -> Refund | str:
    records, faults, _ = refunds_of_rows(table(columns, cells), layout, known(match), NOW)
    return records[0] if records else faults[0].what


def one_confirmation(*cells: object, columns: str, match: Match = Match.REFUND) -> Confirmation | str:
    records, faults, _ = confirmations_of_rows(table(columns, cells), Layout(), known(match), NOW)
    return records[0] if records else faults[0].what


def test_a_refund_as_it_goes_into_the_store() -> None:
    assert one_refund(" RF-1 ", "12.50", "EUR", AT, "Ann <Ann@Example.com>") == Refund(
        "RF-1", "RF-1", 125_000, "EUR", 1_772_366_400.0, known().recipient("ann@example.com"), "example", None, 2
    )


@pytest.mark.parametrize(
    ("cells", "key", "amount"),
    [
        ((4711, 12, "EUR", 1_772_366_400, None), "4711", 120_000),
        ((4711.0, 12.5, "EUR", 1_772_366_400.0, None), "4711", 125_000),
        (("RF-1", "12.50", "EUR", AT, ""), "RF-1", 125_000),
        (("RF-1", Written("12.500"), "EUR", AT, ""), "RF-1", 125_000),
        ((10**17, 0, "EUR", AT, None), "1" + "0" * 17, 0),
    ],
)
def test_numbers_are_read_as_what_they_are(cells: tuple[object, ...], key: str, amount: int) -> None:
    record = one_refund(*cells)
    assert isinstance(record, Refund)
    assert (record.key, record.amount, record.recipient, record.provider) == (key, amount, b"", "")


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ((None, "1", "EUR", AT, ""), "there is no refund number"),
        ((True, "1", "EUR", AT, ""), "is a bool"),
        ((["RF-1"], "1", "EUR", AT, ""), "is a list"),
        ((10**5000, "1", "EUR", AT, ""), "more than 18 digits"),
        (("R" * (LONGEST_NUMBER + 1), "1", "EUR", AT, ""), "201 characters"),
        (("RF\u200b1", "1", "EUR", AT, ""), "invisible"),
        (("RF-\udcfc", "1", "EUR", AT, ""), "not UTF-8"),
        (("RF-\ud800", "1", "EUR", AT, ""), "not UTF-8"),
        (("RF-1", True, "EUR", AT, ""), "is a bool"),
        (("RF-1", None, "EUR", AT, ""), "there is no amount"),
        (("RF-1", -3, "EUR", AT, ""), "negative"),
        (("RF-1", float("nan"), "EUR", AT, ""), "no number"),
        (("RF-1", 0.1 + 0.2, "EUR", AT, ""), "17 decimals"),
        (("RF-1", 1e300, "EUR", AT, ""), "scientific"),
        (("RF-1", {}, "EUR", AT, ""), "is a dict"),
        (("RF-1", "1", 978, AT, ""), "'978' is no currency"),
        (("RF-1", "1", "EUR", AT, "a" * 321), "321 characters"),
        (("RF-1", "1", "EUR", AT, "a\x00@example.com"), "control"),
        (("RF-1", "1", "EUR", AT, b"a@example.com"), "is a bytes"),
        (("RF-1", "1", "EUR", AT), "has 4 fields, the header has 5"),
    ],
)
def test_what_cannot_be_taken(cells: tuple[object, ...], what: str) -> None:
    found = one_refund(*cells)
    assert isinstance(found, str)
    assert what in found


def test_a_reversal_of_which_no_time_is_told_counts_from_when_it_was_heard_of() -> None:
    columns = "refund amount currency at status reversed_at"
    undone = [
        one_refund("RF-1", "1", "EUR", AT, status, at, columns=columns)
        for status, at in [("reversed", ""), ("reversed", None), ("reversed", "2026-03-02T00:00:00Z"), ("done", "2026-03-02T00:00:00Z")]
    ]
    assert [one.reversed_at for one in undone if isinstance(one, Refund)] == [NOW, NOW, 1_772_409_600.0, 1_772_409_600.0]


def test_a_row_that_names_no_status_is_a_processed_one_and_an_empty_status_is_a_fault_until_it_is_named() -> None:
    columns = "refund amount currency at status"
    named = Layout(statuses={"": RefundStatus.IGNORED})
    assert isinstance(one_refund("RF-1", "1", "EUR", AT, None, columns=columns), Refund)
    assert one_refund("RF-1", "1", "EUR", AT, "", columns=columns) == "there is no status"
    assert refunds_of_rows(table(columns, ("RF-1", "1", "EUR", AT, "")), named, known(), NOW) == ([], [], 0)


def test_matched_by_order_a_refund_keeps_its_own_number() -> None:
    columns = "order refund amount currency at"
    first = one_refund("4711", "RF-1", "1", "EUR", AT, columns=columns, match=Match.ORDER)
    second = one_refund("4711", "", "1", "EUR", AT, columns=columns, match=Match.ORDER)
    assert isinstance(first, Refund)
    assert isinstance(second, Refund)
    assert [(one.key, one.number) for one in (first, second)] == [("4711", "RF-1"), ("4711", "4711, 1.00 EUR, 2026-03-01T12:00:00Z")]


def test_refunds_that_name_but_their_order_are_told_apart_by_what_they_say() -> None:
    rows = [("4711", "10", "EUR", AT), ("4711", "5", "EUR", AT), ("4711", "10", "USD", AT), ("4711", "10", "EUR", "2026-03-02T12:00:00Z")]
    read = refunds_of_rows(table("order amount currency at", *rows, *rows), Layout(), known(Match.ORDER), NOW)[0]
    assert [one.key for one in read] == ["4711"] * 8
    assert [one.number for one in read[:4]] == [one.number for one in read[4:]]
    assert len({one.number for one in read}) == 4


def test_what_names_itself_by_its_time_is_the_same_whenever_it_is_read() -> None:
    layout, row = Layout(time_zone="Europe/Berlin"), ("4711", "10", "EUR", "2026-10-25 02:30:00")
    times = [datetime(2026, 10, 25, 0, 45, tzinfo=UTC).timestamp(), NOW]  # the later of the two instants is to come, and is over
    columns = "order amount currency at"
    refunds = [refunds_of_rows(table(columns, row), layout, known(Match.ORDER), now)[0][0] for now in times]
    mails = [confirmations_of_rows(table(columns, row), layout, known(Match.ORDER), now)[0][0] for now in times]
    assert refunds[1].at - refunds[0].at == mails[1].at - mails[0].at == 3600
    assert refunds[0].number == refunds[1].number
    assert mails[0].identity == mails[1].identity


def test_a_probe_is_dropped_on_both_sides_by_its_number_and_by_its_address() -> None:
    rows = [("RF-12345678", "1", "EUR", AT, "ann@example.com"), ("RF-1", "1", "EUR", AT, "SEED+tag@box.test"), ("RF-2", "1", "EUR", AT, "")]
    for of_rows in (refunds_of_rows, confirmations_of_rows):
        records, faults, dropped = of_rows(table(REFUNDS, *rows), Layout(), known(), NOW)
        assert ([record.key for record in records], faults, dropped) == (["RF-2"], [], 2)


def test_a_probe_is_known_by_its_order_too() -> None:
    rows = [("RF-12345678", "X-1", "1", "EUR", AT), ("4711", "RF-12345678", "1", "EUR", AT), ("4712", "X-2", "1", "EUR", AT)]
    for of_rows in (refunds_of_rows, confirmations_of_rows):
        records, _, dropped = of_rows(table("order refund amount currency at", *rows), Layout(), known(Match.ORDER), NOW)
        assert ([record.key for record in records], dropped) == (["4712"], 2)


def test_the_exact_name_of_a_column_goes_before_one_in_another_case() -> None:
    record = one_refund("RF-1", "9", "EUR", AT, "1", columns="refund Amount currency at amount")
    assert isinstance(record, Refund)
    assert record.amount == 10_000


def test_the_identity_of_a_confirmation() -> None:
    columns = "id refund amount currency at recipient"
    row = ("RF-1", "1", "EUR", AT, "ann@example.com")
    named, mail, none, again, other = (
        one_confirmation(own, *cells, columns=columns)
        for own, cells in [
            ("m1", row),
            ("<m1@shop.example>", row),
            ("", row),
            (None, row),
            (None, (*row[:4], "bob@example.com")),
        ]
    )
    assert isinstance(named, Confirmation)
    assert isinstance(mail, Confirmation)
    assert isinstance(none, Confirmation)
    assert isinstance(again, Confirmation)
    assert isinstance(other, Confirmation)
    assert named.identity == "id:m1"
    assert mail.identity.startswith("mid:")
    assert "@" not in mail.identity
    assert none.identity == again.identity != other.identity
    assert none.identity.startswith("row:")
    assert known().recipient("ann@example.com").hex() not in none.identity


@pytest.mark.parametrize(
    ("outcome", "recipient", "became"),
    [
        ("sent", "ann@example.com", Outcome.SENT),
        (None, "ann@example.com", Outcome.SENT),
        ("Accepted", "", Outcome.SENT),
        ("bounced", "held@box.test", Outcome.FAILED),
        ("sent", "Held@box.test", Outcome.HELD),
        ("held", "ann@example.com", Outcome.HELD),
    ],
)
def test_outcomes(outcome: str | None, recipient: str, became: Outcome) -> None:
    record = one_confirmation("RF-1", AT, recipient, outcome, columns="refund at recipient outcome")
    assert isinstance(record, Confirmation)
    assert record.outcome == became.value


@pytest.mark.parametrize(
    ("cell", "resend"), [(True, True), (False, False), (None, False), ("", False), (1, True), ("YES", True), ("n", False)]
)
def test_resends(cell: object, resend: bool) -> None:
    record = one_confirmation("RF-1", AT, cell, columns="refund at resend")
    assert isinstance(record, Confirmation)
    assert record.resend is resend


def test_a_confirmation_of_which_the_amount_is_not_known_has_no_currency_either() -> None:
    record = one_confirmation("RF-1", AT, "", "EUR", columns="refund at amount currency")
    assert isinstance(record, Confirmation)
    assert (record.amount, record.currency) == (None, "")


def test_faults_are_bounded_and_good_rows_are_kept() -> None:
    bad: list[tuple[object, ...]] = [("", "1", "EUR", AT, "") for _ in range(MOST_FAULTS + 500)]
    records, faults, _ = refunds_of_rows(table(REFUNDS, *bad, ("RF-1", "1", "EUR", AT, "")), Layout(), known(), NOW)
    assert len(records) == 1
    assert len(faults) == MOST_FAULTS + 1
    assert (faults[-1].line, faults[-1].what) == (0, "500 more rows were not taken")


@pytest.mark.parametrize(
    ("match", "cells", "key"),
    [
        (Match.REFUND, ("4711", " RF-1 ", "1,00", "EUR", AT), "RF-1"),
        (Match.ORDER, ("4711", "RF-1", "1,00", "EUR", AT), "4711"),
        (Match.ORDER, ("4711", "RF\u200b1", "1", "EUR", AT), "4711"),
        (Match.REFUND, (4711, 12, "1", "EUR", "when"), "12"),
        (Match.REFUND, ("4711", "RF-1", "1", "00", "EUR", AT), "RF-1"),  # a mark inside a field
        (Match.REFUND, ("4711", "ann@example.com", "1"), ""),  # a field is missing
        (Match.REFUND, ("4711",), ""),
        (Match.REFUND, ("4711", "RF\u200b1", "1", "EUR", AT), ""),
        (Match.REFUND, ("4711", "", "1", "EUR", AT), ""),
    ],
)
def test_a_refused_row_says_whose_it_is_where_that_can_be_read(match: Match, cells: tuple[object, ...], key: str) -> None:
    for of_rows in (refunds_of_rows, confirmations_of_rows):
        records, faults, _ = of_rows(table("order refund amount currency at", cells), Layout(), known(match), NOW)
        assert ([len(records), len(faults)], faults[0].key) == ([0, 1], key)
        assert "RF-1" not in repr(faults[0])


def test_unknown_statuses_are_told_at_once_and_their_rows_one_by_one() -> None:
    words = ["bezahlt", "done", "storniert", "bezahlt", "offen"]
    rows = [(f"RF-{place}", "1", "EUR", AT, word) for place, word in enumerate(words)]
    columns = "refund amount currency at status"
    records, faults, _ = refunds_of_rows(table(columns, *rows, ("RF-9", "x", "EUR", AT, "done")), PLAIN, known(), NOW)
    mend = "set `statuses: {'bezahlt': processed, 'storniert': processed, 'offen': processed}`, each to processed, reversed or ignored"
    assert [one.key for one in records] == ["RF-1"]
    assert [fault.line for fault in faults if fault.mend == mend] == [2, 4, 5, 6]
    assert [(fault.line, fault.column, fault.key) for fault in faults if fault.mend != mend] == [(7, "amount", "RF-9")]


def test_very_many_unknown_statuses_are_told_in_part() -> None:
    rows = [(f"RF-{place}", "1", "EUR", AT, f"status {place}") for place in range(500)]
    _, faults, _ = refunds_of_rows(table("refund amount currency at status", *rows), PLAIN, known(), NOW)
    assert faults[0].mend.count(": processed") == MOST_STRANGE
    assert "'status 400': processed" in faults[400].mend


def test_a_status_of_theirs_that_takes_back_what_was_told() -> None:
    """`failed` is no refund; where a refund may fail after it was processed, it is a reversal."""
    row = ("RF-1", "1", "EUR", AT, "failed")
    columns = "refund amount currency at status"
    undone = one_refund(*row, columns=columns, layout=Layout(statuses={"failed": RefundStatus.REVERSED}))
    assert refunds_of_rows(table(columns, row), PLAIN, known(), NOW) == ([], [], 0)
    assert isinstance(undone, Refund)
    assert (undone.number, undone.reversed_at) == ("RF-1", NOW)


def test_a_fault_names_the_column_as_the_file_does() -> None:
    layout = Layout(columns={"amount": "total"})
    _, faults, _ = refunds_of_rows(table("refund total currency at", ("RF-1", "x", "EUR", AT)), layout, known(), NOW)
    assert [(fault.line, fault.column) for fault in faults] == [(2, "total")]


def test_a_wide_header_is_told_in_part() -> None:
    wide = Table(tuple(f"column_{number}" for number in range(5_000)), [], [])
    _, faults, _ = refunds_of_rows(wide, Layout(), known(), NOW)
    assert len(faults) == 1
    assert "and 4970 more" in faults[0].what
    assert len(faults[0].what) < 2_000


def test_the_one_way_in() -> None:
    source = SourcePolicy("push", Side.CONFIRMATIONS, PushSource(), 10.0, 0.0)
    reading = read(source, known(), table("refund at", ("RF-1", AT), ("RF-12345678", AT), ("", AT)), "", NOW)
    assert ([record.key for record in reading.records], [fault.line for fault in reading.faults], reading.dropped) == (["RF-1"], [4], 1)
    with pytest.raises(TypeError):
        read(source, known(), Lines(["x"]), "", NOW)


CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["RF-1", "12.50", "EUR", AT, "ann.smith@example.com", "seed@box.test", "sent", "reversed", "\udcff", "\x00", "=1+1"]),
    st.lists(st.integers(), max_size=2),
)
NAME = st.one_of(
    st.sampled_from(["refund", "order", "amount", "currency", "at", "recipient", "status", "reversed_at", "id", "outcome", "resend"]),
    st.text(max_size=9),
)


@pytest.mark.hostile
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(NAME, max_size=12, unique=True).map(
        lambda names: tuple(dict.fromkeys(["refund", "amount", "currency", "at", "recipient", *names]))
    ),
    st.data(),
    st.sampled_from(
        [Layout(), Layout(decimal=",", minor_units=True), Layout(currency="EUR", time_format="%d.%m.%Y"), Layout(columns={"at": "zeit"})]
    ),
    st.sampled_from(list(Match)),
)
def test_nothing_is_raised_and_nothing_gets_lost(names: tuple[str, ...], data: st.DataObject, layout: Layout, match: Match) -> None:
    """Every row is a record, a fault, a probe, or no record on purpose; and no fault bears an address."""
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)) | st.lists(CELL, max_size=3), max_size=5))
    for of_rows in (refunds_of_rows, confirmations_of_rows):
        records, faults, dropped = of_rows(Table(names, rows, range(2, len(rows) + 2)), layout, known(match), NOW)
        assert len(records) + len(faults) + dropped <= max(1, len(rows))
        for record in records:
            assert 2 <= record.line <= len(rows) + 1
            assert record.key.isprintable()
            assert record.amount is None or record.amount >= 0
        for fault in faults:
            assert fault.what
            assert "ann.smith" not in f"{fault.what} {fault.mend} {fault.column}"
            assert (fault.what + fault.mend).isprintable()


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("-12.50", 125_000),
        ("\u221212.50", 125_000),
        ("(12.50)", 125_000),
        ("12.50-", 125_000),
        ("0.00", 0),
        (-12.5, 125_000),
        ("-1,234.50", 12_345_000),
        ("12.50", "'12.50' is positive"),
        ("--12.50", "is negative"),
        ("-", "no amount"),
        ("", "no amount"),
    ],
)
def test_a_ledger_that_writes_refunds_as_negative_amounts(amount: object, said: int | str) -> None:
    record = one_refund("RF-1", amount, "EUR", AT, "", layout=Layout(negative=True))
    assert record.amount == said if isinstance(said, int) and isinstance(record, Refund) else str(said) in str(record), record
