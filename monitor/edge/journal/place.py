"""Where a journal lies: a local directory of our own, locked for as long as its owner lives."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from pathlib import Path
from typing import IO

MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")  # how it spells space, tab, newline and backslash; nothing else is escaped
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs", "afs", "lustre"}
_OURS = ("journal.sqlite3", "ledger.sqlite3", "lock", "lost+found")  # how the names in a state directory begin


class JournalError(Exception):
    """The journal cannot be opened, or not any more; the text says where, why and the mend. Exit 4."""


def take(directory: Path) -> IO[bytes]:
    """Make the directory (0700) if need be, and lock it: closing the file unlocks it. Raises JournalError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        kind = _filesystem(directory)
        if kind in NETWORK_FILESYSTEMS:
            raise JournalError(f"{directory}: is on {kind}, a network filesystem, where locks cannot be trusted; use a local volume")
        _make_private(directory)
        (directory / "lock").touch(0o600)
        lock = (directory / "lock").open("ab")
    except OSError as error:
        raise JournalError(f"{directory}: {error.strerror}; state_dir must be a writable local directory") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"{directory}: another mailcanary runs on this journal; stop it, or give this one its own state_dir") from None
    return lock


def _make_private(directory: Path) -> None:
    """0700 where the directory is ours. Tightening one that holds other things would take it from their users: /tmp, /var/lib.

    Another's, such as the root of a mounted volume with a group of ours, may stay as it is while no stranger can write there: the files
    in it are 0600.
    """
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        if mode & 0o002:
            raise JournalError(
                f"{directory}: belongs to uid {found.st_uid} and anybody may write there; "
                "let state_dir name a directory below it, which is then made with mode 0700, or chmod it o-w"
            )
        return
    if mode & 0o077:
        strangers = [entry for entry in directory.iterdir() if not entry.name.startswith(_OURS)]
        if strangers:
            why = f"others may enter it (mode {mode:04o}) and it holds more than the journal"
            raise JournalError(f"{directory}: {why}; give us a directory of our own, or chmod 700")
        directory.chmod(0o700)


def _filesystem(directory: Path) -> str:
    """The type of the filesystem that holds `directory`, by the longest matching mount point."""
    best, kind = "", ""
    real = os.path.realpath(directory)
    try:
        with MOUNTS.open("rb") as mounts:
            for line in mounts:
                _, escaped, fstype, *_ = os.fsdecode(line).split(" ")
                point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), escaped)
                if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                    best, kind = point, fstype
    except OSError:
        return ""
    return kind
