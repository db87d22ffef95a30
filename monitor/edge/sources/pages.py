"""The answer to a query, cut into pages; and how far that is. Pure: the rows come from whoever asked.

A *round* reads all that there is above a watermark. It is one execution of the query, or several: where the query takes :limit, and where
a cursor must not stay open between two pages. An execution within a round begins at the last watermark whose rows had all come, so a border
in the middle of equal watermarks loses none and doubles none. More than PAGE rows of one watermark come in several pages of one cursor; a
restart among them begins them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from monitor.edge.sources.decimals import written
from monitor.edge.sources.watermark import Watermark, WatermarkError
from monitor.model.ledger import RowFault, Table

PAGE = 10_000  # rows of a portion
MAX_BYTES = 8 * 1024 * 1024  # characters of a portion
MAX_ROW = 1024 * 1024
MAX_FAULTS = 1_000
MOST_LIMIT = 1_000_000  # rows that :limit is raised to, where a smaller one shows a single watermark only
_LOOK_AT_CLOCK = 256  # rows

_BACK = "the newest rows that were read before are gone: the database went back in time, or rows were deleted"
_BACK_MEND = "after a restore nothing has to be done: it is read on from what is there now"


@dataclass(frozen=True, slots=True)
class Position:
    """Where to read on. `began`, `done` and `top` are those of the round under way."""

    number: int = 0  # of the page in the round: no two positions of a round are the same
    high: Watermark | None = None  # the highest of the last whole round
    gone: bool = False  # and it was not there any more
    began: float | None = None
    done: Watermark | None = None  # all up to here was read
    top: Watermark | None = None  # the highest
    limit: int = PAGE

    @classmethod
    def parse(cls, text: str) -> Position:
        """The beginning for what is empty or none of ours: reading again changes nothing."""
        try:
            found = json.loads(text)
            marks = {name: Watermark.parse(*found[name]) for name in ("high", "done", "top") if found[name] is not None}
            number, gone, began, limit = int(found["number"]), bool(found["gone"]), found["began"], int(found["limit"])
            return cls(number, marks.get("high"), gone, began, marks.get("done"), marks.get("top"), min(max(limit, PAGE), MOST_LIMIT))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            return cls()

    def __str__(self) -> str:
        found: dict[str, object] = {
            name: [mark.kind, str(mark)] if (mark := getattr(self, name)) else None for name in ("high", "done", "top")
        }
        plain = {name: getattr(self, name) for name in ("number", "gone", "began", "limit")}
        return json.dumps(found | plain, separators=(",", ":"))

    def asked(self, overlap: float) -> Watermark | None:
        """The watermark to ask with; None: nothing was read yet."""
        return self.done or (self.high and self.high.less(overlap))


@dataclass(frozen=True, slots=True)
class Page:
    """`ended`: the cursor is of no use any more. `read`: the whole round is over."""

    table: Table
    faults: tuple[RowFault, ...]
    position: Position
    ended: bool
    read: bool


class Answer:
    """One execution of the query.

    columns, batches: what the database gives; watermark: the column's name; limit: what :limit was, if the query takes it;
    pieces: the cursor is not to stay open after a page, if the page came past a watermark. Raises WatermarkError.
    """

    def __init__(
        self,
        columns: Sequence[str],
        batches: Iterator[Sequence[Sequence[object]]],
        watermark: str,
        position: Position,
        *,
        limit: int | None = None,
        pieces: bool = False,
    ) -> None:
        self._columns = tuple(columns)
        self._rows = (row for batch in batches for row in batch)
        self._name = watermark
        self._index = _index(self._columns, watermark)
        self._position = position
        self._limit = limit
        self._pieces = pieces
        self._from = position.done
        self._done = position.done
        self._last: Watermark | None = None
        self._carried = _Cut()
        self._ahead = next(self._rows, None)
        self._count = 0

    def page(self, overlap: float, in_time: Callable[[], bool]) -> Page:
        """The next rows, as many as fit, and as come `in_time`."""
        cut, self._carried = self._carried, _Cut()
        while self._ahead is not None and not cut.full and (self._count % _LOOK_AT_CLOCK or in_time()):
            row = self._ahead
            self._ahead = next(self._rows, None)
            self._count += 1
            self._take(row, cut)
        limited = self._limit is not None and self._count >= self._limit
        over = self._ahead is None and not limited
        moved = self._done is not None and (self._from is None or self._from.before(self._done))
        ended = over or (moved and self._pieces) or self._ahead is None
        if not over:
            rest = cut.back()
            if not ended:
                self._carried = rest
        return Page(
            Table(self._columns, cut.rows, cut.lines),
            tuple(cut.faults + self._turn_of(over, overlap)),
            self._after(over, moved, overlap),
            ended,
            over,
        )

    def _take(self, row: Sequence[object], cut: _Cut) -> None:
        try:
            mark = self._mark(row[self._index])
        except WatermarkError as error:
            if row[self._index] is not None:
                raise
            cut.faults.append(RowFault(self._count, f"the watermark {error.what}", error.mend, self._name))
            return
        if mark is not self._last:
            if self._last is not None:
                self._done = self._last
                cut.border()
            self._last = mark
        if self._from is not None and not self._from.before(mark):
            return  # it came before
        cut.add(tuple(map(plain, row)), self._count)

    def _mark(self, value: object) -> Watermark:
        """The row's; the last row's own when it is the same."""
        last = self._last
        if last is not None and value == last.value:
            return last
        mark = Watermark.of(value)
        if last is None:
            if self._position.high is not None:
                self._position.high.before(mark)  # of one family
            return mark
        if mark.before(last):
            raise WatermarkError("goes back in the answer", f"write ORDER BY {self._name} at the end of the query")
        return mark

    # --- how far --------------------------------------------------------------------------------------------------------------

    def _after(self, over: bool, moved: bool, overlap: float) -> Position:
        before = self._position
        top = self._last or before.top
        if not over:
            limit = PAGE if moved else before.limit * (1 if self._ahead is not None else 2)
            if limit > MOST_LIMIT:
                raise WatermarkError(f"is the same in more than {MOST_LIMIT} rows", "name a finer column, or leave :limit out of the query")
            after = replace(before, number=before.number + 1, done=self._done, top=top, limit=limit)
        else:
            high = top or (before.high and before.high.less(overlap))
            after = Position(high=high, gone=self._is_back(overlap))
        self._position = after
        return after

    def _is_back(self, overlap: float) -> bool:
        """Whether the row that was the newest is missing although it was asked for again."""
        high, top = self._position.high, self._last or self._position.top
        return high is not None and overlap > 0 and (top is None or top.before(high))

    def _turn_of(self, over: bool, overlap: float) -> list[RowFault]:
        back = over and self._is_back(overlap) and not self._position.gone
        return [RowFault(0, _BACK, _BACK_MEND, self._name)] if back else []


class _Cut:
    """The rows of one page, and where among them the last watermark began."""

    def __init__(self) -> None:
        self.rows: list[tuple[object, ...]] = []
        self.lines: list[int] = []
        self.faults: list[RowFault] = []
        self._size = 0
        self._border: tuple[int, int] | None = None

    @property
    def full(self) -> bool:
        return len(self.rows) >= PAGE or self._size >= MAX_BYTES or len(self.faults) >= MAX_FAULTS

    def add(self, row: tuple[object, ...], line: int) -> None:
        size = sum(len(value) if isinstance(value, str) else 8 for value in row)
        if size > MAX_ROW:
            self.faults.append(RowFault(line, f"is longer than {MAX_ROW} characters", "select only the columns that are needed"))
            return
        self._size += size
        self.rows.append(row)
        self.lines.append(line)

    def border(self) -> None:
        """A watermark ends here. An empty page has no border: it would stay empty."""
        if self.rows or self.faults:
            self._border = (len(self.rows), len(self.faults))

    def back(self) -> _Cut:
        """Takes out the rows of the last watermark, which may not all have come, if it began on this page: position and rows agree."""
        rest = _Cut()
        if self._border is not None:
            rows, faults = self._border
            for row, line in zip(self.rows[rows:], self.lines[rows:], strict=True):
                rest.add(row, line)
            rest.faults += self.faults[faults:]
            del self.rows[rows:], self.lines[rows:], self.faults[faults:]
        return rest


def _index(columns: tuple[str, ...], watermark: str) -> int:
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise WatermarkError(f"stands beside two columns {twice}", "give each column a name of its own: ... AS name")
    if watermark not in columns:
        raise WatermarkError(f"is not among the columns {', '.join(columns[:20])}", "select it, or mend watermark:")
    return columns.index(watermark)


def plain(value: object) -> object:
    """What a driver gives -> text, a number or None. Exact: numbers as they were written, times with the zone they have."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case Decimal():
            return written(format(value, "f"))
        case datetime() | date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "surrogateescape")
        case Mapping() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)  # UUID, interval, enum, inet
