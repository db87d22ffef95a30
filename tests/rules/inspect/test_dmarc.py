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
    CheckId.DMARC_16: Row(says(GOOD), World(replace(ZONE, changed=lambda answer: replace(answer, resolvers_failed=1))), DARK),
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


@pytest.mark.parametrize("failure", [one for one in DnsFailure if one is not DnsFailure.PENDING])
def test_when_nobody_answers_nothing_is_said(failure: DnsFailure) -> None:
    found = World(Dns(changed=lambda answer: replace(answer, outcome=answer.outcome.FAILED, failure=failure, records=()))).checked(judge)
    assert {result.status for result in found} <= {Status.UNKNOWN, Status.SKIP}


@pytest.mark.parametrize(
    ("record", "check", "published"),
    [
        ("v=DMARC1; p=monitor", CheckId.DMARC_04, "v=DMARC1; p=none; np=reject"),
        ("v=DMARC1; p=reject; rua=d@shop.test", CheckId.DMARC_08, "v=DMARC1; p=reject; rua=mailto:d@shop.test"),
        ("v=DMARC1; p=reject; pct=50; ri=3600; adkim=s; fo=1:d; x=1", CheckId.DMARC_07, "v=DMARC1; p=reject; adkim=s; fo=1:d; x=1"),
        ("v=DMARC1; p=reject; sp=none", CheckId.DMARC_06, "v=DMARC1; p=reject; sp=reject; np=reject"),
        ("v=DMARC1; p=none; t=y; rua=mailto:d@shop.test", CheckId.DMARC_05, "v=DMARC1; p=quarantine; rua=mailto:d@shop.test"),
        (f"{GOOD}; psd=y", CheckId.DMARC_13, "v=DMARC1; p=reject; np=reject; psd=n; rua=mailto:d@shop.test"),
        ("v=DMARC1; p=none; ri=1", CheckId.DMARC_07, "v=DMARC1; p=none; np=reject"),
        ("v=DMARC1; p=reject; p=none", CheckId.DMARC_03, "v=DMARC1; p=reject"),
        ("v=DMARC1; p=monitor; sp=reject", CheckId.DMARC_04, "v=DMARC1; p=none; sp=reject"),
        ("v=DMARC1; p=monitor; np=Quarantine", CheckId.DMARC_04, "v=DMARC1; p=none; np=quarantine"),
        ("v=DMARC1; p=non; np=none; sp=reject", CheckId.DMARC_04, "v=DMARC1; p=none; sp=reject; np=reject"),
    ],
)
def test_what_to_publish(record: str, check: CheckId, published: str) -> None:
    assert only(says(record), check).publish == f'_dmarc.shop.test. 3600 IN TXT "{published}"'


@pytest.mark.parametrize("typo", ["sp=rejct", "np=foo", "sp=", "sp=rejct; np=reject"])
@pytest.mark.parametrize("rua", ["", "; rua=mailto:d@shop.test", "; rua=mailto:d@gone.example.com", "; rua=d@shop.test"])
def test_a_typo_in_sp_or_np_offers_no_weaker_record(typo: str, rua: str) -> None:
    """What it was meant to say only its owner knows."""
    found = says(f"v=DMARC1; p=reject; pct=50; {typo}{rua}").checked(judge)
    assert not [result for result in found if result.publish.startswith("_dmarc.shop.test.")]
    bad = next(result for result in found if result.check is CheckId.DMARC_04)
    assert bad.is_bad and "set p= (and sp=, np= where given)" in bad.mend


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("p=none", "np is not given, "),
        ("p=reject; np=foo", "np does not count (np=foo is none of none, quarantine, reject), "),
        ("p=monitor; np=reject", "np does not count (p=monitor is none of none, quarantine, reject), "),
    ],
)
def test_why_names_that_do_not_exist_are_let_through(record: str, why: str) -> None:
    assert only(says(f"v=DMARC1; {record}; {RUA}"), CheckId.DMARC_06).saw.startswith(why)


