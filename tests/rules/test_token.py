"""The signed token: round trip, forgery, foreign names, finding it in text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.policy import KeyRing, SigningKey
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.rules import token

KEYS = KeyRing((SigningKey(1, b"one"), SigningKey(2, b"two")))
ROUTE = Route(PathName("relay"), MailboxName("gmail-1"))
PROBE = ProbeId("0a1b2c3d4e5f")
GOOD = token.mint(KEYS, "production", "one", PROBE, ROUTE, 1_790_000_000)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

probes = st.from_regex(r"[0-9a-f]{12}", fullmatch=True).map(ProbeId)
names = st.text(max_size=20)


@given(probes, names, names, st.integers(0, 2**32 - 1), st.integers(1, 255), st.binary(min_size=1, max_size=64))
@settings(deadline=None)
def test_what_is_minted_verifies(probe: ProbeId, environment: str, instance: str, planned: int, number: int, secret: bytes) -> None:
    keys = KeyRing((SigningKey(number, secret),))
    text = token.mint(keys, environment, instance, probe, ROUTE, planned)
    assert re.fullmatch("[a-z2-7]{40}", text)
    assert token.verify(keys, environment, instance, text) == token.Claim(probe, token.route_tag(ROUTE), planned, number, True, True)
    assert token.find(f"<{text.upper()}@x>") == (text,)


@given(st.integers(0, 39), st.sampled_from(ALPHABET))
@settings(deadline=None)
def test_any_changed_character_is_a_forgery(at: int, char: str) -> None:
    changed = GOOD[:at] + char + GOOD[at + 1 :]
    assert (token.verify(KEYS, "production", "one", changed) is None) == (changed != GOOD)


@given(st.text())
@settings(deadline=None)
def test_nothing_else_verifies_and_nothing_raises(text: str) -> None:
    assert token.verify(KEYS, "production", "one", text) is None
    assert len(token.find(text)) <= token.MAX_FOUND


@pytest.mark.parametrize(
    ("environment", "instance", "same_environment", "same_instance"),
    [("production", "one", True, True), ("production", "two", True, False), ("staging", "one", False, False), ("", "", False, False)],
)
def test_names_that_differ(environment: str, instance: str, same_environment: bool, same_instance: bool) -> None:
    claim = token.verify(KEYS, environment, instance, GOOD)
    assert claim
    assert (claim.same_environment, claim.same_instance) == (same_environment, same_instance)


def test_the_first_key_signs_and_all_verify() -> None:
    rotated = KeyRing((SigningKey(3, b"three"), *KEYS.keys))
    assert token.verify(rotated, "production", "one", GOOD)
    assert token.verify(KEYS, "production", "one", token.mint(rotated, "production", "one", PROBE, ROUTE, 0)) is None
    assert token.verify(KeyRing((SigningKey(1, b"another"),)), "production", "one", GOOD) is None
    assert token.names_our_key(KEYS, GOOD)
    assert not token.names_our_key(KeyRing((SigningKey(9, b"one"),)), GOOD)
    assert not token.names_our_key(KEYS, "short")


@pytest.mark.parametrize("probe", ["", "0A1B2C3D4E5F", "0a1b2c3d4e5", "0a1b2c3d4e5f0", "0a1b2c3d4e5f\n"])
def test_a_bad_probe_id_is_refused(probe: str) -> None:
    with pytest.raises(ValueError, match="12 characters"):
        token.mint(KEYS, "e", "i", ProbeId(probe), ROUTE, 0)


def test_routes_are_told_apart_at_the_seam() -> None:
    assert token.route_tag(Route(PathName("a"), MailboxName("bc"))) != token.route_tag(Route(PathName("ab"), MailboxName("c")))


OTHER = token.mint(KEYS, "production", "one", ProbeId("000000000001"), ROUTE, 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(f"ref {GOOD}.", (GOOD,), id="plain"),
        pytest.param(f"+{GOOD}@", (GOOD,), id="plus-tag"),
        pytest.param(GOOD.upper(), (GOOD,), id="upper case"),
        pytest.param(f"{GOOD[:20]}\r\n {GOOD[20:]}", (GOOD,), id="folded in the middle"),
        pytest.param(f"{GOOD[:7]}=\r\n{GOOD[7:]}", (GOOD,), id="soft break"),
        pytest.param(f"x:\r\n {GOOD}\r\n y", (GOOD,), id="folded around it"),
        pytest.param(f"{GOOD} {OTHER} {GOOD}", (GOOD, OTHER), id="two, one of them twice"),
        pytest.param(f"a{GOOD}", (), id="letter before"),
        pytest.param(f"{GOOD}9", (), id="digit after"),
        pytest.param(GOOD[:39], (), id="too short"),
        pytest.param("0" * 40, (), id="not base32"),
        pytest.param("", (), id="empty"),
    ],
)
def test_find(text: str, found: tuple[str, ...]) -> None:
    assert token.find(text) == found


def test_find_is_bounded() -> None:
    many = [token.mint(KEYS, "e", "i", PROBE, ROUTE, n) for n in range(100)]
    assert token.find(" ".join(many)) == tuple(many[:20])
    assert len(token.find((GOOD + " ") * 10_000)) == 1
