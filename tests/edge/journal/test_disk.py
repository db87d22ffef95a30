"""A full or read-only disk: nothing is lost that was promised, nothing is promised that is lost, and it heals by itself."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.edge.journal import JournalError, SqliteJournal
from monitor.model.facts import Entry, Paused, Resumed
from monitor.ports import JournalUnwritable
from monitor.views.world import World
from tests.edge.journal.test_contract import fact, names
from tests.edge.journal.test_retention import KEEP, NOW
from tests.views.life import at


def big(number: int) -> Resumed:
    return Resumed(at(number), f"n{number} " + "x" * 4000)


async def fill(journal: SqliteJournal, told: list[Entry]) -> None:
    """Append until the disk takes no more."""
    with pytest.raises(JournalUnwritable, match="free disk space or make it writable, submitting stops until then"):
        for number in range(10_000):
            told.extend(await journal.append([big(number), big(number)], durable=number % 2 == 0))
    with pytest.raises(JournalUnwritable):
        await journal.append([big(0)])


async def same_in_memory_and_on_disk(journal: SqliteJournal, told: list[Entry], folded: list[Entry], home: Path) -> None:
    assert folded == told
    assert [entry.seq for entry in told] == list(range(1, len(told) + 1))
    await journal.close()
    reopened = SqliteJournal(home)
    on_disk: list[Entry] = []
    while page := await reopened.read(len(on_disk)):
        on_disk.extend(page)
    assert on_disk == told
    assert reopened.restore("world", World).seq == len(told)
    await reopened.close()


async def test_a_journal_that_may_not_grow(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    folded: list[Entry] = []
    journal.fold_into(folded.append)
    told: list[Entry] = []
    journal._db.execute("PRAGMA max_page_count=200")
    await fill(journal, told)
    place = journal.last
    assert place == len(told)
    waiting = journal.wait(place)
    journal._db.execute("PRAGMA max_page_count=100000")
    told.extend(await journal.append([fact(1)]))
    await waiting
    assert told[-1].seq == place + 1
    await same_in_memory_and_on_disk(journal, told, folded, tmp_path)


async def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """An error after which SQLite does not roll back by itself."""
    journal = SqliteJournal(tmp_path)
    journal._db.execute("CREATE TRIGGER no BEFORE INSERT ON facts WHEN NEW.kind = 'paused' BEGIN SELECT RAISE(FAIL, 'no'); END")
    results = await asyncio.gather(
        journal.append([fact(1)]), journal.append([fact(2), Paused(at(0), "ada", "")]), journal.append([fact(3)]), return_exceptions=True
    )
    assert [type(result) for result in results] == [JournalUnwritable] * 3, "committed together, refused together"
    assert journal.last == 0
    assert [entry.seq for entry in await journal.append([fact(4)])] == [1]
    await journal.close()
    reopened = SqliteJournal(tmp_path)
    assert names(await reopened.read(0)) == ["n4"]
    await reopened.close()


async def test_one_that_is_read_only_for_a_while(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    world = journal.restore("world", World)
    await journal.append([fact(1)])
    journal._db.execute("PRAGMA query_only=1")
    with pytest.raises(JournalUnwritable, match="readonly"):
        await journal.append([fact(2)])
    with pytest.raises(JournalUnwritable, match="readonly"):
        await journal.save_snapshot("world", world)
    with pytest.raises(JournalUnwritable, match="readonly"):
        await journal.retire(KEEP, NOW + 1e9)
    assert names(await journal.read(0)) == ["n1"]
    assert world.seq == journal.last == 1
    journal._db.execute("PRAGMA query_only=0")
    assert [entry.seq for entry in await journal.append([fact(3)])] == [2]
    await journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of one mebibyte; skipped where we may not mount."""
    point = tmp_path / "disk"
    point.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(point)], check=False, capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no tmpfs may be mounted: {mount.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


async def test_a_really_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400 * 1024))
    home = small_disk / "state"
    journal = SqliteJournal(home)
    folded: list[Entry] = []
    world = journal.restore("world", World)
    journal.fold_into(folded.append)
    told: list[Entry] = []
    await fill(journal, told)
    assert told
    with pytest.raises(JournalUnwritable):
        await journal.save_snapshot("world", Big(world.seq))
    assert await journal.read(0, 1000) == tuple(told[:1000]), "serving goes on"
    ballast.unlink()
    told.extend(await journal.append([fact(1), fact(2)]))
    told.extend(await journal.append([big(3)], durable=True))
    assert world.seq == journal.last == len(told)
    await same_in_memory_and_on_disk(journal, told, folded, home)


class Big(World):
    """A view that does not fit."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.routes = {f"route {number} " + "x" * 1000: self.route(key) for number, key in enumerate(["a"] * 500)}  # type: ignore[arg-type]


async def test_a_disk_that_is_full_when_we_start(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1024 * 1024 - 8192))
    with pytest.raises(JournalError, match=r"the journal cannot be read|writable local directory"):
        SqliteJournal(small_disk / "state")


async def test_a_read_only_disk(small_disk: Path) -> None:
    home = small_disk / "state"
    journal = SqliteJournal(home)
    await journal.append([fact(1)])
    await journal.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JournalError, match=r"Read-only file system; state_dir must be a writable local directory"):
        SqliteJournal(home)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    journal = SqliteJournal(home)
    assert journal.last == 1
    await journal.close()
