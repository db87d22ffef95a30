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
from monitor.rules.incident.findings import CLOSED_FOR
from monitor.rules.incident.telling import GROWN_EVERY
from monitor.rules.notice import render
from tests.rules.incidents import Play, app, rules

SHOP, OUTLET = "shop.test", "outlet.test"
DAY = 86_400.0
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


class Zoned(Play):
    """Inspections of a domain, told one by one."""

    def __init__(self, *domains: str) -> None:
        inspect = InspectPolicy(domains={name: DomainPolicy(name) for name in domains or (SHOP,)})
        super().__init__(replace(rules(), inspect=inspect))

    def inspected(self, t: float, *results: CheckResult, domain: str = SHOP, blind: str = "", drifts: tuple[Drift, ...] = ()) -> None:
        self.tell(ZoneObserved(self.at(t), domain, Cause.SCHEDULE, results, (), (), drifts, blind=blind))

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
    assert play.see(600, blind="timeout") == []
    assert play.see(900, blind="timeout") == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.severity, fact.scope.name) == (Symptom.DNS_BLIND, Severity.TICKET, SHOP)
    assert fact.diagnosis is not None and fact.diagnosis.layer is Layer.MONITOR
    assert "timeout" in fact.diagnosis.shows[0]
    assert play.see(1000) == [Phase.RECOVERING]
    assert play.see(1060) == [RESOLVED]


def test_blind_everywhere_is_one_ticket() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, blind="timeout")
    play.see(30, domain=OUTLET, blind="timeout")
    assert play.ask(901, ()) == [OPENED]
    assert play.last.scope == EVERYWHERE
    assert play.see(1000, domain=OUTLET) == [Phase.RECOVERING]
    play.ask(1001, ())
    assert play.see(1070, domain=OUTLET)[0] is RESOLVED


def test_the_wider_one_takes_the_narrower_one_in() -> None:
    play = Zoned(SHOP, OUTLET)
    play.see(0, domain=OUTLET)
    play.see(0, blind="timeout")
    play.ask(901, ())
    assert play.see(1000, domain=OUTLET, blind="timeout") == [OPENED, Phase.GROWN]
    assert play.last.parent == play.said[-2].incident
    play.see(1100, domain=OUTLET)
    assert play.see(1200, domain=OUTLET) == [RESOLVED, Phase.GROWN]
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
    assert play.last.diagnosis.next_step == "approve it; mailcanary audit shop.test names what to publish"


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
