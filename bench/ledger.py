"""A million refunds beside a million confirmations, and records that come all day.

The one-shot command reads both files, with every check that it has, and must find exactly the faults that were made: none missed, none
invented. Beside it a script that loads the same files into the same SQLite and makes the same joins (bench/raw_ledger.py says what it
leaves out). Each in a process of its own, so that the peaks of memory are theirs.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import books
from bench.rows import Row
from monitor.edge.ledger import SqliteLedger
from monitor.model.ledger import Confirmation, Refund, Side, Taking, Windows

COUNT = int(os.environ.get("LEDGER_RECORDS", "1000000"))  # on each side
SHARE = 0.005
KEPT = 200_000  # records in the store before the stream begins
BATCH = 200
STREAM_SECONDS = 30.0


# The command, and then what it had in memory at most: what the system says of a child begins with the memory of whoever started it.
MEASURED = """import atexit, pathlib, sys
peak = pathlib.Path(sys.argv.pop(1))
def write():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    peak.write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
atexit.register(write)
from monitor.__main__ import main
main()
"""


async def ledger() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mailcanary-bench-") as name:
        return [await one_shot(Path(name), COUNT), await streaming(Path(name))]


async def one_shot(directory: Path, count: int) -> Row:
    truth = await asyncio.to_thread(books.write, directory, count, SHARE)
    raw = json.loads(await _output("-m", "bench.raw_ledger", str(directory)))
    report = directory / "differences.json"
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    files = (str(directory / "refunds.csv"), str(directory / "confirmations.csv"))
    await _output("-c", MEASURED, str(directory / "peak"), "ledger", "reconcile", *files, "--output", str(report))
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found: books.Truth = {kind: set() for kind in books.KINDS}
    for difference in json.loads(report.read_text())["differences"]:
        found[difference["kind"]].add(difference["refund"])
    missed = sum(len(truth[kind] - found[kind]) for kind in books.KINDS)
    invented = sum(len(found[kind] - truth[kind]) for kind in books.KINDS)
    rss = int((directory / "peak").read_text()) / 1024
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    ratio = took / raw["seconds"]
    return Row(
        f"{count:,} refunds beside as many confirmations, {SHARE:.1%} of each of six faults",
        f"{took:.1f} s ({cpu:.1f} s of CPU), RSS {rss:.0f} MiB, {missed} missed, {invented} invented",
        f"{raw['seconds']:.1f} s (joins {raw['joins']:.1f} s), RSS {raw['rss']:.0f} MiB",
        ratio,
        "<= 3 x, RSS <= 500 MiB, 0 missed, 0 invented",
        ratio <= 3 and rss <= 500 and not missed and not invented,
    )


async def _output(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode in (0, 1), f"{arguments} ended with {process.returncode}"
    return out.decode()


async def streaming(directory: Path) -> Row:
    """Records in batches as they would be pushed, reconciled every second; on disk, beside what is there already."""
    store = SqliteLedger(directory / "stream.sqlite3")
    now = 1_760_000_000.0
    for start in range(0, KEPT, 10_000):
        await _take(store, range(start, start + 10_000), now)
    await store.reconcile(_windows(now), now)
    number, taken, began, due = KEPT, 0, time.perf_counter(), 1.0
    while (passed := time.perf_counter() - began) < STREAM_SECONDS:
        await _take(store, range(number, number + BATCH // 2), now + passed)
        number, taken = number + BATCH // 2, taken + BATCH
        if passed >= due:
            await store.reconcile(_windows(now + passed), now + passed)
            due += 1.0
    took = time.perf_counter() - began
    await store.close()
    rate = taken / took
    return Row(
        f"stream into the store, batches of {BATCH}, reconciled every second, {KEPT:,} records kept",
        f"{rate:,.0f} records/s",
        "-",
        None,
        ">= 2,000 records/s",
        rate >= 2_000,
    )


async def _take(store: SqliteLedger, numbers: Sequence[int], now: float) -> None:
    """As many refunds as confirmations; one in two hundred is not confirmed."""
    refunds = [Refund(f"RF-{n}", f"RF-{n}", 125_000, "EUR", now - 60, b"%012d" % n, line=n) for n in numbers]
    told = [Confirmation(r.key, f"m{r.key}", r.amount, r.currency, r.at + 5, r.recipient, line=r.line) for r in refunds if r.line % 200]
    await store.take(Taking("shop", Side.REFUNDS, "push", refunds, now, read_until=now))
    await store.take(Taking("sent", Side.CONFIRMATIONS, "push", told, now, read_until=now))


def _windows(now: float) -> Windows:
    return Windows(30.0, 30.0, now, now, 0.0, 0.0)
