"""The annotated example and the JSON Schema that are shipped."""
# ruff: noqa: E501

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monitor.model.gate import BUILT_IN, GatesPolicy
from monitor.model.secret import SecretRef
from monitor.settings import document, load
from monitor.settings.ledger_shape import FilesShape, SqlShape
from monitor.settings.published import json_schema
from tests.settings.test_faults import ONE_FAULT

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLE = (CONFIG / "mailcanary.yaml").read_text(encoding="utf-8")


class AnySecrets:
    """Every secret exists, and those of URLs are one."""

    def read(self, ref: SecretRef) -> str:
        if ref.name.startswith("PAGERDUTY"):
            return "0" * 32
        return f"https://{ref.name}.example.com/x" if ref.name.endswith("_URL") else f"a value that is long enough for {ref.name}"


def _blocks() -> list[tuple[str, str]]:
    """(where the block belongs, its YAML): the commented parts of the example, uncommented."""
    blocks = []
    for part in EXAMPLE.split("\n# ---- ")[2:]:
        title, _, body = part.partition("\n")
        below = re.search(r"below ([\w.-]+)", title)
        lines = [line[1:] for line in body.split("\n") if re.match(r"#(\S|  )", line)]
        blocks.append((below[1] if below else "", "\n".join(lines) + "\n"))
    return blocks


def _everything() -> dict[str, Any]:
    """The example with all its comments taken away, as data."""
    data = document.read(EXAMPLE.encode()).data
    for below, text in _blocks():
        target = data
        for key in below.split(".") if below else ():
            target = target[key]
        indent = re.match(" *", text)
        assert indent
        for key, value in document.read(re.sub(f"(?m)^{indent[0]}", "", text).encode()).data.items():
            target[key] = {**target[key], **value} if isinstance(target.get(key), dict) and key == "imap" else value
    return data


def test_the_example_has_no_fault():
    loaded = load(CONFIG / "mailcanary.yaml", AnySecrets())
    assert [str(route) for route in loaded.policy.routes] == ["relay/gmail-1", "relay/fastmail-1"]
    assert [note.key for note in loaded.notes] == ["notify", "listen"]


def test_the_comments_are_true(tmp_path):
    """Uncommented, they load; and what they call a default is one."""
    data = _everything()
    routes = data.pop("routes")
    base = load(CONFIG / "mailcanary.yaml", AnySecrets()).policy
    (tmp_path / "templates").mkdir()
    for name in ("subject.txt", "message.txt", "message.html"):
        (tmp_path / "templates" / name).write_text(f"built-in {name}\n")
    for name in ("relay", "imap", "shop", "hooks", "alertmanager", "pagerduty", "slack", "heartbeat", "grafana"):
        (tmp_path / f"{name}-ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "dkim.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "refund").touch(mode=0o755)
    data["paths"]["relay"]["require"] = {}
    everything = tmp_path / "all.yaml"
    everything.write_text(json.dumps(data))
    full = load(everything, AnySecrets()).policy
    assert (full.watch, full.retention, full.drain, full.state_dir) == (base.watch, base.retention, base.drain, base.state_dir)
    assert (full.listen.host, full.listen.port) == (base.listen.host, base.listen.port)
    assert (full.incidents, full.sending_domains) == (base.incidents, base.sending_domains)
    assert replace(full.inspect, domains={}) == replace(base.inspect, domains={})
    assert (full.notify.fallback_after, full.notify.give_up_after) == (base.notify.fallback_after, base.notify.give_up_after)
    assert full.heartbeat is not None and full.heartbeat.every == 60
    assert replace(full.gates, policies={}) == base.gates == GatesPolicy()
    nightly, exact = full.gates.policies["nightly"], full.gates.policies["exact"]
    assert replace(nightly, name="standard", deadline=None, routes=()) == BUILT_IN["standard"]
    assert replace(exact, name="deep") == BUILT_IN["deep"]
    assert list(full.deploy_hooks) == ["ship"] and full.grafana is not None
    assert {route.deadlines for route in full.routes.values()} == {route.deadlines for route in base.routes.values()}
    assert {route.jitter for route in full.routes.values()} == {route.jitter for route in base.routes.values()}
    for one, other in zip(full.paths.values(), base.paths.values(), strict=False):
        for key in (
            "carriers",
            "locales",
            "allowed_amounts",
            "attempt_timeout",
            "retry_backoff",
            "retry_for",
            "unreachable_for",
            "daily_budget",
        ):
            assert getattr(one, key) == getattr(other, key), key
        assert one.via.identity.author_name == other.via.identity.author_name
        assert (one.via.port, one.via.security, one.via.login) == (other.via.port, other.via.security, other.via.login)
    for one, other in zip(full.mailboxes.values(), base.mailboxes.values(), strict=True):
        for key in ("role", "port", "security", "username", "login", "plus_tags", "clean_up", "clean_up_after", "daily_budget"):
            assert getattr(one, key) == getattr(other, key), key
    everything.write_text(json.dumps({**data, "routes": routes}))
    assert [route.every for route in load(everything, AnySecrets()).policy.routes.values()] == [900]


