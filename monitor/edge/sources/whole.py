"""One file from its beginning to its end, once: for the one-shot command and for imports."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from monitor.edge.reply import clean
from monitor.edge.sources.cutting import CHUNK, Cut, Cutter, Skip, Uncuttable, cut
from monitor.edge.sources.finding import cannot_read
from monitor.edge.sources.formats import cutter_for, format_of, nothing
from monitor.model.ledger import Portion, RowFault
from monitor.model.sources import FilesSource, PostfixSource
from monitor.ports import SourceError

STDIN = Path("-")
_MAGIC = b"\x1f\x8b"


def whole(path: Path, source: FilesSource | PostfixSource) -> Iterator[tuple[Portion, int]]:
    """(portion, bytes of the file that were read so far, packed ones as they lie on the disk). "-" is the standard input. The format is
    told by the name, else by the first character, not by the source. The last line counts without its end; what is wrong with the file
    itself is a fault on line 0. Raises SourceError when it cannot be read."""
    with _opened(path) as file:
        reading = _Reading(path, source, file)
        try:
            yield from reading.portions()
        except OSError as error:
            raise cannot_read(str(path), error) from None


class _Counting(io.RawIOBase):
    """Counts what is read of a file that may be no real one."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        # What a pipe has now: whoever waits for a whole buffer hears of no signal meanwhile. First as much as tells what is packed.
        data = self._file.read1(len(buffer)) if self.count else self._file.read(len(_MAGIC))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise SourceError(f"there is no file {clean(str(path))}", "mend its name", transient=False) from None
    except OSError as error:
        raise cannot_read(str(path), error) from None
    with file:
        yield file


class _Reading:
    def __init__(self, path: Path, source: FilesSource | PostfixSource, file: io.BufferedReader) -> None:
        self._name = "standard input" if path == STDIN else clean(path.name)
        self._source = source
        self._counting = _Counting(file)
        self._buffered = io.BufferedReader(self._counting, CHUNK)
        packed = self._buffered.peek(2)[:2] == _MAGIC
        self._content: io.BufferedIOBase = gzip.GzipFile(fileobj=self._buffered) if packed else self._buffered
        self._data = b""
        self._ends = False
        self._damage: tuple[RowFault, ...] = ()

    def portions(self) -> Iterator[tuple[Portion, int]]:
        self._fill()
        if isinstance(self._source, FilesSource):
            self._source = replace(self._source, format=format_of(self._name, self._data))
        try:
            cutter = cutter_for(self._source, self._data, self._ends)
        except Uncuttable as wrong:
            yield self._made(None, (wrong.fault,), True)
            return
        if cutter is None or not self._data:
            yield self._made(None, (*self._damage, RowFault(0, "is empty", "was the export cut off?")), True)
            return
        yield from self._cut(cutter)

    def _cut(self, cutter: Cutter) -> Iterator[tuple[Portion, int]]:
        self._data, line, skip = self._data[cutter.start :], cutter.line, Skip.NOTHING
        while True:
            self._fill()
            found = cut(cutter, self._data, line, skip, self._ends)
            line, skip, self._data = found.line, found.skip, self._data[found.taken :]
            last = skip is Skip.REST or (self._ends and not self._data)
            yield self._made(found, (*found.faults, *(self._damage if last else ())), last)
            if last:
                return

    def _made(self, found: Cut | None, faults: tuple[RowFault, ...], last: bool) -> tuple[Portion, int]:
        content = found.content if found else nothing(self._source)
        return Portion(self._name, content, "", not last, None, faults), self._counting.count

    def _fill(self) -> None:
        """Up to one CHUNK of what is not cut yet."""
        pieces, missing = [self._data], CHUNK - len(self._data)
        while missing > 0 and not self._ends:
            piece = self._some(missing)
            self._ends = not piece
            pieces.append(piece)
            missing -= len(piece)
        self._data = b"".join(pieces)

    def _some(self, size: int) -> bytes:
        try:
            return self._content.read1(size)
        except EOFError:
            self._damage = (RowFault(0, "is packed and its end is missing; what could be read of it was read", "pack it again"),)
        except (gzip.BadGzipFile, zlib.error) as error:
            self._damage = (RowFault(0, f"cannot be unpacked any further: {clean(str(error))}", "pack it again"),)
        return b""
