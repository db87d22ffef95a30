"""One file, read on from its place by one portion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from monitor.edge.sources.cutting import CHUNK, Cut, Cutter, Skip, Uncuttable, cut
from monitor.edge.sources.encoding import as_utf8
from monitor.edge.sources.finding import Found
from monitor.edge.sources.formats import cutter_for
from monitor.edge.sources.opening import Opened
from monitor.edge.sources.places import Place, digest, fresh
from monitor.model.ledger import RowFault
from monitor.model.sources import Complete, FilesSource, PostfixSource

QUIET = 300.0  # seconds without growth after which an export is as long as it will be, and a packed file too
LEFT = 86_400.0  # the same of a file that grows: half a line may stand at its end for as long as its writer has something in a buffer
_MEND_PACKED = "pack it again from the original"


@dataclass(frozen=True, slots=True)
class Step:
    """`ends`: there is no more of it in this round; `waits`: behind its place stands what is not finished yet. `went_back`: what was read
    is not there any more, and the file is read from its start."""

    place: Place
    cut: Cut | None = None
    faults: tuple[RowFault, ...] = ()
    ends: bool = True
    waits: bool = False
    moved: bool = False  # the place did
    went_back: bool = False


class Following:
    """An open file and how it is cut."""

    def __init__(self, found: Found, source: FilesSource | PostfixSource) -> None:
        """Raises OSError."""
        self._found = found
        self._source = source
        self._opened = Opened(found.path)
        self._cutter: Cutter | None = None
        self._export = isinstance(source, FilesSource) and source.complete is Complete.WRITTEN

    @property
    def identity(self) -> tuple[int, int]:
        return self._found.identity

    def close(self) -> None:
        self._opened.close()

    def step(self, place: Place, now: float, goes_on: Callable[[], bool]) -> Step:
        """`now`: seconds since the epoch; `goes_on`: whether there is time left. Raises OSError."""
        found, head = self._found, self._opened.head()
        size, changed = self._opened.standing()
        still, before = abs(now - changed / 1e9), place.offset
        lost = not self._holds(place, head, size)
        if lost or self._is_rewritten(place, size, changed):
            self._cutter = None
            place = fresh(found)
        if self._export:  # as it was listed: what is written from then on makes it another one
            size, changed = found.size, found.changed
        place = replace(place.known_by(head), name=found.name, device=found.device, inode=found.inode, size=size, changed=changed)
        try:
            step = self._onward(place, still, goes_on)
        except Uncuttable as wrong:
            step = Step(replace(place, skip=Skip.REST, offset=size, size=size, done=size), faults=(wrong.fault,))
        return replace(step, place=self._marked(step.place, size), moved=step.place.offset != before, went_back=lost and not self._export)

    def _holds(self, place: Place, head: bytes, size: int) -> bool:
        """Whether what was read of it is still there, as far as that can be told by its beginning, its end and its size."""
        long_enough = size >= (place.size if self._opened.packed else place.offset)
        return long_enough and place.begins(head) and place.goes_on_from(self._opened.before(place.read))

    def _is_rewritten(self, place: Place, size: int, changed: int) -> bool:
        """An export that is not as it was left: it may have been changed anywhere. Of what grows: it was changed and did not grow."""
        if self._export:
            return (place.size, place.changed) != (self._found.size, self._found.changed)
        return place.size == size and place.changed != changed

    def _marked(self, place: Place, size: int) -> Place:
        """As it is left. `size`: at the beginning of the step."""
        if place.size != size and not self._export:  # it grew meanwhile; what has that size now was changed then
            size, changed = self._opened.standing()
            place = replace(place, changed=changed) if size == place.size else place
        read = place.size if self._opened.packed else place.offset
        return replace(place, read=read, tail=digest(self._opened.before(read)))

    def _onward(self, place: Place, still: float, goes_on: Callable[[], bool]) -> Step:
        """`still`: seconds since it was last changed."""
        quiet = still >= QUIET
        if place.skip is Skip.REST:
            return Step(self._done(place, place.size))
        cutter = self._cutter = self._cutter or self._begin(quiet)
        if cutter is None:
            return self._without_beginning(place, quiet)
        if place.offset < cutter.start:
            place = replace(place, offset=cutter.start, line=cutter.line)
        if not self._opened.seek(place.offset, goes_on):
            return Step(place, ends=False)
        raw = self._opened.read(CHUNK)
        whole = self._opened.packed and self._opened.ends and not self._opened.broken_off
        found = cut(cutter, raw, place.line, place.skip, whole)
        if self._opened.broken_off or self._opened.damage:
            return self._cut_short(self._moved(place, found), found, quiet)
        if found.full or not self._opened.ends:
            return Step(self._moved(place, found), found, ends=False)
        if found.taken == len(raw):
            moved = self._moved(place, found)
            return Step(self._done(moved, moved.offset), found)
        if not quiet:
            return Step(self._moved(place, found), found, waits=True)
        if found.taken:
            return Step(self._moved(place, found), found, ends=False)
        return self._unfinished(place, cutter, raw, self._export or still >= LEFT)

    def _begin(self, quiet: bool) -> Cutter | None:
        self._opened.seek(0, lambda: True)
        head = self._opened.read(CHUNK)
        final = self._opened.ends and not self._opened.broken_off and (quiet or self._opened.packed)
        return cutter_for(self._source, head, final)

    def _without_beginning(self, place: Place, quiet: bool) -> Step:
        """It is empty, or its header is not finished."""
        empty = not place.size
        if self._opened.broken_off or self._opened.damage:
            return self._cut_short(place, None, quiet)
        return Step(self._done(place, place.size) if empty or quiet else place, waits=not empty and not quiet)

    def _unfinished(self, place: Place, cutter: Cutter, raw: bytes, left: bool) -> Step:
        """What stands behind the last finished record, when nothing has come for long. Where it ends with a line end it is wrong and stays
        so; without one it counts if nobody writes any more (`left`), and is given again if the file grows after all."""
        size = place.offset + len(raw)
        if place.done == size:
            return Step(self._done(place, size))
        ended = as_utf8(raw, cutter.codec).endswith((b"\n", b"\r"))
        if not (ended or left):
            return Step(place, waits=True)
        last = cut(cutter, raw, place.line, place.skip, True)
        if last.full:
            return Step(self._moved(place, last), last, ends=False)
        closed = ended and last.skip is not Skip.REST
        return Step(self._done(self._moved(place, last) if closed else place, size), last)

    def _cut_short(self, place: Place, found: Cut | None, quiet: bool) -> Step:
        if found and found.full:
            return Step(place, found, ends=False)
        if self._opened.damage:
            fault = RowFault(0, f"cannot be unpacked any further: {self._opened.damage}", _MEND_PACKED)
            return Step(replace(place, skip=Skip.REST, done=place.size), found, (fault,))
        if not quiet:
            return Step(place, found, waits=True)
        fault = RowFault(0, "is packed and its end is missing; what could be read of it was read", _MEND_PACKED)
        return Step(replace(place, done=place.size), found, (fault,))

    def _moved(self, place: Place, found: Cut) -> Place:
        return replace(place, offset=place.offset + found.taken, line=found.line, skip=found.skip, done=-1)

    def _done(self, place: Place, size: int) -> Place:
        """All of it was handed out, up to this size of what is in it."""
        size = place.size if self._opened.packed else size
        return replace(place, size=size, done=size)
