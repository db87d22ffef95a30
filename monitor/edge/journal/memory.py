"""A journal in memory: for one-shot commands that keep nothing, and for tests on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.edge.journal.codec import decode_fact, encode, kind_of
from monitor.edge.journal.tail import Tail
from monitor.model.facts import Entry, Fact


class MemoryJournal:
    """Implements ports.Journal. Facts pass through the codec, so that what cannot be stored fails here as well."""

    def __init__(self, fold: Callable[[Entry], None]) -> None:
        self._tail = Tail()
        self._tail.fold_into(fold)
        self._entries: list[Entry] = []

    def fold_into(self, fold: Callable[[Entry], None]) -> None:
        """Call `fold` with every later fact, right after its commit and before any reader is woken."""
        self._tail.fold_into(fold)

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        entries = tuple(
            Entry(self._tail.last + offset, kind_of(fact), decode_fact(kind_of(fact), encode(fact))) for offset, fact in enumerate(facts, 1)
        )
        self._entries.extend(entries)
        self._tail.push(entries)
        return entries

    async def read(self, after: int, limit: int = 500) -> tuple[Entry, ...]:
        return tuple(self._entries[after : after + limit])

    async def wait(self, after: int) -> None:
        await self._tail.wait(after)

    @property
    def last(self) -> int:
        return self._tail.last
