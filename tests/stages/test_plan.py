"""plan on virtual time: the rhythm of a day, and what must never become a burst."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.model.facts import ClockJumped, Paused, ProbePlanned, Resumed
from monitor.model.probe import Route
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import virtual

EVERY = 300.0
DAY = 86_400.0
ROOMY = {"schedule": {"every": "5m", "jitter": "10%"}, "budgets": {"per_path": 5000, "per_mailbox": 5000}}


def by_route(house: House) -> dict[Route, list[float]]:
    found: dict[Route, list[float]] = defaultdict(list)
    for fact in house.facts(ProbePlanned):
        found[fact.route].append(fact.at.mono)
    return found


@virtual
async def test_the_opening_is_staggered_over_one_interval(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=6, **ROOMY), draw=0.5)
    await house.watched()
    async with house.running("plan"):
        await house.sleep(EVERY - 1)
    assert house.times(ProbePlanned) == pytest.approx([0, 50, 100, 150, 200, 250], abs=0.1)
    assert len({fact.route for fact in house.facts(ProbePlanned)}) == 6


@virtual
async def test_a_day_of_six_mailboxes_keeps_its_rhythm(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=6, **ROOMY))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(DAY)
    for times in by_route(house).values():
        assert DAY / EVERY - 3 <= len(times) <= DAY / EVERY + 3
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert min(gaps) >= EVERY * 0.9 - 0.1 and max(gaps) <= EVERY * 1.1 + 0.1, "jitter is 10% at most"
        assert max(gaps) - min(gaps) > EVERY * 0.1, "and there is some"
    probes = [fact.probe for fact in house.facts(ProbePlanned)]
    assert len(set(probes)) == len(probes)
    assert not house.facts(ClockJumped)


@virtual
async def test_the_paths_take_turns_and_none_is_left_alone_for_long(tmp_path: Path) -> None:
    """Listed path by path, as routes are when none are written: no path waits longer than its share of the interval plus the jitter."""
    paths = {name: {"kind": "smtp", "host": f"{name}.test", "author": "refunds@shop.test"} for name in ("app", "batch")}
    house = House(policy(tmp_path, seeds=6, paths=paths, **ROOMY))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(EVERY * 50)
        house.clock.starve(7_200)
        woken = house.clock.now().mono
        await house.sleep(EVERY * 50)
    by_path: dict[str, list[float]] = defaultdict(list)
    for fact in house.facts(ProbePlanned):
        by_path[fact.route.path].append(fact.at.mono)
    assert len(by_path) == 3
    for times in by_path.values():
        gaps = [later - earlier for earlier, later in pairwise(times) if not woken - 7_300 < earlier < woken + EVERY]
        assert max(gaps) <= EVERY / 6 + EVERY * 0.1 + 0.2
    later = [fact.route.path for fact in house.facts(ProbePlanned) if fact.at.mono < EVERY]
    assert later[:6] == ["relay", "app", "batch"] * 2


@virtual
async def test_without_jitter_the_rhythm_does_not_drift(tmp_path: Path) -> None:
    house = House(policy(tmp_path, schedule={"jitter": "0%"}))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(DAY)
    assert house.times(ProbePlanned) == pytest.approx([number * EVERY for number in range(288)], abs=0.1)


@virtual
async def test_nothing_is_planned_before_the_watcher_has_spoken(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=3), draw=0.5)
    async with house.running("plan"):
        await house.sleep(1_000)
        assert not house.facts(ProbePlanned)
        await house.watched(seed(1))
        await house.blinded(seed(2))
        await house.sleep(1)
        assert {fact.route.mailbox for fact in house.facts(ProbePlanned)} == {seed(1), seed(2)}, "blind is a word too"
        await house.sleep(EVERY * 3)
    assert all(fact.route.mailbox != seed(3) for fact in house.facts(ProbePlanned))
    assert len(house.facts(ProbePlanned)) <= 8, "what waited is not made up for"


@virtual
async def test_when_ready_waits_for_every_mailbox(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    house.build()
    await house.watched(seed(1))
    waiting = asyncio.ensure_future(house.plan.when_ready([seed(1), seed(2)]))
    await house.sleep(5)
    assert not waiting.done()
    await house.blinded(seed(2))
    await waiting


@virtual
async def test_paused_plans_nothing_and_resuming_is_no_burst(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=6, **ROOMY))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(EVERY * 2)
        await house.journal.append([Paused(house.clock.now(), "ann", "provider asked")])
        before = len(house.facts(ProbePlanned))
        await house.sleep(7_200)
        assert len(house.facts(ProbePlanned)) == before
        await house.journal.append([Resumed(house.clock.now(), "ann")])
        resumed = house.clock.now().mono
        await house.sleep(EVERY * 1.2)
    later = [at - resumed for at in house.times(ProbePlanned) if at > resumed]
    assert len([at for at in later if at < 10]) <= 2, "no burst"
    assert 5 <= len([at for at in later if at < EVERY]) <= 7, "but the rhythm goes on"


@virtual
async def test_a_suspended_host_wakes_without_a_burst_and_says_that_the_clock_jumped(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=6, **ROOMY))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(1_000)
        house.clock.step(7_200)
        woken = house.clock.now().mono
        await house.sleep(EVERY)
    assert [jump.seconds for jump in house.facts(ClockJumped)] == [pytest.approx(7_200)]
    after = [at - woken for at in house.times(ProbePlanned) if at > woken]
    assert len(after) <= 7 and len([at for at in after if at < 10]) <= 2


@virtual
async def test_a_starved_process_makes_up_for_nothing(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=6, **ROOMY))
    await house.watched()
    async with house.running("plan"):
        await house.sleep(1_000)
        house.clock.starve(7_200)
        woken = house.clock.now().mono
        await house.sleep(EVERY * 0.8)
    for times in by_route(house).values():
        after = [at for at in times if at > woken - 1]
        assert len(after) <= 2, "at once and in its rhythm, and not the 24 that were missed"
        assert all(later - earlier >= EVERY / 2 - 0.1 for earlier, later in pairwise(after))
    assert not house.facts(ClockJumped), "both clocks agree"


@virtual
async def test_small_steps_are_no_jump(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    await house.watched()
    async with house.running("plan"):
        for step in (2.0, -2.0, 2.9):
            house.clock.step(step)
            await house.sleep(60)
        assert not house.facts(ClockJumped)
        house.clock.step(-3.5)
        await house.sleep(60)
    assert [jump.seconds for jump in house.facts(ClockJumped)] == [pytest.approx(-3.5)]


@virtual
async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    rules = policy(tmp_path, seeds=2, schedule={"jitter": "0%"})
    first = House(rules)
    await first.watched()
    async with first.running("plan"):
        await first.sleep(EVERY + 100)
    last = {route: times[-1] for route, times in by_route(first).items()}
    second = await House(rules, before=first).restored()
    await second.watched()
    known = len(second.facts(ProbePlanned))
    async with second.running("plan"):
        await second.sleep(EVERY + 100)
    for fact in second.facts(ProbePlanned)[known : known + 2]:
        assert fact.at.mono - last[fact.route] >= EVERY - 0.1, "not again before its interval is over"


@virtual
async def test_a_clock_that_was_set_back_between_two_runs_is_noticed_and_stops_nothing(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    first = House(rules)
    await first.watched()
    async with first.running("plan"):
        await first.sleep(100)
    second = await House(rules, before=first).restored()
    second.clock.step(-86_400)
    await second.watched()
    async with second.running("plan"):
        await second.sleep(EVERY * 2.2)
    assert second.facts(ClockJumped)[0].seconds == pytest.approx(-86_300, abs=1)
    assert len(second.facts(ProbePlanned)) >= 2


@virtual
async def test_plan_now_plans_what_it_is_asked_for(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, paths={RELAY: {"carriers": ["header", "plus_tag"]}}))
    house.build()
    first, second = await house.probe()
    plans = house.facts(ProbePlanned)
    assert [plan.probe for plan in plans] == [first, second]
    assert len({plan.token for plan in plans}) == 2 and plans[0].token in str(plans[0].recipient)
    assert str(plans[0].envelope_sender) == f"refunds+{first}@shop.test"
    assert plans[0].message_id == f"<{plans[0].token}@shop.test>"
    assert plans[0].deadlines.missing_after == 480 and plans[0].deadlines.watch_until == 480 + 1800
    assert await house.plan.plan_now([], plans[0].purpose) == ()
