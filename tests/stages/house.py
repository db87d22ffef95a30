"""A whole house on virtual time: the stages, a journal in memory, mailboxes and a relay in memory, the defaults of the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from monitor.desk import Desk
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Entry, Fact, WatchBlind, WatchRestored
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import MailSubmission, Outcome, Submission, Taken
from monitor.ports import Ledger, LedgerSource, Submitter
from monitor.settings import load
from monitor.stages.incident import Incident
from monitor.stages.judge import Judge
from monitor.stages.plan import Plan
from monitor.stages.reconcile import Reconcile
from monitor.stages.submit import Submit
from monitor.stages.watch import Watch
from monitor.views.world import World
from tests.fakes.mailbox import FakeAccount, FakeMailbox
from tests.fakes.paths import StubSecrets
from tests.fakes.submitter import FakeSubmitter
from tests.stages.virtual import FakeEntropy, VirtualClock

F = TypeVar("F", bound=Fact)

SECRETS = {"KEY": "0123456789abcdef0123456789abcdef", "PASSWORD": "secret"}
RELAY = PathName("relay")


def seed(number: int) -> MailboxName:
    return MailboxName(f"seed-{number}")


def policy(directory: Path, seeds: int = 1, holding: bool = False, **changes: Any) -> Policy:
    """One relay and some seeds. `changes` are merged into the configuration: watch={"poll_every": "1m"}."""
    secret = {"env": "PASSWORD"}
    boxes: dict[str, Any] = {
        seed(number): {
            "provider": f"provider-{number % 3}",
            "address": f"seed{number}@box.test",
            "imap": {"host": "imap.test", "password": secret},
        }
        for number in range(1, seeds + 1)
    }
    if holding:
        boxes["holding"] = {
            "provider": "shop", "role": "holding", "address": "holding@store.test", "imap": {"host": "imap.test", "password": secret}
        }  # fmt: skip
    tree: dict[str, Any] = {
        "environment": "test",
        "instance": "one",
        "signing": {"keys": [{"number": 1, "secret": {"env": "KEY"}}]},
        "paths": {RELAY: {"kind": "smtp", "host": "relay.test", "author": "refunds@shop.test"}},
        "mailboxes": boxes,
        "inspect": {"enabled": False},
    }
    _merge(tree, changes)
    file = directory / "mailcanary.yaml"
    file.write_text(json.dumps(tree))
    return load(file, StubSecrets(dict(SECRETS))).policy


def _merge(tree: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value


class Post(FakeSubmitter):
    """A relay that delivers what it takes, `transit` seconds later; `lose` and `into` change what becomes of it. `took` waits before
    each answer; `at` are the loop times of the attempts."""

    def __init__(self, policy: Policy, accounts: Mapping[MailboxName, FakeAccount], outcomes: Sequence[Outcome] = ()) -> None:
        super().__init__(policy.seeds, {box.address: outcomes for box in policy.mailboxes.values()} if outcomes else None)
        self._owners = {box.address.base: accounts[name] for name, box in policy.mailboxes.items()}
        self.transit: float | None = 1.0  # None: lost
        self.fate: Callable[[MailSubmission], float | None] | None = None  # the transit of each mail, instead of `transit`
        self.took = 0.0
        self.at: list[float] = []
        self.under_way = self.most_under_way = 0
        self.into: Callable[[MailSubmission], tuple[FakeAccount, str]] = lambda mail: (self._owners[mail.recipient.base], "INBOX")

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        loop = asyncio.get_running_loop()
        self.at.append(round(loop.time(), 3))
        outcome = await super().submit(submission, deadline)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.took)
        finally:
            self.under_way -= 1
        if isinstance(outcome, Taken) and isinstance(submission, MailSubmission):
            transit = self.transit if self.fate is None else self.fate(submission)
            if transit is not None:
                account, folder = self.into(submission)
                loop.call_later(transit, account.deliver, submission.message, folder)
        return outcome

    async def reach(self, deadline: float) -> Outcome:
        raise NotImplementedError


class House:
    """`entries` is the journal; `at` an offset of loop time that tests may subtract."""

    def __init__(
        self,
        policy: Policy,
        before: House | None = None,
        outcomes: Sequence[Outcome] = (),
        draw: float | None = None,
        entropy: int = 1,
        ledger: Ledger | None = None,
        sources: Mapping[str, LedgerSource] | None = None,
    ) -> None:
        """After `before`, in a new process: the journal is folded anew, the world outside goes on. `ledger`: where refunds and
        confirmations are kept, read from `sources`."""
        self.policy = policy
        self.world = World()
        self.entries: list[Entry] = []
        self.clock = VirtualClock() if before is None else VirtualClock(before.clock.start, before.clock.process + "+")
        self.journal = MemoryJournal(self.world.fold)
        self.journal.fold_into(self.entries.append)
        self.accounts = before.accounts if before else {name: FakeAccount(lambda: self.clock.now().utc) for name in policy.mailboxes}
        self.post = Post(policy, self.accounts, outcomes)
        self.posts = {name: self.post if name == RELAY else Post(policy, self.accounts) for name in policy.paths}
        self.desk = Desk(self.journal, self.world, self.clock, FakeEntropy(len(before.entries) if before else entropy, draw), policy)
        self.before = before
        self.ledger, self.sources = ledger, sources or {}

    async def restored(self) -> House:
        """With the facts of the process before."""
        if self.before is not None:
            await self.journal.append([entry.fact for entry in self.before.entries if entry.fact is not None])
        return self

    def build(self) -> None:
        submitters: dict[PathName, Submitter] = {**self.posts}
        self.plan = Plan(self.desk)
        self.submit = Submit(self.desk, submitters)
        self.watch = Watch(
            self.desk, {name: FakeMailbox(account) for name, account in self.accounts.items() if name in self.policy.mailboxes}
        )
        self.judge = Judge(self.desk)
        self.incident = Incident(self.desk, self.ledger)
        if self.ledger is not None:
            self.reconcile = Reconcile(self.desk, self.ledger, self.sources)

    @contextlib.asynccontextmanager
    async def running(self, *stages: str) -> AsyncIterator[None]:
        """These stages, all but plan when none is named. Started and turned over once, so that they are at their first wait."""
        self.build()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(getattr(self, name).run(), name=name) for name in stages or ("submit", "watch", "judge")]
            await asyncio.sleep(0)
            yield
            for task in running:
                task.cancel()

    # --- what happens -----------------------------------------------------------------------------------------

    async def watched(self, *names: MailboxName) -> None:
        """As if the watchers had spoken."""
        seeds = [name for name, box in self.policy.mailboxes.items() if box.role is Role.SEED]
        await self.journal.append([WatchRestored(self.clock.now(), name, 3) for name in names or seeds])

    async def blinded(self, name: MailboxName) -> None:
        await self.journal.append([WatchBlind(self.clock.now(), name, BlindCause.TIMEOUT, "no answer", "")])

    async def probe(self, *mailboxes: MailboxName) -> tuple[ProbeId, ...]:
        """Plan one probe on each of these mailboxes (all seeds if none is named) now."""
        seeds = [name for name, box in self.policy.mailboxes.items() if box.role is Role.SEED]
        return await self.plan.plan_now([Route(RELAY, name) for name in mailboxes or seeds], Purpose.SCHEDULED)

    @property
    def elapsed(self) -> float:
        """Loop time, to the millisecond."""
        return round(self.clock.now().mono, 3)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, happened: Callable[[], object], seconds: float = 3600.0) -> None:
        async with asyncio.timeout(seconds):
            while not happened():
                await self.journal.wait(self.journal.last)

    # --- what was written ---------------------------------------------------------------------------------------

    def facts(self, kind: type[F], probe: ProbeId | None = None) -> list[F]:
        found = [entry.fact for entry in self.entries if isinstance(entry.fact, kind)]
        return [fact for fact in found if probe is None or getattr(fact, "probe", None) == probe]

    def times(self, kind: type[Fact], since: Instant | None = None) -> list[float]:
        """Loop times of these facts."""
        return [round(fact.at.mono - (since.mono if since else 0.0), 3) for fact in self.facts(kind)]
