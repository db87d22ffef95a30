"""A nursery (child.py) of daemons that do nothing but tell people: the real journal, the real stage, real channels.

`config` of a job is a JSON file: {"state": DIR, "hook": URL, "am": URL, "bare": FILE}. A life carries an incident through its phases, as
far as no earlier life has, and ends when nothing is owed any more. Sites: commit, kinds of facts, and writes to "hook" and "am".
"""

from __future__ import annotations

import asyncio
import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from monitor.desk import Desk
from monitor.edge.channels import build
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import SqliteJournal
from monitor.edge.secret import SystemSecrets
from monitor.edge.tls import TlsContexts
from monitor.model.channels import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.model.facts import Transition
from monitor.model.incident import EVERYWHERE, IncidentId, Phase, Severity
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules import notify
from monitor.settings import load
from monitor.stages.notify import Notify
from monitor.views.world import World
from tests.acceptance.crash import child

INCIDENT = IncidentId("INC-1")
PHASES = ((Phase.OPENED, Phase.GROWN), (Phase.RESOLVED,))  # what happens at once, and what only when that was told
POLICIES: dict[str, Policy] = {}


def policy_of(job: dict[str, Any]) -> tuple[Policy, dict[str, str]]:
    told = json.loads(Path(job["config"]).read_text())
    bare = POLICIES.get(told["bare"]) or POLICIES.setdefault(told["bare"], load(Path(told["bare"]), SystemSecrets()).policy)
    channels = {"hook": WebhookChannel(told["hook"], None), "am": AlertmanagerChannel((told["am"],), None)}
    names = tuple(channels)
    return replace(bare, state_dir=told["state"], notify=NotifyPolicy(channels, names, names)), told


async def live(policy: Policy) -> None:
    journal = SqliteJournal(Path(policy.state_dir))
    world = journal.restore("world", World)
    clock = SystemClock()
    desk = Desk(journal, world, clock, SystemEntropy(), policy)
    channels = build(policy.notify, SystemSecrets(), TlsContexts().get, clock)
    stage = asyncio.create_task(Notify(desk, channels).run())
    for phases in PHASES:
        for phase in phases:
            if phase not in [item.transition.phase for item in world.outbox.items.values()]:
                now = clock.now()
                fact = Transition(now, INCIDENT, phase, Symptom.STRAY, EVERYWHERE, Severity.PAGE, 1, now.plus(-60.0))
                await journal.append([fact], durable=True)
        while notify.owed(world.outbox, policy.notify, clock.now()):
            waiting = asyncio.ensure_future(journal.wait(journal.last))
            await asyncio.wait((waiting, stage), return_when=asyncio.FIRST_COMPLETED)
            if stage.done():
                stage.result()
    stage.cancel()
    await asyncio.gather(stage, return_exceptions=True)
    for channel in channels.values():
        await channel.close()
    await journal.close()


def be_a_daemon(job: dict[str, Any], clock: int) -> None:
    policy, told = policy_of(job)
    kinds = {urlsplit(told[name]).port or 80: name for name in ("hook", "am")}
    child.SITES = child.Sites(job["trace"], job["kill"], kinds, (job["lifetime"][0], clock) if job["lifetime"] else None)
    asyncio.run(live(policy))


def warm_up(config: str) -> None:
    policy_of({"config": config})


if __name__ == "__main__":
    child.be_a_daemon = be_a_daemon
    child.warm_up = warm_up
    child.hook()
    gc.collect()
    gc.freeze()
    child.Nursery().run()
