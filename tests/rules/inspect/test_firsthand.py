"""Whose word about a key counts, our resolver's or that of the servers of the zone, and for how long; and their TTLs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, Gravity, Status
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.model.inspection import DriftState, FacetKind, Selector, Subject
from monitor.rules.inspect import Inspection, dkim_keys, drift, inspect, zone
from monitor.rules.inspect.authority import Server, Zone
from monitor.rules.inspect.firsthand import UNSEEN_FOR, VANISHED_FOR, servers
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, World
from tests.rules.inspect.zones import KEY_2048, NS1, NS2, THERE, says

S1, S2 = "s1._domainkey.shop.test", "s2._domainkey.shop.test"
GONE = THERE.but(**{f"{S1} TXT": None})
SUBJECT = Subject(DOMAIN, NOW, egress=("192.0.2.10",), selectors=(Selector(DOMAIN, "s1"),))
CRITICAL, UNKNOWN, PASSES = (Status.FAIL, Gravity.CRITICAL), (Status.UNKNOWN, Gravity.CRITICAL), (Status.PASS, Gravity.INFO)
WARNS = (Status.WARN, Gravity.WARNING)


OURS_ALONE, THEIRS_ALONE = says(THERE, ns1=GONE, ns2=GONE), says(GONE, ns1=THERE, ns2=THERE)


class Watch:
    """Inspections one after the other, each of which knows what the one before left."""

    def __init__(self, dns: Dns = THERE, subject: Subject = SUBJECT) -> None:
        self.subject, self.seen = subject, self._looked(dns, subject)
        self.subject = replace(subject, baseline=self.seen.facets, facets=self.seen.facets, keys=self.seen.keys)

    def _looked(self, dns: Dns, subject: Subject) -> Inspection:
        where = World(dns, subject)
        return where.asked(lambda lookup: inspect(subject, lookup, where, (dkim_keys.judge, zone.judge, drift.judge)))

    def at(self, seconds: float, dns: Dns) -> tuple[tuple[Status, Gravity], tuple[Status, Gravity]]:
        """(DKIM-K1, the worst of DNS-14) at that time."""
        self.seen = self._looked(dns, replace(self.subject, now=NOW + seconds))
        self.subject = replace(self.subject, facets=self.seen.facets, drifts=self.seen.drifts, keys=self.seen.keys)
        states = {CheckId.DKIM_K1: PASSES, CheckId.DNS_14: PASSES}
        for result in self.seen.results:
            if result.check in states and result.status is not Status.PASS and states[result.check] != CRITICAL:
                states[result.check] = (result.status, result.gravity)
        return states[CheckId.DKIM_K1], states[CheckId.DNS_14]


LAME = replace(OURS_ALONE, fails={f"@{NS2}": DnsFailure.REFUSED})
CLOSED = {f"@{NS1}": DnsFailure.TIMEOUT, f"@{NS2}": DnsFailure.UNREACHABLE}


def humble(dns: Dns) -> Dns:
    return replace(dns, changed=lambda answer: replace(answer, authoritative=False))


def alone(dns: Dns) -> Dns:
    """A zone with one server."""
    return replace(dns.but(**{"shop.test NS": ["ns1.shop.test"]}), servers=dns.servers)


def elsewhere(dns: Dns) -> Dns:
    """Its servers give another SPF record than our resolver does: a view of the zone for those within."""
    other = {"shop.test TXT": ["v=spf1 ip4:10.0.0.1 -all"]}
    return replace(dns, servers={address: {**said, **other} for address, said in dns.servers.items()})


def led_away(dns: Dns) -> Dns:
    """Its servers have an alias, and not what it leads to."""

    def aliased(answer: Answer) -> Answer:
        return replace(answer, chain=("s1.esp.test",)) if answer.question.name == S1 and answer.question.server else answer

    return replace(dns, changed=aliased)


@pytest.mark.parametrize(
    ("dns", "key", "drifted"),
    [
        (says(GONE, ns1=GONE, ns2=GONE), CRITICAL, CRITICAL),
        (THEIRS_ALONE, UNKNOWN, WARNS),
        (says(GONE, ns1=GONE, ns2=THERE), UNKNOWN, WARNS),
        (replace(THEIRS_ALONE, fails={f"@{NS1}": DnsFailure.TIMEOUT}), UNKNOWN, WARNS),
        (replace(GONE, fails=CLOSED), CRITICAL, CRITICAL),
        (humble(THEIRS_ALONE), CRITICAL, CRITICAL),
        (OURS_ALONE, CRITICAL, CRITICAL),
        (alone(says(THERE, ns1=GONE)), CRITICAL, CRITICAL),
        (says(THERE, ns1=GONE, ns2=THERE), PASSES, PASSES),
        (LAME, PASSES, PASSES),
        (replace(THERE, fails=CLOSED), PASSES, PASSES),
        (humble(OURS_ALONE), PASSES, PASSES),
        (elsewhere(OURS_ALONE), PASSES, PASSES),
        (led_away(OURS_ALONE), PASSES, PASSES),
    ],
)
def test_whose_word_counts(dns: Dns, key: tuple[Status, Gravity], drifted: tuple[Status, Gravity]) -> None:
    watch = Watch(alone(THERE)) if dns.records["shop.test NS"] == ["ns1.shop.test"] else Watch()
    assert watch.at(900, dns) == (key, drifted) == watch.at(961, dns)


def test_a_zone_that_is_shown_otherwise_has_lost_nothing_at_the_first_look() -> None:
    watch = Watch(OURS_ALONE)
    assert [facet.value != "" for facet in watch.seen.facets if facet.name == S1] == [True]


def test_what_was_never_there_is_unknown_while_a_cache_may_hold_so() -> None:
    watch = Watch(THEIRS_ALONE)
    assert watch.seen.unanswered == ((FacetKind.DKIM, S1),)
    assert [one.status for one in watch.seen.results if one.check is CheckId.DKIM_K1] == [Status.UNKNOWN]
    skipped = {one.saw for one in watch.seen.results if one.check is CheckId.DKIM_K2}
    assert skipped == {"our resolver does not find the key record yet"}


def test_a_resolver_that_does_not_find_it_after_an_hour_counts() -> None:
    watch = Watch()
    found = [watch.at(seconds, THEIRS_ALONE)[1] for seconds in (900, 900 + UNSEEN_FOR - 1, 900 + UNSEEN_FOR, 9_000, 200_000)]
    assert found == [WARNS, WARNS, CRITICAL, CRITICAL, CRITICAL]
    assert watch.at(201_000, THERE) == (PASSES, PASSES)


def test_a_resolver_that_finds_it_again_takes_it_back() -> None:
    watch = Watch()
    assert watch.at(900, THEIRS_ALONE)[1] == WARNS
    assert watch.at(1_800, THERE) == (PASSES, PASSES)
    assert [one.state for one in watch.seen.drifts] == [DriftState.REVERTED]
    assert [age.first_seen for age in watch.seen.keys] == [NOW], "it was the same key all the time"


def test_a_resolver_that_has_it_after_a_day_is_shown_another_view_and_counts() -> None:
    watch = Watch()
    states = [watch.at(seconds, OURS_ALONE) for seconds in (900, 900 + VANISHED_FOR - 1, 900 + VANISHED_FOR, 2 * VANISHED_FOR)]
    assert states == [(CRITICAL, CRITICAL)] * 2 + [(PASSES, PASSES)] * 2


def test_a_loss_that_our_resolver_notices_later_goes_on() -> None:
    watch = Watch()
    looks = [watch.at(900, OURS_ALONE), watch.at(4_000, GONE), watch.at(5_000, says(GONE, ns1=THERE, ns2=THERE))]
    assert looks == [(CRITICAL, CRITICAL)] * 3
    assert [(one.what, one.first_seen) for one in watch.seen.drifts] == [("selector s1's key record vanished", NOW + 900)]


def test_a_key_that_nobody_has_approved_yet_is_unseen_for_as_long() -> None:
    watch, both = Watch(), {f"{S2} TXT": [f"v=DKIM1; k=rsa; p={KEY_2048}"]}
    watch.subject = replace(watch.subject, selectors=(*watch.subject.selectors, Selector(DOMAIN, "s2")))
    new = THERE.but(**both)
    unseen = says(THERE, ns1=new, ns2=new)
    found = [
        watch.at(at, dns)[1] for at, dns in ((900, new), (9_000, unseen), (9_000 + UNSEEN_FOR - 1, unseen), (9_000 + UNSEEN_FOR, unseen))
    ]
    assert found == [WARNS, WARNS, WARNS, CRITICAL]


def test_two_servers_are_asked_and_not_one_of_them_twice() -> None:
    listed = (Server("ns1", ("192.0.2.2", "192.0.2.4", "2001:db8::2")), Server("ns0", ("10.0.0.1",)), Server("ns2", ("192.0.2.3",)))
    assert servers(Zone("shop.test", servers=listed)) == ("192.0.2.2", "192.0.2.3")
    assert servers(Zone("shop.test", servers=listed[:1])) == ("192.0.2.2", "192.0.2.4")


# TTLs


def lived(ttl: int, cached: int) -> Dns:
    """What the servers say, and what is left of it in our resolver's cache."""

    def life(answer: Answer) -> Answer:
        return replace(answer, ttl=ttl if answer.question.server else cached)

    return replace(THERE, changed=life)


