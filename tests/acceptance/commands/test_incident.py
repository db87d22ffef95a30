"""From a deploy that breaks mail to the end of its incident, as a person on call lives it: the daemon as a process, and the commands."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

from tests.acceptance.commands.conftest import WITHIN, Call, World, document
from tests.acceptance.commands.test_daemon import Begin, Daemon, running


async def until(wanted: Callable[[dict[str, Any]], bool], call: Call, daemon: Daemon, *words: str) -> dict[str, Any]:
    """What the command says once it says what is wanted."""
    async with asyncio.timeout(WITHIN):
        while True:
            said = await call(*words, "--server", daemon.server, "--format", "json")
            assert said.code == 0, said.err
            if wanted(found := document(said)):
                return found
            await asyncio.sleep(0.2)


async def transition(daemon: Daemon, phase: str) -> dict[str, str]:
    while (line := await daemon.line("incident"))["phase"] != phase:
        pass
    return line


async def test_a_deploy_that_misroutes_and_its_rollback(world: World, begin: Begin, call: Call) -> None:
    world.only(*(name for name, box in world.tree["mailboxes"].items() if name.endswith("-1") or box.get("role") == "holding"), path="app")
    world.tree["schedule"] = {"every": "1s", "jitter": "0%"}
    world.tree["incidents"] = {"recover_after": "2s", "recover_passes": 2}
    async with running(world, begin) as daemon:
        server = ("--server", daemon.server)
        assert (await daemon.line("judged"))["result"] == "pass"
        calm = await call("incident", "list", *server)
        assert calm.code == 0 and calm.out.startswith("no open incident\nlast evidence ")

        marked = await call("deploy", "start", "--deploy", "d-1", "--service", "shop", "--version", "v2", "--by", "ana", *server)
        assert marked.code == 0
        world.lab.deploy("v2")
        opened = await transition(daemon, "opened")
        assert opened["severity"] == "page" and opened["symptom"] == "misrouted" and opened["level"] == "error"
        name = opened["incident_id"]
        assert name in (await call("incident", "list", *server)).out
        story = document(await call("incident", "show", name, *server, "--format", "json"))
        assert story["state"] == "open" and story["scope"] == "path:app" and len(story["routes"]) >= 2
        (beside,) = story["deploys"]
        assert beside["deploy"] == "d-1" and "shop v2 by ana started" in beside["text"] and " after (" in beside["text"]
        shown = (await call("incident", "show", name, *server)).out
        assert f"{name} PAGE" in shown and "path:app" in shown and "opened" in shown
        assert await daemon.metric("mailcanary_incidents_open") == 1
        assert await daemon.metric("mailcanary_deploy_info") == 1

        acknowledged = await call("incident", "ack", name, "--by", "bob", "--text", "rolling back", *server)
        assert acknowledged.code == 0 and "acknowledged by bob" in acknowledged.out
        await transition(daemon, "acknowledged")
        world.lab.deploy("v1")
        assert (await call("deploy", "rollback", "--deploy", "d-1", "--version", "v1", "--by", "ana", *server)).code == 0
        await transition(daemon, "resolved")
        ended = await until(lambda found: found["state"] == "resolved", call, daemon, "incident", "show", name)
        assert {"opened", "acknowledged", "resolved"} <= {step["what"] for step in ended["steps"]}
        assert (await call("incident", "list", *server)).out.startswith("no open incident")
        again = await call("incident", "ack", name, *server)
        assert again.code == 2 and "was resolved at" in again.err
        assert await daemon.stop() == 0


async def test_what_people_said_survives_a_kill(world: World, begin: Begin, call: Call) -> None:
    world.only(*(name for name, box in world.tree["mailboxes"].items() if name.endswith("-1") or box.get("role") == "holding"), path="app")
    world.tree["schedule"] = {"every": "1s", "jitter": "0%"}
    async with running(world, begin) as daemon:
        await daemon.line("judged")
        world.lab.deploy("v2")
        name = (await transition(daemon, "opened"))["incident_id"]
        server = ("--server", daemon.server)
        for words in (("ack", name), ("silence", name, "--for", "1h", "--reason", "known"), ("note", name, "the shop rolls back")):
            assert (await call("incident", *words, "--by", "bob", *server)).code == 0
        first = document(await call("deploy", "start", "--deploy", "d-1", *server, "--format", "json"))
        await daemon.stop(signal.SIGKILL)
    async with running(world, begin) as daemon:
        story = await until(bool, call, daemon, "incident", "show", name)
        assert story["acknowledged_by"] == "bob" and story["silenced"]["text"] == "known" and story["state"] == "open"
        assert "the shop rolls back" in {step["text"] for step in story["steps"]}
        assert document(await call("deploy", "start", "--deploy", "d-1", "--server", daemon.server, "--format", "json")) == first
        assert (await call("incident", "resolve", name, "--by", "bob", "--reason", "test", "--server", daemon.server)).code == 0
        resolved = await transition(daemon, "resolved")
        assert resolved["incident_id"] == name and "bob" in json.dumps(resolved)
