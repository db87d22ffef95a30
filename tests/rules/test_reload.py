"""What a reload says that it changes, what it refuses, and what of the old configuration stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.model.policy import KeyRing, Policy, SigningKey
from monitor.model.probe import MailboxName
from monitor.rules import reload
from monitor.settings import load
from tests.fakes.paths import StubSecrets
from tests.stages.house import SECRETS, policy, seed

SECRET = "a-value-that-nobody-may-see-0123456789"


def build(tmp_path: Path, **changes: Any) -> Policy:
    return policy(tmp_path, **{"seeds": 2, "budgets": {"per_path": 50_000, "per_mailbox": 5_000}, **changes})


def boxes(**changes: Any) -> dict[str, Any]:
    return {"mailboxes": {seed(1): changes}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param({"seeds": 3}, ("mailbox seed-3 added",), id="a mailbox more"),
        pytest.param({"seeds": 1}, ("mailbox seed-2 removed",), id="a mailbox less"),
        pytest.param({"paths": {"relay": {"host": "other.test"}}}, ("path relay: host changed",), id="another relay"),
        pytest.param(
            {"paths": {"relay": {"username": "u", "password": {"env": "PASSWORD"}}}},
            ("path relay: username, password changed",),
            id="a login",
        ),
        pytest.param(
            {"paths": {"relay": {"author": "b@shop.test"}}}, ("path relay: author, envelope_sender changed",), id="another author"
        ),
        pytest.param(boxes(provider="p9"), ("mailbox seed-1: provider changed",), id="another provider"),
        pytest.param({"schedule": {"every": "9m"}}, ("routes: 2 with another rhythm or other deadlines",), id="a rhythm"),
        pytest.param({"deadlines": {"missing": "20m"}}, ("routes: 2 with another rhythm or other deadlines",), id="deadlines"),
        pytest.param({"budgets": {"per_path": 999, "per_mailbox": 5_000}}, ("path relay: daily_budget changed",), id="a budget"),
        pytest.param({"watch": {"poll_every": "50s"}}, ("watch.poll_every changed",), id="watching"),
        pytest.param({"drain": "9s"}, ("drain changed",), id="drain"),
        pytest.param({"listen": {"tokens": {"read": {"env": "PASSWORD"}}}}, ("listen.tokens changed",), id="a token of listen"),
        pytest.param({"retention": {"passes": "3d"}}, ("retention.passes changed",), id="retention"),
        pytest.param({"gates": {"burst": 3, "daily_share": "20%"}}, ("gates.burst changed", "gates.daily_share changed"), id="gates"),
        pytest.param({"gates": {"policies": {"own": {"like": "quick"}}}}, ("gate policy own added",), id="a gate policy"),
        pytest.param({"heartbeat": {"url": "https://beat.test/", "every": "1m"}}, ("heartbeat added",), id="a heartbeat"),
        pytest.param(
            {"routes": [{"path": "relay", "mailbox": "seed-1"}]},
            ("routes: 1 removed",),
            id="fewer routes",
        ),
    ],
)
def test_in_plain_words(tmp_path: Path, changes: dict[str, Any], said: tuple[str, ...]) -> None:
    old, new = build(tmp_path), build(tmp_path, **changes)
    lines = reload.changes(old, new)
    assert not reload.refusals(old, new)
    assert lines == said
    assert bool(lines) == (new.policy_hash != old.policy_hash)


def test_no_value_is_said(tmp_path: Path) -> None:
    old = build(tmp_path)
    hook = {"kind": "webhook", "url": f"https://hooks.test/{SECRET}", "secret": {"env": "KEY"}}
    new = build(
        tmp_path,
        seeds=4,
        heartbeat={"url": f"https://beat.test/{SECRET}", "every": "1m"},
        notify={"channels": {"hook": hook}, "pages": ["hook"]},
        listen={"tokens": {"read": {"env": "KEY"}}},
        paths={"relay": {"username": SECRET, "password": {"env": "KEY"}}},
    )
    shown = json.dumps(reload.changes(old, new) + reload.changes(new, old))
    for value in (SECRET, *SECRETS.values(), "https", "@", "KEY"):
        assert value not in shown
    assert "channel hook added" in shown and "notify.pages changed" in shown and "channel hook removed" in shown


def test_a_kind_of_path_that_is_another(tmp_path: Path) -> None:
    old = build(tmp_path)
    relay = old.paths[next(iter(old.paths))]
    from dataclasses import replace

    from monitor.model.policy import HttpPath

    http = HttpPath("https://shop.test/", "POST", {}, {}, (200,), None, None, None, False)
    new = replace(old, paths={relay.name: replace(relay, via=http)})
    assert reload.changes(old, new) == ("path relay: kind changed",)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"state_dir": "elsewhere"}, "state_dir changed"),
        ({"listen": {"port": 1}}, "listen.host or listen.port changed"),
        ({"listen": {"host": "127.0.0.2"}}, "listen.host or listen.port changed"),
        ({"environment": "staging"}, "environment changed from test"),
        ({"instance": "two"}, "instance changed from one"),
    ],
)
def test_what_needs_a_restart(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    (why,) = reload.refusals(build(tmp_path), build(tmp_path, **changes))
    assert why.startswith(word) and "restart" in why


def test_another_account_needs_a_name_of_its_own(tmp_path: Path) -> None:
    """What is known of a folder's UIDs and of the probes in it stands under the mailbox's name."""
    (why,) = reload.refusals(build(tmp_path), build(tmp_path, **boxes(address="other@box.test")))
    assert why.startswith("mailbox seed-1: address changed") and "a name of its own" in why and "@" not in why
    assert not reload.refusals(build(tmp_path), build(tmp_path, **boxes(imap={"host": "imap2.test"})))


def test_many_changes_are_a_number(tmp_path: Path) -> None:
    lines = reload.changes(build(tmp_path, seeds=1), build(tmp_path, seeds=reload.MAX_CHANGES + 31))
    assert len(lines) == reload.MAX_CHANGES and lines[-1] == "and 31 more"


def test_in_force_without_anything_kept_is_the_configuration(tmp_path: Path) -> None:
    new = build(tmp_path)
    assert reload.in_force(new, {}, ()) is new
    assert reload.in_force(new, {seed(1): new.mailboxes[seed(1)]}, ()) is new, "it is configured anyway"


def test_what_is_kept_gets_no_probes(tmp_path: Path) -> None:
    old, new = build(tmp_path), build(tmp_path, seeds=1)
    kept = reload.in_force(new, {seed(2): old.mailboxes[seed(2)]}, (SigningKey(9, b"x" * 32),))
    assert set(kept.mailboxes) == {seed(1), seed(2)} and kept.routes == new.routes and kept.policy_hash == new.policy_hash
    assert [key.number for key in kept.keys.keys] == [1, 9], "the configured key signs"
    assert isinstance(kept.keys, KeyRing) and MailboxName("seed-2") in kept.mailboxes


def test_the_same_file_is_the_same_configuration(tmp_path: Path) -> None:
    build(tmp_path)
    file = tmp_path / "mailcanary.yaml"
    one, other = (load(file, StubSecrets(dict(SECRETS))).policy for _ in range(2))
    assert reload.changes(one, other) == () and one.paths == other.paths and one.mailboxes == other.mailboxes
