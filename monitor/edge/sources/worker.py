"""A thread for what may hold its caller for ever, such as a dead network share. Nobody waits for it at the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """One call at a time. One that was given up goes on by itself; its result is dropped, and the next call waits for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: asyncio.Future[None] | None = None

    async def call(self, work: Callable[[], T], deadline: float) -> T:
        """work() in the thread. Raises what it raises, and TimeoutError after `deadline` seconds."""
        async with asyncio.timeout(deadline):
            await self.idle()
            results: list[T] = []
            errors: list[BaseException] = []
            loop = asyncio.get_running_loop()
            done: asyncio.Future[None] = loop.create_future()

            def run() -> None:
                try:
                    results.append(work())
                except BaseException as error:
                    errors.append(error)
                with contextlib.suppress(RuntimeError):  # the loop is gone
                    loop.call_soon_threadsafe(done.set_result, None)

            self._under_way = done
            Thread(target=run, name=self._name, daemon=True).start()
            await asyncio.shield(done)
        if errors:
            raise errors[0]
        return results[0]

    async def idle(self) -> None:
        """Return when no call is under way any more."""
        while self._under_way and not self._under_way.done():
            await asyncio.wait([self._under_way])
