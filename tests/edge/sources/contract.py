"""What every LedgerSource owes, whatever it reads (ports.LedgerSource, model.ledger.Portion)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import pytest

from monitor.model.ledger import Lines, Mails, Portion, Table
from monitor.ports import LedgerSource, SourceError

LONG = 30.0
MOST_ROWS = 10_000
MOST_POSITION = 512 * 1024  # characters


class World(Protocol):
    """A source that we command. A record of it bears one word: letters, digits and `-`; no word is added twice."""

    redelivers: bool  # what was read before may come again with what is new

    def source(self) -> LedgerSource:
        """A new one before the same things, as after a restart."""
        ...

    async def add(self, words: Sequence[str]) -> None:
        """Records more, complete, in this order."""
        ...

    async def fail(self) -> None:
        """It cannot be read from now on."""
        ...

    async def mend(self) -> None: ...

    def words(self, content: Table | Lines | Mails) -> list[str]: ...

    def now(self) -> float:
        """Seconds since the epoch, by the clock that the source was given."""
        ...

    async def trace(self) -> object:
        """What another one sees of the source, which reading must not change."""
        ...


async def portions(source: LedgerSource, position: str = "") -> list[Portion]:
    """Everything behind `position`, the portion at the end included."""
    found: list[Portion] = []
    for _ in range(10_000):
        found.append(await source.read(position, LONG))
        if not found[-1].more:
            return found
        position = found[-1].position
    raise AssertionError("more without end")


def size(content: Table | Lines | Mails) -> int:
    return len(content.rows if isinstance(content, Table) else content.lines if isinstance(content, Lines) else content.copies)


class SourceContract:
    """Subclass as Test..., and give a `world` fixture: a source that is there, and empty. `many`: more records than one portion holds."""

    many = 25_000

    def words(self, world: World, found: Sequence[Portion]) -> list[str]:
        return [word for portion in found for word in world.words(portion.content)]

    def same(self, world: World, got: list[str], wanted: Sequence[str]) -> None:
        if world.redelivers:
            assert sorted(set(got)) == sorted(set(wanted))
        else:
            assert got == list(wanted)

    async def test_a_source_without_records_is_read_to_its_end(self, world: World) -> None:
        before = world.now()
        found = await portions(world.source())
        assert self.words(world, found) == [] and not any(portion.faults for portion in found)
        assert found[-1].read_until is not None and before <= found[-1].read_until <= world.now()

    async def test_all_records_come_once_and_in_order_with_the_time_until_which_it_was_read(self, world: World) -> None:
        wanted = ["R-1", "R-2", "R-3"]
        await world.add(wanted)
        before = world.now()
        found = await portions(world.source())
        assert self.words(world, found) == wanted
        assert not any(portion.faults for portion in found) and all(portion.origin for portion in found)
        assert found[-1].read_until is not None and before <= found[-1].read_until <= world.now()

    async def test_what_comes_later_is_read_behind_the_position(self, world: World) -> None:
        source, position, got = world.source(), "", []
        for batch in (["a-1", "a-2"], [], ["b-1"], ["c-1", "c-2", "c-3"]):
            await world.add(batch)
            found = await portions(source, position)
            if not world.redelivers:
                assert self.words(world, found) == batch
            got += self.words(world, found)
            position = found[-1].position
        self.same(world, got, ["a-1", "a-2", "b-1", "c-1", "c-2", "c-3"])

    async def test_the_position_outlives_a_restart(self, world: World) -> None:
        await world.add(["R-1", "R-2"])
        first = world.source()
        found = await portions(first)
        await first.close()
        await world.add(["R-3"])
        after = await portions(world.source(), found[-1].position)
        self.same(world, self.words(world, [*found, *after]), ["R-1", "R-2", "R-3"])
        assert "R-3" in self.words(world, after)

    async def test_at_the_end_the_position_stays_where_it_is(self, world: World) -> None:
        await world.add(["R-1"])
        source = world.source()
        position = (await portions(source))[-1].position
        for reader in (source, source, world.source()):
            again = await portions(reader, position)
            assert again[-1].position == position and not again[-1].more and again[-1].read_until is not None
            if not world.redelivers:
                assert self.words(world, again) == []

    async def test_an_older_position_gives_the_same_again(self, world: World) -> None:
        """What was read and could not be kept is asked for once more."""
        await world.add(["R-1", "R-2"])
        source = world.source()
        first = await source.read("", LONG)
        assert await self.rest(world, source, "") == await self.rest(world, source, "") == ["R-1", "R-2"]
        await world.add(["R-3"])
        assert await self.rest(world, source, "") == ["R-1", "R-2", "R-3"]
        assert await self.rest(world, world.source(), first.position) == await self.rest(world, source, first.position)

    async def test_an_older_position_in_the_middle_of_many_gives_the_same_again(self, world: World) -> None:
        wanted = [f"N-{number}" for number in range(self.many)]
        await world.add(wanted)
        source = world.source()
        first = await source.read("", LONG)
        second = await source.read(first.position, LONG)
        assert second.more and world.words(second.content)
        again = await self.rest(world, source, first.position)
        assert set(world.words(second.content)) <= set(again) and again[-1] == wanted[-1]

    async def rest(self, world: World, source: LedgerSource, position: str) -> list[str]:
        return list(dict.fromkeys(self.words(world, await portions(source, position))))

    async def test_many_records_come_in_bounded_portions(self, world: World) -> None:
        wanted = [f"N-{number}" for number in range(self.many)]
        await world.add(wanted)
        found = await portions(world.source())
        assert max(size(portion.content) for portion in found) <= MOST_ROWS and len(found) > 1
        assert list(dict.fromkeys(self.words(world, found))) == wanted
        assert all(portion.read_until is None for portion in found[:-1]), "not yet at its end"
        assert found[-1].read_until is not None
        assert max(len(portion.position) for portion in found) <= MOST_POSITION

    async def test_a_restart_between_any_two_portions_loses_and_doubles_nothing(self, world: World) -> None:
        wanted = [f"N-{number}" for number in range(self.many)]
        await world.add(wanted)
        position, got = "", []
        for _ in range(10_000):
            portion = await world.source().read(position, LONG)
            got += world.words(portion.content)
            position = portion.position
            if not portion.more:
                break
        self.same(world, got, wanted)

    async def test_a_source_that_cannot_be_read_says_what_and_the_mend_and_goes_on_afterwards(self, world: World) -> None:
        await world.add(["R-1"])
        source = world.source()
        position = (await portions(source))[-1].position
        await world.fail()
        for _ in range(2):
            with pytest.raises(SourceError) as caught:
                await portions(source, position)
            assert len(caught.value.detail) > 10 and caught.value.mend and "\n" not in str(caught.value)
        await world.mend()
        await world.add(["R-2"])
        after = await portions(source, position)
        assert "R-2" in self.words(world, after) and after[-1].read_until is not None
        self.same(world, ["R-1", *self.words(world, after)], ["R-1", "R-2"])

    async def test_a_position_of_another_kind_of_source_is_the_beginning(self, world: World) -> None:
        """The configuration may put a database where a file was."""
        await world.add(["R-1"])
        for position in ("17", "2026-01-01T00:00:00Z", "{}", "[]", '{"files": 3}', "null", "\x00", "9" * 5_000, "[" * 100_000):
            assert await self.rest(world, world.source(), position) == ["R-1"], position[:20]

    async def test_a_cancelled_read_leaves_it_usable(self, world: World) -> None:
        await world.add(["R-1"])
        source = world.source()
        for _ in range(3):
            task = asyncio.create_task(source.read("", LONG))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await self.rest(world, source, "") == ["R-1"]

    async def test_closing_twice_is_harmless(self, world: World) -> None:
        source = world.source()
        await source.close()
        source = world.source()
        await portions(source)
        await source.close()
        await source.close()

    async def test_reading_leaves_no_trace(self, world: World) -> None:
        await world.add(["R-1", "R-2"])
        before = await world.trace()
        source = world.source()
        position = (await portions(source))[-1].position
        await portions(source, position)
        await source.close()
        assert await world.trace() == before
