"""/v1/incidents and /v1/deploys, over a socket: roles, refusals, and that what people say becomes a fact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Acknowledged, DeployMarked, Fact, Noted, ResolveAsked, Silenced
from monitor.model.incident import DeployPhase, IncidentId
from monitor.model.policy import Access, ListenPolicy
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import JournalUnwritable
from monitor.surface.api import Api
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.stages.house import policy
from tests.surface import happenings as so

SECRETS = {role.name: f"the token of {role.value}" for role in Access}
TOKENS = {role: SecretRef(SecretSource.ENV, role.name) for role in Access}
ACTS: dict[str, dict[str, str]] = {
    "ack": {"by": "ann"},
    "silence": {"by": "ann", "reason": "known", "for": "2h"},
    "resolve": {"by": "ann", "reason": "rolled back"},
    "note": {"by": "ann", "text": "the shop rolls back"},
}
DEPLOY = {"deploy": "d-1", "phase": "start"}
CALLS: list[tuple[str, str, Access, dict[str, str] | None]] = [
    ("GET", "/v1/incidents", Access.READ, None),
    ("GET", "/v1/incidents/INC-1", Access.READ, None),
    *(("POST", f"/v1/incidents/INC-1/{act}", Access.ONCALL, body) for act, body in ACTS.items()),
    ("GET", "/v1/deploys", Access.READ, None),
    ("POST", "/v1/deploys", Access.DEPLOY, DEPLOY),
]


@dataclass
class Site:
    client: TestClient[Any, Any]
    desk: Desk

    async def ask(self, method: str, path: str, token: str = "", **kwargs: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, path, headers={**headers, **kwargs.pop("headers", {})}, **kwargs) as answer:
            assert answer.content_type == "application/json" and answer.headers["Cache-Control"] == "no-store"
            return answer.status, await answer.json()

    async def happen(self, *facts: Fact) -> None:
        await self.desk.journal.append(facts)

    def facts(self) -> list[Fact]:
        return [entry.fact for entry in self.desk.journal._entries]  # type: ignore[attr-defined]


@pytest.fixture
def host() -> str:
    return "127.0.0.1"


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    world, rules = World(), replace(policy(tmp_path), listen=ListenPolicy(host, 9464, TOKENS))
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), rules)
    api = Api(desk, Metrics(rules, world, Vitals()), StubSecrets(dict(SECRETS)), lambda: 0.0, lambda: True)
    async with TestClient(TestServer(api.application())) as client:
        yield Site(client, desk)


@pytest.mark.parametrize("host", ["0.0.0.0"])
@pytest.mark.parametrize(("method", "path", "role", "body"), CALLS)
async def test_each_needs_the_token_of_its_role(site: Site, method: str, path: str, role: Access, body: dict[str, str] | None) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    for other in (None, *Access):
        if other is not role and (other is None or role is not Access.READ):
            status, answer = await site.ask(method, path, SECRETS[other.name] if other else "", json=body)
            assert status == (403 if other else 401) and f"listen.tokens.{role.value}" in answer["reason"], other
    assert len(site.facts()) == 1
    for fitting in set(Access) - {Access.ROLLBACK} if role is Access.READ else {role}:  # whoever may act may read
        assert (await site.ask(method, path, SECRETS[fitting.name], json=body))[0] in (200, 201)


# ---- incidents -------------------------------------------------------------------------------------------------------


async def test_list_and_show(site: Site) -> None:
    now = site.desk.clock.now()
    await site.happen(so.opened(now), so.suspected(now, IncidentId("INC-2")))
    for query, ids in (("", ["INC-1"]), ("?state=suspected", ["INC-2"]), ("?state=resolved", []), ("?state=all", ["INC-2", "INC-1"])):
        status, answer = await site.ask("GET", f"/v1/incidents{query}")
        assert status == 200 and [row["id"] for row in answer["incidents"]] == ids
    status, answer = await site.ask("GET", "/v1/incidents/INC-1")
    assert status == 200 and answer["id"] == "INC-1" and answer["diagnosis"]["layer"] == "application"
    status, answer = await site.ask("GET", "/v1/incidents?state=broken")
    assert status == 400 and "open, suspected, resolved, all" in answer["reason"]


async def test_what_people_say_becomes_a_fact(site: Site) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    for act, body in ACTS.items():
        status, answer = await site.ask("POST", f"/v1/incidents/INC-1/{act}", json=body)
        assert status == 200 and answer["schema"] == "mailcanary.incident/v1", act
    _, ack, silence, resolve, note = site.facts()
    assert isinstance(ack, Acknowledged) and (ack.incident, ack.by, ack.text) == ("INC-1", "ann", "")
    assert isinstance(silence, Silenced) and silence.reason == "known" and silence.until == pytest.approx(silence.at.utc + 7200)
    assert isinstance(resolve, ResolveAsked) and (resolve.by, resolve.reason) == ("ann", "rolled back")
    assert isinstance(note, Noted) and note.text == "the shop rolls back"
    assert answer["acknowledged_by"] == "ann" and answer["silenced_until"] and answer["resolve_asked"]["by"] == "ann"
    assert answer["steps"][-1]["text"] == "the shop rolls back"


async def test_they_are_on_the_disk_before_the_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    append, asked = site.desk.journal.append, []

    async def watched(facts: Any, durable: bool = False) -> Any:
        asked.append(durable)
        return await append(facts, durable)

    monkeypatch.setattr(site.desk.journal, "append", watched)
    for method, path, _, body in CALLS:
        if method == "POST":
            await site.ask(method, path, json=body)
    assert asked == [True] * 5


@pytest.mark.parametrize("act", ["", *(f"/{act}" for act in ACTS)])
async def test_an_unknown_one_names_the_known(site: Site, act: str) -> None:
    body = ACTS.get(act[1:])
    method = "POST" if act else "GET"
    status, answer = await site.ask(method, f"/v1/incidents/INC-99{act}", json=body)
    assert status == 404 and answer["reason"] == "no incident INC-99 is known; there is none"
    now = site.desk.clock.now()
    await site.happen(*(so.opened(now, IncidentId(f"INC-{number}")) for number in range(1, 15)))
    status, answer = await site.ask(method, f"/v1/incidents/INC-99{act}", json=body)
    assert status == 404 and "there are INC-14, INC-13, " in answer["reason"] and answer["reason"].endswith("INC-5 and 4 more")
    assert len(site.facts()) == 14


async def test_a_strange_id_is_said_plainly(site: Site) -> None:
    status, answer = await site.ask("GET", "/v1/incidents/" + "seed@box.test%0A%1B[2J" + "x" * 200)
    assert status == 404 and answer["reason"].startswith("no incident ***@box.test\\n\\x1b[2Jxxx") and len(answer["reason"]) < 120


@pytest.mark.parametrize("act", ACTS)
async def test_on_a_resolved_one_only_a_note(site: Site, act: str) -> None:
    now = site.desk.clock.now()
    await site.happen(so.opened(now), so.resolved(now.plus(1)))
    status, answer = await site.ask("POST", f"/v1/incidents/INC-1/{act}", json=ACTS[act])
    if act == "note":
        assert status == 200 and answer["steps"][-1]["what"] == "noted"
    else:
        assert status == 409 and "was resolved at" in answer["reason"] and "opens it again" in answer["reason"]
        assert len(site.facts()) == 2


@pytest.mark.parametrize("act", ["ack", "silence", "resolve"])
async def test_nobody_was_told_of_a_suspicion(site: Site, act: str) -> None:
    await site.happen(so.suspected(site.desk.clock.now()))
    status, answer = await site.ask("POST", f"/v1/incidents/INC-1/{act}", json=ACTS[act])
    assert status == 409 and "only suspected" in answer["reason"]


async def test_one_that_opened_again_can_be_acted_on(site: Site) -> None:
    now = site.desk.clock.now()
    await site.happen(so.opened(now), so.resolved(now.plus(1)), so.opened(now.plus(2), episode=2))
    assert (await site.ask("POST", "/v1/incidents/INC-1/ack", json=ACTS["ack"]))[0] == 200


@pytest.mark.parametrize(
    ("act", "body", "word"),
    [
        ("ack", {}, "by: "),
        ("ack", {"by": " \t\n"}, "by: "),
        ("ack", {"by": "a" * 101}, "by: "),
        ("ack", {"by": "ann\x1b[2J"}, "by: has control characters"),
        ("ack", {"by": "ann\u202e"}, "by: has control characters"),
        ("ack", {"by": "ann", "text": "t" * 501}, "text: "),
        ("ack", {"by": "ann", "until": "2h"}, "until: "),
        ("ack", [], "body"),
        ("silence", {"by": "ann", "for": "2h"}, "reason: "),
        ("silence", {"by": "ann", "reason": " ", "for": "2h"}, "reason: "),
        ("silence", {"by": "ann", "reason": "r"}, "for: "),
        ("silence", {"by": "ann", "reason": "r", "seconds": 7200}, "for: "),
        *(
            ("silence", {"by": "ann", "reason": "r", "for": length}, "for: write how long, like 45m or 2h; at most 24h")
            for length in ("", "0s", "25h", "24h1s", "1d", "2", 2, None, "2 h", "-1h", "h", "99999999999999999999s", "٢h")
        ),
        ("resolve", {"by": "ann"}, "reason: "),
        ("note", {"by": "ann"}, "text: "),
        ("note", {"by": "ann", "text": ""}, "text: "),
        ("note", {"by": "ann", "text": "a\x00b"}, "text: "),
    ],
)
async def test_what_cannot_be_said_is_refused_with_the_field(site: Site, act: str, body: Any, word: str) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    status, answer = await site.ask("POST", f"/v1/incidents/INC-1/{act}", json=body)
    assert status == 400 and word in answer["reason"] and answer["reason"].isprintable() and len(site.facts()) == 1


@pytest.mark.parametrize(("length", "seconds"), [("24h", 86400), ("1s", 1), ("45m", 2700), ("1h30m", 5400), ("86400s", 86400)])
async def test_lengths_of_a_silence(site: Site, length: str, seconds: int) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    assert (await site.ask("POST", "/v1/incidents/INC-1/silence", json=ACTS["silence"] | {"for": length}))[0] == 200
    fact = site.facts()[-1]
    assert isinstance(fact, Silenced) and fact.until - fact.at.utc == pytest.approx(seconds)


async def test_a_pasted_text_becomes_one_line(site: Site) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    _, answer = await site.ask("POST", "/v1/incidents/INC-1/note", json={"by": " ann ", "text": "first\n  second\tthird\r\n"})
    assert (answer["steps"][-1]["by"], answer["steps"][-1]["text"]) == ("ann", "first second third")


@pytest.mark.parametrize(("method", "path", "body"), [(method, path, body) for method, path, _, body in CALLS if method == "POST"])
async def test_an_unwritable_journal_is_said(site: Site, method: str, path: str, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.happen(so.opened(site.desk.clock.now()))

    async def full(*_: object, **__: object) -> None:
        raise JournalUnwritable("no space left on device")

    monkeypatch.setattr(site.desk.journal, "append", full)
    status, answer = await site.ask(method, path, json=body)
    assert status == 503 and "no space left" in answer["reason"]


async def test_only_json_is_taken(site: Site) -> None:
    await site.happen(so.opened(site.desk.clock.now()))
    for method, path, _, body in CALLS:
        if method == "POST":
            status, _ = await site.ask(method, path, data=json.dumps(body), headers={"Content-Type": "text/plain"})
            assert status == 415


# ---- deploys ---------------------------------------------------------------------------------------------------------


async def test_a_deploy_is_marked_once_however_often_it_is_said(site: Site) -> None:
    whole = {"deploy": "d-1", "phase": "start", "service": "checkout-api", "version": "v512", "sha": "a1b2c3d", "by": "ana"}
    status, first = await site.ask("POST", "/v1/deploys", json=whole)
    assert status == 201 and first["schema"] == "mailcanary.deploy/v1" and first.items() >= whole.items()
    status, again = await site.ask("POST", "/v1/deploys", json={**DEPLOY, "version": "v513"})
    assert (status, again) == (200, first)
    status, finish = await site.ask("POST", "/v1/deploys", json={**DEPLOY, "phase": "finish"})
    assert status == 201 and finish["phase"] == "finish" and finish["version"] == ""
    assert [type(fact) for fact in site.facts()] == [DeployMarked, DeployMarked]
    status, answer = await site.ask("GET", "/v1/deploys")
    (row,) = answer["deploys"]
    assert (row["phase"], row["version"], row["sha"], row["service"]) == ("finish", "v512", "a1b2c3d", "checkout-api")
    assert [marker["phase"] for marker in row["markers"]] == ["start", "finish"] and row["markers"][0]["by"] == "ana"


async def test_calls_at_the_same_time_are_one_deploy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append = site.desk.journal.append

    async def slow(facts: Any, durable: bool = False) -> Any:
        await asyncio.sleep(0.01)
        return await append(facts, durable)

    monkeypatch.setattr(site.desk.journal, "append", slow)
    answers = await asyncio.gather(*(site.ask("POST", "/v1/deploys", json=DEPLOY) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 201] and len(site.facts()) == 1
    assert len({answer["at"] for _, answer in answers}) == 1


async def test_deploys_are_listed_the_latest_marker_first(site: Site) -> None:
    now = site.desk.clock.now()
    for n, (deploy, phase) in enumerate([("a", DeployPhase.START), ("b", DeployPhase.START), ("a", DeployPhase.ROLLBACK)]):
        await site.happen(so.deployed(now.plus(n), deploy, phase, by=so.HOSTILE))
    _, answer = await site.ask("GET", "/v1/deploys")
    assert [(row["deploy"], row["phase"]) for row in answer["deploys"]] == [("a", "rollback"), ("b", "start")]
    assert answer["deploys"][0]["at"] == now.plus(2).iso() and answer["deploys"][0]["markers"][0]["by"].isprintable()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "deploy: "),
        ({"deploy": "d"}, "phase: "),
        ({"deploy": "", "phase": "start"}, "deploy: "),
        ({"deploy": "d" * 401, "phase": "start"}, "deploy: "),
        ({"deploy": "d", "phase": "begin"}, "phase: "),
        ({"deploy": "d", "phase": "start", "version": "v" * 101}, "version: "),
        ({"deploy": "d", "phase": "start", "sha": "a\x07"}, "sha: "),
        ({"deploy": "d", "phase": "start", "at": "2026-01-01"}, "at: "),
        ({"deploy": 7, "phase": "start"}, "deploy: "),
    ],
)
async def test_a_marker_that_cannot_be(site: Site, body: dict[str, object], word: str) -> None:
    status, answer = await site.ask("POST", "/v1/deploys", json=body)
    assert status == 400 and word in answer["reason"] and site.facts() == []
