"""How far each file was read: what the position of a file source says. Pure.

The position is JSON text and bounded: at most MOST files are remembered. One that was read to its end may be forgotten, because of the
`floor`: what stands before it in the reading order, and was there already when it was set, has been read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from monitor.edge.sources.cutting import Skip
from monitor.edge.sources.finding import Found

MOST = 1_000  # files that are remembered
HEAD = 1_024  # bytes at its beginning by which a file is known again
LONGEST = 4 * 1024 * 1024  # characters of a position; ours are far below
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Of one file. Its first `head` bytes have the digest. `offset`: where the record on `line` begins, of a packed file in what it holds.
    `size`, `changed`: as it was last looked at. `done`: its size when all of it had been handed out, even an unfinished line; else -1."""

    path: str
    device: int
    inode: int
    head: int = 0
    digest: str = ""
    offset: int = 0
    line: int = 1
    skip: Skip = Skip.NOTHING
    size: int = 0
    changed: int = 0
    done: int = -1

    @property
    def finished(self) -> bool:
        return self.done == self.size

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode

    def is_unchanged(self, found: Found) -> bool:
        return self.finished and self.size == found.size and self.changed == found.changed and self.path == found.path

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so may be this one."""
        return len(head) >= self.head and digest(head[: self.head]) == self.digest

    def known_by(self, head: bytes) -> Place:
        return replace(self, head=len(head), digest=digest(head))


def fresh(found: Found) -> Place:
    return Place(found.path, found.device, found.inode, digest=digest(b""))


def digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Floor:
    changed: int = -1
    path: str = ""
    touched: int = -1

    def covers(self, found: Found) -> bool:
        return found.order <= (self.changed, self.path) and found.touched <= self.touched

    def raised(self, found: Found) -> Floor:
        changed, path = max((self.changed, self.path), found.order)
        return Floor(changed, path, max(self.touched, found.touched))


@dataclass(frozen=True, slots=True)
class Places:
    """All of one source, by path."""

    of: Mapping[str, Place]
    floor: Floor = Floor()

    def matched(self, files: Iterable[Found]) -> tuple[dict[str, Place], list[Place]]:
        """(the place of each file that has one, by the file's path; those whose file is gone). A file is known by device and inode; where
        devices were renumbered, by path and inode."""
        by_identity = {place.identity: place for place in self.of.values()}
        places: dict[str, Place] = {}
        for one in files:
            place = by_identity.get(one.identity) or self.of.get(one.path)
            if place and place.inode == one.inode:
                places[one.path] = place
        kept = {place.path for place in places.values()}
        return places, [place for place in self.of.values() if place.path not in kept]

    def with_place(self, place: Place, files: Mapping[str, Found]) -> Places:
        """`files`: those that there are; what is read to its end is forgotten when there are too many, the oldest first."""
        of = {**self.of, place.path: place}
        if len(of) <= MOST:
            return Places(of, self.floor)
        read = (files[path] for path, one in of.items() if one.finished and path in files)
        oldest = min(read, key=lambda found: found.order, default=None)
        if oldest is None:
            return Places(of, self.floor)
        del of[oldest.path]
        return Places(of, self.floor.raised(oldest))

    def has_room(self) -> bool:
        """For one more file that is not read to its end."""
        return len(self.of) < MOST or any(place.finished for place in self.of.values())

    def text(self) -> str:
        rows = [_row(place) for place in self.of.values()]
        floor = [self.floor.changed, self.floor.path, self.floor.touched]
        return json.dumps({"files": rows, "floor": floor, "version": _VERSION}, separators=(",", ":"))


def parse(position: str) -> Places:
    """What is no position of ours is the beginning."""
    try:
        if len(position) > LONGEST:
            return Places({})
        said = json.loads(position)
        if said["version"] != _VERSION:
            return Places({})
        places = [_place(*row) for row in said["files"]]
        changed, path, touched = said["floor"]
        return Places({place.path: place for place in places}, Floor(int(changed), str(path), int(touched)))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Places({})


def _row(one: Place) -> list[object]:
    standing = [one.size, one.changed, one.done]
    return [one.path, one.device, one.inode, one.head, one.digest, one.offset, one.line, int(one.skip), *standing]


def _place(
    path: str, device: int, inode: int, head: int, seen: str, offset: int, line: int, skip: int, size: int, changed: int, done: int
) -> Place:
    numbers = (device, inode, head, offset, line, skip, size, changed, done)
    if not (isinstance(path, str) and isinstance(seen, str) and all(type(number) is int for number in numbers)):
        raise TypeError
    return Place(path, device, inode, head, seen, max(0, offset), max(1, line), Skip(skip), size, changed, done)