def test_what_to_publish_where_there_is_nothing() -> None:
    assert only(says(), CheckId.DMARC_01).publish == '_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=reject"'  # its SPF allows nobody
    result = only(of(says(), egress=("192.0.2.1",)), CheckId.DMARC_01)
    assert result.publish == '_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none; np=reject"'
    assert "create a mailbox" in result.mend
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
    assert only(of(world, egress=("192.0.2.1",)), CheckId.DMARC_08).status is status


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
    assert [(one.about, one.status) for one in found] == [("r0", Status.PASS)]
    assert "r1, r2, r3 and 46 more routes" in found[0].saw
    unlike = of(PASSES, mails=tuple(_failing(seen, f"r{at}") for at in range(50)))
    found = results(unlike, CheckId.DMARC_10)
    assert len(found) == 21
    assert found[-1].status is Status.INFO and "30 more" in found[-1].saw


def _failing(seen: SeenMail, route: str) -> SeenMail:
    proof = replace(proved(AuthResult.FAIL, spf=False, dkim=False), dmarc=DmarcProof(AuthResult.FAIL, why=route))
    return replace(seen, route=route, proof=proof)


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


RUA = "rua=mailto:d@shop.test"


def below(dns: Dns, **changes: object) -> World:
    """The same zone, looked at from a subdomain."""
    return of(World(dns), domain="mail.shop.test", **changes)


@pytest.mark.parametrize(
    ("record", "published"),
    [
        (f"v=DMARC1; p=reject; sp=none; {RUA}", f"v=DMARC1; p=reject; sp=reject; np=reject; {RUA}"),
        (f"v=DMARC1; p=none; {RUA}", f"v=DMARC1; p=none; sp=quarantine; {RUA}"),
        (f"v=DMARC1; p=quarantine; t=y; {RUA}", f"v=DMARC1; p=quarantine; sp=reject; t=y; {RUA}"),
        ("v=DMARC1; p=reject; sp=none", ""),
        ("v=DMARC1; p=none", ""),
    ],
)
def test_a_subdomain_is_strengthened_and_its_organization_not_weakened(record: str, published: str) -> None:
    dns = ZONE.but(**{"_dmarc.shop.test TXT": [record], "mail.shop.test SOA": ["ns.shop.test h.shop.test 1 1 1 1 1"]})
    result = only(below(dns), CheckId.DMARC_05)
    assert result.status is Status.WARN
    assert result.publish == (f'_dmarc.shop.test. 3600 IN TXT "{published}"' if published else "")


def test_the_policy_of_the_organization_is_not_touched_by_what_a_subdomain_says_of_itself() -> None:
    weak = f"v=DMARC1; p=none; {RUA}"
    world = below(ZONE.but(**{"_dmarc.shop.test TXT": [weak], "_dmarc.mail.shop.test TXT": [weak]}))
    assert only(world, CheckId.DMARC_06).publish == f'_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none; np=reject; {RUA}"'


def test_a_subdomain_that_does_not_exist_is_strengthened_by_np() -> None:
    result = only(below(ZONE.but(**{"_dmarc.shop.test TXT": [f"v=DMARC1; p=reject; np=none; {RUA}"]})), CheckId.DMARC_05)
    assert result.publish == f'_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=reject; np=reject; {RUA}"'


@pytest.mark.parametrize("rua", ["", "; rua=mailto:d@gone.example.com", "; rua=mailto:x@reports.example.com"])
def test_without_reports_that_arrive_no_policy_is_raised(rua: str) -> None:
    result = only(says(f"v=DMARC1; p=none{rua}", **{"reports.example.com A": ["192.0.2.1"]}), CheckId.DMARC_05)
    assert result.status is Status.WARN and not result.publish and result.mend


def test_no_policy_is_raised_over_mail_that_fails() -> None:
    failing = mailed(proved(AuthResult.FAIL, spf=False, dkim=False)).subject.mails
    assert not only(of(says(f"v=DMARC1; p=none; {RUA}"), mails=failing), CheckId.DMARC_05).publish


def test_a_lone_record_below_does_not_become_the_policy_of_the_organization() -> None:
    result = only(ROWS[CheckId.DMARC_12].failing, CheckId.DMARC_12)
    assert result.publish == '_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none; np=reject; psd=n"'


RECORDS = st.lists(
    st.sampled_from(
        [
            *("p=none", "p=quarantine", "p=reject", "p=monitor", "sp=none", "sp=reject", "np=none", "np=bad", "pct=50", "ri=1", "t=y"),
            *("psd=y", "psd=n", "fo=1", "fo=x", "x=1", "rua", "", "adkim=s", "aspf=z", RUA, "rua=d@shop.test", f"{RUA}!1m"),
            "rua=mailto:a@shop.test,mailto:b@shop.test,mailto:c@shop.test",
        ]
    ),
    max_size=7,
).map(lambda tags: "; ".join(["v=DMARC1", *tags]))


