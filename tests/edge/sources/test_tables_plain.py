"""The short way through a table without quotes gives what the long one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.sources import tables
from monitor.edge.sources.cutting import Cut
from monitor.edge.sources.encoding import UTF8
from monitor.edge.sources.tables import TableCutter
from monitor.model.ledger import Table

LINES = st.lists(st.sampled_from(["1,2", "3,é", "a,b", ",", "", "x", "1,2,3", " ,b", "\udce9,2", '"q",2', "1,2\0"]), max_size=12)


class LongWay(TableCutter):
    def _plain(self, data: bytes, text: str, line: int) -> Cut | None:
        return None


def said(cut: Cut) -> tuple[object, ...]:
    table = cut.content
    assert isinstance(table, Table)
    return table.columns, [list(row) for row in table.rows], list(table.lines), cut.taken, cut.line, cut.faults, cut.full


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("rows", [2, 10_000])
@settings(max_examples=300, deadline=None, derandomize=True)
@given(lines=LINES, ends=st.sampled_from(["\n", "\r\n", "\r"]), last=st.booleans())
def test_both_ways(final: bool, rows: int, lines: list[str], ends: str, last: bool) -> None:
    data = (ends.join(lines) + (ends if last else "")).encode(UTF8, "surrogateescape")
    before = tables.ROWS
    tables.ROWS = rows
    try:
        short, long = (kind(UTF8, 0, 2, ",", ("a", "b")).cut(data, 2, final, False) for kind in (TableCutter, LongWay))
    finally:
        tables.ROWS = before
    assert said(short) == said(long)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_short_way_is_taken(ends: str) -> None:
    found = TableCutter(UTF8, 0, 2, ",", ("a", "b")).cut(f"1,2{ends}3,4{ends}".encode(), 2, False, False)
    assert isinstance(found.content, Table) and found.content.lines == range(2, 4) and found.taken == len(f"1,2{ends}3,4{ends}")
