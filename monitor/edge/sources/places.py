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
from monitor.edge.sources.finding import Found, name_of

MOST = 1_000  # files that are remembered
HEAD = 1_024  # bytes at its beginning by which a file is known again
LONGEST = 4 * 1024 * 1024  # characters of a position; ours are far below
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Of one file. Its first `head` bytes have the digest, and what stands before `read` has `tail`; empty: not known. `offset`: where the
    record on `line` begins, of a packed file in what it holds. `size`, `changed`: as it was last looked at. `done`: its size when all of
    it had been handed out, even an unfinished line; else -1."""

    name: str
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
    read: int = 0
    tail: str = ""

    @property
    def finished(self) -> bool:
        return self.done == self.size

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode

    def is_unchanged(self, found: Found) -> bool:
        return self.finished and self.size == found.size and self.changed == found.changed and self.name == found.name

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so may be this one."""
        return len(head) >= self.head and digest(head[: self.head]) == self.digest

    def known_by(self, head: bytes) -> Place:
        return replace(self, head=len(head), digest=digest(head))

    def goes_on_from(self, before: bytes) -> bool:
        """Whether a file in which this stands before `read` may be this one."""
        return not self.tail or digest(before) == self.tail


def fresh(found: Found) -> Place:
    return Place(found.name, found.device, found.inode, digest=digest(b""))


def digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Floor:
    changed: int = -1
    name: str = ""
    touched: int = -1

    def covers(self, found: Found) -> bool:
        return found.order <= (self.changed, self.name) and found.touched <= self.touched

    def raised(self, found: Found) -> Floor:
        changed, name = max((self.changed, self.name), found.order)
        return Floor(changed, name, max(self.touched, found.touched))


@dataclass(frozen=True, slots=True)
class Places:
    """All of one source, by name."""

    of: Mapping[str, Place]
    floor: Floor = Floor()

    def matched(self, files: Iterable[Found]) -> tuple[dict[str, Place], list[Place]]:
        """(the place of each file that has one, by the file's name; those whose file is gone). A file is known by device and inode; where
        devices were renumbered, by name and inode."""
        by_identity = {place.identity: place for place in self.of.values()}
        places: dict[str, Place] = {}
        for one in files:
            place = by_identity.get(one.identity) or self.of.get(one.name)
            if place and place.inode == one.inode:
                places[one.name] = place
        kept = {place.name for place in places.values()}
        return places, [place for place in self.of.values() if place.name not in kept]

    def with_place(self, place: Place, files: Mapping[str, Found]) -> Places:
        """`files`: those that there are; what is read to its end is forgotten when there are too many, the oldest first."""
        of = {**self.of, place.name: place}
        if len(of) <= MOST:
            return Places(of, self.floor)
        read = (files[name] for name, one in of.items() if one.finished and name in files)
        oldest = min(read, key=lambda found: found.order, default=None)
        if oldest is None:
            return Places(of, self.floor)
        del of[oldest.name]
        return Places(of, self.floor.raised(oldest))

    def has_room(self) -> bool:
        """For one more file that is not read to its end."""
        return len(self.of) < MOST or any(place.finished for place in self.of.values())

    def text(self) -> str:
        rows = [_row(place) for place in self.of.values()]
        floor = [self.floor.changed, self.floor.name, self.floor.touched]
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
        changed, name, touched = said["floor"]
        return Places({place.name: place for place in places}, Floor(int(changed), name_of(str(name), 0), int(touched)))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Places({})


def _row(one: Place) -> list[object]:
    standing = [one.size, one.changed, one.done, one.read, one.tail]
    return [one.name, one.device, one.inode, one.head, one.digest, one.offset, one.line, int(one.skip), *standing]


def _place(
    name: str,
    device: int,
    inode: int,
    head: int,
    seen: str,
    offset: int,
    line: int,
    skip: int,
    size: int,
    changed: int,
    done: int,
    read: int = 0,
    tail: str = "",
) -> Place:
    """Of a row; older ones have no tail, and a path that bears an address."""
    numbers = (device, inode, head, offset, line, skip, size, changed, done, read)
    if not (all(isinstance(text, str) for text in (name, seen, tail)) and all(type(number) is int for number in numbers)):
        raise TypeError
    name, offset, line, read = name_of(name, inode), max(0, offset), max(1, line), max(0, read)
    return Place(name, device, inode, head, seen, offset, line, Skip(skip), size, changed, done, read, tail)
