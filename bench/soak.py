"""An hour of `mailcanary run` at ten routes while faults come and go: memory and CPU minute by minute, and whether they grow."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time

import psutil

from bench.lab import other_lab
from bench.rows import Row, cpu_seconds, daemon_of, free_port, rss_mib, until, watching
from monitor.edge.daemon import Daemon
from monitor.lab.control import LabClient
from monitor.lab.faults import Scope

MINUTE = 60.0
BARS = "▁▂▃▄▅▆▇█"
GROWTH = 5.0  # MiB that the second half may be above the first: the allocator's own play
FAULTS = (
    "accept_and_drop",
    "junk",
    "refuse",
    "imap_down",
    "duplicate",
    "delay",
    "imap_malformed",
    "alter_amount",
    "refuse_connect",
    "imap_bye",
    "clone_bounce",
    "authentication_fail",
    "hold_queue",
    "uidvalidity_change",
)


async def soak(minutes: int = 60) -> Row:
    """A probe a route and five seconds, so that an hour holds what the default schedule does in two days and a half."""
    async with other_lab(5) as lab, LabClient(lab.description["control_url"]) as control:
        tree = lab.tree("tls")
        seeds = [name for name, box in tree["mailboxes"].items() if box.get("role", "seed") == "seed"][:5]
        tree["routes"] = [{"path": path, "mailbox": name} for path in ("app", "bare-smtp") for name in seeds]
        tree["mailboxes"] = {name: tree["mailboxes"][name] for name in seeds}
        for box in tree["mailboxes"].values():
            box["clean_up_after"] = "60s"  # a day, shrunk like the rest: copies that wait for their deletion are remembered
        tree["schedule"] = {"every": "5s", "jitter": "10%"}
        tree["incidents"] = {"recover_after": "10s", "sustained_after": "20s", "blind_after": "15s"}
        tree["listen"]["port"] = free_port()
        async with daemon_of(lab.written(tree)) as daemon:
            await until(lambda: watching(tree) >= len(seeds))
            troubles = asyncio.create_task(_troubles(control, lab.description["providers"][0]["domain"]))
            try:
                memory, load = await _watch(daemon, minutes)
            finally:
                troubles.cancel()
            page = await asyncio.to_thread(Daemon(f"http://127.0.0.1:{tree['listen']['port']}").get, "/metrics")
    settled = memory[min(5, len(memory) // 4) :]  # the first minutes fill caches
    first, second = settled[: len(settled) // 2], settled[len(settled) // 2 :]
    growth = statistics.median(second) - statistics.median(first)
    probes = sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith("mailcanary_probes_submitted_total{"))
    opened = sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("mailcanary_incident_transitions_total{") and 'to="opened"' in line
    )
    return Row(
        f"{minutes} minutes, 10 routes, {probes:.0f} probes, {opened:.0f} incidents",
        f"RSS {memory[0]:.0f} -> {memory[-1]:.0f} MiB, most {max(memory):.0f} {_sparkline(memory)}",
        f"second half against first: {growth:+.1f} MiB, CPU {statistics.mean(load) * 100:.1f} %, last quarter "
        f"{statistics.mean(load[-max(1, len(load) // 4) :]) * 100:.1f} %",
        None,
        f"RSS <= 90 MiB, growth <= {GROWTH:.0f} MiB",
        max(memory) <= 90 and growth <= GROWTH,
    )


async def _watch(daemon: psutil.Process, minutes: int) -> tuple[list[float], list[float]]:
    """(RSS in MiB, share of a core) at the end of each minute."""
    memory, load = [], []
    for minute in range(1, minutes + 1):
        before, began = cpu_seconds(daemon), time.monotonic()
        await asyncio.sleep(MINUTE)
        memory.append(rss_mib(daemon))
        load.append((cpu_seconds(daemon) - before) / (time.monotonic() - began))
        print(f"  minute {minute}/{minutes}: RSS {memory[-1]:.1f} MiB, {load[-1] * 100:.1f} % of a core", file=sys.stderr, flush=True)
    return memory, load


async def _troubles(control: LabClient, provider: str) -> None:
    """One after the other, half of them at one provider only; then nothing for as long."""
    for number, fault in enumerate(itertools.cycle(FAULTS)):
        scope = Scope(provider=provider) if number % 2 else None
        await control.switch_on(fault, scope, **({"seconds": 3.0} if fault == "delay" else {}))
        await asyncio.sleep(25.0)
        await control.clear_faults()
        await asyncio.sleep(25.0)


def _sparkline(values: list[float]) -> str:
    step = max(1, len(values) // 20)
    shown = values[::step]
    low, high = min(shown), max(shown)
    return "".join(BARS[int((value - low) / max(high - low, 0.1) * (len(BARS) - 1))] for value in shown)
