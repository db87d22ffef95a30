"""What inspections find becomes an incident of the domain: what opens it, what it says, and what ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Acknowledged, ResolveAsked, Started, Transition, ZoneObserved
from monitor.model.incident import EVERYWHERE, Layer, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.inspection import Cause, DomainPolicy, Drift, DriftState, FacetKind, InspectPolicy
from monitor.model.notice import Call
from monitor.model.verdict import Symptom
from monitor.rules.incident.findings import TURNS
from monitor.rules.incident.outage import CLOSED_FOR, TOGETHER
from monitor.rules.incident.telling import GROWN_EVERY
from monitor.rules.notice import render
from monitor.views.zones import finding_key
from tests.rules.incidents import Play, app, rules
from tests.rules.truth import SetBack

SHOP, OUTLET = "shop.test", "outlet.test"
DAY = 86_400.0
ALONE = 900 + TURNS * 900  # seconds after which one blind domain is told of, with the defaults
OPENED, RESOLVED, S, G = Phase.OPENED, Phase.RESOLVED, Status, Gravity
KEY = "s1._domainkey.shop.test"
SPF_RECORD = 'shop.test. 3600 IN TXT "v=spf1 ip4:192.0.2.10 -all"'


def result(
    check: CheckId = CheckId.DKIM_K1,
    status: Status = S.FAIL,
    gravity: Gravity = G.CRITICAL,
    about: str = KEY,
    saw: str = "no key record",
    mend: str = "publish the key that the relay signs with",
    publish: str = "",
    record: str = "",
) -> CheckResult:
    return CheckResult(check, status, about, gravity, saw, record, mend, publish)


WEAK = result(CheckId.SPF_04, about=SHOP, gravity=G.ERROR, saw="9 lookups")
LOST = result(CheckId.SPF_08, about="192.0.2.10", saw="192.0.2.10 is not authorised", mend="publish", publish=SPF_RECORD)


MUTE = (CheckId.SPF_01, CheckId.DKIM_K1, CheckId.DMARC_01, CheckId.MX_01)
LAME = result(CheckId.DNS_02, about=f"{SHOP} at ns1", saw="lame: REFUSED")


class Zoned(Play):
    """Inspections of a domain, told one by one."""

    def __init__(self, *domains: str) -> None:
        inspect = InspectPolicy(domains={name: DomainPolicy(name) for name in domains or (SHOP,)})
        super().__init__(replace(rules(), inspect=inspect))

    def inspected(
        self,
        t: float,
        *results: CheckResult,
        domain: str = SHOP,
        blind: str = "",
        drifts: tuple[Drift, ...] = (),
        hardened: tuple[CheckResult, ...] = (),
    ) -> None:
        keys = tuple(finding_key(one) for one in hardened)
        self.tell(ZoneObserved(self.at(t), domain, Cause.SCHEDULE, (*results, *hardened), (), (), drifts, blind=blind, hardened=keys))

    def silent(self, t: float, *domains: str) -> list[Phase]:
        """No server of these domains has answered for so long that it counts."""
        for domain in domains:
            self.inspected(t, domain=domain, hardened=tuple(result(check, about=domain) for check in MUTE))
        return self.ask(t + 0.1, ())

    def see(self, t: float, *results: CheckResult, domain: str = SHOP, blind: str = "") -> list[Phase]:
        """Inspected at `t`; what follows."""
        self.inspected(t, *results, domain=domain, blind=blind)
        return self.ask(t + 0.1, ())

    def twice(self, t: float, *results: CheckResult, domain: str = SHOP) -> list[Phase]:
        """Seen at `t`, and again a minute later: certain."""
        return [*self.see(t, *results, domain=domain), *self.see(t + 60, *results, domain=domain)]

    @property
    def last(self) -> Transition:
        return self.said[-1]


@pytest.fixture
def play() -> Zoned:
    return Zoned()


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_critical_finding_that_two_inspections_agree_on_is_a_page(play: Zoned) -> None:
    assert play.see(0, result()) == []
    assert play.see(59, result()) == []  # too soon to be another look
    assert play.see(61, result()) == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.scope, fact.severity) == (Symptom.AUTH_DKIM, Scope(ScopeKind.DOMAIN, SHOP), Severity.PAGE)
    assert (fact.since.utc, fact.opening, fact.routes, fact.tallies) == (play.at(0).utc, Opening.FINDING, (), ())
    assert fact.diagnosis is not None
    assert fact.diagnosis.layer is Layer.DNS
    assert fact.diagnosis.summary == f"{KEY}: no key record (DKIM-K1): DNS"
    assert fact.diagnosis.findings == (f"DKIM-K1 {KEY}",)
    assert fact.evidence == (3,)
    assert play.ask(62, ()) == []


@pytest.mark.parametrize(
    ("status", "gravity", "severity"),
    [
        (S.FAIL, G.CRITICAL, Severity.PAGE),
        (S.WARN, G.CRITICAL, Severity.PAGE),
        (S.FAIL, G.ERROR, Severity.TICKET),
        (S.WARN, G.ERROR, Severity.TICKET),
        (S.FAIL, G.WARNING, None),
        (S.WARN, G.INFO, None),
        (S.INFO, G.CRITICAL, None),
        (S.UNKNOWN, G.CRITICAL, None),
        (S.PASS, G.CRITICAL, None),
    ],
)
def test_what_opens_and_how_loud(play: Zoned, status: Status, gravity: Gravity, severity: Severity | None) -> None:
    play.twice(0, result(status=status, gravity=gravity))
    assert [fact.severity for fact in play.opened()] == ([severity] if severity else [])


@pytest.mark.parametrize("check", [CheckId.AR_01, CheckId.AR_02, CheckId.PLC_02])
def test_what_a_receiver_wrote_opens_nothing(play: Zoned, check: CheckId) -> None:
    assert play.twice(0, result(check)) == []


def test_one_incident_for_each_domain_and_family() -> None:
    play = Zoned(SHOP, OUTLET)
    play.twice(0, result(), result(CheckId.DKIM_K2, about="other"), LOST)
    play.twice(200, result(), domain=OUTLET)
    assert sorted((str(fact.scope), fact.symptom.value) for fact in play.opened()) == [
        ("domain:outlet.test", "auth_dkim"),
        ("domain:shop.test", "auth_dkim"),
        ("domain:shop.test", "auth_spf"),
    ]


def test_a_standing_fault_opens_at_the_first_inspections_and_never_twice(play: Zoned) -> None:
    for t in range(0, 7200, 300):
        play.see(float(t), result())
    assert [fact.phase for fact in play.said] == [OPENED]
    play.process = "two"
    assert play.see(8000, result()) == []


def test_malformed_mail_is_wrong_content_of_the_domain(play: Zoned) -> None:
    play.twice(0, result(CheckId.MSG_01, about="app/seed-1", saw="two From fields"))
    assert (play.last.symptom, play.last.scope.name) == (Symptom.CONTENT_WRONG, SHOP)
    assert play.last.diagnosis is not None and play.last.diagnosis.layer is Layer.APPLICATION
    assert play.see(400) == [Phase.RECOVERING]  # by inspections, and not by probes
    play.probe(app(1), 410)
    assert play.see(500) == [RESOLVED]


def test_a_domain_that_is_not_inspected_opens_nothing() -> None:
    play = Zoned(OUTLET)
    assert play.twice(0, result()) == []


def test_probes_have_no_part_in_it(play: Zoned) -> None:
    play.twice(0, result())
    for route in play.policy.routes:
        play.probe(route, 100)
        assert play.ask(101, {route}) == []
    play.passes(200, times=4)
    assert play.ask(2000) == []
    assert play.ask(2000, ()) == []


def test_the_drift_that_broke_it_is_a_part_of_it(play: Zoned) -> None:
    drift = result(CheckId.DNS_14, about=f"dkim {KEY}", saw="selector s1's key record vanished")
    assert play.twice(0, result(), drift) == [OPENED, OPENED]
    key, part = play.said
    assert (key.symptom, key.parent) == (Symptom.AUTH_DKIM, None)
    assert (part.symptom, part.parent) == (Symptom.DRIFT, key.incident)
    play.see(200, drift)
    assert play.see(300, drift) == [RESOLVED, Phase.GROWN]  # the key is there again, and the drift stands
    assert (play.last.symptom, play.last.parent) == (Symptom.DRIFT, None)
    assert play.last.note == f"goes on after {key.incident}"


def test_a_drift_that_pages_is_part_of_no_ticket(play: Zoned) -> None:
    drift = result(CheckId.DNS_14, about="dmarc", saw="p=reject became p=none")
    assert play.twice(0, WEAK, drift) == [OPENED, OPENED]
    assert [fact.parent for fact in play.said] == [None, None]


# --- growing ---------------------------------------------------------------------------------------------------------


def test_a_ticket_becomes_a_page_at_once(play: Zoned) -> None:
    play.twice(0, WEAK)
    assert play.last.severity is Severity.TICKET
    play.see(90, WEAK, LOST)
    assert play.see(151, WEAK, LOST) == [Phase.GROWN]
    assert play.last.severity is Severity.PAGE
    assert play.last.note == "it is graver than it was"
    assert play.last.diagnosis is not None and play.last.diagnosis.summary.startswith(
        "shop.test, 192.0.2.10: 192.0.2.10 is not authorised, and 1 more finding"
    )
    assert play.see(1000, WEAK) == []  # and stays one
    assert play.last.severity is Severity.PAGE


def test_further_findings_are_told_but_not_one_by_one(play: Zoned) -> None:
    more = [result(CheckId.DKIM_K2, about=f"s{n}._domainkey.shop.test") for n in range(2, 5)]
    play.twice(0, result())
    play.twice(70, result(), more[0])
    play.twice(140, result(), more[0], more[1])
    assert len(play.said) == 1
    t = 61 + GROWN_EVERY
    assert play.see(t, result(), *more) == [Phase.GROWN]
    assert play.last.note == "also DKIM-K2 s2._domainkey.shop.test, DKIM-K2 s3._domainkey.shop.test"
    assert play.see(t + 70, result(), *more) == []
    assert play.see(t + 70 + GROWN_EVERY, result(), *more) == [Phase.GROWN]


def test_the_same_of_another_routes_mail_is_no_news(play: Zoned) -> None:
    mails = [result(CheckId.DKIM_M2, about=f"app/seed-{number}", saw="the body was altered") for number in (1, 2)]
    play.twice(0, mails[0])
    assert play.twice(1000, *mails) == []
    assert play.twice(2000, *mails, result(CheckId.DKIM_M3, about="app/seed-1")) == [Phase.GROWN]


def test_an_unconfirmed_finding_is_not_told(play: Zoned) -> None:
    play.twice(0, WEAK)
    assert play.see(1000, WEAK, LOST) == []


# --- the end ---------------------------------------------------------------------------------------------------------


def test_over_after_two_good_inspections_a_minute_apart(play: Zoned) -> None:
    play.twice(0, result())
    assert play.see(200) == [Phase.RECOVERING]
    assert play.ask(500, ()) == []  # time alone ends nothing
    assert play.see(230) == []
    assert play.see(260.5) == [RESOLVED]
    assert play.last.note == "two inspections have found nothing of it any more"
    assert play.last.diagnosis == play.opened()[0].diagnosis
    assert play.see(2000) == []


def test_bad_again_while_recovering_is_no_new_page(play: Zoned) -> None:
    play.twice(0, result())
    play.see(200)
    assert play.see(230, result()) == [Phase.RELAPSED]
    assert play.see(500) == [Phase.RECOVERING]
    assert play.see(520) == []
    assert play.see(561) == [RESOLVED]


def test_unknown_ends_nothing(play: Zoned) -> None:
    play.twice(0, result())
    unsure = result(status=S.UNKNOWN, saw="no answer")
    for t in (200, 500, 900, 5000):
        assert play.see(t, unsure) == []
    assert play.see(6000) == [Phase.RECOVERING]
    assert play.see(6100, unsure) == []
    assert play.see(6200) == [RESOLVED]


def test_what_was_always_unknown_is_in_nobodys_way(play: Zoned) -> None:
    unsure = result(CheckId.DKIM_K3, status=S.UNKNOWN)
    play.twice(0, result(), unsure)
    assert play.see(200, unsure) == [Phase.RECOVERING]
    assert play.see(300, unsure) == [RESOLVED]


def test_what_was_told_first_is_remembered_when_it_grows(play: Zoned) -> None:
    play.twice(0, WEAK)
    unsure = replace(WEAK, status=S.UNKNOWN)
    play.see(100, unsure, LOST)
    assert play.see(200, unsure, LOST) == [Phase.GROWN]
    assert play.see(300, unsure) == []
    assert play.see(400) == [Phase.RECOVERING]


def test_blind_ends_nothing(play: Zoned) -> None:
    play.twice(0, result())
    assert play.see(300, blind="no resolver answers") == []
    assert play.see(400, blind="no resolver answers") == []


def test_the_same_within_the_hour_is_another_episode(play: Zoned) -> None:
    play.twice(0, result())
    play.see(200)
    play.see(300)
    assert play.twice(1000, result()) == [OPENED]
    assert (play.last.episode, play.last.incident) == (2, play.said[0].incident)
    play.see(2000)
    play.see(2100)
    play.twice(9000, result())
    assert play.last.incident != play.said[0].incident


def test_flapping_needs_longer(play: Zoned) -> None:
    t = 0.0
    for _ in range(3):
        play.twice(t, result())
        said = [*play.see(t + 200), *play.see(t + 270)]
        t += 600
    assert Phase.FLAPPING in said or Phase.FLAPPING in [fact.phase for fact in play.said]
    assert play.said[-1].phase is not RESOLVED
    assert play.see(t) in ([], [RESOLVED])
    assert play.see(t + 400) in ([], [RESOLVED])
    assert play.said[-1].phase is RESOLVED


def test_a_domain_that_is_no_longer_inspected(play: Zoned) -> None:
    play.twice(0, result())
    before = play.policy
    play.policy = replace(before, inspect=InspectPolicy(domains={OUTLET: DomainPolicy(OUTLET)}))
    assert play.ask(100, ()) == [RESOLVED]
    assert play.last.note == "shop.test is no longer inspected"
    play.policy = before
    assert play.ask(200, ()) == []  # what was found before is not held against it
    assert play.see(300, result()) == [OPENED]


def test_inspection_switched_off_ends_all(play: Zoned) -> None:
    play.twice(0, result())
    play.policy = replace(play.policy, inspect=replace(play.policy.inspect, enabled=False))
    assert play.ask(100, ()) == [RESOLVED]
    assert play.ask(200) == []


# --- what people say -------------------------------------------------------------------------------------------------


def close(play: Zoned, t: float) -> None:
    play.tell(ResolveAsked(play.at(t), play.last.incident, "ana", "known: the migration"))
    assert play.ask(t + 0.1, ()) == [RESOLVED]
    assert play.last.by == "ana"


def test_closed_by_hand_it_stays_closed_for_a_day(play: Zoned) -> None:
    play.twice(0, result())
    close(play, 100)
    for t in range(200, int(DAY), 3600):
        assert play.see(float(t), result()) == []
    assert play.see(CLOSED_FOR + 200, result()) == [OPENED]


def test_closed_by_hand_it_is_told_again_when_there_is_more(play: Zoned) -> None:
    play.twice(0, result())
    close(play, 100)
    assert play.twice(200, result(), result(CheckId.DKIM_K2, about="s2._domainkey.shop.test")) == [OPENED]


def test_closed_by_hand_it_is_told_again_when_it_comes_back(play: Zoned) -> None:
    play.twice(0, result())
    close(play, 100)
    play.see(200)
    assert play.twice(300, result()) == [OPENED]


def test_closed_by_hand_it_is_told_again_when_it_is_graver(play: Zoned) -> None:
    play.twice(0, WEAK)
    close(play, 100)
    assert play.see(200, WEAK) == []
    assert play.see(300, replace(WEAK, gravity=G.CRITICAL)) == [OPENED]


class ZonedAhead(SetBack, Zoned):
    """Inspected while the clock was wrong."""


def test_an_end_that_a_wrong_clock_dated_into_the_future_hides_nothing() -> None:
    play = ZonedAhead()
    play.twice(0, result())
    assert [*play.twice(200), *play.twice(900)][-1] is RESOLVED
    play.set_back(5_000)
    assert play.twice(5_001, result()) == [OPENED]


def test_closed_by_hand_it_stays_closed_when_the_clock_is_set_back() -> None:
    play = ZonedAhead()
    play.twice(0, result())
    close(play, 100)
    play.set_back(200)
    assert [*play.ask(201), *play.see(300, result())] == []


def test_an_outage_closed_while_the_clock_was_wrong_hides_no_later_one() -> None:
    names = [f"shop{number}.test" for number in range(3)]
    play = ZonedAhead(*names)
    play.silent(0, *names)
    assert play.silent(60, *names) == [OPENED]
    close(play, 100)
    play.set_back(5_000)
    for name in names:
        play.inspected(5_001, domain=name)
    play.silent(5_100, *names)
    assert OPENED in play.silent(5_160, *names)


def test_blindness_that_ended_while_the_clock_was_wrong_is_told_again() -> None:
    play = ZonedAhead()
    play.see(0)
    for t in (60, 900, 1_800):
        play.see(t, blind="timeout")
    close(play, 1_900)
    play.set_back(5_000)
    play.tell(Started(play.at(5_000), "1", "x"))
    phases = [phase for t in (5_001, 5_500, 6_000, 7_000) for phase in play.see(t, blind="timeout")]
    assert phases == [OPENED]


def test_an_acknowledgement_changes_nothing_else(play: Zoned) -> None:
    play.twice(0, result())
    play.tell(Acknowledged(play.at(100), play.last.incident, "ana", "on it"))
    assert play.ask(101, ()) == [Phase.ACKNOWLEDGED]
    assert play.see(200) == [Phase.RECOVERING]
    assert play.see(300) == [RESOLVED]


# --- blind -----------------------------------------------------------------------------------------------------------


def test_a_domain_that_cannot_be_asked_is_a_ticket_after_a_while() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, domain=OUTLET)
    assert play.see(0, blind="timeout") == []
    assert play.wake == pytest.approx(play.policy.incidents.blind_after - 0.1)
    for t in (900, 1800):
        assert play.see(t, blind="timeout") == []  # the first of all, as far as we know
        assert play.see(t + 10, domain=OUTLET) == []
    assert play.ask(ALONE - 1, ()) == []
    assert play.wake == pytest.approx(1)
    assert play.ask(ALONE, ()) == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.severity, fact.scope.name) == (Symptom.DNS_BLIND, Severity.TICKET, SHOP)
    assert fact.diagnosis is not None and fact.diagnosis.layer is Layer.MONITOR
    assert "timeout" in fact.diagnosis.shows[0]
    assert play.see(ALONE + 100) == [Phase.RECOVERING]
    assert play.see(ALONE + 160) == [RESOLVED]


def test_blind_everywhere_is_one_ticket() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, blind="timeout")
    play.see(30, domain=OUTLET, blind="timeout")
    assert play.ask(901, ()) == [OPENED]
    assert play.last.scope == EVERYWHERE
    assert play.see(1000, domain=OUTLET) == [Phase.RECOVERING]
    assert play.see(1070, domain=OUTLET) == []  # the other has not been asked again
    assert play.see(1800) == [RESOLVED]
    assert len(play.opened()) == 1


def test_blind_everywhere_again_before_all_were_asked() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, blind="timeout")
    play.see(30, domain=OUTLET, blind="timeout")
    assert play.ask(901, ()) == [OPENED]
    assert play.see(1000, domain=OUTLET) == [Phase.RECOVERING]
    assert play.see(1100, domain=OUTLET, blind="timeout") == [Phase.RELAPSED]


@pytest.mark.parametrize("outage", [500, 930, 1000, 7200])
@pytest.mark.parametrize("apart", [7, 45, 49])
def test_an_outage_of_our_resolvers_is_one_ticket_however_many_domains(outage: int, apart: int) -> None:
    names = [f"d{number:02}.test" for number in range(20)]
    play = Zoned(*names)
    seen_by_all = outage > 910 and outage > 10 + 19 * apart
    due, tries = {name: 10 + number * apart for number, name in enumerate(names)}, dict.fromkeys(names, 0)
    for name in names:
        play.inspected(due[name] - 900, domain=name)
    for t in range(0, outage + 5400, 5):
        for name in [name for name, at in due.items() if at <= t]:
            blind = t < outage
            play.inspected(t, domain=name, blind="timeout" if blind else "")
            due[name] = t + (min(900, 60 * 2 ** tries[name]) if blind else 900)
            tries[name] = tries[name] + 1 if blind else 0
        play.ask(t + 0.1, ())
    assert [fact.scope for fact in play.opened()] == ([EVERYWHERE] if seen_by_all else [])
    assert not play.world.incidents.open()


def test_the_wider_one_takes_the_narrower_one_in() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, domain=OUTLET)
    play.see(0, blind="timeout")
    assert play.ask(ALONE, ()) == [OPENED]
    assert play.see(3000, domain=OUTLET, blind="timeout") == [OPENED, Phase.GROWN]
    assert play.last.parent == play.said[-2].incident
    assert play.see(3100, domain=OUTLET) == [Phase.RECOVERING]
    assert play.see(3200, domain=OUTLET) == []  # the other may not have been asked again
    assert play.see(4000, blind="timeout") == []
    assert play.see(3099 + TURNS * 900, domain=OUTLET) == []
    assert play.see(3101 + TURNS * 900, domain=OUTLET) == [RESOLVED, Phase.GROWN]
    assert (play.last.parent, play.last.scope.name) == (None, SHOP)


def test_nobody_was_blind_while_nobody_asked(play: Zoned) -> None:
    play.see(0, blind="timeout")
    play.process = "two"
    play.tell(Started(play.at(50_000), "1", "x"))
    assert play.ask(50_001, ()) == []
    assert play.ask(50_901, ()) == [OPENED]


def test_blindness_closed_by_hand_waits_again(play: Zoned) -> None:
    play.see(0, blind="timeout")
    play.ask(901, ())
    close(play, 1000)
    assert play.ask(1500, ()) == []
    assert play.ask(1901, ()) == [OPENED]


# --- silent name servers ---------------------------------------------------------------------------------------------


def test_what_fails_for_want_of_answers_is_one_page_of_the_domain(play: Zoned) -> None:
    play.silent(0, SHOP)
    assert play.silent(61, SHOP) == [OPENED] * 4
    dns, *parts = play.said
    assert (dns.symptom, dns.parent, dns.severity) == (Symptom.DNS, None, Severity.PAGE)
    assert {fact.symptom for fact in parts} == {Symptom.AUTH_SPF, Symptom.AUTH_DKIM, Symptom.AUTH_DMARC}
    assert {fact.parent for fact in parts} == {dns.incident}
    assert play.see(200) == [Phase.RECOVERING] * 4
    assert play.see(300) == [RESOLVED] * 4


def test_what_began_with_lame_servers_is_of_them(play: Zoned) -> None:
    assert play.twice(0, LAME, result(), WEAK) == [OPENED] * 3
    assert [fact.parent for fact in play.said] == [None, play.said[0].incident, play.said[0].incident]


@pytest.mark.parametrize(
    "lame", [replace(LAME, gravity=G.ERROR), result(CheckId.DNS_06, about=SHOP), result(CheckId.IP_02, about="192.0.2.10")]
)
def test_what_only_stands_beside_it_pages(play: Zoned, lame: CheckResult) -> None:
    play.twice(0, lame, result())
    assert [fact.parent for fact in play.opened()] == [None, None]


def test_what_failed_before_the_servers_did_pages(play: Zoned) -> None:
    play.see(0, result())
    play.see(10, result(), LAME)
    play.see(80, result(), LAME)
    assert [fact.parent for fact in play.opened()] == [None, None]


def test_a_part_that_fails_by_itself_is_told(play: Zoned) -> None:
    play.silent(0, SHOP)
    play.silent(61, SHOP)
    spf = result(CheckId.SPF_01, about=SHOP)
    play.inspected(200, spf, hardened=(result(CheckId.MX_01, about=SHOP),))
    play.ask(200.1, ())
    (alone,) = [fact for fact in play.said if fact.phase is Phase.GROWN]
    assert (alone.symptom, alone.parent, alone.note) == (Symptom.AUTH_SPF, None, "it fails by itself now")
    assert play.ask(201, ()) == []


NAMES = tuple(f"d{number:02}.test" for number in range(20))


def test_silent_servers_of_many_domains_are_one_page() -> None:
    play = Zoned(*NAMES)
    play.silent(0, *NAMES)
    assert play.silent(61, *NAMES) == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.scope, fact.severity, fact.parent) == (Symptom.DNS, EVERYWHERE, Severity.PAGE, None)
    told = fact.diagnosis
    assert told is not None and told.layer is Layer.DNS
    assert told.summary == "the name servers of 20 domains do not answer for them: d00.test, d01.test, d02.test and 17 more"
    assert len(told.shows) <= 8 and "d00.test" in told.next_step
    assert SHOP not in render(fact, play.policy, "k", Call.FIRE).text
    for t in (1000, 2000):
        assert play.silent(t, *NAMES) == []
    for name in NAMES[1:]:
        assert play.see(3000, domain=name) == []
    assert play.see(3100, domain=NAMES[0]) == [Phase.RECOVERING]
    assert play.silent(3110, NAMES[0]) == [Phase.RELAPSED]
    assert play.see(3200, domain=NAMES[0]) == [Phase.RECOVERING]
    assert play.see(3300, domain=NAMES[0]) == [RESOLVED]
    assert not play.world.incidents.open() and len(play.opened()) == 1


def test_the_third_domain_makes_one_of_those_before() -> None:
    play = Zoned(*NAMES)
    for number, name in enumerate(NAMES):
        play.silent(number * 100, name)
        play.silent(number * 100 + 61, name)
    told = [fact for fact in play.opened() if fact.parent is None]
    assert [str(fact.scope) for fact in told] == ["domain:d00.test", "domain:d01.test", str(EVERYWHERE)]
    whole = told[-1].incident
    (*_, first, second) = [state for state in play.world.incidents.open() if state.last.symptom is Symptom.DNS and state.id != whole]
    assert (first.parent, second.parent) == (whole, whole)


def test_what_is_open_for_another_reason_is_no_part_of_it() -> None:
    play = Zoned(SHOP, *NAMES)
    play.twice(0, result(CheckId.IP_02, about="192.0.2.10"))
    play.silent(100, *NAMES)
    play.silent(161, *NAMES)
    assert [(str(fact.scope), fact.phase) for fact in play.said] == [(f"domain:{SHOP}", OPENED), (str(EVERYWHERE), OPENED)]


def test_domains_that_are_silent_at_other_times_are_not_one() -> None:
    play = Zoned(*NAMES)
    for number, name in enumerate(NAMES[:5]):
        play.silent(number * TOGETHER, name)
        play.silent(number * TOGETHER + 61, name)
    assert EVERYWHERE not in {fact.scope for fact in play.opened()}


def test_another_fault_of_a_silent_domain_pages() -> None:
    play = Zoned(*NAMES)
    play.silent(0, *NAMES)
    play.silent(61, *NAMES)
    for t in (200, 261):
        play.inspected(t, result(CheckId.SPF_08, about="192.0.2.10"), domain=NAMES[3])
        play.ask(t + 0.1, ())
    assert (play.last.scope.name, play.last.symptom, play.last.parent) == (NAMES[3], Symptom.AUTH_SPF, None)


def test_an_outage_closed_by_hand_leaves_no_page_for_each_domain() -> None:
    play = Zoned(*NAMES)
    for t in (0, 61):
        play.silent(t, NAMES[0])
    for t in (100, 161):
        play.silent(t, *NAMES)
    whole = next(fact.incident for fact in play.opened() if fact.scope == EVERYWHERE)
    play.tell(ResolveAsked(play.at(300), whole, "ana", "the provider knows"))
    play.ask(300.1, ())
    assert not play.world.incidents.open()
    before = len(play.said)
    for t in (1000, 2000, 50_000):
        play.silent(t, *NAMES)
    assert play.said[before:] == []
    assert play.silent(CLOSED_FOR + 400, *NAMES) == [OPENED]
    assert play.last.scope == EVERYWHERE


def test_an_outage_of_domains_that_are_no_longer_inspected_is_over() -> None:
    play = Zoned(*NAMES)
    play.silent(0, *NAMES)
    play.silent(61, *NAMES)
    play.policy = replace(play.policy, inspect=replace(play.policy.inspect, enabled=False))
    assert play.ask(100, ()) == [RESOLVED]


# --- in words --------------------------------------------------------------------------------------------------------


def test_the_page_names_the_record_to_publish(play: Zoned) -> None:
    play.twice(0, replace(LOST, record="v=spf1 -all"))
    told = play.last.diagnosis
    assert told is not None
    assert told.shows == ("SPF-08 192.0.2.10: 192.0.2.10 is not authorised; the record: v=spf1 -all",)
    assert told.next_step == f"publish: {SPF_RECORD}"
    notice = render(play.last, play.policy, "k", Call.FIRE)
    assert SPF_RECORD in notice.text
    assert notice.title.startswith("[PAGE][test] SPF of a sending domain is broken: shop.test (since ")
    assert notice.scope == "domain:shop.test"
    assert "0 routes" not in notice.text


@pytest.mark.parametrize("publish", ['_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:a@shop.test"', "k" * 300])
def test_a_record_that_cannot_be_told_whole_is_not_told_in_part(play: Zoned, publish: str) -> None:
    """A cut or masked record would be published as it stands."""
    play.twice(0, replace(LOST, publish=publish))
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.next_step == "publish; mailcanary audit shop.test names what to publish"


def test_the_same_of_many_mails_is_one_line(play: Zoned) -> None:
    mails = [result(CheckId.DKIM_M2, about=f"app/seed-{number}", saw="the body was altered") for number in range(1, 7)]
    play.twice(0, result(), *mails)
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.shows == (f"DKIM-K1 {KEY}: no key record", "DKIM-M2 app/seed-1 and 5 more: the body was altered")
    assert len(play.last.diagnosis.findings) == 7


def test_a_mend_that_is_too_long_ends_with_a_clause(play: Zoned) -> None:
    play.twice(0, result(mend=f"approve it; or publish {'x' * 300}"))
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.next_step == "approve it; mailcanary audit shop.test tells more"


def test_the_drifts_of_the_domain_stand_among_what_changed(play: Zoned) -> None:
    drift = Drift(
        FacetKind.DKIM,
        KEY,
        "a",
        "",
        G.CRITICAL,
        "selector s1's key record vanished",
        DriftState.STANDING,
        play.at(-48).utc,
        play.at(252).utc,
        300,
    )
    for t in (0.0, 60.0):
        play.inspected(t, result(), drifts=(drift,))
    play.ask(61, ())
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.changed == ("11:59:12Z selector s1's key record vanished, TTL 300 (it began 48.0 s after)",)


# --- any history -----------------------------------------------------------------------------------------------------


RESULTS = [result(), WEAK, LOST, result(status=S.UNKNOWN), result(CheckId.DNS_14, about="x"), replace(WEAK, gravity=G.CRITICAL)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some.lists(some.tuples(some.sampled_from([20.0, 70.0, 400.0]), some.sets(some.integers(0, 5)), some.booleans()), max_size=14))
def test_settled_and_never_two_of_one_kind(story: list[tuple[float, set[int], bool]]) -> None:
    play, t = Zoned(), 0.0
    for wait, chosen, blind in story:
        t += wait
        play.see(t, *{r.check: r for r in map(RESULTS.__getitem__, sorted(chosen))}.values(), blind="timeout" if blind else "")
        assert play.ask(t + 0.2, ()) == []  # nothing is left to say
        kinds = [(state.last.symptom, state.last.scope) for state in play.world.incidents.open()]
        assert len(kinds) == len(set(kinds))
        for state in play.world.incidents.open():
            assert state.last.routes == ()


MUTES = [result(check, about="x", gravity=gravity) for check, gravity in zip(MUTE, (G.CRITICAL, G.ERROR, G.CRITICAL, G.ERROR), strict=True)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    some.lists(
        some.tuples(
            some.sampled_from([20.0, 70.0, 400.0, 2000.0]),
            some.sets(some.sampled_from(NAMES[:5])),
            some.sets(some.sampled_from(range(4))),
            some.sampled_from(["mute", "fails", "blind", "closed"]),
        ),
        max_size=16,
    )
)
def test_settled_with_many_domains(story: list[tuple[float, set[str], set[int], str]]) -> None:
    play, t = Zoned(*NAMES[:5]), 0.0
    for wait, names, chosen, how in story:
        t += wait
        found = tuple(MUTES[number] for number in sorted(chosen))
        for name in sorted(names):
            shown = found if how == "fails" else ()
            play.inspected(t, *shown, domain=name, blind="x" if how == "blind" else "", hardened=found if how == "mute" else ())
        if how == "closed" and (standing := play.world.incidents.open()):
            play.tell(ResolveAsked(play.at(t), standing[-1].id, "ana", "known"))
        play.ask(t + 0.1, ())
        assert play.ask(t + 0.2, ()) == []  # nothing is left to say
        kinds = [(state.last.symptom, state.last.scope) for state in play.world.incidents.open()]
        assert len(kinds) == len(set(kinds))
        for state in play.world.incidents.open():
            assert state.parent is None or play.world.incidents.known[state.parent].is_open
