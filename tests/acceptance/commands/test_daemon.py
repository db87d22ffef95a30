"""run, pause, resume, healthz: the daemon as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from monitor.lab import Fault
from tests.acceptance.commands.conftest import WITHIN, Call, World, document

Begin = Callable[..., Awaitable[asyncio.subprocess.Process]]


@dataclass
class Daemon:
    process: asyncio.subprocess.Process
    server: str

    async def line(self, event: str) -> dict[str, str]:
        """The next log line of this kind."""
        assert self.process.stderr is not None
        async with asyncio.timeout(WITHIN):
            while line := await self.process.stderr.readline():
                record = json.loads(line)
                if record["event"] == event:
                    return record
        raise AssertionError(f"the daemon ended without {event}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(WITHIN):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def metric(self, name: str) -> float:
        def fetch() -> str:
            with urllib.request.urlopen(f"{self.server}/metrics", timeout=5) as answer:
                return str(answer.read().decode())

        page = await asyncio.to_thread(fetch)
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith((name + "{", name + " ")))


@contextlib.asynccontextmanager
async def running(world: World, begin: Begin) -> AsyncIterator[Daemon]:
    process = await begin("run", "-c", world.write(), "--log-format", "json")
    daemon = Daemon(process, f"http://127.0.0.1:{world.tree['listen']['port']}")
    try:
        await daemon.line("listening")
        yield daemon
    finally:
        await daemon.stop(signal.SIGKILL)


async def test_a_day_in_short(world: World, begin: Begin, call: Call) -> None:
    """It probes, answers, pauses, resumes, and stops cleanly."""
    world.only("aurora-1")
    world.tree["schedule"] = {"every": "300ms", "jitter": "0%"}
    async with running(world, begin) as daemon:
        assert (await daemon.line("judged"))["result"] == "pass"
        assert (await call("healthz", "--server", daemon.server)).out == "ok\n"
        said = await call("pause", "--server", daemon.server, "--by", "ana", "--reason", "provider asked", "--format", "json")
        assert said.code == 0 and document(said) == {"paused": True, "by": "ana", "reason": "provider asked"}
        await daemon.line("paused")
        assert await daemon.metric("mailcanary_paused") == 1
        at_pause = len(world.lab.relay.accepted)
        await asyncio.sleep(1.0)
        assert len(world.lab.relay.accepted) <= at_pause + 1, "one submission may have been under way"
        assert (await call("resume", "--server", daemon.server)).code == 0
        await daemon.line("resumed")
        assert (await daemon.line("judged"))["result"] == "pass"
        assert await daemon.stop() == 0


async def test_paused_survives_a_restart(world: World, begin: Begin, call: Call) -> None:
    world.only("aurora-1")
    async with running(world, begin) as daemon:
        await daemon.line("judged")
        assert (await call("pause", "--server", daemon.server)).code == 0
    before = len(world.lab.relay.accepted)
    async with running(world, begin) as daemon:
        await daemon.line("watch_restored")
        await asyncio.sleep(0.5)
        assert len(world.lab.relay.accepted) == before
        assert await daemon.metric("mailcanary_paused") == 1


async def test_in_flight_stays_in_flight(world: World, begin: Begin) -> None:
    """SIGTERM does not wait for arrivals; the next start finds them."""
    world.only("aurora-1")
    await world.lab.switch_on(Fault.HOLD_QUEUE)
    async with running(world, begin) as daemon:
        while not world.lab.relay.accepted:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert await daemon.stop() == 0
    await world.lab.switch_off(Fault.HOLD_QUEUE)
    async with running(world, begin) as daemon:
        assert (await daemon.line("judged"))["result"] == "pass"


async def test_one_shot_probe_refuses_mailboxes_of_a_live_daemon(world: World, begin: Begin, call: Call) -> None:
    world.only("aurora-1")
    world.tree["schedule"] = {"every": "7d"}
    async with running(world, begin) as daemon:
        await daemon.line("judged")
        before = len(world.lab.relay.accepted)
        said = await call("probe", "-c", str(world.directory / "mailcanary.yaml"), "--state-dir", "other")
        assert (
            said.code == 2
            and len(said.lines) == 1
            and "owned by another mailcanary" in said.lines[0]
            and "nothing was sent" in said.lines[0]
        )
        assert len(world.lab.relay.accepted) == before


async def test_two_daemons_on_one_journal(world: World, begin: Begin, call: Call) -> None:
    world.only("aurora-1")
    async with running(world, begin):
        said = await call("run", "-c", str(world.directory / "mailcanary.yaml"))
        assert said.code == 4 and "another mailcanary runs on this journal" in said.err and "Traceback" not in said.err


async def test_a_port_that_is_taken(world: World, call: Call) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server:
        world.tree["listen"]["port"] = server.sockets[0].getsockname()[1]
        said = await call("run", "-c", world.write())
    assert said.code == 2 and "choose another listen.port" in said.err and "Traceback" not in said.err
    assert not world.lab.relay.accepted


async def test_a_journal_of_a_newer_image(world: World, begin: Begin, call: Call) -> None:
    world.only("aurora-1")
    async with running(world, begin) as daemon:
        await daemon.line("judged")
        assert await daemon.stop() == 0
    with contextlib.closing(sqlite3.connect(world.directory / "state" / "journal.sqlite3")) as db:
        db.execute("UPDATE facts SET schema = 2 WHERE seq = (SELECT max(seq) FROM facts)")
        db.commit()
    said = await call("run", "-c", str(world.directory / "mailcanary.yaml"))
    assert said.code == 4 and said.lines and "written by a newer mailcanary" in said.lines[-1] and "run the newer image" in said.lines[-1]


async def test_blind_with_a_mend_while_others_go_on(world: World, begin: Begin) -> None:
    world.only("aurora-1", "borealis-1")
    world.tree["mailboxes"]["borealis-1"]["folders"]["spam"] = ["Nowhere"]
    async with running(world, begin) as daemon:
        blind = await daemon.line("watch_blind")
        assert blind["mailbox"] == "borealis-1" and "mailboxes.borealis-1.folders.spam" in blind["msg"]
        assert (await daemon.line("judged"))["route"] == "bare-smtp/aurora-1"
        assert await daemon.metric("mailcanary_mailbox_watching") == 1


async def test_sighup_does_not_kill(world: World, begin: Begin) -> None:
    world.only("aurora-1")
    async with running(world, begin) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.line("reloaded")
        assert await daemon.stop() == 0


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
async def test_a_closed_pipe_is_no_crash(world: World, environment: dict[str, str], closed: str) -> None:
    world.only("aurora-1")
    streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "check-config", "-c", world.write(), env=environment, **streams
    )
    pipe = getattr(process, closed)
    assert pipe is not None
    pipe._transport.close()
    async with asyncio.timeout(WITHIN):
        out, err = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in out + err
