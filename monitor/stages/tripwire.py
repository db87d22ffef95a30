"""tripwire: refund mail where none must ever come, if it is really ours."""

from __future__ import annotations

from collections.abc import Iterable

from monitor.desk import Desk
from monitor.model.facts import Stray, Tripped
from monitor.rules import tripwire


class Tripwire:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Decide on what a restart left lying, then on each stray that is found, for ever."""
        desk = self._desk
        cursor = desk.world.seq
        await self._decide(list(desk.world.tripwires.lying.items()))
        async for entries in desk.follow(cursor):
            await self._decide([(entry.seq, entry.fact) for entry in entries if isinstance(entry.fact, Stray)])

    async def _decide(self, strays: Iterable[tuple[int, Stray]]) -> None:
        """One trip a mailbox and digest; committed one by one, so that the world knows of it before its twin is looked at."""
        desk = self._desk
        for seq, stray in strays:
            mailbox = desk.policy.mailboxes.get(stray.mailbox)
            if mailbox is None or desk.world.tripwires.has_tripped(stray):
                continue
            if evidence := tripwire.trips(stray, mailbox, desk.policy):
                await desk.commit([Tripped(desk.clock.now(), stray.mailbox, seq, stray.author_domain, evidence, stray.internaldate)])
