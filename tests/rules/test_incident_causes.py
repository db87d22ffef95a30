"""What is wrong with a sending domain beside what is wrong with its mail: which is named, which speaks, and what goes on afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, Gravity
from monitor.model.facts import Silenced, SilencePlanned, Transition
from monitor.model.incident import Layer, Phase, Scope, ScopeKind, Severity, SilenceId
from monitor.model.notice import Call
from monitor.model.verdict import Reason, Symptom
from monitor.rules.deploys import NEAR
from monitor.rules.notice import BETTER_KNOWN, render
from monitor.views.outbox import CAUSE_NAMED
from tests.rules.incidents import M, relay
from tests.rules.test_incident_findings import OUTLET, SHOP, Zoned, result
from tests.stages.test_incident import APP

OPENED, GROWN, RESOLVED = Phase.OPENED, Phase.GROWN, Phase.RESOLVED
WEAK = result(CheckId.SPF_04, about=SHOP, gravity=Gravity.ERROR, saw="9 lookups")


class Post(Zoned):
    """Sending domains, and mail by the relay that is authenticated by the first of them."""

    def fails(self, t: float, reason: Reason = Reason.UNAUTHENTICATED, numbers: range = range(1, 7)) -> list[Phase]:
        """At these mailboxes within ten seconds, while the control of the confirm round arrives."""
        for number in numbers:
            self.probe(relay(number), t + number, reason)
        said = self.ask(t + 9)
        for route in self.said[-1].confirm[-1:]:
            self.probe(route, t + 9)
        return [*said, *self.ask(t + 12)]

    def told(self) -> list[Transition]:
        """What the outbox promised to tell, in the order of the promises."""
        return [item.transition for item in self.world.outbox.items.values() if not item.superseded]

    def of(self, symptom: Symptom) -> Transition:
        """Its opening."""
        return next(fact for fact in self.said if fact.phase is OPENED and fact.symptom is symptom)

    def state(self, symptom: Symptom) -> Transition:
        return self.world.incidents.known[self.of(symptom).incident].last

    def healed(self, t: float) -> None:
        """Long enough for the mail to be over."""
        self.passes(t, 6)
        for minute in range(0, 26, 5):
            self.ask(t + minute * M + 3)


def test_mail_that_fails_after_its_domain_was_told_of_is_a_part_of_that() -> None:
    play = Post()
    play.twice(0, result())
    play.fails(2 * M)
    mail, domain = play.of(Symptom.AUTH), play.of(Symptom.AUTH_DKIM)
    assert (mail.cause, mail.parent, mail.severity) == (domain.incident, domain.incident, Severity.PAGE)
    assert mail.note == f"part of {domain.incident}"
    assert [fact.incident for fact in play.told()] == [domain.incident], "one page in all"


def test_a_finding_that_comes_after_the_mail_is_a_part_of_that_and_the_mail_tells_why_once() -> None:
    play = Post()
    play.fails(0)
    play.twice(20, result())
    for t in range(90, 900, 60):
        play.ask(t)
    mail, domain = play.of(Symptom.AUTH), play.of(Symptom.AUTH_DKIM)
    assert (domain.parent, domain.cause) == (mail.incident, None)
    assert play.state(Symptom.AUTH).cause == domain.incident
    assert [(fact.incident, fact.phase) for fact in play.told()] == [(mail.incident, OPENED), (mail.incident, GROWN)]
    assert play.told()[1].note == BETTER_KNOWN
    assert len([fact for fact in play.said if fact.phase is GROWN]) <= 2


def test_why_is_told_before_the_finding_is_certain_and_then_only_named() -> None:
    """The first inspection after it has the drift already."""
    play = Post()
    play.fails(0)
    state = play.world.incidents.known[play.of(Symptom.AUTH).incident]
    play.twice(20, result())
    grown = [fact.note for fact in play.said if fact.phase is GROWN and fact.incident == state.id]
    assert grown in ([BETTER_KNOWN], [BETTER_KNOWN, CAUSE_NAMED])


@pytest.mark.parametrize("first", ["mail", "domain"])
def test_a_ticket_hides_no_page(first: str) -> None:
    """SPF that is only in danger is a ticket; the mail that fails pages."""
    play = Post()
    if first == "domain":
        play.twice(0, WEAK)
        play.fails(2 * M)
    else:
        play.fails(0)
        play.twice(2 * M, WEAK)
    mail = play.of(Symptom.AUTH)
    assert mail.severity is Severity.PAGE and mail.parent is None and play.state(Symptom.AUTH).parent is None
    assert play.state(Symptom.AUTH).cause == play.of(Symptom.AUTH_SPF).incident
    assert mail.incident in {fact.incident for fact in play.told()}


def test_a_page_of_the_domain_is_told_beside_a_ticket_of_the_mail() -> None:
    play = Post()
    play.fails(0, Reason.UNAUTHENTICATED, range(1, 2))
    for t in (5 * M, 10 * M, 15 * M, 20 * M, 25 * M, 30 * M):
        play.probe(relay(1), t, Reason.UNAUTHENTICATED)
        play.ask(t + 3)
    assert play.of(Symptom.AUTH).severity is Severity.TICKET
    play.twice(31 * M, result())
    assert play.of(Symptom.AUTH_DKIM).parent is None and play.of(Symptom.AUTH_DKIM).severity is Severity.PAGE
    assert play.state(Symptom.AUTH).cause == play.of(Symptom.AUTH_DKIM).incident
    assert play.state(Symptom.AUTH).parent is None
    told = [(fact.incident, fact.note) for fact in play.told() if fact.note == CAUSE_NAMED]
    assert told == [], "that a cause is known now, and speaks for itself, is seen and not told"


def test_a_domain_that_has_nothing_to_do_with_the_mail_is_no_cause() -> None:
    play = Post(SHOP, OUTLET)
    play.see(0)
    play.twice(0, result(about=f"s1._domainkey.{OUTLET}"), domain=OUTLET)
    play.fails(2 * M)
    mail = play.of(Symptom.AUTH)
    assert mail.cause is None and mail.parent is None
    assert len({fact.incident for fact in play.told()}) == 2


@pytest.mark.parametrize(("age", "named"), [(NEAR - 60, True), (NEAR + 60, False)])
def test_how_long_before_it_may_have_begun(age: float, named: bool) -> None:
    play = Post()
    play.twice(0, result())
    play.fails(age)
    mail = play.of(Symptom.AUTH)
    assert (mail.cause is not None) is named and (mail.parent is not None) is named


@pytest.mark.parametrize("reason", [Reason.SPAM, Reason.REJECTED, Reason.BOUNCED, Reason.MISSING])
def test_other_trouble_with_the_mail_names_it_and_is_hidden_only_if_its_diagnosis_says_so(reason: Reason) -> None:
    play = Post()
    play.twice(0, result())
    play.fails(2 * M, reason)
    mail = next(fact for fact in play.opened() if fact.scope.kind is not ScopeKind.DOMAIN)
    assert mail.diagnosis is not None
    assert mail.cause == play.of(Symptom.AUTH_DKIM).incident
    assert (mail.parent is not None) is (mail.diagnosis.layer in (Layer.AUTHENTICATION, Layer.DNS))


@pytest.mark.parametrize("reason", [Reason.DUPLICATE, Reason.MISROUTED, Reason.ALTERED])
def test_what_no_zone_can_break_has_no_cause_there(reason: Reason) -> None:
    play = Post()
    play.twice(0, result())
    play.fails(2 * M, reason)
    assert all(fact.cause is None and fact.parent is None for fact in play.said)


def test_what_remains_when_the_domain_is_well_again_is_told() -> None:
    play = Post()
    play.twice(0, result())
    play.fails(2 * M)
    mail = play.of(Symptom.AUTH).incident
    play.twice(5 * M)
    assert play.state(Symptom.AUTH_DKIM).phase is RESOLVED
    again = [fact for fact in play.told() if fact.incident == mail]
    assert len(again) == 1 and again[0].parent is None and "goes on after" in again[0].note


def test_the_finding_that_remains_when_the_mail_is_well_again_is_told() -> None:
    play = Post()
    play.fails(0)
    play.twice(20, result())
    domain = play.of(Symptom.AUTH_DKIM).incident
    play.healed(5 * M)
    assert play.state(Symptom.AUTH).phase is RESOLVED
    told = [fact for fact in play.told() if fact.incident == domain]
    assert len(told) == 1 and told[0].parent is None and told[0].note == f"goes on after {play.of(Symptom.AUTH).incident}"


def test_a_finding_stays_a_part_while_it_is_looked_at_again_and_grows() -> None:
    play = Post()
    play.fails(0)
    play.twice(20, result(gravity=Gravity.ERROR))
    domain = play.of(Symptom.AUTH_DKIM)
    assert domain.severity is Severity.TICKET and domain.parent is not None
    for t in (200, 300, 400):
        play.see(t, result())
    last = play.state(Symptom.AUTH_DKIM)
    assert last.severity is Severity.PAGE and last.parent == domain.parent, "the page of the mail speaks for it"
    assert domain.incident not in {fact.incident for fact in play.told()}


@pytest.mark.parametrize("planned", [False, True])
def test_what_is_silent_speaks_for_nothing_else(planned: bool) -> None:
    """Somebody works on the zone; mail that is not authenticated is told nevertheless."""
    play = Post()
    play.twice(0, result())
    domain = play.of(Symptom.AUTH_DKIM).incident
    at = play.at(90)
    if planned:
        scope = Scope(ScopeKind.DOMAIN, SHOP)
        play.tell(SilencePlanned(at, SilenceId("SIL-1"), "ana", "new keys", at.utc, at.utc + 3600, (scope,)))
    else:
        play.tell(Silenced(at, domain, "ana", "new keys", at.utc + 3600))
    play.ask(91, ())
    play.fails(2 * M)
    mail = play.of(Symptom.AUTH)
    assert mail.cause == domain and mail.parent is None
    assert [fact.incident for fact in play.told() if not fact.silent_until][-1] == mail.incident


def test_the_words() -> None:
    play = Post()
    play.twice(0, WEAK)
    play.fails(190)
    mail = play.of(Symptom.AUTH)
    text = render(mail, play.policy, "k", Call.FIRE).text
    line = next(line for line in text.splitlines() if line.startswith("Cause:"))
    assert line == f"Cause:    possible: {mail.cause}, SPF of a sending domain is broken (began 3m11s before)"
    assert "possible cause" not in text and f"{mail.cause} is open about" not in text


def test_of_two_candidates_the_one_that_pages_is_named() -> None:
    play = Post()
    play.twice(0, WEAK, result())
    play.fails(3 * M)
    assert play.of(Symptom.AUTH).cause == play.of(Symptom.AUTH_DKIM).incident


def test_a_ticket_that_is_part_of_a_ticket_speaks_for_itself_when_it_pages() -> None:
    play = Post()
    play.passes(0, 40, every=1)
    play.twice(8 * M, WEAK)
    for t in range(10, 41, 5):
        for number in range(1, 7):
            play.probe(relay(number), t * M, Reason.LATE, after=200)
        play.passes(t * M, paths=(APP,))
        play.ask(t * M + 210)
    late = play.of(Symptom.DELIVERY_LATE)
    whole = play.of(Symptom.AUTH_SPF).incident
    assert late.severity is Severity.TICKET and late.cause == whole
    play.tell(replace(late, at=play.at(2_650), phase=GROWN, parent=whole))
    play.fails(2_700, Reason.MISSING)
    last = play.state(Symptom.DELIVERY_LATE)
    assert (last.severity, last.parent) == (Severity.PAGE, None)


def test_what_is_told_after_a_silence_has_its_grounds_though_a_cause_was_named_in_it() -> None:
    play = Post()
    at = play.at(-60)
    play.tell(SilencePlanned(at, SilenceId("SIL-1"), "ana", "work", at.utc, at.utc + 1860, (), (Symptom.AUTH,)))
    play.fails(0)
    play.twice(2 * M, WEAK)
    for t in range(200, 600, 60):
        play.ask(t)
    held = next(item.transition for item in play.world.outbox.items.values() if item.held and not item.superseded)
    assert held.note == CAUSE_NAMED and held.diagnosis is not None and held.tallies and held.cause is not None
    text = render(held, play.policy, "k", Call.FIRE, after_silence=True).text
    assert "mail of relay is not authenticated" in text and "Cause:" in text and "more than told before" not in text


def test_a_part_is_told_when_its_whole_is_silenced_afterwards() -> None:
    play = Post()
    play.twice(0, result())
    play.fails(2 * M)
    assert play.state(Symptom.AUTH).parent is not None
    at = play.at(200)
    play.tell(SilencePlanned(at, SilenceId("SIL-1"), "ana", "keys", at.utc, at.utc + 8e4, (Scope(ScopeKind.DOMAIN, SHOP),)))
    play.fails(900)
    mail = play.state(Symptom.AUTH)
    assert mail.parent is None and mail.incident in {fact.incident for fact in play.told()}
