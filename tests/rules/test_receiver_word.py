"""Whose word counts when the receiver writes no Authentication-Results but seals them into an ARC chain."""

from __future__ import annotations

import pytest

from monitor.model.mail import UNSAID, Authentication, AuthResult
from monitor.model.mailauth import ArcProof, ArcSet, ArcState, DeliveredMail, Signature
from monitor.rules.mailauth.receiver import arc_said, word

RESULTS = "i=1; mx.box.test; spf=pass smtp.mailfrom=shop.test; dkim=pass header.d=shop.test; dmarc=pass header.from=shop.test"
GOOD = Authentication(AuthResult.PASS, AuthResult.PASS, AuthResult.PASS, "mx.box.test")
BAD = Authentication(AuthResult.FAIL, AuthResult.FAIL, AuthResult.FAIL, "mx.box.test")


def sealed(domain: str, results: str = RESULTS) -> tuple[ArcSet, ...]:
    signature = Signature(domain, "a1", "rsa-sha256")
    return (ArcSet(1, "none", results, signature, signature),)


@pytest.mark.parametrize(
    "sets, trusted, said",
    [
        (sealed("box.test"), ["mx.box.test"], GOOD),
        (sealed("box.test"), ["*.box.test"], GOOD),
        (sealed("attacker.test"), ["mx.box.test"], UNSAID),
        (sealed("box.test"), ["other.test"], UNSAID),
        (sealed("box.test"), ["*"], UNSAID),
        (sealed("box.test", "i=1; spf=pass"), ["mx.box.test"], UNSAID),
        ((), ["mx.box.test"], UNSAID),
    ],
)
def test_a_set_speaks_for_its_own_domain(sets: tuple[ArcSet, ...], trusted: list[str], said: Authentication) -> None:
    assert arc_said(sets, trusted) == said


@pytest.mark.parametrize(
    "said, state, expected",
    [
        (UNSAID, ArcState.PASS, GOOD),
        (UNSAID, ArcState.FAIL, UNSAID),
        (UNSAID, ArcState.TEMPERROR, UNSAID),
        (BAD, ArcState.PASS, BAD),
    ],
)
def test_results_come_first_and_a_broken_chain_says_nothing(said: Authentication, state: ArcState, expected: Authentication) -> None:
    assert word(DeliveredMail(said=said, arc_said=GOOD), ArcProof(state)) == expected
