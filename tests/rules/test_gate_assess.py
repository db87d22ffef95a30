"""A gate as a whole: how it fails, what it says, and what nobody may read in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.gate import BUILT_IN, DEEP, QUICK, STANDARD, Because, GatePlan, GatePolicy, GateStep
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate import MOST_EVIDENCE
from monitor.rules.gate.statistics import loss_upper
from monitor.rules.gate.wording import LONGEST, cut, worst
from tests.rules.gates import BARE, GMAIL, OUTLOOK, SMALL, Play, app, at, bare

BOTH = (*GMAIL, *OUTLOOK)
SURE = "(95 %, were losses independent, which those of a burst are not quite)"


class TestFail:
    @pytest.mark.parametrize("policy", [BUILT_IN[QUICK], BUILT_IN[STANDARD], BUILT_IN[DEEP]], ids=str)
    def test_as_soon_as_it_is_certain(self, policy: GatePolicy) -> None:
        play = Play(policy)
        for _ in range(5):
            play.take(app("gmail-1"), 0)
        lost = 0
        while play.look(1).decided is None:
            play.probe(app("gmail-1"), 0, Reason.MISSING)
            lost += 1
            assert lost <= 3
        decided = play.ends(1)
        assert (decided.verdict, decided.because) == (Verdict.FAIL, Because.LOSSES)
        assert lost == (policy.plan.reject if policy.plan.sequential is None else 3 if policy.name == DEEP else 2)

    def test_one_bad_class_is_enough(self) -> None:
        play = Play(SMALL, BOTH, baseline=(5, 0))
        play.good(3, 1, GMAIL)
        play.all(2, 1, Reason.SPAM, OUTLOOK)
        decided = play.ends(3)
        assert [tally.because for tally in decided.classes] == [Because.CLEAN, Because.LOSSES]
        assert decided.verdict is Verdict.FAIL

    def test_a_good_class_does_not_outweigh_it(self) -> None:
        play = Play(SMALL, BOTH, baseline=(5, 0))
        play.good(100, 1, GMAIL)
        play.all(2, 1, Reason.SPAM, OUTLOOK)
        assert play.ends(3).verdict is Verdict.FAIL

    def test_losses_of_several_classes_do_not_add_up(self) -> None:
        play = Play(SMALL, BOTH)
        play.all(1, 1, Reason.SPAM)
        assert play.look(3).decided is None

    def test_needs_no_settling(self) -> None:
        play = Play(replace(SMALL, settle=60.0))
        play.all(2, 1, Reason.SPAM)
        assert play.look(2).decided is not None

    def test_a_later_revision_counts(self) -> None:
        play = Play(SMALL)
        probe = play.probe(app("gmail-1"), 1)
        play.probe(app("gmail-1"), 1)
        play.verdict(probe, Reason.DUPLICATE, 3)
        assert play.look(3).adverse
        play.verdict(probe, Reason.PASS, 4)
        assert not play.look(4).adverse

    def test_decides_what_it_is_asked(self) -> None:
        play = Play(SMALL)
        play.all(2, 1, Reason.SPAM)
        decided = play.ends(3)
        request = play.state.request
        assert (decided.at, decided.gate, decided.deploy, decided.attempt) == (at(3), request.gate, "d-2", 1)


class TestSaid:
    def test_reason_of_a_loss(self) -> None:
        play = Play(BUILT_IN[QUICK], baseline=(5, 0))
        play.good(6, 600, path=BARE)
        play.good(24, 0)
        for number in range(6):
            probe = play.take(app("gmail-1"), 130 + number)
            play.verdict(probe, Reason.MISSING, 612 + number, "accepted (202 ok); in none of 7 folders 480 s later")
        decided = play.ends(618)
        assert decided.reason == (
            "gmail: 6 of 30 probes lost (fails at 2); control 0 of 6; first lost probe 00000000001f sent 12:02:10Z: missing, "
            "accepted (202 ok); in none of 7 folders 480 s later"
        )
        (tally,) = decided.classes
        assert (tally.sent, tally.good, tally.adverse, tally.pending, tally.aside) == (30, 24, 6, 0, 0)
        assert (tally.limit, tally.control_good, tally.control_bad, tally.llr) == (2, 6, 0, None)
        assert tally.reasons == (("missing", 6),)
        assert tally.mailboxes == GMAIL
        assert tally.loss_upper == loss_upper(30, 6)
        assert decided.example is not None
        assert (decided.example.probe, decided.example.sent, decided.example.reason) == ("00000000001f", at(130), "missing")
        assert decided.observed_from == at(0)
        assert decided.observed_to == at(617)
        assert decided.evidence == tuple(t.shown_by for t in play.state.trials.values() if t.reason is Reason.MISSING)

    def test_reason_of_several_kinds_and_the_worst_example(self) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        play.probe(app("gmail-2"), 2, Reason.MISSING)
        decided = play.ends(4)
        assert decided.reason.startswith(
            "gmail: 2 of 2 probes adverse (1 in spam, 1 lost; fails at 2); control none; first lost probe 000000000002"
        )

    def test_a_wrong_amount_is_the_worst_example(self) -> None:
        play = Play(SMALL)
        for reason in (Reason.REJECTED, Reason.ALTERED, Reason.MISSING):
            probe = play.take(app("gmail-1"), 1)
            if reason is Reason.ALTERED:
                play.see(probe, 2, money=True)
            play.verdict(probe, reason, 2)
        shown = worst(list(play.state.trials.values()))
        assert shown is not None
        assert shown.reason is Reason.ALTERED

    def test_the_class_with_the_most_losses_is_told(self) -> None:
        play = Play(SMALL, BOTH, baseline=(5, 0))
        play.all(2, 1, Reason.SPAM, GMAIL)
        play.all(3, 1, Reason.LATE, OUTLOOK)
        assert play.ends(3).reason.startswith("outlook: 3 of 3 probes late (fails at 2)")

    def test_reason_while_it_runs(self) -> None:
        play = Play(BUILT_IN[QUICK], BOTH)
        play.good(7, 1, GMAIL)
        play.good(4, 1, OUTLOOK)
        for number in range(9):
            play.take(app(BOTH[number % 4]), 2)
        standing = play.look(3)
        assert standing.reason == "gmail 7/10, outlook 4/10 probes resolved, none adverse; 9 pending"
        assert not standing.adverse
        assert [tally.because for tally in standing.classes] == [None, None]

    def test_reason_of_a_pass(self) -> None:
        play = Play(BUILT_IN[QUICK], BOTH)
        play.good(10, 1)
        decided = play.ends(5)
        assert decided.reason == "gmail 10 of 10 good, outlook 10 of 10 good; a loss of up to 25.9 % is not excluded (95 %)"
        assert decided.example is None
        assert len(decided.evidence) == 20
        bound = f"0 adverse of 10 cannot exclude a loss of up to 25.9 % {SURE}; excluding 5 % takes 59 good ones"
        assert f"gmail, outlook: {bound}" in decided.unseen

    def test_the_ratio_of_a_sequential_test(self) -> None:
        play = Play(BUILT_IN[DEEP])
        play.good(3, 1)
        (tally,) = play.look(5).classes
        assert tally.llr is not None
        assert tally.llr < 0

    def test_what_could_not_be_seen(self) -> None:
        play = Play(SMALL, BOTH)
        play.probe(app("gmail-1"), 1)
        play.probe(app("gmail-1"), 1, version="v1")
        play.probe(bare("gmail-1"), 1)
        play.blind(2, "outlook-2")
        kept = {route: rule for route, rule in play.policy.routes.items() if route != app("outlook-1")}
        play.policy = replace(play.policy, routes=kept)
        assert play.ends(SMALL.timeout).unseen == (
            f"gmail: 0 adverse of 1 cannot exclude a loss of up to 95 % {SURE}; excluding 5 % takes 59 good ones",
            "outlook: no probe of the version under test is resolved, any loss would be unseen",
            "gmail: 1 not counted: served by v1",
            "outlook: nothing to compare with, no control probe is resolved",
            "not looked into: mailbox outlook-2 since 12:00:02Z: auth_refused, LOGIN refused for ***@box.test",
            "routes without evidence: app/gmail-2, app/outlook-2",
            "routes that are not configured any more: app/outlook-1",
        )

    def test_no_more_evidence_than_anybody_reads(self) -> None:
        play = Play(replace(SMALL, plan=GatePlan((GateStep(150, 0),), reject=1)))
        play.good(150, 1)
        assert len(play.ends(5).evidence) == MOST_EVIDENCE

    HOSTILE = "\x1b[2J<ann.b@box.test> RF-20260101-7731\n" + "x" * 400

    def test_what_peers_and_people_said_is_masked_and_cut(self) -> None:
        play = Play(SMALL, BOTH, baseline=(5, 0))
        for _ in range(2):
            probe = play.send(app("gmail-1"), 1)
            play.refuse(probe, 2, version="v2")
            play.verdict(probe, Reason.REJECTED, 2, self.HOSTILE, "v2")
        play.probe(app("gmail-1"), 1, version=self.HOSTILE)
        decided = play.ends(3)
        assert decided.example is not None
        for text in (decided.reason, decided.example.said, *decided.unseen):
            assert text.isprintable()
            assert "ann.b" not in text
            assert "7731" not in text
            assert len(text) <= LONGEST

    def test_cut(self) -> None:
        assert cut("x" * 400) == "x" * 298 + ".."
        assert cut("abc") == "abc"


class TestAdverse:
    def test_any_bad_canary_probe(self) -> None:
        play = Play(SMALL)
        assert not play.look(0).adverse
        play.probe(app("gmail-1"), 1, Reason.LATE)
        assert play.look(3).adverse

    @pytest.mark.parametrize("version", ["v1", ""])
    def test_no_bad_probe_of_others(self, version: str) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, Reason.LATE, version=version)
        play.probe(bare("gmail-1"), 1, Reason.LATE)
        assert not play.look(3).adverse


def test_a_gate_that_was_overtaken_by_its_time_in_another_process_ends_at_once() -> None:
    play = Play(SMALL)
    play.take(app("gmail-1"), 1)
    play.process = "two"
    assert play.ends(SMALL.timeout + 1).because is Because.TOO_FEW


def test_a_clock_that_stepped_back_changes_nothing_but_the_wait() -> None:
    play = Play(SMALL)
    play.good(3, 1)
    play.process = "two"
    standing = play.look(-500)
    assert standing.decided is None or standing.decided.verdict is Verdict.PASS
    assert 0.05 <= standing.wake <= 5
