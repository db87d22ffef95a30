"""The dead-man switch on virtual time: it hears of whole cycles, and of nothing else as well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from monitor.model.facts import Judged, Paused, Resumed
from monitor.model.mail import BlindCause
from monitor.ports import MailboxError
from tests.stages.house import policy, seed
from tests.stages.virtual import virtual
from tests.stages.yard import Yard


def yard(tmp_path: Path, **changes: Any) -> Yard:
    beat = {"heartbeat": {"url": "https://beat.test/x", "every": "1m"}}
    steady = {"schedule": {"every": "5m", "jitter": "0%"}, "budgets": {"per_path": 5000, "per_mailbox": 5000}}
    return Yard(policy(tmp_path, **steady, **beat, **changes))


@virtual
async def test_one_word_a_cycle_and_none_without(tmp_path: Path) -> None:
    one = yard(tmp_path)
    async with one.running():
        await asyncio.sleep(1450)
        assert [well for _, well, _ in one.switches[0].words] == [True] * 5, (
            "five probes in five intervals, although it may beat each minute"
        )
        assert one.app.vitals.heartbeat_at > 0
        one.posts[0].took = 1e6
        await asyncio.sleep(3000)
        assert len(one.switches[0].words) <= 6, "a monitor that measures nothing is silent"


@virtual
async def test_at_most_once_an_interval(tmp_path: Path) -> None:
    one = yard(tmp_path, seeds=20)
    async with one.running():
        await asyncio.sleep(900)
        assert len(one.facts(Judged)) > 50
        words = [at for at, _, _ in one.switches[0].words]
    assert 14 <= len(words) <= 16 and all(later - earlier >= 60 for earlier, later in pairwise(words))


@virtual
async def test_blind_everywhere_is_said_and_unsaid_by_a_cycle_only(tmp_path: Path) -> None:
    one = yard(tmp_path)
    switch = one.switches[0]
    async with one.running():
        await asyncio.sleep(100)
        one.account(seed(1)).fail(MailboxError(BlindCause.AUTH_REFUSED, "no"))
        await asyncio.sleep(100)
        assert [(well, detail) for _, well, detail in switch.words if not well][:1] == [(False, "every seed mailbox is blind")]
        said = len(switch.words)
        one.account(seed(1)).heal()
        await asyncio.sleep(70)
        assert not any(well for _, well, _ in switch.words[said + 1 :])
        await asyncio.sleep(400)
        assert switch.words[-1][1]


@virtual
async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    one = yard(tmp_path)
    switch = one.switches[0]
    async with one.running():
        await asyncio.sleep(100)
        one.journal.full = True
        await asyncio.sleep(700)
        assert not switch.words[-1][1] and "journal" in switch.words[-1][2]
        assert one.app.alive() < 15, "a restart would not mend the disk"
        one.journal.full = False
        await asyncio.sleep(700)
        assert switch.words[-1][1]


@virtual
async def test_paused_goes_on_beating(tmp_path: Path) -> None:
    one = yard(tmp_path)
    switch = one.switches[0]
    async with one.running():
        await one.until_watching()
        await one.journal.append([Paused(one.clock.now(), "ann", "")])
        await asyncio.sleep(1000)
        assert len(switch.words) >= 14 and all(well for _, well, _ in switch.words) and "paused" in switch.words[-1][2]
        await one.journal.append([Resumed(one.clock.now(), "ann")])
        await asyncio.sleep(10)


@virtual
async def test_a_word_that_is_not_taken_is_said_again(tmp_path: Path) -> None:
    one = yard(tmp_path)
    switch = one.switches[0]
    async with one.running():
        switch.answer = "refused"
        await asyncio.sleep(100)
        assert len(switch.words) >= 5 and one.app.vitals.heartbeat_at == 0
        assert {later[0] - earlier[0] for earlier, later in pairwise(switch.words)} <= {10.0, 11.0}
        switch.answer = ""
        await asyncio.sleep(12)
        count = len(switch.words)
        assert one.app.vitals.heartbeat_at > 0
        await asyncio.sleep(120)
        assert len(switch.words) == count, "taken once"


@virtual
async def test_a_stage_that_is_stuck_is_seen(tmp_path: Path) -> None:
    one = yard(tmp_path)
    switch = one.switches[0]
    read = one.journal.read
    stuck = False

    async def slow(after: int, limit: int = 500) -> Sequence[Any]:
        task = asyncio.current_task()
        if stuck and task is not None and task.get_name() == "incident":
            await asyncio.sleep(1e9)
        return await read(after, limit)

    one.journal.read = slow  # type: ignore[method-assign, assignment]
    async with one.running():
        await asyncio.sleep(400)
        assert one.app.alive() < 2 and one.app.desk.stuck() == {}
        stuck = True
        await asyncio.sleep(600)
        assert set(one.app.desk.stuck()) == {"incident"} and one.app.alive() > 120
        assert switch.words[-1][1:] == (False, "no progress in: incident")
