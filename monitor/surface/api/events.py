"""/v1/events: tells a page that there is news, and never what: it fetches that itself, by the rules for whoever reads."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from monitor.desk import Desk

MOST_STREAMS = 64
BEAT = 15.0  # seconds without news after which the stream says that it is alive
PACE = 1.0  # seconds: news is told at the beats of one clock for all, so that a page is drawn once for all who fetch it then
LONGEST = 3_600.0  # seconds of one stream; a browser comes back by itself, and is asked again who it is
WITHIN = 10.0  # seconds for a reader to take a line
RETRY = 2_000  # milliseconds after which a browser comes back


class Streams:
    """Server-sent events (HTML standard, section 9.2)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open = 0
        self._ending = asyncio.Event()

    async def end(self, _: web.Application) -> None:
        """The daemon stops: every stream ends within PACE."""
        self._ending.set()

    async def follow(self, request: web.Request) -> web.StreamResponse:
        if self._open >= MOST_STREAMS or self._ending.is_set():
            raise web.HTTPServiceUnavailable(text=f"{MOST_STREAMS} others look on already; ask again", headers={"Retry-After": "15"})
        self._open += 1
        try:
            return await self._follow(request)
        finally:
            self._open -= 1

    async def _follow(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        began = said_at = self._desk.clock.now()
        with contextlib.suppress(ConnectionError, TimeoutError):  # whoever does not read has gone
            await stream.prepare(request)
            # News at once: what happened since the page was drawn would else be waited for until the next fact.
            said = await self._say(stream, f"retry: {RETRY}\nevent: news\n")
            while not self._ending.is_set() and not _gone(request):
                now = self._desk.clock.now()
                if now.seconds_since(began) >= LONGEST:
                    break
                if self._desk.world.seq != said:
                    said, said_at = await self._say(stream, "event: news\n"), now
                    await self._pause()
                elif now.seconds_since(said_at) >= BEAT:
                    said, said_at = await self._say(stream, "event: beat\n"), now
                else:
                    await self._next(said)
        return stream

    async def _say(self, stream: web.StreamResponse, what: str) -> int:
        seq = self._desk.world.seq
        async with asyncio.timeout(WITHIN):
            await stream.write(f"{what}id: {seq}\ndata: {seq}\n\n".encode())
        return seq

    async def _next(self, said: int) -> None:
        """Any fact; or PACE later, when it is noticed who has gone, and our own end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE):
                await self._desk.journal.wait(said)

    async def _pause(self) -> None:
        """Until the next beat that is not too near, at which all who were told something are told more."""
        beat = (asyncio.get_running_loop().time() + PACE / 2) // PACE * PACE + PACE
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(beat):
                await self._ending.wait()


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
