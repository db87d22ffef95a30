"""inspect: looks at the zones of the sending domains and proves delivered probes."""

from __future__ import annotations

import asyncio

from monitor.desk import Desk
from monitor.ports import Resolver, SuffixList, TransportProbe


class Inspect:
    def __init__(self, desk: Desk, resolver: Resolver | None, transport: TransportProbe | None, suffixes: SuffixList | None) -> None:
        self._desk = desk
        self._resolver = resolver
        self._transport = transport
        self._suffixes = suffixes

    def reload(self, resolver: Resolver | None, transport: TransportProbe | None) -> None:
        self._resolver, self._transport = resolver, transport

    async def run(self) -> None:
        await asyncio.Event().wait()
