"""Whatever the file holds: a policy or a list of faults, and never a secret in the text."""
# ruff: noqa: E501

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from monitor.settings import Loaded, SettingsError, document, load, parse_duration, print_duration
from monitor.settings.scalars import Span
from tests.settings.conftest import ENVIRON, GOOD, FakeSecrets

LAX = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TREE: dict[str, Any] = yaml.safe_load(GOOD)
TREE["paths"]["app"] = {
    "kind": "http", "url": "https://shop.example.com/x", "headers": {"Authorization": {"env": "KEY"}}, "body": {"a": ["{{ token }}", 1, None]},
    "locales": ["en-GB", {"tag": "x", "currency": "CHF", "amount": "{amount}"}],
}  # fmt: skip
TREE["paths"]["relay"] |= {"username": "u", "password": {"env": "FAST"}, "require": {"spf": ["pass"]}, "retry_for": "5m"}
TREE["listen"] = {"tokens": {"read": {"env": "KEY"}}, "host": "127.0.0.1"}
TREE["routes"] = [{"path": "relay", "mailbox": "gmail-1", "deadlines": {"late": "3m"}}]
TREE["paths"]["job"] = {
    "kind": "command", "command": ["sh", "-c", "exit"], "environment": {"SHOP_TOKEN": {"env": "KEY"}, "MODE": "x"}, "input": {"a": ["{{ token }}", None]},
}  # fmt: skip
TREE["paths"]["relay"] |= {"login": "xoauth2", "envelope_sender": "b@example.com"}
TREE["mailboxes"]["trip-1"] = {
    "provider": "gmail", "role": "tripwire", "address": "t@gmail.com", "authserv_ids": ["*"],
    "imap": {"host": "imap.gmail.com", "login": "xoauth2", "password": {"command": "sh -c token"}},
}  # fmt: skip
TREE["mailboxes"]["gmail-1"]["authserv_ids"] = ["mx.google.com"]
TREE["sending_domains"] = ["example.com"]
TREE["incidents"] = {"recover_passes": 3, "blind_after": "15m"}
TREE["notify"] = {
    "channels": {
        "hook": {"kind": "webhook", "url": "https://hooks.example.com/x", "secret": {"env": "KEY"}},
        "am": {"kind": "alertmanager", "urls": ["http://am:9093"], "authorization": {"env": "KEY"}},
    },
    "pages": ["hook"], "tickets": ["am"], "fallback": ["am"], "fallback_after": "2m", "public_url": "https://canary.example.com",
}  # fmt: skip
TREE["heartbeat"] = {"url": "https://heartbeat.example.com/x", "every": "1m"}
TREE["deadlines"] = {"late": "2m"}
TREE["gates"] = {
    "policy": "own", "burst": 6, "window": "60s", "daily_share": "50%",
    "policies": {"own": {"like": "quick", "steps": [{"probes": 10, "accept": 0}, {"probes": 20, "accept": 1}], "reject": 2, "routes": ["relay"]},
                 "fine": {"sequential": {"good": "0.5%", "bad": "5%", "most": 300}, "timeout": "1h", "trust_target": True, "control": "none"}},
}  # fmt: skip
TREE["inspect"] = {
    "every": "15m",
    "resolvers": ["192.0.2.53:5353"],
    "domains": {"shop.example": {"egress": ["192.0.2.1"], "selectors": ["s1"]}},
}
TREE["deploys"] = {
    "webhooks": {"ship": {"deploy": "/id", "phase": "/status", "start": ["pending"], "finish": ["ok"], "at": "/at"}},
    "grafana": {"url": "https://grafana.example.com", "token": {"env": "KEY"}},
}  # fmt: skip

FRAGMENTS = st.sampled_from(
    [*GOOD.splitlines(keepends=True), "a: b\n", "  ", "- ", "\t", "{", "}", "[", "]", "&x ", "*x", "!t ", "|\n", ">\n", "---\n", "? ", ": ", "'", '"',
     "<<: *x\n", "null", "~", "yes", "1e3", "12:30:00", "0x1F", "\\", "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "%YAML 1.1\n",
     "routes:\n", "schedule: {every: 5m}\n", "é", "\u2028", "\x00", "\x85", "#"]
)  # fmt: skip


