"""The contract on the fake."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from monitor.edge.clock import SystemClock
from monitor.model.ledger import Lines, Mails, Table
from monitor.ports import SourceError
from tests.edge.sources.contract import MOST_ROWS, SourceContract
from tests.fakes.source import FakeSource


class FakeWorld:
    redelivers = False

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.one = FakeSource(self.clock)

    def source(self) -> FakeSource:
        return self.one

    async def add(self, words: Sequence[str]) -> None:
        for start in range(0, len(words), MOST_ROWS):
            self.one.rows(["refund"], *([word] for word in words[start : start + MOST_ROWS]))

    async def fail(self) -> None:
        self.one.error = SourceError("the fake is broken", "mend it")

    async def mend(self) -> None:
        self.one.error = None

    def words(self, content: Table | Lines | Mails) -> list[str]:
        assert isinstance(content, Table)
        return [str(row[0]) for row in content.rows]

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return list(self.one.contents)


class TestFakeSource(SourceContract):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld()
