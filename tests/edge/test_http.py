"""The path through the application: the contract, and every answer that it may give."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest
import trustme
from aiohttp import web

from monitor.edge.http import MAX_BODY, HttpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.model.address import Address
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import (
    AppSubmission,
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from tests.edge.conftest import Authority
from tests.edge.submitter_contract import Mood, SubmitterContract
from tests.fakes.paths import PASSWORD, PASSWORD_REF, SEEDS, StubSecrets, http_policy, mail, request

LONG = 30.0
AUTHORIZATION = {"Authorization": PASSWORD_REF, "X-Environment": "{{ environment }}"}
ANSWER = {"refund": {"id": "R-1001"}, "version": "v2"}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """An aiohttp server with one endpoint."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.context = context
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.came = asyncio.Event()

    async def __aenter__(self) -> Shop:
        self.server = web.Server(self._serve)

        def connection() -> asyncio.Protocol:
            self.connections += 1
            protocol: asyncio.Protocol = self.server()
            return protocol

        self.listener = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=self.context)
        self.url = f"{'https' if self.context else 'http'}://127.0.0.1:{self.listener.sockets[0].getsockname()[1]}/refunds?x=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.away()
        await self.server.shutdown(0.1)

    async def away(self) -> None:
        self.listener.close()

    async def _serve(self, asked: web.BaseRequest) -> web.StreamResponse:
        self.bodies.append(await asked.read())
        self.requests.append(asked)  # type: ignore[arg-type]
        self.came.set()
        return await self.answer(asked)  # type: ignore[arg-type]


async def well(_: web.Request) -> web.StreamResponse:
    return web.json_response(ANSWER)


async def lost(asked: web.Request) -> web.StreamResponse:
    assert asked.transport is not None
    asked.transport.abort()
    return web.Response()


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


def status(code: int, text: str = "no", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers=headers)

    return answer


def submitter_for(url: str, **policy: object) -> HttpSubmitter:
    return HttpSubmitter(http_policy(url, **{"headers": AUTHORIZATION, **policy}), SEEDS, StubSecrets(), TlsContexts().get)  # type: ignore[arg-type]


async def attempt(answer: Answer, deadline: float = LONG, message: AppSubmission | None = None, **policy: object) -> tuple[Outcome, Shop]:
    async with Shop(answer) as shop:
        submitter = submitter_for(shop.url, **policy)
        outcome = await submitter.submit(message or request(), deadline)
        await submitter.close()
    assert PASSWORD not in repr(outcome)
    return outcome, shop


class HttpBench:
    moods: ClassVar[dict[Mood, Answer]] = {
        Mood.TAKES: well,
        Mood.POSTPONES: status(503, "starting"),
        Mood.DECLINES: status(422, "no such order"),
        Mood.FORBIDS: status(401, "who are you?"),
        Mood.LOSES: lost,
        Mood.SILENT: silent,
    }

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.submitter = submitter_for(shop.url)

    def submission(self, recipient: Address) -> Submission:
        return request(recipient)

    async def mood(self, mood: Mood) -> None:
        if mood is Mood.AWAY:
            await self.shop.away()
        else:
            self.shop.answer = self.moods[mood]

    @property
    def received(self) -> int:
        return len(self.shop.requests)

    @property
    def touched(self) -> int:
        return self.shop.connections

    async def arrival(self) -> None:
        await self.shop.came.wait()


