"""Alignment, and the verdict on a message by either way of finding the organization."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.dns import DnsFailure
from monitor.model.mail import AuthResult
from monitor.model.mailauth import DmarcProof
from monitor.rules.mailauth.dmarc import Identifiers, aligned, evaluate, shadow_evaluate
from tests.rules.inspect.worlds import Dns, World

AUTHOR = ("mail.shop.test",)
RELAXED = World(Dns({"_dmarc.shop.test TXT": ["v=DMARC1; p=reject"]}))
STRICT = World(Dns({"_dmarc.shop.test TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"]}))
OWN = World(Dns({"_dmarc.mail.shop.test TXT": ["v=DMARC1; p=reject; psd=n"], "_dmarc.shop.test TXT": ["v=DMARC1; p=none"]}))
TESTING = World(Dns({"_dmarc.shop.test TXT": ["v=DMARC1; p=reject; t=y"]}))
PASS, FAIL, NONE, TEMP, PERM = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.TEMPERROR, AuthResult.PERMERROR


def walked(world: World, said: Identifiers, authors: tuple[str, ...] = AUTHOR) -> DmarcProof:
    return world.asked(lambda lookup: evaluate(lookup, authors, said))


def listed(world: World, said: Identifiers, authors: tuple[str, ...] = AUTHOR) -> DmarcProof:
    return world.asked(lambda lookup: shadow_evaluate(lookup, authors, said, world))


@pytest.mark.parametrize(
    ("world", "said", "result", "spf", "dkim"),
    [
        (RELAXED, Identifiers(PASS, "bounce.shop.test"), PASS, True, False),
        (RELAXED, Identifiers(PASS, "MAIL.shop.test."), PASS, True, False),
        (RELAXED, Identifiers(FAIL, "shop.test", ("shop.test",)), PASS, False, True),
        (RELAXED, Identifiers(PASS, "shop.test", ("esp.example.com", "shop.test")), PASS, True, True),
        (RELAXED, Identifiers(PASS, "esp.example.com", ("esp.example.com",)), FAIL, False, False),
        (RELAXED, Identifiers(FAIL, "shop.test"), FAIL, False, False),
        (RELAXED, Identifiers(AuthResult.SOFTFAIL, "shop.test"), FAIL, False, False),
        (RELAXED, Identifiers(PERM, "shop.test"), FAIL, False, False),
        (STRICT, Identifiers(PASS, "shop.test", ("shop.test",)), FAIL, False, False),
        (STRICT, Identifiers(PASS, "mail.shop.test"), PASS, True, False),
        (STRICT, Identifiers(NONE, "", ("mail.shop.test",)), PASS, False, True),
        (OWN, Identifiers(PASS, "shop.test", ("shop.test",)), FAIL, False, False),
        (OWN, Identifiers(PASS, "b.mail.shop.test"), PASS, True, False),
        # What could not be verified would matter only if it were aligned.
        (RELAXED, Identifiers(TEMP, "shop.test"), TEMP, False, False),
        (RELAXED, Identifiers(TEMP, "esp.example.com"), FAIL, False, False),
        (RELAXED, Identifiers(TEMP, "shop.test", ("shop.test",)), PASS, False, True),
        (RELAXED, Identifiers(AuthResult.ABSENT, ""), TEMP, False, False),
        (RELAXED, Identifiers(AuthResult.ABSENT, "shop.test"), TEMP, False, False),
        (RELAXED, Identifiers(AuthResult.ABSENT, "esp.example.com"), FAIL, False, False),
        (RELAXED, Identifiers(FAIL, "shop.test", (), ("shop.test",)), TEMP, False, False),
        (RELAXED, Identifiers(FAIL, "shop.test", (), ("esp.example.com",)), FAIL, False, False),
        (RELAXED, Identifiers(FAIL, "shop.test", incomplete="cut"), TEMP, False, False),
        (RELAXED, Identifiers(PASS, "shop.test", incomplete="cut"), PASS, True, False),
        (World(), Identifiers(PASS, "mail.shop.test", ("mail.shop.test",)), NONE, False, False),
    ],
)
def test_verdict(world: World, said: Identifiers, result: AuthResult, spf: bool, dkim: bool) -> None:
    proof = walked(world, said)
    assert (proof.result, proof.spf_aligned, proof.dkim_aligned) == (result, spf, dkim)


def test_what_applies_is_said() -> None:
    proof = walked(RELAXED, Identifiers(FAIL, "shop.test"))
    assert (proof.policy_domain, proof.organizational, proof.policy) == ("shop.test", "shop.test", "reject")
    assert "SPF says fail" in proof.why
    assert walked(TESTING, Identifiers(FAIL, "shop.test")).policy == "quarantine"
    assert listed(TESTING, Identifiers(FAIL, "shop.test")).policy == "reject"


@pytest.mark.parametrize("authors", [(), ("shop.test", "other.test")])
def test_one_author_domain_is_judged(authors: tuple[str, ...]) -> None:
    assert walked(RELAXED, Identifiers(PASS, "shop.test"), authors).result is PERM
    assert listed(RELAXED, Identifiers(PASS, "shop.test"), authors).result is PERM


def test_the_same_author_domain_twice_is_one() -> None:
    assert walked(RELAXED, Identifiers(PASS, "shop.test"), ("Shop.test", "shop.test.")).result is PASS


def test_an_author_that_was_not_read_is_not_known() -> None:
    assert walked(RELAXED, Identifiers(incomplete="cut"), ()).result is TEMP


def test_both_ways_can_differ() -> None:
    said = Identifiers(PASS, "shop.test")
    assert walked(OWN, said).result is FAIL
    assert listed(OWN, said).result is PASS


def unanswered(world: World, name: str) -> World:
    return World(replace(world.dns, fails={f"{name} TXT": DnsFailure.SERVFAIL}))


@pytest.mark.parametrize(
    ("world", "said", "result"),
    [
        (unanswered(RELAXED, "_dmarc.shop.test"), Identifiers(PASS, "mail.shop.test"), TEMP),
        (unanswered(RELAXED, "_dmarc.mail.shop.test"), Identifiers(PASS, "mail.shop.test"), TEMP),
        (unanswered(RELAXED, "_dmarc.mail.shop.test"), Identifiers(FAIL, "shop.test"), TEMP),
        (unanswered(RELAXED, "_dmarc.bounce.shop.test"), Identifiers(PASS, "bounce.shop.test"), TEMP),
        (unanswered(RELAXED, "_dmarc.bounce.shop.test"), Identifiers(FAIL, "bounce.shop.test"), FAIL),
        # Its own record and the very same domain: nothing above them matters.
        (
            unanswered(World(Dns({"_dmarc.mail.shop.test TXT": ["v=DMARC1; p=none"]})), "_dmarc.test"),
            Identifiers(PASS, "mail.shop.test"),
            PASS,
        ),
        (unanswered(World(Dns({"_dmarc.mail.shop.test TXT": ["v=DMARC1; p=none"]})), "_dmarc.test"), Identifiers(PASS, "shop.test"), TEMP),
    ],
)
def test_what_cannot_be_asked_is_no_verdict(world: World, said: Identifiers, result: AuthResult) -> None:
    """Section 5.3.6."""
    assert walked(world, said).result is result


@pytest.mark.parametrize(
    ("one", "other", "strict", "expected"),
    [
        ("shop.test", "shop.test", True, True),
        ("mail.shop.test", "shop.test", True, False),
        ("mail.shop.test", "shop.test", False, True),
        ("shop.test", "shop.com", False, False),
        ("shop.test", "", False, False),
    ],
)
def test_aligned(one: str, other: str, strict: bool, expected: bool) -> None:
    assert RELAXED.asked(lambda lookup: aligned(lookup, one, other, strict)) is expected


def test_alignment_that_is_not_known() -> None:
    assert unanswered(RELAXED, "_dmarc.shop.test").asked(lambda lookup: aligned(lookup, "a.shop.test", "shop.test")) is None


def test_a_verdict_takes_one_round_for_all_its_walks() -> None:
    rounds = []
    said = Identifiers(PASS, "bounce.shop.test", ("esp.shop.test", "shop.test"))
    RELAXED.asked(lambda lookup: rounds.append(evaluate(lookup, AUTHOR, said)))
    assert len(rounds) <= 3