def _load(text: str | bytes, environ: dict[str, str] | None = None) -> Loaded | SettingsError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            return load(path, FakeSecrets(ENVIRON if environ is None else environ))
        except SettingsError as error:
            lines = str(error).split("\n")
            assert len(lines) == len(error.faults) > 0
            assert all(line.startswith(str(path)) and line.isprintable() for line in lines)
            return error


def test_the_tree_has_no_fault():
    assert isinstance(_load(yaml.safe_dump(TREE)), Loaded)


@LAX
@given(st.one_of(st.text(), st.binary(), st.lists(FRAGMENTS, max_size=40).map("".join)))
@example('a: "\\UFFFFFFFF"')
@example("? {a: b}\n: c")
@example("paths: {relay: {kind: [smtp]}}")
@example("paths: {relay: {kind: smtp, '[key]': 1}, '[key]': 2}")
@example("mailboxes: {smtp: {http: 1}}\npaths: {smtp: {kind: http, smtp: 1}}")
@example("notify: {channels: {webhook: {kind: webhook, webhook: 1}, x: {kind: [webhook]}, y: 1, '[key]': {}}}")
def test_any_text(text):
    assert isinstance(_load(text), (Loaded, SettingsError))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20),
    st.sampled_from(["smtp", "http", "5m", "10%", "1GiB", "tls", "header", "a@b.c", "relay", "gmail-1", "[key]", "::1", "https://x/y", "/a/b"]),
    st.lists(st.text(max_size=5), max_size=3), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    st.just({}), st.just([]), st.just({"env": "KEY"}), st.just({"kind": "smtp"}), st.just({"kind": "http"}),
)  # fmt: skip
EXTRA_KEYS = st.sampled_from(
    ["every", "host", "port", "passwrd", "deadlines", "kind", "routes", "schedule", "watch", "listen", "<<", "a\nb", "[key]"]
)


