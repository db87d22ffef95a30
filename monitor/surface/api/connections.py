"""The connections to the surface, bounded: whoever connects and says nothing takes neither descriptors from the probes nor the door from
others. How long one may say nothing is `keepalive_timeout` of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from monitor.surface.api.replies import Handler

MOST_CONNECTIONS = 128  # 64 may be streams
BACKLOG = 64  # connections that wait in the system; they may come all at once, and are on top of those until the next one comes


class Connections:
    """At the bound that one makes room which has asked nothing at all, or nothing for longest; where each waits for its answer, the new one
    is closed at once."""

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._answered: dict[asyncio.BaseProtocol, int] = {}  # which got an answer before -> when, in answers
        self._waiting: set[asyncio.BaseProtocol] = set()
        self._answers = 0

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Outermost: knows whose request is under way."""
        peer = request.protocol
        self._waiting.add(peer)
        try:
            return await handler(request)
        finally:
            self._waiting.discard(peer)
            self._answers += 1
            self._answered[peer] = self._answers

    def door(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """The protocol of each new connection to `server`."""

        def opened() -> asyncio.BaseProtocol:
            present = server.connections
            self._answered = {peer: self._answered[peer] for peer in present if peer in self._answered}
            excess = len(present) + 1 - self._most
            idle = sorted((peer for peer in present if peer not in self._waiting), key=lambda peer: self._answered.get(peer, 0))
            if excess > len(idle):
                return _Shut()
            for peer in idle[: max(0, excess)]:
                peer.force_close()
            return server()

        return opened


class _Shut(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
