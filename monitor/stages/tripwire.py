"""tripwire: refund mail where none must ever come, if it is really ours."""

from __future__ import annotations

from monitor.desk import Desk


class Tripwire:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        async for _ in self._desk.follow(self._desk.world.seq):
            pass
