"""The public suffix list that the library ships."""

from __future__ import annotations

import pytest

from monitor.edge.suffixes import PublicSuffixes


@pytest.fixture(scope="module")
def suffixes() -> PublicSuffixes:
    return PublicSuffixes()


@pytest.mark.parametrize(
    ("domain", "registrable"),
    [
        ("shop.com", "shop.com"),
        ("a.b.shop.com", "shop.com"),
        ("Mail.Shop.CO.UK.", "shop.co.uk"),
        ("co.uk", ""),
        ("com", ""),
        ("shop.test", "shop.test"),  # a suffix that no list knows is its last label
        ("someone.github.io", "someone.github.io"),
        ("github.io", ""),
        ("city.kobe.jp", "city.kobe.jp"),
        ("a.b.kobe.jp", "a.b.kobe.jp"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("", ""),
        (".", ""),
        ("a..b", ""),
    ],
)
def test_registrable(suffixes: PublicSuffixes, domain: str, registrable: str) -> None:
    assert suffixes.registrable(domain) == registrable
