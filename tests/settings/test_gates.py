"""`gates:` and `deploys:`: what they become, and each way of writing them wrong with the exact line that the engineer sees."""
# ruff: noqa: E501

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.deploy import DeployHook, GrafanaPolicy
from monitor.model.gate import BUILT_IN, Control, GatePlan, GatesPolicy, GateStep, Sequential, faults
from monitor.model.secret import SecretRef, SecretSource
from monitor.settings import SettingsError, document, load_gate_policy, print_duration
from monitor.settings.published import json_schema
from tests.settings.conftest import ENVIRON, changed

QUICK = print_duration(BUILT_IN["quick"].timeout)
RANGE = "is out of bounds; write"
GRAFANA = "deploys: {grafana: {url: 'https://grafana.example.com', token: {env: KEY}"


def gates(text: str) -> str:
    """Below `gates:`, from line 25 on."""
    return changed(("", f"gates:\n{text}"))


def own(text: str) -> str:
    """A policy of the shop's own, in one line: 25."""
    return gates(f"  policies: {{own: {text}}}\n")


def hook(text: str) -> str:
    """A webhook: its name stands on line 26."""
    return changed(("", f"deploys:\n  webhooks:\n    ship:\n{text}"))


HOOK = "      deploy: /id\n      phase: /phase\n"

