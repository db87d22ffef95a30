"""Somebody's phone: takes signed webhooks as Standard Webhooks lays them out, checks them by itself, and keeps what on-call would read."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from monitor.lab.shop import serve_http

MAX_MESSAGES = 1_000


class Pager:
    """`messages` are the notices in the order of their coming, each key once. `refuse` makes it answer with that status;
    `on_message` is called with each new one."""

    def __init__(self, secret: str) -> None:
        self.on_message: Callable[[dict[str, Any]], None] | None = None
        self.messages: list[dict[str, Any]] = []
        self.refuse: int | None = None
        self.url = ""
        self._secret = secret
        self._seen: set[str] = set()
        self._grown = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Pager"]:
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/page", self._page)
        async with serve_http(app) as port:
            self.url = f"http://127.0.0.1:{port}/page"
            yield self

    async def until(self, enough: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Return when the messages are enough."""
        while not enough(self.messages):
            await self._grown.wait()

    async def _page(self, request: web.Request) -> web.Response:
        if self.refuse is not None:
            return web.Response(status=self.refuse)
        body = await request.read()
        key = request.headers.get("webhook-id", "")
        signed = f"{key}.{request.headers.get('webhook-timestamp', '')}.".encode() + body
        wanted = base64.b64encode(hmac.digest(self._secret.encode(), signed, hashlib.sha256)).decode()
        if not hmac.compare_digest(request.headers.get("webhook-signature", ""), f"v1,{wanted}"):
            return web.Response(status=401, text="the signature is wrong")
        if key not in self._seen and len(self.messages) < MAX_MESSAGES:
            self._seen.add(key)
            self.messages.append(json.loads(body))
            if self.on_message:
                self.on_message(self.messages[-1])
            self._grown.set()
            self._grown = asyncio.Event()
        return web.Response(status=202)
