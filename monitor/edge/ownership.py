"""Who owns which mailbox on this host: one lock file a mailbox, held for as long as its owner lives.

A one-shot `probe` that watched the mailbox of a live daemon would be a second session on that account and would take the daemon's
probes for strays. flock(2) dies with its process, so a stale file never blocks anyone. Limits, on purpose: one host, one uid, one
directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType

MailboxKey = tuple[str, int, str]


class MailboxOwned(Exception):
    """Another live process on this host owns the mailbox."""


class OwnershipError(Exception):
    """The directory of the lock files cannot be used or cannot be trusted. The text names it and the mend."""


class MailboxOwnership:
    """Claims mailboxes; as a context manager gives all of them back at its end."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = default_directory() if directory is None else directory
        self._held: dict[MailboxKey, int] = {}

    def claim(self, host: str, port: int, user: str) -> None:
        """Own the mailbox from now on, or raise MailboxOwned at once. Claiming what is already ours changes nothing."""
        key = (host.lower().rstrip("."), port, user)
        if key in self._held:
            return
        lock = self._open(f"{_name(key)}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise OwnershipError(f"{self._directory}: the filesystem has no locks ({error.strerror}); use a local directory") from error
            raise MailboxOwned(
                f"a mailbox on {host}:{port} is owned by another mailcanary process on this host"
                + (f" (pid {owner})" if owner.isdigit() else "")
                + "; stop that one, or give this one other mailboxes"
            ) from None
        # The pid is there for the message only; the lock is what counts.
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._held[key] = lock

    def release(self, host: str, port: int, user: str) -> None:
        lock = self._held.pop((host.lower().rstrip("."), port, user), None)
        if lock is not None:
            os.close(lock)  # the file stays: removing it would race with the next owner

    def close(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])

    def __enter__(self) -> MailboxOwnership:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, name: str) -> int:
        try:
            folder = _trusted(self._directory)
            try:
                return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise OwnershipError(f"{self._directory}: cannot keep lock files there: {error.strerror}; name a directory of ours") from error


def default_directory() -> Path:
    """One directory a uid, because another user's files cannot be opened anyway."""
    return Path(tempfile.gettempdir()) / f"mailcanary-{os.getuid()}"


def _name(key: MailboxKey) -> str:
    """A name that shows no address."""
    host, port, user = key
    return hashlib.sha256(f"{host}\0{port}\0{user}".encode()).hexdigest()[:16]


def _trusted(directory: Path) -> int:
    """Open the directory, created if need be. In a world-writable /tmp anyone may have put something else there before us."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(folder)
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        os.close(folder)
        raise OwnershipError(f"{directory}: belongs to uid {found.st_uid} or others may write there; remove it or set TMPDIR")
    return folder