FAULTS = {
    "rollback token of another role": (
        changed(("", "listen: {tokens: {rollback: {env: KEY}, gate: {env: KEY}}}\n")),
        "24: listen.tokens.rollback: is the token of gate too; give the rollback hook a token of its own",
    ),
    # --- gates
    "unknown key": (gates("  polcy: quick\n"), "25: gates.polcy: unknown key; did you mean policy?"),
    "unknown policy": (gates("  policy: standart\n"), "25: gates.policy: no policy is called standart; did you mean standard?"),
    "unknown policy, nothing near": (
        gates("  policy: zzz\n  policies: {own: {}}\n"),
        "25: gates.policy: no policy is called zzz; known: quick, standard, deep, own",
    ),
    "burst of none": (gates("  burst: 0\n"), f"25: gates.burst: {RANGE} a number from 1 to 200"),
    "burst too large": (gates("  burst: 201\n"), f"25: gates.burst: {RANGE} a number from 1 to 200"),
    "window": (gates("  window: 2h\n"), f"25: gates.window: {RANGE} 1s to 1h"),
    "share of nothing": (gates("  daily_share: 0%\n"), f"25: gates.daily_share: {RANGE} 1% to 100%"),
    "share as a number": (gates("  daily_share: 0.5\n"), "25: gates.daily_share: is no percentage; write 10%"),
    "name of a policy": (gates("  policies: {Own: {}}\n"), "25: gates.policies.Own: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -"),
    "policy without a value": (gates("  policies:\n    own:\n"), "26: gates.policies.own: has no value; give it one, or remove the key to get the default"),
    "built-in name": (
        gates("  policies:\n    quick: {timeout: 5m}\n"),
        "26: gates.policies.quick: is the name of a built-in policy; give it another name, and write like: quick",
    ),
    # --- one policy
    "like": (own("{like: fast}"), "25: gates.policies.own.like: is not one of the known words; write one of quick, standard, deep"),
    "like, misspelt": (own("{like: standart}"), "25: gates.policies.own.like: is not one of the known words; did you mean standard? (known: quick, standard, deep)"),
    "unknown word in a policy": (own("{step: [{probes: 10}]}"), "25: gates.policies.own.step: unknown key; did you mean steps?"),
    "control": (own("{control: other}"), "25: gates.policies.own.control: is not one of the known words; write one of stable, none"),
    "no steps": (own("{steps: []}"), "25: gates.policies.own.steps: is empty; write at least one or remove the key"),
    "step without probes": (own("{steps: [{accept: 1}]}"), "25: gates.policies.own.steps.0.probes: is missing; write probes: 10"),
    "step of no probe": (own("{steps: [{probes: 0}]}"), f"25: gates.policies.own.steps.0.probes: {RANGE} a number from 1 to 1000"),
    "step as a number": (own("{steps: [10]}"), "25: gates.policies.own.steps.0: is a number where a mapping is wanted; write `key: value` lines below it"),
    "steps shrink": (
        gates("  policies:\n    own:\n      steps:\n      - {probes: 30}\n      - probes: 10\n        accept: 1\n"),
        "29: gates.policies.own.steps.1.probes: is not more than in the step before; write the steps in growing order",
    ),
    "step that helps nobody": (
        gates("  policies:\n    own:\n      steps:\n      - {probes: 10}\n      - probes: 30\n        accept: 0\n"),
        "30: gates.policies.own.steps.1.accept: is not more than in the step before: whoever did not pass there cannot pass here; accept more adverse probes in a later step, or remove the step",
    ),
    "passes with what fails it": (
        own("{steps: [{probes: 10, accept: 2}]}"),
        "25: gates.policies.own.steps.0.accept: a step passes with 2 adverse probes, but 2 fail it; write accept < reject",
    ),
    "passes with nothing good": (
        own("{steps: [{probes: 1, accept: 1}]}"),
        "25: gates.policies.own.steps.0.accept: would pass with all of its 1 probes adverse; write accept < probes",
    ),
    "fails with what a built-in step accepts": (
        own("{reject: 1}"),
        "25: gates.policies.own.reject: a step passes with 1 adverse probes, but 1 fail it; write accept < reject",
    ),
    "steps and a test": (
        gates("  policies:\n    own:\n      steps: [{probes: 10}]\n      sequential: {}\n"),
        "28: gates.policies.own.sequential: stands beside steps:, and only one of them can decide; keep one of them",
    ),
    "reject beside a test": (
        own("{like: deep, reject: 3}"),
        "25: gates.policies.own.reject: is for steps; a sequential test has limits of its own; remove it, or write steps:",
    ),
    "bad is good": (
        own("{sequential: {good: 5%, bad: 5%}, timeout: 2h}"),
        "25: gates.policies.own.sequential.bad: is not above good: nothing tells a bad deploy from a good one; write good < bad",
    ),
    "good is perfect": (own("{sequential: {good: 0%}}"), f"25: gates.policies.own.sequential.good: {RANGE} 0.01% to 50%"),
    "a coin": (own("{sequential: {false_pass: 50%}}"), f"25: gates.policies.own.sequential.false_pass: {RANGE} 0.001% to 20%"),
    "never wrong": (own("{sequential: {false_fail: 0%}}"), f"25: gates.policies.own.sequential.false_fail: {RANGE} 0.001% to 20%"),
    "timeout without a unit": (own("{timeout: 300}"), "25: gates.policies.own.timeout: is a length of time without a unit; write 300s"),
    "timeout": (own("{timeout: 1d}"), f"25: gates.policies.own.timeout: {RANGE} 1s to 6h"),
    "deadline after the timeout": (
        own("{deadline: 10m, timeout: 10m}"),
        "25: gates.policies.own.deadline: deadline (10m) is not before timeout (10m): no attempt could decide; write deadline < timeout",
    ),
    "timeout before the settling": (
        own("{timeout: 2s}"),
        "25: gates.policies.own.timeout: settle (2s) is not before timeout (2s): no attempt could decide; write settle < timeout",
    ),
    "no route": (own("{min_routes: 0}"), f"25: gates.policies.own.min_routes: {RANGE} a number from 1 to 1000"),
    "more routes than there are": (
        own("{min_routes: 3}"),
        "25: gates.policies.own.min_routes: wants 3 routes, and only 2 are selected: it can never pass; write at most 2",
    ),
    "more routes than are selected": (
        own("{min_routes: 2, routes: [gmail-1]}"),
        "25: gates.policies.own.min_routes: wants 2 routes, and only 1 are selected: it can never pass; write at most 1",
    ),
    "no such route": (
        own("{routes: [relay, relay/gmail-2]}"),
        "25: gates.policies.own.routes.1: no path, mailbox or route is called relay/gmail-2; did you mean relay/gmail-1?",
    ),
    "routes of nothing": (own("{routes: []}"), "25: gates.policies.own.routes: is empty; write at least one or remove the key"),
    "route as an address": (
        own("{routes: ['a@gmail.com']}"),
        "25: gates.policies.own.routes.0: names no route; write the name of a path or mailbox, or path/mailbox",
    ),
    "a switch": (own("{trust_target: yes}"), "25: gates.policies.own.trust_target: is neither true nor false; write true or false (yes, no, on and off are plain text here)"),
    "overdue beside nothing": (
        own("{timeout: 20m, overdue_fails: true, control: none}"),
        "25: gates.policies.own.overdue_fails: fails what is overdue while the control arm arrives, and has no control arm; drop overdue_fails, or let control be stable",
    ),
    "undecided at the end": (
        own("{steps: [{probes: 10}], timeout: 20m}"),
        "25: gates.policies.own.steps: can end undecided: after 10 probes it passes with 0 adverse ones and fails with 2; let the last step accept 1",
    ),
    "cut off before it can pass": (
        own("{sequential: {most: 20}, timeout: 2h}"),
        "25: gates.policies.own.sequential: is cut off at 20 probes, and cannot pass before 65; let most be at least that",
    ),
    # --- what the mailboxes cannot give
    "slower than the timeout": (
        gates("  burst: 1\n  policies:\n    own: {steps: [{probes: 10, accept: 1}], timeout: 9m}\n"),
        [
            "27: gates.policies.own: needs 10 probes to fastmail, which take 9m (burst: 1 in window: 1m), but has 9m; write a longer timeout, a larger burst, or fewer probes",
            "27: gates.policies.own: needs 10 probes to gmail, which take 9m (burst: 1 in window: 1m), but has 9m; write a longer timeout, a larger burst, or fewer probes",
        ],
    ),
    "the default is slower than its timeout": (
        changed(("    provider: fastmail\n", "    provider: fastmail\n    role: holding\n"), ("", "gates:\n  burst: 1\n  window: 5m\n")),
        "26: gates.burst: needs 10 probes to gmail, which take 45m (burst: 1 in window: 5m), but has {quick}; write a longer timeout, a larger burst, or fewer probes",
    ),
    "more than a day's share": (
        changed(
            ("    provider: fastmail\n", "    provider: fastmail\n    role: holding\n"),
            ("    provider: gmail\n", "    provider: gmail\n    daily_budget: 58\n"),
            ("", "gates:\n  policy: standard\n"),
        ),
        "27: gates.policy: needs 30 probes to gmail, of which gates may have 29 a day; write a larger daily_share or daily_budget, or fewer probes",
    ),
    # --- deploys
    "unknown key of deploys": (changed(("", "deploys:\n  hooks: {}\n")), "25: deploys.hooks: unknown key; did you mean webhooks?"),
    "webhook without a pointer": (hook("      phase: /phase\n      start: [x]\n"), "26: deploys.webhooks.ship.deploy: is missing; write deploy: /deployment/id"),
    "pointer without a slash": (hook(HOOK.replace("/id", "id") + "      start: [x]\n"), "27: deploys.webhooks.ship.deploy: is no JSON pointer; write /refund/id"),
    "pointer to a header": (hook(HOOK + "      start: [x]\n      version: header:X-Version\n"), "30: deploys.webhooks.ship.version: is no JSON pointer; write /refund/id"),
    "unknown word of a webhook": (hook(HOOK + "      start: [x]\n      finished: [y]\n"), "30: deploys.webhooks.ship.finished: unknown key; did you mean finish?"),
    "webhook without a phase": (
        hook(HOOK),
        "26: deploys.webhooks.ship: tells no phase: no value of phase means a start, a finish or a rollback; write start:, finish: or rollback:, like finish: [succeeded]",
    ),
    "one value, two phases": (
        hook(HOOK + "      start: [running]\n      finish: [done, Running]\n"),
        "30: deploys.webhooks.ship.finish.1: stands under start too (case does not count): one value means one phase; keep one of them",
    ),
    "phase as a boolean": (hook(HOOK + "      start: [true]\n"), '29: deploys.webhooks.ship.start.0: is a boolean where text is wanted; write it in quotes: "..."'),
    "name of a webhook": (changed(("", "deploys: {webhooks: {a_b: {deploy: /id, phase: /p, start: [x]}}}\n")), "24: deploys.webhooks.a_b: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -"),
    "grafana without a token": (changed(("", "deploys: {grafana: {url: 'https://g.example.com'}}\n")), "24: deploys.grafana.token: is missing; write token: {env: GRAFANA_TOKEN}"),
    "grafana token written out": (
        changed(("", f"{GRAFANA.replace('{env: KEY}', 'glsa_hunter2')}}}}}\n")),
        "24: deploys.grafana.token: is written out here; move the secret out of this file and write {env: NAME} or {file: PATH}",
    ),
    "grafana token is not there": (
        changed(("", f"{GRAFANA.replace('KEY', 'GRAFANA')}}}}}\n")),
        "24: deploys.grafana.token: environment variable GRAFANA is not set; set it",
    ),
    "grafana with a password": (
        changed(("", f"{GRAFANA.replace('https://', 'https://u:hunter2@')}}}}}\n")),
        "24: deploys.grafana.url: holds a user name or password; write token: {env: NAME}, a service account token",
    ),
    "grafana CA file": (
        changed(("", f"{GRAFANA}, ca_file: config.yaml}}}}\n")),
        "24: deploys.grafana.ca_file: {here}/config.yaml holds no PEM certificate; name a file with -----BEGIN CERTIFICATE-----",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name, faults, tmp_path):
    text, wanted = FAULTS[name]
    lines = [wanted] if isinstance(wanted, str) else wanted
    found = faults(text)
    assert sorted(found) == [f"config.yaml:{line}".replace("{here}", str(tmp_path)).replace("{quick}", QUICK) for line in lines]
    assert "hunter2" not in str(found)


def test_what_is_not_written_is_built_in(read):
    policy = read(changed(("", "listen: {host: localhost}\n"))).policy
    assert (policy.gates, dict(policy.deploy_hooks), policy.grafana) == (GatesPolicy(), {}, None)
    loaded = read(gates("  policies: {a: {}, b: {like: standard}, c: {like: deep}}\n"))
    made = loaded.policy.gates.policies
    assert [replace(made[name], name=like) for name, like in zip("abc", BUILT_IN, strict=True)] == list(BUILT_IN.values())
    assert [made[name].name for name in "abc"] == ["a", "b", "c"]


def test_a_policy_of_ones_own(read):
    text = """\
  policy: own
  burst: 200
  window: 1s
  daily_share: 12.5%
  policies:
    own:
      like: deep
      steps: [{probes: 5}, {probes: 12, accept: 2}]
      reject: 3
      timeout: 1m
      deadline: 12s
      settle: 0s
      fresh_for: 5m
      min_routes: 2
      routes: [relay/gmail-1, fast-1]
      trust_target: true
      overdue_fails: true
    walds:
      sequential: {good: 1%, bad: 20%, false_fail: 2%, false_pass: 3%, most: 80}
      control: none
"""
    found = read(gates(text)).policy.gates
    assert (found.default, found.burst, found.window, found.daily_share) == ("own", 200, 1.0, 0.125)
    one, other = found.policies["own"], found.policies["walds"]
    assert one.plan == GatePlan((GateStep(5, 0), GateStep(12, 2)), 3)
    assert (one.timeout, one.deadline, one.settle, one.fresh_for, one.min_routes) == (60, 12, 0, 300, 2)
    assert (one.routes, one.trust_target, one.control, one.overdue_fails) == (("relay/gmail-1", "fast-1"), True, Control.STABLE, True)
    assert other.plan.sequential == Sequential(0.01, 0.2, 0.02, 0.03, 80) and other.plan.most == 80
    assert (other.plan.steps, other.control, other.timeout) == ((), Control.NONE, BUILT_IN["quick"].timeout)
    assert faults(one) == faults(other) == ""
    assert one.hash != replace(one, settle=1.0).hash


def test_a_small_budget_hinders_nobody_who_wants_no_gate(read):
    small = ("    provider: gmail\n", "    provider: gmail\n    daily_budget: 2\n")
    assert read(changed(small)).policy.gates == GatesPolicy()


@pytest.mark.parametrize(
    ("policy", "noted"),
    [("timeout: 8m", True), ("timeout: 481s", False), ("timeout: 8m, deadline: 2m", False), ("{}", False)],
)
def test_a_timeout_that_ends_before_a_loss_is_proven_is_noted(read, policy, noted):
    loaded = read(gates(f"  policies:\n    own: {{{policy.strip('{}')}}}\n") + "listen: {host: localhost}\nnotify: {pages: []}\n")
    said = "config.yaml:26: gates.policies.own.timeout: has 8m, and mail is only missing after 8m: an attempt cannot see a loss; write a deadline: below timeout, or a longer timeout"
    assert [str(note) for note in loaded.notes if note.key.startswith("gates")] == ([said] if noted else [])


def test_deploys(read):
    text = HOOK + "      start: [Pending, in_progress]\n      rollback: [rolled_back]\n      version: /a~1b/0\n      at: /updated_at\n"
    loaded = read(hook(text) + "  grafana: {url: 'http://grafana.example.com/g/', token: {env: KEY}}\n")
    assert dict(loaded.policy.deploy_hooks) == {
        "ship": DeployHook("ship", "/id", "/phase", ("Pending", "in_progress"), (), ("rolled_back",), version="/a~1b/0", at="/updated_at")
    }
    assert loaded.policy.grafana == GrafanaPolicy("http://grafana.example.com/g", SecretRef(SecretSource.ENV, "KEY"))
    assert "config.yaml:33: deploys.grafana.url: sends the token unencrypted over a public network; use https://" in map(str, loaded.notes)
    assert ENVIRON["KEY"] not in repr(loaded.policy)


# ---- one policy in a file of its own ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("night.yaml", "night"),
        ("Night.yml", "night"),
        ("quick.yaml", "custom"),
        ("my policy.yaml", "custom"),
        (f"{'a' * 33}.yaml", "custom"),
    ],
)
def test_a_file_with_one_policy_is_named_as_it_is(tmp_path, file, name):
    path = tmp_path / file
    path.write_text("like: standard\ntimeout: 30m\n")
    assert load_gate_policy(path) == replace(BUILT_IN["standard"], name=name, timeout=1800.0)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: is empty; start from config/mailcanary.yaml"]),
        ("like: standard\nstep: 1\n", ["2: step: unknown key; did you mean steps?"]),
        ("timeout: 1m\ntimeout: 2m\n", ["2: timeout: stands twice, first on line 1; keep one of them"]),
        ("steps:\n- probes: 10\n  accpt: 1\n", ["3: steps.0.accpt: unknown key; did you mean accept?"]),
        ("like:\ncontrol: nobody\n", ["1: like: has no value; give it one, or remove the key to get the default", "2: control: is not one of the known words; write one of stable, none"]),
        ("steps: [{probes: 10, accept: 2}]\ndeadline: 11m\ntimeout: 10m\n", ["1: steps.0.accept: a step passes with 2 adverse probes, but 2 fail it; write accept < reject", "2: deadline: deadline (11m) is not before timeout (10m): no attempt could decide; write deadline < timeout"]),
        ("[1]\n", ["1:1: is no mapping; write `key: value` lines; start from config/mailcanary.yaml"]),
        ("xyz: {burst: 6}\n", ["1: xyz: unknown key; remove it; known here: like, steps, reject, sequential, timeout, deadline, settle, fresh_for, min_routes, routes, trust_target, control, overdue_fails"]),
    ],
)  # fmt: skip
def test_a_file_with_a_faulty_policy(tmp_path, monkeypatch, text, lines):
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_gate_policy(Path("p.yaml"))
    assert str(refused.value).split("\n") == [f"p.yaml:{line}" for line in lines]


