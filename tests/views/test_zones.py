"""What inspections and delivered mail have shown, folded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.edge.journal.codec import decode_fact, decode_view, encode, kind_of
from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Baselined, Delivered, Entry, Fact, InspectionAsked, MailProved, ZoneLearned, ZoneObserved
from monitor.model.inspection import Cause, Drift, DriftState, Facet, FacetKind, KeyAge
from monitor.model.instant import Instant
from monitor.model.mailauth import DeliveredMail, Hop, MailProof, Signature
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.views.zones import MOST_AUTHORS, MOST_DRIFTS, MOST_LEARNED, MOST_MEANT, MOST_ROUTES, DomainState, Zones, untold

SHOP = "shop.test"
ROUTE = Route(PathName("relay"), MailboxName("seed-1"))
MX = Facet(FacetKind.MX, SHOP, "records=10 mx.shop.test", 3600)
KEY = Facet(FacetKind.DKIM, "s1._domainkey.shop.test", "p=aa", 300)


def at(seconds: float) -> Instant:
    return Instant(1_000_000.0 + seconds, seconds, "one")


def result(status: Status = Status.FAIL, about: str = SHOP, gravity: Gravity = Gravity.CRITICAL) -> CheckResult:
    return CheckResult(CheckId.MX_01, status, about, gravity, "seen")


def seen(seconds: float, *results: CheckResult, **more: object) -> ZoneObserved:
    fact = ZoneObserved(at(seconds), SHOP, Cause.SCHEDULE, results, (CheckId.MX_02,), (MX, KEY))
    return replace(fact, **more)  # type: ignore[arg-type]


def folded(*facts: Fact) -> Zones:
    zones = Zones()
    for seq, fact in enumerate(facts, 1):
        again = decode_fact(kind_of(fact), encode(fact))
        assert again == fact, "a fact survives the journal"
        zones.fold(Entry(seq, kind_of(fact), fact))
        zones = decode_view(encode(zones), Zones)
    return zones


def shop(*facts: Fact) -> DomainState:
    return folded(*facts).domains[SHOP]


def test_a_finding_is_confirmed_by_a_second_look_a_minute_later() -> None:
    state = shop(seen(0, result()), seen(59, result()))
    assert state.findings["MX-01 shop.test"].confirmed is None and state.findings["MX-01 shop.test"].seen == 2
    state = shop(seen(0, result()), seen(60, result()), seen(900, result()))
    finding = state.findings["MX-01 shop.test"]
    assert (finding.since, finding.confirmed, finding.latest, finding.seq, finding.seen) == (at(0), at(60), at(900), 3, 3)


@pytest.mark.parametrize("between", [result(Status.UNKNOWN), result(about="other.test"), None], ids=["unknown", "elsewhere", "gone"])
def test_another_status_or_thing_begins_anew(between: CheckResult | None) -> None:
    state = shop(seen(0, result()), seen(70, *([between] if between else [])), seen(140, result()))
    finding = state.findings["MX-01 shop.test"]
    assert (finding.since, finding.confirmed, finding.seen) == (at(140), None, 1)


def test_a_hardened_unknown_goes_on() -> None:
    hard = seen(900, result(), hardened=("MX-01 shop.test",))
    finding = shop(seen(0, result(Status.UNKNOWN)), seen(450, result(Status.UNKNOWN)), hard).findings["MX-01 shop.test"]
    assert (finding.since, finding.seen, finding.hardened, finding.result.status) == (at(0), 3, True, Status.FAIL)


def test_a_blind_look_changes_no_finding() -> None:
    blind = ZoneObserved(at(80), SHOP, Cause.SCHEDULE, (), (), (), blind="nobody answers")
    state = shop(seen(0, result()), blind, replace(blind, at=at(140), blind="still"))
    assert (state.blind, state.blind_why, state.blinded) == (at(80), "still", 2)
    assert list(state.findings) == ["MX-01 shop.test"] and state.last is not None and state.last.at == at(0)
    state = shop(seen(0, result()), blind, seen(200, result()))
    assert (state.blind, state.blind_why, state.blinded) == (None, "", 0)


def test_the_same_again_is_read_as_if_it_were_spelled_out() -> None:
    full = seen(0, result(), keys=(KeyAge(SHOP, "s1", "aa", 5.0),))
    same = ZoneObserved(at(70), SHOP, Cause.CONFIRM, (), (), (), same=True, asked=9)
    state = shop(full, same)
    assert state.last == replace(full, at=at(70), cause=Cause.CONFIRM, same=True, asked=9)
    assert (state.last_seq, state.spelled) == (1, at(0)), "evidence is where it is spelled out"
    assert state.findings["MX-01 shop.test"].confirmed == at(70) and state.findings["MX-01 shop.test"].seq == 1


def test_the_same_as_what_has_left_the_journal_says_nothing() -> None:
    state = shop(ZoneObserved(at(70), SHOP, Cause.CONFIRM, (), (), (), same=True))
    assert state.last is None and not state.findings


def test_drifts_that_did_not_move() -> None:
    same = ZoneObserved(at(70), SHOP, Cause.CONFIRM, (), (), (), same=True, unmoved=True)
    state = shop(seen(0, drifts=(drifted(),)), same)
    assert state.drifts == [drifted()] and state.last is not None and state.last.drifts == (drifted(),)
    assert shop(seen(0, drifts=(drifted(),)), replace(same, unmoved=False)).drifts == []


def test_what_was_learned_replaces_the_baseline() -> None:
    news = Facet(FacetKind.PTR, "192.0.2.1", "x")
    state = shop(seen(0), ZoneLearned(at(0), SHOP, (MX, KEY)), seen(9), ZoneLearned(at(9), SHOP, (MX, news)))
    assert state.baseline == (MX, news) and state.looks == 2
    state = shop(seen(0), Baselined(at(5), SHOP, "ann", (MX,)), ZoneLearned(at(4), SHOP, (news,)))
    assert state.baseline == (MX,), "approved while it was being learned"


def test_a_baseline_of_an_older_version_is_learned_once_and_takes_over_what_it_does_not_know() -> None:
    other = replace(MX, value="records=10 evil.test")
    news = (other, Facet(FacetKind.PTR, "192.0.2.1", "x"), Facet(FacetKind.DKIM, "s2._domainkey.shop.test", "p=bb"))
    assert shop(seen(0)).baseline == ()
    assert shop(seen(0, learned=True), seen(9, facets=(other,))).baseline == (MX, KEY)
    assert shop(seen(0, learned=True), seen(9, facets=news, learned=True)).baseline == (MX, KEY, news[1])
    assert untold((), news) == news and untold((MX,), news) == news[1:], "keys are additions only beside keys"
    assert untold((KEY,), (Facet(FacetKind.DKIM, "s2._domainkey.shop.test", ""),)) == (), "nor is a key that is not there taken over"


def drifted(state: DriftState = DriftState.PROPAGATING) -> Drift:
    return Drift(FacetKind.MX, SHOP, MX.value, "records=10 new.test", Gravity.WARNING, "what", state, 1.0, 2.0)


def test_approval() -> None:
    new = replace(MX, value="records=10 new.test")
    facts = (seen(0, learned=True), seen(9, facets=(new,), drifts=(drifted(),)))
    state = shop(*facts, Baselined(at(10), SHOP, "ann", (new,)))
    assert state.baseline == (KEY, new) and state.approved is not None, "what could not be seen then keeps its value"
    assert [one.state for one in state.drifts] == [DriftState.APPROVED]
    state = shop(*facts, Baselined(at(10), SHOP, "ann", (MX,)))
    assert [one.state for one in state.drifts] == [DriftState.PROPAGATING]


def test_what_nobody_asks_for_any_more_leaves_with_an_approval() -> None:
    learned = ZoneLearned(at(0), SHOP, (MX, KEY))
    approved = Baselined(at(10), SHOP, "ann", (MX,))
    assert shop(learned, seen(9, facets=(MX,), unanswered=()), approved).baseline == (MX,)
    assert shop(learned, seen(9, facets=(MX,), unanswered=(KEY.key,)), approved).baseline == (KEY, MX), "it could not be seen then"
    assert shop(learned, seen(9, facets=(MX,)), approved).baseline == (KEY, MX), "an older version did not say"


def test_a_baseline_is_bounded() -> None:
    many = tuple(Facet(FacetKind.PTR, f"192.0.2.{number}", "x") for number in range(MOST_MEANT + 9))
    state = shop(ZoneLearned(at(0), SHOP, many[:MOST_MEANT]), Baselined(at(1), SHOP, "ann", (MX,)))
    assert len(state.baseline) == MOST_MEANT and MX in state.baseline


def test_drifts_are_bounded() -> None:
    assert len(shop(seen(0, drifts=tuple([drifted()] * (MOST_DRIFTS + 5)))).drifts) == MOST_DRIFTS


def test_asked() -> None:
    asked = InspectionAsked(at(1), SHOP, "ann")
    assert shop(asked).asked == asked and shop(asked, seen(2)).asked is None


MAIL = DeliveredMail(
    author_domains=(SHOP,),
    envelope_domain="bounce.shop.test",
    border=Hop(address="192.0.2.10", helo="mail.shop.test"),
    signatures=(Signature("shop.test", "S1", "rsa-sha256"), Signature("shop.test", "bad", "x", fault="broken")),
    said_address="192.0.2.99",
)


def delivered(seconds: float, mail: DeliveredMail = MAIL, route: Route = ROUTE) -> Delivered:
    return Delivered(at(seconds), ProbeId("p"), route, route.mailbox, mail)


def test_what_is_learned_of_how_a_domain_sends() -> None:
    zones = folded(delivered(0), delivered(9))
    learned = zones.learned[SHOP]
    when = at(9).utc
    assert (learned.since, learned.addresses, learned.helo) == (at(0).utc, {"192.0.2.10": when}, {"mail.shop.test": when})
    assert (learned.envelope, learned.selectors) == ({"bounce.shop.test": when}, {"s1 shop.test": when})
    bare = replace(MAIL, border=None, envelope_domain="", said_envelope="said.test", signatures=())
    learned = folded(delivered(0, bare)).learned[SHOP]
    assert (learned.addresses, learned.helo, learned.envelope) == ({"192.0.2.99": at(0).utc}, {}, {"said.test": at(0).utc})
    assert folded(delivered(0, replace(MAIL, author_domains=()))).learned == {}


def test_what_is_learned_is_bounded() -> None:
    zones = Zones()
    for number in range(MOST_ROUTES + 10):
        mail = replace(MAIL, border=Hop(address=f"192.0.2.{number}"), author_domains=(SHOP,) if number < 100 else (f"d{number}.test",))
        zones.fold(Entry(number, "delivered", delivered(number, mail, Route(PathName("relay"), MailboxName(f"s{number}")))))
    assert len(zones.learned) == MOST_AUTHORS and len(zones.delivered) == MOST_ROUTES
    zones = Zones()
    for number in range(MOST_LEARNED + 10):
        zones.fold(Entry(number, "delivered", delivered(number, replace(MAIL, border=Hop(address=f"192.0.2.{number}")))))
    assert len(zones.learned[SHOP].addresses) == MOST_LEARNED and "192.0.2.59" in zones.learned[SHOP].addresses


def test_a_mail_is_judged_with_its_own_proof() -> None:
    proved = MailProved(at(5), ProbeId("p"), ROUTE, 1, MailProof())
    zones = folded(delivered(0), proved)
    assert zones.mails[str(ROUTE)].delivered == delivered(0) and zones.mails[str(ROUTE)].proved == proved
    later = folded(delivered(0), proved, delivered(9))
    assert later.mails[str(ROUTE)].delivered == delivered(0), "until the next is proved too"
    late = folded(delivered(0), delivered(1), proved)
    assert late.mails == {} and late.proofs[str(ROUTE)] == proved
