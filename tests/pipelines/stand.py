"""Our own HTTP surface on loopback, in front of gates that stand in every way there is. It asks for tokens, as it does off loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import GateDecided
from monitor.model.gate import BUILT_IN, GATE_VERDICT, Because, ClassTally, Example, GatePolicy
from monitor.model.policy import Access, ListenPolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.secret import SecretRef, SecretSource
from monitor.rules.gate.request import GateAsk
from monitor.surface.api import Api
from monitor.surface.gate.asking import begin
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.gates import GateState
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.pipelines.expectations import Standing
from tests.stages.house import SECRETS, policy

ENVIRONMENT = "test"
TOKENS = {role: f"{role.value}Token" for role in Access}  # letters only: they stand in URLs
BECAUSE = {Standing.PASSED: Because.CLEAN, Standing.FAILED: Because.LOSSES, Standing.HELD: Because.TOO_FEW}
REASON = {
    Because.CLEAN: "provider-1: 10 of 10 probes arrived (passes with 0 adverse)",
    Because.LOSSES: "provider-1: 2 of 10 probes lost (fails at 2); control 0 of 4",
    Because.TOO_FEW: "provider-1: 3 of 10 probes resolved when the time was over",
}
APP = {
    "kind": "http",
    "url": "http://app.test/refunds",
    "body": {"customer": {"email": "{{ recipient }}"}, "carriers": {"header": "{{ token }}"}},
    "version": "header:X-App-Version",
    "carriers": ["header"],
}


@dataclass
class Stand:
    desk: Desk
    url: str = ""

    async def gate(self, deploy: str, because: Because | None = None, policy: GatePolicy = BUILT_IN["quick"], **changes: Any) -> GateState:
        """A gate of this deploy; decided so, unless `because` is None. Asked again, another attempt where one begins."""
        state, _ = await begin(self.desk, GateAsk(deploy, policy, "ci", version="v2", **changes))
        if because is not None:
            await self.decide(state, because)
        return state

    async def decide(self, state: GateState, because: Because, **changes: Any) -> GateDecided:
        now, request = self.desk.clock.now(), state.request
        tally = ClassTally("provider-1", because, 10, 8, 2, 0, 0, 10, 2, 4, 0, 0.5)
        route = Route(PathName("app"), MailboxName("seed-1"))
        fact = GateDecided(
            at=now,
            gate=state.id,
            deploy=request.deploy,
            attempt=request.attempt,
            verdict=GATE_VERDICT[because],
            because=because,
            reason=REASON.get(because, because.value),
            classes=(tally,),
            evidence=(),
            observed_from=now,
            observed_to=now,
            example=Example("01ab", route, now, "missing", "in none of 7 folders 480 s later") if because is Because.LOSSES else None,
        )
        await self.desk.journal.append([replace(fact, **changes)])
        return fact


@contextlib.asynccontextmanager
async def standing(directory: Path, host: str = "0.0.0.0", tokens: bool = True) -> AsyncIterator[Stand]:
    """`host`: the address of the policy, which decides whether tokens are asked for; it listens on loopback only."""
    references = {role: SecretRef(SecretSource.ENV, role.name) for role in Access}
    rules = replace(policy(directory, seeds=3, paths={"app": APP}), listen=ListenPolicy(host, 9464, references if tokens else {}))
    world = World()
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), rules)
    secrets = StubSecrets({**SECRETS, **{role.name: token for role, token in TOKENS.items()}})
    api = Api(desk, Metrics(rules, world, Vitals()), secrets, lambda: 0.0, lambda: True)
    runner = web.AppRunner(api.application(), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Stand(desk, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def populate(stand: Stand) -> None:
    """One gate of each standing, by its name, and one as Flagger names it."""
    for at in Standing:
        if at is not Standing.UNKNOWN:
            for deploy in (at.value, f"shop/checkout-api/{at.value}"):
                await stand.gate(deploy, BECAUSE.get(at))
