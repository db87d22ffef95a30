"""Checks of the zone: three worlds for each id, and the borders between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.model.inspection import Selector, Subject
from monitor.rules.inspect.authority import public, zone_of
from monitor.rules.inspect.zone import CHECKS, judge
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds

SOA = "ns1.shop.test h.shop.test 1 7200 3600 1209600 3600"
ZONE = Dns(
    {
        "test SOA": [SOA],
        "test NS": ["ns.test"],
        "ns.test A": ["192.0.2.1"],
        "shop.test SOA": [SOA],
        "shop.test NS": ["ns1.shop.test", "ns2.shop.test"],
        "ns1.shop.test A": ["192.0.2.2"],
        "ns2.shop.test A": ["192.0.2.3"],
        "shop.test MX": ["10 mx1.shop.test"],
        "shop.test TXT": ["v=spf1 -all"],
        "_dmarc.shop.test TXT": ["v=DMARC1; p=reject"],
        "mx1.shop.test A": ["192.0.2.10"],
        "s1._domainkey.shop.test TXT": ["v=DKIM1; p=AAAA"],
    }
)
SIGNED = ZONE.but(**{"shop.test DS": ["1 13 2 aabb"], "shop.test DNSKEY": ["257 3 13 1"]})


def world(dns: Dns, **subject: object) -> World:
    return World(dns, replace(Subject(DOMAIN, NOW, selectors=(Selector(DOMAIN, "s1"),)), **subject))  # type: ignore[arg-type]


def failing(**fails: DnsFailure) -> World:
    return world(replace(ZONE, fails=fails))


def signed(until: float = NOW + 20 * 86_400, **changes: list[str] | None) -> World:
    return world(replace(SIGNED.but(**changes), changed=lambda answer: replace(answer, authentic=True, signed_until=until)))


def server(address: str, change: Callable[[Answer], Answer]) -> Dns:
    """One server that answers otherwise when it is asked directly."""
    return replace(ZONE, changed=lambda answer: change(answer) if answer.question.server == address else answer)


def bogus_beyond_an_alias(answer: Answer) -> Answer:
    if str(answer.question) != "_dmarc.shop.test TXT":
        return answer
    return replace(answer, outcome=answer.outcome.FAILED, failure=DnsFailure.BOGUS, records=(), chain=("d.example.com",))


def short(answer: Answer) -> Answer:
    return replace(answer, ttl=60) if answer.question.rtype is RecordType.TXT else answer


GOOD = world(ZONE)
DARK = world(replace(ZONE, fails={"shop.test *": DnsFailure.TIMEOUT, "test *": DnsFailure.TIMEOUT}))
SILENT = failing(**{"@192.0.2.2": DnsFailure.TIMEOUT, "@192.0.2.3": DnsFailure.TIMEOUT})
ALIASED = replace(ZONE.but(**{"mx1.shop.test A": None}), aliases={"mx1.shop.test": "gone.example.com"})

ROWS = {
    CheckId.DNS_02: Row(GOOD, failing(**{"@192.0.2.3": DnsFailure.REFUSED}), SILENT),
    CheckId.DNS_06: Row(GOOD, world(ALIASED), failing(**{"_dmarc.shop.test CNAME": DnsFailure.SERVFAIL})),
    CheckId.DNS_07: Row(GOOD, world(server("192.0.2.2", short)), SILENT),
    CheckId.DNS_08: Row(signed(), world(replace(SIGNED, fails={"shop.test MX": DnsFailure.BOGUS})), DARK),
    CheckId.DNS_10: Row(
        GOOD,
        world(
            replace(ZONE, changed=lambda answer: replace(answer, outcome=answer.outcome.FOUND, records=("x",)) if _odd(answer) else answer)
        ),
        world(
            replace(
                ZONE,
                changed=lambda answer: (
                    replace(answer, outcome=answer.outcome.FAILED, failure=DnsFailure.TIMEOUT, records=()) if _odd(answer) else answer
                ),
            )
        ),
    ),
    CheckId.DNS_11: Row(GOOD, world(Dns({"test SOA": [SOA], "test NS": ["ns.test"], "ns.test A": ["192.0.2.1"]})), DARK),
}


def _odd(answer: Answer) -> bool:
    return answer.question.name.startswith("mc-") and answer.question.rtype is RecordType.TXT


def of(where: World, check: CheckId) -> list[CheckResult]:
    return [result for result in where.checked(judge) if result.check is check]


def only(where: World, check: CheckId) -> CheckResult:
    [result] = of(where, check)
    return result


def said(where: World, check: CheckId) -> dict[str, Status]:
    return {result.about: result.status for result in of(where, check)}


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def test_every_id_speaks_once_of_each_thing_in_every_world() -> None:
    worlds = [one for row in ROWS.values() for one in (row.passing, row.failing, row.unknown)]
    for one in [*worlds, World(), world(ZONE, domain="mail.shop.test", envelope=("shop.test", "bounce.example.com"))]:
        found = one.checked(judge)
        assert {result.check for result in found} == set(CHECKS) == set(ROWS)
        assert len({(result.check, result.about) for result in found}) == len(found)


@pytest.mark.parametrize("failure", [one for one in DnsFailure if one not in (DnsFailure.BOGUS, DnsFailure.PENDING)])
def test_when_nobody_answers_nothing_is_said(failure: DnsFailure) -> None:
    dns = Dns(changed=lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=failure, records=()))
    assert {result.status for result in World(dns).checked(judge)} == {Status.UNKNOWN}


# DNS-02


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda answer: answer, Status.PASS),
        (lambda answer: replace(answer, authoritative=False), Status.FAIL),
        (lambda answer: replace(answer, outcome=answer.outcome.NXDOMAIN, records=()), Status.FAIL),
        (lambda answer: replace(answer, outcome=answer.outcome.NODATA, records=()), Status.FAIL),
        (lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=DnsFailure.SERVFAIL), Status.FAIL),
        (lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=DnsFailure.TIMEOUT), Status.UNKNOWN),
        (lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=DnsFailure.UNREACHABLE), Status.UNKNOWN),
        (lambda answer: replace(answer, authoritative=not answer.question.tcp), Status.FAIL),
    ],
)
def test_one_server(change: Callable[[Answer], Answer], status: Status) -> None:
    found = said(world(server("192.0.2.3", change)), CheckId.DNS_02)
    assert found == {"shop.test at ns1.shop.test": Status.PASS, "shop.test at ns2.shop.test": status}


def test_one_lame_server_is_an_error_and_all_of_them_critical() -> None:
    one = [result.gravity for result in of(failing(**{"@192.0.2.3": DnsFailure.REFUSED}), CheckId.DNS_02) if result.is_bad]
    assert one == [Gravity.ERROR]
    lame = failing(**{"@192.0.2.2": DnsFailure.REFUSED, "@192.0.2.3": DnsFailure.SERVFAIL})
    assert [result.gravity for result in of(lame, CheckId.DNS_02)] == [Gravity.CRITICAL, Gravity.CRITICAL]


def test_a_zone_that_no_server_answers_for_is_found_from_above() -> None:
    outside = ZONE.but(**{"shop.test NS": ["ns.example.com"], "ns.example.com A": ["192.0.2.50"]})
    dead = replace(outside, fails={"shop.test SOA": DnsFailure.SERVFAIL, "@192.0.2.50": DnsFailure.REFUSED})
    result = only(world(dead), CheckId.DNS_02)
    assert (result.about, result.status, result.gravity) == ("shop.test at ns.example.com", Status.FAIL, Gravity.CRITICAL)


def test_a_name_below_the_cut_that_gives_no_answer_is_no_zone() -> None:
    dns = replace(ZONE, fails={"mail.shop.test SOA": DnsFailure.TIMEOUT})
    assert {about.partition(" ")[0] for about in said(world(dns, domain="mail.shop.test"), CheckId.DNS_02)} == {"shop.test"}


def test_ipv6_that_we_do_not_have_is_no_doubt() -> None:
    dns = ZONE.but(**{"ns1.shop.test AAAA": ["2001:db8::2"], "ns2.shop.test A": None, "ns2.shop.test AAAA": ["2001:db8::3"]})
    where = world(replace(dns, fails={"@2001:db8::2": DnsFailure.UNREACHABLE, "@2001:db8::3": DnsFailure.UNREACHABLE}))
    assert said(where, CheckId.DNS_02) == {"shop.test at ns1.shop.test": Status.PASS, "shop.test at ns2.shop.test": Status.SKIP}


def test_servers_without_a_public_address() -> None:
    assert said(world(ZONE.but(**{"ns2.shop.test A": None})), CheckId.DNS_02)["shop.test at ns2.shop.test"] is Status.FAIL
    private = ZONE.but(**{"ns2.shop.test A": ["10.1.1.1"]})
    assert said(world(private), CheckId.DNS_02)["shop.test at ns2.shop.test"] is Status.FAIL
    assert said(world(private, private_addresses=True), CheckId.DNS_02)["shop.test at ns2.shop.test"] is Status.PASS


def test_the_cut_is_found_above_the_domain() -> None:
    zone = world(ZONE).asked(lambda lookup: zone_of(lookup, "a.b.mail.shop.test"))
    assert (zone.name, zone.parent, zone.addresses) == ("shop.test", "test", ("192.0.2.2", "192.0.2.3"))


def test_an_alias_of_another_zones_top_is_no_zone() -> None:
    dns = replace(ZONE.but(**{"example.com SOA": [SOA]}), aliases={"mail.shop.test": "example.com"})
    assert world(dns).asked(lambda lookup: zone_of(lookup, "mail.shop.test")).name == "shop.test"


def test_the_walk_to_the_servers_takes_few_rounds() -> None:
    rounds = []
    world(ZONE).asked(lambda lookup: rounds.append(zone_of(lookup, "mail.shop.test")))
    assert len(rounds) <= 6


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        *(
            (text, False)
            for text in ("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "::1", "::")
        ),
        *((text, False) for text in ("fe80::1", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1")),
        *((text, True) for text in ("192.0.2.1", "198.51.100.1", "172.32.0.1", "2001:db8::1", "100.128.0.1")),
    ],
)
def test_public(address: str, open_: bool) -> None:
    assert public(address) is open_


# DNS-06


def test_a_cname_at_the_top_of_a_zone() -> None:
    dns = replace(ZONE, aliases={"shop.test": "shop.example.com"})
    assert said(world(dns), CheckId.DNS_06)["shop.test"] is Status.FAIL


def test_a_cname_of_a_name_within_the_zone_is_fine() -> None:
    dns = replace(
        ZONE.but(**{"s1._domainkey.shop.test TXT": None, "k.example.com TXT": ["v=DKIM1; p=AAAA"]}),
        aliases={"s1._domainkey.shop.test": "k.example.com"},
    )
    assert said(world(dns), CheckId.DNS_06) == {"shop.test": Status.PASS}


def test_other_records_beside_a_cname() -> None:
    def beside(answer: Answer) -> Answer:
        return replace(answer, chain=(), records=("other",), outcome=answer.outcome.FOUND) if answer.question.server else answer

    aliases = {"_dmarc.shop.test": "d.example.com"}
    dns = ZONE.but(**{"_dmarc.shop.test TXT": None, "d.example.com TXT": ["v=DMARC1; p=reject"]})
    assert said(world(replace(dns, aliases=aliases)), CheckId.DNS_06) == {"shop.test": Status.PASS}

    def only_there(answer: Answer) -> Answer:
        return beside(answer) if answer.question.name == "_dmarc.shop.test" else answer

    assert said(world(replace(dns, aliases=aliases, changed=only_there)), CheckId.DNS_06)["_dmarc.shop.test"] is Status.FAIL


def test_a_circle_and_a_chain() -> None:
    circle = replace(ZONE.but(**{"mx1.shop.test A": None}), aliases={"mx1.shop.test": "a.test", "a.test": "mx1.shop.test"})
    assert said(world(circle), CheckId.DNS_06)["mx1.shop.test"] is Status.FAIL
    chain = replace(
        ZONE.but(**{"mx1.shop.test A": None, "b.test A": ["192.0.2.9"]}), aliases={"mx1.shop.test": "a.test", "a.test": "b.test"}
    )
    assert said(world(chain), CheckId.DNS_06)["mx1.shop.test"] is Status.WARN


def test_a_target_that_nobody_can_ask_is_unknown() -> None:
    dns = replace(ALIASED, fails={"mx1.shop.test A": DnsFailure.SERVFAIL})
    assert said(world(dns), CheckId.DNS_06)["mx1.shop.test"] is Status.UNKNOWN


def test_no_private_address_is_asked_because_a_strangers_zone_names_it() -> None:
    stranger = {"example.com SOA": [SOA], "com SOA": [SOA], "com NS": ["ns.test"], "example.com NS": ["ns.example.com"]}
    dns = ZONE.but(
        **{**stranger, "ns.example.com A": ["10.0.0.1"], "host.example.com A": ["192.0.2.9"], "shop.test MX": ["1 a.example.com"]}
    )
    asked: set[str] = set()
    watched = replace(
        dns, aliases={"a.example.com": "host.example.com"}, changed=lambda answer: asked.add(answer.question.server) or answer
    )
    world(watched).checked(judge)
    assert "192.0.2.1" in asked and "10.0.0.1" not in asked
    world(watched, private_addresses=True).checked(judge)
    assert "10.0.0.1" in asked


# DNS-07


@pytest.mark.parametrize(("ttl", "status"), [(299, Status.WARN), (300, Status.PASS), (86_400, Status.PASS), (86_401, Status.WARN)])
def test_ttl(ttl: int, status: Status) -> None:
    assert set(said(world(replace(ZONE, ttl=ttl)), CheckId.DNS_07).values()) == {status}


def test_a_resolvers_ttl_does_not_count() -> None:
    decayed = replace(ZONE, changed=lambda answer: answer if answer.question.server else replace(answer, ttl=7))
    assert said(world(decayed), CheckId.DNS_07) == {"shop.test": Status.PASS}


def test_what_leads_elsewhere_is_not_this_zones_to_say() -> None:
    def far(answer: Answer) -> Answer:
        return replace(answer, ttl=5, chain=("k.example.com",)) if answer.question.name.startswith("s1.") else answer

    assert said(world(replace(ZONE, changed=far)), CheckId.DNS_07) == {"shop.test": Status.PASS}


# DNS-08


@pytest.mark.parametrize(
    ("left", "status", "gravity"),
    [
        (4 * 86_400, Status.PASS, Gravity.INFO),
        (2 * 86_400, Status.FAIL, Gravity.ERROR),
        (3_600, Status.FAIL, Gravity.CRITICAL),
        (-3_600, Status.FAIL, Gravity.CRITICAL),
    ],
)
def test_signatures_that_end(left: float, status: Status, gravity: Gravity) -> None:
    result = only(signed(NOW + left), CheckId.DNS_08)
    assert (result.status, result.gravity) == (status, gravity)


@pytest.mark.parametrize(
    ("where", "status"),
    [
        (GOOD, Status.INFO),
        (signed(0.0), Status.PASS),
        (signed(**{"shop.test DNSKEY": None}), Status.FAIL),
        (signed(**{"shop.test DS": ["1 5 2 aabb"]}), Status.WARN),
        (signed(**{"shop.test DS": ["1 13 1 aabb"]}), Status.WARN),
        (signed(**{"shop.test DS": ["1 13 1 aabb", "1 13 2 aabb"]}), Status.PASS),
        (world(SIGNED), Status.UNKNOWN),
        (failing(**{"shop.test MX": DnsFailure.BOGUS}), Status.UNKNOWN),  # it has no DS: the resolver is wrong
        (failing(**{"shop.test DS": DnsFailure.BOGUS}), Status.FAIL),
        (world(replace(ZONE, changed=bogus_beyond_an_alias)), Status.FAIL),
    ],
)
def test_signed(where: World, status: Status) -> None:
    assert only(where, CheckId.DNS_08).status is status


# DNS-10


def test_a_wildcard_mx_is_worth_knowing() -> None:
    def wild(answer: Answer) -> Answer:
        question = answer.question
        if question.name.startswith("mc-") and question.rtype is RecordType.MX:
            return replace(answer, outcome=answer.outcome.FOUND, records=("10 mx1.shop.test",))
        return answer

    assert said(world(replace(ZONE, changed=wild)), CheckId.DNS_10)["*.shop.test MX"] is Status.INFO


# DNS-11


def test_a_name_without_a_zone_of_its_own_exists_all_the_same() -> None:
    found = said(world(ZONE, domain="mx1.shop.test", envelope=("nothing.shop.test",)), CheckId.DNS_11)
    assert found == {"mx1.shop.test": Status.PASS, "nothing.shop.test": Status.FAIL}


def test_a_name_that_is_missing_is_published_in_the_zone_that_it_lies_in() -> None:
    [gone] = [one for one in of(world(ZONE, envelope=("nothing.shop.test",)), CheckId.DNS_11) if one.is_bad]
    assert gone.mend == "publish nothing.shop.test in the zone shop.test"


@pytest.mark.parametrize(
    ("life", "left", "status", "gravity"),
    [
        (86_400, 80_000, Status.PASS, Gravity.INFO),
        (86_400, 30_000, Status.PASS, Gravity.INFO),
        (86_400, 20_000, Status.FAIL, Gravity.ERROR),
        (86_400, -60, Status.FAIL, Gravity.CRITICAL),
        (6 * 86_400, 2 * 86_400, Status.PASS, Gravity.INFO),
        (8 * 86_400, 2.5 * 86_400, Status.FAIL, Gravity.ERROR),
        (30 * 86_400, 3_600, Status.FAIL, Gravity.CRITICAL),
    ],
)
def test_signatures_made_on_the_fly_are_judged_by_their_own_life(life: float, left: float, status: Status, gravity: Gravity) -> None:
    def brief(answer: Answer) -> Answer:
        return replace(answer, authentic=True, signed_from=NOW + left - life, signed_until=NOW + left)

    result = only(world(replace(SIGNED, changed=brief)), CheckId.DNS_08)
    assert (result.status, result.gravity) == (status, gravity)


@pytest.mark.parametrize(
    ("selectors", "records", "status"),
    [
        ((), ("v=DKIM1; p=",), Status.PASS),
        ((), ("v=DKIM1; p=", "x"), Status.WARN),
        ((Selector(DOMAIN, "s1"),), ("v=DKIM1; p=",), Status.WARN),
    ],
)
def test_a_parked_domain_may_revoke_all_keys(selectors: tuple[Selector, ...], records: tuple[str, ...], status: Status) -> None:
    def wild(answer: Answer) -> Answer:
        name, kind = answer.question.name, answer.question.rtype
        revoked = name.endswith("._domainkey.shop.test") and name.startswith("mc-") and kind is RecordType.TXT
        return replace(answer, outcome=answer.outcome.FOUND, records=records) if revoked else answer

    found = said(world(replace(ZONE, changed=wild), selectors=selectors), CheckId.DNS_10)
    assert found["*._domainkey.shop.test TXT"] is status
