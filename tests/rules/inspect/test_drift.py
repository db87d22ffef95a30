"""The zone against its baseline: what counts as a change, how bad it is, and how long it is only propagating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import LONGEST_BRIEF, Drift, DriftState, Facet, FacetKind, Selector, Subject
from monitor.model.verdict import Symptom
from monitor.rules.diagnose.findings import counts
from monitor.rules.inspect.drift import KEPT, MOST, MOST_TIMES, drift, flapping, judge
from monitor.rules.inspect.facets import Observation, observe
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds
from tests.rules.inspect.zones import GOOD, KEY, KEY_2048, SUBJECT

S1, TTL = "s1._domainkey.shop.test", 3600
CRITICAL, WARNING, INFO = Gravity.CRITICAL, Gravity.WARNING, Gravity.INFO
STRONG = GOOD.but(**{f"{S1} TXT": [f"v=DKIM1; p={KEY_2048}"]})


def observed(dns: Dns, subject: Subject = SUBJECT) -> Observation:
    return World(dns, subject).asked(lambda lookup: observe(subject, lookup))


BASELINE = observed(GOOD).facets
MEANT = replace(SUBJECT, baseline=BASELINE)


def later(
    seconds: float, dns: Dns, known: Sequence[Drift] = (), baseline: Sequence[Facet] = BASELINE, subject: Subject = SUBJECT
) -> tuple[Drift, ...]:
    return drift(baseline, observed(dns, subject), subject, known, NOW + seconds)


def gone(name: str) -> Dns:
    return GOOD.but(**{name: None})


def with_(name: str, *records: str) -> Dns:
    return GOOD.but(**{name: list(records)})


ROWS = {
    CheckId.DNS_14: Row(
        World(GOOD, MEANT),
        World(gone(f"{S1} TXT"), MEANT),
        World(replace(GOOD, fails={f"{S1} TXT": DnsFailure.SERVFAIL, "shop.test MX": DnsFailure.TIMEOUT}), MEANT),
    )
}


def test_row() -> None:
    holds(ROWS[CheckId.DNS_14], CheckId.DNS_14, judge)


SPF, DMARC = "shop.test TXT", "_dmarc.shop.test TXT"
CHANGES = [
    (gone(f"{S1} TXT"), CRITICAL, "selector s1's key record vanished"),
    (with_(f"{S1} TXT", "v=DKIM1; p="), CRITICAL, "selector s1's key was revoked"),
    (with_(f"{S1} TXT", "v=DKIM1; p=AAAA"), CRITICAL, "selector s1's key is no longer a valid key"),
    (with_(f"{S1} TXT", f"v=DKIM1; t=y; p={KEY}"), CRITICAL, "selector s1's key was put into test mode (t=y)"),
    (with_(f"{S1} TXT", f"v=DKIM1; t=s; p={KEY}"), WARNING, "selector s1's key has t=s"),
    (with_(f"{S1} TXT", f"v=DKIM1; h=sha256; p={KEY}"), WARNING, "selector s1's key is restricted otherwise (h=, s=)"),
    (STRONG, INFO, "selector s1's key grew from 1024 to 2048 bits"),
    (with_(f"{S1} TXT", f"v=DKIM1; k=rsa; p={KEY}", "v=DKIM1; p="), CRITICAL, None),
    (gone(SPF), CRITICAL, "the SPF record of shop.test vanished"),
    (with_(SPF, "v=spf1 include:esp.test -all"), CRITICAL, "192.0.2.10 is no longer authorised by SPF of shop.test"),
    (with_(SPF, "v=spf1 include:%{ir}._spf.esp.test -all"), WARNING, "192.0.2.10 is not listed in SPF of shop.test any more, and may pass"),
    (with_(SPF, "v=spf1 exists:%{i}.esp.test -all"), WARNING, "see SPF-07"),
    (with_(SPF, "v=spf1 redirect=%{d}.esp.test"), WARNING, "see SPF-07"),
    (with_(SPF, "v=spf1 ip4:192.0.2.10 include:esp.test ~all"), CRITICAL, "the SPF record of shop.test was weakened from -all to ~all"),
    (with_(SPF, "v=spf1 ip4:192.0.2.10 include:esp.test +all"), CRITICAL, "from -all to +all"),
    (with_(SPF, "v=spf1 ip4:192.0.2.10 ip4:203.0.113.7 include:esp.test -all"), WARNING, "has ip4:203.0.113.7 besides"),
    (with_(SPF, "v=spf1 ip4:192.0.2.10 -all"), INFO, "the SPF record of shop.test has no include:esp.test any more"),
    (with_("esp.test TXT", "v=spf1 ip4:198.51.100.0/25 -all"), INFO, "ours stay authorised"),
    (gone(DMARC), CRITICAL, "the DMARC record of _dmarc.shop.test vanished"),
    (with_(DMARC, "v=DMARC1; p=none; rua=mailto:d@shop.test"), CRITICAL, "the policy of _dmarc.shop.test was weakened from reject to none"),
    (with_(DMARC, "v=DMARC1; p=reject; sp=none; rua=mailto:d@shop.test"), CRITICAL, "for subdomains was weakened from reject to none"),
    (with_(DMARC, "v=DMARC1; p=reject; t=y; rua=mailto:d@shop.test"), CRITICAL, "was put into test mode"),
    (with_(DMARC, "v=DMARC1; p=reject; pct=50; rua=mailto:d@shop.test"), CRITICAL, "pct of _dmarc.shop.test changed from 100 to 50"),
    (with_(DMARC, "v=DMARC1; p=reject"), CRITICAL, "no longer go to mailto:***@shop.test"),
    (with_(DMARC, "v=DMARC1; p=reject; rua=mailto:d@shop.test,mailto:e@shop.test"), WARNING, "go to mailto:***@shop.test too"),
    (with_(DMARC, "v=DMARC1; p=reject; rua=MailTo:d@Shop.Test!10m"), INFO, "rua of _dmarc.shop.test is spelled otherwise"),
    (with_(DMARC, "v=DMARC1; p=reject; rua=mailto:D@shop.test"), CRITICAL, "no longer go to mailto:***@shop.test"),
    (with_(DMARC, "v=DMARC1; p=reject; rua=d@shop.test"), CRITICAL, "no longer go to mailto:***@shop.test"),
    (with_(DMARC, "v=DMARC1; p=reject; adkim=s; rua=mailto:d@shop.test"), INFO, "adkim of _dmarc.shop.test is strict now"),
    (gone("shop.test MX"), CRITICAL, "the MX records of shop.test vanished"),
    (with_("shop.test MX", "0 ."), CRITICAL, "null MX"),
    (with_("shop.test MX", "10 mx.evil.test"), CRITICAL, "all MX of shop.test were replaced"),
    (with_("shop.test MX", "10 mx.shop.test", "20 mx.esp.test", "30 mx3.esp.test"), WARNING, "mx3.esp.test is a new MX of shop.test"),
    (with_("shop.test MX", "10 mx.shop.test"), WARNING, "mx.esp.test is no MX of shop.test any more"),
    (with_("shop.test MX", "20 mx.shop.test", "20 mx.esp.test"), INFO, "the preferences of the MX of shop.test changed"),
    (gone("shop.test NS"), CRITICAL, "the NS records of shop.test vanished"),
    (with_("shop.test NS", "ns.evil.test"), CRITICAL, "all name servers of shop.test were replaced"),
    (with_("shop.test NS", "ns1.shop.test", "ns2.shop.test", "ns3.shop.test"), WARNING, "the name servers of shop.test changed"),
    (with_("shop.test DS", "1 13 2 AA"), INFO, "the zone shop.test is secured by DNSSEC now"),
    (with_("shop.test SOA", "ns1.shop.test host.shop.test 8 7200 3600 1209600 60"), INFO, "the SOA record of shop.test changed"),
    (gone("10.2.0.192.in-addr.arpa PTR"), CRITICAL, "the PTR record of 192.0.2.10 vanished"),
    (with_("mail.shop.test A", "192.0.2.11"), WARNING, "the address of mail.shop.test changed from 192.0.2.10 to 192.0.2.11"),
    (gone("mail.shop.test A"), CRITICAL, "the address of mail.shop.test vanished"),
]  # fmt: skip


@pytest.mark.parametrize(("dns", "gravity", "words"), CHANGES, ids=[words or "two key records" for _, _, words in CHANGES])
def test_a_change(dns: Dns, gravity: Gravity, words: str | None) -> None:
    (one,) = later(0, dns)
    assert one.gravity is gravity and (words or "") in one.what
    assert (one.state, one.first_seen, one.until, one.old_ttl) == (DriftState.PROPAGATING, NOW, NOW + TTL, TTL)


BACK = [
    ("shop.test DS", "1 13 2 AA", CRITICAL, "the DS records of shop.test vanished: the zone is not secured by DNSSEC any more"),
    (f"{S1} TXT", f"v=DKIM1; t=y; p={KEY}", INFO, "left test mode"),
    (f"{S1} TXT", f"v=DKIM1; p={KEY_2048}", CRITICAL, "selector s1's key shrank from 2048 to 1024 bits"),
    (DMARC, "v=DMARC1; p=none; rua=mailto:d@shop.test", INFO, "was strengthened from none to reject"),
    (SPF, "v=spf1 ip4:192.0.2.10 include:esp.test ~all", INFO, "was strengthened from ~all to -all"),
    ("shop.test MX", "0 .", CRITICAL, "all MX of shop.test were replaced"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "gravity", "words"), BACK, ids=[words for *_, words in BACK])
def test_the_other_way_round(name: str, record: str, gravity: Gravity, words: str) -> None:
    (one,) = later(0, GOOD, baseline=observed(with_(name, record)).facets)
    assert one.gravity is gravity and words in one.what


def test_nothing_changed() -> None:
    assert later(0, GOOD) == () and drift((), observed(GOOD), SUBJECT, (), NOW) == ()


def test_without_known_addresses_a_lost_include_is_no_comfort() -> None:
    nobody = replace(SUBJECT, egress=())
    (one,) = drift(observed(GOOD, nobody).facets, observed(with_(SPF, "v=spf1 ip4:192.0.2.10 -all"), nobody), nobody, (), NOW)
    assert one.gravity is WARNING


def test_a_retired_key_may_go() -> None:
    retired = replace(SUBJECT, selectors=(Selector(DOMAIN, "s1", retired=True),))
    (one,) = drift(BASELINE, observed(with_(f"{S1} TXT", "v=DKIM1; p="), retired), retired, (), NOW)
    assert one.gravity is INFO


def test_another_key_of_the_same_size() -> None:
    other = KEY[:60] + "A" + KEY[61:]
    (one,) = later(0, with_(f"{S1} TXT", f"v=DKIM1; p={other}"))
    assert (one.gravity, one.what) == (WARNING, "selector s1 has another key")


def test_propagating_until_the_old_ttl_is_over_and_seen_twice() -> None:
    dark = gone(f"{S1} TXT")
    first = later(0, dark)
    assert [one.state for one in later(TTL - 1, dark, first)] == [DriftState.PROPAGATING]
    (stands,) = later(TTL, dark, first)
    assert (stands.state, stands.first_seen) == (DriftState.STANDING, NOW)
    quick = tuple(replace(facet, ttl=5) for facet in BASELINE)
    first = later(0, dark, baseline=quick)
    assert later(30, dark, first, quick)[0].state is DriftState.PROPAGATING, "two observations a minute apart"
    assert later(60, dark, first, quick)[0].state is DriftState.STANDING


def test_what_cannot_be_asked_leaves_its_difference_as_it_is() -> None:
    first = later(0, gone(f"{S1} TXT"))
    assert later(9, replace(GOOD, fails={f"{S1} TXT": DnsFailure.TIMEOUT}), first) == first
    assert later(0, replace(GOOD, fails={f"{S1} TXT": DnsFailure.TIMEOUT})) == ()


def test_back_to_the_baseline() -> None:
    first = later(0, gone(f"{S1} TXT"))
    (over,) = later(100, GOOD, first)
    assert over.state is DriftState.REVERTED and not over.stands
    assert later(200, GOOD, (over,)) == (over,), "remembered for some days"
    assert later(KEPT + 101, GOOD, (over,)) == ()


def test_approved() -> None:
    dns = with_(DMARC, "v=DMARC1; p=none; rua=mailto:d@shop.test")
    first = later(0, dns)
    (over,) = later(100, dns, first, observed(dns).facets)
    assert over.state is DriftState.APPROVED


def test_a_third_value_is_the_same_difference() -> None:
    first = later(0, with_("mail.shop.test A", "192.0.2.11"))
    (one,) = later(100, with_("mail.shop.test A", "192.0.2.12"), first)
    assert (one.state, one.first_seen, one.until) == (DriftState.PROPAGATING, NOW, NOW + TTL)
    assert (one.after, one.changes) == ("records=192.0.2.12", (NOW, NOW + 100))
    assert "changed from 192.0.2.10 to 192.0.2.12" in one.what


def test_one_that_grows_worse_begins_anew() -> None:
    """When a key vanished is told, not when it was changed the week before."""
    first = later(0, with_(f"{S1} TXT", f"v=DKIM1; t=s; p={KEY}"))
    (one,) = later(90_000, gone(f"{S1} TXT"), first)
    assert (one.gravity, one.state, one.first_seen) == (CRITICAL, DriftState.PROPAGATING, NOW + 90_000)
    assert one.changes == (NOW, NOW + 90_000)


def test_a_value_that_rotates_is_one_difference_of_bounded_size() -> None:
    known: tuple[Drift, ...] = ()
    for look in range(96):
        hosts = [f"a:h{(look + number) % 40:02}.mail.esp.test" for number in range(9)]
        zone = with_(SPF, f"v=spf1 ip4:192.0.2.10 {' '.join(f'include:i{look}-{number}.test' for number in range(9))} -all", *hosts)
        known = later(900.0 * look, zone.but(**{f"i{look}-{n}.test TXT": [f"v=spf1 ip4:10.{look}.{n}.0/24 -all"] for n in range(9)}), known)
    (one,) = known
    assert one.first_seen == NOW and len(one.changes) == MOST_TIMES
    assert flapping(known, NOW + 900.0 * 95) == {(FacetKind.SPF, DOMAIN): MOST_TIMES}


def test_a_long_value_is_told_apart_by_its_digest() -> None:
    old, new = (Facet(FacetKind.SPF, DOMAIN, "x" * 5000 + end) for end in "ab")
    assert len(old.brief) == LONGEST_BRIEF and old.brief != new.brief
    assert Facet(FacetKind.SPF, DOMAIN, "short").brief == "short"
    wide = with_("esp.test TXT", "v=spf1 " + " ".join(f"ip4:198.51.{number}.0/24" for number in range(0, 190, 2)) + " -all")
    first = later(0, wide)
    assert len(first[0].after) == LONGEST_BRIEF and later(9, wide, first) == first
    (over,) = later(10, wide, first, observed(wide).facets)
    assert over.state is DriftState.APPROVED


def test_a_new_selector_is_an_addition_and_other_news_are_learned() -> None:
    more = replace(
        SUBJECT, selectors=(*SUBJECT.selectors, Selector(DOMAIN, "s2")), egress=("192.0.2.10", "192.0.2.99"), envelope=("bounce.shop.test",)
    )
    found = observed(with_("s2._domainkey.shop.test TXT", f"v=DKIM1; p={KEY}"), more)
    (one,) = drift(BASELINE, found, more, (), NOW)
    assert (one.name, one.gravity, one.what) == ("s2._domainkey.shop.test", WARNING, "selector s2's key record is new")
    assert drift(BASELINE, found, more, (one,), NOW + 9) == (one,)


S2 = "s2._domainkey.shop.test"
BOTH = replace(SUBJECT, selectors=(*SUBJECT.selectors, Selector(DOMAIN, "s2")))
TWO = with_(f"{S2} TXT", f"v=DKIM1; p={KEY_2048}")


@pytest.mark.parametrize(
    ("dns", "words"),
    [(GOOD, "vanished"), (with_(f"{S2} TXT", "v=DKIM1; p="), "was revoked")],
    ids=["vanished", "revoked"],
)
def test_a_key_in_use_is_missed_although_nobody_approved_it(dns: Dns, words: str) -> None:
    first = later(0, TWO, subject=BOTH)
    assert [(one.name, one.gravity) for one in first] == [(S2, WARNING)]
    last = replace(BOTH, facets=observed(TWO, BOTH).facets)
    (one,) = later(900, dns, first, subject=last)
    assert (one.gravity, one.first_seen, one.stands, one.old_ttl) == (CRITICAL, NOW + 900, True, TTL) and words in one.what
    assert later(1000, dns, (one,), subject=last)[0].stands
    (back,) = later(2000, TWO, (one,), subject=BOTH)
    assert (back.gravity, back.stands) == (WARNING, True)
    (over,) = later(1000, dns, (one,), observed(dns, BOTH).facets, BOTH)
    assert over.state is DriftState.APPROVED


def test_a_retired_key_that_nobody_approved_may_go() -> None:
    retired = replace(SUBJECT, selectors=(*SUBJECT.selectors, Selector(DOMAIN, "s2", retired=True)))
    (over,) = later(900, GOOD, later(0, TWO, subject=retired), subject=retired)
    assert over.state is DriftState.REVERTED


def test_a_selector_without_a_key_is_no_difference() -> None:
    assert later(0, GOOD, subject=BOTH) == ()


def test_what_nobody_asks_for_any_more_is_over() -> None:
    dns = GOOD.but(**{"10.2.0.192.in-addr.arpa PTR": None, f"{S1} TXT": None})
    first = later(0, dns)
    assert len(first) == 2
    elsewhere = replace(SUBJECT, egress=("192.0.2.99",), selectors=())
    over = later(900, dns, first, subject=elsewhere)
    assert {one.state for one in over} == {DriftState.REVERTED}
    assert all(one.what.endswith("(nobody asks for it any more)") for one in over)
    dark = replace(dns, fails={"10.2.0.192.in-addr.arpa PTR": DnsFailure.TIMEOUT, f"{S1} TXT": DnsFailure.TIMEOUT})
    assert all(one.stands for one in later(900, dark, first))


@pytest.mark.parametrize("fails", [True, False], ids=["unknown", "vanished"])
def test_a_host_whose_mx_is_not_as_it_is_meant_is_not_over(fails: bool) -> None:
    dns = with_("mx.shop.test A", "192.0.2.66")
    first = later(0, dns)
    worse = replace(dns, fails={"shop.test MX": DnsFailure.TIMEOUT}) if fails else dns.but(**{"shop.test MX": None})
    assert first[0] in later(9, worse, first)


def test_the_old_ttl_is_the_largest_that_was_seen() -> None:
    """When the baseline was learned a cache had counted it down."""
    counted = tuple(replace(facet, ttl=7) for facet in BASELINE)
    (one,) = later(0, gone(f"{S1} TXT"), baseline=counted, subject=replace(SUBJECT, facets=BASELINE))
    assert (one.old_ttl, one.until) == (TTL, NOW + TTL)
    other = tuple(replace(facet, value="another") for facet in BASELINE)
    (one,) = later(0, gone(f"{S1} TXT"), baseline=counted, subject=replace(SUBJECT, facets=other))
    assert one.old_ttl == 7


def old(state: DriftState, seconds: float, name: str = S1, *changes: float) -> Drift:
    return Drift(FacetKind.DKIM, name, "a", "b", CRITICAL, "what", state, NOW - seconds, NOW, changes=tuple(NOW - at for at in changes))


@pytest.mark.parametrize("was", ["rua=d@shop.test", "rua=mailto:d@shop.test!10m"])
def test_a_destination_that_is_mended_as_we_say_is_no_loss(was: str) -> None:
    before = observed(with_(DMARC, f"v=DMARC1; p=reject; {was}")).facets
    (one,) = later(0, GOOD, (), before)
    assert (one.gravity, one.what) == (INFO, "rua of _dmarc.shop.test is spelled otherwise")


def test_what_breaks_delivery_each_time_is_serious_although_it_never_stands() -> None:
    known: tuple[Drift, ...] = ()
    for look in range(3):
        known = later(900.0 * look + 61, GOOD, later(900.0 * look, gone(f"{S1} TXT"), known))
    result = World(GOOD, replace(MEANT, now=NOW + 2_000, drifts=known)).checked(judge)[0]
    assert (result.status, result.gravity) == (Status.FAIL, Gravity.ERROR) and "(flapping)" in result.about
    assert counts(result, Symptom.DRIFT), "it opens an incident"


def test_flapping() -> None:
    key = (FacetKind.DKIM, S1)
    there_and_back = [old(DriftState.REVERTED, 3600, S1, 7200, 6000, 3600, 1800)]
    assert flapping(there_and_back, NOW) == {key: 4}
    assert flapping([old(DriftState.STANDING, 60, S1, 7200, 3600, 60)], NOW) == {}
    assert flapping([old(DriftState.REVERTED, 3600, S1, 90_000, 6000, 3600, 1800)], NOW) == {}, "within a day"
    assert flapping([old(DriftState.REVERTED, 3600)], NOW) == {}, "of an older version"
    known: tuple[Drift, ...] = ()
    for look, dns in enumerate((gone(f"{S1} TXT"), GOOD, gone(f"{S1} TXT"), GOOD)):
        known = later(900.0 * look, dns, known)
    assert flapping(known, NOW + 3600) == {key: 4}
    subject = replace(MEANT, drifts=tuple(there_and_back))
    results = World(GOOD, subject).checked(judge)
    assert (results[0].about, results[0].status) == (f"{S1} (flapping)", Status.FAIL) and "4 times" in results[0].saw


def test_bounded() -> None:
    many = [old(DriftState.REVERTED, number, f"s{number}._domainkey.shop.test") for number in range(3 * MOST)]
    assert len(later(0, gone(f"{S1} TXT"), many)) <= MOST
    assert later(0, gone(f"{S1} TXT"), many)[-1].name == S1


def found(dns: Dns, subject: Subject = MEANT) -> list[CheckResult]:
    return [result for result in World(dns, subject).checked(judge) if result.is_finding]


def test_the_finding() -> None:
    (one,) = found(gone(f"{S1} TXT"))
    assert (one.about, one.status, one.gravity) == (S1, Status.FAIL, CRITICAL)
    assert one.saw == "selector s1's key record vanished; caches may hold the old one until 2026-11-22T13:00:00Z"
    assert "mailcanary audit shop.test --approve" in one.mend and one.record == "no record"
    (one,) = found(with_("shop.test MX", "10 mx.shop.test"))
    assert (one.about, one.status, one.gravity) == ("shop.test MX", Status.WARN, WARNING)
    (one,) = found(STRONG)
    assert one.status is Status.INFO


def test_nothing_to_compare_with() -> None:
    assert [result.status for result in World(GOOD, SUBJECT).checked(judge)] == [Status.SKIP]
    (one,) = World(replace(GOOD, fails={f"{S1} TXT": DnsFailure.TIMEOUT, "shop.test NS": DnsFailure.TIMEOUT}), SUBJECT).checked(judge)
    assert one.status is Status.SKIP and f"; {S1}, shop.test NS could not be asked" in one.saw


def test_no_facet_is_given_to_publish() -> None:
    """A facet says what a record means: published, it would be no record."""
    for dns, *_ in CHANGES:
        assert all("=" not in result.mend and "mailcanary audit" in result.mend for result in found(dns) if result.mend)
    (one,) = found(TWO, replace(MEANT, selectors=BOTH.selectors))
    assert one.mend.endswith("if not, take the key record of s2 out of the zone")


def test_a_whole_zone_that_vanished_is_bounded_and_grave_first() -> None:
    subject = replace(
        MEANT,
        baseline=(*BASELINE, *(Facet(FacetKind.MX, f"d{n}.test", "records=10 mx.test") for n in range(30))),
        envelope=tuple(f"d{n}.test" for n in range(19)),
    )
    results = found(Dns(), subject)
    assert len(results) == 21 and results[0].gravity is CRITICAL and "more differences" in results[-1].saw
    assert len({result.about for result in results}) == len(results)


def test_what_to_do_about_a_key_names_nothing_that_nobody_can_know() -> None:
    (bad,) = [one for one in World(gone(f"{S1} TXT"), MEANT).checked(judge) if one.status is Status.FAIL]
    assert "bits=" not in bad.mend and not bad.publish
    assert bad.mend.endswith("if not, put the former key record of s1 back: from the signer's file or the zone's history")


def test_what_to_do_about_a_record_that_was_not_there() -> None:
    meant = replace(MEANT, baseline=tuple(replace(one, value="") if one.name == S1 else one for one in BASELINE))
    (new,) = [one for one in drift(meant.baseline, observed(GOOD), SUBJECT, (), NOW) if one.name == S1]
    known = replace(new, gravity=CRITICAL)
    (bad,) = [one for one in World(GOOD, replace(meant, drifts=(known,))).checked(judge) if one.status is Status.FAIL]
    assert bad.mend.endswith("if not, take the key record of s1 out of the zone")
