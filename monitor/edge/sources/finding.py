"""Which files match a pattern now."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.edge.reply import clean
from monitor.ports import SourceError

MOST_FILES = 100_000  # that one pattern may match
MOST_ENTRIES = 1_000_000  # names in directories that are looked at for one pattern
_ADDRESS = re.compile(r"[^\s/@]{1,64}(?:@[^\s/@]{1,255})+")
_MEND_MANY = "move old ones away, or narrow the pattern"


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
    def name(self) -> str:
        """By which it is remembered."""
        return name_of(self.path, self.inode)

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode

    @property
    def order(self) -> tuple[int, str]:
        """In which files are read."""
        return self.changed, self.name


def name_of(path: str, inode: int) -> str:
    """Its path; where an address stands in that, without it and with the inode, which tells such files apart. Of such a name, itself."""
    shown = _masked(path)
    return path if shown == path else f"{shown}#{inode}"


def find(pattern: str, goes_on: Callable[[], bool]) -> tuple[Found, ...]:
    """In the order in which they are read; each file once, however many names it has. `pattern`: a file, a directory (every file in it that
    is not hidden), or either with *, ? and [ ]; ** goes down directories, but not through links to them. `goes_on`: whether there is time
    left. Raises SourceError when one cannot be looked at, and when nothing matches: that says nothing about what there is; TimeoutError."""
    found: dict[tuple[int, int], Found] = {}
    for path in _paths(pattern, goes_on):
        if not goes_on():
            raise TimeoutError
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
            raise SourceError(f"{clean(_masked(path))} is no regular file", "let the pattern match files only", transient=False)
    if not found:
        raise SourceError(f"no file matches {clean(pattern)}", "write the files there, or mend the pattern")
    return tuple(sorted(found.values(), key=lambda one: one.order))


def _paths(pattern: str, goes_on: Callable[[], bool]) -> list[str]:
    if Path(pattern).is_file():
        return [pattern]
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    directory, names = Path(*parts[:fixed]), parts[fixed:]
    if Path(pattern).is_dir():
        directory, names = Path(pattern), ("*",)
    _look_into(directory)
    found: set[str] = set()
    for path in _Looking(pattern, goes_on).below(str(directory), names):
        found.add(path)
        if len(found) > MOST_FILES:
            raise SourceError(f"more than {MOST_FILES} files match {clean(pattern)}", _MEND_MANY, transient=False)
    return sorted(found)


@dataclass(slots=True)
class _Looking:
    """Through directories, within a bound of names and of time. As with glob, * takes no hidden names, and what may not be entered is
    passed over."""

    pattern: str
    goes_on: Callable[[], bool]
    seen: int = 0

    def below(self, directory: str, names: Sequence[str]) -> Iterator[str]:
        """What matches `names`, one for each level."""
        todo = [(directory, names)]
        while todo:
            directory, names = todo.pop()
            first, rest = names[0], names[1:]
            deep = first == "**"
            if deep:
                todo.append((directory, rest or ("*",)))
            for entry in self._entries(directory, "*" if deep else first):
                if not deep and not rest:
                    yield entry.path
                elif _is_directory(entry, through_links=not deep):
                    todo.append((entry.path, names if deep else rest))

    def _entries(self, directory: str, name: str) -> list[os.DirEntry[str]]:
        matches = re.compile(fnmatch.translate(name)).match
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    self._count()
                    if matches(entry.name) and (name.startswith(".") or not entry.name.startswith(".")):
                        found.append(entry)
        except TimeoutError:
            raise
        except OSError:
            return []
        return found

    def _count(self) -> None:
        self.seen += 1
        if self.seen > MOST_ENTRIES:
            what = f"more than {MOST_ENTRIES} names were looked at for {clean(self.pattern)}"
            raise SourceError(what, _MEND_MANY, transient=False)
        if not self.goes_on():
            raise TimeoutError


def _is_directory(entry: os.DirEntry[str], through_links: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=through_links)
    except OSError:  # a link to itself
        return False


def _look_into(directory: Path) -> None:
    """What stands above the pattern must be there."""
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
    return SourceError(f"cannot read {clean(_masked(path))}: {clean(error.strerror or str(error))}", mend)


def _masked(path: str) -> str:
    """A file that is named after a customer names nobody here."""
    return _ADDRESS.sub("***", path)
