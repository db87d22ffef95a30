"""A LedgerSource that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.model.ledger import Lines, Mails, Portion, RowFault, Table
from monitor.ports import Clock, SourceError

Content = Table | Lines | Mails
MARK = "fake:"  # of its positions


@dataclass
class FakeSource:
    """`contents`: what it has, one portion each, in order; `empty`: what its end looks like. While `error` is set each read raises it;
    `errors` are raised once each, first. `takes`: seconds that each read takes, at most the deadline. `asked`: the positions that it
    was asked for. `holds_back`: it never says until when it was read."""

    clock: Clock
    contents: list[Content] = field(default_factory=list)
    empty: Content = field(default_factory=lambda: Table((), (), ()))
    origin: str = "fake"
    faults: dict[int, tuple[RowFault, ...]] = field(default_factory=dict)  # by the place of the content
    error: SourceError | None = None
    errors: list[SourceError] = field(default_factory=list)
    takes: float = 0.0
    holds_back: bool = False
    asked: list[str] = field(default_factory=list)
    closed: bool = False

    def add(self, content: Content, *faults: RowFault) -> None:
        if faults:
            self.faults[len(self.contents)] = faults
        self.contents.append(content)

    def rows(self, columns: Sequence[str], *rows: Sequence[object], first: int = 2) -> None:
        """One portion more, of a file whose first row stands on line `first`."""
        self.add(Table(tuple(columns), rows, range(first, first + len(rows))))

    async def read(self, position: str, deadline: float) -> Portion:
        self.asked.append(position)
        if self.takes:
            await asyncio.sleep(min(self.takes, deadline))
        if self.takes > deadline:
            raise SourceError(f"it did not answer within {deadline:g} s", "look at it")
        if self.errors:
            raise self.errors.pop(0)
        if self.error:
            raise self.error
        at = int(position.removeprefix(MARK)) if position.startswith(MARK) else 0
        until = None if self.holds_back else self.clock.now().utc
        if at >= len(self.contents):
            return Portion(self.origin, self.empty, f"{MARK}{at}", False, until)
        more = at + 1 < len(self.contents)
        return Portion(self.origin, self.contents[at], f"{MARK}{at + 1}", more, None if more else until, self.faults.get(at, ()))

    async def close(self) -> None:
        self.closed = True
