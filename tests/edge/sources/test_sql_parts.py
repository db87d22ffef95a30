"""The parts of a polled query that need no database: the query, watermarks, pages, and what servers say."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.sources.pages import Answer, Position, plain
from monitor.edge.sources.server_words import meaning
from monitor.edge.sources.watermark import Watermark, WatermarkError
from monitor.model.query import QueryError, prepare

# --- the query ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text", "limited"),
    [
        ("SELECT a FROM t WHERE a > :watermark;\n", "SELECT a FROM t WHERE a > :watermark", False),
        ("-- ours\n(with x as (select 1) select a from x where a>:watermark)", None, False),
        ("SELECT a FROM t WHERE a > :watermark LIMIT :limit", None, True),
        ("SELECT a FROM t WHERE a > :watermark::timestamptz", "SELECT a FROM t WHERE a > :watermark ::timestamptz", False),
        ("SELECT a::text FROM t WHERE a > :watermark", "SELECT a::text FROM t WHERE a > :watermark", False),
        ("SELECT ' :x ' || b FROM t WHERE a > :watermark /* :y */ -- :z", None, False),
        ("SELECT '; DROP', a[1:2] FROM t WHERE a > :watermark", None, False),
        ("SELECT (SELECT b FROM u LIMIT 1) FROM t WHERE a > :watermark ORDER BY a", None, False),
        ("SELECT a FROM t WHERE b = '\\:x' AND a > :watermark AND c = \\:mm", None, False),
    ],
)
def test_a_query_that_reads_is_taken(written: str, text: str | None, limited: bool) -> None:
    query = prepare(written)
    assert query.limited is limited and (text is None or query.text == text)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("", "is no SELECT"),
        ("UPDATE t SET a = :watermark", "is no SELECT"),
        ("-- SELECT\nDELETE FROM t WHERE a > :watermark", "is no SELECT"),
        ("selection :watermark", "is no SELECT"),
        ("SELECT 1; DELETE FROM t WHERE a > :watermark", "several statements"),
        ("SELECT a FROM t", "lacks :watermark"),
        ("SELECT a FROM t -- WHERE a > :watermark", "lacks :watermark"),
        ("SELECT a FROM t WHERE a > ':watermark'", "lacks :watermark"),
        ("SELECT a FROM t WHERE a > :watermarks", "lacks :watermark"),
        ("SELECT a FROM t WHERE a > :watermark AND b = :shop", "the parameter :shop"),
        ("SELECT a FROM t WHERE a > :watermark LIMIT 1000", "a fixed number of rows"),
        ("SELECT a FROM t WHERE a > :watermark limit 10, 20 -- x", "a fixed number of rows"),
        ("SELECT a FROM t WHERE a > :watermark LIMIT 10 OFFSET 5", "a fixed number of rows"),
        ("SELECT a FROM t WHERE a > :watermark FETCH FIRST 10 ROWS ONLY;", "a fixed number of rows"),
    ],
)
def test_a_query_that_does_not_is_refused_with_the_mend(written: str, what: str) -> None:
    with pytest.raises(QueryError) as caught:
        prepare(written)
    assert what in caught.value.what and len(caught.value.mend) > 10


# --- watermarks -----------------------------------------------------------------------------------------------------------

MARKS = [
    5,
    10**30,
    Decimal("1.50"),
    2.5,
    datetime.fromisoformat("2026-03-29T01:30:00.123456"),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    date(2026, 3, 29),
    "2026-03-29 01:30:00",
    "",
]


@pytest.mark.parametrize("value", MARKS, ids=repr)
def test_a_watermark_outlives_a_restart(value: object) -> None:
    mark = Watermark.of(value)
    assert Watermark.parse(mark.kind, str(mark)) == mark
    position = Position(3, mark, True, 17.5, mark, mark, 20_000)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    ("value", "overlap", "less"),
    [
        (100, 2.5, 97),
        (Decimal("100.00"), 2.5, Decimal("97.50")),
        (100.0, 2.5, 97.5),
        (datetime.fromisoformat("2026-01-01T00:00:00"), 60.0, datetime.fromisoformat("2025-12-31T23:59:00")),
        (datetime(2026, 1, 1, tzinfo=UTC), 0.5, datetime(2025, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)),
        (datetime.fromisoformat("0001-01-01T00:00:00"), 60.0, datetime.fromisoformat("0001-01-01T00:00:00")),
        (date(2026, 1, 1), 60.0, date(2025, 12, 31)),
        (date(1, 1, 1), 60.0, date(1, 1, 1)),
        ("2026-01-01 00:00:00", 60.0, "2025-12-31 23:59:00"),
        ("2026-01-01T00:00:00.250Z", 0.5, "2025-12-31T23:59:59.250Z"),
        ("2026-01-01 00:00:10.5 +02:00", 1.0, "2026-01-01 00:00:09.5 +02:00"),
        ("any text", 0.0, "any text"),
    ],
)
def test_the_overlap_is_taken_off(value: object, overlap: float, less: object) -> None:
    assert Watermark.of(value).less(overlap).value == less


@pytest.mark.parametrize("text", ["01J9ZK", "12", "2026-13-01 00:00:00", "2026-01-01", "2026-01-01 25:00:00"])
def test_text_that_is_no_time_has_no_overlap(text: str) -> None:
    with pytest.raises(WatermarkError, match=r"no ISO 8601 time.*overlap: 0s"):
        Watermark.of(text).less(60.0)


@pytest.mark.parametrize("value", [None, True, b"x", float("nan"), Decimal("NaN"), float("inf"), UUID(int=1), "x" * 201])
def test_what_cannot_say_how_far_was_read(value: object) -> None:
    with pytest.raises(WatermarkError) as caught:
        Watermark.of(value)
    assert caught.value.mend


def test_numbers_have_an_order_and_other_kinds_have_none_among_them() -> None:
    assert Watermark.of(1).before(Watermark.of(Decimal("1.5"))) and not Watermark.of(2.5).before(Watermark.of(2))
    with pytest.raises(WatermarkError, match="is text and was a number before"):
        Watermark.of(1).before(Watermark.of("2"))
    with pytest.raises(WatermarkError, match="is a time with zone and was a time without zone before"):
        Watermark.of(datetime.fromisoformat("2026-01-01T00:00:00")).before(Watermark.of(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (Decimal("12.500"), "12.50"),  # no thousands, see decimals
        (Decimal("1.230000"), "1.230000"),
        (Decimal("1.234"), "1.234"),
        (Decimal(1_000), "1000"),
        (Decimal("1234567890123456789.0001"), "1234567890123456789.0001"),
        (12, 12),
        (None, None),
        (datetime.fromisoformat("2026-01-01T02:03:04"), "2026-01-01T02:03:04"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (date(2026, 1, 1), "2026-01-01"),
        (b"caf\xc3\xa9", "café"),
        (memoryview(b"\xff"), "\udcff"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"a": ["é"]}, '{"a": ["é"]}'),
    ],
)
def test_values_are_text_numbers_or_nothing(value: object, shown: object) -> None:
    assert plain(value) == shown


# --- pages ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    marks=st.lists(st.integers(1, 12), max_size=60),
    page=st.integers(1, 9),
    inclusive=st.booleans(),
    limited=st.booleans(),
    pieces=st.booleans(),
    restarts=st.lists(st.integers(0, 3), min_size=1, max_size=12),
)
def test_nothing_is_lost_wherever_pages_end_and_whatever_is_restarted(
    marks: list[int], page: int, inclusive: bool, limited: bool, pieces: bool, restarts: list[int]
) -> None:
    """Against a table in memory. `restarts`: after so many pages the cursor is lost; none in a group that no page holds."""
    table = [(mark, number) for number, mark in enumerate(sorted(marks))]
    largest = max((marks.count(mark) for mark in marks), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.edge.sources.pages.PAGE", page)
        position, answer, got, turns = Position(limit=page), None, list[int](), 0
        pause = [(one + largest // page + 2) if one else 1_000 for one in restarts]
        for turn in range(2_000):
            if answer is None:
                asked = position.asked(0.0)
                low = 0 if asked is None else int(str(asked))
                rows = [row for row in table if row[0] > low or (inclusive and row[0] == low)]
                rows = rows[: position.limit] if limited else rows
                limit = position.limit if limited else None
                answer = Answer(
                    ("id", "n"), iter([rows]), "id", Position.parse(str(position)) if turn else position, limit=limit, pieces=pieces
                )
            found = answer.page(0.0, lambda: True)
            assert len(found.table.rows) <= page and len(found.table.lines) == len(found.table.rows)
            got += [int(str(row[1])) for row in found.table.rows]
            position, turns = found.position, turns + 1
            if found.read:
                break
            if found.ended or turns % pause[turn % len(pause)] == 0:
                answer = None
        else:
            raise AssertionError("no end")
    assert sorted(set(got)) == list(range(len(table)))
    assert position.high == (Watermark.of(max(marks)) if marks else None) and position.began is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(repr))
def test_any_text_is_a_position(text: str) -> None:
    assert Position.parse(text) == Position()


# --- what servers say -----------------------------------------------------------------------------------------------------


class Said(Exception):
    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "transient", "mend"),
    [
        (Said("no", "25006"), False, "must only read"),
        (Said("no", "42P01"), False, "mend the query"),
        (Said("no", "42501"), False, "GRANT SELECT"),
        (Said("no", "28P01"), False, "user and password"),
        (Said("no", "57014"), True, "quicker"),
        (Said("no", "55P03"), True, "lock"),
        (Said("no", "57P01"), True, "asked again"),
        (Said("no", "22007"), False, "start: of the source"),
        (Said('connection failed: FATAL:  password authentication failed for user "x"'), False, "user and password"),
        (Said('connection failed: FATAL:  database "shop" does not exist'), False, "database's name"),
        (Said("connection refused"), True, "asked again"),
        (sqlite3.OperationalError("no such table: refunds"), False, "mend the query"),
        (sqlite3.OperationalError("database is locked"), True, "lock"),
        (Exception(1045, "Access denied"), False, "user and password"),
        (Exception(1205, "Lock wait timeout"), True, "lock"),
        (Exception(2013, "Lost connection"), True, "asked again"),
        (Exception(), True, "asked again"),
    ],
)
def test_what_an_error_of_a_server_means(error: Exception, transient: bool, mend: str) -> None:
    found = meaning(error, ())
    assert found.transient is transient and mend in found.mend and found.detail


def test_secrets_addresses_and_the_query_are_not_repeated() -> None:
    error = Said('no table "anna.b@example.com" for hunter22\nLINE 1: SELECT secret_things\n', "42P01")
    assert meaning(error, ("hunter22",)).detail == 'no table "***@example.com" for ***'


class DataError(Exception):
    """As every driver calls it (PEP 249)."""


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (Said('invalid input syntax for type numeric: "RF-1001"', "22P02"), 'invalid input syntax for type numeric: "***"'),
        (Said('invalid input syntax for type numeric: "RF-10\n01"', "22P02"), 'invalid input syntax for type numeric: "***'),
        (Said('invalid input: "RF"-1001"', "22P02"), 'invalid input: "***"'),
        (Said("ung\u00fcltige Syntax: \u00bbRF-1001\u00ab", "22P02"), "ung\u00fcltige Syntax: \u00bb***\u00ab"),
        (Said("duplicate key: (refund)=(RF-1001)", "23505"), "duplicate key: (***)"),
        (Said("a value is wrong", "22007"), "a value is wrong"),
        (Exception(1292, "Truncated incorrect DOUBLE value: 'RF-1001'"), "Truncated incorrect DOUBLE value: '***'"),
        (Exception(1366, "Incorrect value: 'RF-1001' for column 'total' at row 1"), "Incorrect value: '***' at row 1"),
        (DataError("date too large: 'RF-1001'"), "date too large: '***'"),
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'note' with text 'RF-1001'"), "Could not decode to UTF-8 column '***'"),
        (Said('column "total" does not exist', "42703"), 'column "total" does not exist'),
    ],
)
def test_values_of_rows_are_not_repeated(error: Exception, detail: str) -> None:
    assert meaning(error, ()).detail == detail
