"""watch: one watcher per mailbox looks for probes, in every folder, and says when it cannot see.

A watcher owns its connection. It waits in IDLE on INBOX; a probe that stays unseen makes it rotate through all folders; whatever it reads
is committed together with how far it read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from monitor.desk import Desk
from monitor.model.facts import Accepted, Attempted, CleanedUp, Fact, Looked, Scanned, Sighted, WatchBlind, WatchRestored
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Copy, Folder, Mark, Placement
from monitor.model.policy import MailboxPolicy
from monitor.model.probe import MailboxName, ProbeId
from monitor.ports import Mailbox, MailboxError
from monitor.rules import placement, watch
from monitor.stages.sorting import Sorter

LOGIN_SPREAD = 0.002  # seconds a mailbox at start: many accounts do not log in at one instant


class Watch:
    """All watchers of the daemon, and the nudge that shortens an IDLE when there is something to look for."""

    def __init__(self, desk: Desk, mailboxes: Mapping[MailboxName, Mailbox]) -> None:
        self._desk = desk
        self._watchers: dict[MailboxName, Watcher] = {}
        self._tasks: dict[MailboxName, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.begin(mailboxes)

    async def run(self) -> None:
        cursor = self._desk.world.seq
        async with asyncio.TaskGroup() as self._group:
            self._start(self._watchers)
            async for entries in self._desk.follow(cursor):
                for entry in entries:
                    if isinstance(entry.fact, Attempted):
                        self._expect(entry.fact.probe)
                    elif isinstance(entry.fact, Accepted):
                        self._named()

    @property
    def watched(self) -> Collection[MailboxName]:
        return self._watchers.keys()

    def begin(self, mailboxes: Mapping[MailboxName, Mailbox]) -> None:
        """Watch these too, by the policy in force."""
        self._watchers |= {name: Watcher(self._desk, self._desk.policy.mailboxes[name], mailbox) for name, mailbox in mailboxes.items()}
        self._start(mailboxes)

    async def end(self, mailboxes: Iterable[MailboxName]) -> dict[MailboxName, Mailbox]:
        """Stop watching these; returns their mailboxes, disconnected. What was read is committed together with how far it was read, so
        that nothing is lost or read twice by whoever watches next."""
        ended = {name: watcher for name in mailboxes if (watcher := self._watchers.pop(name, None))}
        tasks = [task for name in ended if (task := self._tasks.pop(name, None))]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        return {name: watcher.retire() for name, watcher in ended.items()}

    def _start(self, names: Iterable[MailboxName]) -> None:
        """Once the stage runs; before that, run() does it."""
        if self._group is None:
            return
        for number, name in enumerate(names):
            task = self._group.create_task(self._watchers[name].run(LOGIN_SPREAD * number), name=f"watch {name}")
            self._tasks[name] = task

    def _expect(self, probe: ProbeId) -> None:
        state = self._desk.world.probes.get(probe)
        if state is not None and (watcher := self._watchers.get(state.plan.route.mailbox)):
            watcher.expect()

    def _named(self) -> None:
        """A reply may have named refund mail that is held."""
        for watcher in self._watchers.values():
            watcher.reconsider()


class Watcher:
    """One mailbox."""

    def __init__(self, desk: Desk, policy: MailboxPolicy, mailbox: Mailbox) -> None:
        self._desk = desk
        self._policy = policy
        self._mailbox = mailbox
        self._sorter = Sorter(desk, policy)
        self._places: tuple[tuple[Folder, Placement], ...] = ()
        self._marks: dict[str, Mark] = {}  # how far we read; the journal's marks stay behind what is held
        self._looked: dict[str, Instant] = {}  # folder -> when the last look at it began
        self._last_round: Instant | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._hunger = 0  # rounds in a row that a hunted probe stayed unseen

    def expect(self) -> None:
        """A probe is on its way: come back from IDLE when it should have been seen. One alarm serves all that come meanwhile."""
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._desk.policy.watch.sweep_after, self._ring)

    def retire(self) -> Mailbox:
        """The mailbox, which nobody watches any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        return self._mailbox

    def reconsider(self) -> None:
        """Come back from IDLE now if there is mail that waits for a name."""
        if self._sorter.holds:
            self._mailbox.nudge()

    def _ring(self) -> None:
        self._alarm = None
        self._mailbox.nudge()

    async def run(self, delay: float = 0.0) -> None:
        """After `delay` seconds watch for ever; connect again, with growing waits, whenever the connection is lost."""
        await self._desk.clock.sleep(delay)
        failures = 0
        while True:
            began = self._desk.clock.now()
            try:
                await self._connect()
                while True:
                    await self._turn()
            except MailboxError as error:
                await self._blind(error)
            finally:
                await self._mailbox.close()
            if watch.lasted(began, self._desk.clock.now(), self._desk.policy.watch):
                failures = 0
            wait = watch.reconnect_wait(self._desk.policy.watch, failures, self._desk.entropy.uniform(0.5, 1.0))
            failures += 1
            await self._desk.clock.sleep(wait)

    async def _connect(self) -> None:
        folders = await self._mailbox.open()
        self._looked.clear()  # while we were away nobody looked
        await self._round(folders)
        await self._desk.commit([WatchRestored(self._desk.clock.now(), self._policy.name, len(self._places))])

    async def _turn(self) -> None:
        """Wait for news or for the next round that is due; look."""
        policy = self._desk.policy.watch
        wait = watch.until_next_round(self._hunts(), self._last_round, self._hunger, policy, self._desk.clock.now())
        if wait <= 0:
            await self._round()
            await self._clean_up()
        elif await self._mailbox.idle(min(wait, policy.idle_renew)):
            await self._look(*self._places[0])
        else:
            await self._resort()

    def _hunts(self) -> list[watch.Hunt]:
        world = self._desk.world
        hunts = (watch.hunt(state, world.route(state.plan.route).habit) for state in world.probes_to(self._policy.name))
        return [hunt for hunt in hunts if hunt is not None]

    async def _round(self, folders: tuple[Folder, ...] | None = None) -> None:
        """Look at every folder that there is now, INBOX first; a complete round is evidence of absence. A filter that sorts mail away
        may make its folder at the first mail."""
        began = self._desk.clock.now()
        self._places = self._laid_out(await self._mailbox.folders() if folders is None else folders)
        for folder, where in self._places:
            await self._look(folder, where)
        self._last_round = began
        hunts = self._hunts()
        self._hunger = self._hunger + 1 if any(not hunt.settled for hunt in hunts) else 0
        if hunts:
            await self._desk.commit([Looked(self._desk.clock.now(), self._policy.name, began, len(self._places))])

    def _laid_out(self, folders: tuple[Folder, ...]) -> tuple[tuple[Folder, Placement], ...]:
        layout = placement.layout(folders, self._policy.folders)
        if not layout.has_spam:
            names = ", ".join(sorted(repr(folder.name) for folder in folders)[:20])  # the server's words: nothing in them may act
            raise MailboxError(
                BlindCause.FOLDER_MISSING,
                f"no spam folder among: {names}",
                f"name it in mailboxes.{self._policy.name}.folders.spam",
            )
        return layout.places

    async def _look(self, folder: Folder, where: Placement) -> None:
        """Read what is new in one folder; facts and mark are committed as one."""
        desk = self._desk
        while True:
            began = desk.clock.now()
            marks = desk.world.mailbox(self._policy.name).marks
            mark = self._marks.get(folder.name) or marks.get(folder.name)
            look = await self._mailbox.look(folder, mark, self._since(began))
            seen = desk.clock.now()
            facts: list[Fact] = []
            for copy in look.copies:
                facts.extend(await self._sort(copy, where, seen))
            held = self._sorter.first_held(folder.name, look.mark.uidvalidity)
            kept = replace(look.mark, next_uid=min(held or look.mark.next_uid, look.mark.next_uid))
            if marks.get(folder.name) != kept:
                facts.append(Scanned(desk.clock.now(), self._policy.name, folder.name, kept))
            if facts:
                await desk.commit(facts)
            self._marks[folder.name] = look.mark
            if not look.more:
                self._looked[folder.name] = began
                break
        await self._resort()

    async def _sort(self, copy: Copy, where: Placement, seen: Instant) -> list[Fact]:
        facts = self._sorter.sort(copy, where, self._looked.get(copy.folder.name), seen)
        return [await self._with_moves(fact) if isinstance(fact, Sighted) else fact for fact in facts]

    async def _with_moves(self, fact: Sighted) -> Sighted:
        """If an earlier copy of this probe is no longer where it was seen, this one is the same message, moved."""
        state = self._desk.world.probes.get(fact.probe)
        if state is None:
            return fact
        gone = []
        for seen in state.own():
            old = seen.fact
            folder = next((f for f, _ in self._places if f.name == old.folder), None)
            if old.mailbox != self._policy.name or (old.folder, old.uid) == (fact.folder, fact.uid):
                continue
            if folder is None or not await self._mailbox.present(folder, old.uidvalidity, [old.uid]):
                gone.append(seen.seq)
        return watch.superseding(fact, tuple(gone)) if gone else fact

    async def _resort(self) -> None:
        """Refund mail that nobody claimed: look again whether a reply has named it meanwhile, or nothing is left that could."""
        facts = self._sorter.resort()
        if facts:
            await self._desk.commit(facts)

    async def _clean_up(self) -> None:
        """Delete our own judged and aged copies, and nothing else."""
        if not self._policy.clean_up:
            return
        desk = self._desk
        now = desk.clock.now()
        aged = watch.aged(desk.world.leftovers, self._policy, now)
        for folder, _ in self._places:
            batch = [leftover for leftover in aged if leftover.folder == folder.name]
            for uidvalidity in {leftover.uidvalidity for leftover in batch}:
                uids = [leftover.uid for leftover in batch if leftover.uidvalidity == uidvalidity]
                await self._mailbox.remove(folder, uidvalidity, uids)
                left = set(await self._mailbox.present(folder, uidvalidity, uids))
                gone = [x for x in batch if x.uidvalidity == uidvalidity and x.uid not in left]
                facts = [CleanedUp(desk.clock.now(), x.probe, x.mailbox, x.folder, x.uidvalidity, x.uid) for x in gone]
                if facts:
                    await desk.commit(facts)

    def _since(self, now: Instant) -> Instant:
        """How far back to read in a folder of which we hold no mark: to the oldest probe that is not closed."""
        oldest = next(iter(self._desk.world.probes.values()), None)
        return oldest.plan.at if oldest else now

    async def _blind(self, error: MailboxError) -> None:
        known = self._desk.world.mailbox(self._policy.name)
        now = self._desk.clock.now()
        if known.blind is None or known.blind.cause != error.cause or not known.known_to(now.process):
            await self._desk.commit([WatchBlind(now, self._policy.name, error.cause, error.detail, error.mend)])
