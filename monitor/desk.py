"""What stages and surface have on their desk: the journal, the view of it, the policy in force, and the time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from monitor.model.facts import Entry, Fact
from monitor.model.policy import Policy
from monitor.ports import Clock, Entropy, Journal, JournalUnwritable
from monitor.views.world import World

DISK_WAIT = 5.0  # seconds between tries while the journal cannot be written


@dataclass(slots=True)
class Desk:
    """Shared within one daemon. `policy` is replaced whole, never changed."""

    journal: Journal
    world: World
    clock: Clock
    entropy: Entropy
    policy: Policy
    writable: bool = True  # the last commit succeeded
    refused: int = 0  # commits that the disk did not take

    async def commit(self, facts: Sequence[Fact], durable: bool = False) -> None:
        """Append, waiting out a full disk. Nothing is attempted without its fact, and no outcome is forgotten while we live."""
        while True:
            try:
                await self.journal.append(facts, durable)
            except JournalUnwritable:
                self.writable = False
                self.refused += 1
                await self.clock.sleep(DISK_WAIT)
            else:
                self.writable = True
                return

    async def follow(self, after: int) -> AsyncIterator[tuple[Entry, ...]]:
        """Every fact after `after`, in batches, for ever. The world is at least as far as the batch."""
        while True:
            await self.journal.wait(after)
            entries = await self.journal.read(after)
            if entries:
                after = entries[-1].seq
                yield entries
