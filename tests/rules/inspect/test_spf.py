"""SPF-01 to SPF-20: each in a world where it passes, where it fails or warns, and where nobody can tell; and what the mends say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import Answer, DnsFailure
from monitor.model.inspection import SeenMail, Subject
from monitor.model.mail import AuthResult
from monitor.model.mailauth import DeliveredMail, DmarcProof, Hop, MailProof, SignatureProof, SignatureState
from monitor.rules.inspect.spf import CHECKS, MOST_RESULTS, judge
from monitor.rules.inspect.untested import untested
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds, statuses

RECORD = "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 mx include:_spf.relay.test -all"
ZONE = {
    "shop.test TXT": [RECORD],
    "shop.test MX": ["10 mx.shop.test"],
    "mx.shop.test A": ["198.51.100.20"],
    "mx.shop.test AAAA": ["2001:db8:1::20"],
    "mx.shop.test TXT": ["v=spf1 -all"],
    "_spf.relay.test TXT": ["v=spf1 ip4:203.0.113.0/28 ~all"],
    "out.shop.test TXT": ["v=spf1 a -all"],
    "out.shop.test A": ["192.0.2.10"],
    "out.shop.test AAAA": ["2001:db8::10"],
}
DAY = 86_400.0
MAIL = DeliveredMail(author_domains=(DOMAIN,), border=Hop(address="192.0.2.10"))
ALIGNED = MailProof(AuthResult.PASS, DOMAIN, "192.0.2.10", dmarc=DmarcProof(AuthResult.PASS, spf_aligned=True, dkim_aligned=True))
SEEN = SeenMail("app-gmail", "gmail", "seed", MAIL, ALIGNED, NOW - 60, NOW - 55)
SUBJECT = Subject(
    DOMAIN,
    NOW,
    egress=("192.0.2.10", "2001:db8::10"),
    declared=True,
    observed=(("192.0.2.10", NOW - 60), ("2001:db8::10", NOW - 60)),
    watched_since=NOW - 90 * DAY,
    helo=("out.shop.test",),
    mails=(SEEN,),
)
GOOD = World(Dns(ZONE), SUBJECT)
DARK = World(Dns(ZONE, {"shop.test TXT": DnsFailure.TIMEOUT}), replace(SUBJECT, helo=()))
RELAY_DARK = World(Dns(ZONE, {"_spf.relay.test TXT": DnsFailure.SERVFAIL}), SUBJECT)


def zone(**changed: Sequence[str] | None) -> World:
    """The good world with these TXT records; names are written with _ for the dots: shop_test, and relay for _spf.relay.test."""
    names = {"relay": "_spf.relay.test"}
    return replace(GOOD, dns=GOOD.dns.but(**{f"{names.get(key, key.replace('_', '.'))} TXT": value for key, value in changed.items()}))


def record(*texts: str) -> World:
    return zone(shop_test=texts)


def more(world: World, **records: Sequence[str] | None) -> World:
    return replace(world, dns=world.dns.but(**{key.replace("__", " ").replace("_", "."): value for key, value in records.items()}))


def slow(seconds: float) -> World:
    def late(answer: Answer) -> Answer:
        return replace(answer, seconds=seconds)

    return replace(GOOD, dns=replace(GOOD.dns, changed=late))


def flaky(answer: Answer) -> Answer:
    return replace(answer, resolvers_failed=1) if answer.question.name == "_spf.relay.test" else answer


def mails(*seen: SeenMail, **changed: object) -> World:
    return replace(GOOD, subject=replace(SUBJECT, mails=seen, **changed))  # type: ignore[arg-type]


def proved(**changed: object) -> SeenMail:
    return replace(SEEN, proof=replace(ALIGNED, **changed))  # type: ignore[arg-type]


UNREAD = replace(SEEN, mail=DeliveredMail(header_cut=True, truncated=True))
EXCHANGES = [f"{number} mx{number}.shop.test" for number in range(11)]
MX_DARK = World(Dns(ZONE, {"shop.test MX": DnsFailure.TIMEOUT}), SUBJECT)

ROWS: dict[CheckId, Row] = {
    CheckId.SPF_01: Row(GOOD, record("v=spf10 ip4:192.0.2.10 -all"), DARK),
    CheckId.SPF_02: Row(GOOD, record(RECORD, "V=SPF1 -all"), DARK),
    CheckId.SPF_03: Row(GOOD, record("v=spf1 ip4:192.0.2.10 -all ipv4:192.0.2.11"), RELAY_DARK),
    CheckId.SPF_04: Row(GOOD, record("v=spf1 ip4:192.0.2.10 " + "mx " * 11 + "-all"), RELAY_DARK),
    CheckId.SPF_05: Row(GOOD, record("v=spf1 ip4:192.0.2.10 a:no1.test.shop.test a:no2.shop.test a:no3.shop.test -all"), MX_DARK),
    CheckId.SPF_06: Row(GOOD, more(GOOD, shop_test__MX=EXCHANGES), MX_DARK),
    CheckId.SPF_07: Row(GOOD, record("v=spf1 ip4:192.0.2.11 mx ~all"), DARK),
    CheckId.SPF_08: Row(GOOD, mails(SEEN, observed=(("192.0.2.99", NOW),)), mails(UNREAD, observed=())),
    CheckId.SPF_09: Row(GOOD, record("v=spf1 ip4:192.0.2.10 ?all"), DARK),
    CheckId.SPF_10: Row(GOOD, record("v=spf1 ip4:192.0.0.0/15 -all"), RELAY_DARK),
    CheckId.SPF_11: Row(GOOD, record("v=spf1 ip4:192.0.2.10 ptr -all"), RELAY_DARK),
    CheckId.SPF_12: Row(GOOD, zone(relay=None), RELAY_DARK),
    CheckId.SPF_13: Row(GOOD, record("v=spf1 " + " ".join(f"ip4:198.51.100.{number}" for number in range(40)) + " -all"), DARK),
    CheckId.SPF_14: Row(GOOD, record("v=spf1 -all ip4:192.0.2.10"), World(Dns(ZONE, {"shop.test SPF": DnsFailure.SERVFAIL}), SUBJECT)),
    CheckId.SPF_15: Row(
        GOOD,
        mails(proved(dmarc=DmarcProof(AuthResult.FAIL))),
        mails(proved(spf=AuthResult.TEMPERROR)),
    ),
    CheckId.SPF_16: Row(GOOD, zone(out_shop_test=["v=spf1 -all"]), World(Dns(ZONE, {"out.shop.test TXT": DnsFailure.TIMEOUT}), SUBJECT)),
    CheckId.SPF_17: Row(GOOD, zone(mx_shop_test=None), MX_DARK),
    CheckId.SPF_18: Row(GOOD, slow(8.0), DARK),
    CheckId.SPF_19: Row(GOOD, record("v=spf1 exists:%{p}.shop.test -all"), RELAY_DARK),
    CheckId.SPF_20: Row(GOOD, replace(GOOD, dns=replace(GOOD.dns, changed=flaky)), RELAY_DARK),
}


@pytest.mark.parametrize("check", ROWS)
def test_three_worlds(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def of(world: World, check: CheckId) -> list[CheckResult]:
    return [result for result in world.checked(judge) if result.check is check]


def line(text: str) -> str:
    return f'shop.test. 3600 IN TXT "{text}"'


def one(world: World, check: CheckId, about: str = "") -> CheckResult:
    """The one bad result of this check."""
    (result,) = [result for result in of(world, check) if result.is_bad and about in result.about]
    return result


def test_every_check_says_something_in_every_world() -> None:
    worlds = [GOOD, DARK, RELAY_DARK, World(), *(world for row in ROWS.values() for world in (row.failing, row.unknown))]
    for world in worlds:
        results = world.checked(judge)
        assert {result.check for result in results} == set(CHECKS)
        keys = [(result.check, result.about) for result in results]
        assert len(keys) == len(set(keys))


def test_a_good_world_has_no_findings() -> None:
    assert [result for result in GOOD.checked(judge) if result.is_finding] == []


def test_nobody_is_blamed_for_a_resolver_that_fails() -> None:
    failures = [DnsFailure.TIMEOUT, DnsFailure.SERVFAIL, DnsFailure.REFUSED, DnsFailure.TRUNCATED, DnsFailure.BOGUS]
    for failure in failures:
        world = World(Dns(ZONE, {f"{name} *": failure for name in ("shop.test", "out.shop.test", "_spf.relay.test")}), SUBJECT)
        assert not [result for result in world.checked(judge) if result.is_bad]


def test_no_record_is_told_with_the_record_to_publish() -> None:
    world = record()
    assert one(world, CheckId.SPF_01).publish == 'shop.test. 3600 IN TXT "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"'
    assert {result.status for result in of(world, CheckId.SPF_07) if result.is_bad} == {Status.FAIL}
    assert statuses(world.checked(judge), CheckId.SPF_03) == {Status.SKIP}


def test_learned_addresses_may_not_be_all() -> None:
    world = replace(record(), subject=replace(SUBJECT, declared=False))
    assert one(world, CheckId.SPF_01).publish == line("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ~all")


def test_near_misses_are_shown() -> None:
    found = one(record("v=spf10 ip4:192.0.2.10 -all"), CheckId.SPF_01)
    assert found.gravity is Gravity.CRITICAL and "v=spf10" in found.saw


def test_the_helo_name_only_warns() -> None:
    found = one(zone(out_shop_test=None), CheckId.SPF_01, "out.shop.test")
    assert (found.status, found.gravity) == (Status.WARN, Gravity.WARNING)
    dark = World(Dns(ZONE, {"out.shop.test TXT": DnsFailure.TIMEOUT}), SUBJECT)
    assert one(zone(out_shop_test=["v=spf1 a -all"] * 2), CheckId.SPF_02).gravity is Gravity.WARNING
    (unknown,) = [result for result in of(dark, CheckId.SPF_01) if result.status is Status.UNKNOWN]
    assert unknown.gravity is Gravity.WARNING


def test_sender_id_is_told() -> None:
    assert "Sender ID" in one(record(RECORD, "spf2.0/pra -all"), CheckId.SPF_01).saw


def test_two_records_are_merged() -> None:
    found = one(record("v=spf1 ip4:192.0.2.10 ~all", "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 redirect=_spf.relay.test"), CheckId.SPF_02)
    assert found.publish == line("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.relay.test ~all")


@pytest.mark.parametrize(
    "texts",
    [
        [
            "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 " + "mx a " * 3 + "-all",
            "v=spf1 " + " ".join(f"a:h{n}.shop.test" for n in range(10)) + " -all",
        ],
        ["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all", "v=spf1 -ip4:198.51.100.7 ip4:198.51.100.0/24 -all"],
        ["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all", "v=spf1 ip4:198.51.100.300 -all"],
        ["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all", "v=spf1 include:none.test -all"],
    ],
    ids=["more than ten terms", "a term that refuses", "a faulty sender", "an include that leads nowhere"],
)
def test_records_that_cannot_be_merged_blindly(texts: list[str]) -> None:
    world = record(*texts)
    world = replace(world, dns=world.dns.but(**{f"h{number}.shop.test A": ["198.51.100.20"] for number in range(10)}))
    assert one(world, CheckId.SPF_02).publish == ""


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("v=spf1 ip4:192.0.2.10 -all ipv4:192.0.2.11", ["ip4 or ip6 is meant"]),
        ("v=spf1 ipv4:198.51.100.1 -all", ["ip4 or ip6 is meant"]),
        ("v=spf1 ip4:192.0.2.10 ip4:10.0.0.256 inlcude:_spf.relay.test -all", ["10.0.0.256", "inlcude"]),
    ],
)
def test_every_fault_is_named_and_no_sender_is_thrown_away(text: str, faults: list[str]) -> None:
    world = record(text)
    found = one(world, CheckId.SPF_03)
    assert all(fault in found.saw and fault in found.mend for fault in faults)
    assert not any(result.publish for result in world.checked(judge))


def test_a_fault_in_an_included_record_names_its_owner() -> None:
    found = one(zone(relay=["v=spf1 ip4:203.0.113.300 ~all"]), CheckId.SPF_03)
    assert found.about == "_spf.relay.test" and not found.publish


@pytest.mark.parametrize(
    ("terms", "status"), [(6, Status.PASS), (7, Status.PASS), (8, Status.WARN), (10, Status.WARN), (11, Status.FAIL), (12, Status.FAIL)]
)
def test_dns_terms_of_the_whole_tree(terms: int, status: Status) -> None:
    """Also when all our addresses match early."""
    nested = ["v=spf1 " + "a:mx.shop.test " * (terms - 1) + "-all"]
    world = record("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.relay.test -all")
    world = replace(world, dns=world.dns.but(**{"_spf.relay.test TXT": nested}))
    (result,) = of(world, CheckId.SPF_04)
    assert result.status is status and f"include:_spf.relay.test {terms}" in result.saw
    assert statuses(world.checked(judge), CheckId.SPF_07) == {Status.PASS}


def test_more_than_ten_terms_is_a_failure_even_where_a_branch_is_dark() -> None:
    world = World(Dns({**ZONE, "shop.test TXT": [RECORD.replace("mx", "mx " * 11)]}, {"_spf.relay.test TXT": DnsFailure.TIMEOUT}), SUBJECT)
    assert statuses(world.checked(judge), CheckId.SPF_04) == {Status.FAIL}


@pytest.mark.parametrize(("names", "status"), [(1, Status.WARN), (2, Status.WARN), (3, Status.FAIL)])
def test_void_lookups(names: int, status: Status) -> None:
    world = record("v=spf1 ip4:192.0.2.10 " + " ".join(f"a:no{number}.shop.test" for number in range(names)) + " -all")
    assert statuses(world.checked(judge), CheckId.SPF_05) == {status}


def test_exists_for_strangers_is_no_void_lookup() -> None:
    world = record("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 exists:%{i}._in.shop.test -all")
    assert statuses(world.checked(judge), CheckId.SPF_05) == {Status.PASS}


def test_an_unauthorised_address_gets_the_record_to_publish() -> None:
    world = record("v=spf1 ip6:2001:db8::10 include:_spf.relay.test ~all")
    found = one(world, CheckId.SPF_07)
    assert found.about == "shop.test from 192.0.2.10" and found.gravity is Gravity.CRITICAL
    assert found.publish == line("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.relay.test ~all")


PROPOSED = {
    "v=spf1 -all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all",
    "v=spf1 ip6:2001:db8::10 -ip4:192.0.2.0/24 -all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -ip4:192.0.2.0/24 -all",
    "v=spf1 -ip4:192.0.2.10 ~all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -ip4:192.0.2.10 ~all",
    "v=spf1 mx redirect=_spf.relay.test": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 mx redirect=_spf.relay.test",
    "v=spf1 redirect=_spf.open.test": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.open.test ~all",
    "v=spf1 ip4:192.0.2.10 ?all ip4:198.51.100.1": "v=spf1 ip6:2001:db8::10 ip4:192.0.2.10 ~all",
    "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all -all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all",
    "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ~all ip4:192.0.2.10": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ~all",
    "v=spf1 ip4:198.51.100.7 ~all ip4:198.51.100.7": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ip4:198.51.100.7 ~all",
    "v=spf1 ip4:192.0.2.10 -all exp=e.test ip6:2001:db8::10": "v=spf1 ip6:2001:db8::10 ip4:192.0.2.10 -all exp=e.test",
    "v=spf1 " + "mx " * 11 + "-all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 mx -all",
    "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 +all": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ~all",
    "v=spf1 redirect=%{l}.test mx": "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 redirect=%{l}.test mx",
    # where no line can be made
    "v=spf1 -ip4:192.0.2.0/24 -ip6:2001:db8::/32 a:no1.test a:no2.test a:no3.test -all": "",
    "v=spf1 redirect=none.test": "",
    "v=spf1 include:none.test -all": "",
    "v=spf1 include:_spf.all.test ?all": "",
    "v=spf1 a:no1.test a:no2.test a:no3.test -all": "",
    "v=spf1 ip4:192.0.2.0/24 -all": "",
    "v=spf1 -ip4:192.0.2.0/24 -ip6:2001:db8::/32 " + " ".join(f"a:mx.shop.test/{bits}" for bits in range(22, 33)) + " -all": "",
    "v=spf1 " + " ".join(f"a:h{number}.shop.test" for number in range(11)) + " -all": "",
}


def world_of(text: str, subject: Subject = SUBJECT) -> World:
    others = {
        "_spf.open.test TXT": ["v=spf1 ip4:203.0.113.7"],
        "postmaster.test TXT": ["v=spf1 ?all"],
        "_spf.all.test TXT": ["v=spf1 +all"],
    }
    hosts = {f"h{number}.shop.test A": ["198.51.100.20"] for number in range(11)}
    world = record(text)
    return replace(world, dns=world.dns.but(**others, **hosts), subject=subject)


@pytest.mark.parametrize("text", PROPOSED)
def test_all_findings_about_a_name_propose_the_same_record(text: str) -> None:
    """With it in place they are gone, and there are no others."""
    found = [result for result in world_of(text).checked(judge) if result.is_bad]
    mended = PROPOSED[text]
    assert {result.publish for result in found if result.publish} == ({line(mended)} if mended else set())
    if mended:
        assert [result for result in world_of(mended).checked(judge) if result.is_bad] == []


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("v=spf1 redirect=_spf.open.test", ""),
        ("v=spf1 mx ?all", ""),
        ("v=spf1 +all", ""),
        ("v=spf1 mx -all -all", "v=spf1 mx -all"),
    ],
)
def test_without_sending_addresses_the_policy_stays(text: str, mended: str) -> None:
    world = world_of(text, replace(SUBJECT, egress=(), declared=False))
    assert {result.publish for result in world.checked(judge) if result.is_bad} - {""} == ({line(mended)} if mended else set())


def test_hosts_without_ipv6_are_no_fault_where_all_mail_leaves_over_ipv4() -> None:
    world = world_of("v=spf1 a:h1.shop.test a:h2.shop.test a:h3.shop.test ?all", replace(SUBJECT, egress=("192.0.2.10",)))
    assert one(world, CheckId.SPF_09).publish == line("v=spf1 ip4:192.0.2.10 a:h1.shop.test a:h2.shop.test a:h3.shop.test ~all")


def test_a_name_that_cannot_be_asked_for_makes_no_record() -> None:
    world = replace(RELAY_DARK, dns=RELAY_DARK.dns.but(**{"shop.test TXT": ["v=spf1 include:_spf.relay.test -all mx"]}))
    found = one(world, CheckId.SPF_14)
    assert not found.publish


def test_nothing_is_published_beside_a_cname() -> None:
    world = record()
    world = replace(
        world, dns=replace(world.dns, aliases={"em.shop.test": "esp.test"}), subject=replace(SUBJECT, envelope=("em.shop.test",))
    )
    found = one(world, CheckId.SPF_01, "em.shop.test")
    assert not found.publish and "esp.test" in found.mend
    assert not any(result.publish for result in world.checked(judge) if "em.shop.test" in result.about)


def test_a_helo_name_gets_the_addresses_that_use_it() -> None:
    for world in (zone(out_shop_test=None), zone(out_shop_test=["v=spf1 -all"])):
        published = {result.publish for result in world.checked(judge) if result.is_bad}
        assert published == {'out.shop.test. 3600 IN TXT "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"'}
    several = replace(zone(out_shop_test=None), subject=replace(SUBJECT, helo=("out.shop.test", "out2.shop.test")))
    assert not any(result.publish for result in several.checked(judge))


def test_a_long_record_is_published_in_strings_of_255() -> None:
    text = "v=spf1 " + " ".join(f"ip4:198.51.100.{number}" for number in range(30)) + " -all"
    published = one(record(text), CheckId.SPF_07, "192.0.2.10").publish
    strings = published.partition(" TXT ")[2].strip('"').split('" "')
    assert len(strings) > 1 and all(len(string) <= 255 for string in strings)
    assert "".join(strings) == text.replace("v=spf1", "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10")


def test_a_stranger_that_passes() -> None:
    found = one(record("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::10 -all"), CheckId.SPF_07)
    assert "192.0.2.1 (a stranger)" in found.about and "ip4:192.0.2.0/24" in found.saw


@pytest.mark.parametrize(
    "texts", [["v=spf1 ip4:192.0.2.10 -all"], ["v=spf1 ip4:192.0.2.10 -all", "v=spf1 mx -all"], ["v=spf1 ipv4:1 -all"]]
)
def test_without_addresses_a_refused_stranger_is_no_pass(texts: list[str]) -> None:
    """Otherwise a provider's demand for SPF would count as met, and nobody would be asked for --egress."""
    world = World(Dns({**ZONE, "shop.test TXT": texts}), replace(SUBJECT, egress=()))
    results = [result for result in world.checked(judge) if result.check is CheckId.SPF_07]
    assert {result.status for result in results} <= {Status.SKIP} and CheckId.SPF_07 in untested(results)


