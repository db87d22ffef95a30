"""What stages and surface have on their desk: the journal, the view of it, the policy in force, and the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from monitor.model.facts import Entry, Fact
from monitor.model.instant import Instant
from monitor.model.mailauth import DeliveredMail
from monitor.model.policy import Policy
from monitor.ports import Clock, Entropy, Journal, JournalUnwritable
from monitor.views.world import World

DISK_WAIT = 5.0  # seconds between tries while the journal cannot be written
MOST_CLAIMS = 200  # that are kept here, the latest; a few kilobytes each
STUCK_AFTER = 120.0  # seconds that a stage may work on one batch of facts: longer than any deadline inside a stage


class Observed:
    """ports.Journal, with an eye on its readers, which are known by the names of their tasks: who does not come back to wait for more is
    at work, and who is at work for too long is stuck."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._readers: set[str] = set()
        self.reading: dict[str, Instant] = {}

    @property
    def last(self) -> int:
        return self._journal.last

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        return await self._journal.append(facts, durable)

    async def read(self, after: int, limit: int = 500) -> tuple[Entry, ...]:
        name = _task()
        self._readers.add(name)
        self.reading.setdefault(name, self._clock.now())
        return await self._journal.read(after, limit)

    async def wait(self, after: int) -> None:
        name = _task()
        self.reading.pop(name, None)
        try:
            await self._journal.wait(after)
        finally:  # a deadline wakes a stage too
            if name in self._readers:
                self.reading[name] = self._clock.now()


def _task() -> str:
    task = asyncio.current_task()
    return task.get_name() if task else ""


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
    starved: Instant | None = None  # when the event loop last ran so late that nothing timed meanwhile can be believed
    reading: dict[str, Instant] = field(default_factory=dict)  # stage -> since when it works on facts that it has been given
    claims: dict[str, DeliveredMail] = field(
        default_factory=dict
    )  # what the proof of a stray needs and its fact does not bear, by `claimed`

    def keep(self, claimed: str, claim: DeliveredMail) -> None:
        """Out of the journal, for whoever proves it soon; a restart forgets it."""
        self.claims.pop(claimed, None)
        self.claims[claimed] = claim
        if len(self.claims) > MOST_CLAIMS:
            del self.claims[next(iter(self.claims))]

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

    def stuck(self) -> dict[str, float]:
        """Stages that make no progress although there are facts for them, with the seconds since when. None while the disk takes no
        facts: they wait for it, and starting anew would not help."""
        now = self.clock.now()
        ages = {name: now.seconds_since(since) for name, since in self.reading.items()}
        return {name: age for name, age in ages.items() if age > STUCK_AFTER} if self.writable else {}
