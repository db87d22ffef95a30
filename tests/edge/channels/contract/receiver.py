"""A receiver of notices on loopback, and the ways in which it may answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from monitor.model.incident import IncidentId, Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice
from monitor.model.verdict import Symptom

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SECRET = "whsec_c2VjcmV0LWtleS1vZi10aGUtcmVjZWl2ZXI="
TOKEN = "T0PSECRETT0KEN"
BEGAN = Instant(1_790_000_000.25, 50.0, "first")


def notice(call: Call = Call.FIRE, **fields: object) -> Notice:
    values: dict[str, object] = {
        "key": "INC-12-1-1-0a1b2c3d",
        "dedup_key": "mailcanary/test/delivery_missing/path:app",
        "call": call,
        "incident": IncidentId("INC-12"),
        "episode": 1,
        "severity": Severity.PAGE,
        "symptom": Symptom.DELIVERY_MISSING,
        "scope": "path:app",
        "environment": "test",
        "title": "[PAGE][test] Refund confirmations not arriving: gmail 6/8",
        "text": "Broke:    no arrival\nRunbook:  https://runbooks.test/delivery-missing",
        "began": BEGAN,
        "ended": BEGAN.plus(600.0) if call is Call.RESOLVE else None,
        "incident_url": "https://canary.test/v1/incidents/INC-12",
        "runbook_url": "https://runbooks.test/delivery-missing",
    }
    return Notice(**(values | fields))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Receiver:
    """An aiohttp server that keeps what it got."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._context = context
        self.requests: list[Request] = []

    async def __aenter__(self) -> Receiver:
        self._server = web.Server(self._serve)
        self._listener = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0, ssl=self._context)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        self.base = f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.away()
        await self._server.shutdown(0.1)

    async def away(self) -> None:
        self._listener.close()

    async def _serve(self, asked: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): text for name, text in asked.headers.items()}
        self.requests.append(Request(asked.method, asked.path_qs, headers, await asked.read()))
        return await self.answer(asked)


def status(code: int, text: str = "so", **headers: str) -> Answer:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def raw(data: bytes) -> Answer:
    """These bytes, and the connection is reset."""

    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        assert asked.transport is not None
        asked.transport.write(data)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        asked.transport.close()
        return web.Response()

    return answer


async def hang(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def reset(asked: web.BaseRequest) -> web.StreamResponse:
    assert asked.transport is not None
    asked.transport.abort()  # type: ignore[attr-defined]
    return web.Response()


def endless(code: int) -> Answer:
    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=code)
        await response.prepare(asked)
        while True:
            await response.write(b"x" * 10_000)

    return answer


def begun(code: int) -> Answer:
    """Status and some of the body come, the rest never does."""

    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers={"Content-Length": "100"})
        await response.prepare(asked)
        await response.write(b"half")
        return await hang(asked)

    return answer


def torn(code: int) -> Answer:
    """The connection is reset in the middle of the body."""

    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers={"Content-Length": "100"})
        await response.prepare(asked)
        await response.write(b"half")
        return await reset(asked)

    return answer


def echo(code: int) -> Answer:
    """A chatty peer: it answers with all that it was sent."""

    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        heard = "\n".join([str(asked.url), *[f"{name}: {text}" for name, text in asked.headers.items()]])
        return web.Response(status=code, text=f"{heard}\n{SECRET} {TOKEN} Bearer {TOKEN}")

    return answer