def test_a_documentation_address_that_is_declared_is_no_stranger() -> None:
    world = replace(record("v=spf1 ip4:192.0.2.1 -all"), subject=replace(SUBJECT, egress=("192.0.2.1",)))
    assert statuses(world.checked(judge), CheckId.SPF_07) == {Status.PASS}


def test_without_sending_addresses_it_is_said_how_to_give_them() -> None:
    world = replace(GOOD, subject=replace(SUBJECT, egress=(), declared=False))
    assert any("--egress" in result.saw for result in of(world, CheckId.SPF_07) if result.status is Status.SKIP)


def test_declared_and_never_seen() -> None:
    world = mails(SEEN, observed=(("192.0.2.10", NOW),))
    assert one(world, CheckId.SPF_08).about == "2001:db8::10"
    young = mails(SEEN, observed=(("192.0.2.10", NOW),), watched_since=NOW - DAY)
    assert statuses(young.checked(judge), CheckId.SPF_08) == {Status.PASS}


def test_a_new_pool_is_authorised_only_when_it_is_declared() -> None:
    found = one(mails(SEEN, observed=(("192.0.2.99", NOW),), watched_since=None), CheckId.SPF_08)
    assert found.status is Status.FAIL and "eclare" in found.mend and not found.publish


@pytest.mark.parametrize(
    ("policy", "status", "gravity"),
    [
        ("-all", Status.PASS, Gravity.INFO),
        ("~all", Status.INFO, Gravity.INFO),
        ("?all", Status.FAIL, Gravity.ERROR),
        ("", Status.FAIL, Gravity.ERROR),
        ("+all", Status.FAIL, Gravity.CRITICAL),
        ("ALL", Status.FAIL, Gravity.CRITICAL),
        ("redirect=_spf.relay.test", Status.INFO, Gravity.INFO),
    ],
)
def test_policy(policy: str, status: Status, gravity: Gravity) -> None:
    (result,) = of(record(f"v=spf1 ip4:192.0.2.10 {policy}"), CheckId.SPF_09)
    assert (result.status, result.gravity) == (status, gravity)
    if status is Status.FAIL:
        assert result.publish == line("v=spf1 ip6:2001:db8::10 ip4:192.0.2.10 ~all")


