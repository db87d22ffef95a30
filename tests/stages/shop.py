"""A house with a shop that says which version served a probe, and a gate stage: gates on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.model.facts import Attempted, Fact, GateDecided, ProbePlanned, Started, WatchBlind, WatchRestored
from monitor.model.gate import BUILT_IN, QUICK, GateId, GatePlan, GatePolicy, GateStep
from monitor.model.policy import Policy, Role, SmtpPath
from monitor.model.probe import PathName, Purpose, Route
from monitor.model.submission import AppSubmission, Outcome, Submission, Taken
from monitor.rules import compose
from monitor.rules.gate.request import GateAsk
from monitor.stages.gate import Gate
from monitor.surface.gate.asking import begin
from monitor.views.gates import GateState
from tests.fakes.mailbox import FakeAccount
from tests.stages.house import RELAY, House, Post, policy

APP = PathName("app")
STAGES = ("plan", "submit", "watch", "judge", "gate")  # plan follows the journal before gate writes into it
SMALL = GatePolicy("small", GatePlan((GateStep(4, 0), GateStep(8, 1))))
HTTP = {"kind": "http", "url": "https://shop.test/refund", "body": {"to": "{{ recipient }}"}, "version": "/version", "carriers": ["header"]}
SLOW = {"schedule": {"every": "6h", "jitter": "0%"}, "budgets": {"per_path": 5000, "per_mailbox": 5000}}


def shop_policy(directory: Path, seeds: int = 6, **changes: Any) -> Policy:
    """The shop, and the bare relay, to mailboxes at three providers; probed so rarely that what happens is the gate's."""
    return policy(directory, seeds, **{**SLOW, "paths": {APP: HTTP}, **changes})


class Shop(Post):
    """The application: mails what the relay path would mail, and says which version it is. `versions`: instead, by turns."""

    def __init__(self, house: ShopHouse, accounts: Mapping[Any, FakeAccount]) -> None:
        super().__init__(house.policy, accounts)
        self._house = house
        self.version = "v2"
        self.versions: list[str] = []
        self.outcome: Outcome | None = None

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        assert isinstance(submission, AppSubmission)
        if self.outcome is not None:
            self.at.append(round(asyncio.get_running_loop().time(), 3))
            return self.outcome
        via = self._house.policy.paths[RELAY].via
        assert isinstance(via, SmtpPath)
        plan = replace(self._house.world.probes[submission.probe].plan, message_id=f"<{submission.probe}@shop.test>")
        version = self.versions[len(self.at) % len(self.versions)] if self.versions else self.version
        outcome = await super().submit(compose.mail_submission(plan, via.identity), deadline)
        return replace(outcome, served_version=version) if isinstance(outcome, Taken) else outcome


class ShopHouse(House):
    def __init__(self, of: Policy, before: ShopHouse | None = None, **more: Any) -> None:
        super().__init__(of, before, **more)
        self.shop = Shop(self, self.accounts)
        if before is not None:
            self.shop.version, self.shop.transit, self.shop.fate = before.shop.version, before.shop.transit, before.shop.fate
        self.posts[APP] = self.shop

    def build(self) -> None:
        super().build()
        self.gate = Gate(self.desk)

    async def restored(self) -> ShopHouse:
        """As a restart finds it: the facts of the process before, then that this one began."""
        await super().restored()
        await self.journal.append([Started(self.clock.now(), "1", self.policy.policy_hash)])
        return self

    async def watching(self) -> None:
        """Every seed's watcher has spoken; then a little more."""
        seeds = {name for name, box in self.policy.mailboxes.items() if box.role is Role.SEED}
        spoken = (WatchRestored, WatchBlind)
        process = self.clock.process
        await self.until(lambda: seeds <= {f.mailbox for kind in spoken for f in self.facts(kind) if f.at.process == process})

    async def ask(self, deploy: str = "d2", of: GatePolicy = SMALL, version: str = "v2", by: str = "ci") -> GateState:
        state, _ = await begin(self.desk, GateAsk(deploy, of, by, version=version))
        return state

    async def decided(self, *gates: GateId, seconds: float = 4_000.0) -> list[GateDecided]:
        """The decisions of these gates' present attempts."""
        await self.until(lambda: all(not self.world.gates.known[gate].running for gate in gates), seconds)
        return [decision for gate in gates if (decision := self.world.gates.known[gate].decision)]

    def gate_probes(self, gate: GateId | None = None) -> list[ProbePlanned]:
        return [fact for fact in self.facts(ProbePlanned) if fact.purpose is Purpose.GATE and gate in (None, fact.gate)]

    def gate_attempts(self, gate: GateId | None = None) -> list[tuple[Route, Attempted]]:
        routes = {fact.probe: fact.route for fact in self.gate_probes(gate)}
        return [(routes[fact.probe], fact) for fact in self.facts(Attempted) if fact.probe in routes and fact.attempt == 1]


def most_within(times: Sequence[float], window: float) -> int:
    """The most of these moments that lie within less than `window` of each other."""
    found, start = 0, 0
    ordered = sorted(times)
    for end, time in enumerate(ordered):
        while time - ordered[start] >= window - 1e-6:
            start += 1
        found = max(found, end - start + 1)
    return found


def per_day(facts: Sequence[Fact]) -> dict[int, int]:
    days: dict[int, int] = {}
    for fact in facts:
        day = int(fact.at.utc // 86_400)
        days[day] = days.get(day, 0) + 1
    return days


QUICKLY = replace(BUILT_IN[QUICK], deadline=10.0)
