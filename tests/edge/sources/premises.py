"""A directory of files, a source that reads them, and what it has handed out so far."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from monitor.edge.clock import SystemClock
from monitor.edge.sources.files import FileSource
from monitor.model.instant import Instant
from monitor.model.ledger import Lines, Portion, RowFault, Table
from monitor.model.sources import Complete, FileFormat, FilesSource, Layout, PostfixSource

HEAD = "refund,amount,currency\n"


class AheadClock(SystemClock):
    """The host's clock, put ahead at will."""

    ahead = 0.0

    def now(self) -> Instant:
        return super().now().plus(self.ahead)


class Premises:
    def __init__(
        self,
        directory: Path,
        pattern: str = "*",
        format: FileFormat = FileFormat.CSV,
        log: bool = False,
        complete: Complete = Complete.READ,
        **layout: object,
    ) -> None:
        self.directory = directory
        self.clock = AheadClock()
        via = FilesSource(str(directory / pattern), format, Layout(**layout), complete)  # type: ignore[arg-type]
        self.via: FilesSource | PostfixSource = PostfixSource(via.pattern, "", "subject", "UTC") if log else via
        self.reader = FileSource(self.via, self.clock)
        self.position = ""
        self.last: Portion | None = None

    def write(self, name: str, text: str | bytes, age: float | None = None) -> Path:
        """Replace what is in it; `age`: seconds since its last change."""
        return self._put(name, text, "wb", age)

    def append(self, name: str, text: str | bytes, age: float | None = None) -> Path:
        return self._put(name, text, "ab", age)

    def _put(self, name: str, text: str | bytes, mode: str, age: float | None) -> Path:
        at = self.directory / name
        with at.open(mode) as file:
            file.write(text.encode() if isinstance(text, str) else text)
        if age is not None:
            when = self.clock.now().utc - age
            os.utime(at, (when, when))
        return at

    def restart(self) -> None:
        asyncio.run(self.reader.close())
        self.reader = FileSource(self.via, self.clock)

    def read(self) -> list[Portion]:
        """All that there is behind the position."""
        return asyncio.run(self._read())

    async def _read(self) -> list[Portion]:
        found = []
        for _ in range(10_000):
            self.last = await self.reader.read(self.position, 30.0)
            self.position = self.last.position
            found.append(self.last)
            if not self.last.more:
                return found
        raise AssertionError("more without end")

    def close(self) -> None:
        asyncio.run(self.reader.close())

    def rows(self) -> list[tuple[object, ...]]:
        """What comes now, after a look at faults: there must be none."""
        found = self.read()
        assert faults(found) == []
        return rows(found)


def rows(found: list[Portion]) -> list[tuple[object, ...]]:
    """The rows, or the lines each as one field."""
    made: list[tuple[object, ...]] = []
    for portion in found:
        if isinstance(portion.content, Table):
            assert len(portion.content.rows) == len(portion.content.lines)
            made += [tuple(row) for row in portion.content.rows]
        elif isinstance(portion.content, Lines):
            made += [(line,) for line in portion.content.lines]
    return made


def places(found: list[Portion]) -> list[tuple[str, int]]:
    """(file, line) of each row."""
    return [(one.origin, line) for one in found if isinstance(one.content, Table) for line in one.content.lines]


def faults(found: list[Portion]) -> list[tuple[str, RowFault]]:
    return [(portion.origin, fault) for portion in found for fault in portion.faults]
