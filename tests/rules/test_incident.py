"""When evidence becomes suspicion, suspicion an incident, and an incident is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from monitor.model.channels import NotifyPolicy, WebhookChannel
from monitor.model.facts import (
    Acknowledged,
    Deferred,
    DeployMarked,
    ResolveAsked,
    SubmitError,
    SubmitFault,
    Transition,
    Tripped,
    WatchBlind,
    WatchRestored,
    Withheld,
)
from monitor.model.incident import EVERYWHERE, DeployPhase, Link, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.mail import BlindCause
from monitor.model.notice import Call
from monitor.model.policy import HttpPath, Role
from monitor.model.probe import MailboxName, Purpose, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident import CONFIRM_EVERY, MOST, WAKE_SUSPECT
from monitor.rules.incident.layout import Layout
from monitor.rules.incident.opening import OTHERS_PATIENCE, TAKEN_PATIENCE
from monitor.rules.incident.telling import GROWN_EVERY
from monitor.rules.notice import render
from monitor.rules.notify import duties
from tests.rules.incidents import M, Play, app, relay, rules
from tests.stages.house import RELAY, seed
from tests.stages.test_incident import APP

P, SUSPECTED, GROWN, OPENED, CLEARED = Phase, Phase.SUSPECTED, Phase.GROWN, Phase.OPENED, Phase.CLEARED
PATH = Scope(ScopeKind.PATH, RELAY)
HARD = [
    Reason.REJECTED, Reason.SUBMIT_UNREACHABLE, Reason.BOUNCED, Reason.SPAM, Reason.MISFILED, Reason.MISROUTED, Reason.ALTERED,
    Reason.UNAUTHENTICATED, Reason.DUPLICATE,
]  # fmt: skip
SLOW = [Reason.MISSING, Reason.LATE, Reason.DEFERRED]


def box(number: int) -> Scope:
    return Scope(ScopeKind.MAILBOX, seed(number))


def failing(play: Play, t: float, numbers: Iterable[int], reason: Reason = Reason.SPAM) -> list[Phase]:
    """The relay fails at these mailboxes within ten seconds, while the control of the confirm round arrives; what is decided then."""
    for number in numbers:
        play.probe(relay(number), t + number, reason)
    play.ask(t + 9)
    for route in play.said[-1].confirm[-1:]:
        play.probe(route, t + 9)
    return play.ask(t + 12)


class TestSuspicion:
    @pytest.mark.parametrize("reason", [*HARD, *SLOW])
    def test_one_bad_probe_is_suspected_and_nobody_is_told(self, reason: Reason) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 5 * M, reason)
        assert play.ask(5 * M + 2, [relay(1)]) == [SUSPECTED]
        assert play.ask(5 * M + 2) == []
        assert play.said[0].since.mono == 5 * M

    @pytest.mark.parametrize("reason", [Reason.MAILBOX_BLIND, Reason.CLOCK_JUMP, Reason.SUBMIT_UNKNOWN, Reason.SUBMIT_MISCONFIGURED])
    def test_what_we_do_not_know_is_no_suspicion(self, reason: Reason) -> None:
        play = Play()
        play.probe(relay(1), 0, reason)
        assert play.ask(2) == []

    def test_its_confirm_round_asks_two_other_providers_a_sibling_and_the_control_path(self) -> None:
        play = Play()
        play.probe(relay(1), 0, Reason.SPAM)
        play.ask(2)
        *elsewhere, sibling, control = play.said[0].confirm
        assert {play.layout.provider(route) for route in elsewhere} == {"provider-0", "provider-2"}
        assert {route.path for route in elsewhere} == {RELAY} and len(elsewhere) == 2
        assert (sibling, control) == (relay(4), app(1))

    @pytest.mark.parametrize(
        ("seeds", "paths", "asked"),
        [
            (3, 2, [relay(3), relay(2), relay(1), app(1)]),
            (2, 2, [relay(2), relay(1), relay(2), app(1)]),
            (1, 2, [relay(1), relay(1), relay(1), app(1)]),
            (6, 1, [relay(3), relay(2), relay(4), relay(6)]),
            (4, 2, [relay(3), relay(2), relay(4), app(1)]),
        ],
        ids=["no sibling", "one other provider", "one mailbox", "no control", "all there is"],
    )
    def test_what_a_confirm_round_is_where_there_are_fewer(self, seeds: int, paths: int, asked: list[Route]) -> None:
        play = Play(rules(seeds, paths))
        play.probe(relay(1), 0, Reason.SPAM)
        play.ask(2)
        assert list(play.said[0].confirm) == asked

    def test_too_few_mailboxes_are_asked_again_and_blind_ones_not_at_all(self) -> None:
        play = Play(rules(2, 1))
        play.probe(relay(1), 0, Reason.SPAM)
        play.ask(2)
        assert play.said[0].confirm == (relay(2), relay(1), relay(2), relay(1))
        play = Play()
        play.tell(WatchBlind(play.at(0), seed(2), BlindCause.TIMEOUT, "", ""))
        play.probe(relay(1), 0, Reason.SPAM)
        play.ask(2)
        assert relay(2) not in play.said[0].confirm

    def test_good_mail_later_clears_it(self) -> None:
        play = Play()
        play.probe(relay(1), 0, Reason.MISSING, after=480)
        assert play.ask(480) == [SUSPECTED]
        play.probe(relay(1), 500)
        assert play.ask(502, [relay(1)]) == [CLEARED]
        assert play.ask(502) == [] and not play.world.incidents.known

    def test_others_of_its_path_and_family_join_it(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.MISSING)
        play.ask(303)
        play.probe(relay(2), 310, Reason.LATE)
        assert play.ask(313) == []
        play.probe(app(3), 310, Reason.LATE)
        assert play.ask(314) == [SUSPECTED]

    def test_one_confirm_round_a_minute_and_path(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.probe(relay(2), 300, Reason.MISSING)
        assert play.ask(303) == [SUSPECTED, SUSPECTED]
        rounds = [fact.confirm for fact in play.said]
        assert [bool(confirm) for confirm in rounds] == [True, False]
        assert play.ask(303 + CONFIRM_EVERY - 1) == []
        assert play.ask(303 + CONFIRM_EVERY) == [SUSPECTED]
        assert play.said[-1].confirm and play.ask(303 + CONFIRM_EVERY) == []

    @pytest.mark.parametrize(
        ("number", "purpose", "asked"),
        [(2, Purpose.SCHEDULED, [SUSPECTED]), (4, Purpose.SCHEDULED, []), (2, Purpose.CONFIRM, [])],
        ids=["another provider", "the same provider", "a confirm probe"],
    )
    def test_another_provider_that_looks_bad_later_has_a_round_of_its_own(self, number: int, purpose: Purpose, asked: list[Phase]) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.MISSING)
        assert play.ask(302) == [SUSPECTED]
        for route in play.said[0].confirm:
            play.probe(route, 303)
        assert play.ask(306) == []
        play.verdict(play.send(relay(number), 400, purpose), Reason.MISSING, 403)
        assert play.ask(405) == asked
        if asked:
            assert play.said[-1].confirm[-1] == app(2) and play.said[-1].incident == play.said[0].incident
            play.probe(relay(2), 500, Reason.MISSING)
            assert play.ask(503) == [], "and only one"

    def test_where_it_is_everywhere_an_earlier_suspicion_does_not_tell_half_of_it(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        for route in play.said[0].confirm:
            play.probe(route, 303)
        play.ask(306)
        play.probe(relay(2), 500, Reason.SPAM)
        assert play.ask(502) == [SUSPECTED], "two providers, but the control of the first round is old"
        for route in play.said[-1].confirm:
            play.probe(route, 503, Reason.SPAM)
        play.ask(505)
        play.ask(540)
        assert [fact.scope for fact in play.opened()] == [EVERYWHERE]

    def test_a_round_that_was_lost_with_its_process_is_asked_for_again(self) -> None:
        play = Play()
        play.probe(relay(1), 0, Reason.SPAM)
        play.ask(2)
        play.process = "two"
        assert play.ask(1 + CONFIRM_EVERY + 2) == [SUSPECTED]
        assert play.said[-1].confirm and play.said[-1].incident == play.said[0].incident

    @pytest.mark.parametrize(("retry", "suspected"), [(2.0, [SUSPECTED]), (None, [])])
    def test_a_relay_that_is_not_reached_is_suspected_at_its_first_attempt(self, retry: float | None, suspected: list[Phase]) -> None:
        play = Play()
        probe = play.send(relay(1), 0)
        play.tell(SubmitError(play.at(1), probe, 1, SubmitFault.UNREACHABLE, "refused", "", retry))
        assert play.ask(1, [relay(1)]) == suspected
        if suspected:
            assert play.said[0].symptom is Symptom.SMTP_REJECT

    def test_overdue_is_suspected_only_by_a_look(self) -> None:
        play = Play()
        play.passes(0, 40, every=10)
        play.lost(relay(1), 1_000)
        assert play.ask(1_100) == []
        play.look(seed(1), 1_019)
        assert play.ask(1_100) == []
        play.look(seed(1), 1_021)
        assert play.ask(1_100) == [SUSPECTED]
        assert play.said[0].symptom is Symptom.DELIVERY_STALLED

    def test_what_is_overdue_because_it_is_held_up_is_another_symptom(self) -> None:
        play = Play()
        play.passes(0, 40, every=10)
        probe = play.send(relay(1), 1_000)
        play.tell(Deferred(play.at(1_001), probe, 1, Step.RCPT_TO, Reply(451, "later"), 60.0))
        play.look(seed(1), 1_021)
        play.ask(1_021)
        assert play.said[0].symptom is Symptom.SMTP_REJECT

    def test_in_a_blind_mailbox_nothing_is_overdue(self) -> None:
        play = Play()
        play.passes(0, 40, every=10)
        play.lost(relay(1), 1_000)
        play.look(seed(1), 1_021)
        play.tell(WatchBlind(play.at(1_022), seed(1), BlindCause.TIMEOUT, "", ""))
        assert play.ask(1_100) == []


class TestCertainFailures:
    @pytest.mark.parametrize("reason", HARD)
    def test_at_two_providers_are_their_own_confirmation_once_the_control_has_answered(self, reason: Reason) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, reason)
        assert play.ask(302) == [SUSPECTED]
        play.probe(relay(2), 303, reason)
        assert play.ask(305) == [], "whose fault it is can be known in a moment"
        play.probe(app(1), 303, after=3)
        assert play.ask(306) == [OPENED]
        fact = play.opened()[0]
        assert (fact.scope, fact.opening, fact.since.mono) == (PATH, Opening.CONFIRMED, 300)
        assert fact.severity is (Severity.TICKET if reason is Reason.MISFILED else Severity.PAGE)
        assert fact.last_good is not None and fact.last_good.mono == 0
        assert {(t.path, t.provider): (t.bad, t.sent) for t in fact.tallies} == {
            ("relay", "provider-1"): (1, 1), ("relay", "provider-2"): (1, 1)
        }  # fmt: skip

    @pytest.mark.parametrize("reason", HARD)
    def test_where_the_control_fails_too_it_is_one_incident_about_everything(self, reason: Reason) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, reason)
        play.probe(relay(2), 301, reason)
        assert play.ask(303) == [SUSPECTED]
        play.probe(app(1), 304, reason)
        play.ask(306)
        for route in (app(2), app(3), app(4), relay(1)):
            play.probe(route, 307, reason)
        play.ask(309)
        play.ask(400)
        assert [fact.scope for fact in play.opened()] == [EVERYWHERE]
        assert play.opened()[0].at.mono <= 309
        assert not play.world.incidents.suspicions(), "the other path's suspicion is part of it"

    def test_an_application_that_refuses_while_the_relay_cannot_be_reached_is_not_alone(self) -> None:
        """A shop says no at once when its relay is gone; ours is still being tried."""
        play = Play()
        play.passes(0)
        play.probe(app(1), 300, Reason.REJECTED, after=0.2)
        play.ask(301)
        play.probe(app(2), 301, Reason.REJECTED, after=0.2)
        probe = play.send(relay(1), 301)
        play.tell(SubmitError(play.at(302), probe, 1, SubmitFault.UNREACHABLE, "refused", "", 2.0))
        play.ask(302.5)
        assert [fact.scope for fact in play.opened()] == [EVERYWHERE]

    def test_a_silent_control_is_waited_for_by_time_alone_and_not_for_long(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        play.probe(relay(2), 303, Reason.SPAM)
        play.send(app(1), 303)
        t = 305.0
        while not play.opened():
            assert play.ask(t, []) in ([], [OPENED])
            assert play.opened() or play.wake is not None
            t += play.wake or 0.0
        assert OTHERS_PATIENCE <= play.opened()[0].at.mono - 302 <= OTHERS_PATIENCE + WAKE_SUSPECT

    def test_a_relay_that_refuses_waits_less_for_a_control_that_was_taken(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.REJECTED, after=0.2)
        assert play.ask(300.2) == [SUSPECTED]
        play.lost(app(1), 300.3)
        play.probe(relay(2), 300.3, Reason.REJECTED, after=0.2)
        assert play.ask(300.2 + TAKEN_PATIENCE - 1) == [], "its arrival would say more"
        assert play.ask(300.2 + TAKEN_PATIENCE) == [OPENED]
        assert TAKEN_PATIENCE + WAKE_SUSPECT < 15

    def test_where_no_round_was_asked_for_there_is_nothing_to_wait_for(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(3), 300, Reason.DUPLICATE)
        assert play.ask(302) == [SUSPECTED]
        for number in (1, 2):
            play.probe(relay(number), 310, Reason.SPAM)
        assert play.ask(312) == [SUSPECTED, OPENED], "the minute of the first round is not over"
        assert not play.said[1].confirm

    def test_the_only_path_has_no_control_to_wait_for(self) -> None:
        play = Play(rules(6, 1))
        play.passes(0)
        for number in (1, 2):
            play.probe(relay(number), 300, Reason.SPAM)
        assert play.ask(302) == [SUSPECTED, OPENED]

    def test_of_different_symptoms_confirm_nothing(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.probe(relay(2), 310, Reason.REJECTED)
        assert play.ask(312) == [SUSPECTED, SUSPECTED]

    def test_far_apart_confirm_nothing(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.probe(relay(2), 300 + 300 + 480 + 1, Reason.SPAM)
        assert play.ask(1_100) == [SUSPECTED]

    def test_at_one_mailbox_need_two_of_four_and_the_confirm_round(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        assert play.ask(302) == [SUSPECTED]
        for route in play.said[0].confirm:
            play.probe(route, 303)
        play.probe(app(1), 400)
        assert play.ask(403) == []
        play.probe(relay(1), 600, Reason.SPAM)
        assert play.ask(602) == [OPENED]
        assert (play.opened()[0].scope, play.opened()[0].severity) == (box(1), Severity.TICKET)

    def test_two_before_the_round_is_over_wait_for_it(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        play.probe(app(1), 303, Reason.SPAM)
        assert play.ask(305) == [SUSPECTED]
        assert play.ask(400) == []
        assert OPENED in play.ask(302 + 181)

    def test_two_mailboxes_of_one_provider_are_a_page(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.REJECTED)
        play.probe(relay(4), 305, Reason.REJECTED)
        play.ask(306)
        for route in play.said[0].confirm:
            play.probe(route, 307)
        assert OPENED in play.ask(310)
        assert (play.opened()[0].scope, play.opened()[0].severity) == (Scope(ScopeKind.PROVIDER, "provider-1"), Severity.PAGE)

    def test_a_wrong_amount_opens_at_once_about_its_path(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.ALTERED, money=True)
        assert play.ask(302, [relay(1)]) == [OPENED]
        fact = play.opened()[0]
        assert (fact.scope, fact.severity, fact.opening, fact.confirm) == (PATH, Severity.PAGE, Opening.AT_ONCE, ())
        play.probe(relay(2), 310, Reason.ALTERED, money=True)
        assert OPENED not in play.ask(312), "one fault, one page"

    def test_another_broken_path_says_nothing_of_one_provider(self) -> None:
        play = Play()
        play.passes(0)
        assert failing(play, 300, range(1, 7), Reason.REJECTED) == [OPENED]
        play.probe(app(1), 320, Reason.REJECTED)
        play.ask(321)
        assert play.ask(321 + 200) == [] and len(play.opened()) == 1


def stall(play: Play, t: float, routes: list[Route], looks: float = 21.0) -> None:
    for route in routes:
        play.lost(route, t)
    play.look_everywhere(t + looks)


class TestTotalLoss:
    def start(self, paths: int = 2) -> Play:
        play = Play(rules(6, paths))
        play.passes(0, 40, every=10)
        return play

    def test_four_overdue_at_all_providers_while_control_arrives(self) -> None:
        play = self.start()
        stall(play, 1_000, [relay(1)])
        play.ask(1_021)
        stall(play, 1_022, [relay(2), relay(3), relay(5)])
        play.probe(app(1), 1_022)
        assert play.ask(1_044) == [OPENED]
        fact = play.opened()[0]
        assert (fact.scope, fact.opening, fact.symptom) == (PATH, Opening.STALLED, Symptom.DELIVERY_STALLED)
        assert (fact.since.mono, fact.severity) == (1_000, Severity.PAGE)

    @pytest.mark.parametrize(
        ("routes", "control"),
        [([2, 3], True), ([4, 1, 4], True), ([4, 2, 5], True), ([2, 3, 5], False)],
        ids=["three only", "one provider", "two of three providers", "no control"],
    )
    def test_less_is_not_enough(self, routes: list[int], control: bool) -> None:
        play = self.start()
        stall(play, 1_000, [relay(1)])
        play.ask(1_021)
        stall(play, 1_022, [relay(number) for number in routes])
        if control:
            play.probe(app(1), 1_022)
        assert play.ask(1_044) == []

    def test_one_that_is_seen_meanwhile_is_enough_to_wait(self) -> None:
        play = self.start()
        stall(play, 1_000, [relay(1), relay(2), relay(3), relay(5)])
        play.probe(app(1), 1_000)
        play.probe(relay(6), 1_010)
        assert play.ask(1_025) == [SUSPECTED]

    @pytest.mark.parametrize("paths", [1, 2])
    def test_without_a_control_each_must_be_unseen_twice_as_long(self, paths: int) -> None:
        play = self.start(paths)
        lost = [relay(1), relay(2), relay(3), relay(5)] + ([app(1), app(2), app(3), app(5)] if paths == 2 else [])
        stall(play, 1_000, lost, 39.0)
        assert OPENED not in play.ask(1_039)
        play.look_everywhere(1_041)
        assert play.ask(1_042)[0] is OPENED
        assert len(play.opened()) == 1
        assert play.opened()[0].scope == (EVERYWHERE if paths == 2 else PATH)

    def test_without_a_control_what_was_sent_since_does_not_put_it_off(self) -> None:
        play = self.start(1)
        stall(play, 1_000, [relay(1), relay(2), relay(3), relay(5)])
        play.ask(1_021)
        stall(play, 1_015, [relay(6)], 27.0)
        assert play.ask(1_042) == [OPENED], "though the fifth is overdue only once"

    def test_without_budget_fewer_are_enough(self) -> None:
        play = self.start()
        stall(play, 1_000, [relay(1), relay(2), relay(3)])
        play.probe(app(1), 1_000)
        assert play.ask(1_022) == [SUSPECTED]
        play.tell(Withheld(play.at(1_023), play.send(relay(4), 1_023), "used up"))
        assert OPENED in play.ask(1_024)

    def test_two_slow_providers_and_one_greylisted_mail_at_the_third_are_chance(self) -> None:
        """It happens: four in a row at three providers are overdue, by the schedule alone. The rounds that they ask for show it."""
        play = self.start()

        def slow(route: Route, t: float) -> None:
            play.lost(route, t)
            play.look_everywhere(t + 21)
            before = len(play.said)
            play.ask(t + 21)
            for asked in [route for fact in play.said[before:] for route in fact.confirm]:
                if play.layout.provider(asked) == "provider-1":
                    play.probe(asked, t + 22)
                else:
                    play.lost(asked, t + 22)

        slow(relay(3), 1_000)
        for t, number in ((1_100, 2), (1_150, 3), (1_200, 4), (1_250, 5), (1_300, 6)):
            slow(relay(number), t)
            slow(app(number), t + 1)
        play.look_everywhere(1_350)
        play.ask(1_350)
        assert not play.opened()

    def test_the_sibling_of_the_suspect_counts_as_the_fourth(self) -> None:
        play = self.start()
        stall(play, 1_000, [relay(1)])
        play.ask(1_021)
        *round_, control = play.said[0].confirm
        assert relay(4) in round_
        stall(play, 1_022, round_)
        assert play.ask(1_044) == []
        play.probe(control, 1_045)
        assert play.ask(1_048) == [OPENED]
        assert len(play.opened()[0].evidence) == 4

    def test_its_later_verdicts_are_its_own(self) -> None:
        play = self.start()
        probes = [play.lost(relay(number), 1_000) for number in (1, 2, 3, 5)]
        play.look_everywhere(1_021)
        play.probe(app(1), 1_022)
        play.ask(1_044)
        for probe, reason in zip(probes, [Reason.MISSING, Reason.MISSING, Reason.LATE, Reason.LATE], strict=True):
            play.verdict(probe, reason, 1_480)
        assert play.ask(1_480) == [] and len(play.opened()) == 1


class TestSlowPlaces:
    def slow(self, minutes: int, numbers: list[int], reason: Reason = Reason.MISSING, paths: tuple[str, ...] = ("relay", "app")) -> Play:
        """Every five minutes, each of these mailboxes."""
        play = Play()
        play.passes(0, 3)
        for t in range(15, 15 + minutes + 1, 5):
            for route in play.policy.routes:
                bad = route.mailbox in [seed(number) for number in numbers] and route.path in paths
                play.probe(route, t * M, reason if bad else Reason.PASS)
            play.ask(t * M + 10)
        return play

    def test_ten_minutes_are_nothing(self) -> None:
        assert not self.slow(10, [1, 4]).opened()

    @pytest.mark.parametrize("paths", [("relay", "app"), ("app",)])
    def test_a_quarter_of_an_hour_of_one_provider_is_a_page(self, paths: tuple[str, ...]) -> None:
        fact = self.slow(15, [1, 4], paths=paths).opened()[0]
        assert (fact.scope, fact.severity, fact.opening) == (Scope(ScopeKind.PROVIDER, "provider-1"), Severity.PAGE, Opening.SUSTAINED)

    def test_of_one_mailbox_a_ticket(self) -> None:
        fact = self.slow(15, [1]).opened()[0]
        assert (fact.scope, fact.severity) == (box(1), Severity.TICKET)

    def test_of_two_providers_one_incident(self) -> None:
        play = self.slow(15, [1, 4, 2, 5])
        assert [fact.scope for fact in play.opened()] == [EVERYWHERE]

    def test_half_of_the_mail_late_for_long_is_a_ticket(self) -> None:
        play = Play()
        for t in range(0, 41, 5):
            for number in (1, 2):
                play.probe(relay(number), t * M, Reason.LATE if (t + number * 5) % 10 else Reason.PASS, after=200)
            play.ask(t * M + 201)
        assert [(f.symptom, f.severity) for f in play.opened()][:1] == [(Symptom.DELIVERY_LATE, Severity.TICKET)]


class TestLosses:
    def lossy(self, losses: dict[float, Route], until: float = 60.0, every: float = 5.0) -> Play:
        """A probe of each route every few minutes; those at these minutes and routes are lost."""
        play = Play()
        t = 0.0
        while t <= until:
            for route in play.policy.routes:
                lost = losses.get(t) == route
                probe = play.probe(route, t * M, Reason.MISSING if lost else Reason.PASS)
                play.close(probe, t * M + 3)
                play.ask(t * M + 3, [route])
            t += every
        return play

    def test_three_of_sixty_at_a_provider_are_a_page(self) -> None:
        play = self.lossy({10: relay(1), 30: app(4), 50: relay(4)})
        fact = play.opened()[0]
        assert (fact.scope, fact.severity, fact.opening) == (Scope(ScopeKind.PROVIDER, "provider-1"), Severity.PAGE, Opening.LOSSY)
        assert fact.since.mono == 10 * M

    def test_two_are_not(self) -> None:
        assert not self.lossy({10: relay(1), 30: app(4)}).opened()

    def test_three_of_more_are_not(self) -> None:
        assert not self.lossy({10: relay(1), 60: app(4), 150: relay(2)}, until=160).opened()

    def test_three_in_seven_hours_are_not(self) -> None:
        losses = {0.0: relay(1), 240.0: app(4), 420.0: relay(4)}
        assert not self.lossy(losses, until=420, every=60).opened()

    def test_it_is_over_after_thirty_without_a_loss(self) -> None:
        play = self.lossy({10: relay(1), 30: app(4), 50: relay(4)}, until=80)
        assert P.RESOLVED not in [fact.phase for fact in play.said]
        play = self.lossy({10: relay(1), 30: app(4), 50: relay(4)}, until=100)
        assert [fact.phase for fact in play.said][-1] is P.RESOLVED
        play = self.lossy({10: relay(1), 30: app(4), 50: relay(4)}, until=140)
        assert len(play.opened()) == 1, "and the old losses are not held against anybody again"


class TestOurselves:
    def test_two_of_four_submissions_unknown_are_a_ticket_and_on_all_paths_a_page(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SUBMIT_UNKNOWN)
        assert play.ask(302) == []
        play.probe(relay(2), 310, Reason.SUBMIT_MISCONFIGURED)
        assert play.ask(312) == [OPENED]
        assert (play.said[-1].symptom, play.said[-1].scope) == (Symptom.SUBMIT_BLIND, PATH)
        play.probe(app(1), 320, Reason.SUBMIT_MISCONFIGURED)
        play.probe(app(2), 330, Reason.SUBMIT_MISCONFIGURED)
        assert play.ask(332) == [OPENED, GROWN]
        assert (play.said[-2].scope, play.said[-2].severity) == (EVERYWHERE, Severity.PAGE)
        assert play.said[-1].parent == play.said[-2].incident

    def test_one_path_of_two_that_cannot_submit_is_a_ticket(self) -> None:
        play = Play()
        play.probe(relay(1), 0, Reason.SUBMIT_MISCONFIGURED)
        play.probe(relay(2), 1, Reason.SUBMIT_MISCONFIGURED)
        play.ask(3)
        assert play.opened()[0].severity is Severity.TICKET

    def test_paths_that_become_unusable_one_after_the_other_are_a_page_in_the_end(self) -> None:
        play = Play()
        play.passes(0, 2)

        def on_all(route: Callable[[int], Route], t: float, reason: Reason) -> None:
            for number in range(1, 7):
                play.probe(route(number), t + number, reason)
            play.ask(t + 20)

        broken = Reason.SUBMIT_MISCONFIGURED
        on_all(relay, 700, broken)
        on_all(app, 701, Reason.PASS)
        on_all(relay, 900, Reason.PASS)
        on_all(app, 901, broken)
        assert [(f.scope.name, f.severity) for f in play.opened()] == [("relay", Severity.TICKET), ("app", Severity.TICKET)]
        for t in range(1_200, 3_000, 300):
            on_all(relay, t, broken)
            on_all(app, t + 30, broken)
        pages = [f for f in play.opened() if f.severity is Severity.PAGE]
        assert [(f.scope, f.symptom) for f in pages] == [(EVERYWHERE, Symptom.SUBMIT_BLIND)]
        assert {f.parent for f in play.said if f.phase is GROWN} >= {pages[0].incident}

    def test_our_own_fault_is_a_ticket_even_once(self) -> None:
        play = Play()
        play.probe(relay(1), 0, Reason.INTERNAL)
        assert play.ask(2) == [OPENED]
        assert (play.said[0].symptom, play.said[0].opening, play.said[0].severity) == (Symptom.MONITOR, Opening.ITSELF, Severity.TICKET)

    def test_a_used_up_budget_is_a_ticket_until_probes_go_again(self) -> None:
        play = Play()
        play.tell(Withheld(play.at(0), play.send(relay(1), 0), "used up"))
        assert play.ask(1) == [OPENED]
        play.tell(Withheld(play.at(300), play.send(relay(2), 300), "used up"))
        assert play.ask(301) == []
        play.passes(3_600, 3)
        assert play.ask(3_600 + 900) == [P.RESOLVED]
        assert play.ask(3_600 + 900) == []

    def blind(self, play: Play, t: float, *numbers: int) -> None:
        play.tell(*(WatchBlind(play.at(t), seed(number), BlindCause.TIMEOUT, "", "") for number in numbers))

    def test_a_blind_mailbox_is_a_ticket_after_a_quarter_of_an_hour(self) -> None:
        play = Play()
        self.blind(play, 0, 2)
        assert play.ask(899) == [] and play.wake == pytest.approx(1)
        assert play.ask(900) == [OPENED]
        assert (play.said[0].scope, play.said[0].symptom, play.said[0].severity) == (box(2), Symptom.MAILBOX_BLIND, Severity.TICKET)
        play.tell(WatchRestored(play.at(1_000), seed(2), 3))
        assert play.ask(1_000) == [P.RECOVERING]
        assert play.ask(1_599) == []
        assert play.ask(1_600) == [P.RESOLVED]

    def test_all_blind_is_a_page_after_five_minutes(self) -> None:
        play = Play()
        self.blind(play, 0, 1, 2, 3, 4, 5)
        self.blind(play, 60, 6)
        assert play.ask(359) == []
        assert play.ask(360) == [OPENED]
        assert (play.said[0].scope, play.said[0].severity) == (EVERYWHERE, Severity.PAGE)
        assert play.ask(5_000) == []

    def test_all_blind_and_closed_by_a_person_is_told_again_after_the_same_patience(self) -> None:
        play = Play()
        self.blind(play, 0, 1, 2, 3, 4, 5, 6)
        assert play.ask(300) == [OPENED]
        play.tell(ResolveAsked(play.at(400), play.said[0].incident, "ana", "known"))
        assert play.ask(400) == [P.RESOLVED]
        assert play.ask(1_299) == [] and play.wake == pytest.approx(1)
        assert play.ask(1_300) == [OPENED]
        assert play.said[-1].episode == 2

    def test_a_process_that_has_not_looked_yet_calls_nothing_blind(self) -> None:
        play = Play()
        self.blind(play, 0, 1, 2, 3, 4, 5, 6)
        play.process = "two"
        assert play.ask(10_000) == []


class TestStrays:
    def trip(self, play: Play, t: float) -> None:
        play.tell(Tripped(play.at(t), seed(1), 1, "shop.test", ()))

    def test_a_trip_is_a_page_at_once_and_a_day_of_quiet_its_end(self) -> None:
        play = Play()
        self.trip(play, 0)
        assert play.ask(0) == [OPENED]
        assert (play.said[0].symptom, play.said[0].severity, play.said[0].opening) == (Symptom.STRAY, Severity.PAGE, Opening.AT_ONCE)
        self.trip(play, 3_600)
        assert play.ask(86_400 + 3_599) == []
        assert play.ask(86_400 + 3_600) == [P.RESOLVED]
        assert play.ask(86_400 + 3_600) == []

    def test_it_quotes_what_shows_that_the_mail_is_ours(self) -> None:
        play = Play()
        lines = ("mx.example says dkim=pass for shop.test", "it speaks of a refund and of £12.00", "it lies in INBOX", "one too many")
        play.tell(Tripped(play.at(0), seed(1), 1, "shop.test", lines))
        assert play.ask(0) == [OPENED]
        diagnosis = play.said[0].diagnosis
        assert diagnosis is not None
        assert diagnosis.shows[:3] == lines[:3] and lines[3] not in diagnosis.shows
        notice = render(play.said[0], play.policy, "", Call.FIRE)
        assert all(line in notice.text for line in lines[:3])

    def test_a_person_ends_it_and_another_trip_opens_it_again(self) -> None:
        play = Play()
        self.trip(play, 0)
        play.ask(0)
        play.tell(ResolveAsked(play.at(60), play.said[0].incident, "ana", "a colleague's test"))
        assert play.ask(60) == [P.RESOLVED] and play.ask(61) == []
        self.trip(play, 120)
        assert play.ask(120) == [OPENED]
        assert (play.said[-1].incident, play.said[-1].episode) == (play.said[0].incident, 2)

    def test_another_tripwire_much_later_is_no_part_of_the_first(self) -> None:
        """They have no routes: what is about nothing that is sent to is held by nothing but itself."""
        base = rules(6, 1)
        names = (MailboxName("trip-a"), MailboxName("trip-b"))
        trips = {name: replace(base.mailboxes[seed(1)], name=name, role=Role.TRIPWIRE) for name in names}
        play = Play(replace(base, mailboxes={**base.mailboxes, **trips}))
        for number, name in enumerate(names):
            play.tell(Tripped(play.at(1_000 * number), name, number + 1, "shop.test", ()))
            assert play.ask(1_000 * number + 1) == [OPENED]
        assert [(f.scope.name, f.severity, f.parent) for f in play.said] == [(name, Severity.PAGE, None) for name in names]


class TestAfterOpening:
    def broken(self) -> Play:
        play = Play()
        play.passes(0)
        assert failing(play, 298, (1, 2)) == [OPENED]
        return play

    def test_more_routes_make_it_grow_but_not_every_moment(self) -> None:
        play = self.broken()
        play.probe(relay(3), 320, Reason.SPAM)
        assert play.ask(322) == []
        assert play.ask(310 + GROWN_EVERY) == [GROWN]
        assert play.said[-1].routes == ("relay/seed-1", "relay/seed-2", "relay/seed-3")
        assert play.ask(310 + GROWN_EVERY) == []

    def test_recovery_needs_three_passes_over_ten_minutes_on_each_route(self) -> None:
        play = self.broken()
        t = play.passes(600)
        assert play.ask(t) == [P.RECOVERING]
        t = play.passes(t, every=200)
        play.passes(t, every=99)
        assert play.ask(t + 99) == [], "three, but not ten minutes"
        play.probe(relay(1), 600 + 600)
        assert play.ask(1_203) == [], "on one route only"
        play.probe(relay(2), 600 + 600)
        assert play.ask(1_203) == [P.RESOLVED]

    def test_bad_again_while_recovering_is_no_new_page(self) -> None:
        play = self.broken()
        t = play.passes(600)
        play.ask(t)
        play.probe(relay(1), t, Reason.SPAM)
        assert play.ask(t + 2) == [P.RELAPSED]
        assert play.ask(t + 2) == []

    def test_another_fault_breaks_the_streak(self) -> None:
        play = self.broken()
        t = play.passes(600, 2)
        play.ask(t)
        play.probe(relay(1), t, Reason.DUPLICATE)
        t = play.passes(t + 60)
        assert P.RESOLVED not in play.ask(t)

    def test_a_pass_that_turns_out_bad_is_bad(self) -> None:
        play = self.broken()
        t = play.passes(600, 2)
        probe = play.probe(relay(1), t)
        play.probe(relay(2), t)
        play.verdict(probe, Reason.DUPLICATE, t + 5)
        play.ask(t + 6)
        assert P.RESOLVED not in [fact.phase for fact in play.said]

    def test_a_streak_may_be_longer_than_what_is_kept(self) -> None:
        play = self.broken()
        play.passes(600, 30, every=21, paths=[RELAY])
        play.ask(1_300)
        assert play.said[-1].phase is P.RESOLVED

    def test_a_route_that_is_gone_stops_counting(self) -> None:
        play = self.broken()
        kept = {route: plan for route, plan in play.policy.routes.items() if route not in (relay(1), relay(2))}
        play.policy = replace(play.policy, routes=kept)
        play.layout = Layout.of(play.policy)
        assert play.ask(400) == [P.RESOLVED]
        assert "configured" in play.said[-1].note

    def test_a_wider_incident_takes_the_narrower_one_in(self) -> None:
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        for route in play.said[0].confirm:
            play.probe(route, 303)
        play.probe(relay(1), 400, Reason.SPAM)
        play.ask(402)
        assert play.opened()[0].scope == box(1)
        play.probe(relay(2), 500, Reason.SPAM)
        assert play.ask(502) == [SUSPECTED]
        play.probe(app(2), 503)
        assert play.ask(505) == [OPENED, GROWN]
        narrow, wide = play.opened()
        assert wide.scope == PATH and play.said[-1].incident == narrow.incident
        assert play.said[-1].parent == wide.incident and "part of" in play.said[-1].note
        t = play.passes(600, 4)
        play.ask(t)
        play.ask(t + 1)
        ended = [fact for fact in play.said if fact.phase is P.RESOLVED]
        assert {fact.incident: fact.parent for fact in ended} == {narrow.incident: wide.incident, wide.incident: None}

    def test_refused_on_one_path_and_away_on_the_other_is_one_fault(self) -> None:
        """A provider that takes nothing: our own submission sees it refused, the application's mail only stays away."""
        play = Play()
        play.passes(0, 3)
        for t in range(15, 46, 5):
            for route in play.policy.routes:
                theirs = route.mailbox in (seed(1), seed(4))
                bad = Reason.DEFERRED if route.path == RELAY else Reason.MISSING
                play.probe(route, t * M, bad if theirs else Reason.PASS)
            play.ask(t * M + 10)
        first, second = play.opened()
        assert {first.symptom, second.symptom} == {Symptom.SMTP_REJECT, Symptom.DELIVERY_MISSING}
        assert first.severity is Severity.PAGE and first.parent is None
        assert second.parent == first.incident and second.note == f"part of {first.incident}"
        assert play.world.outbox.of(first.incident) and not play.world.outbox.of(second.incident), "one page"
        play.ask(play.passes(50 * M, 4))
        ended = {fact.incident: fact.parent for fact in play.said if fact.phase is P.RESOLVED}
        assert ended == {first.incident: None, second.incident: first.incident}

    def late(self) -> Play:
        """A ticket: the mail of one path has been late for half an hour."""
        play = Play()
        play.passes(0, 40, every=1)
        for t in range(10, 41, 5):
            for number in range(1, 7):
                play.probe(relay(number), t * M, Reason.LATE, after=200)
                play.probe(app(number), t * M)
            play.ask(t * M + 210)
        late = play.opened()[-1]
        assert (late.symptom, late.severity, late.scope) == (Symptom.DELIVERY_LATE, Severity.TICKET, PATH)
        return play

    def test_a_ticket_hides_no_page_of_another_name(self) -> None:
        play = self.late()
        assert failing(play, 2_800, (1, 2), Reason.REJECTED) == [OPENED]
        page = play.opened()[-1]
        assert (page.symptom, page.severity, page.parent) == (Symptom.SMTP_REJECT, Severity.PAGE, None)

    def part(self) -> tuple[Play, Transition, Transition]:
        """One mailbox, then its whole path: the narrow one is part of the wide one."""
        play = Play()
        play.passes(0)
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        for route in play.said[0].confirm:
            play.probe(route, 303)
        play.probe(relay(1), 400, Reason.SPAM)
        play.ask(402)
        play.probe(relay(2), 500, Reason.SPAM)
        play.ask(502)
        play.probe(app(2), 503)
        assert play.ask(505) == [OPENED, GROWN]
        narrow, wide = play.opened()
        return play, narrow, wide

    def test_what_outlives_the_wider_incident_is_told_to_go_on(self) -> None:
        play, narrow, wide = self.part()
        play.tell(ResolveAsked(play.at(600), wide.incident, "ana", "rolled back"))
        assert play.ask(600) == [P.RESOLVED] and play.ask(601) == [], "by new evidence only"
        play.probe(relay(1), 700, Reason.SPAM)
        assert play.ask(702) == [GROWN]
        fact = play.said[-1]
        assert (fact.incident, fact.parent, fact.severity) == (narrow.incident, None, Severity.TICKET)
        assert fact.note == f"goes on after {wide.incident}" and fact.diagnosis is not None
        assert play.ask(702) == []
        state = play.world.incidents.known[narrow.incident]
        assert state.parent is None and state.explained == fact and state.told == fact.at
        channel = WebhookChannel("https://hook.test", None)
        due = duties(play.world.outbox, NotifyPolicy({"hook": channel}, pages=(), tickets=("hook",)), play.at(702))
        told = [duty.item.transition for duty in due if duty.item.transition.incident == narrow.incident]
        assert told and all(duty.call is Call.FIRE for duty in due if duty.item.transition in told)
        assert play.world.outbox.of(narrow.incident)[-1].transition == fact, "and those who heard of it hear of this"

    def test_what_has_spread_beyond_the_wider_incident_goes_on_when_that_ends_by_good_mail(self) -> None:
        play, narrow, wide = self.part()
        play.probe(app(1), 510, Reason.SPAM)
        assert play.ask(505 + GROWN_EVERY) == [GROWN]
        assert "app/seed-1" in play.said[-1].routes and play.said[-1].parent == wide.incident
        t = play.passes(900, 4, paths=[RELAY])
        play.ask(t)
        assert play.ask(t + 1) == []
        phases = [(fact.incident, fact.phase) for fact in play.said[-4:]]
        assert (wide.incident, P.RESOLVED) in phases and phases[-1] == (narrow.incident, GROWN)
        assert play.said[-1].parent is None and play.said[-1].note == f"goes on after {wide.incident}"

    def test_what_is_good_already_ends_in_silence(self) -> None:
        play, narrow, wide = self.part()
        play.probe(relay(1), 560)
        play.tell(ResolveAsked(play.at(600), wide.incident, "ana", "rolled back"))
        assert GROWN not in play.ask(600)
        play.ask(play.passes(700, 4))
        assert (play.said[-1].incident, play.said[-1].phase, play.said[-1].parent) == (narrow.incident, P.RESOLVED, wide.incident)

    def test_where_a_still_wider_one_holds_it_it_becomes_part_of_that(self) -> None:
        play, narrow, wide = self.part()
        play.probe(app(1), 580, Reason.SPAM)
        play.probe(app(3), 580, Reason.SPAM)
        play.probe(app(2), 580, Reason.SPAM)
        for t in (582, 605):
            play.ask(t)
        widest = play.opened()[-1]
        assert widest.scope == EVERYWHERE and play.world.incidents.known[wide.incident].parent == widest.incident
        play.tell(ResolveAsked(play.at(620), wide.incident, "ana", "one thing"))
        play.ask(620)
        play.probe(relay(1), 700, Reason.SPAM)
        play.ask(702)
        assert play.world.incidents.known[narrow.incident].parent == widest.incident
        assert [fact.note for fact in play.said if fact.incident == narrow.incident][-1] == f"part of {widest.incident}"

    def test_three_openings_within_the_hour_flap(self) -> None:
        play, t = self.broken(), 600.0
        for _ in range(2):
            play.tell(ResolveAsked(play.at(t), play.said[-1].incident, "ana", ""))
            play.ask(t)
            assert OPENED in failing(play, t + 10, (1, 2))
            t += 100
        assert [fact.phase for fact in play.said].count(P.FLAPPING) == 1
        assert play.opened()[-1].episode == 3
        t = play.passes(1_000, 4)
        play.ask(t)
        assert play.said[-1].phase is P.RECOVERING, "four times as long"
        play.ask(play.passes(t, 6))
        assert play.said[-1].phase is P.RESOLVED

    def test_after_an_hour_it_is_another_incident(self) -> None:
        play = self.broken()
        t = play.passes(600, 4)
        play.ask(t)
        play.ask(t)
        ended = play.said[-1]
        assert ended.phase is P.RESOLVED
        t = play.passes(t, 13)
        assert failing(play, t, (1, 2)) == [OPENED]
        assert play.opened()[-1].incident != ended.incident and play.opened()[-1].episode == 1

    def test_closed_by_a_person_it_needs_new_evidence(self) -> None:
        play = self.broken()
        play.tell(ResolveAsked(play.at(400), play.opened()[0].incident, "ana", "rolled back"))
        assert play.ask(400) == [P.RESOLVED]
        assert play.ask(401) == []
        play.probe(relay(1), 410, Reason.SPAM)
        assert play.ask(412) == [SUSPECTED]

    def test_an_acknowledgement_is_answered_once(self) -> None:
        play = self.broken()
        play.tell(Acknowledged(play.at(400), play.opened()[0].incident, "ana", "looking"))
        assert play.ask(400) == [P.ACKNOWLEDGED]
        assert play.ask(400) == []

    def test_late_mail_that_stays_away_altogether_becomes_a_page(self) -> None:
        play = self.late()
        late = play.opened()[-1]
        for number in range(1, 7):
            play.lost(relay(number), 2_800)
        play.probe(app(1), 2_810)
        play.look_everywhere(2_850)
        play.ask(2_851)
        assert (play.said[-1].phase, play.said[-1].severity, play.said[-1].incident) == (GROWN, Severity.PAGE, late.incident)

    def test_late_mail_under_the_name_of_lost_mail_rises_too(self) -> None:
        """Opened again by late mail, it keeps the name of the episode before."""
        play = Play()
        play.passes(0, 40, every=1)
        for t in (600, 700):
            for number in range(1, 7):
                play.lost(relay(number), t)
            play.probe(app(1), t + 5)
            play.look_everywhere(t + 60)
            play.ask(t + 61)
        (first,) = play.opened()
        assert (first.symptom, first.severity) == (Symptom.DELIVERY_STALLED, Severity.PAGE)
        play.tell(ResolveAsked(play.at(800), first.incident, "ana", "restarted the relay"))
        play.ask(801)
        t = 15 * M
        while len(play.opened()) < 2 and t < 70 * M:
            for number in range(1, 7):
                play.probe(relay(number), t, Reason.LATE, after=200)
                play.probe(app(number), t)
            play.ask(t + 210)
            t += 5 * M
        again = play.opened()[-1]
        assert (again.incident, again.episode, again.symptom, again.severity) == (first.incident, 2, first.symptom, Severity.TICKET)
        for number in range(1, 7):
            play.lost(relay(number), t + 400)
        play.probe(app(1), t + 405)
        play.look_everywhere(t + 600)
        play.ask(t + 601)
        assert (play.said[-1].phase, play.said[-1].severity, play.said[-1].incident) == (GROWN, Severity.PAGE, first.incident)