def published(results: tuple[CheckResult, ...]) -> dict[str, set[str]]:
    """name -> the texts of the records that are proposed for it."""
    found: dict[str, set[str]] = {}
    for result in results:
        name, _, text = result.publish.partition('. 3600 IN TXT "')
        if text:
            found.setdefault(name, set()).add(text.removesuffix('"'))
    return found


@given(st.none() | RECORDS, st.none() | RECORDS, st.sampled_from(["shop.test", "mail.shop.test"]), st.booleans())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_all_propose_one_record_and_with_it_their_findings_are_gone(above: str | None, own: str | None, domain: str, parked: bool) -> None:
    records = {"_dmarc.shop.test TXT": above and [above], "_dmarc.mail.shop.test TXT": own and [own]}
    dns = ZONE.but(**records, **{"mail.shop.test SOA": ["ns h 1 1 1 1 1"]})
    egress = () if parked else ("192.0.2.1",)
    found = of(World(dns), domain=domain, egress=egress).checked(judge)
    before = {result.check for result in found if result.is_bad}
    for name, texts in published(found).items():
        assert len(texts) == 1 or name.partition(".")[2] not in ("shop.test", "mail.shop.test"), texts
        [text, *_] = texts
        after = of(World(dns.but(**{f"{name} TXT": [text]})), domain=domain, egress=egress).checked(judge)
        bad = {(result.check, result.about) for result in after if result.is_bad}
        mended = {(result.check, result.about) for result in found if result.publish.startswith(f"{name}. ")}
        assert not bad & mended, (name, text, bad & mended)
        if not {CheckId.DMARC_01, CheckId.DMARC_04} & before:  # with a record that counts for the first time others have something to say
            assert {check for check, about in bad if about in (name, domain)} <= before, (name, text, bad)


def test_beside_a_cname_nothing_is_published() -> None:
    weak = "v=DMARC1; p=none; pct=50; sp=none; fo=x; psd=y"
    dns = replace(
        ZONE.but(**{"_dmarc.shop.test TXT": None, "d.esp.test TXT": [weak], "shop.test TXT": ["v=spf1 ?all"]}),
        aliases={"_dmarc.shop.test": "d.esp.test"},
    )
    found = [result for result in World(dns).checked(judge) if result.is_bad and result.check is not CheckId.DMARC_16]
    assert {CheckId.DMARC_03, CheckId.DMARC_05, CheckId.DMARC_07, CheckId.DMARC_08, CheckId.DMARC_13} <= {one.check for one in found}
    for result in found:
        assert not result.publish.startswith("_dmarc.shop.test.")
        assert "the owner of d.esp.test" in result.mend, result
    gone = replace(ZONE.but(**{"_dmarc.shop.test TXT": None}), aliases={"_dmarc.shop.test": "d.esp.test"})
    result = only(World(gone), CheckId.DMARC_01)
    assert not result.publish and "the owner of d.esp.test" in result.mend


def test_no_mailbox_is_invented() -> None:
    result = only(of(says("v=DMARC1; p=reject"), egress=("192.0.2.1",)), CheckId.DMARC_08)
    assert result.status is Status.WARN and not result.publish and "create a mailbox" in result.mend


def test_a_wildcard_spf_record_only_warns_where_another_record_applies() -> None:
    dns = ZONE.but(**{"_dmarc.mail.shop.test TXT": ["v=spf1 -all"]})
    said = {result.about: result.status for result in results(below(dns), CheckId.DMARC_02)}
    assert said == {"_dmarc.mail.shop.test": Status.WARN, "_dmarc.shop.test": Status.PASS}


def test_bogus_is_unknown() -> None:
    assert only(World(replace(ZONE, fails={"_dmarc.shop.test TXT": DnsFailure.BOGUS})), CheckId.DMARC_16).status is Status.UNKNOWN


def test_a_parked_domain_needs_no_reports() -> None:
    parked = says("v=DMARC1; p=reject")
    assert only(parked, CheckId.DMARC_08).status is Status.INFO
    assert only(of(parked, egress=("192.0.2.1",)), CheckId.DMARC_08).status is Status.WARN
    open_ = says("v=DMARC1; p=reject", **{"shop.test TXT": ["v=spf1 ?all"]})
    assert only(open_, CheckId.DMARC_08).status is Status.WARN
