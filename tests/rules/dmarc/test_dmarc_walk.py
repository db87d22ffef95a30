"""The tree walk (RFC 9989 section 4.10) and the public suffix list (RFC 7489): whose policy applies, and who is the organization."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import DnsFailure
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc import Discovery, discover, organizational, shadow_discover, walk
from monitor.rules.mailauth.dmarc.discover import MOST_QUERIES, targets
from tests.rules.inspect.worlds import Dns, World

R = "v=DMARC1; p=reject"
LONG = "a.b.c.d.e.f.g.h.i.j.mail.example.com"


def zone(**records: str) -> World:
    """`mail_example_com="p=reject"`: the record at _dmarc.mail.example.com."""
    stands = {f"_dmarc.{name.replace('_', '.')} TXT": [f"v=DMARC1; {text}"] for name, text in records.items()}
    return World(Dns({**stands, "a.mail.example.com A": ["192.0.2.1"]}))


def found(world: World, domain: str) -> Discovery:
    return world.asked(lambda lookup: discover(lookup, domain))


def test_the_names_of_a_long_walk() -> None:
    """The example of section 4.10."""
    assert targets(LONG) == (
        LONG,
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    )


@pytest.mark.parametrize(("labels", "queries"), [(1, 1), (2, 2), (7, 7), (8, 8), (9, 8), (60, 8)])
def test_at_most_eight_names_and_all_in_one_round(labels: int, queries: int) -> None:
    domain = ".".join(["x"] * labels)
    assert len(targets(domain)) == queries <= MOST_QUERIES
    lookup = Lookup({})
    discover(lookup, domain)
    assert len([one for one in lookup.wanted if one.name.startswith("_dmarc.")]) == queries


@pytest.mark.parametrize(
    ("world", "domain", "expected"),
    [
        # The examples of section 4.10.2.
        (zone(mail_example_com="p=none", example_com="p=reject"), "a.mail.example.com", "example.com"),
        (zone(mail_example_com="p=none; psd=n", example_com="p=reject"), "a.mail.example.com", "mail.example.com"),
        (zone(com="p=none; psd=y"), "a.mail.example.com", "example.com"),
        # And around them.
        (zone(), "a.mail.example.com", "a.mail.example.com"),
        (zone(example_com="p=none"), "example.com", "example.com"),
        (zone(com="p=none"), "a.mail.example.com", "com"),
        (zone(com="p=none; psd=y", example_com="p=none"), "a.mail.example.com", "example.com"),
        (zone(com="p=none; psd=y", mail_example_com="p=none"), "a.mail.example.com", "example.com"),
        (zone(example_com="p=none; psd=y"), "example.com", "example.com"),
        (zone(example_com="p=none; psd=y"), "mail.example.com", "mail.example.com"),
        (zone(example_com="p=none; psd=y", com="p=none; psd=y"), "example.com", "example.com"),
        (zone(example_com="p=none; psd=n", com="p=none"), "example.com", "example.com"),
        (zone(com="p=none; psd=y"), LONG, "example.com"),
        (zone(a_mail_example_com="p=none", example_com="p=none; psd=u"), "a.mail.example.com", "example.com"),
    ],
)
def test_the_organizational_domain(world: World, domain: str, expected: str) -> None:
    assert world.asked(lambda lookup: organizational(lookup, domain)) == expected
    assert found(world, domain).organizational == expected


@pytest.mark.parametrize(
    ("world", "domain", "at", "policy"),
    [
        (zone(mail_example_com="p=quarantine; sp=none", example_com="p=reject"), "mail.example.com", "mail.example.com", "quarantine"),
        (zone(example_com="p=reject; sp=quarantine"), "a.mail.example.com", "example.com", "quarantine"),
        (zone(example_com="p=reject; sp=quarantine; np=none"), "a.mail.example.com", "example.com", "quarantine"),
        (zone(example_com="p=reject; sp=quarantine; np=none"), "gone.example.com", "example.com", "none"),
        (zone(example_com="p=quarantine; np=reject"), "a.mail.example.com", "example.com", "quarantine"),
        (zone(example_com="p=quarantine"), "gone.example.com", "example.com", "quarantine"),
        (zone(com="p=none; psd=y; sp=reject"), "a.mail.example.com", "com", "reject"),
        (zone(com="p=reject; psd=y", example_com="p=none"), "a.mail.example.com", "example.com", "none"),
        # Between the author domain and the organizational one nothing applies.
        (zone(mail_example_com="p=none", example_com="p=reject"), "a.mail.example.com", "example.com", "reject"),
        # What the public suffix says does not count for an organization with a record of its own.
        (zone(com="p=reject; psd=y", mail_example_com="p=none"), "a.mail.example.com", "com", "reject"),
    ],
)
def test_the_policy_that_applies(world: World, domain: str, at: str, policy: str) -> None:
    result = found(world, domain)
    assert (result.at, result.policy, result.unknown) == (at, policy, "")


def test_nothing_applies() -> None:
    result = found(zone(), "a.mail.example.com")
    assert result.record is None
    assert (result.at, result.policy, result.unknown, result.fault) == ("", "", "", "")
    assert len(result.walked) == 4


@pytest.mark.parametrize(("policy", "applied"), [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")])
def test_testing_lowers_by_one(policy: str, applied: str) -> None:
    result = found(zone(example_com=f"p={policy}; t=y"), "example.com")
    assert (result.policy, result.applied) == (policy, applied)


def test_several_records_are_none() -> None:
    world = World(Dns({"_dmarc.mail.example.com TXT": [R, R], "_dmarc.example.com TXT": [R, "v=spf1 -all", "v=dmarc1; p=none"]}))
    assert found(world, "mail.example.com").at == "example.com"
    alone = World(Dns({"_dmarc.example.com TXT": [R, R]}))
    assert found(alone, "example.com").record is None
    assert "2 records" in found(alone, "example.com").fault


def test_a_record_that_counts_as_none() -> None:
    result = found(zone(example_com="p=monitor"), "example.com")
    assert (result.record, result.at, bool(result.fault)) == (None, "example.com", True)


def test_the_walk_stops_where_psd_is_said() -> None:
    world = zone(example_com="p=none; psd=n", com="p=none")
    assert found(world, "a.example.com").walked == ("_dmarc.a.example.com", "_dmarc.example.com")
    above = World(replace(world.dns, fails={"_dmarc.com TXT": DnsFailure.SERVFAIL}))
    assert not found(above, "a.example.com").unknown


@pytest.mark.parametrize("failure", [one for one in DnsFailure if one is not DnsFailure.PENDING])
def test_a_name_without_answer_is_said(failure: DnsFailure) -> None:
    world = World(replace(zone(example_com="p=reject").dns, fails={"_dmarc.example.com TXT": failure}))
    result = found(world, "mail.example.com")
    assert result.record is None
    assert "_dmarc.example.com" in result.unknown


def test_a_pending_walk_says_that_it_is_not_known() -> None:
    result = discover(Lookup({}), "mail.example.com")
    assert (result.record, result.organizational, bool(result.unknown)) == (None, "mail.example.com", True)


def test_existence_matters_where_np_does() -> None:
    dns = zone(example_com="p=reject; np=none").dns
    assert found(World(replace(dns, fails={"gone.example.com SOA": DnsFailure.TIMEOUT})), "gone.example.com").unknown
    without = zone(example_com="p=reject").dns
    assert not found(World(replace(without, fails={"gone.example.com SOA": DnsFailure.TIMEOUT})), "gone.example.com").unknown


def shadowed(world: World, domain: str) -> Discovery:
    return world.asked(lambda lookup: shadow_discover(lookup, domain, world))


@pytest.mark.parametrize(
    ("world", "domain", "at", "organization", "policy"),
    [
        (zone(example_com="p=reject; sp=none; np=reject; t=y"), "a.mail.example.com", "example.com", "example.com", "none"),
        (zone(example_com="p=reject; t=y"), "example.com", "example.com", "example.com", "reject"),
        (zone(mail_example_com="p=none; psd=n", example_com="p=reject"), "a.mail.example.com", "example.com", "example.com", "reject"),
        (zone(com="p=reject; psd=y"), "example.com", "", "example.com", ""),
        (zone(shop_co_uk="p=none"), "a.shop.co.uk", "shop.co.uk", "shop.co.uk", "none"),
        (zone(co_uk="p=reject"), "co.uk", "co.uk", "co.uk", "reject"),
    ],
)
def test_by_the_public_suffix_list(world: World, domain: str, at: str, organization: str, policy: str) -> None:
    result = shadowed(world, domain)
    assert (result.at, result.organizational, result.policy, result.unknown) == (at, organization, policy, "")


def test_by_the_list_only_what_matters_has_to_answer() -> None:
    dns = zone(mail_example_com="p=none").dns
    assert not shadowed(World(replace(dns, fails={"_dmarc.example.com TXT": DnsFailure.TIMEOUT})), "mail.example.com").unknown
    assert shadowed(World(replace(dns, fails={"_dmarc.mail.example.com TXT": DnsFailure.TIMEOUT})), "mail.example.com").unknown


LABELS = st.lists(st.sampled_from(["a", "b", "mail", "example"]), max_size=12)
TEXTS = st.sampled_from(["p=none", "p=reject; psd=n", "p=reject; psd=y", "p=x", "p=reject; sp=none; np=none; t=y"])


@pytest.mark.hostile
@given(LABELS, st.dictionaries(st.integers(0, 12), TEXTS, max_size=6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_tree(labels: list[str], texts: dict[int, str]) -> None:
    """The organization is the domain or above it; what applies stands on the walk; the same answers give the same again."""
    domain = ".".join([*labels, "com"])
    parts = domain.split(".")
    world = World(Dns({f"_dmarc.{'.'.join(parts[at:])} TXT": [f"v=DMARC1; {text}"] for at, text in texts.items() if at < len(parts)}))
    result = found(world, domain)
    assert domain == result.organizational or domain.endswith("." + result.organizational)
    assert not result.at or f"_dmarc.{result.at}" in result.walked
    assert result == found(world, domain)
    assert len(result.walked) == len(world.asked(lambda lookup: walk(lookup, domain)).steps)