def _keys(node: Any, schema: dict[str, Any], whole: dict[str, Any], at: str = "") -> set[str]:
    """The keys of the schema that do not stand in the data."""
    options = schema.get("oneOf", schema.get("anyOf", [schema]))
    missing: set[str] = set()
    for option in options:
        option = whole["$defs"][option["$ref"].split("/")[-1]] if "$ref" in option else option
        for key, below in option.get("properties", {}).items():
            nodes = [one[key] for one in node if isinstance(one, dict) and key in one]
            missing |= _keys(nodes, below, whole, f"{at}.{key}") if nodes else {f"{at}.{key}"}
        by_name = [*option.get("patternProperties", {}).values(), option.get("additionalProperties")]
        for below in by_name:
            if isinstance(below, dict):
                missing |= _keys([v for one in node if isinstance(one, dict) for v in one.values()], below, whole, at)
        if isinstance(option.get("items"), dict):
            missing |= _keys([v for one in node if isinstance(one, list) for v in one], option["items"], whole, at)
    return missing


def test_every_key_stands_in_the_example():
    schema = json.loads(json_schema())
    secret = re.compile(
        r"\.(password|secret|authorization|routing_key|url|token|headers|environment|read|deploy|gate|rollback|oncall|ledger|key)\.(env|file|command)$"
    )
    missing = {key for key in _keys([_everything()], schema, schema) if not secret.search(key)}
    confirmations = ".ledger.confirmations."  # what sources of refunds and mailboxes have too stands there; templates in a remark
    shown = re.compile(
        rf"{re.escape(confirmations)}(imap|folders|templates|{'|'.join(SqlShape.model_fields)}|{'|'.join(FilesShape.model_fields)})\b"
    )
    assert {key for key in missing if not shown.match(key)} == set()


def test_every_key_of_the_example_is_explained():
    inside_body = False
    for line in EXAMPLE.split("\n"):
        inside_body = "# JSON" in line or line.endswith("text or a secret") or (inside_body and re.match(r"#      ", line) is not None)
        if re.match(r"#? *(- )?[a-z_]+:( |$)", line) and not line.startswith("# ") and not inside_body:
            known = "# " in line[1:] or re.match(
                r"    (provider|address|imap):|      (host|password):|  [a-z]+-1:|  (relay|keys):|#  (app|job):|#    (oncall|prometheus|nightly|exact|ship):|#      like: deep",
                line,
            )
            assert known, line


def test_the_committed_schema_is_up_to_date():
    assert (CONFIG / "mailcanary.schema.json").read_text(encoding="utf-8") == json_schema(), (
        "run: python -m monitor.settings > config/mailcanary.schema.json"
    )


def test_the_schema_is_valid_and_accepts_the_example():
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(document.read(EXAMPLE.encode()).data)) == []
    assert list(validator.iter_errors(_everything())) == []


SHAPE = ("unknown key", "missing key", "text for a mapping", "text for a list", "empty list", "kind missing", "kind unknown", "no", "True", "port",
         "sexagesimal port", "exponent", "bare number", "share", "size", "environment", "path name", "word", "carrier", "locale", "URL", "version",
         "method", "secret written out", "secret as a set", "secret from two places", "command, no program", "command in one line of text", "variable name", "login of a relay", "login of a mailbox",
         "command for another secret", "signing domain at the top", "signing key from the environment", "selector missing", "no sending domain",
         "address for a sending domain", "recovery without a pass", "channel kind missing", "channel by e-mail", "channel key", "channel without a URL",
         "channel name", "channel URL", "channel secret written out", "no Alertmanager", "public URL", "heartbeat without a URL", "units out of order", "header name")  # fmt: skip


@pytest.mark.parametrize("name", SHAPE)
def test_the_schema_refuses_what_the_loader_refuses(name):
    data = document.read(ONE_FAULT[name][0].encode()).data
    assert not jsonschema.Draft202012Validator(json.loads(json_schema())).is_valid(data)


def test_every_field_has_a_description():
    schema = json.loads(json_schema())
    for section in [schema, *schema["$defs"].values()]:
        assert section.get("description"), section
        for key, field in section["properties"].items():
            assert field.get("description") or "$ref" in field, key


def test_import_is_light():
    code = "import sys, monitor.settings; print(sorted({m.split('.')[0] for m in sys.modules} & {'aiohttp', 'dns', 'asyncio', 'jinja2', 'rich'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CONFIG.parent)
    assert done.stdout == "[]\n"


def test_the_schema_is_printed():
    done = subprocess.run([sys.executable, "-m", "monitor.settings"], capture_output=True, text=True, check=True, cwd=CONFIG.parent)
    assert done.stdout == json_schema()


def test_the_built_in_templates_are_shipped():
    code = "from monitor.settings import policies as p; print([p.BUILT_IN.joinpath(n).is_file() for n in p.TEMPLATE_FILES])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CONFIG.parent)
    assert done.stdout == "[True, True, True]\n"
