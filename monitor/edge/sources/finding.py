"""Which files match a pattern now."""

from __future__ import annotations

import errno
import glob
import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from monitor.edge.reply import clean
from monitor.ports import SourceError

MOST_FILES = 100_000  # that one pattern may match


@dataclass(frozen=True, slots=True)
class Found:
    """A file as the listing saw it; times in nanoseconds."""

    path: str
    device: int
    inode: int
    size: int
    changed: int  # its content: mtime
    touched: int  # its name or place too: ctime, which nobody can set

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode

    @property
    def order(self) -> tuple[int, str]:
        """In which files are read."""
        return self.changed, self.path


def find(pattern: str) -> tuple[Found, ...]:
    """In the order in which they are read; each file once, however many names it has. `pattern`: a file, a directory (every file in it that
    is not hidden), or either with *, ? and [ ]; ** goes down directories. Raises SourceError when one cannot be looked at, and when nothing
    matches: that says nothing about what there is."""
    found: dict[tuple[int, int], Found] = {}
    for path in _paths(pattern):
        try:
            seen = Path(path).stat()
        except FileNotFoundError:  # it went meanwhile, or is a link to nothing
            continue
        except OSError as error:
            raise cannot_read(path, error) from None
        if stat.S_ISREG(seen.st_mode):
            one = Found(path, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            found.setdefault(one.identity, one)
        elif not stat.S_ISDIR(seen.st_mode):
            raise SourceError(f"{clean(path)} is no regular file", "let the pattern match files only", transient=False)
    if not found:
        raise SourceError(f"no file matches {clean(pattern)}", "write the files there, or mend the pattern")
    return tuple(sorted(found.values(), key=lambda one: one.order))


def _paths(pattern: str) -> list[str]:
    if Path(pattern).is_file():
        return [pattern]
    if Path(pattern).is_dir():
        pattern = str(Path(glob.escape(pattern)) / "*")
    _look_into(_fixed(pattern))
    paths = list(islice(glob.iglob(pattern, recursive=True), MOST_FILES + 1))  # noqa: PTH207 - pathlib's takes hidden files too
    if len(paths) > MOST_FILES:
        raise SourceError(
            f"more than {MOST_FILES} files match {clean(pattern)}", "move old ones away, or narrow the pattern", transient=False
        )
    return sorted(paths)


def _fixed(pattern: str) -> Path:
    """The directory above the first name that is a pattern."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed]) if fixed else Path()


def _look_into(directory: Path) -> None:
    """Globbing keeps quiet about what it may not enter."""
    try:
        with os.scandir(directory):
            pass
    except FileNotFoundError:
        raise SourceError(f"the directory {clean(str(directory))} does not exist", "create or mount it, or mend the pattern") from None
    except OSError as error:
        raise cannot_read(str(directory), error) from None


def may_read(path: str) -> None:
    """Raises SourceError. Asked before anything of a round is read: one file that stays closed makes the source blind, whatever the others
    say."""
    if not os.access(path, os.R_OK, effective_ids=True) and Path(path).exists():
        raise cannot_read(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def cannot_read(path: str, error: OSError) -> SourceError:
    mend = f"let uid {os.geteuid()} read it" if isinstance(error, PermissionError) else "look at the disk or the share"
    return SourceError(f"cannot read {clean(path)}: {clean(error.strerror or str(error))}", mend)
