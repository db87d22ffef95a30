"""CSV (RFC 4180, and what goes by that name) -> rows. Pure.

A quote that is not closed must not swallow the good rows behind it. So of a record that spans lines and is wrong, only its first line is
given up, and the next line is read as a record of its own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from monitor.edge.sources.cutting import CHUNK, FAULTS, ROWS, Cut, Uncuttable, lines_end
from monitor.edge.sources.encoding import as_utf8, decoded, encoded_length, encoding_of, length_in
from monitor.model.ledger import RowFault, Table

DELIMITERS = (",", ";", "\t", "|")
LINES = 100  # of one record
WASTE = 4 * CHUNK  # characters that may be read twice in one portion because of wrong quotes

_EMPTY = "".join(DELIMITERS) + ' "\r\n\ufeff'
_NAMED = re.compile(r'\ufeff?"?sep=([^\w"\r\n])"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)  # the first line, as Excel writes it
_LONGEST_LINE = 100_000  # characters that are looked at for a delimiter
_MEND_WIDTH = "put quotes around fields that contain the delimiter"
_MEND_QUOTE = 'close each quote, and write "" for a quote within quotes'


def table_cutter(head: bytes, delimiter: str, final: bool) -> TableCutter | None:
    """For a file that begins so; None while its header is not complete. Raises Uncuttable."""
    codec, mark = encoding_of(head)
    data = as_utf8(head[mark:], codec)
    text = decoded(data if final else data[: lines_end(data)])
    named = _NAMED.match(text)
    found = _header(text, named.end() if named else 0, delimiter or (named[1] if named else ""))
    if not found.cells:
        if len(head) >= CHUNK:
            raise Uncuttable(
                RowFault(1, "has no header within 1 MiB; nothing of the file can be read", "let its first line name the columns")
            )
        if final and found.wrong:
            raise Uncuttable(RowFault(1, f"the header cannot be read: {found.wrong}", _MEND_QUOTE))
        return None
    start = mark + length_in(codec, data[: encoded_length(text[: found.end])])
    return TableCutter(codec, start, found.lines + 1, found.delimiter, tuple(cell.strip("\ufeff \t") for cell in found.cells))


@dataclass(frozen=True, slots=True)
class _Header:
    delimiter: str
    cells: list[str]  # none: not there, or not complete
    end: int = 0  # in the text
    lines: int = 0
    wrong: str = ""


def _delimiter(text: str) -> str:
    """The one that makes the most columns of the first line in which there is anything else."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip(_EMPTY)), "")
    return max(DELIMITERS, key=lambda one: max(map(len, csv.reader([first[:_LONGEST_LINE]], delimiter=one)), default=0))


