"""inspect: looks at the zones of the sending domains and proves delivered probes."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys

from monitor.desk import Desk
from monitor.ports import Resolver, SuffixList, TransportProbe

PROBES_FIRST = 1.0  # seconds after the start before anything is loaded that only inspections need
LOAD_AGAIN = 10.0  # seconds until that is tried again

_CHECKS = "monitor.stages.inspecting"
_log = logging.getLogger(__name__)


class Inspect:
    def __init__(self, desk: Desk, resolver: Resolver | None, transport: TransportProbe | None, suffixes: SuffixList | None) -> None:
        self._desk = desk
        self._resolver = resolver
        self._transport = transport
        self._suffixes = suffixes
        self._policy = desk.policy.inspect
        self._renewed = asyncio.Event()

    def reload(self, resolver: Resolver | None, transport: TransportProbe | None, suffixes: SuffixList | None) -> None:
        """Other resolvers, domains or rhythm: inspections begin anew. Without a resolver nothing is inspected."""
        before = (self._resolver, self._transport, self._policy)
        self._resolver, self._transport, self._suffixes = resolver, transport, suffixes
        self._policy = self._desk.policy.inspect
        if before != (resolver, transport, self._policy):
            self._renewed.set()

    async def run(self) -> None:
        """Inspects while there is a resolver; a reload begins anew."""
        await self._desk.clock.sleep(PROBES_FIRST)
        after = self._desk.world.seq
        while True:
            self._renewed.clear()
            if self._resolver is None or self._suffixes is None:
                await self._renewed.wait()
                continue
            if not await self._loaded():
                await self._desk.clock.sleep(LOAD_AGAIN)
                continue
            from monitor.stages.inspecting import Inspecting  # noqa: PLC0415 - the checks and their cryptography: probes go first

            inspecting = Inspecting(self._desk, self._resolver, self._transport, self._suffixes, after)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(inspecting.run(), name="zones")
                await self._renewed.wait()
                running.cancel()
            after = inspecting.read_to

    async def _loaded(self) -> bool:
        """Half a second of reading, aside of the event loop. It takes descriptors, and probes may have used up those that there are."""
        if _CHECKS in sys.modules:
            return True
        try:
            await asyncio.to_thread(importlib.import_module, _CHECKS)
        except (OSError, ImportError) as error:
            _log.warning("the checks cannot be loaded yet: %s", error)
            return False
        return True
