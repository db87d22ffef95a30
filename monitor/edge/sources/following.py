"""One file, read on from its place by one portion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from monitor.edge.sources.cutting import CHUNK, Cut, Cutter, Skip, Uncuttable, cut
from monitor.edge.sources.encoding import as_utf8
from monitor.edge.sources.finding import Found
from monitor.edge.sources.formats import cutter_for
from monitor.edge.sources.opening import Opened
from monitor.edge.sources.places import Place, fresh
from monitor.model.ledger import RowFault
from monitor.model.sources import FilesSource, PostfixSource

QUIET = 300.0  # seconds without growth after which a last line counts without its end
_MEND_PACKED = "pack it again from the original"


@dataclass(frozen=True, slots=True)
class Step:
    """`ends`: there is no more of it in this round; `waits`: behind its place stands what is not finished yet. `went_back`: the place did
    not fit the file any more, and it is read from its start."""

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

    @property
    def identity(self) -> tuple[int, int]:
        return self._found.identity

    def close(self) -> None:
        self._opened.close()

    def step(self, place: Place, now: float, goes_on: Callable[[], bool]) -> Step:
        """`now`: seconds since the epoch; `goes_on`: whether there is time left. Raises OSError."""
        found, head = self._found, self._opened.head()
        size, changed = self._opened.standing()
        before = place.offset
        went_back = not place.begins(head) or (size < place.size if self._opened.packed else size < place.offset)
        if went_back:
            self._cutter = None
            place = fresh(found)
        place = replace(
            place.known_by(head), path=found.path, device=found.device, inode=found.inode, size=found.size, changed=found.changed
        )
        try:
            step = self._onward(place, abs(now - changed) >= QUIET, goes_on)
        except Uncuttable as wrong:
            step = Step(replace(place, skip=Skip.REST, offset=size, size=size, done=size), faults=(wrong.fault,))
        return replace(step, moved=step.place.offset != before, went_back=went_back)

    def _onward(self, place: Place, quiet: bool, goes_on: Callable[[], bool]) -> Step:
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
        return self._unfinished(place, cutter, raw)

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

    def _unfinished(self, place: Place, cutter: Cutter, raw: bytes) -> Step:
        """What stands behind the last finished record, when nothing has come for long. It is given again if the file grows, unless it ends
        with a line end: then it is wrong and stays so."""
        size = place.offset + len(raw)
        if place.done == size:
            return Step(self._done(place, size))
        last = cut(cutter, raw, place.line, place.skip, True)
        if last.full:
            return Step(self._moved(place, last), last, ends=False)
        closed = as_utf8(raw, cutter.codec).endswith((b"\n", b"\r")) and last.skip is not Skip.REST
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
