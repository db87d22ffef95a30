"""plan: decides which route is probed now and writes the plan down before anything is sent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from monitor.desk import Desk
from monitor.model.facts import ClockJumped, GateProbing, ProbePlanned, Transition
from monitor.model.instant import Instant
from monitor.model.policy import CommandPath, HttpPath, RoutePolicy, SmtpPath
from monitor.model.probe import MailboxName, ProbeId, Purpose, Route
from monitor.rules import compose, plan, story, token

TICK = 5.0  # seconds between looks at the clocks
READY_WITHIN = 5.0  # seconds that what a gate asks for waits for a watcher that a reload has replaced
WATCHER_WAIT = 0.05  # seconds between looks whether a mailbox's watcher has spoken


class StillPlanning(Exception):
    """What was planned is not committed yet."""


class Plan:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._last_tick: Instant | None = None
        self._planning = asyncio.Lock()
        self._renewed: dict[MailboxName, Instant] = {}  # mailboxes whose watcher was replaced: an older word of it does not count

    def renewed(self, mailboxes: Iterable[MailboxName]) -> None:
        """Wait, as after a start, until the new watchers of these mailboxes have said watching or blind."""
        self._renewed |= dict.fromkeys(mailboxes, self._desk.clock.now())

    @contextlib.asynccontextmanager
    async def still(self, seconds: float) -> AsyncIterator[None]:
        """Nothing is planned meanwhile, and what was planned before is committed. Raises StillPlanning when that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await self._planning.acquire()
        except TimeoutError:
            raise StillPlanning from None
        try:
            yield
        finally:
            self._planning.release()

    async def run(self) -> None:
        """Plan each route in its rhythm, and what a suspicion asks for at once, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.asked(), name="asked")
            await self._in_rhythm()

    async def asked(self) -> None:
        """Probes that a transition or a gate asks for, for ever. A route that is gone, or submission that is paused, answers with
        silence."""
        desk = self._desk
        async for entries in desk.follow(desk.world.seq):
            if desk.world.paused is not None:
                continue
            for entry in entries:
                match entry.fact:
                    case Transition(confirm=confirm) if confirm:
                        await self.plan_now(confirm, Purpose.CONFIRM)
                    case GateProbing() as fact:
                        await self._for_gate(fact)
                    case _:
                        pass

    async def _in_rhythm(self) -> None:
        desk = self._desk
        routes = desk.policy.routes
        slots = {s.route: s for s in plan.opening(routes, lambda r: desk.world.route(r).planned, desk.clock.now())}
        await self._note_backward_step()
        while True:
            await self._watch_clocks()
            now = desk.clock.now()
            if desk.policy.routes is not routes:
                routes = desk.policy.routes
                slots = plan.rejoined(slots, routes, lambda r: desk.world.route(r).planned, now)
            due = [slot for slot in slots.values() if now.reached(slot.due) and self._ready(slot.route.mailbox)]
            if desk.world.paused is None:
                await self.plan_now([slot.route for slot in due], Purpose.SCHEDULED)
            for slot in due:  # while paused the rhythm goes on, so that resuming is no burst
                slots[slot.route] = plan.following(routes[slot.route], slot.due, now, desk.entropy.uniform(-1.0, 1.0))
            await desk.clock.sleep(self._pause(slots.values()))

    async def plan_now(self, routes: Sequence[Route], purpose: Purpose) -> tuple[ProbeId, ...]:
        """Plan one probe now on each of these routes that are configured."""
        return await self._planned(routes, lambda route: self._probe(route, purpose))

    async def _for_gate(self, asked: GateProbing) -> None:
        """Under the deadline of the gate's policy. An attempt that is over by now wants none, nor does a mailbox whose watcher a reload
        has replaced and which the new one has not opened in time: what is not planned the gate asks for again."""
        boxes = {route.mailbox for route in asked.routes if route in self._desk.policy.routes}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN):
                await self.when_ready(boxes)

        def probe(route: RoutePolicy) -> ProbePlanned | None:
            state = self._desk.world.gates.known.get(asked.gate)
            if state is None or not state.running or state.request.attempt != asked.attempt or not self._ready(route.route.mailbox):
                return None
            seconds = state.request.policy.deadline
            deadlines = route.deadlines if seconds is None else plan.proven_by(seconds, route.deadlines)
            return dataclasses.replace(self._probe(route, Purpose.GATE), gate=state.id, deadlines=deadlines)

        await self._planned(asked.routes, probe)

    async def _planned(self, routes: Sequence[Route], probe: Callable[[RoutePolicy], ProbePlanned | None]) -> tuple[ProbeId, ...]:
        if not routes:
            return ()
        async with self._planning:
            known = self._desk.policy.routes
            facts = [fact for route in routes if route in known and (fact := probe(known[route]))]
            if facts:
                await self._desk.commit(facts)
        return tuple(fact.probe for fact in facts)

    async def when_ready(self, mailboxes: Iterable[MailboxName]) -> None:
        """Return when the watcher of each of these mailboxes has said watching or blind."""
        waiting = list(mailboxes)
        while not all(self._ready(name) for name in waiting):
            await self._desk.journal.wait(self._desk.journal.last)

    def _ready(self, mailbox: MailboxName) -> bool:
        state = self._desk.world.mailbox(mailbox)
        renewed = self._renewed.get(mailbox)
        return state.known_to(self._desk.clock.now().process) and (
            renewed is None or (state.stated is not None and state.stated.reached(renewed))
        )

    def _pause(self, slots: Iterable[plan.Slot]) -> float:
        now = self._desk.clock.now()
        first = plan.soonest(slots)
        if first is None:
            return TICK
        wait = -now.seconds_since(first.due)
        return min(TICK, wait if wait > 0 else WATCHER_WAIT)

    def _probe(self, route: RoutePolicy, purpose: Purpose) -> ProbePlanned:
        desk = self._desk
        policy = desk.policy
        path = policy.paths[route.route.path]
        mailbox = policy.mailboxes[route.route.mailbox]
        now = desk.clock.now()
        probe = ProbeId(desk.entropy.token(6).hex())
        text = token.mint(policy.keys, policy.environment, policy.instance, probe, route.route, int(now.utc))
        tale = story.tell_story(path.locales, desk.entropy.token(16))
        match path.via:
            case SmtpPath() as via:
                message_id = compose.message_id(text, via.identity.author.domain)
                sender = compose.envelope_sender(via.identity, probe)
            case HttpPath() | CommandPath():  # the application chooses both
                message_id, sender = "", mailbox.address
        return ProbePlanned(
            at=now,
            probe=probe,
            route=route.route,
            purpose=purpose,
            token=text,
            message_id=message_id,
            envelope_sender=sender,
            recipient=policy.seeds.admit(compose.recipient(mailbox.address, text, path.carriers, mailbox.plus_tags)),
            story=tale,
            expectation=story.expectation(path, tale, mailbox.plus_tags),
            deadlines=route.deadlines,
            policy_hash=route.policy_hash,
        )

    async def _watch_clocks(self) -> None:
        now = self._desk.clock.now()
        before, self._last_tick = self._last_tick, now
        if before is not None and (seconds := plan.jump(before, now)) is not None:
            await self._desk.commit([ClockJumped(now, seconds)])

    async def _note_backward_step(self) -> None:
        """A fact from the future is the one step that can be noticed across a restart."""
        now = self._desk.clock.now()
        latest = max((state.planned.utc for state in self._desk.world.routes.values() if state.planned), default=now.utc)
        if latest - now.utc > plan.JUMP_THRESHOLD:
            await self._desk.commit([ClockJumped(now, now.utc - latest)])