class TestBounds:
    def test_beyond_a_hundred_only_what_pages_is_opened(self) -> None:
        many = rules(6)
        play = Play(many)
        boxes = {MailboxName(f"box-{n}"): replace(many.mailboxes[seed(1)], name=MailboxName(f"box-{n}")) for n in range(MOST + 20)}
        play.policy = replace(many, mailboxes={**many.mailboxes, **boxes})
        play.layout = Layout.of(play.policy)
        play.tell(*(WatchBlind(play.at(0), name, BlindCause.TIMEOUT, "", "") for name in boxes))
        play.ask(1_000)
        play.ask(1_001)
        assert len(play.world.incidents.open()) == MOST
        for number in (1, 2):
            play.probe(relay(number), 1_002, Reason.SPAM)
        assert play.ask(1_010) == [], "no suspicion any more"
        play.probe(relay(3), 1_012, Reason.ALTERED, money=True)
        assert play.ask(1_015) == [OPENED]

    def test_nothing_to_do_asks_for_no_timer(self) -> None:
        play = Play()
        play.passes(0)
        play.ask(10)
        assert play.wake is None
        play.probe(relay(1), 300, Reason.SPAM)
        play.ask(302)
        assert play.wake is not None and play.wake <= 5


def test_the_next_step_rolls_back_the_deploy_that_is_named_first() -> None:
    http = HttpPath("https://shop.test/", "POST", {}, {}, (200,), None, None, None, False)
    play = Play(replace(rules(), paths=rules().paths | {APP: replace(rules().paths[APP], via=http)}))
    began = play.passes(0, times=2)
    play.tell(
        DeployMarked(play.at(began - 100), "d-1", DeployPhase.FINISH, "checkout", "v512"),
        DeployMarked(play.at(began + 3), "d-2", DeployPhase.START, "search", "v9"),
    )
    for number in (1, 2, 3, 4, 5, 6):
        play.probe(relay(number), began + 5)
        play.probe(app(number), began if number == 1 else began + 5, Reason.MISSING)
    play.ask(began + 10)
    fact = play.opened()[-1]
    assert [(found.service, found.link) for found in fact.deploys] == [("checkout", Link.BRACKETED), ("search", Link.NEAR)]
    assert fact.diagnosis is not None
    assert fact.diagnosis.next_step.startswith("roll back checkout v512,")
