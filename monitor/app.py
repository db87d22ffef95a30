"""The composition root: settings -> edges -> stages in one TaskGroup; another configuration while they run; drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from monitor import __version__
from monitor.desk import Desk, Observed
from monitor.edge.descriptors import exhausted
from monitor.edge.journal import SqliteJournal
from monitor.edge.ledger import SqliteLedger
from monitor.edge.ownership import MailboxOwned, MailboxOwnership, OwnershipError
from monitor.model.facts import Reloaded, ReloadRefused, Started
from monitor.model.instant import Instant
from monitor.model.policy import MailboxPolicy, Policy, SigningKey
from monitor.model.probe import MailboxName, ProbeId
from monitor.ports import JournalUnwritable
from monitor.rules import reload
from monitor.stages.annotate import Annotate
from monitor.stages.gate import Gate
from monitor.stages.heartbeat import Beat
from monitor.stages.incident import Incident
from monitor.stages.inspect import Inspect
from monitor.stages.judge import Judge
from monitor.stages.notify import Notify
from monitor.stages.plan import Plan, StillPlanning
from monitor.stages.reconcile import Reconcile
from monitor.stages.submit import Submit
from monitor.stages.tripwire import Tripwire
from monitor.stages.watch import Watch
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.budget import utc_day
from monitor.views.world import World
from monitor.wiring import Channels, Closable, Edges, Farewells, build_edges, kept_edges

__all__ = ["App", "Edges", "assembled", "build_edges"]

Held = dict[MailboxName, tuple[MailboxPolicy, frozenset[ProbeId]]]  # removed mailboxes; the probes that may still come there

SNAPSHOT_EVERY = 5_000  # facts between snapshots: at most that many are folded at a start
UPKEEP_EVERY = 60.0
TICK = 1.0
STARVED = 1.0  # seconds that a tick may be late before attempts under way are doubted
STILL_WITHIN = 10.0  # seconds that a reload waits for a plan that is being written down
FAREWELL = 60.0  # seconds until a channel or heartbeat that a reload replaced is closed: longer than any deadline of telling


class App:
    """One daemon, or one one-shot run: journal, views, stages. Holds the mailboxes and the journal while it lives."""

    def __init__(
        self,
        policy: Policy,
        edges: Edges,
        journal: SqliteJournal,
        world: World,
        build: Callable[[Policy, Edges | None], Edges] = build_edges,
        ownership: MailboxOwnership | None = None,
    ) -> None:
        self.edges = edges
        self.journal = journal
        observed = Observed(journal, edges.clock)
        self.desk = Desk(observed, world, edges.clock, edges.entropy, policy, reading=observed.reading)
        self.vitals = Vitals(reloaded_at=edges.clock.now().utc)
        self.metrics = Metrics(policy, world, self.vitals)
        journal.fold_into(self.metrics.count)
        self.plan = Plan(self.desk)
        self.submit = Submit(self.desk, edges.submitters, exhausted)
        self.watch = Watch(self.desk, edges.mailboxes)
        self.judge = Judge(self.desk)
        self.tripwire = Tripwire(self.desk, edges.resolver, edges.suffixes)
        self.ledger = SqliteLedger(journal.path.with_name("ledger.sqlite3"))
        self.reconcile = Reconcile(self.desk, self.ledger, edges.sources)
        self.incident = Incident(self.desk, self.ledger)
        self.gate = Gate(self.desk)
        self.inspect = Inspect(self.desk, edges.resolver, edges.transport, edges.suffixes)
        self._channels = Channels(edges.channels)
        self.notify = Notify(self.desk, self._channels)
        self.beat = Beat(self.desk, edges.heartbeat, self._beaten)
        self.annotate = Annotate(self.desk, edges.annotator, self.metrics.annotations_failed)
        self._build = build
        self._ownership = ownership
        self._configured = policy  # as the file has it; the desk's holds what must outlive a reload too
        self._held: Held = {}
        self._held_keys: dict[SigningKey, frozenset[ProbeId]] = {}
        self._changing = asyncio.Lock()  # of what is in force, and of who watches
        self._ending = False
        self._tasks: asyncio.TaskGroup | None = None
        self._farewells = Farewells(edges.clock, FAREWELL)
        self._last_tick = edges.clock.now()
        self._snapshot_seq = world.seq

    def alive(self) -> float:
        """Seconds without progress: since the event loop last ticked, or since a stage has been stuck on what it was given."""
        return max(self.edges.clock.now().seconds_since(self._last_tick), *self.desk.stuck().values(), 0.0)

    @contextlib.asynccontextmanager
    async def running(self, *more: Callable[[], Awaitable[None]], schedule: bool) -> AsyncIterator[None]:
        """The stages run while the body does; then nothing more is planned, and submissions under way may end within the drain time.

        A stage that ends or fails ends the daemon: its exception comes out of here, in an ExceptionGroup.
        """
        await self.journal.append([Started(self.edges.clock.now(), __version__, self.desk.policy.policy_hash)])
        async with asyncio.TaskGroup() as self._tasks:
            loops: dict[str, Callable[[], Awaitable[None]]] = {
                "submit": self.submit.run,
                "watch": self.watch.run,
                "judge": self.judge.run,
                "tripwire": self.tripwire.run,
                "gate": self.gate.run,
                "plan": self.plan.run if schedule else self.plan.asked,
                "upkeep": self._upkeep,
                "tick": self._tick,
                "releasing": self._releasing,
            }
            if schedule:  # a one-shot run says what became of its probes, and pages nobody
                loops["inspect"] = self.inspect.run
                loops["reconcile"] = self.reconcile.run
                loops["incident"] = self.incident.run
                loops["notify"] = self.notify.run
                loops["heartbeat"] = self.beat.run
                loops["annotate"] = self.annotate.run
            for extra in more:
                loops[extra.__name__] = extra
            running = {name: self._tasks.create_task(_guard(name, loop), name=name) for name, loop in loops.items()}
            try:
                yield
                self._ending = True
                running["plan"].cancel()
                await self.submit.drain(self.desk.policy.drain)
            finally:
                for task in running.values():
                    task.cancel()
                self._farewells.cancel()

    # --- another configuration -----------------------------------------------------------------------------------

    async def refuse(self, why: str) -> None:
        """The configuration was read again and cannot be taken: nothing changes, and everybody may know."""
        self.vitals.reload_ok = False
        with contextlib.suppress(JournalUnwritable):
            await self.journal.append([ReloadRefused(self.edges.clock.now(), why)])

    async def reload(self, policy: Policy) -> str:
        """Put another configuration in force, whole or not at all; returns why not. One call at a time.

        Mailboxes that it removes are watched, and keys that it removes verify, until the probes in flight that need them are closed.
        """
        old = self._configured
        why = "; ".join(reload.refusals(old, policy))
        if self._ending:
            why = "the daemon is stopping; the next start reads the configuration"
        elif not self.desk.writable:
            why = "the journal cannot be written, and no configuration comes into force without its fact; free disk space, then reload"
        try:
            if not why:
                self._claim(policy)
        except OwnershipError as error:
            why = str(error)
        try:
            if not why:
                async with self._changing, self.plan.still(STILL_WITHIN):
                    why = await self._replace(policy)
        except StillPlanning:
            why = "a plan waits for the journal to take it; reload again"
        if why:
            self._give_back(policy)
            await self.refuse(why)
        return why

    async def _replace(self, policy: Policy) -> str:
        """While nothing is planned: every probe so far is in the world, and was planned by the policy before."""
        old, before, running, probes = self._configured, self.desk.policy, self.edges, self.desk.world.probes
        edges = kept_edges(old, before.mailboxes, running, policy, self._build(policy, running))
        stopped = await self.watch.end(name for name, box in edges.mailboxes.items() if running.mailboxes.get(name) not in (None, box))
        removed = {name: box for name, box in before.mailboxes.items() if name not in policy.mailboxes}
        held = {name: self._held.get(name) or (box, reload.probes_for(box, probes)) for name, box in removed.items()}
        held = {name: entry for name, entry in held.items() if entry[1]}
        was = (old, running, self._held, self._held_keys)
        kept = {name: running.mailboxes[name] for name in held}
        # before its fact: whoever is woken by that finds what it speaks of
        self._put_in_force(
            policy,
            replace(edges, mailboxes={**edges.mailboxes, **kept}),
            held,
            reload.keys_in_use(before, policy, probes),
        )
        try:
            await self.journal.append([Reloaded(self.edges.clock.now(), policy.policy_hash, reload.changes(old, policy))])
        except JournalUnwritable as error:
            self._put_in_force(*was)
            self.watch.begin(stopped)
            return str(error)
        self.metrics.reload(self.desk.policy)
        self.plan.renewed(name for name, box in edges.mailboxes.items() if running.mailboxes.get(name) is not box)
        await self.submit.reload(edges.submitters)
        self.beat.reload(edges.heartbeat)
        self.annotate.reload(edges.annotator)
        self.inspect.reload(edges.resolver, edges.transport, edges.suffixes)
        self.tripwire.reload(edges.resolver, edges.suffixes)
        self.reconcile.reload(edges.sources)
        self._part_with(one for name, one in running.channels.items() if edges.channels.get(name) is not one)
        self._part_with([running.heartbeat] if running.heartbeat and edges.heartbeat is not running.heartbeat else [])
        self._part_with([running.annotator] if running.annotator and edges.annotator is not running.annotator else [])
        self._part_with([running.resolver] if running.resolver and edges.resolver is not running.resolver else [])
        self._part_with(one for name, one in running.sources.items() if edges.sources.get(name) is not one)
        await self.watch.end(name for name in removed if name not in self._held)
        self._give_back(before)
        self._watch_new()
        self.vitals.reload_ok, self.vitals.reloaded_at = True, self.edges.clock.now().utc
        return ""

    def _put_in_force(self, configured: Policy, edges: Edges, held: Held, keys: dict[SigningKey, frozenset[ProbeId]]) -> None:
        self._configured, self.edges, self._held, self._held_keys = configured, edges, held, keys
        self.desk.policy = reload.in_force(configured, {name: box for name, (box, _) in held.items()}, keys)
        self._channels.now = edges.channels

    def _watch_new(self) -> None:
        """Begin to watch what nobody watches yet. Another name for an account that is still watched has to wait."""
        held = [box for box, _ in self._held.values()]
        boxes = self._configured.mailboxes
        free = [name for name in boxes if name not in self.watch.watched and not any(reload.same_account(boxes[name], box) for box in held)]
        self.watch.begin({name: self.edges.mailboxes[name] for name in free})

    async def _releasing(self) -> None:
        """Let go of what a reload left and the probes in flight no longer need."""
        while True:
            await self.edges.clock.sleep(TICK)
            async with self._changing:
                await self._release()

    async def _release(self) -> None:
        probes, before = self.desk.world.probes, self.desk.policy
        free = [name for name, (_, awaited) in self._held.items() if awaited.isdisjoint(probes)]
        old = [key for key, awaited in self._held_keys.items() if awaited.isdisjoint(probes)]
        if not free and not old:
            return
        await self.watch.end(free)
        self._put_in_force(
            self._configured,
            replace(self.edges, mailboxes={name: box for name, box in self.edges.mailboxes.items() if name not in free}),
            {name: entry for name, entry in self._held.items() if name not in free},
            {key: awaited for key, awaited in self._held_keys.items() if key not in old},
        )
        if free:
            self.metrics.reload(self.desk.policy)
        self._give_back(before)
        self._watch_new()

    def _claim(self, policy: Policy) -> None:
        if self._ownership is not None:
            for box in policy.mailboxes.values():
                with contextlib.suppress(MailboxOwned):  # daemons may share mailboxes
                    self._ownership.claim(box.host, box.port, box.username)

    def _give_back(self, before: Policy) -> None:
        if self._ownership is not None:
            kept = {(box.host, box.port, box.username) for box in self.desk.policy.mailboxes.values()}
            for box in before.mailboxes.values():
                if (box.host, box.port, box.username) not in kept:
                    self._ownership.release(box.host, box.port, box.username)

    def _part_with(self, replaced: Iterable[Closable]) -> None:
        if self._tasks is not None:
            self._farewells.part_with(self._tasks, replaced)

    # --- by itself -----------------------------------------------------------------------------------------------

    async def _upkeep(self) -> None:
        """Snapshots, retention, and the size of the journal. One that a restart could not read ends the daemon."""
        while True:
            await self.edges.clock.sleep(UPKEEP_EVERY)
            await self.journal.verify()
            with contextlib.suppress(JournalUnwritable):
                if self.desk.world.seq - self._snapshot_seq >= SNAPSHOT_EVERY:
                    await self._snapshot()
                while await self.journal.retire(self.desk.policy.retention, self.edges.clock.now().utc):
                    await self.edges.clock.sleep(0.05)
                self.vitals.journal_bytes = await self.journal.size()

    async def _snapshot(self) -> None:
        self._snapshot_seq = self.desk.world.seq
        await self.journal.save_snapshot("world", self.desk.world)

    async def _tick(self) -> None:
        while True:
            before = self.edges.clock.now()
            await self.edges.clock.sleep(TICK)
            self._last_tick = self.edges.clock.now()
            self.vitals.loop_lag = max(0.0, self._last_tick.seconds_since(before) - TICK)
            if self.vitals.loop_lag > STARVED:
                self.desk.starved = self._last_tick
            self.vitals.journal_writable = self.desk.writable
            self.vitals.day = utc_day(self._last_tick)
            self.metrics.journal_refused(self.desk.refused)
            self.desk.refused = 0

    def _beaten(self, at: Instant, well: bool) -> None:
        if well:
            self.vitals.heartbeat_at = at.utc

    async def close(self) -> None:
        """Last in, first out: connections, then a snapshot, then the journal."""
        for mailbox in self.edges.mailboxes.values():
            await mailbox.close()
        for submitter in self.edges.submitters.values():
            await submitter.close()
        for channel in self.edges.channels.values():
            await channel.close()
        if self.edges.heartbeat is not None:
            await self.edges.heartbeat.close()
        if self.edges.annotator is not None:
            await self.edges.annotator.close()
        if self.edges.resolver is not None:
            await self.edges.resolver.close()
        for source in self.edges.sources.values():
            await source.close()
        await self.ledger.close()
        with contextlib.suppress(JournalUnwritable):
            await self._snapshot()
        await self.journal.close()


@contextlib.asynccontextmanager
async def assembled(policy: Policy, exclusive: bool, build: Callable[[Policy, Edges | None], Edges] = build_edges) -> AsyncIterator[App]:
    """Take the mailboxes and the journal, restore the views, wire everything.

    Raises JournalError; with `exclusive` also MailboxOwned, when a live daemon of this host watches one of the mailboxes.
    """
    with MailboxOwnership() as ownership:
        for box in policy.mailboxes.values():
            with contextlib.nullcontext() if exclusive else contextlib.suppress(MailboxOwned):  # daemons may share mailboxes
                ownership.claim(box.host, box.port, box.username)
        journal = SqliteJournal(Path(policy.state_dir))
        world = journal.restore("world", World)
        app = App(policy, build(policy, None), journal, world, build, ownership)
        try:
            yield app
        finally:
            await app.close()


async def _guard(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """A stage runs for ever; one that returns is broken."""
    await loop()
    raise RuntimeError(f"the stage {name} ended")
