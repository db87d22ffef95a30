"""notify: tells people of incidents, over every channel that the policy names, until each has taken it."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.desk import Desk
from monitor.ports import Channel


class Notify:
    def __init__(self, desk: Desk, channels: Mapping[str, Channel]) -> None:
        self._desk = desk
        self._channels = channels

    async def run(self) -> None:
        async for _ in self._desk.follow(self._desk.world.seq):
            pass
