"""/v1/silences, and the end of one incident's own: roles, refusals, and what becomes a fact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.model.facts import Silenced, SilenceEnded, SilencePlanned
from monitor.model.incident import EVERYWHERE, THE_LEDGER, Scope, ScopeKind, SilenceId
from monitor.model.inspection import DomainPolicy, InspectPolicy
from monitor.model.policy import Access
from monitor.model.verdict import Symptom
from monitor.surface.status import status
from monitor.views.incidents import MOST_SILENCES
from tests.surface import happenings as so
from tests.surface.premises import SECRETS, Site, rules, served

ROOT = Path(__file__).parents[2]
NAMES = ("Silences", "Silence")
PLAN: dict[str, Any] = {"by": "ann", "reason": "the relay moves", "for": "2h", "scopes": ["all"]}
CALLS: list[tuple[str, str, Access, dict[str, Any] | None]] = [
    ("GET", "/v1/silences", Access.READ, None),
    ("POST", "/v1/silences", Access.ONCALL, PLAN),
    ("POST", "/v1/silences/SIL-1/end", Access.ONCALL, {"by": "ann"}),
    ("POST", "/v1/incidents/INC-1/unsilence", Access.ONCALL, {"by": "ann"}),
]


@pytest.fixture
def host() -> str:
    return "127.0.0.1"


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    inspect = InspectPolicy(domains={name: DomainPolicy(name) for name in ("shop.test", "outlet.test")})
    async with served(replace(rules(tmp_path, host), inspect=inspect)) as place:
        yield place


def facts(site: Site) -> list[Any]:
    return [*site.facts()]


@cache
def schemas() -> Any:
    return yaml.load((ROOT / "config" / "openapi.yaml").read_bytes(), yaml.CSafeLoader)["components"]


def valid(answer: Any) -> list[dict[str, Any]]:
    """The rows, of a document that is as the published one."""
    schema = {"$ref": "#/components/schemas/Silences", "components": {"schemas": {name: schemas()["schemas"][name] for name in NAMES}}}
    jsonschema.validate(answer, schema)
    rows: list[dict[str, Any]] = answer["silences"]
    return rows


@pytest.mark.parametrize("host", ["0.0.0.0"])
@pytest.mark.parametrize(("method", "path", "role", "body"), CALLS)
async def test_each_needs_the_token_of_its_role(site: Site, method: str, path: str, role: Access, body: dict[str, Any] | None) -> None:
    now = site.clock.now()
    planned = SilencePlanned(now, SilenceId("SIL-1"), "ann", "work", now.utc, now.utc + 600)
    await site.desk.journal.append([so.opened(now), Silenced(now, so.INC, "ann", "known", now.utc + 600), planned])
    for other in (None, *Access):
        if other is not role and (other is None or role is not Access.READ):
            assert (await site.ask(method, path, SECRETS[other.name] if other else "", json=body))[0] == (403 if other else 401), other
    assert len(facts(site)) == 3
    assert (await site.ask(method, path, SECRETS[role.name], json=body))[0] == 200


async def test_a_silence_from_now_and_a_window_ahead(site: Site) -> None:
    now = site.clock.now()
    code, answer = await site.ask("POST", "/v1/silences", json=PLAN)
    (row,) = valid(answer)
    assert code == 200 and (row["id"], row["state"], row["by"], row["scopes"], row["symptoms"]) == ("SIL-1", "active", "ann", ["all"], [])
    assert (row["begins"], row["until"]) == (now.iso(), now.plus(7_200).iso())
    ahead = {**PLAN, "begins": now.plus(3_600).iso(), "scopes": ["path:relay", "all", "path:relay"], "symptoms": ["spam_placement"]}
    (row,) = valid((await site.ask("POST", "/v1/silences", json=ahead))[1])
    assert (row["id"], row["state"], row["scopes"], row["symptoms"]) == ("SIL-2", "planned", ["path:relay", "all"], ["spam_placement"])
    planned = facts(site)[-1]
    assert isinstance(planned, SilencePlanned) and planned.symptoms == (Symptom.SPAM_PLACEMENT,)
    assert planned.begins == pytest.approx(now.utc + 3_600, abs=0.01) and planned.until == pytest.approx(planned.begins + 7_200)
    code, answer = await site.ask("GET", "/v1/silences")
    assert [row["id"] for row in valid(answer)] == ["SIL-1", "SIL-2"]
    assert [row["id"] for row in status(site.desk)["silences"]] == ["SIL-1", "SIL-2"]  # type: ignore[attr-defined]
    site.clock.ahead = 7_201
    assert [row["state"] for row in valid((await site.ask("GET", "/v1/silences"))[1])] == ["active"]
    assert [(row["id"], row["state"]) for row in valid((await site.ask("GET", "/v1/silences?state=all"))[1])] == [
        ("SIL-2", "active"), ("SIL-1", "over"),
    ]  # fmt: skip
    assert (await site.ask("GET", "/v1/silences?state=some"))[0] == 400


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("all", EVERYWHERE),
        ("ledger", THE_LEDGER),
        ("path:relay", Scope(ScopeKind.PATH, "relay")),
        ("provider:provider-1", Scope(ScopeKind.PROVIDER, "provider-1")),
        ("mailbox:seed-1", Scope(ScopeKind.MAILBOX, "seed-1")),
        ("domain:shop.test", Scope(ScopeKind.DOMAIN, "shop.test")),
        ("deploy:checkout:v2", Scope(ScopeKind.DEPLOY, "checkout:v2")),
    ],
)
async def test_scopes(site: Site, text: str, scope: Scope) -> None:
    assert (await site.ask("POST", "/v1/silences", json={**PLAN, "scopes": [text]}))[0] == 200
    assert facts(site)[-1].scopes == (scope,)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scopes": []}, "scopes: name what is to be silent (path:NAME, "),
        ({"scopes": [], "symptoms": []}, "or a symptom; all is everything"),
        ({"scopes": ["path:relya"]}, "scopes: no path is named 'relya'; did you mean relay?"),
        ({"scopes": ["path:"]}, "scopes: no path is named ''; there are relay"),
        ({"scopes": ["mailbox:seed_1"]}, "did you mean seed-1?"),
        ({"scopes": ["provider:nobody"]}, "there are provider-0, provider-1, provider-2"),
        ({"scopes": ["domain:shop.tset"]}, "did you mean shop.test?"),
        ({"scopes": ["relay"]}, "scopes: 'relay' is no scope; write path:NAME, "),
        ({"scopes": ["all:relay"]}, "is no scope"),
        ({"scopes": ["ledger:x"]}, "is no scope"),
        ({"scopes": ["deploy:"]}, "is no scope"),
        ({"scopes": ["scope:\u001b[31m"]}, "scopes.0: "),
        ({"scopes": ["path:relay"] * 21}, "scopes: "),
        ({"scopes": "path:relay"}, "scopes: "),
        ({"symptoms": ["late"]}, "symptoms: 'late' is no symptom; did you mean delivery_late?"),
        ({"symptoms": ["missing"]}, "did you mean delivery_missing?"),
        ({"symptoms": ["imitat"]}, "there are imitation"),
        ({"symptoms": ["spam_placment"]}, "symptoms: 'spam_placment' is no symptom; did you mean spam_placement?"),
        ({"symptoms": ["x" * 101]}, "symptoms.0: "),
        ({"for": "25h"}, "for: write how long, like 45m or 2h; at most 24h"),
        ({"for": ""}, "for: write how long"),
        ({"for": "0m"}, "for: write how long"),
        ({"begins": "tomorrow"}, "begins: write a time with its offset"),
        ({"begins": "2020-01-31T12:00:00Z"}, "begins: it would be over already"),
        ({"begins": -1}, "begins: write a time"),
        ({"reason": " "}, "reason: "),
        ({"by": ""}, "by: "),
        ({"until": "2h"}, "until: "),
    ],
)  # fmt: skip
async def test_what_is_refused(site: Site, change: dict[str, Any], why: str) -> None:
    code, answer = await site.ask("POST", "/v1/silences", json={**PLAN, **change})
    assert code == 400 and why in answer["reason"] and "\n" not in answer["reason"], answer
    assert facts(site) == []


@pytest.mark.parametrize(
    ("ahead", "why"),
    [(-61.0, "begins: lies in the past"), (-7_200.0, "it would be over already"), (30 * 86_400.0 + 60, "more than 30 days ahead")],
)
async def test_when_it_may_begin(site: Site, ahead: float, why: str) -> None:
    code, answer = await site.ask("POST", "/v1/silences", json={**PLAN, "begins": site.clock.now().utc + ahead})
    assert code == 400 and why in answer["reason"]
    for fits in (-59.0, 59.0, 30 * 86_400.0 - 60):
        assert (await site.ask("POST", "/v1/silences", json={**PLAN, "begins": site.clock.now().utc + fits}))[0] == 200
    assert [fact.begins == fact.at.utc for fact in facts(site)] == [True, True, False]


async def test_a_symptom_alone_is_enough_and_nothing_at_all_is_not(site: Site) -> None:
    bare = {key: value for key, value in PLAN.items() if key != "scopes"}
    assert (await site.ask("POST", "/v1/silences", json=bare))[0] == 400 and facts(site) == []
    (row,) = valid((await site.ask("POST", "/v1/silences", json={**bare, "symptoms": ["spam_placement"]}))[1])
    assert (row["scopes"], row["symptoms"]) == ([], ["spam_placement"])


async def test_there_is_an_end_of_them(site: Site) -> None:
    for _ in range(MOST_SILENCES):
        assert (await site.ask("POST", "/v1/silences", json=PLAN))[0] == 200
    code, answer = await site.ask("POST", "/v1/silences", json=PLAN)
    assert code == 409 and f"{MOST_SILENCES} silences are not over" in answer["reason"]
    assert (await site.ask("POST", "/v1/silences/SIL-7/end", json={"by": "ann"}))[0] == 200
    assert (await site.ask("POST", "/v1/silences", json=PLAN))[0] == 200


async def test_two_that_are_planned_at_once_have_two_numbers(site: Site) -> None:
    answers = await asyncio.gather(*[site.ask("POST", "/v1/silences", json=PLAN) for _ in range(8)])
    assert sorted(row["id"] for _, answer in answers for row in valid(answer)) == sorted(f"SIL-{number}" for number in range(1, 9))


async def test_ending(site: Site) -> None:
    await site.ask("POST", "/v1/silences", json=PLAN)
    site.clock.ahead = 60
    code, answer = await site.ask("POST", "/v1/silences/SIL-1/end", json={"by": "bob", "reason": "done <b>"})
    (row,) = valid(answer)
    assert answer["still_silent"] == []
    assert code == 200 and row["state"] == "over" and row["ended"]["by"] == "bob" and row["ended"]["at"] == site.clock.now().iso()
    assert isinstance(facts(site)[-1], SilenceEnded)
    code, answer = await site.ask("POST", "/v1/silences/SIL-1/end", json={"by": "bob"})
    assert code == 409 and "SIL-1 was ended by bob at" in answer["reason"]
    code, answer = await site.ask("POST", "/v1/silences/SIL-9/end", json={"by": "bob"})
    assert code == 404 and answer["reason"] == "no silence SIL-9 is known; none is planned"
    await site.ask("POST", "/v1/silences", json=PLAN)
    assert (await site.ask("POST", "/v1/silences/x%1b/end", json={"by": "bob"}))[1]["reason"].endswith("not over are SIL-2")
    site.clock.ahead = 60 + 7_200
    code, answer = await site.ask("POST", "/v1/silences/SIL-2/end", json={"by": "bob"})
    assert code == 409 and "SIL-2 was over at" in answer["reason"]


async def test_what_it_covers_now(site: Site) -> None:
    await site.desk.journal.append([so.opened(site.clock.now())])
    (row,) = valid((await site.ask("POST", "/v1/silences", json={**PLAN, "scopes": ["path:relay"]}))[1])
    assert row["covers"] == ["INC-1"]
    (row,) = valid((await site.ask("POST", "/v1/silences", json={**PLAN, "symptoms": ["duplicate"]}))[1])
    assert row["covers"] == []


async def test_one_incident_is_heard_of_again(site: Site) -> None:
    now = site.clock.now()
    await site.desk.journal.append([so.opened(now)])
    code, answer = await site.ask("POST", "/v1/incidents/INC-1/unsilence", json={"by": "bob"})
    assert code == 409 and answer["reason"] == "nobody has silenced INC-1 by itself"
    await site.ask("POST", "/v1/incidents/INC-1/silence", json={"by": "ann", "reason": "known", "for": "1h"})
    code, answer = await site.ask("POST", "/v1/incidents/INC-1/unsilence", json={"by": "bob", "reason": "not needed"})
    assert code == 200 and answer["silenced_until"] is None and answer["hushed"] is None
    assert [(step["what"], step["by"]) for step in answer["steps"][-2:]] == [("silenced", "ann"), ("unsilenced", "bob")]
    planned = so.transition(now, so.Phase.SILENCED, note="SIL-1 of ann until later", silent_until=now.utc + 600)
    await site.desk.journal.append([planned])
    code, answer = await site.ask("POST", "/v1/incidents/INC-1/unsilence", json={"by": "bob"})
    assert code == 409 and "SIL-1 of ann until later covers it" in answer["reason"]
    story = (await site.ask("GET", "/v1/incidents/INC-1"))[1]
    assert story["silenced_until"] == now.plus(600).iso() and story["hushed"] == "silenced by SIL-1 of ann until later"
