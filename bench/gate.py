"""From `mailcanary gate run` to its verdict, and what many gates do to mailboxes and relay. The daemon, the lab and the command are
processes of their own; beside each figure the least that the same answer could cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bench.lab import OtherLab, other_lab
from bench.raw import RawImap, RawSmtp
from bench.rows import Row, command_seconds, daemon_of, free_port, until, watching
from monitor.edge.daemon import Daemon, DaemonError
from monitor.lab.control import LabClient

MISSING = 10.0  # seconds, as the target has it
DELIVERY = 1.0  # seconds that the providers take
TIMES = 3
FLOOD = 20.0  # seconds for which a pipeline asks in a loop
MANY = 12


@dataclass(slots=True)
class Ground:
    """A daemon beside a lab, with every route known to be good."""

    lab: OtherLab
    control: LabClient
    url: str

    async def gate(self, deploy: str, version: str, policy: str = "quick") -> tuple[int, float, dict[str, Any]]:
        """(exit code, seconds from exec to exit, document) of one `gate run`."""
        arguments = ("gate", "run", "--server", self.url, "--deploy", deploy, "--version", version, "--policy", policy, "--format", "json")
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "monitor", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, error = await process.communicate()
        took = time.monotonic() - began
        if not out:
            raise RuntimeError(f"gate run said nothing: {error.decode()[-1000:]}")
        return process.returncode or 0, took, json.loads(out)

    async def good(self) -> None:
        """Every route has passed since now."""
        since = time.time()
        seeds = 2 * sum(len(provider["accounts"]) for provider in self.lab.description["providers"])
        await until(lambda: self._passed_since(since) >= seeds)

    def _passed_since(self, since: float) -> int:
        """Routes whose latest probe was sighted after `since`."""
        with contextlib.suppress(DaemonError):
            page = Daemon(self.url).get("/metrics")
            lines = [line for line in page.splitlines() if line.startswith("mailcanary_last_probe_sighted_timestamp_seconds{")]
            return sum(float(line.rpartition(" ")[2]) > since for line in lines)
        return 0


@contextlib.asynccontextmanager
async def ground(*, holding: bool = True, delivery: float = 0.0, **changes: Any) -> AsyncIterator[Ground]:
    """`holding`: the holding store is watched."""
    async with other_lab() as lab, LabClient(lab.description["control_url"]) as control:
        tree = lab.tree()
        tree["schedule"] = {"every": "2s", "jitter": "0%"}
        tree["deadlines"] = {"overdue_floor": "2s", "late": "5s", "missing": f"{MISSING:.0f}s", "give_up": "15s", "watch_until": "30s"}
        tree["listen"]["port"] = free_port()
        tree |= changes
        if not holding:
            del tree["mailboxes"]["holding"]
        if delivery:
            await control.switch_on("delay", seconds=delivery)
        async with daemon_of(lab.written(tree)):
            await until(lambda: watching(tree) >= len(tree["mailboxes"]))
            here = Ground(lab, control, f"http://127.0.0.1:{tree['listen']['port']}")
            await here.good()
            yield here


async def gate() -> list[Row]:
    return [await _refused(), await _routed_away(watched=True), await _routed_away(watched=False), await _healthy(), *await _many()]


async def _refused() -> Row:
    """The relay refuses at MAIL FROM, after every route was good."""
    took: list[float] = []
    found: Counter[str] = Counter()
    for number in range(TIMES):
        async with ground() as here:
            await here.control.switch_on("refuse_mail_from")
            code, seconds, document = await here.gate(f"refused-{number}", "v1")
            found[f"{document['verdict']} ({document['because']}), exit {code}"] += 1
            took.append(seconds)
    bare = command_seconds([sys.executable, "-c", "import asyncio"], 5)
    worst = max(took)
    return Row(
        f"gate run, the relay refuses: {_counted(found)}",
        f"median {statistics.median(took):.2f} s, worst {worst:.2f} s",
        f"bare interpreter with asyncio {bare:.2f} s",
        worst / bare,
        "FAIL <= 2 s",
        worst <= 2.0 and all(each.startswith("fail") for each in found),
    )


async def _routed_away(*, watched: bool) -> Row:
    """Deploy v2: the shop's mail goes to a holding store that is watched, or that nobody knows of."""
    async with ground(holding=watched) as here:
        await here.control.deploy("v2")
        code, seconds, document = await here.gate("routed-away", "v2")
    where = "a watched holding store" if watched else "a store that nobody watches"
    return Row(
        f"gate run, the app routes to {where}: {document['verdict']} ({document['because']})",
        f"{seconds:.2f} s",
        f"the deadline for missing: {MISSING:.0f} s",
        seconds / MISSING,
        f"FAIL <= {MISSING + 2:.0f} s",
        code == 1 and seconds <= MISSING + 2,
    )


