"""A Channel that is a list of answers, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice, NotTold, Telling, Told

TAKEN = Told("200 ok")
DOWN = NotTold("receiver.test:443 answered 503", transient=True)
REFUSED = NotTold("receiver.test:443 answered 401", transient=False, mend="check the secret")


@dataclass(frozen=True)
class Heard:
    """What reached the channel, and when, in loop time."""

    at: float
    notice: Notice
    outcome: Telling


class FakeChannel:
    """Answers in order; the last one stays. Default: taken. `takes`: seconds that each answer takes, at most the deadline."""

    def __init__(self, *answers: Telling, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.heard: list[Heard] = []
        self.under_way = self.most_under_way = 0
        self.closed = False

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        at = round(asyncio.get_running_loop().time(), 3)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(min(self.takes, deadline))
        finally:
            self.under_way -= 1
        outcome = self._answer() if self.takes < deadline else NotTold(f"no answer within {deadline:g} s", transient=True)
        self.heard.append(Heard(at, notice, outcome))
        return outcome

    async def close(self) -> None:
        self.closed = True

    def _answer(self) -> Telling:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] if self.answers else TAKEN

    def answer_from_now_on(self, *answers: Telling) -> None:
        self.answers = list(answers)

    @property
    def taken(self) -> list[Notice]:
        return [heard.notice for heard in self.heard if isinstance(heard.outcome, Told)]

    def calls(self) -> list[tuple[float, Call, str]]:
        """(loop time, call, incident) of what was taken."""
        return [(heard.at, heard.notice.call, heard.notice.incident) for heard in self.heard if isinstance(heard.outcome, Told)]


def channels(**named: Sequence[Telling]) -> dict[str, FakeChannel]:
    return {name: FakeChannel(*answers) for name, answers in named.items()}


class StillClock:
    """ports.Clock at one moment."""

    def __init__(self, utc: float) -> None:
        self.utc = utc

    def now(self) -> Instant:
        return Instant(self.utc, 100.0, "still")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