def _spots(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return (
        [at, *(spot for key, value in below for spot in _spots(value, (*at, key)))]
        if at
        else [s for k, v in below for s in _spots(v, (k,))]
    )


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The tree with up to four values replaced, removed or added."""
    tree = copy.deepcopy(TREE)
    for _ in range(draw(st.integers(1, 4))):
        spot = draw(st.sampled_from(_spots(tree)))
        node = tree
        for key in spot[:-1]:
            node = node[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            node[spot[-1]] = copy.deepcopy(draw(JUNK))
        elif action == "add" and isinstance(node, dict):
            node[draw(EXTRA_KEYS)] = copy.deepcopy(draw(JUNK))
        elif len(tree) > 1 or len(spot) > 1:
            del node[spot[-1]]
        if not tree:
            tree = {"x": 1}
    return tree


@LAX
@given(mutated(), st.booleans())
def test_any_tree(tree, flow):
    text = json.dumps(tree) if flow else yaml.safe_dump(tree, allow_unicode=True)
    assert isinstance(_load(text), (Loaded, SettingsError))


SECRET = st.text(alphabet="QWXZ79", min_size=8, max_size=20)
PLACES = [
    ("paths", "relay", "password"), ("mailboxes", "gmail-1", "imap", "password"), ("listen", "tokens", "read"), ("paths", "app", "headers", "Authorization"),
    ("signing", "keys", 0, "secret"), ("paths", "job", "environment", "SHOP_TOKEN"), ("mailboxes", "trip-1", "imap", "password"),
    ("notify", "channels", "hook", "url"), ("notify", "channels", "hook", "secret"), ("notify", "channels", "am", "authorization"), ("heartbeat", "url"),
    ("deploys", "grafana", "token"),
]  # fmt: skip
FORMS = ["{s}", "'{s}'", '"{s}"', "{{{s}}}", "{{{s}, {s}}}", "{{{s}: {s}}}", "[{s}]", "*{s}", "&{s} x", "!{s} x", "!x!{s} x", "!{s}'!y", "@{s}", "%{s}",
         "{{env: '{s} {s}'}}", "{{env: [{s}]}}", "{{env: KEY, {s}: x}}", "{{file: KEY, env: {s}}}", "{{command: {s}}}", "{{command: [{s}]}}", "{{command: 'sh {s}}}", "https://u:{s}@x", "https://x/ {s}", "{{envv: {s}}}", "{{env: KEY}} {s}", "|\n  {s}", "{s}: {s}",
         '"{s}\\x07"', "'{s}", '"{s}', "[{s}", "{{{s}", "{{env: *{s}}}", "{{? {s}}}", "`{s}`", "<<: {s}", "{{<<: {s}}}", "-{s}", "- {s}\n- {s}"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_form_at_any_place_repeats_a_secret(place):
    """As below, every combination once."""
    for form in FORMS:
        test_a_secret_written_out_is_never_repeated.hypothesis.inner_test("QWXZ79QWXZ79", place, form, "", {})


@LAX
@example("QWXZ7979", ("heartbeat", "url"), "{{{s}, {s}}}", "s", {})
@example("QWXZ7979", ("notify", "channels", "hook", "url"), "{{{s}, {s}}}", "s", {})
@example("QWXZ7979", ("deploys", "grafana", "token"), "{{{s}, {s}}}", "_old", {})
@given(SECRET, st.sampled_from(PLACES), st.sampled_from(FORMS), st.sampled_from(["", "s", "_old"]), mutated())
def test_a_secret_written_out_is_never_repeated(secret, place, form, misspelt, other):
    """The literal secret stands, in whatever broken form, where a reference should; the key may be misspelt, the rest broken too."""
    tree = copy.deepcopy(TREE)
    node = tree
    for key in place[:-1]:
        node = node[key]
    key = f"{place[-1]}{misspelt}" if isinstance(place[-1], str) else place[-1]
    del node[place[-1]]
    node[key] = "@@SECRET@@"
    if other.get("deadlines") is not None:
        tree["deadlines"] = other["deadlines"]
    tree["heartbeat"] |= {"every": "10ms"}  # so that a fault is there, even where the form is one that a place takes
    text = yaml.safe_dump(tree, allow_unicode=True).replace("'@@SECRET@@'", form.format(s=secret))
    outcome = _load(text)
    assert isinstance(outcome, SettingsError), text
    assert secret not in str(outcome) + repr(outcome.faults)


@LAX
@given(SECRET, mutated())
def test_a_secret_of_the_environment_is_never_repeated(secret, tree):
    environ = {"KEY": secret[:10], "GMAIL": f"{secret}\n", "FAST": f"\x00{secret}"}
    text = yaml.safe_dump(tree, allow_unicode=True)
    assume(secret[:10] not in text)
    outcome = _load(text, environ)
    assert isinstance(outcome, SettingsError)
    assert secret[:10] not in str(outcome) + repr(outcome.faults)


@given(st.integers(0, 10**12))
def test_durations_round_trip(milliseconds):
    seconds = milliseconds / 1000
    assert parse_duration(print_duration(seconds)) == seconds


@given(st.one_of(st.text(), st.from_regex(r"[0-9dhms]{0,12}", fullmatch=True)))
def test_durations_are_read_or_refused(text):
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        assert str(error) == "is no length of time; write 90s, 5m, 1h30m or 2d"
    else:
        assert parse_duration(print_duration(seconds)) == seconds
        assert Span("0s", "999999d").parse(print_duration(min(seconds, 86_400.0))) == min(seconds, 86_400.0)


@given(st.text(max_size=30))
def test_plain_scalars_mean_one_thing_only(text):
    """What we read as a number or boolean prints back as it was written."""
    value = document.scalar(text, plain=True)
    if isinstance(value, bool):
        assert text == str(value).lower()
    elif isinstance(value, int):
        assert text in {str(value), "-0"}
    elif isinstance(value, str):
        assert value == text
    assert document.scalar(text, plain=False) == text
