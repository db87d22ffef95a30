"""The composition root: settings -> edges -> stages in one TaskGroup; drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from monitor import __version__
from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.http import HttpSubmitter
from monitor.edge.imap import ImapMailbox
from monitor.edge.journal import SqliteJournal
from monitor.edge.ownership import MailboxOwned, MailboxOwnership
from monitor.edge.secret import SystemSecrets
from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.model.facts import Started
from monitor.model.policy import CommandPath, HttpPath, Policy, SmtpPath
from monitor.model.probe import MailboxName, PathName
from monitor.ports import Channel, Clock, Entropy, JournalUnwritable, Mailbox, Secrets, Submitter
from monitor.stages.incident import Incident
from monitor.stages.judge import Judge
from monitor.stages.notify import Notify
from monitor.stages.plan import Plan
from monitor.stages.submit import Submit
from monitor.stages.tripwire import Tripwire
from monitor.stages.watch import Watch
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World, utc_day

SNAPSHOT_EVERY = 5_000  # facts between snapshots: at most that many are folded at a start
UPKEEP_EVERY = 60.0
HEARTBEAT = 1.0


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything of the outside world that the stages use."""

    clock: Clock
    entropy: Entropy
    secrets: Secrets
    submitters: Mapping[PathName, Submitter]
    mailboxes: Mapping[MailboxName, Mailbox]
    channels: Mapping[str, Channel] = field(default_factory=dict)


def build_edges(policy: Policy) -> Edges:
    """The real edges for a policy. Opens nothing yet."""
    clock, secrets, tls = SystemClock(), SystemSecrets(), TlsContexts()
    submitters: dict[PathName, Submitter] = {}
    for name, path in policy.paths.items():
        match path.via:
            case SmtpPath():
                submitters[name] = SmtpSubmitter(path, policy.seeds, secrets, tls.get)
            case HttpPath():
                submitters[name] = HttpSubmitter(path, policy.seeds, secrets, tls.get)
            case CommandPath():
                raise NotImplementedError
    mailboxes: dict[MailboxName, Mailbox] = {
        name: ImapMailbox(box, policy.watch, secrets, tls.get, clock) for name, box in policy.mailboxes.items()
    }
    return Edges(clock, SystemEntropy(), secrets, submitters, mailboxes)


class App:
    """One daemon, or one one-shot run: journal, views, stages. Holds the mailboxes and the journal while it lives."""

    def __init__(self, policy: Policy, edges: Edges, journal: SqliteJournal, world: World) -> None:
        self.edges = edges
        self.journal = journal
        self.desk = Desk(journal, world, edges.clock, edges.entropy, policy)
        self.vitals = Vitals(reloaded_at=edges.clock.now().utc)
        self.metrics = Metrics(policy, world, self.vitals)
        journal.fold_into(self.metrics.count)
        self.plan = Plan(self.desk)
        self.submit = Submit(self.desk, edges.submitters)
        self.watch = Watch(self.desk, edges.mailboxes)
        self.judge = Judge(self.desk)
        self.tripwire = Tripwire(self.desk)
        self.incident = Incident(self.desk)
        self.notify = Notify(self.desk, edges.channels)
        self._last_beat = edges.clock.now()
        self._snapshot_seq = world.seq

    def alive(self) -> float:
        """Seconds since the event loop last ticked."""
        return self.edges.clock.now().seconds_since(self._last_beat)

    @contextlib.asynccontextmanager
    async def running(self, *more: Callable[[], Awaitable[None]], schedule: bool) -> AsyncIterator[None]:
        """The stages run while the body does; then submissions under way may end within the drain time.

        A stage that ends or fails ends the daemon: its exception comes out of here, in an ExceptionGroup.
        """
        await self.journal.append([Started(self.edges.clock.now(), __version__, self.desk.policy.policy_hash)])
        async with asyncio.TaskGroup() as tasks:
            loops: dict[str, Callable[[], Awaitable[None]]] = {
                "submit": self.submit.run,
                "watch": self.watch.run,
                "judge": self.judge.run,
                "upkeep": self._upkeep,
                "heartbeat": self._heartbeat,
            }
            if schedule:  # a one-shot run says what became of its probes, and pages nobody
                loops["plan"] = self.plan.run
                loops["tripwire"] = self.tripwire.run
                loops["incident"] = self.incident.run
                loops["notify"] = self.notify.run
            for extra in more:
                loops[extra.__name__] = extra
            running = [tasks.create_task(_guard(name, loop), name=name) for name, loop in loops.items()]
            try:
                yield
                await self.submit.drain(self.desk.policy.drain)
            finally:
                for task in running:
                    task.cancel()

    async def _upkeep(self) -> None:
        """Snapshots, retention, and the size of the journal."""
        while True:
            await self.edges.clock.sleep(UPKEEP_EVERY)
            with contextlib.suppress(JournalUnwritable):
                if self.desk.world.seq - self._snapshot_seq >= SNAPSHOT_EVERY:
                    await self._snapshot()
                while await self.journal.retire(self.desk.policy.retention, self.edges.clock.now().utc):
                    await self.edges.clock.sleep(0.05)
                self.vitals.journal_bytes = await self.journal.size()

    async def _snapshot(self) -> None:
        self._snapshot_seq = self.desk.world.seq
        await self.journal.save_snapshot("world", self.desk.world)

    async def _heartbeat(self) -> None:
        while True:
            before = self.edges.clock.now()
            await self.edges.clock.sleep(HEARTBEAT)
            self._last_beat = self.edges.clock.now()
            self.vitals.loop_lag = max(0.0, self._last_beat.seconds_since(before) - HEARTBEAT)
            self.vitals.journal_writable = self.desk.writable
            self.vitals.day = utc_day(self._last_beat)
            self.metrics.journal_refused(self.desk.refused)
            self.desk.refused = 0

    async def close(self) -> None:
        """Last in, first out: connections, then a snapshot, then the journal."""
        for mailbox in self.edges.mailboxes.values():
            await mailbox.close()
        for submitter in self.edges.submitters.values():
            await submitter.close()
        for channel in self.edges.channels.values():
            await channel.close()
        with contextlib.suppress(JournalUnwritable):
            await self._snapshot()
        await self.journal.close()


@contextlib.asynccontextmanager
async def assembled(policy: Policy, exclusive: bool, edges: Callable[[Policy], Edges] = build_edges) -> AsyncIterator[App]:
    """Take the mailboxes and the journal, restore the views, wire everything.

    Raises JournalError; with `exclusive` also MailboxOwned, when a live daemon of this host watches one of the mailboxes.
    """
    with MailboxOwnership() as ownership:
        for box in policy.mailboxes.values():
            with contextlib.nullcontext() if exclusive else contextlib.suppress(MailboxOwned):  # daemons may share mailboxes
                ownership.claim(box.host, box.port, box.username)
        journal = SqliteJournal(Path(policy.state_dir))
        world = journal.restore("world", World)
        app = App(policy, edges(policy), journal, world)
        try:
            yield app
        finally:
            await app.close()


async def _guard(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """A stage runs for ever; one that returns is broken."""
    await loop()
    raise RuntimeError(f"the stage {name} ended")
