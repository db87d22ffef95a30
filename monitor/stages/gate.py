"""gate: asks for the probes that running gates need, and decides."""

from __future__ import annotations

import asyncio
import contextlib

from monitor.desk import DISK_WAIT, Desk
from monitor.model.facts import Fact, GateDecided, GateProbing
from monitor.model.gate import GateId
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.model.verdict import Verdict
from monitor.ports import JournalUnwritable
from monitor.rules.gate import assess
from monitor.rules.gate.pace import Room, in_turn, share
from monitor.views.gates import MOST_TRIALS, GateState

IDLE = 3600.0
LOST = 15.0  # seconds after which probes that were asked for, and are not planned, never will be: longer than a reload holds planning up
REST = 0.25  # seconds, at most, between two looks: however many facts come, looking takes no more than half of the time


class Gate:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Look at what a restart left, then after every batch of facts while a gate runs, and at the times that the rule asks for."""
        desk = self._desk
        while True:
            cursor, began = desk.world.seq, desk.clock.now()
            facts, wait = self._look(began)
            took = desk.clock.now().seconds_since(began)
            if facts:
                wait = wait if await self._written(facts) else DISK_WAIT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await desk.journal.wait(cursor)
            await desk.clock.sleep(min(REST, took))

    def _look(self, now: Instant) -> tuple[list[Fact], float]:
        """Decide what can be decided, take back a pass whose evidence has turned bad, ask for what is needed; seconds until to look again
        although nothing happens."""
        desk = self._desk
        facts: list[Fact] = []
        needs: dict[GateId, tuple[Route, ...]] = {}
        wait = IDLE
        for state in [each for each in desk.world.gates.known.values() if each.is_fresh(now) and each.spoiled]:
            standing = assess(desk.world, state, desk.policy, now)
            if standing.decided is not None and standing.decided.verdict is Verdict.FAIL:
                facts.append(standing.decided)
        for state in in_turn(desk.world.gates.running()):
            standing = assess(desk.world, state, desk.policy, now)
            if standing.decided is not None:
                facts.append(standing.decided)
                continue
            wait = min(wait, standing.wake)
            needs[state.id] = self._can_be_probed(state, standing.needs)
        asked, room_in = self._asked(needs, now)
        return facts + asked, wait if room_in is None else min(wait, room_in)

    def _asked(self, needs: dict[GateId, tuple[Route, ...]], now: Instant) -> tuple[list[Fact], float | None]:
        """The probes that there is room for, and seconds until there is more. None while what was asked for is not planned yet: until then
        nobody knows how much room is left."""
        gates = self._desk.world.gates
        waiting = [gates.known[gate] for gate in needs if gates.known[gate].asked]
        if waiting:
            lost = [state for state in waiting if state.asked_at is None or not 0 <= now.seconds_since(state.asked_at) < LOST]
            return [GateProbing(now, state.id, state.request.attempt, ()) for state in lost], None
        room = Room(gates, self._desk.policy, now)
        given = share(needs, room)
        return [GateProbing(now, gate, gates.known[gate].request.attempt, tuple(routes)) for gate, routes in given.items()], room.opens()

    def _can_be_probed(self, state: GateState, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Nothing is submitted to a mailbox whose watcher has not spoken, or into the blind, or while submission is paused."""
        world, process = self._desk.world, self._desk.clock.now().process
        if world.paused is not None:
            return ()
        boxes = {route.mailbox: world.mailbox(route.mailbox) for route in routes}
        seen = {name for name, box in boxes.items() if box.known_to(process) and box.blind is None}
        return tuple(route for route in routes if route.mailbox in seen)[: MOST_TRIALS - len(state.trials)]

    async def _written(self, facts: list[Fact]) -> bool:
        """Not by Desk.commit: what was decided before the disk was full is decided anew, by what is known when it takes facts again."""
        desk = self._desk
        try:
            await desk.journal.append(facts, durable=any(isinstance(fact, GateDecided) for fact in facts))
        except JournalUnwritable:
            desk.writable = False
            desk.refused += 1
            return False
        desk.writable = True
        return True
