from __future__ import annotations

import asyncio
import time

from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.ports import Clock, Entropy


async def test_clock() -> None:
    clock: Clock = SystemClock()
    before = time.time(), time.monotonic()
    first, second = clock.now(), clock.now()
    after = time.time(), time.monotonic()
    assert before[0] <= first.utc <= after[0]
    assert before[1] <= first.mono <= second.mono <= after[1]
    assert first.process == second.process
    assert not second.since(first).by_utc


async def test_two_processes_have_two_names() -> None:
    assert SystemClock().now().process != SystemClock().now().process


async def test_sleep_gives_way_and_takes_what_is_past() -> None:
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await SystemClock().sleep(-1)
    assert ran.is_set()


def test_entropy() -> None:
    entropy: Entropy = SystemEntropy()
    assert len(entropy.token(6)) == 6
    assert entropy.token(16) != entropy.token(16)
    drawn = [entropy.uniform(-1.0, 1.0) for _ in range(100)]
    assert all(-1.0 <= number <= 1.0 for number in drawn)
    assert len(set(drawn)) > 1
