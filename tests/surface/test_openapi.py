"""The shipped OpenAPI file says what the application serves, no more and no less, and the answers fit it."""

from __future__ import annotations

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
from monitor.settings import load
from monitor.surface.api import Api
from monitor.surface.metrics import Metrics, Vitals
from monitor.surface.status import status
from monitor.views.world import World

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
    written = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {pair for pair in served if pair[1] != "head"} == written


def test_status_fits_its_schema(document: dict[str, Any], desk: Desk) -> None:
    schema = document["components"]["schemas"]["Status"]
    answer = status(desk)
    jsonschema.validate(answer, schema)
    assert {route["route"] for route in answer["routes"]} == {"relay/a-1"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "paused": True}, schema)
