"""CSV, JSONL and log files, read on as they grow.

A round lists the files once and reads each at least as far as it was then, in the order of their last changes. What stands behind the
last line end waits for the rest of its line; when the file has not grown for LEFT seconds (an export: QUIET) it is handed out as it is, and
again if it grows after all. While a line waits, the source was read until the round before: that line was not there then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from monitor.edge.reply import clean
from monitor.edge.sources.finding import Found, cannot_read, find, may_read
from monitor.edge.sources.following import Following, Step
from monitor.edge.sources.formats import nothing
from monitor.edge.sources.places import HEAD, Place, Places, fresh, parse
from monitor.edge.sources.worker import Worker
from monitor.model.ledger import Portion, RowFault
from monitor.model.sources import Complete, FilesSource, PostfixSource
from monitor.ports import Clock, SourceError

SETTLED = 60.0  # seconds without a change after which an export counts as written
CLOSING = 1.0  # seconds that close() waits for a read that was given up
_MEND_LOST = "let the pattern match rotated files too, so that no row is lost"
_MEND_OTHER = f"{_MEND_LOST}; where files are exports, set `complete: written`"

Waiting = dict[tuple[int, int], tuple[int, float | None]]


@dataclass(slots=True)
class _Round:
    """`todo`: what is still to be read, in order; `gone`: what is to be said of files that are not there any more. `waiting`: for each file
    with an unfinished line, where it begins and a time at which it was not there yet; None where we were not."""

    began: float
    places: Places
    files: Mapping[str, Found]  # in the order in which they are read
    todo: deque[Found]
    gone: deque[tuple[str, RowFault]]
    position: str = ""
    waiting: Waiting = field(default_factory=dict)
    crowded: bool = False  # more unfinished files than can be remembered


class FileSource:
    """Implements ports.LedgerSource for the files that match a pattern."""

    def __init__(self, source: FilesSource | PostfixSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._worker = Worker("mailcanary-files")
        self._round: _Round | None = None
        self._before: float | None = None  # when the last round began that came to its end
        self._waiting: Waiting = {}  # of that round
        self._open: Following | None = None

    async def read(self, position: str, deadline: float) -> Portion:
        began = self._clock.now().mono
        try:
            return await self._worker.call(lambda: self._read(position, began, deadline), deadline)
        except TimeoutError:
            what = f"{clean(self._source.pattern)} could not be read within {deadline:g} s"
            raise SourceError(what, "look at the disk or the share") from None
        except OSError as error:
            raise cannot_read(self._source.pattern, error) from None

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSING):
                await self._worker.idle()
        except TimeoutError:
            return  # its thread has the file
        self._leave()

    # --- in the thread ------------------------------------------------------------------------------------------------------------

    def _read(self, position: str, began: float, deadline: float) -> Portion:
        def looks_on() -> bool:
            return self._clock.now().mono < began + deadline

        def goes_on() -> bool:
            return self._clock.now().mono < began + deadline / 2

        now = self._round
        if now is None or now.position != position:
            self._leave()
            now = self._round = self._begin(position, looks_on)
        try:
            portion = self._portion(now, goes_on)
        except BaseException:
            self._leave()
            raise
        if portion.more:
            now.position = portion.position
        else:
            self._leave()
        return portion

    def _begin(self, position: str, looks_on: Callable[[], bool]) -> _Round:
        began = self._clock.now().utc
        listed, places = find(self._source.pattern, looks_on), parse(position)
        files = {found.name: found for found in listed}
        known, gone = places.matched(listed)
        kept = {name: replace(place, name=name) for name, place in known.items()}
        todo = deque(
            found for found in listed if not (kept[found.name].is_unchanged(found) if found.name in kept else places.floor.covers(found))
        )
        for found in todo:
            may_read(found.path)
        said = [(place.name, fault) for place in gone if (fault := _lost(place, files.get(place.name)))]
        return _Round(began, replace(places, of=kept), files, todo, deque(said))

    def _portion(self, now: _Round, goes_on: Callable[[], bool]) -> Portion:
        if now.gone:
            path, fault = now.gone.popleft()
            return self._made(now, path, None, (fault,))
        while now.todo:
            found = now.todo[0]
            try:
                step = self._step(now, found, goes_on)
            except FileNotFoundError:  # it went meanwhile
                step = None
            except OSError as error:
                raise cannot_read(found.path, error) from None
            if step is None or step.ends:
                now.todo.popleft()
                self._let_go()
            if step and (step.faults or step.moved or (step.cut and step.cut.says)):
                return self._made(now, found.path, step, step.faults)
            if not goes_on():
                return self._made(now, found.path, step, ())
        return self._made(now, self._source.pattern, None, ())

    def _step(self, now: _Round, found: Found, goes_on: Callable[[], bool]) -> Step | None:
        """None: there is no room to remember it; it is read when others are finished."""
        place = now.places.of.get(found.name)
        if place is None and not now.places.has_room():
            now.crowded = True
            return None
        if self._open is None or self._open.identity != found.identity:
            self._let_go()
            self._open = Following(found, self._source)
        step = self._open.step(place or fresh(found), self._clock.now().utc, goes_on)
        now.places = now.places.with_place(step.place, now.files)
        if step.waits:
            offset, since = self._waiting.get(found.identity, (-1, None))
            now.waiting[found.identity] = (step.place.offset, since if offset == step.place.offset else self._before)
        if step.went_back and place and not _has_copy(place, now.files.values()):
            what = f"was read up to byte {place.offset}, and what was read is not there any more; it is read again from its start"
            return replace(step, faults=(RowFault(0, what, _MEND_OTHER), *step.faults))
        return step

    def _made(self, now: _Round, path: str, step: Step | None, faults: tuple[RowFault, ...]) -> Portion:
        more = bool(now.todo or now.gone)
        until = None if more else self._ended(now)
        content = step.cut.content if step and step.cut else nothing(self._source)
        cut = step.cut.faults if step and step.cut else ()
        return Portion(clean(Path(path).name), content, now.places.text(), more, until, (*faults, *cut))

    def _ended(self, now: _Round) -> float | None:
        self._before, self._waiting = now.began, now.waiting
        if isinstance(self._source, FilesSource) and self._source.complete is Complete.WRITTEN:
            return None if now.crowded else _written(now)
        times = [since for _, since in now.waiting.values()]
        if now.crowded or None in times:
            return None
        return min([now.began, *(since for since in times if since is not None)])

    def _leave(self) -> None:
        self._round = None
        self._let_go()

    def _let_go(self) -> None:
        if self._open:
            self._open.close()
            self._open = None


def _written(now: _Round) -> float | None:
    """When the newest file was written that has settled and that no unfinished one is older than."""
    finished = takewhile(lambda found: found.identity not in now.waiting, now.files.values())
    times = (found.changed / 1e9 for found in finished)
    return max((time for time in times if time <= now.began - SETTLED), default=None)


def _lost(place: Place, other: Found | None) -> RowFault | None:
    """What is to be said when a file is gone; `other`: what has its name now."""
    if other and (other.size < place.size or other.changed < place.changed):
        return RowFault(0, "was replaced by a shorter or an older one, which is read from its start", _MEND_LOST)
    if not place.finished:
        return RowFault(0, "is gone, and had not been read to its end", _MEND_LOST)
    return None


def _has_copy(place: Place, files: Iterable[Found]) -> bool:
    """Whether another file has what was in it, as logrotate's copytruncate leaves it."""
    for one in files:
        if one.identity != place.identity and one.size >= place.size:
            try:
                with Path(one.path).open("rb") as file:
                    if place.head and place.begins(file.read(HEAD)):
                        return True
            except OSError:
                continue
    return False
