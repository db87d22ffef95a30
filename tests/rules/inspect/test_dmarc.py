"""DMARC checks: three worlds for each id, and what the mends and the lines to publish say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail, Subject
from monitor.model.mail import Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail, DmarcProof, MailProof, SignatureProof, SignatureState
from monitor.rules.inspect.dmarc import CHECKS, judge
from tests.rules.inspect.worlds import NOW, Dns, Row, World, holds

GOOD = "v=DMARC1; p=reject; np=reject; rua=mailto:d@shop.test"
ZONE = Dns(
    {
        "_dmarc.shop.test TXT": [GOOD],
        "shop.test TXT": ["v=spf1 -all"],
        "shop.test MX": ["10 mx.shop.test"],
        "shop.test SOA": ["ns.shop.test h.shop.test 1 7200 3600 1209600 3600"],
        "mx.shop.test A": ["192.0.2.10"],
    }
)
DARK = World(replace(ZONE, fails={"_dmarc.shop.test *": DnsFailure.TIMEOUT}))


def says(*records: str, **more: list[str] | None) -> World:
    return World(ZONE.but(**{"_dmarc.shop.test TXT": list(records), **more}))


def of(world: World, **changes: object) -> World:
    return replace(world, subject=replace(world.subject, **changes))  # type: ignore[arg-type]


def mailed(proof: MailProof, said: AuthResult = AuthResult.PASS, **mail: object) -> World:
    seen = SeenMail("app>gmail", "gmail", "seed", DeliveredMail(said=Authentication(dmarc=said), **mail), proof, NOW, NOW)  # type: ignore[arg-type]
    return of(says(GOOD), mails=(seen,))


def proved(result: AuthResult, spf: bool = True, dkim: bool = True) -> MailProof:
    proof = DmarcProof(result, "shop.test", "shop.test", "reject", spf, dkim, "why")
    return MailProof(spf=AuthResult.PASS, dmarc=proof, shadow=proof)


PASSES = mailed(proved(AuthResult.PASS))
UNPROVED = mailed(proved(AuthResult.TEMPERROR, spf=False, dkim=False))
OUTSIDE = "v=DMARC1; p=reject; rua=mailto:x@reports.example.com"
CONSENT = "shop.test._report._dmarc.reports.example.com TXT"

ROWS = {
    CheckId.DMARC_01: Row(says(GOOD), says(), DARK),
    CheckId.DMARC_02: Row(says(GOOD), says(GOOD, GOOD), DARK),
    CheckId.DMARC_03: Row(says(GOOD), says("v=dmarc1; p=reject"), DARK),
    CheckId.DMARC_04: Row(says(GOOD), says("v=DMARC1; p=monitor"), DARK),
    CheckId.DMARC_05: Row(says(GOOD), says("v=DMARC1; p=quarantine; t=y"), DARK),
    CheckId.DMARC_06: Row(says(GOOD), says("v=DMARC1; p=reject; sp=none"), DARK),
    CheckId.DMARC_07: Row(says(GOOD), says("v=DMARC1; p=reject; pct=50"), DARK),
    CheckId.DMARC_08: Row(
        says(GOOD), says("v=DMARC1; p=reject; rua=d@shop.test"), World(replace(ZONE, fails={"shop.test MX": DnsFailure.SERVFAIL}))
    ),
    CheckId.DMARC_09: Row(
        says(OUTSIDE, **{CONSENT: ["v=DMARC1"]}),
        says(OUTSIDE),
        World(replace(ZONE.but(**{"_dmarc.shop.test TXT": [OUTSIDE]}), fails={CONSENT: DnsFailure.SERVFAIL})),
    ),
    CheckId.DMARC_10: Row(PASSES, mailed(proved(AuthResult.FAIL, spf=False, dkim=False)), UNPROVED),
    CheckId.DMARC_11: Row(PASSES, mailed(proved(AuthResult.PASS), AuthResult.FAIL), UNPROVED),
    CheckId.DMARC_12: Row(
        says(GOOD),
        of(World(ZONE.but(**{"_dmarc.shop.test TXT": None, "_dmarc.mail.shop.test TXT": [GOOD]})), domain="mail.shop.test"),
        DARK,
    ),
    CheckId.DMARC_13: Row(says(f"{GOOD}; psd=n"), says(f"{GOOD}; psd=y"), DARK),
    CheckId.DMARC_16: Row(says(GOOD), World(replace(ZONE, fails={"_dmarc.shop.test TXT": DnsFailure.BOGUS})), DARK),
}


def results(world: World, check: CheckId) -> list[CheckResult]:
    return [result for result in world.checked(judge) if result.check is check]


def only(world: World, check: CheckId) -> CheckResult:
    [result] = results(world, check)
    return result


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def test_every_id_speaks_once_of_each_thing_in_every_world() -> None:
    worlds = [world for row in ROWS.values() for world in (row.passing, row.failing, row.unknown)]
    for world in [*worlds, World(), of(World(), domain="a.b.shop.test")]:
        found = world.checked(judge)
        assert {result.check for result in found} == set(CHECKS) == set(ROWS)
        assert len({(result.check, result.about) for result in found}) == len(found)


@pytest.mark.parametrize("failure", [one for one in DnsFailure if one not in (DnsFailure.BOGUS, DnsFailure.PENDING)])
def test_when_nobody_answers_nothing_is_said(failure: DnsFailure) -> None:
    found = World(Dns(changed=lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=failure, records=()))).checked(judge)
    assert {result.status for result in found} <= {Status.UNKNOWN, Status.SKIP}


@pytest.mark.parametrize(
    ("record", "check", "published"),
    [
        ("v=DMARC1; p=monitor", CheckId.DMARC_04, "v=DMARC1; p=none"),
        ("v=DMARC1; p=reject; rua=d@shop.test", CheckId.DMARC_08, "v=DMARC1; p=reject; rua=mailto:d@shop.test"),
        ("v=DMARC1; p=reject; pct=50; ri=3600; adkim=s", CheckId.DMARC_07, "v=DMARC1; p=reject; adkim=s"),
        ("v=DMARC1; p=reject; sp=none", CheckId.DMARC_06, "v=DMARC1; p=reject; sp=reject; np=reject"),
        ("v=DMARC1; p=none; t=y", CheckId.DMARC_05, "v=DMARC1; p=quarantine"),
        (f"{GOOD}; psd=y", CheckId.DMARC_13, "v=DMARC1; p=reject; np=reject; psd=n; rua=mailto:d@shop.test"),
        ("v=DMARC1; p=reject; p=none", CheckId.DMARC_03, "v=DMARC1; p=reject"),
    ],
)
def test_what_to_publish(record: str, check: CheckId, published: str) -> None:
    assert only(says(record), check).publish == f'_dmarc.shop.test. 3600 IN TXT "{published}"'


def test_what_to_publish_where_there_is_nothing() -> None:
    result = only(says(), CheckId.DMARC_01)
    assert result.publish == '_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc-reports@shop.test"'
    assert result.gravity is Gravity.CRITICAL


def test_consent_to_publish_at_the_other_end() -> None:
    result = only(says(OUTSIDE), CheckId.DMARC_09)
    assert result.publish == 'shop.test._report._dmarc.reports.example.com. 3600 IN TXT "v=DMARC1"'


@pytest.mark.parametrize(
    ("consent", "status"),
    [
        (["v=DMARC1;"], Status.PASS),
        (["v=DMARC1", "some other text"], Status.PASS),
        (["v=DMARC1", "v=DMARC1; p=none"], Status.WARN),
        (["v=DMARC1; rua=mailto:x@elsewhere.example.com"], Status.WARN),
        (["v=DMARC1; rua=mailto:y@reports.example.com"], Status.PASS),
        (["DMARC1"], Status.FAIL),
        (["v=spf1 -all"], Status.FAIL),
    ],
)
def test_consent(consent: list[str], status: Status) -> None:
    assert only(says(OUTSIDE, **{CONSENT: consent}), CheckId.DMARC_09).status is status


def test_a_destination_of_which_nobody_knows_whose_it_is() -> None:
    dns = says("v=DMARC1; p=reject; rua=mailto:x@reports.other.test").dns
    result = only(World(replace(dns, fails={"_dmarc.other.test TXT": DnsFailure.SERVFAIL})), CheckId.DMARC_09)
    assert (result.about, result.status) == ("shop.test._report._dmarc.reports.other.test", Status.UNKNOWN)


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([GOOD, "a verification"], Status.WARN),
        ([GOOD, "v=spf1 -all"], Status.FAIL),
        (["v=spf1 -all"], Status.FAIL),
        ([GOOD, GOOD], Status.FAIL),
        ([GOOD], Status.PASS),
    ],
)
def test_one_record(records: list[str], status: Status) -> None:
    assert only(says(*records), CheckId.DMARC_02).status is status


def test_a_record_in_the_wrong_place() -> None:
    assert only(says(**{"shop.test TXT": [GOOD]}), CheckId.DMARC_02).status is Status.WARN
    assert only(says(GOOD, **{"_dmarc.shop.test.shop.test TXT": [GOOD]}), CheckId.DMARC_02).status is Status.WARN


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (GOOD, Status.PASS),
        (f"{GOOD}; x=1", Status.INFO),
        (f" {GOOD}", Status.WARN),
        ("v=DMARC1; rua=mailto:d@shop.test; p=reject", Status.WARN),
        ("v=DMARC1; p=reject; rua", Status.FAIL),
        ("p=reject; v=DMARC1", Status.FAIL),
        ("v=DMARC1 p=reject", Status.FAIL),
        ("v=DMARC1; p=reject; aspf=relaxed", Status.FAIL),
    ],
)
def test_syntax(record: str, status: Status) -> None:
    assert only(says(record), CheckId.DMARC_03).status is status


def test_a_record_without_policy_counts_with_a_destination_only() -> None:
    assert only(says("v=DMARC1; rua=mailto:d@shop.test"), CheckId.DMARC_04).status is Status.WARN
    without = says("v=DMARC1; rua=d@shop.test")
    assert only(without, CheckId.DMARC_04).status is Status.FAIL
    assert only(without, CheckId.DMARC_01).status is Status.FAIL


def test_strength_is_an_error_for_who_wants_protection() -> None:
    weak = says("v=DMARC1; p=none; rua=mailto:d@shop.test")
    assert (only(weak, CheckId.DMARC_05).status, only(weak, CheckId.DMARC_05).gravity) == (Status.WARN, Gravity.WARNING)
    guarded = only(of(weak, profiles=(Profile.PROTECTED,)), CheckId.DMARC_05)
    assert (guarded.status, guarded.gravity) == (Status.FAIL, Gravity.ERROR)


def test_an_organization_within_the_organization_is_said() -> None:
    below = of(World(ZONE.but(**{"_dmarc.m.shop.test TXT": ["v=DMARC1; p=reject; psd=n"]})), domain="m.shop.test")
    result = only(below, CheckId.DMARC_13)
    assert (result.about, result.status, result.publish) == (
        "_dmarc.m.shop.test",
        Status.WARN,
        '_dmarc.m.shop.test. 3600 IN TXT "v=DMARC1; p=reject"',
    )


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ("p=none", Status.WARN),
        ("p=none; np=reject", Status.PASS),
        ("p=reject; sp=quarantine", Status.WARN),
        ("p=reject; np=none", Status.WARN),
        ("p=quarantine; sp=reject", Status.PASS),
        ("p=reject", Status.PASS),
    ],
)
def test_subdomains(record: str, status: Status) -> None:
    assert only(says(f"v=DMARC1; {record}"), CheckId.DMARC_06).status is status


@pytest.mark.parametrize(("record", "gravity"), [("pct=100", Gravity.WARNING), ("pct=99", Gravity.ERROR), ("ri=1", Gravity.WARNING)])
def test_removed_tags(record: str, gravity: Gravity) -> None:
    assert only(says(f"v=DMARC1; p=reject; {record}"), CheckId.DMARC_07).gravity is gravity


@pytest.mark.parametrize(
    ("rua", "status"),
    [
        ("mailto:d@shop.test", Status.PASS),
        ("mailto:d@shop.test!10m", Status.WARN),
        ("mailto:a@shop.test,mailto:b@shop.test,mailto:c@shop.test", Status.WARN),
        ("mailto:d@shop.test,d@shop.test", Status.WARN),
        ("https://shop.test/r", Status.FAIL),
        ("mailto:d@gone.example.com", Status.FAIL),
        ("mailto:d@null.example.com", Status.FAIL),
        ("mailto:d@web.example.com", Status.PASS),
        ("", Status.WARN),
    ],
)
def test_destinations(rua: str, status: Status) -> None:
    world = says(
        f"v=DMARC1; p=reject; rua={rua}",
        **{"null.example.com MX": ["0 ."], "null.example.com A": ["192.0.2.1"], "web.example.com A": ["192.0.2.1"]},
    )
    assert only(world, CheckId.DMARC_08).status is status


@pytest.mark.parametrize(
    ("proof", "status"),
    [
        (proved(AuthResult.PASS, spf=False), Status.WARN),
        (proved(AuthResult.PASS, dkim=False), Status.WARN),
        (proved(AuthResult.PERMERROR, spf=False, dkim=False), Status.FAIL),
        (proved(AuthResult.NONE, spf=False, dkim=False), Status.SKIP),
        (proved(AuthResult.ABSENT, spf=False, dkim=False), Status.UNKNOWN),
        (replace(proved(AuthResult.PASS, spf=False), spf=AuthResult.TEMPERROR), Status.PASS),
        (replace(proved(AuthResult.PASS, dkim=False), dkim=(SignatureProof("shop.test", "s", "", SignatureState.UNREAD),)), Status.PASS),
    ],
)
def test_delivered(proof: MailProof, status: Status) -> None:
    assert only(mailed(proof), CheckId.DMARC_10).status is status


@pytest.mark.parametrize(
    ("ours", "shadow", "said", "status"),
    [
        (AuthResult.PASS, AuthResult.PASS, AuthResult.PASS, Status.PASS),
        (AuthResult.PASS, AuthResult.FAIL, AuthResult.FAIL, Status.PASS),
        (AuthResult.PERMERROR, AuthResult.PERMERROR, AuthResult.FAIL, Status.PASS),
        (AuthResult.FAIL, AuthResult.FAIL, AuthResult.PASS, Status.WARN),
        (AuthResult.PASS, AuthResult.PASS, AuthResult.NONE, Status.WARN),
        (AuthResult.PASS, AuthResult.PASS, AuthResult.TEMPERROR, Status.UNKNOWN),
        (AuthResult.PASS, AuthResult.PASS, AuthResult.ABSENT, Status.SKIP),
        (AuthResult.TEMPERROR, AuthResult.PASS, AuthResult.PASS, Status.UNKNOWN),
    ],
)
def test_receivers(ours: AuthResult, shadow: AuthResult, said: AuthResult, status: Status) -> None:
    proof = replace(proved(ours), shadow=DmarcProof(shadow))
    assert only(mailed(proof, said), CheckId.DMARC_11).status is status


def test_a_cut_header_is_unknown() -> None:
    assert only(mailed(proved(AuthResult.PASS), AuthResult.ABSENT, header_cut=True), CheckId.DMARC_11).status is Status.UNKNOWN


def test_many_routes_are_bounded() -> None:
    [seen] = PASSES.subject.mails
    many = of(PASSES, mails=tuple(replace(seen, route=f"r{at}") for at in range(50)))
    found = results(many, CheckId.DMARC_10)
    assert len(found) == 21
    assert found[-1].status is Status.INFO


def test_an_unanswered_name_above_leaves_a_record_of_its_own_certain() -> None:
    world = World(replace(ZONE, fails={"_dmarc.test TXT": DnsFailure.SERVFAIL}))
    assert only(world, CheckId.DMARC_01).status is Status.PASS
    assert only(world, CheckId.DMARC_16).status is Status.UNKNOWN


def test_an_unanswered_name_below_leaves_nothing_certain() -> None:
    world = replace(World(replace(ZONE, fails={"_dmarc.m.shop.test TXT": DnsFailure.SERVFAIL})), subject=Subject("m.shop.test", NOW))
    assert only(world, CheckId.DMARC_01).status is Status.UNKNOWN


def test_addresses_are_masked_where_the_record_is_shown() -> None:
    found = says("v=DMARC1; p=reject; rua=mailto:jane.doe@shop.test").checked(judge)
    assert not [result for result in found if "jane" in result.record + result.saw + result.about]


HOSTILE = st.text(max_size=80) | st.text(max_size=80).map("v=DMARC1; p=none; rua=".__add__) | st.text(max_size=60).map("v=DMARC1;".__add__)


@given(st.lists(HOSTILE, max_size=4), st.lists(HOSTILE, max_size=3))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_whatever_stands_there_each_id_speaks_and_every_line_is_one_line(own: list[str], above: list[str]) -> None:
    world = of(says(*own, **{"_dmarc.m.shop.test TXT": above}), domain="m.shop.test")
    found = world.checked(judge)
    assert {result.check for result in found} == set(CHECKS)
    for result in found:
        assert all(text.isprintable() for text in (result.saw, result.record, result.mend, result.publish)), result
        assert len(result.record) <= 4_000
