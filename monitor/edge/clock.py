"""The only reader of the clocks and the only sleeper."""

from __future__ import annotations

import asyncio
import secrets
import time

from monitor.model.instant import Instant


class SystemClock:
    """ports.Clock on the host's clocks. time.monotonic and not the loop's time: what runs in a thread must agree with the loop."""

    def __init__(self) -> None:
        # Random rather than the pid: in a container every start has the same pid.
        self._process = secrets.token_hex(8)

    def now(self) -> Instant:
        return Instant(utc=time.time(), mono=time.monotonic(), process=self._process)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def utc() -> float:
    """Seconds since the epoch, for what has no event loop; so are the next two."""
    return time.time()


def monotonic() -> float:
    return time.monotonic()


def pause(seconds: float) -> None:
    """Stop this thread for a while."""
    time.sleep(seconds)