@pytest.mark.parametrize(
    ("redirect", "target", "status"),
    [
        ("_spf.%{d}", "v=spf1 -all", Status.PASS),
        ("_spf.%{d}", "v=spf1 ~all", Status.INFO),
        ("_spf.%{d}", "v=spf1 ?all", Status.FAIL),
        ("_spf.%{d}", "v=spf1 redirect=_spf.relay.test", Status.INFO),
        ("%{i}._spf.%{d}", "v=spf1 -all", Status.INFO),
        ("%{l}._spf.%{d}", "v=spf1 ?all", Status.INFO),
        ("_spf.relay.test", "", Status.INFO),
    ],
)
def test_policy_of_a_redirect(redirect: str, target: str, status: Status) -> None:
    """Macros are evaluated; what depends on the client has no policy for everybody."""
    world = record(f"v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 redirect={redirect}")
    for name in ("_spf.shop.test", "192.0.2.1._spf.shop.test", "postmaster._spf.shop.test"):
        world = replace(world, dns=world.dns.but(**{f"{name} TXT": [target]}))
    (result,) = of(world, CheckId.SPF_09)
    assert result.status is status
    dark = replace(
        world, dns=replace(world.dns, fails={"_spf.shop.test TXT": DnsFailure.TIMEOUT, "_spf.relay.test TXT": DnsFailure.TIMEOUT})
    )
    if redirect in ("_spf.%{d}", "_spf.relay.test"):
        assert [result.status for result in of(dark, CheckId.SPF_09)] == [Status.UNKNOWN]