class TestHttp(SubmitterContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[HttpBench]:
        async with Shop(well) as shop:
            bench = HttpBench(shop)
            yield bench
            await bench.submitter.close()


async def test_what_the_application_gets() -> None:
    _, shop = await attempt(well, message=request())
    [asked] = shop.requests
    assert asked.method == "POST"
    assert asked.path_qs == "/refunds?x=1"
    assert shop.bodies == [b'{"synthetic": true}']
    assert asked.headers["Authorization"] == PASSWORD
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Idempotency-Key"] == "0123456789ab"
    assert "X-Environment" not in asked.headers, "headers that are no secrets come rendered in the submission"


ANSWERS: dict[str, tuple[Answer, type[Outcome], str]] = {
    "200": (well, Taken, '200 {"refund": {"id": "R-1001"}, "version": "v2"}'),
    "201 is not expected": (status(201, "made"), Declined, "201 made"),
    "204 is not expected": (status(204, ""), Declined, "204 No Content"),
    "301": (status(301, "", Location="/elsewhere"), Declined, "301 Moved Permanently"),
    "307": (status(307, "", Location="/refunds"), Declined, "307 Temporary Redirect"),
    "400": (status(400, "bad\x00 \x1b[31mrequest\u202e"), Declined, "400 bad [31mrequest"),
    "401": (status(401), Misconfigured, "401 no"),
    "403": (status(403), Misconfigured, "403 no"),
    "404": (status(404), Declined, "404 no"),
    "409": (status(409), Declined, "409 no"),
    "429": (status(429, "", **{"Retry-After": "9"}), Postponed, "429 Too Many Requests"),
    "500": (status(500, "Traceback " * 100), Declined, "500 Traceback"),
    "502": (status(502), Declined, "502 no"),
    "503": (status(503), Postponed, "503 no"),
    "504": (status(504), Declined, "504 no"),
    "echo": (status(400, f"bad Authorization {PASSWORD}"), Declined, "400 bad Authorization ***"),
}


@pytest.mark.parametrize("row", ANSWERS)
async def test_answer(row: str) -> None:
    answer, kind, words = ANSWERS[row]
    outcome, shop = await attempt(answer)
    assert type(outcome) is kind
    assert getattr(outcome, "step", Step.REQUEST) is Step.REQUEST
    said = outcome.detail if isinstance(outcome, Misconfigured) else str(outcome.reply)  # type: ignore[union-attr]
    assert said.startswith(words)
    assert len(said) <= 504
    assert len(shop.requests) == 1
    if isinstance(outcome, Misconfigured):
        assert "{env: RELAY_PASSWORD}" in outcome.mend


def json_text(text: str, **headers: str) -> Answer:
    return status(200, text, **headers)


@pytest.mark.parametrize(
    ("answer", "policy", "refund", "version", "note"),
    [
        (well, {}, "R-1001", "v2", ""),
        (well, {"refund_id": None, "version": None}, "", "", ""),
        (well, {"version": "header:X-Version"}, "R-1001", "", "[no served version at header:X-Version of the answer]"),
        (json_text('{"refund": {"id": 7}}', **{"X-Version": "v3"}), {"version": "header:x-version"}, "7", "v3", ""),
        (json_text("{}"), {"version": None}, "", "", "[no refund id at /refund/id of the answer]"),
        (json_text("<html>"), {"version": None}, "", "", "[no refund id at /refund/id of the answer]"),
        (json_text("[" * 60_000), {"version": None}, "", "", "[no refund id"),
        (json_text('{"refund": {"id": {"a": 1}}}'), {"version": None}, "", "", "[no refund id"),
        (json_text('{"refund": {"id": "a\\u0000b\\u202ec"}}'), {"version": None}, "a b c", "", ""),
        (json_text('"' + "x" * MAX_BODY), {"version": None}, "", "", "[no refund id"),
    ],
)
async def test_what_is_read_out_of_the_answer(answer: Answer, policy: dict[str, object], refund: str, version: str, note: str) -> None:
    outcome, _ = await attempt(answer, **policy)  # type: ignore[arg-type]
    assert isinstance(outcome, Taken)
    assert (outcome.app_refund_id, outcome.served_version) == (refund, version)
    assert outcome.reply.text.startswith(note)
    assert note or not outcome.reply.text.startswith("[no")


async def test_an_endless_answer_is_bounded() -> None:
    async def endless(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(asked)
        while True:
            await response.write(b"x" * 10_000)

    outcome, _ = await attempt(endless)
    assert isinstance(outcome, Taken)
    assert "was not read" in outcome.reply.text


def half(code: int) -> Answer:
    async def answer(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers={"Content-Length": "100"})
        await response.prepare(asked)
        await response.write(b"{")
        return await lost(asked)

    return answer


async def test_half_an_answer() -> None:
    """A good status without its body is no answer; a bad one needs no body."""
    outcome, _ = await attempt(half(200))
    assert isinstance(outcome, Unanswered)
    assert "status 200 came" in outcome.detail
    outcome, _ = await attempt(half(500))
    assert isinstance(outcome, Declined)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
async def test_never_sent_twice(method: str) -> None:
    """aiohttp resends idempotent methods by itself when the connection is lost."""
    outcome, shop = await attempt(lost, method=method)
    assert isinstance(outcome, Unanswered)
    assert outcome.detail == "the application closed the connection without an answer"
    assert len(shop.requests) == 1
    assert shop.connections == 1


async def test_connections_are_not_kept() -> None:
    async with Shop(well) as shop:
        submitter = submitter_for(shop.url)
        for _ in range(2):
            assert isinstance(await submitter.submit(request(), LONG), Taken)
        await submitter.close()
    assert shop.connections == 2


async def raw(answer: bytes) -> Outcome:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        submitter = submitter_for(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        outcome = await submitter.submit(request(), LONG)
        await submitter.close()
    return outcome


@pytest.mark.parametrize(
    "answer", [b"", b"220 smtp.test ESMTP\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999]
)
async def test_nonsense_is_unanswered(answer: bytes) -> None:
    outcome = await raw(answer)
    assert isinstance(outcome, Unanswered)
    assert outcome.step is Step.REQUEST


async def test_the_name_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    submitter = submitter_for("http://shop.invalid/refunds")
    outcome = await submitter.submit(request(), LONG)
    await submitter.close()
    assert outcome == Unreached(Step.CONNECT, "the host name shop.invalid does not resolve")


async def test_a_handshake_that_never_ends_is_unreached() -> None:
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()
        gone.set()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        submitter = submitter_for(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        outcome = await submitter.submit(request(), 0.3)
        await submitter.close()
        await gone.wait()
    assert outcome == Unreached(Step.CONNECT, "the application did not answer within 0.3 s")


async def test_https(authority: Authority) -> None:
    async with Shop(well, authority.server()) as shop:
        submitter = submitter_for(shop.url, ca_file=authority.ca_file)
        assert isinstance(await submitter.submit(request(), LONG), Taken)
        await submitter.close()


async def test_https_untrusted(authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    async with Shop(well, authority.server()) as shop:
        submitter = submitter_for(shop.url, ca_file=str(other))
        outcome = await submitter.submit(request(), LONG)
        await submitter.close()
    assert isinstance(outcome, Unreached)
    assert outcome.step is Step.TLS
    assert outcome.detail.startswith("certificate refused: ")
    assert not shop.requests


async def test_https_to_a_plain_port() -> None:
    async with Shop(well) as shop:
        submitter = submitter_for(shop.url.replace("http:", "https:"))
        outcome = await submitter.submit(request(), LONG)
        await submitter.close()
    assert isinstance(outcome, Unreached)
    assert outcome.step is Step.TLS


def secret(name: str) -> dict[str, SecretRef]:
    return {"Authorization": SecretRef(SecretSource.ENV, name)}


@pytest.mark.parametrize(
    ("url", "policy", "step", "words"),
    [
        ("http://127.0.0.1:1/", {"headers": secret("ABSENT")}, Step.REQUEST, "{env: ABSENT}"),
        ("http://127.0.0.1:1/", {"headers": secret("BROKEN")}, Step.REQUEST, "the header authorization"),
        ("https://127.0.0.1:1/", {"ca_file": "/nonexistent.pem"}, Step.TLS, "/nonexistent.pem"),
        ("ftp://127.0.0.1/", {}, Step.REQUEST, "url"),
        ("http:///", {}, Step.REQUEST, "url"),
        ("http://u:p@127.0.0.1:1/", {}, Step.REQUEST, "refuses"),
        ("http://127.0.0.1:1/", {"method": "PO ST"}, Step.REQUEST, "refuses"),
    ],
)
async def test_our_own_faults(url: str, policy: dict[str, object], step: Step, words: str) -> None:
    secrets = StubSecrets({PASSWORD_REF.name: PASSWORD, "BROKEN": f"{PASSWORD}\r\nX-Evil: 1"})
    full = http_policy(url, **{"headers": AUTHORIZATION, **policy})  # type: ignore[arg-type]
    submitter = HttpSubmitter(full, SEEDS, secrets, TlsContexts().get)
    outcome = await submitter.submit(request(), LONG)
    await submitter.close()
    assert isinstance(outcome, Misconfigured)
    assert outcome.step is step
    assert words in outcome.detail
    assert outcome.mend
    assert PASSWORD not in repr(outcome)


async def test_a_message_is_no_request() -> None:
    with pytest.raises(TypeError):
        await submitter_for("http://127.0.0.1:1/").submit(mail(), LONG)
