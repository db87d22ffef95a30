"""annotate: draws deploys and failed gates where people look at graphs. Best effort: nothing waits for it, and what fails is counted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.desk import Desk
from monitor.model.deploy import Annotation, Drawn
from monitor.model.facts import DeployMarked, GateDecided
from monitor.model.notice import NotTold
from monitor.ports import Annotator
from monitor.rules import annotate

WAITING = 100  # facts that wait to be drawn in one place: the oldest go first
KEPT = 100  # starts of deploys whose picture is remembered, so that their end can stretch it
DEADLINE = 5.0  # seconds for one try
PAUSES = (1.0, 4.0)  # seconds between the tries

_log = logging.getLogger(__name__)

Told = DeployMarked | GateDecided


@dataclass(frozen=True, slots=True)
class Annotators:
    """All who draw, by name."""

    by_name: Mapping[str, Annotator]

    async def close(self) -> None:
        for annotator in self.by_name.values():
            await annotator.close()


class Annotate:
    """`failed` is called with how many pictures were given up. What happened before the start of this process is not drawn."""

    def __init__(self, desk: Desk, annotators: Annotators | None, failed: Callable[[int], None]) -> None:
        self._desk = desk
        self._failed = failed
        self._places: dict[str, _Place] = {}
        self._changed = asyncio.Event()
        self.reload(annotators)

    def reload(self, annotators: Annotators | None) -> None:
        """Other places to draw, or other ways to them."""
        wanted = annotators.by_name if annotators is not None else {}
        for name, annotator in wanted.items():
            if name in self._places:
                self._places[name].use(annotator)
            else:
                self._places[name] = _Place(self._desk, name, annotator, self._failed)
        self._places = {name: self._places[name] for name in wanted}
        self._changed.set()

    async def run(self) -> None:
        """Each place is drawn in by a task of its own: one that hangs, or refuses, delays no other."""
        drawing: dict[_Place, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="deploys")
            while True:
                self._changed.clear()
                for gone in drawing.keys() - set(self._places.values()):
                    drawing.pop(gone).cancel()
                for place in self._places.values():
                    if place not in drawing:
                        drawing[place] = tasks.create_task(place.run(), name=f"annotate {place.name}")
                await self._changed.wait()

    async def _listen(self) -> None:
        """Never waits for the drawing, so that a slow peer makes nobody late."""
        async for entries in self._desk.follow(self._desk.world.seq):
            facts = [entry.fact for entry in entries if isinstance(entry.fact, Told) and annotate.wanted(entry.fact)]
            for place in self._places.values():
                place.take(facts)


class _Place:
    """One place to draw, and what waits for it."""

    def __init__(self, desk: Desk, name: str, annotator: Annotator, failed: Callable[[int], None]) -> None:
        self.name = name
        self._desk = desk
        self._annotator = annotator
        self._failed = failed
        self._waiting: deque[Told] = deque()
        self._more = asyncio.Event()
        self._started: dict[str, int] = {}  # deploy -> number of the picture of its start
        self._well = True

    def use(self, annotator: Annotator) -> None:
        """What another one numbered means nothing to this one."""
        if annotator is not self._annotator:
            self._annotator = annotator
            self._started.clear()

    def take(self, facts: list[Told]) -> None:
        self._waiting.extend(facts)
        dropped = [self._waiting.popleft() for _ in range(len(self._waiting) - WAITING)]
        if dropped:
            self._given_up(NotTold(f"{len(dropped)} annotations waited too long", transient=True), len(dropped))
        if facts:
            self._more.set()

    async def run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await self._draw(self._waiting.popleft())

    async def _draw(self, fact: Told) -> None:
        annotator = self._annotator
        drawn: Drawn | NotTold = NotTold("", transient=True)
        for pause in (0.0, *PAUSES):
            await self._desk.clock.sleep(pause)
            drawn = await self._once(annotator, fact)
            if isinstance(drawn, Drawn) or not drawn.transient:
                break
        if isinstance(drawn, NotTold):
            self._given_up(drawn, 1)
            return
        if not self._well:
            _log.info("annotations are drawn again by %s", self.name)
        self._well = True
        if isinstance(fact, DeployMarked) and annotator is self._annotator:
            self._remember(fact, drawn.number)

    async def _once(self, annotator: Annotator, fact: Told) -> Drawn | NotTold:
        """One try: the end of a deploy stretches the picture of its start; without one, or when that is gone, it gets its own."""
        picture: Annotation = annotate.picture(fact, self._desk.policy.environment)
        if isinstance(fact, DeployMarked) and annotate.ends(fact) and annotator is self._annotator and fact.deploy in self._started:
            stretched = await annotator.stretch(self._started[fact.deploy], picture.at, picture.text, DEADLINE)
            if isinstance(stretched, Drawn) or stretched.transient:
                return stretched
        return await annotator.draw(picture, DEADLINE)

    def _remember(self, marker: DeployMarked, number: int) -> None:
        if annotate.ends(marker):
            self._started.pop(marker.deploy, None)
            return
        self._started[marker.deploy] = number
        if len(self._started) > KEPT:
            del self._started[next(iter(self._started))]

    def _given_up(self, why: NotTold, count: int) -> None:
        self._failed(count)
        if self._well:
            _log.warning("deploys are not drawn by %s: %s", self.name, "; ".join(part for part in (why.detail, why.mend) if part))
        self._well = False
