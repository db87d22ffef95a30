"""DKIM-M*: a table of worlds, and what the results say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail
from monitor.model.mail import AuthResult
from monitor.rules.inspect.dkim_mail import CHECKS, judge
from tests.rules.dkim.signing import MESSAGE, SIGNED, ed25519, rsa, sign
from tests.rules.inspect.dkim_worlds import CUT, DARK, DNS, KEY, at_selector, delivered, world
from tests.rules.inspect.worlds import NOW, Dns, Row, World, holds, statuses

FINE = world(delivered())
BLIND = world(CUT)
TRUNCATED = delivered(sign()[:-20], truncated=True)


def forced(**tags: str | None) -> World:
    """The same mail with other tags in its signature."""
    return world(delivered(sign(forced=tags)))


def without(*names: str) -> World:
    return world(delivered(sign(names=[name for name in (*SIGNED, "from", "subject", "date", "to") if name not in names])))


ELSEWHERE = world(delivered(sign(domain="esp.example")))
FAILING_WALK = Dns(
    DNS.records, fails={f"{name} *": DnsFailure.TIMEOUT for name in ("_dmarc.shop.test", "_dmarc.mail.shop.test", "_dmarc.test")}
)
ROWS = {
    CheckId.DKIM_M1: Row(FINE, ELSEWHERE, BLIND),
    CheckId.DKIM_M2: Row(FINE, world(delivered(sign().replace(b"12.00", b"99.00"))), world(delivered(dns=DARK), dns=DARK)),
    CheckId.DKIM_M3: Row(FINE, forced(a="rsa-sha1"), BLIND),
    CheckId.DKIM_M4: Row(FINE, without("subject"), BLIND),
    CheckId.DKIM_M5: Row(FINE, world(delivered(sign(names=SIGNED))), BLIND),
    CheckId.DKIM_M6: Row(FINE, world(delivered(sign(length=10))), BLIND),
    CheckId.DKIM_M7: Row(FINE, forced(t=str(int(NOW) - 100), x=str(int(NOW) - 50)), BLIND),
    CheckId.DKIM_M8: Row(FINE, forced(i="@example.com"), BLIND),
    CheckId.DKIM_M9: Row(FINE, forced(q="dns/carrier-pigeon"), BLIND),
    CheckId.DKIM_M10: Row(FINE, world(delivered(sign(form="simple/relaxed"))), BLIND),
    CheckId.DKIM_M11: Row(FINE, world(delivered(changed=lambda mail: replace(mail, signatures_ignored=3))), BLIND),
    CheckId.DKIM_M12: Row(FINE, world(delivered(b"Subject: another\r\n" + sign())), BLIND),
    CheckId.DKIM_M13: Row(FINE, without("to"), BLIND),
}


def of(number: int, where: World) -> CheckResult:
    found = [result for result in where.checked(judge) if result.check is CheckId(f"DKIM-M{number}")]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("check", CHECKS)
def test_row(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


@pytest.mark.parametrize("mail", [delivered(), CUT, TRUNCATED, delivered(MESSAGE), delivered(b""), delivered(b"\0" * 100)])
def test_every_id_says_something(mail: SeenMail) -> None:
    results = world(mail).checked(judge)
    assert {result.check for result in results} == set(CHECKS)
    keys = [(result.check, result.about) for result in results]
    assert len(keys) == len(set(keys))


def test_no_mail_is_skipped() -> None:
    assert {result.status for result in world().checked(judge)} == {Status.SKIP}


def test_unsigned_mail_fails_alignment_only() -> None:
    results = world(delivered(MESSAGE)).checked(judge)
    assert statuses(results, CheckId.DKIM_M1) == {Status.FAIL}
    assert statuses(results, CheckId.DKIM_M2) == {Status.SKIP}


def test_signed_by_the_organization() -> None:
    below = delivered(sign(MESSAGE.replace(b"refunds@shop.test", b"refunds@mail.shop.test")))
    organization = DNS.but(**{"_dmarc.shop.test TXT": ["v=DMARC1; p=none; rua=mailto:d@shop.test"]})
    assert of(1, world(below, dns=organization)).status is Status.PASS
    assert of(1, world(below, dns=replace(FAILING_WALK, records=organization.records))).status is Status.UNKNOWN
    first_step = {"_dmarc.mail.shop.test TXT": DnsFailure.SERVFAIL}
    assert of(1, world(below, dns=replace(organization, fails=first_step))).status is Status.UNKNOWN
    assert of(1, world(delivered(), dns=FAILING_WALK)).status is Status.PASS  # the same domain needs no walk


@pytest.mark.parametrize(
    "raw, said, status",
    [
        (sign(), AuthResult.PASS, Status.PASS),
        (sign(), AuthResult.FAIL, Status.WARN),
        (sign(), AuthResult.NONE, Status.WARN),
        (sign() + b"footer\r\n", AuthResult.PASS, Status.INFO),
        (sign() + b"footer\r\n", AuthResult.FAIL, Status.FAIL),
        (sign() + b"footer\r\n", AuthResult.ABSENT, Status.FAIL),
        (sign(selector="gone"), AuthResult.PASS, Status.FAIL),
        (sign(sign(), ed25519(), selector="e1"), AuthResult.PASS, Status.PASS),
        (sign(sign(), rsa(1024), selector="e1"), AuthResult.PASS, Status.WARN),
        (sign(sign(), domain="esp.example"), AuthResult.PASS, Status.PASS),
    ],
)
def test_ours_and_the_receivers_verdict(raw: bytes, said: AuthResult, status: Status) -> None:
    assert of(2, world(delivered(raw, said=said))).status is status


def test_truncated_body_is_unknown() -> None:
    assert of(2, world(TRUNCATED)).status is Status.UNKNOWN
    assert of(4, world(TRUNCATED)).status is Status.PASS


def test_unknown_key_beside_a_broken_signature_is_unknown() -> None:
    raw = sign(sign() + b"footer\r\n", ed25519(), selector="dark").replace(b"footer", b"FOOTER")
    dark = replace(DNS, fails={"dark._domainkey.shop.test TXT": DnsFailure.SERVFAIL})
    assert of(2, world(delivered(raw, dark), dns=dark)).status is Status.UNKNOWN


def test_coverage_of_what_is_there() -> None:
    light = of(4, without("mime-version"))
    assert (light.status, light.gravity) == (Status.WARN, Gravity.WARNING)
    listed = MESSAGE.replace(b"To:", b"List-Unsubscribe: <https://shop.test/u>\r\nTo:", 1)
    assert of(4, world(delivered(sign(listed)))).status is Status.WARN
    assert of(4, without("from")).status is Status.FAIL


@pytest.mark.parametrize("length, status", [(10, Status.FAIL), (10_000, Status.WARN)])
def test_length(length: int, status: Status) -> None:
    assert of(6, world(delivered(sign(length=length)))).status is status


@pytest.mark.parametrize(
    "signed_at, expires, status, gravity",
    [
        (-100, -1, Status.FAIL, Gravity.ERROR),
        (-100, 3600, Status.WARN, Gravity.ERROR),
        (-100, 86_400 * 3, Status.WARN, Gravity.WARNING),
        (-100, 86_400 * 7, Status.PASS, Gravity.INFO),
        (400, None, Status.WARN, Gravity.WARNING),
        (200, None, Status.PASS, Gravity.INFO),
        (None, 3600, Status.WARN, Gravity.ERROR),
    ],
)
def test_times(signed_at: int | None, expires: int | None, status: Status, gravity: Gravity) -> None:
    tags = {"t": signed_at, "x": expires}
    found = of(7, forced(**{name: str(int(NOW) + at) for name, at in tags.items() if at is not None}))
    assert (found.status, found.gravity) == (status, gravity)


def test_quoted_printable_identity_and_query_lists_are_fine() -> None:
    assert of(8, forced(i="=40mail.shop.test")).status is Status.PASS
    assert of(2, forced(i="=40mail.shop.test")).status is Status.PASS
    assert of(9, forced(q="dns/other : dns/txt")).status is Status.PASS
    assert of(2, forced(q="dns/other : dns/txt")).status is Status.PASS


def test_a_pass_of_another_signature_excuses_nothing() -> None:
    """A sending service alters the mail and signs it anew: the receiver's dkim=pass is of that signature, which ours does not share."""
    both = DNS.but(**{"s1._domainkey.esp.example TXT": [rsa().record()]})
    raw = sign(sign().replace(b"12.00", b"99.00"), domain="esp.example")
    found = of(2, world(delivered(raw, both, said=AuthResult.PASS), dns=both))
    assert (found.status, found.gravity) == (Status.FAIL, Gravity.CRITICAL)


