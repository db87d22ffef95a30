from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from monitor.edge.ownership import MailboxOwned, MailboxOwnership, OwnershipError, default_directory

BOX = ("imap.inbox.test", 993, "seed@inbox.test")
HOLDER = """
import sys
from pathlib import Path
from monitor.edge.ownership import MailboxOwnership
ownership = MailboxOwnership(Path(sys.argv[1]))
ownership.claim("imap.inbox.test", 993, "seed@inbox.test")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_owner(tmp_path: Path) -> None:
    with MailboxOwnership(tmp_path / "locks") as mine, MailboxOwnership(tmp_path / "locks") as other:
        mine.claim(*BOX)
        mine.claim(*BOX)
        with pytest.raises(MailboxOwned, match=f"pid {os.getpid()}") as caught:
            other.claim("IMAP.inbox.test.", *BOX[1:])
        assert "seed" not in str(caught.value)
        other.claim(BOX[0], BOX[1], "another@inbox.test")
        other.claim(BOX[0], 143, BOX[2])
        mine.release(*BOX)
        other.claim(*BOX)
        mine.release(*BOX)  # nothing to give back
    with MailboxOwnership(tmp_path / "locks") as third:
        third.claim(*BOX)


def test_names_show_no_address_and_the_directory_is_private(tmp_path: Path) -> None:
    with MailboxOwnership(tmp_path / "locks") as mine:
        mine.claim(*BOX)
        [lock] = (tmp_path / "locks").iterdir()
        assert len(lock.stem) == 16
        assert "seed" not in lock.name
        assert "seed" not in lock.read_text()
        assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
        assert lock.stat().st_mode & 0o777 == 0o600


def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with MailboxOwnership(tmp_path) as mine:
            with pytest.raises(MailboxOwned, match=f"pid {holder.pid}"):
                mine.claim(*BOX)
            holder.kill()
            holder.wait()
            mine.claim(*BOX)
    finally:
        holder.kill()
        holder.communicate()


def test_a_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OwnershipError, match="link"):
        MailboxOwnership(tmp_path / "link").claim(*BOX)
    assert not list((tmp_path / "real").iterdir())


def test_a_lock_file_that_is_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with MailboxOwnership(tmp_path / "locks") as mine:
        mine.claim(*BOX)
    [lock] = (tmp_path / "locks").iterdir()
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(OwnershipError):
        MailboxOwnership(tmp_path / "locks").claim(*BOX)
    assert victim.read_text() == "precious"


def test_a_directory_that_others_may_write(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(OwnershipError, match="others may write"):
        MailboxOwnership(tmp_path / "open").claim(*BOX)


def test_a_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(OwnershipError, match="belongs to uid"):
        MailboxOwnership(tmp_path).claim(*BOX)


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OwnershipError):
        MailboxOwnership(tmp_path / "file").claim(*BOX)


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert default_directory() == tmp_path / f"mailcanary-{os.getuid()}"
    with MailboxOwnership() as mine:
        mine.claim(*BOX)
    assert len(list(default_directory().iterdir())) == 1
