"""The shipped OpenAPI file says what the application serves, no more and no less, and the answers fit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.edge.secret import SystemSecrets
from monitor.model.facts import Acknowledged, ResolveAsked, Silenced
from monitor.model.gate import BUILT_IN
from monitor.model.incident import IncidentId
from monitor.rules.gate.request import GateAsk
from monitor.settings import load
from monitor.surface.api import Api
from monitor.surface.deploys import deploy_rows, marker_row
from monitor.surface.gate import argo_body, gate_document, gate_row
from monitor.surface.gate.asking import begin
from monitor.surface.incidents import Shown, incident_list, incident_story
from monitor.surface.metrics import Metrics, Vitals
from monitor.surface.status import status
from monitor.views.world import World
from tests.surface import happenings as so
from tests.surface import inline_audit, inline_ledger
from tests.surface.inline_gate import components

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / "openapi.yaml").read_text())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    secret = tmp_path / "secret"
    secret.write_text("sixteen bytes and more")
    text = f"""
environment: test
instance: one
signing: {{keys: [{{number: 1, secret: {{file: {secret}}}}}]}}
paths: {{relay: {{kind: smtp, host: 127.0.0.1, author: refunds@shop.test}}}}
mailboxes: {{a-1: {{provider: a, address: seed@a.test, imap: {{host: 127.0.0.1, password: {{file: {secret}}}}}}}}}
"""
    file = tmp_path / "mailcanary.yaml"
    file.write_text(text)
    world = World()
    return Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), load(file, SystemSecrets()).policy)


def test_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_lists_exactly_what_is_served(document: dict[str, Any], desk: Desk) -> None:
    api = Api(desk, Metrics(desk.policy, desk.world, Vitals()), SystemSecrets(), lambda: 0.0, lambda: True)
    served = {(route.resource.canonical, route.method.lower()) for route in api.application().router.routes() if route.resource}
    written = {(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"}
    assert {pair for pair in served if pair[1] != "head"} == written


def test_every_refusal_is_listed(document: dict[str, Any]) -> None:
    """As test_api.py, test_incident_api.py, test_gate_api.py, test_deploy_api.py, test_domains_api.py, test_ledger_api.py,
    test_push_api.py and test_flagger_api.py have them."""
    conflicts = (
        "/ack",
        "/silence",
        "/unsilence",
        "/v1/silences",
        "/end",
        "/resolve",
        "/override",
        "/v1/gates",
        "/v1/deploys",
        "/v1/deploys/{id}",
        "/hooks/{name}",
        "/inspect",
        "/baseline",
        "/v1/refunds",
        "/v1/confirmations",
        "/reconcile",
        "/purge",
    )
    differences = "/v1/ledger/differences"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not path.startswith("/v1") or method == "parameters":
                continue
            wanted = {"401"} | (set() if path.startswith("/v1/flagger") else {"429", "503"})
            if method == "get":
                wanted |= (
                    {"400"} if path in ("/v1/incidents", "/v1/silences", "/v1/notifications", "/v1/gates/{id}", differences) else set()
                )
                wanted |= {"403", "404"} if path == differences else {"404"} if path == "/v1/notifications" else set()
                wanted |= {"409"} if path.startswith("/v1/ledger") or path.endswith("/report") else set()
            else:
                wanted |= {"400", "403", "408", "413", "415"} | ({"409"} if path.endswith(conflicts) or "/flagger/" in path else set())
                wanted |= {"404", "422"} if path.endswith(("/rollout", "/v1/gates")) else {"404"} if path.endswith("/rollback") else set()
                wanted |= {"422"} if path in ("/v1/refunds", "/v1/confirmations") else set()
            wanted |= {"404"} if "{" in path else set()
            assert {status for status in operation["responses"] if status >= "400"} == wanted, (path, method)


def test_the_gate_is_the_published_schema(document: dict[str, Any]) -> None:
    """Otherwise: python -m tests.surface.inline_gate"""
    there = {name: part for name, part in document["components"]["schemas"].items() if name == "Gate" or name.startswith("Gate.")}
    assert there == components()


def test_the_audit_is_the_published_schema(document: dict[str, Any]) -> None:
    """Otherwise: python -m tests.surface.inline_audit"""
    there = {name: part for name, part in document["components"]["schemas"].items() if name == "Audit" or name.startswith("Audit.")}
    assert there == inline_audit.components()


def test_the_ledger_is_the_published_schema(document: dict[str, Any]) -> None:
    """Otherwise: python -m tests.surface.inline_ledger"""
    there = {name: part for name, part in document["components"]["schemas"].items() if name == "Ledger" or name.startswith("Ledger.")}
    assert there == inline_ledger.components()


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


async def test_answers_fit_their_schemas_and_every_key_is_listed(document: dict[str, Any], desk: Desk) -> None:
    """With an incident that has everything and one that has nothing."""
    at = desk.clock.now()
    await desk.journal.append(
        [
            so.opened(at),
            so.suspected(at, IncidentId("INC-2")),
            Acknowledged(at, so.INC, "ann", ""),
            Silenced(at, so.INC, "ann", "known", at.utc + 60),
            ResolveAsked(at, so.INC, "ann", "over"),
            so.notified(at, 1),
            so.failed(at, 1, "chat"),
            so.deployed(at),
        ]
    )
    ask = GateAsk("d-1", replace(BUILT_IN["quick"], name="quick*", trust_target=True, timeout=3600.0), "ci")
    gate, _ = await begin(desk, ask)
    known = desk.world.incidents.known
    answers: list[tuple[str, Any]] = [
        ("Status", status(desk)),
        *(("Incidents", incident_list(desk, shown)) for shown in Shown),
        *(("Incident", incident_story(desk, known[IncidentId(name)])) for name in ("INC-1", "INC-2")),
        ("Deploy", marker_row(desk.world.incidents.deploys[0])),
        ("Deploys", {"schema": "mailcanary.deploys/v1", "environment": "test", "deploys": deploy_rows(desk)}),
        ("Gates", {"schema": "mailcanary.gates/v1", "environment": "test", "gates": [gate_row(gate, at)]}),
        ("Gate", gate_document(desk, gate)),
        ("Measurement", argo_body(gate_document(desk, gate))),
    ]
    for name, answer in answers:
        jsonschema.validate(answer, schema(document, name))
        assert list(unlisted(document, schema(document, name), answer)) == [], name


def unlisted(document: dict[str, Any], node: dict[str, Any], value: Any) -> Iterator[str]:
    """Keys of `value` that the schema does not require."""
    parts = [resolved(document, part) for part in (resolved(document, node), *resolved(document, node).get("allOf", ()))]
    parts += [
        resolved(document, part) for each in parts for part in each.get("oneOf", ()) if resolved(document, part).get("type") != "null"
    ]
    parts += [resolved(document, part) for each in parts[1:] for part in each.get("allOf", ())]
    if isinstance(value, dict):
        properties = {key: below for part in parts for key, below in part.get("properties", {}).items()}
        required = {key for part in parts for key in part.get("required", ())}
        yield from value.keys() ^ required
        for key, each in value.items():
            if key in properties:
                yield from unlisted(document, properties[key], each)
    elif isinstance(value, list):
        for each in value:
            for part in parts:
                if "items" in part:
                    yield from unlisted(document, part["items"], each)


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def test_status_fits_its_schema(document: dict[str, Any], desk: Desk) -> None:
    answer = status(desk)
    jsonschema.validate(answer, schema(document, "Status"))
    assert {route["route"] for route in answer["routes"]} == {"relay/a-1"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "paused": True}, schema(document, "Status"))
