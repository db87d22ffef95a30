"""A journal that goes bad under a running daemon: SQLite says nothing, so we look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from monitor.edge.journal import JournalError, SqliteJournal
from tests.edge.journal.test_contract import fact


async def used(home: Path) -> SqliteJournal:
    journal = SqliteJournal(home)
    for number in range(200):
        await journal.append([fact(number)])
    return journal


async def test_a_sound_one_is_sound(tmp_path: Path) -> None:
    journal = await used(tmp_path)
    await journal.verify()
    await journal.append([fact(1)], durable=True)
    await journal.verify()
    await journal.close()


async def test_an_empty_one_is_sound(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    await journal.verify()
    await journal.close()


async def test_one_that_was_deleted(tmp_path: Path) -> None:
    journal = await used(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
    await journal.append([fact(1)])  # SQLite writes on into a file that nobody will ever read
    with pytest.raises(JournalError, match=r"the journal is gone while it is in use.*restore it, or start without it"):
        await journal.verify()
    await journal.close()


async def test_one_that_was_replaced(tmp_path: Path) -> None:
    journal = await used(tmp_path)
    shutil.copy(journal.path, tmp_path / "copy")
    (tmp_path / "copy").rename(journal.path)
    with pytest.raises(JournalError, match="another file has taken the journal's place"):
        await journal.verify()
    await journal.close()


@pytest.mark.parametrize("what", ["noise", "nothing"])
async def test_one_that_was_overwritten(tmp_path: Path, what: str) -> None:
    journal = await used(tmp_path)
    for path in (journal.path, journal.path.with_name("journal.sqlite3-wal")):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(os.urandom(size) if what == "noise" else bytes(size))
    with pytest.raises(JournalError, match=r"the journal cannot be read .*restore it from a backup, or move it away"):
        await journal.verify()
    await journal.close()


async def test_facts_that_are_lost(tmp_path: Path) -> None:
    """A log that was cut off: what was committed does not come back."""
    journal = await used(tmp_path)
    journal._db.execute("UPDATE sqlite_sequence SET seq = 150")
    with pytest.raises(JournalError, match="fact 200 was committed, and 150 is the last that can be read"):
        await journal.verify()
    await journal.close()