def test_a_key_that_is_marked_as_a_test_is_named_where_the_receiver_counts_it_for_nothing() -> None:
    testing = at_selector(f"{rsa().record()}; t=y")
    found = of(2, world(delivered(dns=testing, said=AuthResult.NEUTRAL), dns=testing))
    assert found.status is Status.WARN and "t=y" in found.saw and found.mend == "take t=y out of the key record"
    assert "other DNS answers" in of(2, world(delivered(dns=testing, said=AuthResult.FAIL), dns=testing)).saw


def test_worst_route_speaks_for_a_selector() -> None:
    good, bad = delivered(), delivered(sign(form="simple/simple"), route="app/borealis")
    for mails in ((good, bad), (bad, good)):
        found = [result for result in world(*mails).checked(judge) if result.check is CheckId.DKIM_M10]
        assert [(result.about, result.status) for result in found] == [(KEY, Status.WARN)]


def test_results_are_bounded() -> None:
    mails = tuple(delivered(sign(domain=f"d{number}.example"), route=f"app/{number}") for number in range(50))
    found = [result for result in world(*mails).checked(judge) if result.check is CheckId.DKIM_M1]
    assert len(found) == 21 and "30 more" in found[-1].saw


def test_one_cause_over_many_routes_is_one_result() -> None:
    gone = DNS.but(**{f"{KEY} TXT": None})
    mails = tuple(delivered(dns=gone, route=f"app/{number}") for number in range(13))
    results = world(*mails, dns=gone).checked(judge)
    [found] = [result for result in results if result.check is CheckId.DKIM_M2]
    assert (found.about, found.status) == ("app/0", Status.FAIL)
    assert "app/1, app/2, app/3 and 9 more routes" in found.saw


def test_a_signature_of_the_organization_is_aligned_without_a_dmarc_record() -> None:
    assert of(1, world(delivered(sign(domain="mail.shop.test")))).status is Status.PASS
    assert of(1, world(delivered(sign(domain="shop.other.test")))).status is Status.FAIL
    apart = DNS.but(**{"_dmarc.mail.shop.test TXT": ["v=DMARC1; p=none; psd=n"]})
    assert of(1, world(delivered(sign(domain="mail.shop.test")), dns=apart)).status is Status.FAIL


def test_what_the_mail_says_is_masked() -> None:
    hostile = sign(forced={"i": "someone@example.com", "a": "rsa\x1b[31m"})
    for result in world(delivered(hostile, route="a\nb")).checked(judge):
        assert "someone@" not in result.saw and "\x1b" not in result.saw and "\n" not in result.about
