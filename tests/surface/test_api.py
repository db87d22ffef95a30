"""The HTTP surface, over a socket: what is open, what needs a token, and that every refusal is JSON that says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Paused, Resumed, WatchBlind
from monitor.model.mail import BlindCause
from monitor.model.policy import Access, ListenPolicy
from monitor.model.probe import MailboxName
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import JournalUnwritable
from monitor.surface.api import MAX_BODY, Api
from monitor.surface.api.access import client_of
from monitor.surface.api.limits import Buckets, Rate, Rates
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.stages.house import policy
from tests.surface import premises

TOKENS = {Access.READ: SecretRef(SecretSource.ENV, "READ"), Access.ONCALL: SecretRef(SecretSource.ENV, "ONCALL")}
SECRETS = {"READ": "a token to read", "ONCALL": "a token for on-call"}
OPEN = ("/metrics", "/livez", "/readyz")
GUARDED = (("GET", "/v1/status", "READ"), ("POST", "/v1/pause", "ONCALL"), ("POST", "/v1/resume", "ONCALL"))


@dataclass
class Site:
    client: TestClient[Any, Any]
    desk: Desk
    api: Api
    secrets: StubSecrets
    stalled: float = 0.0
    ready: bool = True

    async def ask(self, method: str, path: str, token: str = "", **kwargs: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, path, headers={**headers, **kwargs.pop("headers", {})}, **kwargs) as answer:
            text = await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Server"].startswith("mailcanary/")
            self.headers = answer.headers
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    def kinds(self) -> list[str]:
        return [type(entry.fact).__name__ for entry in self.desk.journal._entries]  # type: ignore[attr-defined]


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    world, rules = World(), replace(policy(tmp_path, seeds=2), listen=ListenPolicy(host, 9464, TOKENS))
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), rules)
    secrets = StubSecrets(dict(SECRETS))
    site: Site
    api = Api(desk, Metrics(rules, world, Vitals()), secrets, lambda: site.stalled, lambda: site.ready)
    async with TestClient(TestServer(api.application())) as client:
        site = Site(client, desk, api, secrets)
        yield site


far = pytest.mark.parametrize("host", ["0.0.0.0"], indirect=True)
near = pytest.mark.parametrize("host", ["127.0.0.1"], indirect=True)


@pytest.mark.parametrize("path", OPEN)
async def test_open_to_anyone(site: Site, path: str) -> None:
    status, text = await site.ask("GET", path)
    assert status == 200 and text
    assert "mailcanary_build_info" in text if path == "/metrics" else text == "ok\n"


async def test_livez_says_for_how_long_the_loop_has_stalled(site: Site) -> None:
    site.stalled = 14.9
    assert (await site.ask("GET", "/livez"))[0] == 200
    site.stalled = 61.0
    assert await site.ask("GET", "/livez") == (503, "the event loop has not ticked for 61 s\n")
    assert (await site.ask("GET", "/readyz"))[0] == 200, "ready is another question"


async def test_readyz_waits_for_the_journal(site: Site) -> None:
    site.ready = False
    assert await site.ask("GET", "/readyz") == (503, "loading the journal\n")
    assert (await site.ask("GET", "/livez"))[0] == 200


@near
@pytest.mark.parametrize(("method", "path", "role"), GUARDED)
async def test_on_loopback_no_token_is_needed(site: Site, method: str, path: str, role: str) -> None:
    assert (await site.ask(method, path, json={"by": "ann"} if method == "POST" else None))[0] == 200


@far
@pytest.mark.parametrize(("method", "path", "role"), GUARDED)
async def test_elsewhere_the_token_of_the_role_is_needed(site: Site, method: str, path: str, role: str) -> None:
    body = {"by": "ann"} if method == "POST" else None
    for token in ("", "wrong", SECRETS[role] + "x", SECRETS[role][:-1], "tökén"):
        status, answer = await site.ask(method, path, token, json=body)
        assert status == 401, token
        assert answer["error"] == "Unauthorized" and f"listen.tokens.{role.lower()}" in answer["reason"]
        assert site.headers["WWW-Authenticate"] == "Bearer"
        assert SECRETS[role] not in json.dumps(answer)
    if role == "ONCALL":
        status, answer = await site.ask(method, path, SECRETS["READ"], json=body)
        assert status == 403 and "role oncall (listen.tokens.oncall); this one has the role read" in answer["reason"]
    assert site.kinds() == []
    assert (await site.ask(method, path, SECRETS[role], json=body))[0] == 200


@far
async def test_other_schemes_and_strange_bytes_are_no_token(site: Site) -> None:
    for value in (f"Basic {SECRETS['READ']}", SECRETS["READ"], "Bearer", "Bearer  ", "Bearer \udcff\udcfe"):
        status, answer = await site.ask("GET", "/v1/status", headers={"Authorization": value})
        assert status == 401 and set(answer) == {"error", "reason"}, value
    assert (await site.ask("GET", "/v1/status", headers={"Authorization": f"bearer {SECRETS['READ']}"}))[0] == 200


@far
async def test_a_role_without_a_token_is_closed_and_a_rotated_one_counts_at_once(site: Site) -> None:
    site.secrets.values["READ"] = "another"
    assert (await site.ask("GET", "/v1/status", SECRETS["READ"]))[0] == 401
    assert (await site.ask("GET", "/v1/status", "another"))[0] == 200
    del site.secrets.values["READ"]
    assert (await site.ask("GET", "/v1/status", "another"))[0] == 401, "unreadable"
    site.desk.policy = replace(site.desk.policy, listen=ListenPolicy("0.0.0.0", 9464, {}))
    assert (await site.ask("GET", "/v1/status", SECRETS["READ"]))[0] == 401


@near
async def test_pause_and_resume_are_facts_with_a_name(site: Site) -> None:
    status, answer = await site.ask("POST", "/v1/pause", json={"by": "ann", "reason": "provider asked"})
    assert (status, answer) == (200, {"paused": True, "by": "ann", "reason": "provider asked"})
    paused = site.desk.world.paused
    assert isinstance(paused, Paused) and (paused.by, paused.reason) == ("ann", "provider asked")
    assert (await site.ask("GET", "/v1/status"))[1]["paused"] == {"by": "ann", "reason": "provider asked", "since": paused.at.iso()}
    assert "mailcanary_paused 1.0" in (await site.ask("GET", "/metrics"))[1]
    assert (await site.ask("POST", "/v1/resume", json={"by": "bob"}))[1] == {"paused": False, "by": "bob"}
    assert site.desk.world.paused is None and site.kinds() == [Paused.__name__, Resumed.__name__]


@near
@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v1/pause", b"", "not JSON"),
        ("/v1/pause", b"by=ann", "not JSON"),
        ("/v1/pause", b"\xff\xfe{}", "not JSON"),
        ("/v1/pause", b"[" * 20_000, "not JSON"),
        ("/v1/pause", b"[]", "body"),
        ("/v1/pause", b"{}", "by: Field required"),
        ("/v1/pause", b'{"by": ""}', "by: "),
        ("/v1/pause", b'{"by": 7}', "by: "),
        ("/v1/pause", b'{"by": null}', "by: "),
        ("/v1/pause", b'{"by": "\\ud800"}', "by: "),
        ("/v1/pause", json.dumps({"by": "a" * 101}).encode(), "by: "),
        ("/v1/pause", json.dumps({"by": "ann", "reason": "r" * 501}).encode(), "reason: "),
        ("/v1/pause", b'{"by": "ann", "until": "tomorrow"}', "until: "),
        ("/v1/resume", b"{}", "by: Field required"),
        ("/v1/resume", b'{"by": "ann", "reason": "x"}', "reason: "),
    ],
)
async def test_bad_bodies_are_refused_with_the_field(site: Site, path: str, body: bytes, word: str) -> None:
    status, answer = await site.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert status == 400 and set(answer) == {"error", "reason"}
    assert word in answer["reason"] and "\n" not in answer["reason"] and "pydantic" not in answer["reason"]
    assert site.kinds() == []


@near
async def test_a_charset_that_there_is_not(site: Site) -> None:
    status, answer = await site.ask("POST", "/v1/pause", data=b"{}", headers={"Content-Type": "application/json; charset=klingon"})
    assert status == 400 and "not JSON" in answer["reason"]


@near
async def test_a_body_that_is_not_packed_as_it_says(site: Site) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, answer = await site.ask("POST", "/v1/pause", data=b"garbage", headers=headers)
    assert status == 400 and "Content-Encoding" in answer["reason"] and site.kinds() == []


@near
async def test_a_body_beyond_the_bound(site: Site) -> None:
    body = json.dumps({"by": "ann", "reason": "r" * MAX_BODY})
    status, answer = await site.ask("POST", "/v1/pause", data=body, headers={"Content-Type": "application/json"})
    assert status == 413 and set(answer) == {"error", "reason"} and site.kinds() == []


@near
async def test_a_body_that_does_not_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.surface.api.replies.BODY_WITHIN", 0.05)
    over = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"by": '
        await over.wait()

    for path, form in (("/v1/pause", "application/json"), ("/v1/flagger/confirm", "text/plain")):
        async with site.client.post(path, data=slowly(), headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 408 and answer.content_type == form
    over.set()
    assert site.kinds() == []


@near
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/nothing", 404), ("GET", "/v1/pause", 405), ("PUT", "/metrics", 405)],
)
async def test_unknown_places_and_methods_are_json_too(site: Site, method: str, path: str, status: int) -> None:
    found, answer = await site.ask(method, path)
    assert found == status and set(answer) == {"error", "reason"}
    assert status != 405 or site.headers["Allow"]


@near
async def test_an_unwritable_journal_is_said_and_pauses_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise JournalUnwritable("the journal takes no more facts: no space left on device")

    monkeypatch.setattr(site.desk.journal, "append", full)
    for path in ("/v1/pause", "/v1/resume"):
        status, answer = await site.ask("POST", path, json={"by": "ann"})
        assert status == 503 and "no space left" in answer["reason"] and site.headers["Retry-After"] == "5"
    assert (await site.ask("GET", "/v1/status"))[0] == 200, "serving goes on"


@near
async def test_status_tells_every_route_and_mailbox(site: Site) -> None:
    now = site.desk.clock.now()
    blind = WatchBlind(now, MailboxName("seed-1"), BlindCause.AUTH_REFUSED, "NO for seed1@box.test\x1b[2J", "set the password")
    await site.desk.journal.append([blind])
    site.desk.writable = False
    status, answer = await site.ask("GET", "/v1/status")
    assert status == 200 and answer["schema"] == "mailcanary.status/v1" and answer["environment"] == "test"
    assert [route["route"] for route in answer["routes"]] == ["relay/seed-1", "relay/seed-2"]
    assert answer["routes"][0]["explanation"] == "no probe was judged yet" and answer["routes"][0]["verdict"] is None
    first, second = answer["mailboxes"]
    assert (first["state"], second["state"]) == ("blind", "starting")
    assert first["why"] == "auth_refused: NO for ***@box.test\\x1b[2J" and first["mend"] == "set the password"
    assert answer["journal_writable"] is False and answer["probes_in_flight"] == 0


# ---- how often -------------------------------------------------------------------------------------------------------

SLOW = Rates(reads=Rate(1.0, 5), acts=Rate(0.5, 2), failures=Rate(0.1, 3))


@pytest.fixture
async def busy(tmp_path: Path, host: str) -> AsyncIterator[premises.Site]:
    async with premises.served(premises.rules(tmp_path, host), SLOW) as site:
        yield site


@near
async def test_who_asks_too_often_is_told_when_to_come_again(busy: premises.Site) -> None:
    assert [(await busy.get("/v1/status"))[0] for _ in range(6)] == [200] * 5 + [429]
    status, answer = await busy.get("/v1/status")
    assert status == 429 and set(answer) == {"error", "reason"} and "ask again in 1 s" in answer["reason"]
    assert busy.headers["Retry-After"] == "1"
    assert [(await busy.post("/v1/pause", {"by": "ann"}))[0] for _ in range(3)] == [200, 200, 429], "acts are counted apart, and harder"
    assert (await busy.post("/v1/deploys", {"deploy": "d", "phase": "start"}))[0] == 201, "and each role by itself"
    for path in OPEN:
        assert {(await busy.get(path))[0] for _ in range(20)} == {200}, "whoever watches us is never refused"
    busy.clock.ahead = 2.0
    assert [(await busy.get("/v1/status"))[0] for _ in range(3)] == [200, 200, 429]
    assert (await busy.post("/v1/pause", {"by": "ann"}))[0] == 200


@far
async def test_wrong_tokens_are_counted_harder_and_lock_out_nobody_else(busy: premises.Site) -> None:
    asked = [(await busy.ask("GET", "/v1/status", f"guess {number}"))[0] for number in range(5)]
    assert asked == [401, 401, 401, 429, 429] and int(busy.headers["Retry-After"]) == 10
    assert (await busy.ask("GET", "/v1/status", premises.SECRETS["READ"]))[0] == 200, "the right one, from the same address"
    busy.clock.ahead = 10.0
    assert (await busy.ask("GET", "/v1/status", "guess"))[0] == 401
    assert (await busy.ask("POST", "/v1/flagger/rollback", "guess", json={}))[0] == 409, "Flagger would throw a 429 away"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_hooks_are_counted_apart_and_too_many_of_them_is_a_no_with_a_reason(busy: premises.Site) -> None:
    gate, rollback = premises.SECRETS["GATE"], premises.SECRETS["ROLLBACK"]
    assert [(await busy.ask("POST", "/v1/gates", gate, json={}))[0] for _ in range(3)] == [400, 400, 429]
    hooks = [await busy.ask("POST", "/v1/flagger/confirm", gate, json={}) for _ in range(3)]
    assert [status for status, _ in hooks] == [400, 400, 409] and "too many requests" in hooks[-1][1]
    assert (await busy.ask("POST", "/v1/flagger/rollback", rollback, json={}))[0] == 400, "each role has its own"


def test_a_bucket_fills_up_again_and_no_further() -> None:
    buckets = Buckets(Rate(2.0, 4))
    assert [buckets.take("a", 0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert buckets.take("a", 0.25) == pytest.approx(0.25) and buckets.take("a", 0.5) == 0.0
    assert [buckets.take("a", 1000.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", 1000.0) == 0.0, "each client has its own"
    assert buckets.take("b", 0.0) == 0.0, "a clock that steps back takes nothing away"


def test_the_table_of_clients_is_bounded_and_keeps_who_asks() -> None:
    buckets = Buckets(Rate(1.0, 2), most=10)
    for number in range(100):
        buckets.take("busy", 0.0)
        buckets.take(number, 0.0)
    assert len(buckets) == 10 and buckets.take("busy", 0.0) > 0


def test_a_client_of_ipv6_is_its_network() -> None:
    def named(remote: str) -> object:
        return client_of(cast(web.Request, SimpleNamespace(remote=remote)))

    assert named("2001:db8::1") == named("2001:db8::ffff:1") != named("2001:db8:0:1::1")
    assert named("192.0.2.1") != named("192.0.2.2") and named("::ffff:192.0.2.1") != named("::ffff:192.0.2.2")
    assert named("fe80::1%eth0") == named("fe80::2") and named("") == named("")


@near
async def test_before_the_state_is_loaded_nothing_is_claimed(site: Site) -> None:
    site.ready = False
    for method, path in (("GET", "/v1/status"), ("GET", "/v1/gates"), ("POST", "/v1/pause")):
        status, answer = await site.ask(method, path, json={"by": "ann"} if method == "POST" else None)
        assert status == 503 and "being loaded" in answer["reason"] and site.headers["Retry-After"] == "2"
    assert site.kinds() == []


# ---- pages of a browser on the same machine ------------------------------------------------------------------------------


@near
@pytest.mark.parametrize("named", ["evil.test", "evil.test:9464", "127.0.0.1.evil.test", "localhost.evil.test", "", "[evil", "127.1"])
async def test_a_name_that_was_made_to_mean_this_machine_is_refused(site: Site, named: str) -> None:
    for method, path, _ in GUARDED:
        body = {"by": "ann"} if method == "POST" else None
        status, answer = await site.ask(method, path, json=body, headers={"Host": named})
        assert status == 421 and "token" in answer["reason"], path
    assert site.kinds() == []


@near
@pytest.mark.parametrize("named", ["localhost", "LOCALHOST:9464", "localhost.", "127.0.0.1:1", "[::1]:9464", "192.0.2.1"])
async def test_an_address_and_localhost_are_let_in(site: Site, named: str) -> None:
    assert (await site.ask("GET", "/v1/status", headers={"Host": named}))[0] == 200


@near
async def test_a_page_of_another_origin_is_refused(site: Site) -> None:
    for origin in ("http://evil.test", "null", "http://localhost:1", "https://localhost:9464", ""):
        status, _ = await site.ask("GET", "/v1/status", headers={"Host": "localhost:9464", "Origin": origin})
        assert status == 403, origin
    assert (await site.ask("GET", "/v1/status", headers={"Host": "localhost:9464", "Origin": "http://localhost:9464"}))[0] == 200


@near
async def test_whoever_shows_a_token_is_no_page(site: Site) -> None:
    for token, status in ((SECRETS["READ"], 200), ("wrong", 421)):
        assert (await site.ask("GET", "/v1/status", token, headers={"Host": "proxy.test", "Origin": "http://x.test"}))[0] == status