@pytest.mark.parametrize(
    ("network", "status"),
    [
        ("ip4:10.0.0.0/16", Status.PASS),
        ("ip4:10.0.0.0/15", Status.WARN),
        ("ip4:10.0.0.0/8", Status.FAIL),
        ("ip6:2001:db8::/32", Status.PASS),
        ("ip6:2001:db8::/31", Status.WARN),
        ("a:mx.shop.test/12", Status.WARN),
    ],
)
def test_width(network: str, status: Status) -> None:
    assert statuses(record(f"v=spf1 {network} -all").checked(judge), CheckId.SPF_10) == {status}


def test_a_known_providers_networks_may_be_broad() -> None:
    world = record("v=spf1 include:_spf.google.com -all")
    world = replace(world, dns=world.dns.but(**{"_spf.google.com TXT": ["v=spf1 ip4:10.0.0.0/12 ~all"]}))
    assert statuses(world.checked(judge), CheckId.SPF_10) == {Status.PASS}


def test_a_target_that_does_not_exist_can_be_registered() -> None:
    found = one(zone(relay=None), CheckId.SPF_12)
    assert found.gravity is Gravity.CRITICAL and "registers" in found.saw


def test_loops_and_doubles() -> None:
    assert "leads back" in one(zone(relay=["v=spf1 include:shop.test -all"]), CheckId.SPF_12).saw
    assert one(record("v=spf1 include:_spf.relay.test include:_spf.relay.test -all"), CheckId.SPF_12).status is Status.WARN


