"""Tripwires as incidents: a page where it is ours, tickets for doubt, imitation and leak, and when each is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Doubted, Imitated, ResolveAsked, Tripped, Unasked
from monitor.model.incident import Phase, Severity
from monitor.model.notice import Call
from monitor.model.policy import Role
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules.incident.tripwires import COUNTED_EVERY
from monitor.rules.notice import render
from monitor.rules.tripwire import LEAK_WITHIN
from monitor.views.tripwires import QUIET
from tests.rules.incidents import Play, rules
from tests.stages.house import seed

P = Phase
WIRE = MailboxName("trap")
DAY = 86_400.0
LINES = ("who vouches", "what it says", "when it came", "one too many")


def play() -> Play:
    base = rules(6, 1)
    box = replace(base.mailboxes[seed(1)], name=WIRE, role=Role.TRIPWIRE, provider="mailbox")
    return Play(replace(base, mailboxes={**base.mailboxes, WIRE: box}, sending_domains=("shop.test",)))


def doubted(of: Play, t: float) -> None:
    of.tell(Doubted(of.at(t), WIRE, 1, "shop.test", LINES))


def tripped(of: Play, t: float) -> None:
    of.tell(Tripped(of.at(t), WIRE, 2, "shop.test", ("certainly ours", "it says so", "it came")))


def imitated(of: Play, t: float, domain: str = "shop.test", more: int = 0) -> None:
    of.tell(Imitated(of.at(t), WIRE, 3, domain, LINES, more=more))


def unasked(of: Play, t: float, domain: str, digest: str = "") -> None:
    of.tell(Unasked(of.at(t), WIRE, "INBOX", digest or f"d{t}", domain))


def shows(of: Play) -> tuple[str, ...]:
    diagnosis = of.said[-1].diagnosis
    assert diagnosis is not None
    return diagnosis.shows


class TestDoubt:
    def test_it_is_a_ticket_that_says_what_is_not_known(self) -> None:
        of = play()
        doubted(of, 0)
        assert of.ask(0) == [P.OPENED] and of.ask(0) == []
        told = of.said[0]
        assert (told.symptom, told.severity, told.scope.name) == (Symptom.STRAY, Severity.TICKET, WIRE)
        assert shows(of)[:3] == LINES[:3] and LINES[3] not in shows(of)
        notice = render(told, of.policy, "", Call.FIRE)
        assert "cannot be verified" in notice.text and "authenticated as ours" not in notice.text
        assert "[TICKET]" in notice.title

    def test_a_trip_makes_a_page_of_it(self) -> None:
        of = play()
        doubted(of, 0)
        of.ask(0)
        tripped(of, 600)
        assert of.ask(600) == [P.GROWN] and of.ask(601) == []
        told = of.said[-1]
        assert told.severity is Severity.PAGE and told.incident == of.said[0].incident and len(told.evidence) == 2
        assert shows(of)[0] == "certainly ours"
        assert told.diagnosis is not None and "authenticated as ours" in told.diagnosis.summary

    def test_a_doubt_behind_a_trip_is_no_news(self) -> None:
        of = play()
        tripped(of, 0)
        assert of.ask(0) == [P.OPENED] and of.said[0].severity is Severity.PAGE
        doubted(of, 60)
        assert of.ask(60) == []

    def test_a_day_of_quiet_is_its_end_counted_from_the_last_of_both(self) -> None:
        of = play()
        doubted(of, 0)
        of.ask(0)
        tripped(of, 3_600)
        of.ask(3_600)
        doubted(of, 7_200)
        assert of.ask(7_200 + QUIET - 1) == [] and of.ask(7_200 + QUIET) == [P.RESOLVED]
        assert of.ask(7_200 + QUIET + 1) == []

    def test_a_person_ends_it_and_another_opens_it_again(self) -> None:
        of = play()
        doubted(of, 0)
        of.ask(0)
        of.tell(ResolveAsked(of.at(60), of.said[0].incident, "ana", "a customer's forward"))
        assert of.ask(60) == [P.RESOLVED] and of.ask(61) == []
        doubted(of, 120)
        assert of.ask(120) == [P.OPENED] and of.said[-1].severity is Severity.TICKET

    def test_after_a_resolved_page_a_doubt_is_a_ticket(self) -> None:
        of = play()
        tripped(of, 0)
        of.ask(0)
        of.tell(ResolveAsked(of.at(60), of.said[0].incident, "ana", "job stopped"))
        of.ask(60)
        doubted(of, 120)
        assert of.ask(120) == [P.OPENED] and of.said[-1].severity is Severity.TICKET
        assert of.ask(200) == [], "the old trip does not make a page of it"


class TestImitation:
    def test_a_campaign_is_one_ticket_that_counts(self) -> None:
        of = play()
        imitated(of, 0)
        assert of.ask(0) == [P.OPENED]
        assert (of.said[0].symptom, of.said[0].severity) == (Symptom.IMITATION, Severity.TICKET)
        for n in range(1, 20):
            imitated(of, n * 60, f"evil{n % 6}.test", more=10)
            assert of.ask(n * 60) == []
        assert of.ask(COUNTED_EVERY - 1) == []
        assert of.ask(COUNTED_EVERY) == [P.GROWN] and of.said[-1].severity is Severity.TICKET
        assert any("210 since" in line and "and 3 more" in line for line in shows(of))
        assert of.ask(2 * COUNTED_EVERY) == [], "nothing came since"
        assert of.ask(19 * 60 + QUIET) == [P.RESOLVED] and "after 210" in of.said[-1].note

    def test_it_says_that_the_address_is_known_and_opens_no_second_ticket(self) -> None:
        of = play()
        imitated(of, 0)
        of.ask(0)
        assert any("replace it" in line for line in shows(of))
        for n, domain in enumerate(("a.test", "b.test", "c.test")):
            unasked(of, 60 + n, domain)
        assert of.ask(100) == []

    def test_another_campaign_counts_from_its_own_beginning(self) -> None:
        of = play()
        imitated(of, 0)
        of.ask(0)
        assert of.ask(QUIET) == [P.RESOLVED]
        imitated(of, 3 * DAY)
        assert of.ask(3 * DAY) == [P.OPENED]
        assert of.said[-1].since.mono == 3 * DAY and any(line.startswith("1 since") for line in shows(of))

    def test_after_a_person_ended_it_it_begins_with_what_came_since(self) -> None:
        of = play()
        imitated(of, 0)
        of.ask(0)
        of.tell(ResolveAsked(of.at(60), of.said[0].incident, "ana", "reported"))
        assert of.ask(60) == [P.RESOLVED] and of.ask(90) == []
        imitated(of, 120)
        assert of.ask(120) == [P.OPENED] and of.said[-1].since.mono == 120

    def test_what_was_over_before_anybody_could_tell_is_not_told(self) -> None:
        of = play()
        imitated(of, 0)
        assert of.ask(2 * DAY) == []

    def test_it_makes_no_page_and_hides_none(self) -> None:
        of = play()
        imitated(of, 0)
        of.ask(0)
        tripped(of, 60)
        assert of.ask(60) == [P.OPENED]
        assert (of.said[-1].symptom, of.said[-1].severity, of.said[-1].parent) == (Symptom.STRAY, Severity.PAGE, None)


class TestLeak:
    @pytest.mark.parametrize(
        ("mails", "opens"),
        [
            ([(0, "a.test"), (1, "b.test"), (2, "b.test")], True),
            ([(0, "a.test"), (1, "b.test")], False),
            ([(0, "a.test"), (1, "a.test"), (2, "a.test"), (3, "a.test")], False),
            ([(0, "a.test"), (1, "b.test"), (2, "")], True),
            ([(0, "a.test"), (1, "box.test"), (2, "b.test")], False),
            ([(0, "a.test"), (1, "accounts.mailbox.test"), (2, "b.test")], False),
            ([(0, "a.test"), (1, "shop.test"), (2, "b.test")], False),
            ([(0, "a.test"), (1, "a.test"), (LEAK_WITHIN + 2, "b.test")], False),
            ([(0, "a.test"), (1, "a.test"), (LEAK_WITHIN, "b.test")], True),
        ],
    )
    def test_three_mails_of_two_domains_within_a_week(self, mails: list[tuple[float, str]], opens: bool) -> None:
        of = play()
        for t, domain in mails:
            unasked(of, t, domain)
        assert of.ask(mails[-1][0]) == ([P.OPENED] if opens else [])
        if opens:
            assert (of.said[0].symptom, of.said[0].severity) == (Symptom.TRIPWIRE_LEAKED, Severity.TICKET)
            assert len(of.said[0].evidence) == len(mails) and "author domains within a week" in shows(of)[0]

    def test_the_next_step_is_to_replace_the_address(self) -> None:
        of = self.leaky()
        diagnosis = of.said[0].diagnosis
        assert diagnosis is not None and "replace the address of trap" in diagnosis.next_step
        assert "no longer a secret" in render(of.said[0], of.policy, "", Call.FIRE).text

    def test_a_mail_that_is_read_again_counts_once(self) -> None:
        of = play()
        for t, domain, digest in ((0, "a.test", "x"), (1, "b.test", "y"), (2, "a.test", "x"), (3, "b.test", "y")):
            unasked(of, t, domain, digest)
        assert of.ask(4) == []

    def test_a_week_of_quiet_is_its_end(self) -> None:
        of = self.leaky()
        unasked(of, DAY, "d.test")
        assert of.ask(DAY + LEAK_WITHIN - 1) == [] and of.ask(DAY + LEAK_WITHIN) == [P.RESOLVED]
        assert of.ask(DAY + LEAK_WITHIN + 1) == []

    def test_a_person_ends_it_and_three_new_ones_open_it_again(self) -> None:
        of = self.leaky()
        of.tell(ResolveAsked(of.at(60), of.said[0].incident, "ana", "known"))
        assert of.ask(60) == [P.RESOLVED]
        unasked(of, 100, "a.test")
        unasked(of, 101, "b.test")
        assert of.ask(102) == []
        unasked(of, 103, "c.test")
        assert of.ask(103) == [P.OPENED]

    def test_a_mailbox_that_is_gone_takes_its_incidents_along(self) -> None:
        of = self.leaky()
        doubted(of, 10)
        of.ask(10)
        imitated(of, 11)
        of.ask(11)
        of.policy = replace(of.policy, mailboxes={name: box for name, box in of.policy.mailboxes.items() if name != WIRE})
        assert of.ask(20) == [P.RESOLVED] * 3 and of.ask(21) == []

    def test_a_mailbox_that_is_no_tripwire_leaks_nothing(self) -> None:
        of = play()
        of.policy = rules(6, 1)
        for n, domain in enumerate(("a.test", "b.test", "c.test")):
            of.tell(Unasked(of.at(n), seed(1), "INBOX", f"d{n}", domain))
        assert of.ask(5) == []

    def leaky(self) -> Play:
        of = play()
        for n, domain in enumerate(("a.test", "b.test", "c.test")):
            unasked(of, n, domain)
        assert of.ask(3) == [P.OPENED]
        return of
