"""/v1/notifications: who was told of what, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from monitor.desk import Desk
from monitor.model.incident import IncidentId
from monitor.rules.plain import plain
from monitor.surface.api.incidents import unknown
from monitor.surface.deliveries import MOST_SHOWN, SHOWN, deliveries, heard

KEYS = ("incident", "channel", "limit")
MAX_SAID = 40  # characters of what was asked that an answer repeats
NAMED = 20  # channels


@dataclass(slots=True)
class NotificationDesk:
    desk: Desk

    async def list(self, request: web.Request) -> web.Response:
        asked = request.query
        if strange := [key for key in asked if key not in KEYS]:
            raise web.HTTPBadRequest(text=f"{plain(strange[0][:MAX_SAID])}: unknown; write {', '.join(KEYS)}")
        channel = asked.get("channel", "")
        if channel and channel not in (names := heard(self.desk)):
            there = ", ".join(plain(name) for name in names[:NAMED]) or "none"
            raise web.HTTPBadRequest(text=f"channel: {plain(channel[:MAX_SAID])} is no name in notify.channels; there are: {there}")
        if (incident := asked.get("incident", "")) and not self._is_known(IncidentId(incident)):
            raise unknown(incident, self.desk)
        return web.json_response(deliveries(self.desk, incident, channel, _limit(asked.get("limit", str(SHOWN)))))

    def _is_known(self, incident: IncidentId) -> bool:
        """What was told is remembered for longer than the incident."""
        return incident in self.desk.world.incidents.known or bool(self.desk.world.outbox.of(incident))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_SHOWN)) and 1 <= int(text) <= MOST_SHOWN):
        raise web.HTTPBadRequest(text=f"limit: write a number from 1 to {MOST_SHOWN}")
    return int(text)
