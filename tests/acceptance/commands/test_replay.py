"""replay on the journal of a daemon that really ran, while it runs and after it was killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from monitor.lab import Fault, Scope
from tests.acceptance.commands.conftest import Call, World, document
from tests.acceptance.conftest import read_journal

Begin = Callable[..., Awaitable[asyncio.subprocess.Process]]


async def judged(world: World, daemon: asyncio.subprocess.Process, so_far: int, reasons: set[str]) -> int:
    """Wait until the daemon has given so many verdicts, these among them; returns how many."""
    async with asyncio.timeout(40):
        while True:
            assert daemon.returncode is None, await daemon.communicate()
            rows = [row.body for row in read_journal(world.directory / "state") if row.kind == "judged"]
            if len(rows) >= so_far and reasons <= {row["reason"] for row in rows}:
                return len(rows)
            await asyncio.sleep(0.1)


async def test_a_daemons_journal_under_its_own_and_another_policy(world: World, begin: Begin, call: Call) -> None:
    world.tree["mailboxes"] = {name: world.tree["mailboxes"][name] for name in ("aurora-1", "borealis-1", "cumulus-1", "holding")}
    world.tree["schedule"] = {"every": "2s", "jitter": "0%"}
    world.tree["deadlines"] |= {"late": "1500ms", "missing": "3s", "give_up": "6s", "watch_until": "8s", "overdue_floor": "1s"}
    world.tree["submission"] |= {"attempt_timeout": "2s", "retry_for": "4s"}
    file = world.write()
    await world.lab.switch_on(Fault.JUNK, Scope(provider="aurora.test"))
    await world.lab.switch_on(Fault.ACCEPT_AND_DROP, Scope(provider="borealis.test"))
    daemon = await begin("run", "-c", file)
    try:
        so_far = await judged(world, daemon, 12, {"pass", "spam", "missing"})
        live = document(await call("replay", str(world.directory / "state"), "-c", file, "--format", "json"))
        assert (live["differs"], live["kept"]["not_reproduced"]) == (0, 0) and live["probes"] >= 12
        await judged(world, daemon, so_far + 3, {"pass"})
    finally:
        daemon.kill()
        await daemon.communicate()
    killed = document(await call("replay", "state", "-c", file, "--format", "json"))
    assert (killed["differs"], killed["kept"]["not_reproduced"]) == (0, 0), json.dumps(killed["changes"])
    assert killed["probes"] >= live["probes"]

    world.tree["paths"]["bare-smtp"]["require"] = {"dkim": ["fail"]}
    stricter = document(await call("replay", "state", "-c", world.write(), "--format", "json"))
    assert stricter["differs"] > 0 and all(change["route"].startswith("bare-smtp/") for change in stricter["changes"])
    assert {change["new"]["last"] for change in stricter["changes"]} == {"unauthenticated"}