def _header(text: str, begin: int, delimiter: str) -> _Header:
    """The first record that is not blank, behind a line that may name the delimiter and ends at `begin`."""
    above, delimiter = int(begin > 0), delimiter or _delimiter(text)
    stream = io.StringIO(text, newline="")
    stream.seek(begin)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                return _Header(delimiter, row, stream.tell(), above + reader.line_num)
    except csv.Error as error:
        return _Header(delimiter, [], wrong=_words(error))
    return _Header(delimiter, [])


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where the reading of records stopped: before the record at `at`, on `line`. `wrong`: what is wrong with it."""

    at: int
    line: int
    wrong: str = ""
    mend: str = ""
    unclosed: bool = False  # the text ended within it
    many: bool = False  # it has more lines than a record may have


@dataclass(slots=True)
class _Found:
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.rows) >= ROWS or len(self.faults) >= FAULTS


@dataclass(frozen=True, slots=True)
class TableCutter:
    """Rows of one CSV file; implements cutting.Cutter. A header that stands there again, as in joined exports, is passed over."""

    codec: str
    start: int
    line: int
    delimiter: str
    columns: tuple[str, ...]

    @property
    def nothing(self) -> Table:
        return Table(self.columns, (), ())

    def cut(self, data: bytes, line: int, final: bool, whole: bool) -> Cut:
        if not final:
            data = data[: lines_end(data)]
        text = decoded(data)
        if (plain := self._plain(data, text, line)) is not None:
            return plain
        stream, found = io.StringIO(text, newline=""), _Found()
        at, wasted = 0, 0
        while at < len(text) and wasted < WASTE and not found.full:
            stop = self._records(stream, line, found)
            at, line = stop.at, stop.line
            if not stop.wrong:
                continue
            if stop.unclosed and not (final or stop.many):
                break
            found.faults.append(RowFault(line, stop.wrong, stop.mend))
            wasted += stream.tell() - at
            stream.seek(at)
            stream.readline()
            at, line = stream.tell(), line + 1
        taken = len(data) if at == len(text) else encoded_length(text[:at])
        full = found.full or wasted >= WASTE
        return Cut(Table(self.columns, found.rows, found.lines), taken, line, tuple(found.faults), full and taken < len(data))

    def _plain(self, data: bytes, text: str, line: int) -> Cut | None:
        """The same in half the time, of text without quotes in which every line is a good row; None: of any other."""
        returns = text.count("\r")
        end = "\r\n" if returns else "\n"
        if not text or '"' in text or (returns and not text.count("\n") == text.count(end) == returns):
            return None
        lines = text.split(end, ROWS)
        rest = lines.pop() if len(lines) > ROWS or not lines[-1] else ""
        try:
            rows = list(csv.reader(lines, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        last, nothing = self.columns[-1], self.delimiter * (len(self.columns) - 1)
        if set(map(len, rows)) != {len(self.columns)} or nothing in lines or any(last in row[-1] for row in rows):
            return None
        taken = encoded_length(text[: len(text) - len(rest)]) if rest else len(data)
        return Cut(Table(self.columns, rows, range(line, line + len(rows))), taken, line + len(rows), full=bool(rest))

    def _records(self, stream: io.StringIO, line: int, found: _Found) -> _Stop:
        """Read records from where the stream is, up to its end, a bound, or one that must be looked at."""
        columns, width = self.columns, len(self.columns)
        rows, lines, last = found.rows, found.lines, columns[-1]
        ended: list[bool] = []
        reader = csv.reader(chain(stream, _noting(ended)), delimiter=self.delimiter, strict=True)
        at, before = stream.tell(), line
        try:
            for row in reader:
                behind = before + reader.line_num
                if behind - line > LINES:
                    return _Stop(at, line, f"a quote is opened and not closed within {LINES} lines", _MEND_QUOTE, many=True)
                if len(row) == width:
                    if last in row[-1] and self._is_header(row):
                        pass
                    elif any(row):
                        rows.append(row)
                        lines.append(line)
                elif any(row):
                    wrong = f"has {len(row)} field{'s' * (len(row) != 1)}, the header has {width}"
                    if behind - line > 1:
                        return _Stop(at, line, wrong, _MEND_WIDTH)
                    found.faults.append(RowFault(line, wrong, _MEND_WIDTH))
                at, line = stream.tell(), behind
                if len(rows) >= ROWS or len(found.faults) >= FAULTS:
                    break
        except csv.Error as error:
            many = before + reader.line_num - line > LINES
            return _Stop(at, line, _words(error), _MEND_QUOTE, unclosed=bool(ended), many=many)
        return _Stop(at, line)

    def _is_header(self, row: list[str]) -> bool:
        return tuple(cell.strip("\ufeff \t") for cell in row) == self.columns


def _noting(ended: list[bool]) -> Iterator[str]:
    """No line more; notes that one was asked for."""
    ended.append(True)
    return
    yield


def _words(error: csv.Error) -> str:
    text = str(error)
    if "end of data" in text:
        return "a quote is opened and not closed"
    if "expected after" in text:
        return "something stands behind a closing quote"
    if "field limit" in text:
        return f"a field is longer than {csv.field_size_limit()} characters"
    return "it is no CSV"
