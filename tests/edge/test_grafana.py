"""Grafana's annotations over real HTTP: the fields and lengths that its API takes; never an exception, never the token."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from monitor.edge.grafana import LONGEST_TAG, LONGEST_TEXT, MOST_TAGS, Grafana
from monitor.edge.tls import TlsContexts
from monitor.model.deploy import Annotation, Drawn, GrafanaPolicy
from monitor.model.instant import Instant
from monitor.model.notice import NotTold
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import TOKEN, Answer, Receiver, echo, endless, hang, raw, reset, status
from tests.edge.conftest import Authority
from tests.fakes.paths import StubSecrets

REF = SecretRef(SecretSource.ENV, "GRAFANA_TOKEN")
AT = Instant(1_790_000_000.1234, 50.0, "first")
POINT = Annotation(AT, ("deploy", "mailcanary", "production"), "deploy shop v2 started")
FIELDS: dict[str, dict[str, type]] = {
    "POST": {"time": int, "timeEnd": int, "tags": list, "text": str},
    "PATCH": {"timeEnd": int, "text": str},
}
ADDED = '{"message":"Annotation added","id":42}'


def grafana(url: str, ca_file: str | None = None, token: str = TOKEN) -> Grafana:
    return Grafana(GrafanaPolicy(url, REF, ca_file), StubSecrets({REF.name: token}), TlsContexts().get)


class Server:
    """A Grafana of our own: refuses what its API does not take, with the reason, and keeps what it took (grafana/grafana,
    pkg/api/annotations.go: PostAnnotation, PatchAnnotation; docs/sources/developers/http_api/annotations.md)."""

    def __init__(self) -> None:
        self.kept: dict[int, dict[str, object]] = {}

    async def __call__(self, asked: web.BaseRequest) -> web.StreamResponse:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Invalid API key"}, status=401)
        body = json.loads(await asked.read())
        if why := self._wrong(asked.method, body):
            return web.json_response({"message": why}, status=400)
        if asked.method == "POST" and asked.path == "/api/annotations":
            number = len(self.kept) + 1
            self.kept[number] = body
            return web.json_response({"message": "Annotation added", "id": number})
        number = int(asked.path.rpartition("/")[2])
        if asked.path != f"/api/annotations/{number}" or number not in self.kept:
            return web.json_response({"message": "Annotation not found"}, status=404)
        self.kept[number] |= body
        return web.json_response({"message": "Annotation patched"})

    def _wrong(self, method: str, body: object) -> str:
        known = FIELDS[method]
        if not isinstance(body, dict) or not body.get("text") or (method == "POST" and "time" not in body):
            return "text field should not be empty"
        if bad := [key for key, value in body.items() if type(value) is not known.get(key)]:
            return f"unknown or ill-typed field: {bad}"
        if any(not isinstance(tag, str) or not 0 < len(tag) <= 100 for tag in body.get("tags", [])):
            return "tags are texts of at most 100 characters"
        if body.get("time", 10**12) < 10**12 or body.get("timeEnd", 10**12) < 10**12:
            return "these are seconds"
        return "" if body.get("timeEnd", 10**14) >= body.get("time", 0) else "ends before it begins"


async def test_a_start_and_its_end() -> None:
    server = Server()
    async with Receiver(server) as receiver:
        place = grafana(f"{receiver.base}")
        drawn = await place.draw(POINT, 10.0)
        assert drawn == Drawn(1)
        assert await place.stretch(1, AT.plus(30.0), "deploy shop v2 finished", 10.0) == Drawn(1)
        await place.close()
    first, second = receiver.requests
    assert (first.method, first.path) == ("POST", "/api/annotations") and (second.method, second.path) == ("PATCH", "/api/annotations/1")
    assert first.headers["content-type"] == "application/json" and first.headers["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(first.body) == {
        "time": 1_790_000_000_123, "tags": ["deploy", "mailcanary", "production"], "text": "deploy shop v2 started"
    }  # fmt: skip
    assert json.loads(second.body) == {"timeEnd": 1_790_000_030_123, "text": "deploy shop v2 finished"}
    assert set(server.kept[1]) == {"time", "timeEnd", "tags", "text"}


async def test_a_span_at_once_below_a_path() -> None:
    async with Receiver(status(200, ADDED)) as receiver:
        place = grafana(f"{receiver.base}/grafana")
        assert await place.draw(Annotation(AT, ("a",), "t", AT.plus(-5.0)), 10.0) == Drawn(42)
        await place.close()
    assert receiver.requests[0].path == "/grafana/api/annotations"
    body = json.loads(receiver.requests[0].body)
    assert body["timeEnd"] == body["time"], "it never ends before it begins"


async def test_whatever_is_written_fits() -> None:
    server = Server()
    async with Receiver(server) as receiver:
        place = grafana(receiver.base)
        tags = tuple(f"{number}{'t' * 1000}" for number in range(100))
        assert await place.draw(Annotation(AT, tags, "\ud800\x00\n" + "x" * 100_000), 10.0) == Drawn(1)
        assert await place.stretch(1, AT, "y" * 100_000, 10.0) == Drawn(1)
        await place.close()
    kept = server.kept[1]
    assert isinstance(kept["tags"], list) and len(kept["tags"]) == MOST_TAGS and {len(tag) for tag in kept["tags"]} == {LONGEST_TAG}
    assert len(str(kept["text"])) == LONGEST_TEXT and max(len(request.body) for request in receiver.requests) < 8_000


@pytest.mark.parametrize(
    ("answer", "transient", "said"),
    [
        (status(401, '{"message":"Invalid API key"}'), False, 'answered 401 {"message":"Invalid API key"}'),
        (status(403, ""), False, "answered 403"),
        (status(404, "no such page"), False, "answered 404 no such page"),
        (status(400, "bad"), False, "answered 400 bad"),
        (status(429, "slow down"), True, "answered 429"),
        (status(500, "oops"), True, "answered 500 oops"),
        (status(503, ""), True, "answered 503"),
        (status(302, "", Location="/login"), False, "answered 302"),
        (status(200, "<html>a login page</html>"), False, "without the number of an annotation"),
        (status(200, '{"id":null}'), False, "without the number of an annotation"),
        (status(200, '{"id":-1}'), False, "without the number of an annotation"),
        (status(200, ""), False, "without the number of an annotation"),
        (hang, True, "did not answer within 0.5 s"),
        (endless(200), False, "without the number of an annotation"),
        (reset, True, "closed the connection without an answer"),
        (raw(b"?\r\n\r\n"), True, "the answer is not complete HTTP"),
    ],
)  # fmt: skip
async def test_what_it_may_answer(answer: Answer, transient: bool, said: str) -> None:
    async with Receiver(answer) as receiver:
        place = grafana(receiver.base)
        drawn = await place.draw(POINT, 0.5 if answer is hang else 5.0)
        await place.close()
    assert isinstance(drawn, NotTold) and drawn.transient is transient and said in drawn.detail, drawn
    assert len(receiver.requests) == 1 and TOKEN not in repr(drawn) and len(drawn.detail) < 600


@pytest.mark.parametrize("answer", [status(200, ""), status(200, "<html>"), status(404, "x"), status(500, ""), hang, reset, raw(b"?")])
async def test_a_stretch_is_taken_by_its_status(answer: Answer) -> None:
    async with Receiver(answer) as receiver:
        place = grafana(receiver.base)
        stretched = await place.stretch(7, AT, "text", 0.5)
        await place.close()
    assert isinstance(stretched, Drawn | NotTold)
    if isinstance(stretched, NotTold) and "answered 404" in stretched.detail:
        assert not stretched.transient and stretched.mend == "the annotation was deleted there"


@pytest.mark.parametrize("code", [200, 401, 500])
async def test_a_token_that_is_echoed_is_not_repeated(code: int) -> None:
    async with Receiver(echo(code)) as receiver:
        place = grafana(receiver.base)
        drawn = await place.draw(POINT, 5.0)
        await place.close()
    assert TOKEN not in repr(drawn)


async def test_a_token_that_cannot_be_sent_or_read() -> None:
    async with Receiver(Server()) as receiver:
        broken = grafana(receiver.base, token="two\nlines-of-it")
        refused = await broken.draw(POINT, 5.0)
        assert isinstance(refused, NotTold) and "lines-of-it" not in repr(refused)
        absent = Grafana(GrafanaPolicy(receiver.base, SecretRef(SecretSource.ENV, "ELSE")), StubSecrets({}), TlsContexts().get)
        unread = await absent.draw(POINT, 5.0)
        assert isinstance(unread, NotTold) and unread.transient and "{env: ELSE}" in unread.mend
    assert receiver.requests == []


async def test_nobody_there() -> None:
    async with Receiver(Server()) as receiver:
        pass
    place = grafana(receiver.base)
    refused = await place.draw(POINT, 5.0)
    await place.close()
    assert isinstance(refused, NotTold) and refused.transient and "cannot connect" in refused.detail


async def test_tls_is_checked(authority: Authority) -> None:
    async with Receiver(Server(), authority.server()) as receiver:
        for ca_file, taken in ((None, False), (authority.ca_file, True)):
            place = grafana(receiver.base, ca_file)
            assert isinstance(await place.draw(POINT, 5.0), Drawn) is taken
            await place.close()
    assert len(receiver.requests) == 1


async def test_one_session_is_closed() -> None:
    async with Receiver(Server()) as receiver:
        place = grafana(receiver.base)
        await asyncio.gather(*[place.draw(POINT, 5.0) for _ in range(5)])
        await place.close()
        await place.close()
    assert len(receiver.requests) == 5
