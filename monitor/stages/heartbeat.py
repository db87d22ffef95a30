"""heartbeat: tells the dead-man switch, at most once in its interval, that whole cycles are completed, or why not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from monitor.desk import Desk
from monitor.model.facts import Judged
from monitor.model.instant import Instant
from monitor.ports import Heartbeat
from monitor.rules import heartbeat
from monitor.rules.heartbeat import Said, Signs

TICK = 1.0  # seconds between looks
DEADLINE = 10.0  # seconds for one word

_log = logging.getLogger(__name__)


class Beat:
    """`taken` is called with the instant of each word that the switch took, and whether it was a good one."""

    def __init__(self, desk: Desk, switch: Heartbeat | None, taken: Callable[[Instant, bool], None]) -> None:
        self._desk = desk
        self._switch = switch
        self._taken = taken
        self._cycle: Instant | None = None
        self._last: Said | None = None

    def reload(self, switch: Heartbeat | None) -> None:
        """Another switch, or another way to it."""
        self._switch = switch

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note_cycles(), name="cycles")
            while True:
                await self._desk.clock.sleep(TICK)
                await self._beat()

    async def _note_cycles(self) -> None:
        """A verdict is read back from the journal: it is committed, and all that it rests on."""
        desk = self._desk
        process = desk.clock.now().process
        async for entries in desk.follow(desk.world.seq):
            for entry in entries:
                fact = entry.fact
                if isinstance(fact, Judged) and heartbeat.completes(fact, desk.world.probes.get(fact.probe), process):
                    self._cycle = fact.at

    async def _beat(self) -> None:
        desk, policy = self._desk, self._desk.policy
        if self._switch is None or policy.heartbeat is None:
            return
        now = desk.clock.now()
        signs = Signs(desk.writable, tuple(desk.stuck()), self._cycle)
        word = heartbeat.word(signs, desk.world, policy, self._last, policy.heartbeat.every, now)
        if word is None:
            return
        told, self._cycle = self._cycle, None
        refused = await self._switch.beat(word.well, word.detail, DEADLINE)
        if refused:
            self._cycle = self._cycle or told
        if refused and (self._last is None or self._last.taken):
            _log.warning("the heartbeat was not taken: %s", refused)
        self._last = Said(now, not refused)
        if not refused:
            self._taken(now, word.well)
