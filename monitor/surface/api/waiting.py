"""Long polls: an answer that waits until there is news of a gate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import web

from monitor.desk import Desk
from monitor.model.gate import GateId
from monitor.views.gates import GateState

MOST_WAITERS = 64
LONGEST = 60.0  # seconds
PACE = 1.0  # seconds: progress is told at most so often, a decision at once; and who has gone is noticed


class Waiting:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiters = 0
        self._ending = False

    async def end(self, _: web.Application) -> None:
        """The daemon stops: whoever waits is answered within PACE."""
        self._ending = True

    async def news(self, gate: GateId, seconds: float, gone: Callable[[], bool]) -> None:
        """Return when the gate is decided, or something else was said or shown about it, at the latest after `seconds`."""
        if self._waiters >= MOST_WAITERS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_WAITERS} others wait already; ask again", headers={"Retry-After": "5"})
        self._waiters += 1
        try:
            await self._news(gate, seconds, gone)
        finally:
            self._waiters -= 1

    async def _news(self, gate: GateId, seconds: float, gone: Callable[[], bool]) -> None:
        desk, began = self._desk, self._desk.clock.now()
        said, shown, looked = self._said(gate), self._shown(gate), began
        while not self._ending and not gone() and self._said(gate) == said:
            now = desk.clock.now()
            left = seconds - now.seconds_since(began)
            if left <= 0 or not self._runs(gate):
                return
            if now.seconds_since(looked) >= PACE:
                looked = now
                if self._shown(gate) != shown:
                    return
            await self._next(min(left, PACE))

    async def _next(self, seconds: float) -> None:
        """Any fact, or so much later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._desk.journal.wait(self._desk.world.seq)

    def _state(self, gate: GateId) -> GateState | None:
        return self._desk.world.gates.known.get(gate)

    def _runs(self, gate: GateId) -> bool:
        state = self._state(gate)
        return state is not None and state.running

    def _said(self, gate: GateId) -> object:
        state = self._state(gate)
        return state and (len(state.requests), len(state.decisions), state.cancelled)

    def _shown(self, gate: GateId) -> object:
        state = self._state(gate)
        return state and (len(state.trials), max((trial.shown_by for trial in state.trials.values()), default=0))
