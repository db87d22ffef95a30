"""The HTTP surface on loopback, with a clock that a test can put forward, and gates that are decided by writing it down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Fact, GateDecided
from monitor.model.gate import GATE_VERDICT, Because, GateId
from monitor.model.instant import Instant
from monitor.model.policy import Access, ListenPolicy, Policy
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import Ledger
from monitor.surface.api import Api
from monitor.surface.api.limits import Rate, Rates
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.stages.house import policy

SECRETS = {role.name: f"the token of {role.value}" for role in Access}
TOKENS = {role: SecretRef(SecretSource.ENV, role.name) for role in Access}
UNLIMITED = Rates(Rate(1e6, 1_000_000), Rate(1e6, 1_000_000), Rate(1e6, 1_000_000))


@dataclass
class LateClock:
    """The real one, `ahead` seconds later; it does not go on by itself."""

    ahead: float = 0.0
    real: SystemClock = field(default_factory=SystemClock)
    began: Instant = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.real.now()

    def now(self) -> Instant:
        return self.began.plus(self.ahead)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class Site:
    client: TestClient[Any, Any]
    desk: Desk
    clock: LateClock
    secrets: StubSecrets
    ready: bool = True
    headers: Any = None
    nudges: list[float] = field(default_factory=list)  # when the stage was told to look

    async def ask(self, method: str, path: str, token: str = "", **kwargs: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, path, headers={**headers, **kwargs.pop("headers", {})}, **kwargs) as answer:
            text = await answer.text()
            assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Server"].startswith("mailcanary/")
            self.headers = answer.headers
            return answer.status, json.loads(text) if text and answer.content_type == "application/json" else text

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        return await self.ask("POST", path, json=body)

    async def happen(self, *facts: Fact) -> None:
        await self.desk.journal.append(facts)

    def facts(self) -> list[Fact]:
        return [entry.fact for entry in self.desk.journal._entries]  # type: ignore[attr-defined]

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts()]

    async def decide(self, gate: str, because: Because, reason: str = "so it is") -> None:
        request = self.desk.world.gates.known[GateId(gate)].request
        decided = GateDecided(
            self.clock.now(), request.gate, request.deploy, request.attempt, GATE_VERDICT[because], because, reason, (), ()
        )  # fmt: skip
        await self.happen(decided)


@contextlib.asynccontextmanager
async def served(rules: Policy, rates: Rates = UNLIMITED, ledger: Ledger | None = None) -> AsyncIterator[Site]:
    world, clock = World(), LateClock()
    desk = Desk(MemoryJournal(world.fold), world, clock, SystemEntropy(), rules)
    secrets = StubSecrets(dict(SECRETS))
    site: Site
    metrics = Metrics(rules, world, Vitals())
    api = Api(
        desk,
        metrics,
        secrets,
        lambda: 0.0,
        lambda: site.ready,
        rates,
        ledger,
        lambda: site.nudges.append(clock.now().utc),
    )
    async with TestClient(TestServer(api.application())) as client:
        runner = client.server.runner
        assert runner is not None and runner.server is not None
        runner.server.handler_cancellation = False  # as in the daemon
        site = Site(client, desk, clock, secrets)
        yield site


def hesitate(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal lets others go on before it commits, as a disk does."""
    append = site.desk.journal.append

    async def slow(*facts: Any, **how: Any) -> Any:
        await asyncio.sleep(0)
        return await append(*facts, **how)

    monkeypatch.setattr(site.desk.journal, "append", slow)


def rules(directory: Path, host: str = "127.0.0.1", seeds: int = 3, **changes: Any) -> Policy:
    """Mailboxes at three providers behind one relay, which tells no version: a gate needs trust_target."""
    return replace(policy(directory, seeds=seeds, **changes), listen=ListenPolicy(host, 9464, TOKENS))
