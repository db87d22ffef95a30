"""What fails a gate at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.model.facts import Started, SubmitFault, Tripped
from monitor.model.gate import Because
from monitor.model.probe import MailboxName, Route
from monitor.model.submission import Step
from monitor.model.verdict import Reason, Verdict
from tests.rules.gates import APP, BEGAN, BOXES, GMAIL, OUTLOOK, SMALL, Play, app, at, bare
from tests.views.life import NOON

BOTH = (*GMAIL, *OUTLOOK)


def because(play: Play, t: float) -> Because | None:
    decided = play.look(t).decided
    return decided.because if decided is not None else None


class TestWrongAmount:
    def test_fails_at_the_first_sight_before_any_verdict(self) -> None:
        play = Play()
        play.see(play.take(app("gmail-1"), 1), 2, money=True)
        decided = play.ends(2)
        assert (decided.verdict, decided.because) == (Verdict.FAIL, Because.WRONG_AMOUNT)
        numbers = "gmail: 1 of 1 probes altered (fails at 2)"
        assert decided.reason.startswith(f"a wrong amount of money stands in 1 probe at gmail (fails at 1); {numbers}")
        assert "first bad probe 000000000001" in decided.reason
        assert decided.example is not None
        assert decided.example.reason == "wrong amount"
        assert decided.evidence == (5,)

    def test_says_what_is_wrong_and_not_what_the_application_answered(self) -> None:
        """The answer to the request bears the number of a refund, and may come after the mail."""
        play = Play(SMALL)
        early = play.send(app("gmail-1"), 1)
        play.see(early, 1.5, money=True)
        play.accept(early, 1.6)
        play.see(play.take(app("gmail-2"), 1), 2, money=True)
        decided = play.ends(2)
        (tally,) = decided.classes
        assert (tally.adverse, tally.pending, tally.reasons) == (2, 0, (("altered", 2),))
        assert decided.example is not None and decided.example.said == "the mail that arrived differs in amount"
        assert "202" not in decided.reason
        assert not any("any loss" in line for line in decided.unseen)

    @pytest.mark.parametrize("route", [app("gmail-1"), bare("gmail-1")])
    def test_of_another_version_or_path_is_not_the_deploys(self, route: Route) -> None:
        play = Play()
        play.see(play.take(route, 1, version="v1" if route.path == APP else ""), 2, money=True)
        assert because(play, 2) is None

    def test_nothing_excuses_it(self) -> None:
        play = Play(SMALL, baseline=(0, 5))
        play.all(3, 1, Reason.MISSING, path=bare("gmail-1").path)
        play.see(play.take(app("gmail-1"), 1), 2, money=True)
        assert because(play, 3) is Because.WRONG_AMOUNT


class TestTrip:
    @pytest.mark.parametrize(("t", "fails"), [(BEGAN - 1, False), (BEGAN, True), (5.0, True)])
    def test_since_the_deploy_began(self, t: float, fails: bool) -> None:
        play = Play()
        seq = play.tell(Tripped(at(t), MailboxName("trap"), 1, "shop.test", ("it",)))
        decided = play.look(6).decided
        assert (decided is not None) is fails
        assert play.look(6).adverse is fails
        if decided is not None:
            assert decided.because is Because.TRIPPED
            assert decided.evidence == (seq,)
            assert "tripwire mailbox trap since 1" in decided.reason
            assert decided.observed_from == decided.observed_to == at(t)

    @pytest.mark.parametrize(("arrived", "fails"), [(None, True), (BEGAN + 1, True), (BEGAN - 40_000, False)])
    def test_of_mail_that_lay_there_before_the_deploy_is_none(self, arrived: float | None, fails: bool) -> None:
        """The tripwire was blind over night, and is read now."""
        play = Play()
        play.tell(Tripped(at(5), MailboxName("trap"), 1, "shop.test", ("it",), NOON + arrived if arrived is not None else None))
        assert because(play, 6) is (Because.TRIPPED if fails else None)

    def test_since_the_first_request_where_the_deploy_began_later(self) -> None:
        play = Play()
        first = replace(play.state.requests[0], began=at(100))
        play.state.requests[0] = first
        play.tell(Tripped(at(5), MailboxName("trap"), 1, "shop.test", ()))
        assert because(play, 6) is Because.TRIPPED

    def test_in_another_attempt_still(self) -> None:
        play = Play()
        play.tell(Tripped(at(5), MailboxName("trap"), 1, "shop.test", ()))
        play.request(700)
        assert because(play, 701) is Because.TRIPPED


def refused(play: Play, routes: Sequence[Route], step: Step = Step.REQUEST, version: str = "") -> None:
    for route in routes:
        play.refuse(play.send(route, 1), 1.2, step, version, said="550 5.7.1 no, <ann@box.test>")


class TestRefusal:
    @pytest.mark.parametrize(
        ("routes", "step", "expected"),
        [
            pytest.param((app("gmail-1"), app("outlook-1")), Step.REQUEST, Because.REFUSED, id="two mailboxes of two providers"),
            pytest.param((bare("gmail-1"), bare("outlook-1")), Step.RCPT_TO, None, id="on the control routes alone"),
            pytest.param((app("gmail-1"), bare("outlook-1")), Step.DATA, Because.REFUSED, id="on one of each"),
            pytest.param((app("gmail-1"), app("gmail-2")), Step.REQUEST, None, id="two mailboxes of one provider of two"),
            pytest.param((app("gmail-1"), app("gmail-1")), Step.RCPT_TO, None, id="one mailbox twice"),
            pytest.param((app("gmail-1"),), Step.CONNECT, Because.REFUSED, id="at connect"),
            pytest.param((app("gmail-1"),), Step.TLS, Because.REFUSED, id="at TLS"),
            pytest.param((app("gmail-1"),), Step.AUTH, Because.REFUSED, id="at AUTH"),
            pytest.param((app("gmail-1"),), Step.MAIL_FROM, Because.REFUSED, id="at MAIL FROM"),
            pytest.param((app("gmail-1"),), Step.RCPT_TO, None, id="one at RCPT TO"),
            pytest.param((bare("gmail-1"),), Step.CONNECT, None, id="one of the control arm, before the canary is served"),
            pytest.param((app("gmail-1"),), Step.REQUEST, None, id="one request"),
        ],
    )
    def test_table(self, routes: Sequence[Route], step: Step, expected: Because | None) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        refused(play, routes, step)
        assert because(play, 2) is expected

    def test_words(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        refused(play, (app("gmail-1"), app("outlook-1")), Step.RCPT_TO)
        decided = play.ends(2)
        assert decided.reason.startswith(
            "2 probes refused at gmail, outlook, where mail was taken before this deploy; first refused probe 0000"
        )
        assert [tally.because for tally in decided.classes] == [Because.REFUSED, Because.REFUSED]
        assert decided.example is not None
        assert decided.example.probe == "000000000001"
        assert len(decided.evidence) == 2

    @pytest.mark.parametrize(
        ("before", "expected"),
        [((1, 0), Because.REFUSED), ((3, 1), Because.REFUSED), ((0, 0), None), ((0, 3), None), ((1, 3), None)],
        ids=["good", "good at last", "unknown", "bad", "bad at last"],
    )
    def test_only_where_mail_was_taken_before(self, before: tuple[int, int], expected: Because | None) -> None:
        play = Play(boxes=BOTH, baseline=before)
        refused(play, (app("gmail-1"), app("outlook-1")))
        assert because(play, 2) is expected

    def test_one_provider_is_enough_where_there_is_no_other(self) -> None:
        play = Play(boxes=GMAIL, baseline=(5, 0))
        refused(play, (app("gmail-1"),))
        assert because(play, 2) is None
        refused(play, (app("gmail-2"),))
        assert because(play, 2) is Because.REFUSED

    def test_one_mailbox_is_enough_where_there_is_no_other_but_one_refusal_is_not(self) -> None:
        play = Play(boxes=GMAIL[:1], baseline=(5, 0))
        refused(play, (app("gmail-1"),))
        assert because(play, 2) is None
        refused(play, (app("gmail-1"),))
        assert because(play, 2) is Because.REFUSED

    def test_of_one_provider_says_nothing_once_its_mail_arrives_again(self) -> None:
        play = Play(boxes=GMAIL[:1], baseline=(5, 0))
        refused(play, (app("gmail-1"), app("gmail-1")))
        play.probe(app("gmail-1"), 2)
        assert because(play, 4) is None

    def test_by_another_version_is_not_this_deploys(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        refused(play, (app("gmail-1"), app("outlook-1")), Step.CONNECT, version="v1")
        assert because(play, 2) is None

    def test_by_the_version_under_test_counts_twice(self) -> None:
        play = Play(boxes=GMAIL)
        refused(play, (app("gmail-1"), app("gmail-1")), version="v2")
        assert because(play, 2) is Because.LOSSES, "nothing is known from before, and yet two of two are adverse"

    def test_beside_the_application_while_its_mail_arrives_says_nothing(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        refused(play, (bare("gmail-1"), bare("outlook-1")), Step.MAIL_FROM)
        play.probe(app("gmail-1"), 2)
        assert because(play, 4) is None

    def test_beside_the_application_whose_mail_arrived_earlier_says_nothing(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        play.probe(app("gmail-1"), 0)
        refused(play, (bare("gmail-1"), bare("outlook-1")), Step.MAIL_FROM)
        assert because(play, 4) is None

    def test_beside_the_application_says_it_only_where_all_of_its_mail_ended_badly(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        refused(play, (bare("gmail-1"), bare("outlook-1")), Step.MAIL_FROM)
        lost = play.take(app("gmail-1"), 1)
        assert because(play, 4) is None, "it may arrive"
        play.verdict(lost, Reason.MISSING, 10)
        assert because(play, 10) is Because.REFUSED

    def test_beside_the_application_whose_mail_was_lost_in_an_earlier_attempt_says_nothing(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        play.probe(app("gmail-1"), 1, Reason.MISSING)
        play.request(700)
        play.refuse(play.send(bare("gmail-1"), 701), 701.2, Step.CONNECT)
        assert because(play, 702) is None

    @pytest.mark.parametrize("fault", [SubmitFault.MISCONFIGURED, SubmitFault.INTERNAL, SubmitFault.OVERLOADED])
    def test_our_own_faults_are_none(self, fault: SubmitFault) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        for route in (app("gmail-1"), app("outlook-1"), bare("gmail-1")):
            play.err(play.send(route, 1), 2, fault)
        assert because(play, 2) is None
        assert not play.look(2).adverse

    def test_nobody_to_talk_to(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        play.err(play.send(app("gmail-1"), 1), 16, SubmitFault.UNREACHABLE)
        assert because(play, 17) is None
        play.err(play.send(app("outlook-1"), 1), 16, SubmitFault.UNREACHABLE)
        assert because(play, 17) is Because.REFUSED

    def test_deferred_for_too_long(self) -> None:
        play = Play(boxes=BOTH, baseline=(5, 0))
        probes = [play.send(app(box), 1) for box in ("gmail-1", "outlook-1")]
        for probe in probes:
            play.defer(probe, 2)
        assert because(play, 3) is None, "it may be taken yet"
        for probe in probes:
            play.defer(probe, 60, retry_in=None)
            play.verdict(probe, Reason.DEFERRED, 60)
        assert because(play, 61) is Because.REFUSED


STALLING = replace(SMALL, overdue_fails=True)


class TestStall:
    """Default deadlines without history: overdue after late_after."""

    def stalled(self, play: Play, boxes: Sequence[str]) -> None:
        for box in boxes:
            play.take(app(box), 1)
        for box in boxes:
            play.looked(box, 200)

    @pytest.mark.parametrize(
        ("boxes", "control", "expected"),
        [
            pytest.param(("gmail-1", "outlook-1"), 2.0, Because.STALLED, id="two providers, control arrives"),
            pytest.param(("gmail-1", "outlook-1"), None, None, id="nothing beside it"),
            pytest.param(("gmail-1", "outlook-1"), 0.5, None, id="control was sent before"),
            pytest.param(("gmail-1", "gmail-2"), 2.0, None, id="one provider"),
        ],
    )
    def test_table(self, boxes: Sequence[str], control: float | None, expected: Because | None) -> None:
        play = Play(STALLING, BOTH)
        if control == 0.5:
            play.probe(bare("gmail-1"), control)
        self.stalled(play, boxes)
        if control == 2.0:
            play.probe(bare("gmail-1"), control)
        assert because(play, 201) is expected

    def test_only_where_the_policy_says_so(self) -> None:
        play = Play(SMALL, BOTH)
        self.stalled(play, ("gmail-1", "outlook-1"))
        play.probe(bare("gmail-1"), 2)
        assert because(play, 201) is None

    def test_words_and_evidence(self) -> None:
        play = Play(STALLING, BOTH)
        self.stalled(play, ("gmail-1", "outlook-1"))
        play.probe(bare("gmail-1"), 2)
        decided = play.ends(201)
        assert (
            decided.reason
            == "2 probes at gmail, outlook overdue, while the control arm arrives; first bad probe 000000000001 sent 12:00:01Z: overdue"
        )
        assert decided.example is not None
        assert decided.example.reason == "overdue"

    def test_of_another_version_is_none(self) -> None:
        play = Play(STALLING, BOTH)
        for box in ("gmail-1", "outlook-1"):
            play.take(app(box), 1, version="v1")
            play.looked(box, 200)
        play.probe(bare("gmail-1"), 2)
        assert because(play, 201) is None


def test_the_worst_is_named_first() -> None:
    play = Play(boxes=BOTH, baseline=(5, 0))
    play.all(2, 1, Reason.MISSING)
    assert because(play, 3) is Because.LOSSES
    refused(play, (bare("gmail-1"), bare("outlook-1")))
    assert because(play, 3) is Because.REFUSED
    play.tell(Tripped(at(5), MailboxName("trap"), 1, "shop.test", ()))
    assert because(play, 6) is Because.TRIPPED
    play.see(play.take(app("gmail-1"), 6), 7, money=True)
    assert because(play, 7) is Because.WRONG_AMOUNT


def test_a_restart_changes_nothing() -> None:
    play = Play(boxes=BOXES, baseline=(5, 0))
    refused(play, (bare("gmail-1"), bare("outlook-1")))
    before = play.look(2).decided
    play.tell(Started(at(2), "1", "hash"))
    assert play.look(2).decided == before
