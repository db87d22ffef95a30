"""The status page: `/`, one incident, what they are made with, and the way in for a browser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from monitor.desk import Desk
from monitor.surface.api.access import Doorkeeper
from monitor.surface.api.incidents import IncidentDesk
from monitor.surface.api.replies import BODY_WITHIN, Handler
from monitor.surface.metrics import Vitals
from monitor.surface.page import ASSETS, login, overview, story, trouble
from monitor.surface.status import status

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FOR_EVER = "public, max-age=31536000, immutable"
MOST_SHOWN = 16  # pages that are kept drawn, for a second
FORM = "application/x-www-form-urlencoded"
LONGEST_TOKEN = 1_000  # characters

Key = tuple[str | bool, ...]


@dataclass(slots=True)
class PageDesk:
    """A page is drawn once for all who look at it within the same second, while nothing happens."""

    desk: Desk
    vitals: Vitals
    door: Doorkeeper
    incidents: IncidentDesk
    _shown: dict[Key, tuple[object, bytes]] = field(default_factory=dict)

    async def overview(self, request: web.Request) -> web.Response:
        wall, leave = "wall" in request.query, self.door.has_session(request)
        key, now = ("overview", wall, leave), self._now()
        body = self._kept(key, now)
        if body is None:
            body = self._keep(key, now, overview(status(self.desk, self.vitals), wall=wall, leave=leave))
        return _html(body)

    async def incident(self, request: web.Request) -> web.Response:
        wall, leave = "wall" in request.query, self.door.has_session(request)
        key, now = ("incident", request.match_info["id"], wall, leave), self._now()
        body = self._kept(key, now)
        if body is None:
            body = self._keep(key, now, story(await self.incidents.story(request), wall=wall, leave=leave))
        return _html(body)

    async def form(self, _: web.Request) -> web.Response:
        """Where a browser shows its token; where none is needed, there is nothing to show."""
        if self.door.is_open:
            raise web.HTTPSeeOther("/")
        return self._form()

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        if self.door.is_open:
            raise web.HTTPSeeOther("/")
        if request.content_type != FORM:
            raise web.HTTPUnsupportedMediaType(text=f"send {FORM}")
        try:
            async with asyncio.timeout(BODY_WITHIN):
                token = (await request.post()).get("token", "")
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"the form did not come within {BODY_WITHIN:.0f} s") from None
        except (ValueError, LookupError, web.RequestPayloadError):  # no text, in no charset that there is; not packed as it says
            raise web.HTTPBadRequest(text="the body is no form") from None
        if not isinstance(token, str) or not 0 < len(token.strip()) <= LONGEST_TOKEN:
            raise web.HTTPBadRequest(text="write a token")
        try:
            return self.door.log_in(request, token.strip())
        except web.HTTPUnauthorized as error:
            return self._form(error.text or "")

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        return self.door.log_out(request)

    async def asset(self, request: web.Request) -> web.Response:
        asset = ASSETS.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound(text="no such file; the page names those that there are")
        headers = {**HEADERS, "ETag": f'"{asset.etag}"'}
        if asset.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers)

    def _form(self, said: str = "") -> web.Response:
        policy = self.desk.policy
        return _html(login(policy.environment, said, closed=not policy.listen.tokens), 401)

    def _now(self) -> object:
        return self.desk.world.seq, int(self.desk.clock.now().utc), self.desk.writable

    def _kept(self, key: Key, now: object) -> bytes | None:
        at, body = self._shown.get(key, (None, b""))
        return body if at == now else None

    def _keep(self, key: Key, now: object, body: bytes) -> bytes:
        self._shown.pop(key, None)
        self._shown[key] = (now, body)
        while len(self._shown) > MOST_SHOWN:
            del self._shown[next(iter(self._shown))]
        return body


def in_html(handler: Handler) -> Handler:
    """What a person sees in a browser is a page also where it is a refusal."""

    async def shown(request: web.Request) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            kept = {"Retry-After": error.headers["Retry-After"]} if "Retry-After" in error.headers else {}
            answer = _html(trouble(error.status, error.reason, error.text or ""), error.status)
            answer.headers.update(kept)
        return answer

    return shown


async def keep_for_ever(request: web.Request, response: web.StreamResponse) -> None:
    """The name of a file says what is in it; every other answer is of the moment."""
    if request.path.startswith("/static/") and response.status in (200, 304):
        response.headers["Cache-Control"] = FOR_EVER


def _html(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=HEADERS)