@pytest.mark.parametrize(("others", "status"), [(1, Status.PASS), (2, Status.WARN)])
def test_size_of_the_answer(others: int, status: Status) -> None:
    """Of its texts: what our resolvers sent may hold signatures that others do not ask for."""

    def signed(answer: Answer) -> Answer:
        return replace(answer, size=900, truncated=True)

    world = record(RECORD, *(f"verification={number}" + "x" * 200 for number in range(others)))
    world = replace(world, dns=replace(world.dns, changed=signed), subject=replace(SUBJECT, helo=()))
    (found,) = of(world, CheckId.SPF_13)
    assert found.status is status and (status is Status.PASS or "564 octets" in found.saw)


def test_dead_terms() -> None:
    found = one(record("v=spf1 ip4:192.0.2.10 -all mx redirect=_spf.relay.test"), CheckId.SPF_14)
    assert "mx redirect=" in found.saw and found.publish == line("v=spf1 ip6:2001:db8::10 ip4:192.0.2.10 -all")
    typed = replace(GOOD, dns=GOOD.dns.but(**{"shop.test SPF": ["v=spf1 -all"]}))
    assert "type 99" in one(typed, CheckId.SPF_14).saw


def test_alignment() -> None:
    other = proved(dmarc=DmarcProof(AuthResult.PASS, dkim_aligned=True), spf_domain="bounces.relay.test")
    assert one(mails(other), CheckId.SPF_15).status is Status.WARN
    failing = one(mails(proved(dmarc=DmarcProof(AuthResult.FAIL))), CheckId.SPF_15)
    assert (failing.status, failing.gravity) == (Status.FAIL, Gravity.ERROR)
    for unknown in (UNREAD, proved(spf=AuthResult.ABSENT), proved(dmarc=DmarcProof(AuthResult.TEMPERROR))):
        assert statuses(mails(unknown).checked(judge), CheckId.SPF_15) == {Status.UNKNOWN}
    assert statuses(mails().checked(judge), CheckId.SPF_15) == {Status.SKIP}