def test_no_such_file(tmp_path):
    with pytest.raises(SettingsError, match="no such file; name the file of a gate policy"):
        load_gate_policy(tmp_path / "absent.yaml")


WORDS = st.sampled_from([
    "like: ", "deep", "steps: ", "[{probes: 10, accept: 0}]", "[{probes: 1}, {probes: 0}]", "sequential: ", "{good: 1%, bad: 2%}", "reject: 1", "timeout: ",
    "10m", "1s", "deadline: 5s", "settle: 1d", "routes: [a/b]", "\n", "  ", "{", "}", "null", "control: none", "overdue_fails: true", "min_routes: 9", "é", "&a *a",
])  # fmt: skip


@given(st.lists(WORDS, max_size=12))
def test_any_file_is_a_policy_that_decides_or_a_list_of_faults(tmp_path_factory, words):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("".join(words), encoding="utf-8")
    try:
        policy = load_gate_policy(path)
    except SettingsError as error:
        assert error.faults and all(str(fault).startswith(str(path)) for fault in error.faults)
    else:
        assert faults(policy) == "" and policy.name == "any"


@pytest.mark.parametrize(
    "name",
    [
        "unknown key", "burst of none", "burst too large", "share as a number", "name of a policy", "like", "unknown word in a policy", "control",
        "no steps", "step without probes", "step of no probe", "step as a number", "timeout without a unit", "no route", "routes of nothing",
        "route as an address", "a switch", "unknown key of deploys", "webhook without a pointer", "pointer without a slash", "unknown word of a webhook",
        "phase as a boolean", "name of a webhook", "grafana without a token", "grafana token written out",
    ],
)  # fmt: skip
def test_the_published_schema_refuses_it_too(name):
    data = document.read(FAULTS[name][0].encode()).data
    assert not jsonschema.Draft202012Validator(json.loads(json_schema())).is_valid(data)
