"""/v1/deploys: a pipeline says what it does, we keep when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import DeployMarked
from monitor.surface.api.bodies import DeployRequest
from monitor.surface.api.replies import body_of
from monitor.surface.deploys import deploy_row, deploys, marker_row


@dataclass(slots=True)
class DeployDesk:
    """A marker is known by (deploy, phase) as long as the view keeps it: the latest hundred."""

    desk: Desk
    marking: asyncio.Lock = field(default_factory=asyncio.Lock)  # a repeated call finds the first one's fact

    async def list(self, _: web.Request) -> web.Response:
        rows = [deploy_row(deploy) for deploy in deploys(self.desk.world.incidents.deploys)]
        return web.json_response({"schema": "mailcanary.deploys/v1", "environment": self.desk.policy.environment, "deploys": rows})

    async def mark(self, request: web.Request) -> web.Response:
        """201 when it is new; 200 with the first one when it was marked before: a pipeline may repeat its call."""
        body = DeployRequest.model_validate(await body_of(request))
        async with self.marking:
            known = [marker for marker in self.desk.world.incidents.deploys if (marker.deploy, marker.phase) == (body.deploy, body.phase)]
            if known:
                return web.json_response(marker_row(known[0]))
            marker = DeployMarked(self.desk.clock.now(), body.deploy, body.phase, body.service, body.version, body.sha, body.by)
            await self.desk.journal.append([marker], durable=True)
        return web.json_response(marker_row(marker), status=201)
