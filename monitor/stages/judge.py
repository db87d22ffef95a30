"""judge: turns evidence and deadlines into verdicts, and closes probes whose watch window is over."""

from __future__ import annotations

import asyncio
import heapq

from monitor.desk import Desk
from monitor.model.facts import Closed, Entry, Judged, Looked, WatchBlind, WatchRestored
from monitor.model.policy import Role
from monitor.model.probe import MailboxName, ProbeId
from monitor.rules import judge
from monitor.views.probes import ProbeState

IDLE = 3600.0


class Judge:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._timers: list[tuple[float, ProbeId]] = []  # (monotonic instant, probe); a late timer finds nothing to do

    async def run(self) -> None:
        """Judge what a restart left open, then whatever is touched by a fact or reaches a deadline, for ever."""
        desk = self._desk
        cursor = desk.world.seq
        await self._judge(set(desk.world.probes))
        while True:
            try:
                async with asyncio.timeout(self._until_next()):
                    await desk.journal.wait(cursor)
            except TimeoutError:
                entries: tuple[Entry, ...] = ()
            else:
                entries = await desk.journal.read(cursor)
            if entries:
                cursor = entries[-1].seq
            await self._judge(self._touched(entries) | self._expired())

    def _touched(self, entries: tuple[Entry, ...]) -> set[ProbeId]:
        touched: set[ProbeId] = set()
        looked: set[MailboxName] = set()
        for entry in entries:
            if isinstance(entry.fact, WatchRestored | WatchBlind):
                touched |= {probe for probe, state in self._desk.world.probes.items() if entry.fact.mailbox in self._watchers_of(state)}
            elif isinstance(entry.fact, Looked):
                looked.add(entry.fact.mailbox)
            elif not isinstance(entry.fact, Judged | Closed) and (probe := getattr(entry.fact, "probe", None)) is not None:
                touched.add(probe)
        if looked:
            touched |= {state.plan.probe for name in looked for state in self._desk.world.probes_to(name) if state.hunted}
        return touched

    def _until_next(self) -> float:
        if not self._timers:
            return IDLE
        return max(0.0, self._timers[0][0] - self._desk.clock.now().mono)

    def _expired(self) -> set[ProbeId]:
        now = self._desk.clock.now().mono
        expired = set()
        while self._timers and self._timers[0][0] <= now:
            expired.add(heapq.heappop(self._timers)[1])
        return expired

    async def _judge(self, probes: set[ProbeId]) -> None:
        desk = self._desk
        facts: list[Judged | Closed] = []
        now = desk.clock.now()
        holding = frozenset(name for name, box in desk.policy.mailboxes.items() if box.role is Role.HOLDING)
        for probe in probes:
            state = desk.world.probes.get(probe)
            if state is None:
                continue
            ruling = judge.judge(state, desk.world.mailbox(state.plan.route.mailbox), now, desk.world.jumps, holding)
            unattended = judge.unattended(state, [desk.world.mailbox(name) for name in self._watchers_of(state)], now)
            if ruling is not None and unattended and ruling.rests_on_absence(state):
                continue
            if ruling is not None and judge.is_news(state, ruling):
                facts.append(judge.judged(state, ruling, desk.clock.now()))
            if ruling is not None and not unattended and now.reached(judge.watch_end(state)):
                facts.append(Closed(now, probe))
                continue
            upcoming = [at.mono if at.process == now.process else now.mono - now.seconds_since(at) for at in judge.wake_at(state)]
            if future := [due for due in upcoming if due > now.mono]:
                heapq.heappush(self._timers, (min(future), probe))
        if facts:
            await desk.commit(facts)

    def _watchers_of(self, state: ProbeState) -> list[MailboxName]:
        boxes = self._desk.policy.mailboxes.items()
        return [name for name, box in boxes if name == state.plan.route.mailbox or box.role is Role.HOLDING]
