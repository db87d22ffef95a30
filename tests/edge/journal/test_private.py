"""A state directory is ours alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from monitor.edge.journal import JournalError, SqliteJournal
from tests.edge.journal.test_contract import fact


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_one_is_made_private(tmp_path: Path) -> None:
    home = tmp_path / "a" / "state"
    journal = SqliteJournal(home)
    await journal.append([fact(1)])
    assert mode(home) == 0o700
    assert {path.name: mode(path) & 0o077 for path in home.iterdir() if path.name != "lock"} == {
        "journal.sqlite3": 0,
        "journal.sqlite3-wal": 0,
        "journal.sqlite3-shm": 0,
    }
    await journal.close()


@pytest.mark.parametrize("loose", [0o755, 0o750, 0o777, 0o1777, 0o701])
async def test_a_loose_one_is_tightened(tmp_path: Path, loose: int) -> None:
    home = tmp_path / "state"
    await SqliteJournal(home).close()
    (home / "lost+found").mkdir()
    home.chmod(loose)
    await SqliteJournal(home).close()
    assert mode(home) == 0o700


async def test_one_that_holds_other_things_is_not_taken_from_them(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir(0o755)
    (home / "somebody-elses").write_text("")
    home.chmod(0o755)
    with pytest.raises(JournalError, match=r"others may enter it \(mode 0755\).*a directory of our own, or chmod 700"):
        SqliteJournal(home)
    assert mode(home) == 0o755 and not (home / "journal.sqlite3").exists()
    home.chmod(0o700)
    await SqliteJournal(home).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize(("loose", "taken"), [(0o777, False), (0o1777, False), (0o2775, True), (0o755, True)])
async def test_anothers(tmp_path: Path, loose: int, taken: bool) -> None:
    """The root of a mounted volume: not ours to chmod."""
    home = tmp_path / "volume"
    home.mkdir()
    os.chown(home, 12345, os.getegid())
    home.chmod(loose)
    if taken:
        await SqliteJournal(home).close()
    else:
        with pytest.raises(JournalError, match="belongs to uid 12345 and anybody may write there; let state_dir name a directory below"):
            SqliteJournal(home)
    assert mode(home) == loose