async def _healthy() -> Row:
    """30 probes per class, six mailboxes at three providers; beside it the same mails by raw loops, and the wait for the last one."""
    async with ground(delivery=DELIVERY, gates={"burst": 200}) as here:
        code, seconds, document = await here.gate("healthy", "v1", "standard")
        raw = await _raw_round(here.lab, document["arms"]["canary"])
    sent = sum(each["sent"] for each in document["classes"])
    return Row(
        f"gate run, healthy, standard: {document['verdict']}, {sent} probes, {len(document['classes'])} classes, transit {DELIVERY:.0f} s",
        f"{seconds:.2f} s",
        f"{raw:.2f} s to submit and fetch as many",
        seconds / raw,
        "PASS <= 5 s",
        code == 0 and seconds <= 5.0 and sent >= 90,
    )


async def _raw_round(lab: OtherLab, routes: list[dict[str, Any]]) -> float:
    """Seconds for one raw loop a mailbox to submit as many mails at once and fetch the last of them."""
    each = max(row["sent"] for row in routes)
    message = b"From: a@shop.test\r\nSubject: raw\r\n\r\n" + (b"x" * 70 + b"\r\n") * 70

    async def loop(port: int, account: dict[str, str]) -> None:
        mailbox = await RawImap.connect("127.0.0.1", port, account["address"], account["password"])
        smtp = await RawSmtp.connect("127.0.0.1", lab.description["relay"]["plain"])
        answer = await mailbox.command("STATUS INBOX (MESSAGES)")
        there = int(answer.split(b"MESSAGES ")[1].split(b")")[0])
        for _ in range(each):
            await smtp.submit("a@shop.test", account["address"], message)
        await mailbox.idle()
        while not ((line := await mailbox.reader.readline()).endswith(b"EXISTS\r\n") and int(line.split()[1]) >= there + each):
            pass

    began = time.monotonic()
    accounts = [(provider["plain"], account) for provider in lab.description["providers"] for account in provider["accounts"]]
    await asyncio.gather(*[loop(port, account) for port, account in accounts])
    return time.monotonic() - began


async def _many() -> list[Row]:
    """Many gates at once; then a pipeline that asks in a loop, each time with another deploy."""
    window, burst = 5.0, 6
    async with ground(gates={"burst": burst, "window": f"{window:.0f}s"}) as here:
        after = (await here.control.accepted())["messages"]
        began = time.monotonic()
        done = await asyncio.gather(*[here.gate(f"many-{number}", "v1") for number in range(MANY)])
        elapsed = time.monotonic() - began
        took = sorted(seconds for _, seconds, _ in done)
        verdicts = Counter(document["verdict"] for _, _, document in done)
        asked = time.monotonic()
        count = 0
        while time.monotonic() - asked < FLOOD:
            with contextlib.suppress(DaemonError):
                await asyncio.to_thread(Daemon(here.url).post, "/v1/gates", {"deploy": f"loop-{count}", "version": "v1", "by": "bench"})
            count += 1
        flooded = await asyncio.to_thread(Daemon(here.url).document, "/v1/status")
        accepted = (await here.control.accepted())["messages"] - after
    boxes = 6
    allowed = boxes * burst * ((elapsed + FLOOD) / window + 2)
    scheduled = 2 * boxes * (elapsed + FLOOD) / 2.0
    return [
        Row(
            f"{MANY} gates at once, {burst} probes a mailbox and {window:.0f} s: {_counted(verdicts)}",
            f"first {took[0]:.1f} s, last {took[-1]:.1f} s",
            f"all their probes one after the other: {MANY * 30 / (boxes * burst / window):.1f} s",
            took[-1] / (MANY * 30 / (boxes * burst / window)),
            "all decided, none starved",
            len(done) == MANY and took[-1] <= 3 * took[len(took) // 2],
        ),
        Row(
            f"a pipeline asks {count} times in {FLOOD:.0f} s, each time about another deploy",
            f"{accepted} mails, those of the {MANY} gates included",
            f"allowed to gates {allowed:.0f}, scheduled {scheduled:.0f}",
            accepted / (allowed + scheduled),
            "not more than allowed",
            bool(flooded) and accepted <= allowed + scheduled * 1.5,
        ),
    ]


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" if count > 1 else what for what, count in found.items())
