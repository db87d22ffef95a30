"""MX checks: three worlds for each id, and the borders between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail, Selector, Subject
from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.model.transport import Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.inspect.mx import CHECKS, judge
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
        "shop.test MX": ["10 mx1.shop.test", "20 mx2.shop.test"],
        "mx1.shop.test A": ["192.0.2.10"],
        "mx1.shop.test AAAA": ["2001:db8::10"],
        "mx2.shop.test A": ["192.0.2.11"],
    }
)
NOBODY = Endpoint(ServerKind.MX, "", 25)
OPEN = TransportSeen(NOBODY, Reached.AGAIN, reply="250 ok", at=NOW)
SHUT = TransportSeen(NOBODY, Reached.NOTHING, "connection refused", at=NOW)
SLOW = TransportSeen(NOBODY, Reached.NOTHING, "no answer in time", transient=True, at=NOW)
SERVERS = {"mx1.shop.test": OPEN, "mx2.shop.test": OPEN}
GOOD = World(ZONE, servers=SERVERS)
DARK = World(replace(ZONE, fails={"shop.test *": DnsFailure.TIMEOUT}), servers=SERVERS)
TRIED = replace(GOOD, subject=Subject(DOMAIN, NOW, recipients=("postmaster@shop.test",)))


def records(**changes: list[str] | None) -> World:
    return replace(GOOD, dns=ZONE.but(**changes))


def mx(*hosts: str, **more: list[str] | None) -> World:
    return records(**{"shop.test MX": list(hosts), **more})


ALONE = {"shop.test MX": None, "shop.test A": ["192.0.2.9"]}
OTHER_SERVER = replace(ZONE, servers={"192.0.2.3": {**ZONE.records, "shop.test MX": ["10 old.shop.test"]}})

ROWS = {
    CheckId.MX_01: Row(GOOD, mx("10 gone.shop.test"), DARK),
    CheckId.MX_02: Row(GOOD, mx("0 ."), DARK),
    CheckId.MX_03: Row(GOOD, replace(GOOD, dns=replace(ZONE, aliases={"mx1.shop.test": "mx2.shop.test"})), DARK),
    CheckId.MX_04: Row(GOOD, records(**ALONE), DARK),
    CheckId.MX_05: Row(GOOD, replace(GOOD, servers={"mx1.shop.test": OPEN}), replace(GOOD, servers=dict.fromkeys(SERVERS, SLOW))),
    CheckId.MX_06: Row(
        GOOD,
        replace(GOOD, dns=OTHER_SERVER),
        replace(GOOD, dns=replace(ZONE, fails={"@192.0.2.3": DnsFailure.TIMEOUT})),
    ),
    CheckId.MX_07: Row(
        TRIED,
        replace(TRIED, servers=dict.fromkeys(SERVERS, replace(OPEN, refused=(("postmaster@shop.test", "550 5.1.1 no such user"),)))),
        replace(TRIED, servers=dict.fromkeys(SERVERS, SLOW)),
    ),
}


def of(world: World, check: CheckId) -> list[CheckResult]:
    return [result for result in world.checked(judge) if result.check is check]


def only(world: World, check: CheckId) -> CheckResult:
    [result] = of(world, check)
    return result


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def test_every_id_speaks_once_of_each_thing_in_every_world() -> None:
    worlds = [world for row in ROWS.values() for world in (row.passing, row.failing, row.unknown)]
    for world in [
        *worlds,
        World(),
        replace(GOOD, subject=Subject(DOMAIN, NOW, envelope=("bounce.shop.test", "shop.test"), transport=False)),
    ]:
        found = world.checked(judge)
        assert {result.check for result in found} == set(CHECKS) == set(ROWS)
        assert len({(result.check, result.about) for result in found}) == len(found)


@pytest.mark.parametrize("failure", [one for one in DnsFailure if one is not DnsFailure.PENDING])
def test_when_nobody_answers_nothing_is_said(failure: DnsFailure) -> None:
    dns = Dns(changed=lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=failure, records=()))
    assert {result.status for result in World(dns).checked(judge)} <= {Status.UNKNOWN, Status.SKIP}


@pytest.mark.parametrize(
    ("world", "status", "gravity"),
    [
        (GOOD, Status.PASS, Gravity.INFO),
        (mx("10 mx1.shop.test", "20 gone.shop.test"), Status.FAIL, Gravity.ERROR),
        (mx("10 gone.shop.test"), Status.FAIL, Gravity.CRITICAL),
        (mx("10 192.0.2.10"), Status.FAIL, Gravity.CRITICAL),
        (mx("10 localhost", **{"localhost A": ["192.0.2.10"]}), Status.FAIL, Gravity.CRITICAL),
        (mx("10 lan.shop.test", **{"lan.shop.test A": ["10.0.0.1"]}), Status.FAIL, Gravity.CRITICAL),
        (mx("10 lan.shop.test", **{"lan.shop.test AAAA": ["::1"]}), Status.FAIL, Gravity.CRITICAL),
        (mx("10 mx1.shop.test", "20 lan.shop.test", **{"lan.shop.test A": ["192.168.1.1"]}), Status.FAIL, Gravity.ERROR),
        (records(**{"shop.test MX": None}), Status.FAIL, Gravity.CRITICAL),
        (records(**ALONE), Status.PASS, Gravity.INFO),
        (mx("0 ."), Status.SKIP, Gravity.INFO),
    ],
)
def test_addresses(world: World, status: Status, gravity: Gravity) -> None:
    result = only(world, CheckId.MX_01)
    assert (result.status, result.gravity) == (status, gravity)


def test_private_addresses_are_fine_where_they_are_meant() -> None:
    world = mx("10 lan.shop.test", **{"lan.shop.test A": ["127.0.0.1"]})
    meant = replace(world, subject=Subject(DOMAIN, NOW, private_addresses=True), servers={"127.0.0.1": OPEN})
    assert only(meant, CheckId.MX_01).status is Status.PASS
    assert only(meant, CheckId.MX_05).status is Status.PASS


def test_private_addresses_are_never_connected_to() -> None:
    world = mx("10 lan.shop.test", **{"lan.shop.test A": ["127.0.0.1"]})
    assert only(replace(world, servers={"127.0.0.1": OPEN}), CheckId.MX_05).status is Status.SKIP


def test_one_host_of_two_that_is_not_known() -> None:
    world = replace(GOOD, dns=replace(ZONE, fails={"mx2.shop.test *": DnsFailure.SERVFAIL}))
    assert only(world, CheckId.MX_01).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("hosts", "status"),
    [(["0 .", "10 mx1.shop.test"], Status.FAIL), (["10 ."], Status.FAIL), (["0 ."], Status.FAIL), (["10 mx1.shop.test"], Status.PASS)],
)
def test_null_mx(hosts: list[str], status: Status) -> None:
    assert only(mx(*hosts), CheckId.MX_02).status is status


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["10 mx1.shop.test", "20 mx1.shop.test"], Status.WARN),
        (["10 ms1234.msv1.invalid", "20 mx1.shop.test"], Status.WARN),
        (["10 192.0.2.10"], Status.FAIL),
        (["10 mx1.shop.test", "20 mx2.shop.test"], Status.PASS),
    ],
)
def test_names(hosts: list[str], status: Status) -> None:
    assert only(mx(*hosts), CheckId.MX_03).status is status


def test_each_address_is_looked_at_by_itself() -> None:
    world = replace(GOOD, servers={"192.0.2.10": OPEN, "2001:db8::10": SHUT, "192.0.2.11": SLOW})
    found = {result.about: result.status for result in of(world, CheckId.MX_05)}
    assert found == {
        "mx1.shop.test:25 [192.0.2.10]": Status.PASS,
        "mx1.shop.test:25 [2001:db8::10]": Status.FAIL,
        "mx2.shop.test:25 [192.0.2.11]": Status.UNKNOWN,
    }


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (replace(OPEN, reached=Reached.ANSWERED), Status.PASS),
        (replace(OPEN, reached=Reached.ENCRYPTED, failed="certificate"), Status.PASS),
        (replace(SHUT, reached=Reached.CONNECTED, failed="554 no"), Status.FAIL),
        (replace(SHUT, reached=Reached.GREETED, failed="EHLO refused"), Status.FAIL),
        (replace(SLOW, reached=Reached.CONNECTED, failed="421 later"), Status.UNKNOWN),
    ],
)
def test_how_far_a_look_came(seen: TransportSeen, status: Status) -> None:
    assert {result.status for result in of(replace(GOOD, servers=dict.fromkeys(SERVERS, seen)), CheckId.MX_05)} == {status}


def test_many_addresses_are_bounded() -> None:
    many = {"mx1.shop.test A": [f"192.0.2.{at}" for at in range(100, 140)]}
    assert len(of(records(**many), CheckId.MX_05)) <= 21


def test_an_ipv6_server_that_we_cannot_reach_is_no_doubt_when_its_ipv4_answers() -> None:
    dns = replace(ZONE.but(**{"ns2.shop.test AAAA": ["2001:db8::3"]}), fails={"@2001:db8::3": DnsFailure.UNREACHABLE})
    assert only(replace(GOOD, dns=dns), CheckId.MX_06).status is Status.PASS


def test_what_a_server_says_without_authority_is_no_difference() -> None:
    dns = replace(OTHER_SERVER, changed=lambda answer: replace(answer, authoritative=answer.question.server != "192.0.2.3"))
    assert only(replace(GOOD, dns=dns), CheckId.MX_06).status is Status.UNKNOWN


def test_recipients() -> None:
    deferred = replace(TRIED, servers=dict.fromkeys(SERVERS, replace(OPEN, deferred=(("postmaster@shop.test", "450 greylisted"),))))
    assert only(deferred, CheckId.MX_07).status is Status.UNKNOWN
    assert only(GOOD, CheckId.MX_07).status is Status.SKIP


def test_a_persons_address_is_masked() -> None:
    refusing = replace(OPEN, refused=(("jane@shop.test", "550 <jane@shop.test> unknown"),))
    world = replace(GOOD, subject=Subject(DOMAIN, NOW, recipients=("jane@shop.test",)), servers=dict.fromkeys(SERVERS, refusing))
    result = only(world, CheckId.MX_07)
    assert result.status is Status.FAIL
    assert "jane" not in repr(result)


def test_where_reports_go_is_looked_at_too_and_breaks_less() -> None:
    world = records(**{"_dmarc.shop.test TXT": ["v=DMARC1; p=none; rua=mailto:d@reports.shop.test"]})
    found = {result.about: result for result in of(world, CheckId.MX_01)}
    assert found["reports.shop.test"].status is Status.FAIL
    assert found["reports.shop.test"].gravity is Gravity.WARNING


def test_where_replies_go_is_looked_at_too() -> None:
    mail = SeenMail("relay/seed", "box", "seed", DeliveredMail(reply_domains=("help.test",)), MailProof(), NOW, NOW)
    world = replace(GOOD, subject=Subject(DOMAIN, NOW, mails=(mail,)))
    assert {(r.about, r.status) for r in world.checked(judge) if r.check is CheckId.MX_01} >= {
        (DOMAIN, Status.PASS),
        ("help.test", Status.FAIL),
    }


@pytest.mark.parametrize(
    ("spf", "subject", "status"),
    [
        ("v=spf1 -all", {}, Status.PASS),
        ("v=spf1 ip4:192.0.2.1 -all", {}, Status.FAIL),
        ("v=spf1 -all", {"egress": ("192.0.2.1",)}, Status.FAIL),
        ("v=spf1 -all", {"envelope": ("bounce.shop.test",)}, Status.FAIL),
        ("v=spf1 -all", {"selectors": (Selector(DOMAIN, "s1"),)}, Status.FAIL),
        ("v=spf1 -all", {"observed": (("192.0.2.1", NOW),)}, Status.FAIL),
    ],
)
def test_a_parked_domain_takes_no_mail(spf: str, subject: dict[str, object], status: Status) -> None:
    parked = mx("0 .", **{"shop.test TXT": [spf]})
    world = replace(parked, subject=replace(parked.subject, **subject))  # type: ignore[arg-type]
    [null] = [one for one in of(world, CheckId.MX_02) if one.about == DOMAIN]
    [found] = [one for one in of(world, CheckId.MX_01) if one.about == DOMAIN]
    assert null.status is status
    assert found.status is (Status.PASS if status is Status.PASS else Status.SKIP)


def test_a_null_mx_has_the_preference_0() -> None:
    world = mx("10 .", **{"shop.test TXT": ["v=spf1 -all"]})
    [found] = [one for one in of(world, CheckId.MX_02) if one.about == DOMAIN]
    assert (found.status, found.gravity, found.publish) == (Status.WARN, Gravity.WARNING, "shop.test. 3600 IN MX 0 .")


def test_the_mx_to_publish_is_the_host_that_takes_the_mail_now() -> None:
    assert only(records(**ALONE), CheckId.MX_04).publish == "shop.test. 3600 IN MX 10 shop.test."
    alias = Dns({**ZONE.but(**{"shop.test MX": None}).records, "web.example.com A": ["192.0.2.9"]}, aliases={DOMAIN: "web.example.com"})
    found = only(World(alias), CheckId.MX_04)
    assert found.status is Status.WARN and not found.publish, "nothing can stand beside a CNAME"


def test_whether_a_domain_is_parked_may_be_unknown() -> None:
    world = mx("0 .")
    dark = replace(world, dns=replace(world.dns, fails={"shop.test TXT": DnsFailure.SERVFAIL}))
    assert only(dark, CheckId.MX_02).status is Status.UNKNOWN


def test_where_foreign_reports_go_is_told_elsewhere() -> None:
    rua = "v=DMARC1; p=none; rua=mailto:d@reports.example.com,mailto:d@reports.shop.test"
    abouts = {one.about for one in of(records(**{"_dmarc.shop.test TXT": [rua]}), CheckId.MX_01)}
    assert abouts == {DOMAIN, "reports.shop.test"}
