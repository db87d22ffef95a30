"""Whose recipients are, and which numbers are probes'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.address import Address
from monitor.model.ledger import HASHED
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.model.sources import Match
from monitor.rules import token
from monitor.rules.reconcile.known import Knowledge, Known, hashed
from monitor.views.ledger import LedgerView
from tests.corpus.world import KEYS, STRANGE_KEYS
from tests.stages.house import policy

KEY = b"k" * 32
TOKEN = token.mint(KEYS, "production", "main", ProbeId("0123456789ab"), Route(PathName("app"), MailboxName("gmail-1")), 1_772_366_400)
STRANGE = token.mint(STRANGE_KEYS, "production", "main", ProbeId("0123456789ab"), Route(PathName("app"), MailboxName("gmail-1")), 1)
KNOWN = Known(
    key=KEY,
    match=Match.REFUND,
    seeds=frozenset({Address.parse("Seed@box.test")}),
    holding=frozenset({Address.parse("held@box.test")}),
    providers={"box.test": "box"},
    keys=KEYS,
    numbers=frozenset({"RF-12345678", "77"}),
)


@pytest.mark.parametrize(
    "spelling",
    [
        "ann@example.com",
        "Ann@Example.COM",
        " ann@example.com. ",
        "Ann Smith <ann@example.com>",
        "<ann@example.com>",
    ],
)
def test_spellings_of_one_recipient(spelling: str) -> None:
    assert hashed(KEY, spelling) == hashed(KEY, "ann@example.com")
    assert len(hashed(KEY, spelling)) == HASHED


@pytest.mark.parametrize("other", ["ann@example.org", "ann+1@example.com", "bob@example.com", "ann", "ann@", "@example.com"])
def test_others(other: str) -> None:
    assert hashed(KEY, other) != hashed(KEY, "ann@example.com")


def test_spellings_beyond_ascii() -> None:
    assert hashed(KEY, "ann@Bücher.example") == hashed(KEY, "ann@xn--bcher-kva.example")
    assert hashed(KEY, "jose\u0301@example.com") == hashed(KEY, "jos\u00e9@EXAMPLE.com.")


@pytest.mark.parametrize("nothing", ["", "   "])
def test_no_recipient_has_no_hash(nothing: str) -> None:
    assert hashed(KEY, nothing) == b""


LOCAL = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.+_-", min_size=1, max_size=20)
DOMAIN = st.lists(st.text("abcdefghijklmnopqrstuvwxyzABC0123456789", min_size=1, max_size=8), min_size=1, max_size=3).map(".".join)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(LOCAL, DOMAIN, st.binary(min_size=16, max_size=32))
def test_the_hash_ignores_case_and_depends_on_the_key(local: str, domain: str, key: bytes) -> None:
    address = f"{local}@{domain}"
    assert hashed(key, address) == hashed(key, address.upper()) == hashed(key, f" {address.swapcase()}. ")
    assert hashed(key, address) != hashed(key + b"x", address)


@pytest.mark.hostile
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=400), st.text("<>@.+ \u00fc\udcff\ud800a", max_size=300)))
def test_whatever_is_an_address(text: str) -> None:
    assert len(hashed(KEY, text)) in (0, HASHED)
    assert KNOWN.provider(text) in ("", "box")
    assert not KNOWN.is_probe(text, "")
    KNOWN.is_probe("", text)
    KNOWN.is_holding(text)


@pytest.mark.parametrize(
    ("number", "address", "probe"),
    [
        ("RF-12345678", "", True),
        ("SHOP-RF-12345678", "", True),
        ("2026/RF-12345678", "", True),
        ("XRF-12345678", "", False),  # another number
        ("RF-123456789", "", False),
        ("77", "", True),
        ("A-77", "", False),  # too short to be looked for behind a prefix
        ("RF-1", "seed@box.test", True),
        ("RF-1", "SEED+0af3@Box.Test.", True),
        ("RF-1", "Seed <seed@box.test>", True),
        ("RF-1", "seeds@box.test", False),
        ("RF-1", "held@box.test", False),
        ("RF-1", "", False),
        (TOKEN, "", True),
        (TOKEN.upper(), "", True),
        (f"RF-{TOKEN}", "", True),
        (f"RF{TOKEN}", "", True),
        (f"RF{TOKEN.upper()}", "", True),
        (f"{TOKEN}-1", "", True),
        (TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"), "", False),
        (STRANGE, "", False),
        ("a" * 40, "", False),
        ("a" * 200, "", False),
    ],
)
def test_which_records_are_probes(number: str, address: str, probe: bool) -> None:
    assert KNOWN.is_probe(number, address) is probe


def test_whose_a_recipient_is() -> None:
    assert KNOWN.provider("ann@BOX.test.") == "box"
    assert KNOWN.provider("Ann <ann@box.test>") == "box"
    assert KNOWN.provider("ann@example.com") == ""
    assert KNOWN.is_holding("Held+7@box.test")
    assert not KNOWN.is_holding("ann@box.test")
    assert not Known(key=KEY, match=Match.REFUND).is_holding("held@box.test")


def test_what_is_known_grows_with_the_probes_and_follows_the_policy(tmp_path: Path) -> None:
    rules, view, knowledge = policy(tmp_path, seeds=1), LedgerView(), Knowledge()
    before = knowledge.now(rules, view)
    assert not before.is_probe("RF-1", "") and knowledge.now(rules, view) is before
    view.numbers.append("RF-1")
    view.numbered += 1
    grown = knowledge.now(rules, view)
    assert grown.is_probe("RF-1", "") and grown is not before
    assert knowledge.now(replace(rules, environment="other"), view) is not grown
