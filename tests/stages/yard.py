"""The composed daemon on virtual time: the real App with a journal, mailboxes and relays in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

from monitor.app import App
from monitor.edge.journal import MemoryJournal
from monitor.model.address import Address
from monitor.model.facts import Entry, Fact, WatchRestored
from monitor.model.notice import Notice, Telling, Told
from monitor.model.policy import Policy, RetentionPolicy
from monitor.model.probe import MailboxName, ProbeId, Purpose, Route
from monitor.model.submission import Outcome
from monitor.ports import JournalUnwritable
from monitor.views.world import World
from monitor.wiring import Edges
from tests.fakes.mailbox import FakeAccount, FakeMailbox
from tests.fakes.paths import StubSecrets
from tests.stages.house import RELAY, SECRETS, Post
from tests.stages.virtual import FakeEntropy, VirtualClock

F = TypeVar("F", bound=Fact)


class Paper(MemoryJournal):
    """With what the composition root asks of a journal beside the port. `full`: the disk takes nothing."""

    full = False
    path = Path("journal.sqlite3")

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        if self.full:
            raise JournalUnwritable("no space left")
        return await super().append(facts, durable)

    async def save_snapshot(self, name: str, view: object) -> None: ...

    async def retire(self, policy: RetentionPolicy, now: float) -> int:
        return 0

    async def size(self) -> int:
        return 0

    async def verify(self) -> None: ...

    async def close(self) -> None: ...


class Switch:
    """A dead-man switch that somebody watches; `answer` is what it says to each word."""

    def __init__(self, now: VirtualClock) -> None:
        self._clock = now
        self.answer = ""
        self.words: list[tuple[float, bool, str]] = []
        self.closed = False

    async def beat(self, well: bool, detail: str, deadline: float) -> str:
        self.words.append((round(self._clock.now().mono, 1), well, detail))
        return self.answer

    async def close(self) -> None:
        self.closed = True


class Pager:
    def __init__(self) -> None:
        self.closed = False

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        return Told("ok")

    async def close(self) -> None:
        self.closed = True


class Yard:
    """`posts`, `switches` and `pagers` are those that were built, in order; an account belongs to its address, whatever it is called."""

    def __init__(self, policy: Policy, outcomes: Sequence[Outcome] = (), draw: float | None = 0.5) -> None:
        self.policy = policy
        self.clock = VirtualClock()
        self.accounts: dict[Address, FakeAccount] = {}
        self.posts: list[Post] = []
        self.switches: list[Switch] = []
        self.pagers: list[Pager] = []
        self.outcomes = outcomes
        self.transit: float | None = 1.0
        self._draw = draw
        self.world = World()
        self.entries: list[Entry] = []
        self.journal = Paper(self.world.fold)
        self.journal.fold_into(self.entries.append)
        self.app = App(policy, self._build(policy, None), self.journal, self.world, self._build)  # type: ignore[arg-type]

    def _build(self, policy: Policy, before: Edges | None) -> Edges:
        base = before or Edges(self.clock, FakeEntropy(1, self._draw), StubSecrets(dict(SECRETS)), {}, {})
        for box in policy.mailboxes.values():
            self.accounts.setdefault(box.address.base, FakeAccount(lambda: self.clock.now().utc))
        owners = {name: self.accounts[box.address.base] for name, box in policy.mailboxes.items()}
        submitters = {}
        for name in policy.paths:
            post = Post(policy, owners, self.outcomes)
            post.transit = self.transit
            self.posts.append(post)
            submitters[name] = post
        if policy.heartbeat is not None:
            self.switches.append(Switch(self.clock))
        channels = {name: Pager() for name in policy.notify.channels}
        self.pagers += channels.values()
        return Edges(
            base.clock,
            base.entropy,
            base.secrets,
            submitters,
            {name: FakeMailbox(account) for name, account in owners.items()},
            channels,
            self.switches[-1] if policy.heartbeat is not None else None,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.app.running(schedule=True):
            yield
        await self.app.close()

    async def until_watching(self, *names: MailboxName) -> None:
        while {fact.mailbox for fact in self.facts(WatchRestored)} < set(names or self.app.desk.policy.mailboxes):
            await self.journal.wait(self.journal.last)

    async def probe(self, mailbox: MailboxName) -> ProbeId:
        (probe,) = await self.app.plan.plan_now([Route(RELAY, mailbox)], Purpose.CONFIRM)
        return probe

    def account(self, mailbox: MailboxName) -> FakeAccount:
        return self.accounts[self.policy.mailboxes[mailbox].address.base]

    def facts(self, kind: type[F], probe: ProbeId | None = None) -> list[F]:
        found = [entry.fact for entry in self.entries if isinstance(entry.fact, kind)]
        return [fact for fact in found if probe is None or getattr(fact, "probe", None) == probe]
