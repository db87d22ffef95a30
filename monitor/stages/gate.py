"""gate: asks for the probes that running gates need, and decides."""

from __future__ import annotations

import asyncio
import contextlib

from monitor.desk import Desk
from monitor.model.facts import Fact, GateProbing
from monitor.model.gate import GateId
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.rules.gate import assess
from monitor.rules.gate.pace import Room, share

IDLE = 3600.0
LOST = 30.0  # seconds after which probes that were asked for, and are not planned, never will be


class Gate:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Look at what a restart left, then after every batch of facts while a gate runs, and at the times that the rule asks for."""
        desk = self._desk
        while True:
            cursor = desk.world.seq
            wait = await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await desk.journal.wait(max(cursor, desk.world.seq) if wait == IDLE else cursor)

    async def _look(self) -> float:
        """Decide what can be decided, ask for what is needed; seconds until to look again although nothing happens."""
        desk = self._desk
        now = desk.clock.now()
        facts: list[Fact] = []
        needs: dict[GateId, tuple[Route, ...]] = {}
        wait = IDLE
        for state in desk.world.gates.running():
            standing = assess(desk.world, state, desk.policy, now)
            if standing.decided is not None:
                facts.append(standing.decided)
                continue
            wait = min(wait, standing.wake)
            needs[state.id] = tuple(route for route in standing.needs if self._watched(route))
        if not self._unplanned(now):
            given = share(needs, Room(desk.world.gates, desk.policy, now))
            facts += [GateProbing(now, gate, desk.world.gates.known[gate].request.attempt, tuple(routes)) for gate, routes in given.items()]
        if facts:
            await desk.commit(facts, durable=True)
        return wait

    def _watched(self, route: Route) -> bool:
        box = self._desk.world.mailbox(route.mailbox)
        return box.known_to(self._desk.clock.now().process) and box.blind is None

    def _unplanned(self, now: Instant) -> bool:
        """What was asked for is not planned yet: until then nobody knows how much room is left."""
        asked = [state.asked_at for state in self._desk.world.gates.known.values() if state.asked and state.asked_at is not None]
        return any(0 <= now.seconds_since(at) < LOST for at in asked)
