"""notify: tells people of incidents, over every channel that the policy names, until each has taken it.

A transition is the promise, Notified its receipt: a process that dies between the two tells again, under the same key.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from monitor.desk import Desk
from monitor.model.channels import AlertmanagerChannel
from monitor.model.facts import Acknowledged, Notified, NotifyFailed, Reloaded, Silenced, Transition
from monitor.model.incident import IncidentId
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice, NotTold, Telling, Told
from monitor.ports import Channel, JournalUnwritable
from monitor.rules import freshness, notify
from monitor.rules.notice import render
from monitor.views.outbox import Item

ATTEMPT = 10.0  # seconds that a channel has to take a notice
AT_ONCE = 8  # notices under way to one channel, and as many reminders
IDLE = 60.0  # the longest wait without a look: UTC, in which silences are told, may be set
WATCH_DISK = 5.0

Place = tuple[str, IncidentId]  # channel and incident: within one, everything is told in order


class Notify:
    def __init__(self, desk: Desk, channels: Mapping[str, Channel]) -> None:
        """`channels` may change; a Reloaded fact makes us look."""
        self._desk = desk
        self._channels = channels
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._turns: dict[Place, asyncio.Lock] = {}
        self._slots: dict[tuple[str, bool], asyncio.Semaphore] = {}
        self._said: dict[Place, Item] = {}  # what a channel took from this process: a full disk must not make us repeat older words
        self._taken_back: set[tuple[str, int, str]] = set()
        self._unreminded: set[str] = set()  # channels whose last reminder failed
        self._changed = asyncio.Event()
        self._reloaded = asyncio.Event()  # replaced when it is set

    async def run(self) -> None:
        desk = self._desk
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(desk.world.seq), name="notify: listen")
            tasks.create_task(self._remind(tasks), name="notify: remind")
            tasks.create_task(self._tell_from_memory(), name="notify: from memory")
            while True:
                self._changed.clear()
                now = desk.clock.now()
                for duty in notify.duties(desk.world.outbox, desk.policy.notify, now):
                    self._begin(tasks, (duty.channel, duty.item.transition.incident))
                wait = notify.until_next(desk.world.outbox, desk.policy.notify, now)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if wait is None else min(wait, IDLE)):
                        await self._changed.wait()

    async def _listen(self, after: int) -> None:
        async for entries in self._desk.follow(after):
            if any(isinstance(entry.fact, Reloaded) for entry in entries):
                self._reloaded.set()
                self._reloaded = asyncio.Event()
            if any(isinstance(entry.fact, Transition | Silenced | Acknowledged | NotifyFailed | Reloaded) for entry in entries):
                self._changed.set()

    def _begin(self, tasks: asyncio.TaskGroup, place: Place) -> None:
        if place not in self._running and place[0] in self._channels:
            self._running[place] = tasks.create_task(self._tell_all(place), name=f"notify {place[0]} {place[1]}")

    async def _tell_all(self, place: Place) -> None:
        """All that this channel is owed about this incident, one after the other."""
        desk = self._desk
        telling: Item | None = None
        attempt = 0
        try:
            while duty := notify.duty(desk.world.outbox, desk.policy.notify, desk.clock.now(), *place):
                if duty.item is not telling:
                    telling, attempt = duty.item, _attempts(duty)
                attempt += 1
                if (pause := await self._attempt(duty, attempt)) is not None:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._reloaded.wait()  # what was mended is tried at once
        finally:
            del self._running[place]
            self._changed.set()  # what came meanwhile finds its task

    async def _attempt(self, duty: notify.Duty, attempt: int) -> float | None:
        """Seconds until the next one; None when the item is settled for this channel."""
        desk, item = self._desk, duty.item
        incident = item.transition.incident
        async with self._turn((duty.channel, incident)):
            if item.superseded:  # silenced while it waited for its turn
                return 0.0
            outcome = await self._say(duty.channel, item, self._notice(item, duty.call))
        now = desk.clock.now()
        match outcome:
            case Told(receipt):
                await desk.commit([Notified(now, incident, duty.channel, item.seq, attempt, receipt)], durable=True)
                return None
            case NotTold(detail, _, mend):
                age = now.seconds_since(item.due)
                retry_in = notify.wait(attempt, outcome, age, desk.policy.notify, desk.entropy.uniform(0.0, 1.0))
                failure = NotifyFailed(now, incident, duty.channel, item.seq, attempt, detail, mend, retry_in)
                if retry_in is None:
                    await desk.commit([failure], durable=True)
                elif notify.is_news(item.failed.get(duty.channel), item.due, retry_in, now):
                    await self._record(failure)
                return retry_in

    def _notice(self, item: Item, call: Call) -> Notice:
        policy, fact = self._desk.policy, item.transition
        told_late = item.fires and (item.held or item.taken)  # a reminder, or what a silence held back: nobody may have looked since
        if told_late and (dated := freshness.dated(self._desk.world, policy, fact, self._desk.clock.now())):
            fact = dataclasses.replace(fact, note=f"{fact.note}; {dated}" if fact.note else dated)
        return render(fact, policy, notify.key(policy, item), call, after_silence=item.held and item.fires)

    @contextlib.asynccontextmanager
    async def _turn(self, place: Place, reminder: bool = False) -> AsyncIterator[None]:
        """One notice at a time to one channel about one incident, and a few in all to one channel; news does not queue behind
        reminders."""
        slots = self._slots.setdefault((place[0], reminder), asyncio.Semaphore(AT_ONCE))
        async with self._turns.setdefault(place, asyncio.Lock()), slots:
            yield

    async def _say(self, name: str, item: Item, notice: Notice) -> Telling:
        channel = self._channels.get(name)
        if channel is None:
            return NotTold("the channel is being replaced", transient=True)
        outcome = await channel.tell(notice, ATTEMPT)
        if isinstance(outcome, Told):
            self._said[(name, item.transition.incident)] = item
        return outcome

    async def _record(self, fact: Notified | NotifyFailed) -> None:
        """Write it down if that is possible now: a full disk does not keep us from the next attempt."""
        with contextlib.suppress(JournalUnwritable):
            await self._desk.journal.append([fact])

    # --- channels that forget ------------------------------------------------------------------------------------------

    async def _remind(self, tasks: asyncio.TaskGroup) -> None:
        """Alertmanager keeps alerts in memory and lets them expire: it is told again and again, also after a restart of either."""
        clock = self._desk.clock
        due: dict[str, float] = {}
        rounds: dict[str, asyncio.Task[None]] = {}
        while True:
            now = clock.now().mono
            policy = self._desk.policy.notify.channels
            forgetful = {name: via.resend_every for name, via in policy.items() if isinstance(via, AlertmanagerChannel)}
            for name, every in forgetful.items():
                if name not in due or now >= due[name]:
                    due[name] = now + every
                    if name not in rounds or rounds[name].done():  # a round that hangs is not doubled
                        rounds[name] = tasks.create_task(self._remind_channel(name), name=f"notify: remind {name}")
            self._forget_places()
            await clock.sleep(min((due[name] - now for name in forgetful), default=IDLE))

    async def _remind_channel(self, name: str) -> None:
        if name not in self._channels:
            return
        said = {incident: item for (channel, incident), item in self._said.items() if channel == name}
        reminders = notify.reminders(self._desk.world.outbox, name, said, self._desk.clock.now())
        outcomes = await asyncio.gather(*[self._remind_one(name, reminder) for reminder in reminders])
        answered = [(reminder.item, outcome) for reminder, outcome in zip(reminders, outcomes, strict=True) if outcome is not None]
        await self._note_reminders(name, answered)

    async def _remind_one(self, name: str, reminder: notify.Reminder) -> Telling | None:
        item, place = reminder.item, (name, reminder.item.transition.incident)
        mark = (name, item.seq, reminder.hushed)
        async with self._turn(place, reminder=True):
            said = self._said.get(place)
            if mark in self._taken_back or (said is not None and said.seq > item.seq):
                return None  # there is nothing more to take back, or newer words came meanwhile
            notice = self._notice(item, Call.FIRE if item.fires else Call.RESOLVE)
            if reminder.hushed:
                notice = dataclasses.replace(notice, call=Call.RESOLVE, title=f"[not over: {reminder.hushed}] {notice.title}")
            outcome = await self._say(name, item, notice)
        if reminder.hushed and isinstance(outcome, Told):
            self._taken_back.add(mark)
        return outcome

    async def _note_reminders(self, name: str, answered: Sequence[tuple[Item, Telling]]) -> None:
        """Reminders are no facts; that a channel stopped taking them, or takes all of them again, is one."""
        now = self._desk.clock.now()
        refused = next(((item, outcome) for item, outcome in answered if isinstance(outcome, NotTold)), None)
        if refused is not None and name not in self._unreminded:
            item, failure = refused
            self._unreminded.add(name)
            await self._record(
                NotifyFailed(now, item.transition.incident, name, item.seq, 0, failure.detail, failure.mend, self._again_after(name))
            )
        elif answered and refused is None and name in self._unreminded:
            self._unreminded.discard(name)
            item, _ = answered[-1]
            await self._record(Notified(now, item.transition.incident, name, item.seq, 0, "takes reminders again"))

    def _forget_places(self) -> None:
        """Nothing is kept for incidents that nobody speaks of any more."""
        known = self._desk.world.outbox.standings
        idle = [place for place, turn in self._turns.items() if place[1] not in known and not turn.locked()]
        for place in idle:
            del self._turns[place]
            self._said.pop(place, None)
        live = {item.seq for item in self._desk.world.outbox.items.values()}
        self._taken_back = {mark for mark in self._taken_back if mark[1] in live}

    # --- without a journal ---------------------------------------------------------------------------------------------

    async def _tell_from_memory(self) -> None:
        """A journal that cannot be written takes no transition: the page channels are told directly, and told when it is over."""
        desk = self._desk
        since: Instant | None = None
        while True:
            await desk.clock.sleep(WATCH_DISK)
            now = desk.clock.now()
            if desk.writable:
                since = None
            elif since is None:
                since = now
            elif now.seconds_since(since) >= notify.UNWRITABLE_AFTER:
                await self._unwritable(since)
                since = None

    async def _unwritable(self, since: Instant) -> None:
        """Returns when the journal is written again and whoever heard of it has been told, or cannot be."""
        desk = self._desk
        firing = notify.unwritable_notice(desk.policy, since, None)
        took: set[str] = set()
        refused: Counter[str] = Counter()
        due: dict[str, float] = {}
        while not desk.writable:
            now = desk.clock.now()
            late = now.seconds_since(since) >= desk.policy.notify.fallback_after and not took
            names = dict.fromkeys(notify.unwritable_audience(desk.policy.notify) + (desk.policy.notify.fallback if late else ()))
            wanted = [name for name in names if now.mono >= due.get(name, now.mono)]
            told = await self._broadcast(wanted, firing)
            took |= told
            refused.update(name for name in wanted if name not in told)
            due |= {name: now.mono + self._again_after(name, refused[name] if name not in told else 0) for name in wanted}
            await desk.clock.sleep(WATCH_DISK)
        over = notify.unwritable_notice(desk.policy, since, desk.clock.now())
        left = sorted(took)
        for attempt in range(10):
            told = await self._broadcast(left, over)
            left = [name for name in left if name not in told]
            if not left or not desk.writable:
                return
            await desk.clock.sleep(min(notify.LONGEST_WAIT, 2.0**attempt))

    def _again_after(self, name: str, refused: int = 0) -> float:
        """Seconds until a channel is told again: it refused so often, or it forgets."""
        if refused:
            return min(notify.LONGEST_WAIT, WATCH_DISK * 2.0 ** min(refused, 10))
        via = self._desk.policy.notify.channels.get(name)
        return via.resend_every if isinstance(via, AlertmanagerChannel) else float("inf")

    async def _broadcast(self, names: list[str], notice: Notice) -> set[str]:
        """Those of the channels that took it."""
        known = [name for name in names if name in self._channels]
        outcomes = await asyncio.gather(*[self._channels[name].tell(notice, ATTEMPT) for name in known])
        return {name for name, outcome in zip(known, outcomes, strict=True) if isinstance(outcome, Told)}


def _attempts(duty: notify.Duty) -> int:
    """Those that the journal knows of: an earlier process may have made them."""
    failure = duty.item.failed.get(duty.channel)
    return failure.attempt if failure is not None else 0
