"""incident: turns verdicts, trips and silence into incidents."""

from __future__ import annotations

from monitor.desk import Desk


class Incident:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        async for _ in self._desk.follow(self._desk.world.seq):
            pass
