"""/v1/deploys: a pipeline says what it does, we keep when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.rules.plain import plain
from monitor.surface.api.bodies import DeployRequest, PhaseRequest
from monitor.surface.api.replies import body_of
from monitor.surface.deploys import deploy_rows, deploys, marker_row

AHEAD = 60.0  # seconds that the clocks of others may be ahead of ours
BEHIND = 30 * 86_400.0  # seconds: what was that long ago explains nothing, and is more likely a wrong clock
NAMED = 10  # deploys that a 404 names
MAX_ID = 100  # characters of an id that a refusal repeats


@dataclass(slots=True)
class DeployDesk:
    """A marker is known by (deploy, phase) as long as the view keeps it: the latest hundred."""

    desk: Desk
    marking: asyncio.Lock = field(default_factory=asyncio.Lock)  # a repeated call finds the first one's fact

    async def list(self, _: web.Request) -> web.Response:
        rows = deploy_rows(self.desk)
        return web.json_response({"schema": "mailcanary.deploys/v1", "environment": self.desk.policy.environment, "deploys": rows})

    async def mark(self, request: web.Request) -> web.Response:
        """201 when it is new; 200 with the first one when it was marked before: a pipeline may repeat its call."""
        body = DeployRequest.model_validate(await body_of(request))
        marker = DeployMarked(
            self.when(body.at), body.deploy, body.phase, body.service, body.version, body.sha, body.by, body.source, body.url
        )
        return self._answer(*await self.keep(marker))

    async def change(self, request: web.Request) -> web.Response:
        """The next phase of a deploy that is known; what the call leaves out, an earlier marker said."""
        body = PhaseRequest.model_validate(await body_of(request))
        asked = request.match_info["id"]
        known = next((deploy for deploy in deploys(self.desk.world.incidents.deploys) if deploy.last.deploy == asked), None)
        if known is None:
            there = [plain(deploy.last.deploy) for deploy in deploys(self.desk.world.incidents.deploys)][:NAMED]
            named = f"the latest are {', '.join(there)}" if there else "there is none"
            raise web.HTTPNotFound(text=f"no deploy {plain(asked[:MAX_ID])} was marked; {named}; mark its start with POST /v1/deploys")
        marker = DeployMarked(
            self.when(body.at),
            asked,
            body.phase,
            body.service or known.service,
            body.version or known.version,
            body.sha or known.sha,
            body.by,
            "api",
            body.url,
        )
        return self._answer(*await self.keep(marker))

    async def keep(self, marker: DeployMarked) -> tuple[DeployMarked, bool]:
        """The marker as it is known, and whether it is new. An end that lies before its start is refused."""
        async with self.marking:
            same = [known for known in self.desk.world.incidents.deploys if known.deploy == marker.deploy]
            if found := next((known for known in same if known.phase is marker.phase), None):
                return found, False
            if why := _disorder(marker, same):
                raise web.HTTPConflict(text=why)
            await self.desk.journal.append([marker], durable=True)
        return marker, True

    def when(self, at: float | None) -> Instant:
        """The moment that a caller names; now, if none or if its clock is a little ahead of ours."""
        now = self.desk.clock.now()
        ahead = 0.0 if at is None else at - now.utc
        if ahead > AHEAD:
            told = now.plus(ahead)
            text = f"at: {told.iso()} is {ahead:.0f} s ahead of the monitor's clock, which says {now.iso()}; set the clock that is wrong"
            raise web.HTTPBadRequest(text=text)
        if ahead < -BEHIND:
            days = f"{BEHIND / 86_400:.0f} days"
            raise web.HTTPBadRequest(text=f"at: lies more than {days} before the monitor's clock, which says {now.iso()}")
        return now.plus(min(ahead, 0.0))

    def _answer(self, marker: DeployMarked, new: bool) -> web.Response:
        return web.json_response(marker_row(marker), status=201 if new else 200)


def _disorder(marker: DeployMarked, known: list[DeployMarked]) -> str:
    """Why these markers cannot all be true; empty: they can. UTC, because that is what callers name."""
    for other in known:
        start, end = (marker, other) if marker.phase is DeployPhase.START else (other, marker)
        if start.phase is DeployPhase.START and end.phase is not DeployPhase.START and end.at.utc < start.at.utc:
            ended = "finish" if end.phase is DeployPhase.FINISH else "be rolled back"
            return (
                f"deploy {plain(marker.deploy)} cannot {ended} at {end.at.iso()}, before it started at {start.at.iso()}; "
                "check the clocks, or give a new deploy its own id"
            )
    return ""
