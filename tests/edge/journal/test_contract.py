"""What every Journal owes (ports.Journal), in memory and on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.edge.journal import MemoryJournal, SqliteJournal
from monitor.model.facts import Entry, Paused, Resumed
from monitor.views.world import World
from tests.views.life import Life, at, planned

AnyJournal = MemoryJournal | SqliteJournal


def fact(number: int) -> Resumed:
    return Resumed(at(number), f"n{number}")


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.fact.by for entry in entries if isinstance(entry.fact, Resumed)]


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyJournal]:
    if request.param == "memory":
        yield MemoryJournal(lambda _: None)
        return
    sqlite = SqliteJournal(tmp_path / "state")
    yield sqlite
    await sqlite.close()


async def test_empty(journal: AnyJournal) -> None:
    assert journal.last == 0
    assert await journal.read(0) == ()
    assert await journal.append([]) == ()
    assert journal.last == 0


async def test_append_gives_the_next_places_in_order(journal: AnyJournal) -> None:
    first = await journal.append([fact(1), fact(2)])
    second = await journal.append([fact(3)], durable=True)
    assert [entry.seq for entry in (*first, *second)] == [1, 2, 3]
    assert [entry.kind for entry in first] == ["resumed", "resumed"]
    assert [entry.fact for entry in (*first, *second)] == [fact(1), fact(2), fact(3)]
    assert journal.last == 3
    assert await journal.read(0) == (*first, *second)


async def test_read_from_a_place_up_to_a_limit(journal: AnyJournal) -> None:
    await journal.append([fact(number) for number in range(1, 11)])
    assert names(await journal.read(0, 3)) == ["n1", "n2", "n3"]
    assert names(await journal.read(7, 100)) == ["n8", "n9", "n10"]
    assert await journal.read(10) == ()
    assert await journal.read(99) == ()


async def test_a_rich_fact_comes_back_as_it_was(journal: AnyJournal) -> None:
    fact = planned()
    await journal.append([fact])
    (entry,) = await journal.read(0)
    assert entry.fact == fact
    assert entry.kind == "probe_planned"


async def test_wait_returns_at_once_when_there_is_something(journal: AnyJournal) -> None:
    await journal.append([fact(1)])
    await journal.wait(0)


async def test_wait_wakes_every_waiter(journal: AnyJournal) -> None:
    waiters = [asyncio.create_task(journal.wait(0)) for _ in range(3)]
    far = asyncio.create_task(journal.wait(1))
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    await journal.append([fact(1)])
    await asyncio.gather(*waiters)
    assert not far.done()
    await journal.append([fact(2)])
    await far


async def test_a_cancelled_waiter_harms_nobody(journal: AnyJournal) -> None:
    gone, stays = asyncio.create_task(journal.wait(0)), asyncio.create_task(journal.wait(0))
    await asyncio.sleep(0)
    gone.cancel()
    await journal.append([fact(1)])
    await stays
    assert gone.cancelled() or gone.done()


async def test_folds_before_it_wakes_and_before_append_returns(journal: AnyJournal) -> None:
    world = World()
    journal.fold_into(world.fold)
    seen: list[int] = []

    async def reader() -> None:
        await journal.wait(0)
        seen.append(world.seq)

    task = asyncio.create_task(reader())
    await asyncio.sleep(0)
    await journal.append([Paused(at(0), "ada", ""), fact(1), Paused(at(2), "bob", "")])
    assert world.paused == Paused(at(2), "bob", "")
    await task
    assert seen == [3]


async def test_concurrent_appends_stay_whole_and_each_learns_its_places(journal: AnyJournal) -> None:
    world: list[Entry] = []
    journal.fold_into(world.append)

    async def append(number: int) -> tuple[Entry, ...]:
        return await journal.append([fact(number * 10), fact(number * 10 + 1)], durable=number % 7 == 0)

    groups = await asyncio.gather(*(append(number) for number in range(60)))
    for number, group in enumerate(groups):
        assert names(group) == [f"n{number * 10}", f"n{number * 10 + 1}"]
        assert group[1].seq == group[0].seq + 1
    assert [entry.seq for entry in world] == list(range(1, 121))
    assert tuple(world) == await journal.read(0, 1000)


async def test_one_after_another_means_in_that_order(journal: AnyJournal) -> None:
    tasks = [asyncio.create_task(journal.append([fact(number)])) for number in range(20)]
    await asyncio.gather(*tasks)
    assert names(await journal.read(0)) == [f"n{number}" for number in range(20)]


async def test_a_cancelled_appender_leaves_its_fact_whole_or_not_at_all(journal: AnyJournal) -> None:
    """Never committed but not folded."""
    world: list[Entry] = []
    journal.fold_into(world.append)
    tasks = [asyncio.create_task(journal.append([fact(number), fact(number + 100)])) for number in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await journal.append([fact(999)])
    assert tuple(world) == await journal.read(0)
    told = names(tuple(world))
    for number in range(10):
        assert (f"n{number}" in told) == (f"n{number + 100}" in told)
        assert number % 2 == 0 or f"n{number}" in told


async def test_a_fact_that_cannot_be_stored_fails_at_its_writer_alone(journal: AnyJournal) -> None:
    good, bad, after = await asyncio.gather(
        journal.append([fact(1)]),
        journal.append([fact(2), Resumed(at(0), "lone \ud800 surrogate")]),
        journal.append([fact(3)]),
        return_exceptions=True,
    )
    assert isinstance(bad, UnicodeError)
    assert not isinstance(good, BaseException)
    assert not isinstance(after, BaseException)
    assert names(await journal.read(0)) == ["n1", "n3"]
    assert [entry.seq for entry in await journal.read(0)] == [1, 2]


async def test_the_view_is_the_same_on_both(journal: AnyJournal) -> None:
    told: list[Entry] = []
    world = World()
    journal.fold_into(world.fold)
    journal.fold_into(told.append)
    life = Life().attempt(0).accept(1).see(3)
    await journal.append([planned()])
    for entry in told:
        assert entry.seq == world.seq
    assert world.probes.keys() == life.world.probes.keys()