@pytest.mark.parametrize(
    ("envelope", "signed", "status"),
    [
        (DOMAIN, "", Status.PASS),
        ("bounce.shop.test", "", Status.PASS),
        ("relay.test", "mail.shop.test", Status.WARN),
        ("relay.test", "relay.test", Status.FAIL),
    ],
)
def test_alignment_without_a_dmarc_record(envelope: str, signed: str, status: Status) -> None:
    dkim = (SignatureProof(signed, "s1", "rsa-sha256", SignatureState.PASS),) if signed else ()
    seen = proved(dmarc=DmarcProof(AuthResult.NONE), spf_domain=envelope, dkim=dkim)
    assert statuses(mails(seen).checked(judge), CheckId.SPF_15) == {status}
    unread = proved(
        dmarc=DmarcProof(AuthResult.NONE),
        spf_domain="relay.test",
        dkim=(SignatureProof("shop.test", "s1", "rsa-sha256", SignatureState.TEMPERROR),),
    )
    assert statuses(mails(unread).checked(judge), CheckId.SPF_15) == {Status.UNKNOWN}
    several = proved(dmarc=DmarcProof(AuthResult.PERMERROR, why="From has 2 author domains"))
    assert statuses(mails(several).checked(judge), CheckId.SPF_15) == {Status.SKIP}


