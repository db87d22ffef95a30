"""JSON objects, one a line or in one array (RFC 8259) -> rows. Pure.

Numbers stay as they are written: 12.50 is the text "12.50", see decimals. What is nested stays JSON text; true and false are those words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.edge.sources.cutting import FAULTS, ROWS, Cut, Skip
from monitor.edge.sources.decimals import written
from monitor.edge.sources.encoding import as_utf8, decoded, encoded_length, encoding_of, length_in
from monitor.model.ledger import RowFault, Table

COLUMNS = 500  # of one portion
_SCALARS = {str, type(None)}
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_BLANK = re.compile(rb"[ \t\r\n]*")
_MEND_OBJECT = 'write one object a line: {"refund": "R-1", ...}'
_MEND_ARRAY = "write one object a line instead of one array, so that one fault costs one row"


def object_cutter(head: bytes) -> LineCutter | ArrayCutter | None:
    """For a file that begins so; None while nothing stands in it."""
    codec, mark = encoding_of(head)
    data = as_utf8(head[mark:], codec)
    found = _BLANK.match(data)
    blank = found.end() if found else 0
    if blank == len(data):
        return None
    if data[blank : blank + 1] != b"[":
        return LineCutter(codec, mark)
    return ArrayCutter(codec, mark + length_in(codec, data[: blank + 1]), 1 + data.count(b"\n", 0, blank))


@dataclass(frozen=True, slots=True)
class _Unfit:
    """In the place of a value that is JSON and cannot be taken."""

    why: str


def _once(pairs: list[tuple[str, object]]) -> dict[str, object] | _Unfit:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Unfit("names a field twice")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=written, parse_int=str, parse_constant=lambda word: _Unfit(f"{word} is no number")
)


@dataclass(slots=True)
class _Gathering:
    """Objects on their way to be rows; columns in the order in which they first appear."""

    columns: dict[str, None] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    rows: list[list[object]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.rows) >= ROWS or len(self.faults) >= FAULTS

    def add(self, value: object, line: int) -> bool:
        """False: it has columns for which this portion has no room; nothing was added."""
        if not isinstance(value, dict):
            self.refuse(value.why if isinstance(value, _Unfit) else "is no JSON object", line)
            return True
        if len(value) > COLUMNS:
            self.refuse(f"has {len(value)} fields, more than {COLUMNS}", line)
            return True
        if tuple(value) != self.names:
            if len(self.columns.keys() | value.keys()) > COLUMNS:
                return False
            self.columns.update(dict.fromkeys(value))
            self.names = tuple(self.columns)
        row: list[object] = [*map(value.get, self.names)]
        if not _SCALARS.issuperset(map(type, row)):
            try:
                row = [_plain(one) for one in row]
            except RecursionError as error:  # it was not too deep to be read
                self.refuse(_words(error), line)
                return True
            if unfit := next((one for one in row if isinstance(one, _Unfit)), None):
                self.refuse(unfit.why, line)
                return True
        self.rows.append(row)
        self.lines.append(line)
        return True

    def refuse(self, what: str, line: int) -> None:
        self.faults.append(RowFault(line, what, _MEND_OBJECT))

    def table(self) -> Table:
        width = len(self.names)
        for row in self.rows:
            if len(row) < width:
                row.extend([None] * (width - len(row)))
        return Table(self.names, self.rows, self.lines)


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str) if isinstance(value, dict | list) else value


def _words(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON: {error.msg} at character {error.colno}"
    return "is nested too deeply"


@dataclass(frozen=True, slots=True)
class LineCutter:
    """One object a line; implements cutting.Cutter."""

    codec: str
    start: int
    line: int = 1

    @property
    def nothing(self) -> Table:
        return Table((), (), ())

    def cut(self, data: bytes, line: int, final: bool, whole: bool) -> Cut:
        if not final:
            data = data[: data.rfind(b"\n") + 1]
        found, at = _Gathering(), 0
        text = decoded(data)
        pieces: Sequence[str] = text.split("\n")
        for piece in pieces if final and pieces[-1] else pieces[:-1]:
            if found.full or not _take_line(piece.strip(), line, found):
                break
            at, line = at + len(piece) + 1, line + 1
        taken = len(data) if at >= len(text) else encoded_length(text[:at])
        return Cut(found.table(), taken, line, tuple(found.faults), full=taken < len(data))


def _take_line(piece: str, line: int, found: _Gathering) -> bool:
    if not piece:
        return True
    try:
        value, end = _DECODER.raw_decode(piece)
    except (ValueError, RecursionError) as error:
        found.refuse(_words(error), line)
    else:
        if end == len(piece):
            return found.add(value, line)
        found.refuse(f"is no JSON: something stands behind its end, from character {end + 1} on", line)
    return True


@dataclass(frozen=True, slots=True)
class ArrayCutter:
    """The objects of one array; implements cutting.Cutter. Behind one that is no JSON, nothing can be read."""

    codec: str
    start: int  # behind its bracket
    line: int

    @property
    def nothing(self) -> Table:
        return Table((), (), ())

    def cut(self, data: bytes, line: int, final: bool, whole: bool) -> Cut:
        text, found = decoded(data), _Gathering()
        at, skip, full = 0, Skip.NOTHING, False
        while True:
            start = _behind(text, at)
            line += text.count("\n", at, start)
            at = start
            full = found.full
            if full:
                break
            if start == len(text):
                if final:
                    found.faults.append(RowFault(line, "the array is not closed", "was the file cut off? export it again"))
                break
            if text[start] == "]":
                at, skip = len(text), Skip.REST
                if text[start + 1 :].strip():
                    found.faults.append(RowFault(line, "something stands behind the end of the array; it is not read", _MEND_ARRAY))
                break
            try:
                value, end = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                if final or (whole and not start):
                    found.faults.append(RowFault(line, f"{_words(error)}; from here on the array cannot be read", _MEND_ARRAY))
                    at, skip = len(text), Skip.REST
                break
            full = not found.add(value, line)
            if full:
                break
            at, line = end, line + text.count("\n", start, end)
        taken = len(data) if at == len(text) else encoded_length(text[:at])
        return Cut(found.table(), taken, line, tuple(found.faults), full, skip)


def _behind(text: str, at: int) -> int:
    """Behind blanks and commas."""
    found = _BETWEEN.match(text, at)
    return found.end() if found else at
