"""SIGINT and SIGTERM while an audit runs: the first ends the asking, and nothing that was found is lost; the second ends the command."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context manager, of the main thread. `number`: the signal that came; 0: none."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[signal.Signals, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came: asyncio.Event | None = None

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    async def wait(self) -> None:
        """Returns when a signal has come."""
        self._loop, self._came = asyncio.get_running_loop(), asyncio.Event()
        try:
            if not self.number:
                await self._came.wait()
        finally:
            self._loop = None

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        if self._loop is not None and self._came is not None:
            self._loop.call_soon_threadsafe(self._came.set)
