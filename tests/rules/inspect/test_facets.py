"""What a zone says, reduced to what matters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import DnsFailure
from monitor.model.inspection import Facet, FacetKind, KeyAge, Selector, Subject
from monitor.rules.inspect.facets import MOST_NETWORKS, Observation, ages, holds, observe, pack, related, unpack
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, World
from tests.rules.inspect.zones import GOOD, KEY, SUBJECT


def seen(dns: Dns, subject: Subject = SUBJECT) -> Observation:
    return World(dns, subject).asked(lambda lookup: observe(subject, lookup))


def value(dns: Dns, kind: FacetKind, name: str, subject: Subject = SUBJECT) -> str:
    return next(facet.value for facet in seen(dns, subject).facets if facet.key == (kind, name))


def test_all_that_is_compared() -> None:
    found = seen(GOOD)
    assert found.complete
    assert [(facet.kind.value, facet.name) for facet in found.facets] == [
        ("address", "mail.shop.test"),
        ("address", "mx.shop.test"),
        ("dkim", "s1._domainkey.shop.test"),
        ("dmarc", "_dmarc.shop.test"),
        ("ds", "shop.test"),
        ("mx", "shop.test"),
        ("ns", "shop.test"),
        ("ptr", "192.0.2.10"),
        ("soa", "shop.test"),
        ("spf", "shop.test"),
    ]
    assert all(facet.ttl == 3600 for facet in found.facets)


@pytest.mark.parametrize(
    "same",
    [
        {"shop.test TXT": ["other", "v=SPF1  include:esp.test   ip4:192.0.2.10 -all"]},
        {"shop.test MX": ["20 mx.esp.test", "10 mx.shop.test"]},
        {"shop.test NS": ["ns2.shop.test", "ns1.shop.test"]},
        {"shop.test SOA": ["ns1.shop.test host.shop.test 9999 7200 3600 1209600 3600"]},
        {"s1._domainkey.shop.test TXT": [f"v=DKIM1;k=rsa ; p={KEY[:40]} {KEY[40:]};"]},
        {"_dmarc.shop.test TXT": ["v=DMARC1;p=reject ;  rua=mailto:d@shop.test;sp=reject"]},
    ],
    ids=lambda same: next(iter(same)),
)
def test_writing_is_no_change(same: dict[str, list[str]]) -> None:
    assert seen(GOOD.but(**same)).facets == seen(GOOD).facets


def test_what_cannot_be_asked_is_no_facet() -> None:
    dark = replace(GOOD, fails={"s1._domainkey.shop.test TXT": DnsFailure.SERVFAIL, "esp.test TXT": DnsFailure.TIMEOUT})
    found = seen(dark)
    assert set(found.unanswered) == {(FacetKind.DKIM, "s1._domainkey.shop.test"), (FacetKind.SPF, "shop.test")}
    assert not {facet.key for facet in found.facets} & set(found.unanswered) and not found.complete


def test_what_is_not_there_is_empty() -> None:
    nothing = seen(Dns())
    assert nothing.complete and {facet.value for facet in nothing.facets} == {""}


def test_a_key() -> None:
    assert unpack(value(GOOD, FacetKind.DKIM, "s1._domainkey.shop.test")) | {"p": ()} == {"k": ("rsa",), "bits": ("1024",), "p": ()}
    tested = GOOD.but(**{"s1._domainkey.shop.test TXT": [f"v=DKIM1; t=y:s; h=sha256; p={KEY}"]})
    parts = unpack(value(tested, FacetKind.DKIM, "s1._domainkey.shop.test"))
    assert (parts["t"], parts["h"]) == (("y", "s"), ("sha256",))
    revoked = GOOD.but(**{"s1._domainkey.shop.test TXT": ["v=DKIM1; p="]})
    assert unpack(value(revoked, FacetKind.DKIM, "s1._domainkey.shop.test"))["state"] == ("revoked",)


def test_a_big_spf_tree_stays_small_and_still_tells_of_our_addresses() -> None:
    many = [f"ip4:203.0.{number // 64}.{4 * (number % 64)}" for number in range(MOST_NETWORKS + 5)]
    dns = GOOD.but(**{"shop.test TXT": ["v=spf1 include:big.test -all"], "big.test TXT": [" ".join(["v=spf1 ip4:192.0.2.0/24", *many])]})
    networks = unpack(value(dns, FacetKind.SPF, DOMAIN))["networks"]
    assert len(networks) == 2 and networks[0] == "192.0.2.0/24" and networks[1].startswith("digest:")
    other = dns.but(**{"big.test TXT": [" ".join(["v=spf1 ip4:192.0.2.0/24", *many[1:]])]})
    assert value(other, FacetKind.SPF, DOMAIN) != value(dns, FacetKind.SPF, DOMAIN)


def test_a_counted_down_ttl_is_not_taken_for_the_old_one() -> None:
    before = seen(GOOD).facets
    lower = seen(replace(GOOD, ttl=7), replace(SUBJECT, facets=before))
    assert lower.facets == before
    assert {facet.ttl for facet in seen(replace(GOOD, ttl=7)).facets} == {7}


def test_the_age_of_a_key() -> None:
    def facet(key: str, testing: bool = False) -> Facet:
        parts = {"p": (key,)} | ({"t": ("y",)} if testing else {})
        return Facet(FacetKind.DKIM, "s1._domainkey.shop.test", pack(parts) if key else "")

    first = ages((), [facet("aa")], NOW)
    assert first == (KeyAge(DOMAIN, "s1", "aa", NOW, None),)
    assert ages(first, [facet("aa", testing=True)], NOW + 5) == (KeyAge(DOMAIN, "s1", "aa", NOW, NOW + 5),)
    assert ages(first, [facet("")], NOW + 5) == first == ages(first, [], NOW + 5), "it may come back"
    assert ages(first, [facet("bb")], NOW + 5) == (KeyAge(DOMAIN, "s1", "bb", NOW + 5, None),)
    tested = ages(first, [facet("aa", testing=True)], NOW + 5)
    assert ages(tested, [facet("aa", testing=True)], NOW + 9) == tested


TEXT = st.text(min_size=1, max_size=20)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(TEXT, min_size=1, max_size=4), max_size=3))
def test_packing_keeps_what_is_told_apart(parts: dict[str, list[str]]) -> None:
    packed = pack(parts)
    assert packed.isprintable()
    assert {name: len(items) for name, items in unpack(packed).items()} == {name: len(items) for name, items in parts.items()}
    assert pack(unpack(packed)) == packed or "%" in packed


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=300), max_size=3))
def test_hostile_records_give_facets(texts: list[str]) -> None:
    names = ("shop.test TXT", "s1._domainkey.shop.test TXT", "_dmarc.shop.test TXT")
    found = seen(GOOD.but(**{name: ["v=spf1 " + text if name.startswith("shop") else text for text in texts] for name in names}))
    assert len(found.facets) + len(found.unanswered) == 10


def test_related() -> None:
    assert related("a.shop.test", DOMAIN) and related(DOMAIN, "a.shop.test") and related(DOMAIN, DOMAIN)
    assert not related("myshop.test", DOMAIN) and not related("test", DOMAIN) and not related("mx.esp.test", DOMAIN)


def test_holds() -> None:
    assert holds(["198.51.100.0/24", "2001:db8::/32"], "2001:db8::1") and holds(["192.0.2.10/32"], "192.0.2.10")
    assert not holds(["digest:00", "192.0.2.0/24"], "2001:db8::1") and not holds([], "192.0.2.1")


def test_selectors_elsewhere() -> None:
    subject = replace(SUBJECT, selectors=(Selector("mail.shop.test", "k"),))
    assert (FacetKind.DKIM, "k._domainkey.mail.shop.test") in {facet.key for facet in seen(GOOD, subject).facets}


@pytest.mark.parametrize(
    ("fails", "known", "unanswered"),
    [({}, True, False), ({"_dmarc.shop.test TXT": DnsFailure.TIMEOUT}, False, True)],
)
def test_a_host_of_the_same_organization_is_ours(fails: dict[str, DnsFailure], known: bool, unanswered: bool) -> None:
    sibling = (FacetKind.ADDRESS, "mail.shop.test")
    found = seen(replace(GOOD, fails=fails), replace(SUBJECT, domain="orders.shop.test", envelope=()))
    assert (sibling in {facet.key for facet in found.facets}, sibling in found.unanswered) == (known, unanswered)
