"""How bad a change is, where it depends on what is still in use."""

from __future__ import annotations

import pytest

from monitor.model.checks import Gravity
from monitor.model.inspection import Facet, FacetKind, Selector, Subject
from monitor.rules.inspect.difference import difference

SHOP = "shop.test"
KEY = "k=rsa; bits=2048; p=aa"
BOTH, ONE = ("policy=-all; terms=include:a; networks=192.0.2.10/32,192.0.2.11/32", "policy=-all; terms=include:a; networks=192.0.2.11/32")


@pytest.mark.parametrize(
    ("after", "in_use", "retired"),
    [
        ("", Gravity.CRITICAL, Gravity.INFO),
        ("k=rsa; state=revoked", Gravity.CRITICAL, Gravity.INFO),
        ("k=rsa; state=unusable", Gravity.CRITICAL, Gravity.INFO),
        ("k=rsa; bits=1024; p=bb", Gravity.CRITICAL, Gravity.INFO),
        ("k=rsa; bits=2048; p=aa; more=bb", Gravity.CRITICAL, Gravity.INFO),
        ("k=rsa; bits=2048; p=bb", Gravity.WARNING, Gravity.WARNING),
    ],
)
def test_a_key_that_no_mail_bears_any_more(after: str, in_use: Gravity, retired: Gravity) -> None:
    facets = [Facet(FacetKind.DKIM, "s1._domainkey.shop.test", value) for value in (KEY, after)]
    found = []
    for state in (False, True):
        change = difference(facets[0], facets[1], Subject(SHOP, 0.0, selectors=(Selector(SHOP, "s1", state), Selector(SHOP, "s2"))))
        found.append(change[0] if change else None)
    assert found == [in_use, retired]


@pytest.mark.parametrize(("egress", "gravity"), [(("192.0.2.10", "192.0.2.11"), Gravity.CRITICAL), (("192.0.2.11",), Gravity.INFO)])
def test_an_address_that_mail_leaves_from_no_more(egress: tuple[str, ...], gravity: Gravity) -> None:
    before, after = (Facet(FacetKind.SPF, SHOP, value) for value in (BOTH, ONE))
    change = difference(before, after, Subject(SHOP, 0.0, egress=egress))
    assert change is not None and change[0] is gravity