def test_mx_hosts_of_others_are_not_ours_to_judge() -> None:
    world = more(GOOD, shop_test__MX=["10 mx.hoster.com"])
    assert statuses(world.checked(judge), CheckId.SPF_17) == {Status.SKIP}


def test_a_silent_host_gets_its_record() -> None:
    found = one(zone(mx_shop_test=None), CheckId.SPF_17)
    assert (found.publish, found.gravity) == ('mx.shop.test. 3600 IN TXT "v=spf1 -all"', Gravity.INFO)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SUBJECT, egress=("198.51.100.20",)),
        replace(SUBJECT, egress=()),
    ],
    ids=["mail leaves from it", "nobody knows where mail leaves from"],
)
def test_a_host_that_may_send_is_not_silenced(changed: Subject) -> None:
    world = replace(zone(mx_shop_test=None), subject=changed)
    assert not [result.publish for result in of(world, CheckId.SPF_17) if result.publish]
    aliased = replace(zone(mx_shop_test=None), dns=replace(zone(mx_shop_test=None).dns, aliases={"mx.shop.test": "h.test"}))
    assert not one(aliased, CheckId.SPF_17).publish


def test_the_dearest_term_is_named_only_where_there_is_one() -> None:
    even = record("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 " + " ".join(f"a:h{number}.shop.test" for number in range(11)) + " -all")
    assert "most" not in one(even, CheckId.SPF_04).mend
    nested = zone(relay=["v=spf1 " + "a:mx.shop.test " * 11 + "-all"])
    assert "include:_spf.relay.test costs most" in one(nested, CheckId.SPF_04).mend


