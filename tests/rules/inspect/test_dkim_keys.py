"""DKIM-K*: a table of worlds, and what the results say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import Answer, DnsFailure
from monitor.model.inspection import KeyAge, SeenMail, Selector
from monitor.rules.inspect import dkim_keys
from monitor.rules.inspect.dkim_keys import CHECKS, judge
from monitor.rules.inspect.dkim_seen import zone_line
from monitor.rules.mailauth import dkim
from tests.rules.dkim.signing import ed25519, rsa, sign
from tests.rules.inspect.dkim_worlds import DARK, DNS, KEY, S1, at_selector, delivered, keyed, world
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds, statuses

DAY = 86_400.0
GOOD = rsa().record()
FINE = world(delivered(), selectors=S1)
BLIND = world(dns=DARK, selectors=S1)
FROM_BELOW = sign(forced={"i": "@mail.shop.test"})
RFC6376 = (
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBIt"
    "La7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)


def aged(days: float) -> World:
    age = KeyAge(DOMAIN, "s1", dkim.read_key(GOOD).digest, NOW - days * DAY)
    return world(delivered(), selectors=S1, keys=(age,))


def delegated(target: str, **records: list[str]) -> World:
    return world(dns=Dns({"esp.test NS": ["ns.esp.test"], **records}, aliases={KEY: target}), selectors=S1)


ED_ONLY = delivered(sign(pair=ed25519(), selector="e1"))

ROWS = {
    CheckId.DKIM_K1: Row(FINE, world(dns=DNS.but(**{f"{KEY} TXT": None}), selectors=S1), BLIND),
    CheckId.DKIM_K2: Row(FINE, keyed("k=rsa; v=DKIM1; p=AAAA"), BLIND),
    CheckId.DKIM_K3: Row(FINE, keyed("v=DKIM1; k=rsa; p="), BLIND),
    CheckId.DKIM_K4: Row(FINE, keyed(rsa(1024).record()), BLIND),
    CheckId.DKIM_K5: Row(FINE, world(ED_ONLY), world(delivered(dns=DARK), dns=DARK)),
    CheckId.DKIM_K6: Row(FINE, keyed(rsa().record("t=y; ")), BLIND),
    CheckId.DKIM_K7: Row(FINE, world(delivered(FROM_BELOW), dns=at_selector(rsa().record("t=s; "))), BLIND),
    CheckId.DKIM_K8: Row(FINE, keyed(rsa().record("h=sha1; ")), BLIND),
    CheckId.DKIM_K9: Row(FINE, keyed(GOOD, ed25519().record()), BLIND),
    CheckId.DKIM_K10: Row(delegated("s1.esp.test", **{"s1.esp.test TXT": [GOOD]}), delegated("s1.esp.test"), BLIND),
    CheckId.DKIM_K11: Row(aged(10), aged(200), BLIND),
    CheckId.DKIM_K12: Row(FINE, keyed(RFC6376), BLIND),
}


def only(results: tuple[CheckResult, ...], check: CheckId) -> CheckResult:
    found = [result for result in results if result.check is check]
    assert len(found) == 1, found
    return found[0]


def of(number: int, where: World) -> CheckResult:
    return only(where.checked(judge), CheckId(f"DKIM-K{number}"))


@pytest.mark.parametrize("check", CHECKS)
def test_row(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def test_every_id_says_something_in_every_world() -> None:
    for row in (*ROWS.values(), Row(world(), world(selectors=(Selector(DOMAIN, "old", retired=True),)), world(ED_ONLY, dns=DARK))):
        for where in (row.passing, row.failing, row.unknown):
            results = where.checked(judge)
            assert {result.check for result in results} == set(CHECKS)
            keys = [(result.check, result.about) for result in results]
            assert len(keys) == len(set(keys))


def test_nothing_known_is_skipped_and_says_how_to_tell() -> None:
    results = world().checked(judge)
    assert {result.status for result in results} == {Status.SKIP}
    assert "--selector" in results[0].saw and "inspect.domains.shop.test.selectors" in results[0].saw


def test_missing_key_names_the_record_to_publish() -> None:
    found = of(1, ROWS[CheckId.DKIM_K1].failing)
    assert found.status is Status.FAIL and found.gravity is Gravity.CRITICAL
    assert not found.publish and "public half" in found.mend
    assert found.about == KEY


def test_selector_seen_in_mail_counts_without_being_declared() -> None:
    gone = world(delivered(), dns=DNS.but(**{f"{KEY} TXT": None}))
    assert of(1, gone).status is Status.FAIL
    assert "delivered mail is signed" in of(1, gone).saw


def test_bogus_answer_is_unknown() -> None:
    bogus = replace(DNS, fails={f"{KEY} TXT": DnsFailure.BOGUS})
    assert of(1, world(dns=bogus, selectors=S1)).status is Status.UNKNOWN


def test_third_partys_missing_key_only_warns() -> None:
    both = delivered(sign(sign(domain="esp.example", selector="x")))
    results = world(both).checked(judge)
    assert statuses([r for r in results if "esp.example" in r.about], CheckId.DKIM_K1) == {Status.WARN}
    assert statuses([r for r in results if "shop.test" in r.about], CheckId.DKIM_K1) == {Status.PASS}


@pytest.mark.parametrize(
    "record, check, status",
    [
        ("v=DKIM1; k=rsa; p=", 3, Status.PASS),
        (GOOD, 3, Status.PASS),
        (GOOD, 1, Status.PASS),
        (rsa(1024).record(), 4, Status.WARN),
    ],
)
def test_retired(record: str, check: int, status: Status) -> None:
    retired = world(dns=at_selector(record), selectors=(Selector(DOMAIN, "s1", retired=True),))
    assert of(check, retired).status is status


def test_retired_too_early() -> None:
    gone = DNS.but(**{f"{KEY} TXT": None})
    early = world(dns=gone, selectors=(Selector(DOMAIN, "s1", retired=True, seen=NOW - 2 * DAY),))
    late = world(dns=gone, selectors=(Selector(DOMAIN, "s1", retired=True, seen=NOW - 9 * DAY),))
    assert of(11, early).status is Status.WARN
    assert of(11, late).status is Status.PASS
    assert of(1, late).status is Status.PASS


def test_retired_selector_that_still_signs_is_in_use() -> None:
    revoked = world(delivered(), dns=at_selector("v=DKIM1; p="), selectors=(Selector(DOMAIN, "s1", retired=True),))
    assert of(3, revoked).status is Status.FAIL


@pytest.mark.parametrize(
    "record, status",
    [
        (rsa(512 * 4).record(), Status.PASS),
        (rsa(1024).record(), Status.WARN),
        (ed25519().record(), Status.PASS),
        ("v=DKIM1; k=ed25519; p=AAAA", Status.FAIL),
        ("v=DKIM1; k=dsa; p=AAAA", Status.FAIL),
        ("v=DKIM1; k=rsa; p=AAAA", Status.FAIL),
        ("v=DKIM1; k=rsa", Status.SKIP),
    ],
)
def test_strength(record: str, status: Status) -> None:
    assert of(4, keyed(record)).status is status


def test_test_mode_grows_grave_after_a_week_and_names_the_record_to_publish() -> None:
    record = rsa().record("t=y:s; ")
    digest = dkim.read_key(record).digest
    fresh = of(6, keyed(record))
    stale = of(6, keyed(record, keys=(KeyAge(DOMAIN, "s1", digest, NOW - 30 * DAY, testing_since=NOW - 8 * DAY),)))
    assert (fresh.gravity, stale.gravity) == (Gravity.WARNING, Gravity.ERROR)
    published = fresh.publish.partition(" IN TXT ")[2].replace('" "', "").strip('"')
    assert dkim.read_key(published) == replace(dkim.read_key(record), testing=False)


def test_strict_key_and_exact_identity() -> None:
    strict = at_selector(rsa().record("t=s; "))
    assert of(7, world(delivered(), dns=strict)).status is Status.PASS
    assert of(7, world(dns=strict, selectors=S1)).status is Status.SKIP


@pytest.mark.parametrize(
    "extra, status",
    [
        ("s=email; ", Status.PASS),
        ("s=*; ", Status.PASS),
        ("s=tlsrpt; ", Status.FAIL),
        ("h=sha1:sha256; ", Status.PASS),
        ("h=sha1; ", Status.FAIL),
    ],
)
def test_restrictions(extra: str, status: Status) -> None:
    assert of(8, keyed(rsa().record(extra))).status is status


def test_key_of_another_kind_than_the_signature() -> None:
    assert of(8, world(delivered(), dns=at_selector(ed25519().record()))).status is Status.FAIL


def test_dangling_delegation_is_critical_unless_retired() -> None:
    dangling = of(10, ROWS[CheckId.DKIM_K10].failing)
    assert (dangling.status, dangling.gravity) == (Status.FAIL, Gravity.CRITICAL)
    retired = replace(ROWS[CheckId.DKIM_K10].failing.subject, selectors=(Selector(DOMAIN, "s1", retired=True),))
    assert of(10, replace(ROWS[CheckId.DKIM_K10].failing, subject=retired)).gravity is Gravity.WARNING


def test_chain_too_long() -> None:
    names = [KEY, *(f"n{number}.esp.test" for number in range(9))]
    long = Dns({f"{names[-1]} TXT": [GOOD]}, aliases=dict(pairwise(names)))
    assert of(10, world(dns=long, selectors=S1)).status is Status.FAIL


@pytest.mark.parametrize("days, gravity", [(179, Gravity.INFO), (181, Gravity.WARNING), (366, Gravity.ERROR)])
def test_age(days: int, gravity: Gravity) -> None:
    assert of(11, aged(days)).gravity is gravity


def test_age_of_another_key_does_not_count() -> None:
    other = world(delivered(), selectors=S1, keys=(KeyAge(DOMAIN, "s1", "00", NOW - 900 * DAY),))
    assert of(11, other).status is Status.PASS


def test_same_key_on_two_domains_is_noted() -> None:
    dns = DNS.but(**{"x._domainkey.esp.example TXT": [GOOD]})
    results = world(delivered(sign(sign(domain="esp.example", selector="x")), dns), dns=dns).checked(judge)
    assert statuses(results, CheckId.DKIM_K12) == {Status.INFO}


def test_companion_by_keys_when_no_mail_was_seen() -> None:
    assert of(5, world(selectors=(Selector(DOMAIN, "e1"),))).status is Status.WARN
    assert of(5, world(selectors=(*S1, Selector(DOMAIN, "e1")))).status is Status.PASS


def test_results_are_bounded() -> None:
    many = world(selectors=tuple(Selector(DOMAIN, f"x{number}") for number in range(100)))
    found = [result for result in many.checked(judge) if result.check is CheckId.DKIM_K1]
    assert len(found) == 21 and found[-1].about == "more"


def test_all_keys_are_asked_for_at_once() -> None:
    asked: list[int] = []

    def count(answer: Answer) -> Answer:
        asked.extend([1] * ("._domainkey." in answer.question.name))
        return answer

    counted = replace(DNS, changed=count)
    where = world(dns=counted, selectors=tuple(Selector(DOMAIN, f"x{number}") for number in range(10)))
    where.checked(judge)
    assert len(asked) == 10


def test_long_records_are_split() -> None:
    line = zone_line("a.test", "x" * 600)
    assert max(len(part) for part in line.split('"')) <= 255
    assert zone_line("a.test", 'q"\\').endswith('"q\\"\\\\"')


def test_hostile_record_is_masked_and_bounded() -> None:
    hostile = "v=DKIM1; n=someone@example.com\x1b[31m; p=" + "A" * 60_000
    for result in keyed(hostile).checked(judge):
        assert "\x1b" not in result.saw + result.record + result.publish
        assert "someone@" not in result.record
        assert len(result.record) <= 500


def test_module_says_why() -> None:
    assert all(check.why and check.source and check.title for check in dkim_keys.CHECKS.values())


@pytest.mark.parametrize("mails", [(), (delivered(),)])
@pytest.mark.parametrize("records", [("google-site-verification=x", GOOD), (GOOD, "google-site-verification=x")])
def test_of_several_records_the_key_is_judged(records: tuple[str, ...], mails: tuple[SeenMail, ...]) -> None:
    where = world(*mails, dns=at_selector(*records), selectors=S1)
    assert {number: of(number, where).status for number in (2, 3, 4)} == dict.fromkeys((2, 3, 4), Status.PASS)
    assert (of(9, where).status, of(9, where).gravity) == (Status.FAIL, Gravity.ERROR)


def test_of_several_keys_the_one_that_verifies_is_judged() -> None:
    weak = at_selector(rsa(1024).record(), GOOD)
    assert of(4, world(delivered(dns=weak), dns=weak)).status is Status.PASS
    assert of(4, world(dns=weak, selectors=S1)).status is Status.WARN


def test_beside_a_cname_nothing_is_published() -> None:
    found = of(6, delegated("s1.esp.test", **{"s1.esp.test TXT": [rsa().record("t=y; ")]}))
    assert found.status is Status.WARN and not found.publish and "the owner of s1.esp.test" in found.mend
    missing = of(1, delegated("s1.esp.test"))
    assert not missing.publish and "the owner of s1.esp.test" in missing.mend


def test_what_is_published_is_not_masked() -> None:
    found = of(6, keyed(rsa().record("t=y; n=mail someone@example.com; ")))
    assert found.status is Status.WARN and "someone@example.com" in found.publish


ORGANIZATION = {"_dmarc.shop.test TXT": ["v=DMARC1; p=none; rua=mailto:d@shop.test"]}


@pytest.mark.parametrize(
    "records, fails, status",
    [
        (ORGANIZATION, {}, Status.FAIL),
        ({}, {}, Status.FAIL),
        ({}, {"_dmarc.orders.shop.test TXT": DnsFailure.TIMEOUT}, Status.FAIL),
        ({"_dmarc.mail.shop.test TXT": ["v=DMARC1; p=none; psd=n"], **ORGANIZATION}, {}, Status.WARN),
    ],
)
def test_a_sibling_of_the_organization_is_no_third_party(
    records: dict[str, list[str]], fails: dict[str, DnsFailure], status: Status
) -> None:
    dns = replace(DNS.but(**records), fails=fails)
    sibling = world(delivered(sign(domain="mail.shop.test", selector="gone"), dns), dns=dns)
    sibling = replace(sibling, subject=replace(sibling.subject, domain="orders.shop.test"))
    assert of(1, sibling).status is status
