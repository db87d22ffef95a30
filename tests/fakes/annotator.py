"""An Annotator that is a list of answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from monitor.model.deploy import Annotation, Drawn
from monitor.model.instant import Instant
from monitor.model.notice import NotTold

DOWN = NotTold("grafana.test:443 answered 503", transient=True)
REFUSED = NotTold("grafana.test:443 answered 401", transient=False, mend="check the secret")
GONE = NotTold("grafana.test:443 answered 404", transient=False)


@dataclass(frozen=True)
class Asked:
    """What reached it, and when, in loop time. `number`: of the picture that is to be stretched."""

    at: float
    picture: Annotation | None
    number: int = 0
    ended: Instant | None = None
    text: str = ""


class FakeAnnotator:
    """Answers in order; then everything is drawn, with numbers from 1. `takes`: seconds that each answer takes, at most the deadline."""

    def __init__(self, *answers: NotTold | None, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.asked: list[Asked] = []
        self.deadlines: set[float] = set()
        self.numbers = 0
        self.closed = False

    async def draw(self, annotation: Annotation, deadline: float) -> Drawn | NotTold:
        self.asked.append(Asked(_now(), annotation))
        refused = await self._answer(deadline)
        if refused is None:
            self.numbers += 1
        return refused or Drawn(self.numbers)

    async def stretch(self, number: int, ended: Instant, text: str, deadline: float) -> Drawn | NotTold:
        self.asked.append(Asked(_now(), None, number, ended, text))
        return await self._answer(deadline) or Drawn(number)

    async def close(self) -> None:
        self.closed = True

    async def _answer(self, deadline: float) -> NotTold | None:
        self.deadlines.add(deadline)
        await asyncio.sleep(min(self.takes, deadline))
        if self.takes >= deadline:
            return NotTold(f"grafana.test:443 did not answer within {deadline:g} s", transient=True)
        return self.answers.pop(0) if self.answers else None

    @property
    def pictures(self) -> list[Annotation]:
        return [asked.picture for asked in self.asked if asked.picture is not None]


def _now() -> float:
    return round(asyncio.get_running_loop().time(), 3)