def test_a_host_without_ipv4_is_replaced_by_its_address() -> None:
    world = record("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 a:six.shop.test a:no.shop.test -all")
    world = replace(world, dns=world.dns.but(**{"six.shop.test AAAA": ["2001:db8::66"]}))
    mend = one(world, CheckId.SPF_05).mend
    assert "Replace a:six.shop.test by ip6:2001:db8::66" in mend and "Take away a:no.shop.test" in mend


@pytest.mark.parametrize(("seconds", "status"), [(0.1, Status.PASS), (2.0, Status.WARN), (9.0, Status.FAIL)])
def test_time_is_of_one_name_after_another(seconds: float, status: Status) -> None:
    """A stranger's evaluation of the record asks for four names."""
    assert statuses(slow(seconds).checked(judge), CheckId.SPF_18) == {status}


def test_an_explanation_that_cannot_be_given_is_only_noted() -> None:
    (result,) = of(record("v=spf1 ip4:192.0.2.10 -all exp=none.shop.test"), CheckId.SPF_19)
    assert result.status is Status.INFO


def test_the_flaky_target_is_named() -> None:
    assert one(replace(GOOD, dns=replace(GOOD.dns, changed=flaky)), CheckId.SPF_20).about == "_spf.relay.test"
    (unknown,) = [result for result in of(RELAY_DARK, CheckId.SPF_20) if result.status is Status.UNKNOWN]
    assert unknown.about == "_spf.relay.test" and unknown.gravity is Gravity.ERROR


def test_results_are_bounded() -> None:
    addresses = tuple(f"198.51.100.{number}" for number in range(200))
    world = mails(*(replace(SEEN, route=f"route-{number}") for number in range(50)), observed=tuple((text, NOW) for text in addresses))
    results = world.checked(judge)
    for check in CHECKS:
        assert sum(result.check is check for result in results) <= MOST_RESULTS + 1
    assert [result for result in results if result.check is CheckId.SPF_15][-1].about == "30 more"


def test_hostile_records_are_masked() -> None:
    hostile = "v=spf1 someone@victim.example\x1b[2J include:someone@victim.example a:someone@victim.example\x1b -all"
    late = "v=spf1 include:someone@victim.example mx:someone@victim.example ptr:someone@victim.example -all"
    dark = {"someone@victim.example *": DnsFailure.TIMEOUT}
    for text in (hostile, late):
        for world in (zone(relay=[text]), replace(zone(relay=[text]), dns=replace(zone(relay=[text]).dns, fails=dark))):
            for result in world.checked(judge):
                shown = f"{result.about} {result.saw} {result.record} {result.mend}"
                assert "someone@" not in shown and "\x1b" not in shown
