"""Addresses in header fields: whose domain they name, as A-labels."""

from __future__ import annotations

import pytest

from monitor.rules.mailauth.authors import ascii_domain, domain_of, domains
from monitor.rules.mime import Headers


@pytest.mark.parametrize(
    ("name", "ascii"),
    [
        ("Shop.TEST.", "shop.test"),
        ("b\u00fccher.test", "xn--bcher-kva.test"),
        ("B\u00dcCHER.test", "xn--bcher-kva.test"),
        ("b\u00fccher\u3002test", "xn--bcher-kva.test"),
    ],
)
def test_a_labels(name: str, ascii: str) -> None:
    assert ascii_domain(name) == ascii


@pytest.mark.parametrize("name", ["stra\u00dfe.test", "\u03b2\u03cc\u03bb\u03bf\u03c2.test", "a\u200cb.test", "a\u200db.test"])
def test_a_name_that_the_versions_of_idna_read_differently_is_no_other_domain(name: str) -> None:
    """The codec follows RFC 3490, which maps them to other characters or to nothing; RFC 5891 keeps them."""
    assert ascii_domain(name) == name
    assert domain_of(f"Shop <a@{name}>") == name


@pytest.mark.parametrize(
    ("mailbox", "domain"),
    [
        ("a@shop.test", "shop.test"),
        ("(x e@evil.test) a@shop.test", "shop.test"),
        ("(x (y) e@evil.test) a@shop.test", "shop.test"),
        ("(x (y (z)) e@evil.test) a@shop.test", "shop.test"),
        (r"(x \) e@evil.test) a@shop.test", "shop.test"),
        ('"e@evil.test" <a@shop.test>', "shop.test"),
        ('"a@b"@shop.test', "shop.test"),
        ('Shop <"a b@evil.test"@shop.test>', "shop.test"),
        ('("x"@evil.test) a@shop.test', "shop.test"),
        ('"x" (") e@evil.test (" ) <a@shop.test>', "shop.test"),
    ],
)
def test_whose_domain_an_address_names(mailbox: str, domain: str) -> None:
    assert domains(Headers((("from", mailbox),))) == (domain,)


def test_a_capital_sharp_s_is_one_too() -> None:
    assert ascii_domain("STRA\u1e9eE.test") == "stra\u00dfe.test"
