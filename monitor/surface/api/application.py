"""The routes: what each answers, and which role may ask it."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import Paused, Resumed
from monitor.model.policy import Access, ListenPolicy
from monitor.ports import SecretError, Secrets
from monitor.surface.api.bodies import PauseRequest, ResumeRequest
from monitor.surface.api.deploys import DeployDesk
from monitor.surface.api.incidents import IncidentDesk
from monitor.surface.api.replies import Handler, body_of, errors
from monitor.surface.metrics import Metrics
from monitor.surface.status import status

MAX_BODY = 64 * 1024
STALL = 15.0  # seconds without a tick of the event loop's heartbeat before /livez says no


@dataclass(slots=True)
class Api:
    """Builds the aiohttp application. `alive` tells how long ago the loop last ticked; `ready` whether the state is loaded."""

    desk: Desk
    metrics: Metrics
    secrets: Secrets
    alive: Callable[[], float]
    ready: Callable[[], bool]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[errors])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/v1/status", self._allow(Access.READ, self._status))
        app.router.add_post("/v1/pause", self._allow(Access.ONCALL, self._pause))
        app.router.add_post("/v1/resume", self._allow(Access.ONCALL, self._resume))
        incidents, deploys = IncidentDesk(self.desk), DeployDesk(self.desk)
        app.router.add_get("/v1/incidents", self._allow(Access.READ, incidents.list))
        app.router.add_get("/v1/incidents/{id}", self._allow(Access.READ, incidents.show))
        app.router.add_post("/v1/incidents/{id}/ack", self._allow(Access.ONCALL, incidents.acknowledge))
        app.router.add_post("/v1/incidents/{id}/silence", self._allow(Access.ONCALL, incidents.silence))
        app.router.add_post("/v1/incidents/{id}/resolve", self._allow(Access.ONCALL, incidents.resolve))
        app.router.add_post("/v1/incidents/{id}/note", self._allow(Access.ONCALL, incidents.note))
        app.router.add_get("/v1/deploys", self._allow(Access.READ, deploys.list))
        app.router.add_post("/v1/deploys", self._allow(Access.DEPLOY, deploys.mark))
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self.metrics.expose(request.headers.get("Accept", ""), self.desk.clock.now())
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _livez(self, _: web.Request) -> web.Response:
        stalled = self.alive()
        if stalled > STALL:
            stuck = ", ".join(self.desk.stuck())
            what = f"no progress in {stuck}" if stuck else "the event loop has not ticked"
            return web.Response(status=503, text=f"{what} for {stalled:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.ready() else web.Response(status=503, text="loading the journal\n")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(status(self.desk, self.metrics.vitals))

    async def _pause(self, request: web.Request) -> web.Response:
        body = PauseRequest.model_validate(await body_of(request))
        await self.desk.journal.append([Paused(self.desk.clock.now(), body.by, body.reason)], durable=True)
        return web.json_response({"paused": True, "by": body.by, "reason": body.reason})

    async def _resume(self, request: web.Request) -> web.Response:
        body = ResumeRequest.model_validate(await body_of(request))
        await self.desk.journal.append([Resumed(self.desk.clock.now(), body.by)], durable=True)
        return web.json_response({"paused": False, "by": body.by})

    def _allow(self, access: Access, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            listen = self.desk.policy.listen
            if not is_loopback(listen.host) and not self._bears(request, listen, access):
                raise web.HTTPUnauthorized(
                    text=f"needs `Authorization: Bearer` with the token of the role {access.value} (listen.tokens.{access.value})",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return await handler(request)

        return guarded

    def _bears(self, request: web.Request, listen: ListenPolicy, access: Access) -> bool:
        """Whoever may act may read."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        roles = tuple(Access) if access is Access.READ else (access,)
        return any(self._is_token_of(role, shown.strip(), listen) for role in roles)

    def _is_token_of(self, role: Access, shown: str, listen: ListenPolicy) -> bool:
        reference = listen.tokens.get(role)
        try:
            wanted = self.secrets.read(reference) if reference is not None else ""
        except SecretError:
            return False
        return bool(wanted) and hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), wanted.encode())


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
