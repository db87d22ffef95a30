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


TO = "p=reject; sp=reject; np=reject; rua="


@pytest.mark.parametrize(
    ("before", "after", "gravity"),
    [
        ("mailto:d@shop.test!10m", "mailto:d@shop.test", Gravity.INFO),
        ("d@shop.test", "mailto:d@shop.test", Gravity.INFO),
        ("d@Shop.test", "d@shop.test", Gravity.INFO),
        ("mailto:d@Shop.test", "MAILTO:d@shop.test", Gravity.INFO),
        ("mailto:d@shop.test,d@shop.test", "mailto:d@shop.test", Gravity.INFO),
        ("d@shop.test", "mailto:e@shop.test", Gravity.WARNING),
        ("mailto:d@shop.test", "d@shop.test", Gravity.CRITICAL),
        ("mailto:d@shop.test", "mailto:d@shop.test!x", Gravity.CRITICAL),
        ("mailto:d@shop.test", "mailto:d@other.test", Gravity.CRITICAL),
        ("mailto:D@shop.test", "mailto:d@shop.test", Gravity.CRITICAL),
    ],
)
def test_where_aggregate_reports_go(before: str, after: str, gravity: Gravity) -> None:
    facets = [Facet(FacetKind.DMARC, f"_dmarc.{SHOP}", TO + value) for value in (before, after)]
    change = difference(facets[0], facets[1], Subject(SHOP, 0.0))
    assert change is not None and change[0] is gravity


LISTED = "policy=-all; terms=ip4:192.0.2.10; networks=192.0.2.10/32"
MACRO, REDIRECT = "include:%25{ir}._spf.vali.test", "redirect=%25{d}.vali.test"


@pytest.mark.parametrize(
    ("after", "gravity", "weakened"),
    [
        (f"policy=-all; terms={MACRO}; opaque={MACRO}", Gravity.WARNING, False),
        (f"policy=~all; terms={MACRO}; opaque={MACRO}", Gravity.CRITICAL, True),
        ("policy=+all; terms=ptr; networks=0.0.0.0/0; opaque=ptr", Gravity.CRITICAL, True),
        ("policy=-all; terms=exists:%25{i}.vali.test; opaque=exists:%25{i}.vali.test", Gravity.WARNING, False),
        (f"policy=?all; terms={REDIRECT}; opaque={REDIRECT}", Gravity.WARNING, False),
        (f"policy=?all; terms=redirect=a.test; opaque={REDIRECT}", Gravity.WARNING, False),
        (f"policy=?all; terms={MACRO}; opaque={MACRO}", Gravity.CRITICAL, True),
        ("policy=?all; terms=redirect=a.test; opaque=ptr", Gravity.CRITICAL, True),
        ("policy=-all; terms=-ip4:192.0.2.99; opaque=-ip4:192.0.2.99", Gravity.CRITICAL, False),
        ("policy=-all; terms=ip4:192.0.2.99; networks=192.0.2.99/32", Gravity.CRITICAL, False),
    ],
)
def test_what_spf_lets_in_without_a_list(after: str, gravity: Gravity, weakened: bool) -> None:
    before, now = (Facet(FacetKind.SPF, SHOP, value) for value in (LISTED, after))
    change = difference(before, now, Subject(SHOP, 0.0, egress=("192.0.2.10",)))
    assert change is not None and (change[0], "weakened" in change[1]) == (gravity, weakened)
