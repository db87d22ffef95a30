"""The HTTP surface: /metrics, /livez and /readyz are open; /v1 needs a bearer token with the right role, unless bound to loopback."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor import __version__
from monitor.desk import Desk
from monitor.model.facts import Paused, Resumed
from monitor.model.policy import Access, ListenPolicy
from monitor.ports import JournalUnwritable, SecretError, Secrets
from monitor.surface.metrics import Metrics
from monitor.surface.status import status

MAX_BODY = 64 * 1024
STALL = 15.0  # seconds without a tick of the event loop's heartbeat before /livez says no

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PauseRequest(BaseModel):
    """Body of POST /v1/pause."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=100, description="who pauses")
    reason: str = Field(default="", max_length=500, description="why")


class ResumeRequest(BaseModel):
    """Body of POST /v1/resume."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=100, description="who resumes")


@dataclass(slots=True)
class Api:
    """Builds the aiohttp application. `alive` tells how long ago the loop last ticked; `ready` whether the state is loaded."""

    desk: Desk
    metrics: Metrics
    secrets: Secrets
    alive: Callable[[], float]
    ready: Callable[[], bool]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/v1/status", self._allow(Access.READ, self._status))
        app.router.add_post("/v1/pause", self._allow(Access.ONCALL, self._pause))
        app.router.add_post("/v1/resume", self._allow(Access.ONCALL, self._resume))
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self.metrics.expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _livez(self, _: web.Request) -> web.Response:
        stalled = self.alive()
        if stalled > STALL:
            return web.Response(status=503, text=f"the event loop has not ticked for {stalled:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.ready() else web.Response(status=503, text="loading the journal\n")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(status(self.desk))

    async def _pause(self, request: web.Request) -> web.Response:
        body = PauseRequest.model_validate(await _json(request))
        await self.desk.journal.append([Paused(self.desk.clock.now(), body.by, body.reason)], durable=True)
        return web.json_response({"paused": True, "by": body.by, "reason": body.reason})

    async def _resume(self, request: web.Request) -> web.Response:
        body = ResumeRequest.model_validate(await _json(request))
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
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        reference = listen.tokens.get(access)
        if reference is None or scheme.lower() != "bearer":
            return False
        try:
            wanted = self.secrets.read(reference)
        except SecretError:
            return False
        return hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), wanted.encode())


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _json(request: web.Request) -> object:
    if request.content_type != "application/json":  # a page of another site can post anything else to a loopback port
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        return json.loads(await request.text())
    except (ValueError, LookupError, RecursionError):  # no JSON or no text, in no charset that there is, nested beyond reason
        raise web.HTTPBadRequest(text="the body is not JSON") from None


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON {error, reason}; nothing is cached; the server's version stays private."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        headers = {k: v for k, v in error.headers.items() if k in ("WWW-Authenticate", "Allow")}
        response = web.json_response({"error": error.reason, "reason": error.text}, status=error.status, headers=headers)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors(include_input=False))
        response = web.json_response({"error": "Bad Request", "reason": faults}, status=400)
    except JournalUnwritable as error:
        response = web.json_response({"error": "Service Unavailable", "reason": str(error)}, status=503, headers={"Retry-After": "5"})
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = f"mailcanary/{__version__.split('.')[0]}"
    return response
