"""One coroutine a row. Each returns what was measured, the raw figure beside it, and the target of the design."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.lab import OtherLab, other_lab
from bench.raw import RawImap, RawSmtp
from monitor.app import App, assembled
from monitor.edge.daemon import Daemon, DaemonError
from monitor.lab.control import LabClient
from monitor.model.facts import Accepted, Entry, Judged, Sighted
from monitor.model.policy import Policy, SmtpPath
from monitor.model.probe import Purpose
from monitor.model.verdict import Verdict
from monitor.rules import compose


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    measured: str
    raw: str
    ratio: float | None
    target: str
    met: bool


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def rss_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


# --- sighting --------------------------------------------------------------------------------------------------------


async def sighting(count: int = 300) -> Row:
    """A probe's message is appended to our mailbox, and to that of a raw IDLE + FETCH loop, in turn; from the last byte of the APPEND
    to the sighting, and to the end of the FETCH."""
    async with other_lab() as lab, LabClient(lab.description["control_url"]) as control:
        await control.switch_on("accept_and_drop")
        policy = lab.policy(_one_route(lab.tree()))
        (route,) = policy.routes
        via = policy.paths[route.path].via
        assert isinstance(via, SmtpPath)
        imap = lab.description["providers"][1]
        own, other = (account["address"] for account in imap["accounts"][:2])
        password = imap["accounts"][0]["password"]
        appender = await RawImap.connect("127.0.0.1", imap["plain"], own, password)
        other_appender = await RawImap.connect("127.0.0.1", imap["plain"], other, password)
        raw_imap = await RawImap.connect("127.0.0.1", imap["plain"], other, password)
        ours: list[float] = []
        raws: list[float] = []
        async with _running(policy) as app:
            sighted: asyncio.Queue[float] = asyncio.Queue()
            accepted = asyncio.Event()

            def note(entry: Entry) -> None:
                if isinstance(entry.fact, Sighted):
                    sighted.put_nowait(entry.fact.at.mono)
                elif isinstance(entry.fact, Accepted):
                    accepted.set()

            app.journal.fold_into(note)
            for _ in range(count):
                accepted.clear()
                (probe,) = await app.plan.plan_now([route], Purpose.CLI)
                await accepted.wait()
                await asyncio.sleep(0.01)  # the nudge of the attempt is over, IDLE holds again
                message = compose.compose(app.desk.world.probes[probe].plan, via.identity)
                at = await appender.append(message)
                ours.append(await sighted.get() - at)
                await raw_imap.idle()
                waiting = asyncio.create_task(raw_imap.arrived())
                await asyncio.sleep(0.01)
                at = await other_appender.append(message)
                raws.append(await waiting - at)
    p50, p99, raw50, raw99 = (percentile(v, s) * 1000 for v, s in ((ours, 0.5), (ours, 0.99), (raws, 0.5), (raws, 0.99)))
    return Row(
        f"sighting after the announcement, {count} probes",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        f"p50 {raw50:.1f} ms, p99 {raw99:.1f} ms",
        p99 / raw99,
        "p99 <= 100 ms, <= 1.5 x raw",
        p99 <= 100 and p99 <= 1.5 * raw99,
    )


# --- many mailboxes --------------------------------------------------------------------------------------------------


async def thousand_mailboxes(seconds: float = 30.0) -> Row:
    """1,000 TLS mailboxes on IDLE in one `mailcanary run`, and 1,000 raw TLS connections that do nothing but IDLE."""
    async with other_lab(334) as lab:
        tree = lab.tree("tls")
        tree["mailboxes"] = dict(list(tree["mailboxes"].items())[:1000])
        tree["schedule"] = {"every": "7d"}
        tree["watch"] = {}  # the defaults
        tree["listen"]["port"] = free_port()
        path = next(iter(tree["mailboxes"]))
        tree["routes"] = [{"path": "bare-smtp", "mailbox": path}]
        async with daemon_of(lab.written(tree)) as daemon:
            await until(lambda: watching(tree) >= 1000)
            rss, load = await _settled(daemon, seconds)
        description = lab.directory / "description.json"
        description.write_text(json.dumps(lab.description))
        raw = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.raw", "idle", str(description), "1000", stdout=asyncio.subprocess.PIPE
        )
        assert raw.stdout is not None
        await raw.stdout.readline()
        raw_rss, raw_load = await _settled(psutil.Process(raw.pid), seconds / 3)
        raw.terminate()
        await raw.wait()
    return Row(
        f"1,000 TLS mailboxes on IDLE, {seconds:.0f} s",
        f"RSS {rss:.0f} MiB, {load * 100:.1f} % of a core",
        f"RSS {raw_rss:.0f} MiB, {raw_load * 100:.1f} %",
        rss / raw_rss,
        "RSS <= 200 MiB, <= 5 %",
        rss <= 200 and load <= 0.05,
    )


async def idle_sidecar(seconds: float = 30.0) -> Row:
    """10 routes at the default interval of five minutes; beside it an interpreter that has only imported asyncio."""
    async with other_lab(5) as lab:
        tree = lab.tree("tls")
        seeds = [name for name, box in tree["mailboxes"].items() if "role" not in box][:5]
        tree["routes"] = [{"path": path, "mailbox": name} for path in ("app", "bare-smtp") for name in seeds]
        tree["mailboxes"] = {name: tree["mailboxes"][name] for name in seeds}
        tree |= {"schedule": {"every": "5m"}, "watch": {}, "deadlines": {}, "submission": {}}
        tree["listen"]["port"] = free_port()
        async with daemon_of(lab.written(tree)) as daemon:
            await until(lambda: watching(tree) >= 5)
            await asyncio.sleep(3)
            rss, load = await _settled(daemon, seconds)
    bare = psutil.Popen([sys.executable, "-c", "import asyncio, time; print(1, flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    bare.stdout.readline()
    bare_rss = rss_mib(psutil.Process(bare.pid))
    bare.kill()
    bare.wait()
    return Row(
        f"10 routes, idle sidecar, {seconds:.0f} s",
        f"RSS {rss:.0f} MiB, {load * 100:.2f} % of a core",
        f"bare interpreter with asyncio: {bare_rss:.0f} MiB",
        rss / bare_rss,
        "RSS <= 90 MiB, <= 1 %",
        rss <= 90 and load <= 0.01,
    )


# --- throughput ------------------------------------------------------------------------------------------------------


async def throughput(seconds: float = 10.0) -> Row:
    """Complete probes, plan to verdict, as fast as six mailboxes go; beside it the raw submit + IDLE + FETCH loop."""
    async with other_lab() as lab:
        tree = lab.tree()
        seeds = [name for name, box in tree["mailboxes"].items() if "role" not in box]
        tree["routes"] = [{"path": "bare-smtp", "mailbox": name} for name in seeds]
        tree["schedule"] = {"every": "7d"}
        tree["deadlines"] = {"overdue_floor": "1s", "late": "20s", "missing": "30s", "give_up": "40s", "watch_until": "41s"}
        tree["watch"] = {}  # the defaults
        policy = lab.policy(tree)
        us = psutil.Process()
        judged: list[Verdict] = []
        async with _running(policy) as app:
            room = asyncio.Semaphore(48)

            def note(entry: Entry) -> None:
                if isinstance(entry.fact, Judged) and entry.fact.revision == 0:
                    judged.append(entry.fact.verdict)
                    room.release()

            app.journal.fold_into(note)
            before, lab_before = cpu_seconds(us), cpu_seconds(lab.process)
            began = time.monotonic()
            routes = list(policy.routes)
            planned = 0
            while time.monotonic() - began < seconds:
                await room.acquire()
                await app.plan.plan_now([routes[planned % len(routes)]], Purpose.CLI)
                planned += 1
            for _ in range(48):  # all are back
                await room.acquire()
            elapsed = time.monotonic() - began
            cpu, lab_cpu = cpu_seconds(us) - before, cpu_seconds(lab.process) - lab_before
        raw_rate, raw_cpu = await _raw_loop(lab, seconds / 2)
    rate = len(judged) / elapsed
    passed = all(verdict is Verdict.PASS for verdict in judged)
    return Row(
        f"complete probes, plan to verdict, {len(judged)} probes{'' if passed else ', NOT ALL PASSED'}",
        f"{rate:.0f}/s, {cpu / len(judged) * 1000:.1f} ms CPU each (lab {lab_cpu / len(judged) * 1000:.1f} ms)",
        f"{raw_rate:.0f}/s in one loop, {raw_cpu * 1000:.1f} ms CPU each",
        cpu / len(judged) / raw_cpu,
        ">= 100/s on one core",
        passed and len(judged) / max(cpu, elapsed) >= 100,
    )


async def _raw_loop(lab: OtherLab, seconds: float) -> tuple[float, float]:
    """Messages a second of one raw loop, and CPU seconds of each."""
    imap = lab.description["providers"][0]
    account = imap["accounts"][0]
    mailbox = await RawImap.connect("127.0.0.1", imap["plain"], account["address"], account["password"])
    smtp = await RawSmtp.connect("127.0.0.1", lab.description["relay"]["plain"])
    message = b"From: a@shop.test\r\nTo: seed1@aurora.test\r\nSubject: raw\r\n\r\n" + (b"x" * 70 + b"\r\n") * 70
    us, count = psutil.Process(), 0
    before, began = cpu_seconds(us), time.monotonic()
    while time.monotonic() - began < seconds:
        await mailbox.idle()
        waiting = asyncio.create_task(mailbox.arrived())
        await smtp.submit("a@shop.test", account["address"], message)
        await waiting
        count += 1
    return count / (time.monotonic() - began), (cpu_seconds(us) - before) / count


# --- starting --------------------------------------------------------------------------------------------------------


async def start(times: int = 5) -> Row:
    """Exec of `mailcanary run` -> the relay has accepted the first probe; beside it a bare interpreter with asyncio."""
    taken: list[float] = []
    async with other_lab() as lab, LabClient(lab.description["control_url"]) as control:
        for _ in range(times):
            tree = _one_route(lab.tree())
            tree["schedule"]["jitter"] = "0%"
            tree["listen"]["port"] = free_port()
            configuration = lab.written(tree)
            already = (await control.accepted())["messages"]
            began = time.monotonic()
            async with daemon_of(configuration):
                while (await control.accepted())["messages"] == already:  # noqa: ASYNC110 - the lab has no event for us
                    await asyncio.sleep(0.005)
                taken.append(time.monotonic() - began)
    bare = command_seconds([sys.executable, "-c", "import asyncio"], times)
    median = statistics.median(taken)
    return Row(
        "start to first probe accepted",
        f"median {median:.2f} s of {times}",
        f"bare interpreter with asyncio {bare * 1000:.0f} ms",
        median / bare,
        "<= 1.0 s",
        median <= 1.0,
    )


async def help_text(times: int = 15) -> Row:
    ours = command_seconds([sys.executable, "-m", "monitor", "--help"], times)
    bare = command_seconds([sys.executable, "-c", "import asyncio"], times)
    return Row(
        "mailcanary --help",
        f"median {ours * 1000:.0f} ms",
        f"bare interpreter with asyncio {bare * 1000:.0f} ms",
        ours / bare,
        "<= 2.5 x",
        ours <= 2.5 * bare,
    )


def command_seconds(command: list[str], times: int) -> float:
    taken = []
    for _ in range(times + 1):
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.monotonic() - began)
    return statistics.median(taken[1:])


# --- what the rows share ---------------------------------------------------------------------------------------------


def _one_route(tree: dict[str, Any]) -> dict[str, Any]:
    """One bare SMTP route to borealis-1."""
    tree["routes"] = [{"path": "bare-smtp", "mailbox": "borealis-1"}]
    tree["mailboxes"] = {"borealis-1": tree["mailboxes"]["borealis-1"]}
    tree["paths"] = {"bare-smtp": tree["paths"]["bare-smtp"]}
    tree["schedule"] = {"every": "7d"}
    return tree


@contextlib.asynccontextmanager
async def _running(policy: Policy) -> AsyncIterator[App]:
    async with assembled(policy, exclusive=False) as app, app.running(schedule=False):
        await app.plan.when_ready(policy.mailboxes)
        yield app


@contextlib.asynccontextmanager
async def daemon_of(configuration: Path) -> AsyncIterator[psutil.Process]:
    log = (configuration.parent / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "run", "--config", str(configuration), stderr=log, stdout=log
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        log.close()
        if process.returncode is not None:
            raise RuntimeError(f"the daemon ended: {(configuration.parent / 'log').read_text()[-2000:]}")
        process.terminate()
        await process.wait()


async def _settled(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """(RSS in MiB, share of a core) over `seconds` of doing nothing."""
    await asyncio.sleep(3)
    before, began = cpu_seconds(process), time.monotonic()
    await asyncio.sleep(seconds)
    return rss_mib(process), (cpu_seconds(process) - before) / (time.monotonic() - began)


async def until(condition: Callable[[], bool], deadline: float = 120.0) -> None:
    async with asyncio.timeout(deadline):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.3)


def watching(tree: dict[str, Any]) -> int:
    """How many mailboxes the daemon says it watches."""
    try:
        page = Daemon(f"http://127.0.0.1:{tree['listen']['port']}").get("/metrics")
    except DaemonError:
        return 0
    return sum(line.endswith(" 1.0") for line in page.splitlines() if line.startswith("mailcanary_mailbox_watching{"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