@pytest.mark.parametrize("name", [S1, "_dmarc.shop.test", "shop.test"])
def test_a_ttl_that_was_lowered_before_is_the_one_that_caches_keep_to(name: str) -> None:
    kind = RecordType.TXT
    watch = Watch(lived(86_400, 80_000))
    watch.at(900, lived(300, 200))
    watch.at(2 * 86_400, replace(GONE.but(**{f"{name} {kind.value}": None}), ttl=300))
    found = [one.until - one.first_seen for one in watch.seen.drifts if one.name == name and one.kind is not FacetKind.MX]
    assert found == [300]


def test_a_cache_that_counts_down_is_no_lower_ttl() -> None:
    watch = Watch(lived(86_400, 80_000))
    assert {facet.ttl for facet in watch.seen.facets if facet.name == S1} == {86_400}
    watch.at(900, replace(lived(86_400, 5), fails=CLOSED))
    assert {facet.ttl for facet in watch.seen.facets if facet.name == S1} == {86_400}


@pytest.mark.parametrize(
    ("ttl", "said"),
    [
        (3_600, {"shop.test": Status.PASS}),
        (7_200, {"shop.test": Status.PASS}),
        (
            600,
            {"shop.test": Status.PASS} | dict.fromkeys(("shop.test MX", "shop.test TXT", "_dmarc.shop.test TXT", f"{S1} TXT"), Status.INFO),
        ),
        (60, dict.fromkeys(("shop.test MX", "shop.test TXT", "_dmarc.shop.test TXT", f"{S1} TXT"), Status.WARN)),
    ],
)
def test_a_lower_ttl_than_the_baseline_has_is_worth_knowing(ttl: int, said: dict[str, Status]) -> None:
    watch = Watch(lived(3_600, 3_600))
    watch.at(900, lived(ttl, 5))
    assert {one.about: one.status for one in watch.seen.results if one.check is CheckId.DNS_07} == said
    lowered = {one.saw for one in watch.seen.results if one.check is CheckId.DNS_07 and one.status is Status.INFO}
    assert lowered <= {f"lowered from 3600 s to {ttl} s: somebody may be about to change the record"}
