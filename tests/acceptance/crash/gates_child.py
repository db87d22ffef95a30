"""A nursery (child.py) of daemons that are asked for gates while they live.

What is asked does not depend on the life: one gate that must pass, and one that is cancelled and then overridden. Each life asks for what
the journal does not know yet, as a pipeline that asks again would, and ends when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import gc

from monitor.app import App, assembled
from monitor.model.gate import GateId, GatePlan, GatePolicy, GateStep
from monitor.model.policy import Policy
from monitor.rules.gate.request import GateAsk, gate_id
from monitor.surface.gate.asking import begin, cancel, override
from tests.acceptance.crash import child

PROBES = 4
JUDGED, STOPPED = "judged", "stopped"  # deploys
SERVED = "v1"  # what the lab's shop calls itself
POLICY = GatePolicy("crash", GatePlan((GateStep(PROBES, 0),), reject=1), timeout=60.0, settle=0.3)


async def live(policy: Policy) -> None:
    async with assembled(policy, exclusive=False) as app, app.running(schedule=True):
        await asyncio.gather(judged(app), stopped(app))
        while not child.finished(app):
            await app.journal.wait(app.journal.last)


async def judged(app: App) -> None:
    state, _ = await begin(app.desk, GateAsk(JUDGED, POLICY, "ci", version=SERVED))
    await decided(app, state.id)


async def stopped(app: App) -> None:
    gate = gate_id(app.desk.policy.environment, STOPPED, POLICY)
    if gate not in app.desk.world.gates.known:
        await begin(app.desk, GateAsk(STOPPED, POLICY, "ci", version=SERVED))
    await cancel(app.desk, gate, "ana", "wrong button")
    await decided(app, gate)
    if app.desk.world.gates.known[gate].override is None:
        await override(app.desk, gate, "ana", "we know", 3_600.0)


async def decided(app: App, gate: GateId) -> None:
    while app.desk.world.gates.known[gate].running:
        await app.journal.wait(app.journal.last)


if __name__ == "__main__":
    child.live = live
    child.hook()
    gc.collect()
    gc.freeze()
    child.Nursery().run()
