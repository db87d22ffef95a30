"""The HTTP surface on a port of its own, in a thread: what a command talks to, without the stages behind it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Fact, GateDecided
from monitor.model.gate import GATE_VERDICT, Because, ClassTally
from monitor.model.instant import Instant
from monitor.model.policy import Access, ListenPolicy
from monitor.model.secret import SecretRef, SecretSource
from monitor.stages.gate import Gate
from monitor.surface.api import Api
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.gates import GateState
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.stages.house import policy

SECRETS = {role.name: f"the token of {role.value}" for role in Access}
TOKENS = {role: SecretRef(SecretSource.ENV, role.name) for role in Access}


@dataclass
class Served:
    """A desk, and the daemon's surface in front of it."""

    desk: Desk
    loop: asyncio.AbstractEventLoop
    url: str = ""

    @property
    def now(self) -> Instant:
        return self.desk.clock.now()

    def happen(self, *facts: Fact) -> None:
        asyncio.run_coroutine_threadsafe(self.desk.journal.append(facts), self.loop).result(10)

    def facts(self) -> list[Fact]:
        return [entry.fact for entry in self.desk.journal._entries]  # type: ignore[attr-defined]

    def running(self) -> list[GateState]:
        """The gates that are undecided."""
        return self.desk.world.gates.running()

    def decide(self, because: Because, reason: str = "as the test wants it") -> None:
        """Every gate that runs, as the gate stage would."""
        for state in self.running():
            request = state.request
            tally = ClassTally("provider-1", because, 10, 10, 0, 0, 0, 10, 2, 0, 0, 0.26)
            verdict = GATE_VERDICT[because]
            self.happen(GateDecided(self.now, state.id, request.deploy, request.attempt, verdict, because, reason, (tally,), ()))


@contextlib.contextmanager
def served(directory: Path, open_to: str = "127.0.0.1", deciding: bool = False) -> Iterator[Served]:
    """`open_to`: the address of the policy, which decides whether tokens are needed; it listens on loopback only. `deciding`: with the gate
    stage behind it, which probes nothing here."""
    world, rules = World(), replace(policy(directory, seeds=2), listen=ListenPolicy(open_to, 9464, TOKENS))
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), rules)
    api = Api(desk, Metrics(rules, world, Vitals()), StubSecrets(dict(SECRETS)), lambda: 0.0, lambda: True)
    site = Served(desk, asyncio.new_event_loop())
    up, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(api.application(), access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        stage = asyncio.create_task(Gate(desk).run()) if deciding else None
        up.set()
        await end.wait()
        if stage is not None:
            stage.cancel()
        await runner.cleanup()

    thread = threading.Thread(target=site.loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield site
    finally:
        site.loop.call_soon_threadsafe(end.set)
        thread.join(10)
        site.loop.close()
