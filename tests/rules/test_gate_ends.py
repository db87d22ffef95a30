"""How attempts pass, and how they end without a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import GateCancelled, Paused, Resumed, Started, SubmitFault, WatchRestored
from monitor.model.gate import BUILT_IN, GATE_VERDICT, QUICK, Because, GatePlan, GateStep
from monitor.model.probe import MailboxName
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate.ends import BLIND_AFTER, FUTILE, MOST_ASKED, OWN_SHARE, PAUSED_AFTER, ROLLED_OUT_AFTER, UNSERVED, WORST
from monitor.views.budget import Budget, utc_day
from tests.rules.gates import APP, BARE, GATE, GMAIL, OUTLOOK, SMALL, Play, app, at, bare

BOTH = (*GMAIL, *OUTLOOK)
UNTIL = SMALL.timeout


def spent(play: Play, paths: int = 0, mailboxes: int = 0) -> None:
    """So many gate probes today on the application's path and to each mailbox."""
    play.world.gates.budget = Budget(utc_day(at(0)), {APP: paths}, dict.fromkeys(map(MailboxName, BOTH), mailboxes))


class TestPass:
    def test_needs_every_class(self) -> None:
        play = Play(SMALL, BOTH)
        play.good(3, 1, GMAIL)
        play.good(2, 1, OUTLOOK)
        assert play.look(10).decided is None
        play.good(1, 2, OUTLOOK)
        assert play.ends(10).verdict is Verdict.PASS

    def test_needs_the_first_step_of_the_version_under_test(self) -> None:
        play = Play(SMALL)
        play.good(2, 1)
        play.good(5, 1, version="v1")
        play.good(5, 1, path=BARE)
        assert play.look(10).decided is None

    def test_never_overtakes_a_probe_that_was_sent_before(self) -> None:
        play = Play(SMALL)
        first = play.take(app("gmail-1"), 1)
        play.good(3, 2)
        assert play.look(100).decided is None
        play.verdict(first, Reason.PASS, 101)
        assert play.ends(104).verdict is Verdict.PASS

    def test_does_not_wait_for_what_was_sent_after_its_step(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.take(app("gmail-1"), 2)
        assert play.ends(10).verdict is Verdict.PASS

    def test_but_a_bad_one_among_those_counts(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.probe(app("gmail-1"), 2, Reason.SPAM)
        assert play.look(10).decided is None

    def test_the_second_step(self) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        play.good(4, 1)
        standing = play.look(10)
        assert standing.decided is None
        assert standing.reason == "gmail 5/6 probes resolved, 1 adverse; 0 pending"
        play.good(1, 2)
        decided = play.ends(10)
        assert decided.verdict is Verdict.PASS
        assert decided.reason == "gmail 5 of 6 good (fails at 2); a loss of up to 58.2 % is not excluded (95 %)"
        assert decided.example is not None

    @pytest.mark.parametrize(("t", "settled"), [(2.0, False), (3.9, False), (4.0, True)])
    def test_settles_after_the_last_sighting_or_verdict(self, t: float, settled: bool) -> None:
        play = Play(SMALL)
        play.good(3, 1)  # seen at 2
        standing = play.look(t)
        assert (standing.decided is not None) is settled
        if not settled:
            assert standing.wake == pytest.approx(max(0.05, 4.0 - t))
            assert standing.reason == "gmail 3/3 probes resolved, none adverse; 0 pending; all good, settling"
            assert standing.needs == ()

    def test_settles_after_a_restart(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.process = "two"
        play.tell(Started(play.at(50), "1", "hash"))
        assert play.look(51.5).decided is None
        assert play.look(52).decided is not None

    def test_min_routes(self) -> None:
        play = Play(replace(SMALL, min_routes=2))
        play.good(3, 1, ("gmail-1",))
        standing = play.look(10)
        assert standing.decided is None
        assert standing.needs == (app("gmail-2"),)
        assert standing.reason.endswith("1 more routes must be seen")
        play.probing(10, app("gmail-2"))
        assert play.look(10.1).needs == ()
        open_ = play.take(app("gmail-2"), 10.2)
        assert play.look(11).needs == (), "it is under way"
        play.verdict(open_, Reason.PASS, 12)
        assert play.ends(14).verdict is Verdict.PASS

    def test_min_routes_behind_a_load_balancer(self) -> None:
        """What another version served is asked for again, each route in turn, and only so often."""
        play = Play(replace(SMALL, min_routes=2), paths=(APP,))
        play.all(3, 1, Reason.PASS, GMAIL[:1])
        for t in range(3):
            assert play.look(5 + t).needs == (app("gmail-2"),)
            play.probe(app("gmail-2"), 5 + t, version="v1", after=0.1)
        play.probe(app("gmail-2"), 9)
        assert play.ends(20).because is Because.CLEAN

    def test_min_routes_until_the_time_is_over(self) -> None:
        play = Play(replace(SMALL, min_routes=2))
        play.good(3, 1, ("gmail-1",))
        decided = play.ends(UNTIL)
        assert decided.because is Because.TOO_FEW
        assert "only 1 of 2 routes have evidence" in decided.reason

    def test_not_in_time_to_settle(self) -> None:
        play = Play(SMALL)
        play.good(3, UNTIL - 2)
        decided = play.ends(UNTIL)
        assert decided.because is Because.TOO_FEW
        assert "settling" in decided.reason

    def test_old_good_evidence_vouches_for_nothing(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.request(3_700)
        standing = play.look(3_701)
        assert standing.decided is None
        assert len([route for route in standing.needs if route.path == APP]) == 3

    def test_evidence_of_all_attempts_is_pooled(self) -> None:
        play = Play(SMALL)
        play.good(2, 1)
        play.ends(UNTIL)
        play.request(UNTIL + 60)
        play.good(1, UNTIL + 61)
        assert play.ends(UNTIL + 70).verdict is Verdict.PASS

    def test_and_so_is_bad_evidence(self) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        play.ends(UNTIL)
        play.request(UNTIL + 8_000)
        play.probe(app("gmail-1"), UNTIL + 8_001, Reason.SPAM)
        assert play.ends(UNTIL + 8_003).because is Because.LOSSES

    @pytest.mark.parametrize("by", [60.0, 86_400.0])
    def test_asked_by_a_clock_that_was_ahead_it_is_over_when_the_clock_is_right(self, by: float) -> None:
        play = Play(SMALL)
        play.request(by + 1)
        play.process = "two"
        decided = play.look(0).decided
        assert decided is not None and decided.verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("by", [5.0, 59.0])
    def test_a_clock_that_was_hardly_ahead_ends_nothing(self, by: float) -> None:
        play = Play(SMALL)
        play.request(by)
        play.process = "two"
        assert play.look(0).decided is None


class TestNothing:
    def test_a_gate_without_routes_ends_at_once_and_never_passes(self) -> None:
        play = Play(SMALL)
        play.request(1, routes=())
        assert play.ends(2).because is Because.TOO_FEW

    def test_a_policy_that_never_decides(self) -> None:
        play = Play(replace(SMALL, plan=GatePlan(())))
        decided = play.ends(1)
        assert decided.because is Because.TOO_FEW
        assert "can never decide: asks for no probe" in decided.reason

    @pytest.mark.parametrize("t", [0, 5, 59, UNTIL])
    def test_zero_evidence_never_passes(self, t: float) -> None:
        decided = Play(SMALL, BOTH).look(t).decided
        assert (decided is not None) is (t == UNTIL)
        assert decided is None or decided.verdict is Verdict.INCONCLUSIVE


class TestCancelled:
    def test_at_once(self) -> None:
        play = Play(SMALL)
        play.tell(GateCancelled(at(3), GATE, "ana", "wrong deploy\n ann@box.test RF-20260101-7731"))
        decided = play.ends(3)
        assert (decided.verdict, decided.because) == (Verdict.INCONCLUSIVE, Because.CANCELLED)
        assert decided.reason == "cancelled by ana: wrong deploy\\n ***@box.test RF-***"

    def test_the_next_attempt_is_not(self) -> None:
        play = Play(SMALL)
        play.tell(GateCancelled(at(3), GATE, "ana", ""))
        play.ends(3)
        play.request(20)
        assert play.look(21).decided is None


class TestUnobserved:
    def test_when_its_time_is_over_names_the_versions_that_were_seen(self) -> None:
        play = Play(SMALL)
        play.good(3, 1, version="v1")
        play.good(1, 1, version="")
        assert play.look(UNTIL - 1).decided is None
        decided = play.ends(UNTIL)
        assert decided.because is Because.UNOBSERVED
        assert "no probe was served by the version under test; v1 served 3, 1 told no version" in decided.reason
        assert "gmail: 3 not counted: served by v1" in decided.unseen
        assert "gmail: 1 not counted: the version that served it was not told" in decided.unseen

    @pytest.mark.parametrize(
        ("number", "t", "ends"),
        [(UNSERVED, ROLLED_OUT_AFTER, True), (UNSERVED - 1, ROLLED_OUT_AFTER, False), (UNSERVED, ROLLED_OUT_AFTER - 1, False)],
    )
    def test_early(self, number: int, t: float, ends: bool) -> None:
        play = Play(BUILT_IN[QUICK], BOTH)
        play.good(number // 2, 1, GMAIL, version="v1")
        play.good(number - number // 2, 1, OUTLOOK, version="v1")
        decided = play.look(t).decided
        assert (decided is not None) is ends
        assert decided is None or decided.because is Because.UNOBSERVED

    def test_early_in_this_attempt_only(self) -> None:
        play = Play(BUILT_IN[QUICK])
        play.good(UNSERVED, 1, version="v1")
        play.ends(ROLLED_OUT_AFTER)
        play.request(100)
        assert play.look(100 + ROLLED_OUT_AFTER + 1).decided is None

    def test_a_first_step_that_is_larger_waits_for_it(self) -> None:
        plan = GatePlan((GateStep(30, 0), GateStep(60, 1)))
        play = Play(replace(SMALL, plan=plan))
        play.good(29, 1, version="v1")
        assert play.look(ROLLED_OUT_AFTER).decided is None
        play.good(1, 1, version="v1")
        assert play.look(ROLLED_OUT_AFTER).decided is not None

    def test_one_probe_of_it_is_enough_to_have_been_seen(self) -> None:
        play = Play(BUILT_IN[QUICK])
        play.take(app("gmail-1"), 1)
        play.good(UNSERVED, 1, version="v1")
        assert play.look(ROLLED_OUT_AFTER).decided is None
        assert play.ends(play.asked.timeout).because is Because.TOO_FEW

    def test_trusted_it_needs_no_name(self) -> None:
        play = Play(replace(SMALL, trust_target=True), paths=(APP,))
        play.good(3, 1, version="")
        assert play.ends(10).verdict is Verdict.PASS


class TestBlind:
    @pytest.mark.parametrize(("t", "ends"), [(BLIND_AFTER - 0.1, False), (BLIND_AFTER, True)])
    def test_early(self, t: float, ends: bool) -> None:
        play = Play(SMALL)
        play.blind(0, *GMAIL)
        standing = play.look(t)
        assert (standing.decided is not None) is ends
        if standing.decided is not None:
            assert standing.decided.because is Because.BLIND
            assert standing.reason.startswith(
                "nobody can look into the mailboxes of gmail: mailbox gmail-1 since 12:00:00Z: auth_refused, LOGIN refused"
            )
            assert (
                "not looked into: mailbox gmail-2 since 12:00:00Z: auth_refused, LOGIN refused for ***@box.test" in standing.decided.unseen
            )
        else:
            assert standing.wake == pytest.approx(0.1)

    def test_at_once_where_it_has_lasted(self) -> None:
        play = Play(SMALL)
        play.blind(-100, *GMAIL)
        assert play.ends(0.1).because is Because.BLIND

    def test_not_while_one_mailbox_is_watched_or_a_probe_is_under_way(self) -> None:
        play = Play(SMALL)
        play.blind(0, "gmail-1")
        assert play.look(100).decided is None
        play.take(app("gmail-2"), 1)
        play.blind(0, "gmail-2")
        assert play.look(100).decided is None
        assert play.ends(UNTIL).because is Because.BLIND

    def test_seen_again(self) -> None:
        play = Play(SMALL)
        play.blind(0, *GMAIL)
        play.tell(WatchRestored(at(10), MailboxName("gmail-1"), 3))
        standing = play.look(20)
        assert standing.decided is None
        assert {route.mailbox for route in standing.needs} == {"gmail-1"}

    def test_waits_for_the_other_classes_for_they_may_fail(self) -> None:
        play = Play(SMALL, BOTH)
        play.blind(0, *GMAIL)
        open_ = play.take(app("outlook-1"), 1)
        play.good(2, 2, OUTLOOK)
        assert play.look(30).decided is None
        play.verdict(open_, Reason.PASS, 31)
        decided = play.ends(31)
        assert decided.because is Because.BLIND
        assert [tally.because for tally in decided.classes] == [Because.BLIND, Because.CLEAN]

    def test_a_fail_of_another_class_is_worse(self) -> None:
        play = Play(SMALL, BOTH)
        play.blind(-100, *GMAIL)
        play.all(2, 1, Reason.MISSING, OUTLOOK)
        assert play.ends(3).because is Because.LOSSES

    def test_verdicts_that_say_blind(self) -> None:
        play = Play(SMALL)
        play.all(2, 1, Reason.MAILBOX_BLIND)
        decided = play.ends(UNTIL)
        assert decided.because is Because.BLIND
        assert "gmail: 2 not counted: mailbox_blind" in decided.unseen


class TestUnsubmitted:
    @pytest.mark.parametrize(
        ("since", "t", "ends"),
        [(0.0, PAUSED_AFTER - 0.1, False), (0.0, PAUSED_AFTER, True), (-100, PAUSED_AFTER - 0.1, False), (-100, 5, True)],
    )
    def test_paused(self, since: float, t: float, ends: bool) -> None:
        play = Play(SMALL)
        play.tell(Paused(at(since), "ana", "a provider is down"))
        play.plan(app("gmail-1"), 1)
        standing = play.look(t)
        assert standing.needs == ()
        assert (standing.decided is not None) is ends
        if standing.decided is not None:
            assert standing.decided.because is Because.UNSUBMITTED
            assert "by ana: a provider is down" in standing.reason

    def test_paused_with_a_probe_under_way(self) -> None:
        play = Play(SMALL)
        play.take(app("gmail-1"), 0)
        play.tell(Paused(at(1), "ana", "x"))
        assert play.look(20).decided is None
        play.tell(Resumed(at(21), "ana"))
        assert play.look(30).needs

    def test_a_class_that_is_clean_does_not_mind_a_pause(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.tell(Paused(at(3), "ana", "x"))
        assert play.ends(20).verdict is Verdict.PASS

    def test_misconfigured(self) -> None:
        play = Play(SMALL)
        for _ in range(FUTILE):
            play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.MISCONFIGURED)
        assert play.look(ROLLED_OUT_AFTER - 1).decided is None
        decided = play.ends(ROLLED_OUT_AFTER)
        assert decided.because is Because.UNSUBMITTED
        assert f"{FUTILE} submit_misconfigured" in decided.reason

    def test_a_few_misconfigured_may_be_mended(self) -> None:
        play = Play(SMALL)
        for _ in range(FUTILE - 1):
            play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.MISCONFIGURED)
        assert play.look(ROLLED_OUT_AFTER).decided is None
        assert play.ends(UNTIL).because is Because.UNSUBMITTED

    def test_answers_that_were_lost(self) -> None:
        play = Play(SMALL)
        for _ in range(2):
            probe = play.send(app("gmail-1"), 1)
            play.lose_reply(probe, 2)
            play.verdict(probe, Reason.SUBMIT_UNKNOWN, 500)
        assert play.ends(UNTIL).because is Because.UNSUBMITTED

    def test_no_route_is_configured_any_more(self) -> None:
        play = Play(SMALL)
        play.policy = replace(play.policy, routes={}, paths={}, mailboxes={})
        decided = play.ends(1)
        assert decided.because is Because.UNSUBMITTED
        assert "no route to gmail is configured any more" in decided.reason
        assert "routes that are not configured any more: app/gmail-1, app/gmail-2" in decided.unseen


class TestUnanswered:
    """A release that answers a part of its requests must not pass by that part."""

    def unanswered(self, play: Play, number: int, t: float) -> None:
        for _ in range(number):
            lost = play.send(app("gmail-1"), t)
            play.lose_reply(lost, t + 1)
            play.verdict(lost, Reason.SUBMIT_UNKNOWN, t + 1)

    @pytest.mark.parametrize(("number", "because"), [(1, Because.CLEAN), (2, Because.UNSUBMITTED), (80, Because.UNSUBMITTED)])
    def test_as_many_as_fail_keep_it_from_passing(self, number: int, because: Because) -> None:
        play = Play(SMALL)
        self.unanswered(play, number, 1)
        play.good(3, 1)
        decided = play.ends(20)
        assert decided.because is because
        assert decided.verdict is not Verdict.FAIL

    @pytest.mark.parametrize("version", ["", "v2"])
    def test_and_so_do_refusals_of_a_server_of_which_nothing_is_known(self, version: str) -> None:
        play = Play(SMALL)
        for _ in range(2):
            play.refuse(play.send(app("gmail-1"), 1), 1.2, version=version)
        play.good(6, 1)
        assert play.ends(20).because is (Because.LOSSES if version else Because.UNSUBMITTED)

    def test_what_was_good_beside_them_vouches_for_nothing_later_and_what_was_adverse_stays(self) -> None:
        play = Play(SMALL)
        self.unanswered(play, 2, 1)
        play.good(5, 1)
        play.all(1, 1, Reason.MISSING)
        assert play.ends(20).because is Because.UNSUBMITTED
        play.request(60)
        standing = play.look(70)
        assert standing.decided is None
        assert (standing.classes[0].good, standing.classes[0].adverse) == (0, 1)
        play.good(5, 71)
        decided = play.ends(90)
        assert decided.verdict is Verdict.PASS
        assert "gmail: 5 not counted: good, in an attempt in which too many were unanswered" in decided.unseen

    def test_of_several_attempts_they_add_up_once(self) -> None:
        play = Play(SMALL)
        self.unanswered(play, 1, 1)
        assert play.ends(SMALL.timeout).because is Because.UNSUBMITTED
        play.request(1_000)
        self.unanswered(play, 1, 1_001)
        play.good(3, 1_001)
        assert play.ends(1_020).because is Because.UNSUBMITTED
        play.request(1_100)
        play.good(3, 1_101)
        assert play.ends(1_120).because is Because.CLEAN


class TestBudget:
    @pytest.mark.parametrize(("paths", "mailboxes", "ends"), [(10_000, 0, True), (0, 10_000, True), (1, 1, False)])
    def test_used_up(self, paths: int, mailboxes: int, ends: bool) -> None:
        play = Play(SMALL)
        spent(play, paths, mailboxes)
        standing = play.look(1)
        assert (standing.decided is not None) is ends
        if standing.decided is not None:
            assert standing.decided.because is Because.BUDGET
            assert standing.reason.startswith("the day's share of probes for gates is used up for gmail")

    def test_not_while_a_probe_is_pending(self) -> None:
        play = Play(SMALL)
        play.take(app("gmail-1"), 1)
        spent(play, 10_000)
        assert play.look(2).decided is None
        assert play.look(2).needs == (bare("gmail-1"), bare("gmail-2")), "the other path has its own"
        assert play.ends(UNTIL).because is Because.BUDGET

    def test_what_is_clean_needs_none(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        spent(play, 10_000)
        assert play.ends(10).verdict is Verdict.PASS

    def test_withheld(self) -> None:
        play = Play(SMALL)
        play.verdict(play.plan(app("gmail-1"), 1), Reason.BUDGET_EXHAUSTED, 2)
        assert play.ends(UNTIL).because is Because.BUDGET


class TestOwnFault:
    @pytest.mark.parametrize(("own", "good", "ends"), [(OWN_SHARE, 0, True), (OWN_SHARE - 1, 0, False), (6, 6, False), (7, 6, True)])
    def test_most(self, own: int, good: int, ends: bool) -> None:
        play = Play(replace(SMALL, plan=GatePlan((GateStep(20, 0), GateStep(30, 1)))))
        play.good(good, 1)
        for _ in range(own):
            play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.OVERLOADED)
        decided = play.look(3).decided
        assert (decided is not None) is ends
        if decided is not None:
            assert (decided.verdict, decided.because) == (Verdict.ERROR, Because.OWN_FAULT)
            assert f"{own} overloaded" in decided.reason

    def test_is_no_evidence_against_the_deploy(self) -> None:
        play = Play(SMALL)
        for _ in range(OWN_SHARE):
            play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.INTERNAL)
        assert not play.look(3).adverse

    def test_a_fail_is_worse(self) -> None:
        play = Play(SMALL, BOTH)
        for _ in range(OWN_SHARE):
            play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.OVERLOADED)
        play.all(2, 1, Reason.MISSING, OUTLOOK)
        assert play.ends(3).because is Because.LOSSES


class TestTooFew:
    def test_the_numbers(self) -> None:
        play = Play(SMALL, BOTH)
        play.good(3, 1, GMAIL)
        play.probe(app("outlook-1"), 1, Reason.SPAM)
        play.take(app("outlook-2"), 1)
        decided = play.ends(UNTIL)
        assert decided.because is Because.TOO_FEW
        assert decided.reason == "too few probes are resolved: outlook 1 of 6 (1 adverse, 1 pending)"
        assert [tally.because for tally in decided.classes] == [Because.CLEAN, Because.TOO_FEW]
        assert decided.example is not None
        assert decided.example.reason == "spam"

    def test_a_class_asks_for_so_many_and_then_ends(self) -> None:
        play = Play(SMALL)
        most = MOST_ASKED * SMALL.plan.most
        play.good(2, 1)
        play.good(most - 3, 1, version="v1")
        assert len([route for route in play.look(30).needs if route.path == APP]) == 1
        play.good(1, 1, version="v1")
        assert play.ends(30).because is Because.TOO_FEW

    def test_refusals_that_told_no_version_and_about_which_nothing_is_known_from_before(self) -> None:
        play = Play(SMALL)
        for _ in range(FUTILE):
            play.refuse(play.send(app("gmail-1"), 1), 2)
        assert play.look(3).decided is None
        decided = play.ends(ROLLED_OUT_AFTER)
        assert decided.because is Because.TOO_FEW
        assert "10 refused, or the answer was lost, before any version was told" in decided.reason


def test_the_order_of_the_inconclusive_is_total() -> None:
    blocked = {because for because, verdict in GATE_VERDICT.items() if verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)}
    assert set(WORST) == blocked - {Because.CANCELLED}
    assert len(WORST) == len(set(WORST))
