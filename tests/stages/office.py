"""The notify stage on virtual time: its channels, a journal in memory whose disk may be full, and what people and the engine say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from monitor.desk import Desk
from monitor.edge.journal import MemoryJournal
from monitor.model.channels import NotifyPolicy, WebhookChannel
from monitor.model.facts import Entry, Fact, Silenced, Transition
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.ports import JournalUnwritable
from monitor.stages.notify import Notify
from monitor.views.world import World
from tests.fakes.channel import FakeChannel
from tests.stages.house import policy
from tests.stages.virtual import FakeEntropy, VirtualClock

F = TypeVar("F", bound=Fact)

ONE, TWO = IncidentId("INC-1"), IncidentId("INC-2")
APP = Scope(ScopeKind.PATH, "relay")
HOOK = WebhookChannel("https://hook.test/", None)


class Disk(MemoryJournal):
    """A journal whose disk may be full."""

    full = False

    def __init__(self, fold: Callable[[Entry], None]) -> None:
        super().__init__(fold)
        self.fsynced: list[Fact] = []

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        if self.full:
            raise JournalUnwritable("no space left on device")
        self.fsynced += facts if durable else ()
        return await super().append(facts, durable)


class Office:
    """The stage, its channels, and a journal in memory. `before`: the same in a process that is gone."""

    def __init__(self, base: Path | Policy, fakes: Mapping[str, FakeChannel], before: Office | None = None, **notify: object) -> None:
        told = {"channels": dict.fromkeys(fakes, HOOK), "pages": tuple(fakes), "tickets": tuple(fakes)} | notify
        self.policy = replace(policy(base) if isinstance(base, Path) else base, notify=NotifyPolicy(**told))  # type: ignore[arg-type]
        self.fakes = fakes
        self.world = World()
        self.entries: list[Entry] = []
        self.clock = VirtualClock() if before is None else VirtualClock(before.clock.start, before.clock.process + "+")
        self.journal = Disk(self.world.fold)
        self.journal.fold_into(self.entries.append)
        self.desk = Desk(self.journal, self.world, self.clock, FakeEntropy(draw=0.5), self.policy)
        self.before = before

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        if self.before is not None:
            await self.journal.append([entry.fact for entry in self.before.entries if entry.fact is not None])
        self.stage = Notify(self.desk, self.fakes)
        task = asyncio.create_task(self.stage.run())
        await asyncio.sleep(0)
        try:
            yield
            assert not task.done(), task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def now(self) -> Instant:
        return self.clock.now()

    async def tell(
        self, phase: Phase, incident: IncidentId = ONE, severity: Severity = Severity.PAGE, episode: int = 1, **fields: object
    ) -> Entry:
        now = self.now()
        fact = Transition(now, incident, phase, Symptom.DELIVERY_MISSING, APP, severity, episode, now.plus(-60.0))
        (entry,) = await self.journal.append([replace(fact, **fields)])  # type: ignore[arg-type]
        return entry

    async def silence(self, seconds: float, incident: IncidentId = ONE) -> None:
        now = self.now()
        await self.journal.append([Silenced(now, incident, "ana", "known", now.utc + seconds)])

    def facts(self, kind: type[F]) -> list[F]:
        return [entry.fact for entry in self.entries if isinstance(entry.fact, kind)]
