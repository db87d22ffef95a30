"""/v1/gates over a socket: what may be asked, who may ask it, and that a repeated question begins nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import jsonschema
import pytest

from monitor.model.facts import DeployMarked, GateCancelled, GateRequested
from monitor.model.gate import BUILT_IN, Because, Control, GateId, GatePlan, GatePolicy, GatesPolicy, GateStep, Sequential
from monitor.model.incident import DeployPhase
from monitor.model.policy import Access
from monitor.model.probe import PathName, ProbeId, Route
from monitor.model.verdict import Reason
from monitor.ports import JournalUnwritable
from monitor.rules.gate.policies import changed
from monitor.surface.api.gate_bodies import PolicyBody
from monitor.surface.api.gates import LISTED, MAX_KEY
from monitor.surface.api.waiting import MOST_WAITERS, PACE
from monitor.views.gates import MOST_RUNNING, GateTrial
from tests.stages.house import seed
from tests.surface.premises import SECRETS, Site, hesitate, rules, served

ROOT = Path(__file__).parents[2]
ASK = {"deploy": "d-1", "trust_target": True}
CUSTOM: dict[str, Any] = {"name": "ours", "plan": {"steps": [{"probes": 4, "accept": 0}], "reject": 1}, "trust_target": True}
NEARLY = {"good": 0.1, "bad": 0.10000000000000002, "false_fail": 0.4, "false_pass": 0.4, "most": 1}
SAY = {"by": "ann", "reason": "known"}


@pytest.fixture
def host() -> str:
    return "127.0.0.1"


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    async with served(rules(tmp_path, host)) as site:
        yield site


async def begun(site: Site, **more: Any) -> dict[str, Any]:
    status, document = await site.post("/v1/gates", {**ASK, **more})
    assert status == 201, document
    assert isinstance(document, dict)
    return document


# ---- who may ask -----------------------------------------------------------------------------------------------------

CALLS: list[tuple[str, str, Access, dict[str, Any] | None]] = [
    ("GET", "/v1/gates", Access.READ, None),
    ("GET", "/v1/gates/{id}", Access.READ, None),
    ("GET", "/v1/gates/{id}/junit.xml", Access.READ, None),
    ("GET", "/v1/gates/{id}/summary.md", Access.READ, None),
    ("GET", "/v1/gates/by-deploy/test/d-1", Access.READ, None),
    ("GET", "/v1/gates/by-deploy/test/d-1/argo", Access.READ, None),
    ("POST", "/v1/gates", Access.GATE, ASK),
    ("POST", "/v1/gates/{id}/cancel", Access.GATE, SAY),
    ("POST", "/v1/gates/{id}/override", Access.ONCALL, {**SAY, "for": "2h"}),
]


@pytest.mark.parametrize("host", ["0.0.0.0"])
@pytest.mark.parametrize(("method", "path", "role", "body"), CALLS)
async def test_each_needs_the_token_of_its_role(site: Site, method: str, path: str, role: Access, body: dict[str, Any] | None) -> None:
    status, document = await site.ask("POST", "/v1/gates", SECRETS["GATE"], json=ASK)
    assert status == 201
    path = path.replace("{id}", document["id"])
    before = len(site.facts())
    for token in ("", "wrong"):
        status, answer = await site.ask(method, path, token, json=body)
        assert status == 401 and f"listen.tokens.{role.value}" in answer["reason"]
    if role is not Access.READ:
        for other in set(Access) - {role}:
            status, answer = await site.ask(method, path, SECRETS[other.name], json=body)
            assert status == 403 and f"role {role.value} (listen.tokens.{role.value})" in answer["reason"], other
            assert f"has the role {other.value}" in answer["reason"] and not any(secret in str(answer) for secret in SECRETS.values())
    assert len(site.facts()) == before
    for fitting in set(Access) - {Access.ROLLBACK} if role is Access.READ else {role}:
        status, answer = await site.ask(method, path, SECRETS[fitting.name], json=body)
        assert status == (409 if path.endswith("override") else 200), answer  # it still runs


async def test_head_works_where_get_does(site: Site) -> None:
    gate = (await begun(site))["id"]
    for path in ("/v1/gates", f"/v1/gates/{gate}", f"/v1/gates/{gate}/junit.xml", "/v1/gates/by-deploy/test/d-1/argo"):
        status, text = await site.ask("HEAD", path)
        assert (status, text) == (200, ""), path


# ---- begin -----------------------------------------------------------------------------------------------------------


async def test_the_first_question_begins_an_attempt_and_the_second_finds_it(site: Site) -> None:
    document = await begun(site, service="checkout", version="v2", sha="abc", by="ci", notify=False, advisory_for="2h")
    gate = document["id"]
    assert site.headers["Location"] == f"/v1/gates/{gate}"
    (fact,) = site.facts()
    assert isinstance(fact, GateRequested) and fact.versions == ("v2", "abc", "d-1")
    assert (fact.service, fact.by, fact.notify) == ("checkout", "ci", False)
    assert fact.advisory_until == pytest.approx(site.clock.now().utc + 7200)
    status, again = await site.post("/v1/gates", {**ASK, "advisory_for": "1h"})
    assert (status, again["id"], again["attempt"]) == (200, gate, 1) and len(site.facts()) == 1
    status, answer = await site.post("/v1/gates", ASK)
    assert status == 409 and "asked by ci as advisory until" in answer["reason"], "a release must not pass by a dry run"
    assert (await site.get(f"/v1/gates/{gate}"))[1]["verdict"] == "pending"


async def test_every_document_fits_the_published_schema(site: Site) -> None:
    schema = json.loads((ROOT / "config" / "gate.schema.json").read_text())
    gate = (await begun(site))["id"]
    for because in (None, Because.LOSSES):
        if because:
            await site.decide(gate, because)
        for path in (f"/v1/gates/{gate}", "/v1/gates/by-deploy/test/d-1"):
            jsonschema.validate((await site.get(path))[1], schema)


async def test_questions_at_the_same_moment_begin_one_attempt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hesitate(site, monkeypatch)
    answers = await asyncio.gather(*(site.post("/v1/gates", ASK) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert site.kinds() == ["GateRequested"]


async def test_after_an_inconclusive_end_another_attempt_begins(site: Site) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.TOO_FEW)
    site.clock.ahead = 5.0
    assert (await site.post("/v1/gates", ASK))[0] == 200, "a loop that asks sooner hears the same answer"
    site.clock.ahead = 20.0
    status, document = await site.post("/v1/gates", ASK)
    assert (status, document["id"], document["attempt"]) == (201, gate, 2)


async def test_a_fail_stays_a_fail_however_often_it_is_asked(site: Site) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.LOSSES, "gmail: 2 of 4 lost")
    site.clock.ahead = 7200.0
    status, document = await site.post("/v1/gates", ASK)
    assert (status, document["verdict"], document["reason"]) == (200, "fail", "gmail: 2 of 4 lost")


async def test_the_policy_by_name_by_default_and_written_out(site: Site) -> None:
    shop = replace(BUILT_IN["quick"], name="shop", trust_target=True)
    site.desk.policy = replace(site.desk.policy, gates=GatesPolicy(default="shop", policies={"shop": shop}))
    assert (await begun(site, deploy="a"))["policy"]["name"] == "shop", "the request changes nothing of it: no star"
    assert (await begun(site, deploy="b", policy="standard"))["policy"]["name"] == "standard*"
    written = (await begun(site, deploy="c", policy=CUSTOM))["policy"]
    assert (written["name"], written["steps"], written["trust_target"]) == ("ours", [{"probes": 4, "accept": 0}], True)
    status, answer = await site.post("/v1/gates", {"deploy": "d", "policy": "nope"})
    assert status == 404 and "no policy nope is known; there are deep, quick, shop, standard" in answer["reason"]


@pytest.mark.parametrize("policy", [*BUILT_IN.values(), GatePolicy("x", GatePlan((GateStep(3, 0),), 1), deadline=30.0, routes=("relay",))])
def test_a_policy_survives_the_way_through_json(policy: GatePolicy) -> None:
    there = PolicyBody.model_validate(json.loads(json.dumps(asdict(policy)))).policy()
    assert there == policy and there.hash == policy.hash


async def test_flags_make_another_policy(site: Site) -> None:
    flags = {"routes": ["relay/seed-1"], "probes": 5, "deadline": "90s", "timeout": 300, "control": "none", "min_routes": 1}
    policy = (await begun(site, **flags))["policy"]
    assert policy["name"] == "quick*" and policy["hash"] != BUILT_IN["quick"].hash
    assert policy["steps"] == [{"probes": 5, "accept": 0}, {"probes": 10, "accept": 1}] and policy["reject"] == 2
    assert (policy["deadline_s"], policy["timeout_s"], policy["control"], policy["routes"]) == (90.0, 300.0, "none", ["relay/seed-1"])
    status, answer = await site.post("/v1/gates", ASK)
    assert status == 409 and "is judged by gate" in answer["reason"] and "quick*" in answer["reason"]


def test_a_sequential_plan_is_cut_off_at_the_probes_asked_for() -> None:
    deep = GatePolicy("deep", GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)))
    other = changed(deep, probes=120)
    assert other.plan.sequential is not None and other.plan.sequential.most == 120 and other.name == "deep*"
    assert changed(deep) == deep and changed(deep, control=Control.STABLE) == deep, "what changes nothing leaves the name"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "deploy: Field required"),
        ({"deploy": ""}, 400, "deploy: "),
        ({"deploy": "a\nb\x00"}, 400, "control characters"),
        ({"deploy": "d" * 401}, 400, "deploy: "),
        ({"deploy": "d", "polcy": "quick"}, 400, "polcy: "),
        ({"deploy": "d", "policy": 7}, 400, "policy"),
        ({"deploy": "d", "policy": {}}, 400, "plan: Field required"),
        ({"deploy": "d", "policy": {"plan": {"stps": []}}}, 400, "stps"),
        ({"deploy": "d", "policy": {"plan": {}, "timeout": "soon"}}, 400, "length of time"),
        ({"deploy": "d", "policy": {"plan": {}, "timeout": -1}}, 400, "length of time"),
        ({"deploy": "d", "policy": {"plan": {}, "settle": True}}, 400, "length of time"),
        ({"deploy": "d", "policy": {"plan": {"sequential": {"good": 0}}}}, 400, "sequential.good: "),
        ({"deploy": "d", "policy": {"plan": {"steps": [{"probes": True, "accept": 0}]}}}, 400, "steps.0.probes: "),
        ({"deploy": "d", "notify": "yes"}, 400, "notify: "),
        ({"deploy": "d", "advisory_for": "25h"}, 400, "at most 24h"),
        ({"deploy": "d", "advisory_for": ""}, 400, "advisory_for: "),
        ({"deploy": "d", "probes": 0}, 400, "probes: "),
        ({"deploy": "d", "probes": 1.5}, 400, "probes: "),
        ({"deploy": "d", "probes": 100_000}, 400, "probes: "),
        ({"deploy": "d", "deadline": "eventually"}, 400, "deadline: "),
        ({"deploy": "d", "deadline": ""}, 400, "deadline: "),
        ({"deploy": "d", "deadline": "9" * 400}, 400, "deadline: "),
        ({"deploy": "d", "control": "blue"}, 400, "control: "),
        ({"deploy": "d", "routes": ["r"] * 201}, 400, "routes: "),
        ({"deploy": "d", "routes": "relay"}, 400, "routes: "),
        ({**ASK, "routes": []}, 400, "routes: "),
        ({"deploy": "d", "policy": {"plan": {"sequential": NEARLY}}}, 422, "by at least 0.000001"),
        ({"deploy": "d", "policy": {"plan": {"sequential": {**NEARLY, "good": 5e-324, "bad": 1e-323}}}}, 422, "at least 0.000001 from"),
        ({**ASK, "routes": ["nowhere"]}, 422, "no route or path nowhere is configured"),
        ({"deploy": "d"}, 422, "none of the selected paths tells which version served a probe"),
        ({**ASK, "policy": {"plan": {}}}, 422, "policy custom"),
    ],
)
async def test_bad_questions_begin_nothing(site: Site, body: dict[str, Any], status: int, word: str) -> None:
    found, answer = await site.post("/v1/gates", body)
    assert found == status and word in answer["reason"] and set(answer) == {"error", "reason"}, answer
    assert "\n" not in answer["reason"] and "pydantic" not in answer["reason"] and site.facts() == []


async def test_numbers_that_are_none(site: Site) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = f'{{"deploy": "d", "deadline": {text}}}'
        status, answer = await site.ask("POST", "/v1/gates", data=body, headers={"Content-Type": "application/json"})
        assert status == 400 and "deadline: " in answer["reason"]


async def test_while_the_state_loads_or_the_disk_is_full(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.ready = False
    status, answer = await site.post("/v1/gates", ASK)
    assert status == 503 and "loaded" in answer["reason"] and int(site.headers["Retry-After"]) > 0
    site.ready = True

    async def full(*_: object, **__: object) -> None:
        raise JournalUnwritable("the journal takes no more facts: no space left on device")

    monkeypatch.setattr(site.desk.journal, "append", full)
    status, answer = await site.post("/v1/gates", ASK)
    assert status == 503 and "no space left" in answer["reason"] and int(site.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert (await site.post("/v1/gates", ASK))[0] == 201, "nothing was begun before"


async def test_a_fault_of_our_own_is_said_and_tells_nothing(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("seed@box.test")

    monkeypatch.setattr("monitor.surface.api.gates.gate_document", broken)
    status, answer = await site.post("/v1/gates", ASK)
    assert status == 500 and answer["reason"] == "a fault of the monitor itself; its log says more"
    assert "RuntimeError" in caplog.text


# ---- idempotency keys ------------------------------------------------------------------------------------------------


async def test_a_key_finds_its_gate_and_takes_no_other_question(site: Site) -> None:
    key = {"Idempotency-Key": "run-7"}
    status, document = await site.ask("POST", "/v1/gates", json=ASK, headers=key)
    assert status == 201
    await site.decide(document["id"], Because.TOO_FEW)
    site.clock.ahead = 60.0
    status, again = await site.ask("POST", "/v1/gates", json=ASK, headers=key)
    assert (status, again["attempt"]) == (201, 2), "a key makes no old answer fresh"
    assert (await site.ask("POST", "/v1/gates", json=ASK, headers=key))[0] == 200
    status, answer = await site.ask("POST", "/v1/gates", json={**ASK, "deploy": "d-2"}, headers=key)
    assert status == 409 and document["id"] in answer["reason"]
    assert (await site.ask("POST", "/v1/gates", json=ASK, headers={"Idempotency-Key": "run-8"}))[1]["attempt"] == 2

    await site.decide(document["id"], Because.CLEAN)
    site.clock.ahead = 7 * 86_400.0
    for number, wanted in ((3, 201), (3, 200)):
        status, again = await site.ask("POST", "/v1/gates", json=ASK, headers=key)
        assert (status, again["attempt"], again["verdict"]) == (wanted, number, "pending"), "a pass of last week"
    status, answer = await site.ask("POST", "/v1/gates", json=ASK, headers={"Idempotency-Key": "k" * (MAX_KEY + 1)})
    assert status == 400 and "Idempotency-Key" in answer["reason"]


async def test_a_key_for_two_questions_at_the_same_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hesitate(site, monkeypatch)
    key = {"Idempotency-Key": "run-7"}
    bodies = (ASK, {**ASK, "deploy": "d-2"})
    answers = await asyncio.gather(*(site.ask("POST", "/v1/gates", json=body, headers=key) for body in bodies))
    assert sorted(status for status, _ in answers) == [201, 409] and site.kinds() == ["GateRequested"]


async def test_a_refused_question_does_not_use_up_its_key(site: Site) -> None:
    key = {"Idempotency-Key": "run-7"}
    assert (await site.ask("POST", "/v1/gates", json={"deploy": "d"}, headers=key))[0] == 422
    assert (await site.ask("POST", "/v1/gates", json=ASK, headers=key))[0] == 201


async def test_keys_are_forgotten_oldest_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.surface.api.gates.KEPT_KEYS", 5)
    for number in range(6):
        await site.ask("POST", "/v1/gates", json=ASK, headers={"Idempotency-Key": f"run-{number}"})
    other = {**ASK, "by": "somebody else"}
    assert (await site.ask("POST", "/v1/gates", json=other, headers={"Idempotency-Key": "run-0"}))[0] == 200
    assert (await site.ask("POST", "/v1/gates", json=other, headers={"Idempotency-Key": "run-5"}))[0] == 409


# ---- an old pass -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh_for", [0.0, 60.0])
@pytest.mark.parametrize("ahead", [0.0, 9.9, 10.1, 59.9, 60.1, -1.0])
async def test_a_pass_counts_as_long_as_a_new_question_would_begin_nothing(site: Site, fresh_for: float, ahead: float) -> None:
    policy = {**CUSTOM, "fresh_for": fresh_for}
    gate = (await begun(site, policy=policy))["id"]
    await site.decide(gate, Because.CLEAN)
    site.clock.ahead = ahead
    measured = (await site.get("/v1/gates/by-deploy/test/d-1/argo"))[1]
    document = (await site.get(f"/v1/gates/{gate}"))[1]
    began = (await site.post("/v1/gates", {**ASK, "policy": policy}))[0] == 201
    assert measured["verdict"] == ("inconclusive" if began else "pass") and ("stale: it passed at" in measured["reason"]) is began
    assert document["next_step"].startswith("ask again before" if began else "nothing to do")


async def test_a_pass_that_something_bad_came_after_is_none_for_argo(site: Site) -> None:
    gate = GateId((await begun(site))["id"])
    await site.decide(gate, Because.CLEAN)
    site.clock.ahead = 1.0
    now, route = site.clock.now(), Route(PathName("relay"), seed(1))
    trial = GateTrial(ProbeId("p"), route, 1, now, reason=Reason.SPAM, decided=now, turned=now)
    site.desk.world.gates.known[gate].trials[trial.probe] = trial
    measured = (await site.get("/v1/gates/by-deploy/test/d-1/argo"))[1]
    assert measured["verdict"] == "inconclusive" and "turned bad" in measured["reason"]


async def test_deploys_have_names_as_long_as_flagger_makes_them_everywhere(site: Site) -> None:
    name = f"{'n' * 63}/{'c' * 253}/{'7' * 64}"
    hook = {"namespace": "n" * 63, "name": "c" * 253, "checksum": "7" * 64}
    shop = replace(BUILT_IN["quick"], name="shop", trust_target=True)
    site.desk.policy = replace(site.desk.policy, gates=GatesPolicy(default="shop", policies={"shop": shop}))
    assert (await site.post("/v1/flagger/rollout", hook))[0] == 200
    status, document = await site.post("/v1/gates", {"deploy": name})
    assert status == 200 and document["deploy"]["id"] == name
    jsonschema.validate(document, json.loads((ROOT / "config" / "gate.schema.json").read_text()))
    assert (await site.post("/v1/deploys", {"deploy": name, "phase": "start"}))[0] == 201
    assert [row["deploy"] for row in (await site.get("/v1/deploys"))[1]["deploys"]] == [name]
    assert (await site.get(f"/v1/gates/by-deploy/test/{quote(name, safe='')}"))[0] == 200


# ---- look ------------------------------------------------------------------------------------------------------------


async def test_the_list_is_short_and_the_newest_comes_first(site: Site) -> None:
    first = (await begun(site, version="v1"))["id"]
    await site.decide(first, Because.LOSSES, "gmail: 2 of 4 lost")
    second = (await begun(site, deploy="d-2"))["id"]
    answer = (await site.get("/v1/gates"))[1]
    assert answer["schema"] == "mailcanary.gates/v1" and answer["environment"] == "test"
    assert [row["id"] for row in answer["gates"]] == [second, first]
    running, failed = answer["gates"]
    assert (running["verdict"], running["deploy"], running["reason"], running["decided_at"]) == ("pending", "d-2", "", None)
    assert (failed["verdict"], failed["because"], failed["reason"]) == ("fail", "losses", "gmail: 2 of 4 lost")
    assert (failed["version"], failed["policy"], failed["attempt"]) == ("v1", "quick*", 1) and failed["decided_at"]
    assert failed["override"] is None and failed["advisory"] is None
    await site.post(f"/v1/gates/{first}/override", {**SAY, "for": "2h"})
    failed = (await site.get("/v1/gates"))[1]["gates"][1]
    assert (failed["verdict"], failed["found"], failed["override"]["by"]) == ("pass", "fail", "ann")
    assert failed["override"]["until"] == site.clock.now().plus(7_200).iso()


async def test_the_list_is_bounded(site: Site) -> None:
    for number in range(LISTED + 3):
        gate = (await begun(site, deploy=f"d-{number}"))["id"]
        await site.decide(gate, Because.LOSSES)
        await site.post(f"/v1/gates/{gate}/override", {**SAY, "for": "2h"})  # these stay known
    rows = (await site.get("/v1/gates"))[1]["gates"]
    assert len(rows) == LISTED and rows[0]["deploy"] == f"d-{LISTED + 2}"


async def test_too_many_gates_at_once_are_told_to_come_again(site: Site) -> None:
    for number in range(MOST_RUNNING):
        await begun(site, deploy=f"d-{number}")
    status, answer = await site.post("/v1/gates", {**ASK, "deploy": "one more"})
    assert status == 503 and "gates are running" in answer["reason"] and int(site.headers["Retry-After"]) > 0


async def test_unknown_ones_name_the_known(site: Site) -> None:
    assert (await site.get("/v1/gates/gate-0"))[1]["reason"] == "no gate gate-0 is known; there is none"
    gate = (await begun(site))["id"]
    for path in ("", "/junit.xml", "/summary.md"):
        status, answer = await site.get(f"/v1/gates/gate-%1b%5b2J{path}")
        assert status == 404 and gate in answer["reason"] and "d-1" in answer["reason"] and "\x1b" not in answer["reason"]
    for act in ("cancel", "override"):
        assert (await site.post(f"/v1/gates/gate-0/{act}", {**SAY, **({"for": "1h"} if act == "override" else {})}))[0] == 404
    for path in ("", "/argo"):
        status, answer = await site.get(f"/v1/gates/by-deploy/test/d-9{path}")
        assert status == 404 and "no gate was asked for deploy d-9" in answer["reason"] and gate in answer["reason"]
        status, answer = await site.get(f"/v1/gates/by-deploy/prod/d-1{path}")
        assert status == 404 and "monitor of test, not of prod" in answer["reason"]


@pytest.mark.parametrize("deploy", ["team/shop/12", "100%", "a b", "ü?#", "a%2Fb", "argo"])
async def test_deploys_of_every_name_are_found(site: Site, deploy: str) -> None:
    from urllib.parse import quote

    from yarl import URL

    gate = (await begun(site, deploy=deploy))["id"]
    path = f"/v1/gates/by-deploy/test/{quote(deploy, safe='')}"
    for each in (path, path.replace("%2F", "%2f")):
        async with site.client.session.get(URL(f"{site.client.make_url('/')}"[:-1] + each, encoded=True)) as answer:
            assert answer.status == 200 and (await answer.json())["id"] == gate
        async with site.client.session.get(URL(f"{site.client.make_url('/')}"[:-1] + each + "/argo", encoded=True)) as answer:
            assert answer.status == 200 and (await answer.json())["gate"] == gate


@pytest.mark.parametrize(
    ("because", "verdict"),
    [
        (None, "pending"),
        (Because.CLEAN, "pass"),
        (Because.LOSSES, "fail"),
        (Because.UNOBSERVED, "inconclusive"),
        (Because.OWN_FAULT, "inconclusive"),
    ],
)
async def test_argo_hears_every_verdict_as_200(site: Site, because: Because | None, verdict: str) -> None:
    gate = (await begun(site))["id"]
    if because:
        await site.decide(gate, because)
    status, body = await site.get("/v1/gates/by-deploy/test/d-1/argo")
    assert status == 200 and set(body) == {"verdict", "reason", "gate", "sent", "ok", "lost", "pending"}
    assert (body["verdict"], body["gate"]) == (verdict, gate) and len(json.dumps(body)) <= 1024
    assert all(type(body[key]) is int for key in ("sent", "ok", "lost", "pending")) and isinstance(body["reason"], str)


async def test_junit_and_summary(site: Site) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.LOSSES, "gmail: 2 of 4 lost")
    status, xml = await site.get(f"/v1/gates/{gate}/junit.xml")
    assert status == 200 and site.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert ElementTree.fromstring(xml).tag in ("testsuites", "testsuite")
    status, text = await site.get(f"/v1/gates/{gate}/summary.md")
    assert status == 200 and site.headers["Content-Type"] == "text/markdown; charset=utf-8" and "FAIL" in text.upper()


# ---- wait ------------------------------------------------------------------------------------------------------------


async def test_a_decided_gate_is_told_at_once(site: Site) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.CLEAN)
    async with asyncio.timeout(5):
        assert (await site.get(f"/v1/gates/{gate}?wait=60s"))[1]["verdict"] == "pass"


@pytest.mark.parametrize("act", ["decided", "cancelled", "another attempt"])
async def test_waiting_ends_with_the_news(site: Site, act: str) -> None:
    gate = (await begun(site))["id"]
    asked = asyncio.create_task(site.get(f"/v1/gates/{gate}?wait=60"))
    await _waiters(site, 1)
    now = site.clock.now()
    match act:
        case "decided":
            await site.decide(gate, Because.LOSSES)
        case "cancelled":
            await site.happen(GateCancelled(now, GateId(gate), "ann", "no"))
        case "another attempt":
            request = site.desk.world.gates.known[GateId(gate)].request
            await site.happen(replace(request, at=now, attempt=2))
    async with asyncio.timeout(5):
        assert (await asked)[0] == 200


async def test_facts_of_others_do_not_end_the_waiting(site: Site) -> None:
    gate = (await begun(site))["id"]
    asked = asyncio.create_task(site.get(f"/v1/gates/{gate}?wait=60"))
    await _waiters(site, 1)
    other = (await begun(site, deploy="d-2"))["id"]
    await site.decide(other, Because.LOSSES)
    await site.get("/v1/gates")
    assert not asked.done()
    site.clock.ahead = 61.0
    await site.happen(DeployMarked(site.clock.now(), "d-3", DeployPhase.START))
    async with asyncio.timeout(5):
        assert (await asked)[1]["verdict"] == "pending", "the time was over"


async def test_progress_is_news_but_not_with_every_fact(site: Site) -> None:
    gate = GateId((await begun(site))["id"])
    asked = asyncio.create_task(site.get(f"/v1/gates/{gate}?wait=60"))
    await _waiters(site, 1)
    now = site.clock.now()
    site.desk.world.gates.known[gate].trials[ProbeId("p")] = GateTrial(ProbeId("p"), Route(PathName("relay"), seed(1)), 1, now)
    await site.happen(DeployMarked(now, "d-3", DeployPhase.START))
    await site.get("/v1/gates")
    assert not asked.done()
    site.clock.ahead = PACE
    await site.happen(DeployMarked(now, "d-4", DeployPhase.START))
    async with asyncio.timeout(5):
        assert (await asked)[0] == 200


async def test_who_has_gone_does_not_wait_any_more(site: Site) -> None:
    gate = (await begun(site))["id"]
    asked = asyncio.create_task(site.get(f"/v1/gates/{gate}?wait=60"))
    await _waiters(site, 1)
    asked.cancel()
    tail: Any = site.desk.journal
    async with asyncio.timeout(20):
        while tail._tail._grown._waiters:
            await asyncio.sleep(0.01)


async def test_no_more_than_so_many_wait_and_the_end_of_the_daemon_answers_them(site: Site) -> None:
    gate = (await begun(site))["id"]
    asked = [asyncio.create_task(site.get(f"/v1/gates/{gate}?wait=60s")) for _ in range(MOST_WAITERS)]
    await _waiters(site, MOST_WAITERS)
    status, answer = await site.get(f"/v1/gates/{gate}?wait=60s")
    assert status == 503 and "wait already" in answer["reason"] and int(site.headers["Retry-After"]) > 0
    assert (await site.get(f"/v1/gates/{gate}"))[0] == 200, "who does not wait is answered"
    assert site.client.app is not None
    async with asyncio.timeout(5):
        await site.client.app.shutdown()
        assert {status for status, _ in await asyncio.gather(*asked)} == {200}


@pytest.mark.parametrize("wait", ["0s", "61s", "soon", "-1", "1e1", "99999999"])
async def test_how_long_to_wait_is_a_length_of_time(site: Site, wait: str) -> None:
    gate = (await begun(site))["id"]
    status, answer = await site.get(f"/v1/gates/{gate}?wait={wait}")
    assert status == 400 and "at most 60s" in answer["reason"]


async def _waiters(site: Site, number: int) -> None:
    """Until so many requests wait for the journal."""
    tail: Any = site.desk.journal
    async with asyncio.timeout(20):
        while len(tail._tail._grown._waiters) < number:
            await asyncio.sleep(0.01)


# ---- people ----------------------------------------------------------------------------------------------------------


async def test_cancel_is_written_down_once_and_a_decided_gate_stays(site: Site) -> None:
    gate = (await begun(site))["id"]
    for _ in range(2):
        status, document = await site.post(f"/v1/gates/{gate}/cancel", SAY)
        assert status == 200 and document["id"] == gate
    assert site.kinds() == ["GateRequested", "GateCancelled"]
    await site.decide(gate, Because.CANCELLED)
    assert (await site.post(f"/v1/gates/{gate}/cancel", {"by": "bob"}))[1]["verdict"] == "inconclusive"
    assert site.kinds().count("GateCancelled") == 1


async def test_an_override_counts_for_a_while_and_is_said(site: Site) -> None:
    gate = (await begun(site))["id"]
    path, body = f"/v1/gates/{gate}/override", {**SAY, "for": "2h"}
    assert (await site.post(path, body))[0] == 409, "it still runs"
    await site.decide(gate, Because.LOSSES)
    status, document = await site.post(path, body)
    assert (status, document["verdict"], document["found"]) == (200, "pass", "fail")
    assert document["override"]["by"] == "ann" and document["override"]["reason"] == "known"
    (row,) = (await site.get("/v1/gates"))[1]["gates"]
    assert (row["verdict"], row["found"]) == ("pass", "fail")
    assert (await site.get("/v1/gates/by-deploy/test/d-1/argo"))[1]["verdict"] == "pass"
    site.clock.ahead = 7201.0
    assert (await site.get(f"/v1/gates/{gate}"))[1]["verdict"] == "fail", "an override expires"
    assert (await site.get("/v1/gates"))[1]["gates"][0]["verdict"] == "fail"


async def test_what_has_passed_needs_no_override(site: Site) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.CLEAN)
    status, answer = await site.post(f"/v1/gates/{gate}/override", {**SAY, "for": "2h"})
    assert status == 409 and "has passed" in answer["reason"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "by: "), ({"by": "ann", "for": "2h"}, "reason: "), ({"by": "ann", "reason": "", "for": "2h"}, "reason: "),
        ({"by": "ann", "reason": "x"}, "for: "), ({"by": "ann", "reason": "x", "for": "25h"}, "at most 24h"),
        ({"by": "ann", "reason": "x", "for": "0s"}, "for: "), ({"by": "ann", "reason": "x", "for": 3600}, "for: "),
    ],
)  # fmt: skip
async def test_an_override_has_an_author_a_reason_and_an_end(site: Site, body: dict[str, Any], word: str) -> None:
    gate = (await begun(site))["id"]
    await site.decide(gate, Because.LOSSES)
    status, answer = await site.post(f"/v1/gates/{gate}/override", body)
    assert status == 400 and word in answer["reason"] and "GateOverridden" not in site.kinds()
