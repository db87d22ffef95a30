"""What both journals share: the latest entries in memory, the fold of each new one, and the wake-up of readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from monitor.model.facts import Entry

RECENT = 2_000  # a reader further behind than this reads from the disk


class Tail:
    """Single-threaded: every method runs on the event loop."""

    def __init__(self) -> None:
        self._folds: list[Callable[[Entry], None]] = []
        self._recent: deque[Entry] = deque(maxlen=RECENT)
        self._grown = asyncio.Event()
        self.last = 0

    def fold_into(self, fold: Callable[[Entry], None]) -> None:
        self._folds.append(fold)

    def start_at(self, seq: int) -> None:
        self.last = seq

    def push(self, entries: Sequence[Entry]) -> None:
        """Fold first, wake second: whoever is woken finds the views up to date."""
        for entry in entries:
            self._recent.append(entry)
            self.last = entry.seq
            for fold in self._folds:
                fold(entry)
        if entries:
            self._grown.set()
            self._grown = asyncio.Event()

    def read(self, after: int, limit: int) -> tuple[Entry, ...] | None:
        """Entries after `after`; None when they are no longer all in memory."""
        if after >= self.last:
            return ()
        if not self._recent or self._recent[0].seq > after + 1:
            return None
        start = after + 1 - self._recent[0].seq
        return tuple(self._recent[i] for i in range(start, min(start + limit, len(self._recent))))

    async def wait(self, after: int) -> None:
        while self.last <= after:
            await self._grown.wait()
