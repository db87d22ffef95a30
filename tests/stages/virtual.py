"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready. A day passes as fast as its work is done."""

from __future__ import annotations

import asyncio
import functools
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from monitor.model.instant import Instant

P = ParamSpec("P")

TICK = 1e-9  # a turn of the loop takes some time, as outside: who waits for 1e-14 s must not wait for ever
MIDNIGHT = 1_789_948_800.0  # 2026-09-21T00:00:00Z


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for the time to pass, lets it have passed."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.elapsed += TICK
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("nothing will ever happen: no task is ready and no timer is set")
        self.elapsed += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.elapsed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """At once: time must not jump to the next timer while a thread is at work."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The coroutine, run on virtual time; pytest sees a plain function with the same fixtures."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class VirtualClock:
    """ports.Clock on the loop's time. UTC and the monotonic clock can be told apart."""

    def __init__(self, start: float = MIDNIGHT, process: str = "first") -> None:
        self.start = start
        self.process = process

    def now(self) -> Instant:
        mono = asyncio.get_running_loop().time()
        return Instant(self.start + mono, mono, self.process)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def step(self, seconds: float) -> None:
        """UTC is set, or the host was suspended: the monotonic clock (CLOCK_MONOTONIC) stands still meanwhile."""
        self.start += seconds

    def starve(self, seconds: float) -> None:
        """The process was stopped: both clocks went on, and nothing ran."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.selector.elapsed += seconds


class FakeEntropy:
    """ports.Entropy from a seed. `draw`: every uniform() gives this share of its range."""

    def __init__(self, seed: int = 1, draw: float | None = None) -> None:
        self._random = random.Random(seed)
        self.draw = draw

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uniform(self, low: float, high: float) -> float:
        share = self._random.random() if self.draw is None else self.draw
        return low + (high - low) * share
