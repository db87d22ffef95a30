"""Bytes of a file -> whole rows or lines, in bounded portions. Pure.

A cutter is given bytes that begin at a record and says how many of them it took; what it left is given again with more behind it. So the
result is the same however the bytes came. A record that CHUNK bytes do not hold is a fault and is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from monitor.edge.sources.encoding import UTF8, as_utf8, length_in
from monitor.model.ledger import Lines, RowFault, Table

CHUNK = 1024 * 1024  # bytes that are looked at in one go, and the longest record
ROWS = 10_000  # in one portion
FAULTS = 1_000  # in one portion
MEND_LONG = "is a line end or a closing quote missing? export it again"


class Skip(IntEnum):
    """What is passed over unread."""

    NOTHING = 0
    LINE = 1  # to the end of the line: it is too long
    REST = 2  # to the end of the file: from here on it cannot be cut


@dataclass(frozen=True, slots=True)
class Cut:
    """`taken`: bytes of what was given; `line`: the number of the line behind them. `full`: a bound was reached, there may be more."""

    content: Table | Lines
    taken: int
    line: int
    faults: tuple[RowFault, ...] = ()
    full: bool = False
    skip: Skip = Skip.NOTHING

    @property
    def says(self) -> bool:
        rows = self.content.rows if isinstance(self.content, Table) else self.content.lines
        return bool(rows or self.faults)


class Cutter(Protocol):
    """`start`, `line`: where the first record stands, behind mark and header, in bytes and lines of the file."""

    @property
    def codec(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def line(self) -> int: ...

    @property
    def nothing(self) -> Table | Lines:
        """No record, in the shape of this file."""
        ...

    def cut(self, data: bytes, line: int, final: bool, whole: bool) -> Cut:
        """Of UTF-8. `final`: nothing comes behind it, the last record counts without its end. `whole`: it is as much as a record may have,
        so one that has no end in it is too long."""
        ...


class Uncuttable(Exception):
    """A file whose beginning cannot be read; nothing in it can."""

    def __init__(self, fault: RowFault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def cut(cutter: Cutter, raw: bytes, line: int, skip: Skip, final: bool) -> Cut:
    """The same on bytes of the file itself, passing over what is to be passed over."""
    if skip is Skip.REST:
        return Cut(cutter.nothing, len(raw), line, skip=skip)
    data = as_utf8(raw, cutter.codec)
    if skip is Skip.LINE:
        end = data.find(b"\n") + 1
        if not end:
            return Cut(cutter.nothing, len(raw) if final else length_in(cutter.codec, data), line, skip=skip)
        return Cut(cutter.nothing, length_in(cutter.codec, data[:end]), line + 1, full=True)
    whole = len(raw) >= CHUNK
    found = cutter.cut(data, line, final, whole)
    if whole and not found.taken and not found.says:
        fault = RowFault(line, f"is longer than {CHUNK // 1024 // 1024} MiB; it is passed over", MEND_LONG)
        return Cut(cutter.nothing, length_in(cutter.codec, data), line, (fault,), skip=Skip.LINE)
    if found.taken == len(data):
        return replace(found, taken=len(raw) if final else length_in(cutter.codec, data))
    return replace(found, taken=length_in(cutter.codec, data[: found.taken]))


def lines_end(data: bytes) -> int:
    """Behind the last line end. A carriage return at the very end may be half of one."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1


@dataclass(frozen=True, slots=True)
class LogCutter:
    """Lines of a log. What is no UTF-8 is written out."""

    codec: str = UTF8
    start: int = 0
    line: int = 1

    @property
    def nothing(self) -> Lines:
        return Lines((), self.line)

    def cut(self, data: bytes, line: int, final: bool, whole: bool) -> Cut:
        if not final:
            data = data[: data.rfind(b"\n") + 1]
        pieces = data.split(b"\n", ROWS)
        rest = pieces.pop() if len(pieces) > ROWS or not pieces[-1] else b""
        taken = len(data) - len(rest)
        if not taken:
            return Cut(Lines((), line), 0, line)
        lines = [text.removesuffix("\r") for text in b"\n".join(pieces).decode(UTF8, "backslashreplace").split("\n")]
        return Cut(Lines(lines, line), taken, line + len(lines), full=bool(rest))
