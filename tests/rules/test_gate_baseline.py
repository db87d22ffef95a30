"""What excuses a deploy: the control arm, the other classes, the time before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.gate import Because, Control, GatePlan, GatePolicy, GateStep
from monitor.model.submission import Step
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate.baseline import CONTROL, OTHERS
from tests.rules.gates import BARE, GMAIL, OUTLOOK, SMALL, Play, app, bare

BOTH = (*GMAIL, *OUTLOOK)
GOOD, BAD, UNKNOWN = (5, 0), (0, 5), None


def fallen(
    gmail: tuple[int, int],
    before: tuple[int, int] | None,
    outlook: tuple[Reason, tuple[int, int]] | None = None,
    asked: GatePolicy = SMALL,
) -> Play:
    """Canary at gmail loses two. `gmail`: good and bad control probes there; `outlook`: what becomes of canary there, and its control."""
    play = Play(asked, BOTH if outlook else GMAIL, baseline=before)
    for box, (good, adverse) in {"gmail-1": gmail, **({"outlook-1": outlook[1]} if outlook else {})}.items():
        for _ in range(good):
            play.probe(bare(box), 1)
        for _ in range(adverse):
            play.probe(bare(box), 1, Reason.MISSING)
    if outlook:
        play.all(3, 1, outlook[0], OUTLOOK)
    play.all(2, 1, Reason.MISSING, GMAIL)
    return play


WELL, ILL = (Reason.PASS, (2, 0)), (Reason.MISSING, (0, 2))


@pytest.mark.parametrize(
    ("control", "before", "outlook", "expected"),
    [
        pytest.param((2, 0), GOOD, None, Because.LOSSES, id="control is good"),
        pytest.param((2, 0), BAD, None, Because.LOSSES, id="control is good again"),
        pytest.param((0, 0), GOOD, None, Because.LOSSES, id="no control, good before"),
        pytest.param((0, 0), UNKNOWN, None, Because.LOSSES, id="no control, nothing known"),
        pytest.param((0, 0), BAD, None, Because.BASELINE_BROKEN, id="no control, bad before"),
        pytest.param((0, 1), UNKNOWN, None, Because.LOSSES, id="one bad control probe is too few"),
        pytest.param((0, 2), UNKNOWN, None, Because.BASELINE_BROKEN, id="both bad, nothing known"),
        pytest.param((2, 2), UNKNOWN, None, Because.BASELINE_BROKEN, id="half of control is bad"),
        pytest.param((3, 2), UNKNOWN, None, Because.LOSSES, id="less than half"),
        pytest.param((0, 2), BAD, None, Because.BASELINE_BROKEN, id="both bad, since before"),
        pytest.param((0, 2), (1, 1), None, Because.BASELINE_BROKEN, id="half bad before"),
        pytest.param((0, 2), (2, 1), None, Because.LOSSES, id="rather good before"),
        pytest.param((0, 2), GOOD, None, Because.LOSSES, id="both bad since the deploy"),
        pytest.param((0, 2), GOOD, WELL, Because.BASELINE_BROKEN, id="one provider's own, the other is well"),
        pytest.param((0, 2), GOOD, (Reason.PASS, (0, 0)), Because.LOSSES, id="the other has no control"),
        pytest.param((0, 2), GOOD, (Reason.PASS, (1, 1)), Because.LOSSES, id="the other's control is not well"),
        pytest.param((0, 2), GOOD, ILL, Because.LOSSES, id="both bad everywhere since the deploy"),
        pytest.param((0, 2), BAD, ILL, Because.BASELINE_BROKEN, id="both bad everywhere since before"),
    ],
)
def test_losses(
    control: tuple[int, int], before: tuple[int, int] | None, outlook: tuple[Reason, tuple[int, int]] | None, expected: Because
) -> None:
    decided = fallen(control, before, outlook).ends(20)
    assert decided.because is expected
    assert decided.verdict is (Verdict.FAIL if expected is Because.LOSSES else Verdict.INCONCLUSIVE)


def test_without_a_control_arm_nothing_is_excused() -> None:
    assert fallen((0, 2), BAD, asked=replace(SMALL, control=Control.NONE)).ends(20).because is Because.LOSSES


def test_the_words_say_why() -> None:
    decided = fallen((0, 2), BAD).ends(20)
    assert decided.reason.startswith(
        "gmail: 2 of 2 probes lost (fails at 2); control 2 of 2; the control arm fails too, as it did before the deploy; first lost"
    )
    assert decided.example is not None
    assert len(decided.evidence) == 2


def test_two_providers_that_fail_are_not_one_providers_own() -> None:
    play = Play(SMALL, (*BOTH, "web-1"), baseline=GOOD)
    play.all(2, 1, Reason.MISSING, BOTH)
    play.all(2, 1, Reason.MISSING, BOTH, path=BARE)
    play.good(3, 1, ("web-1",))
    play.good(2, 1, ("web-1",), path=BARE)
    assert play.ends(20).because is Because.LOSSES


def test_refusals_of_one_provider_while_the_other_is_well() -> None:
    play = Play(SMALL, BOTH, baseline=GOOD)
    play.good(3, 1, OUTLOOK)
    play.good(2, 1, OUTLOOK, path=BARE)
    for route in (bare("gmail-1"), bare("gmail-2"), app("gmail-1")):
        play.refuse(play.send(route, 1), 2, Step.CONNECT)
    assert play.ends(20).because is Because.BASELINE_BROKEN


def test_a_broken_class_waits_for_the_others_for_they_may_fail() -> None:
    play = Play(SMALL, BOTH, baseline=BAD)
    play.all(2, 1, Reason.MISSING, GMAIL)
    waiting = [play.take(app(box), 1) for box in (*OUTLOOK, "outlook-1")]
    standing = play.look(3)
    assert standing.decided is None
    assert [tally.because for tally in standing.classes] == [Because.BASELINE_BROKEN, None]
    assert {route.mailbox for route in standing.needs} <= set(OUTLOOK), "nothing more for the broken one"
    for probe in waiting:
        play.verdict(probe, Reason.PASS, 4)
    assert play.ends(5).because is Because.BASELINE_BROKEN


class TestPatience:
    """A fail that control probes may excuse, which are due at any moment."""

    def play(self, before: tuple[int, int] | None = UNKNOWN) -> Play:
        play = Play(SMALL, GMAIL, baseline=before)
        play.probe(bare("gmail-1"), 0, Reason.MISSING, after=480)
        self.due = play.take(bare("gmail-1"), 0)
        play.all(2, 0, Reason.MISSING, after=480.0)
        return play

    def test_waits_for_them(self) -> None:
        play = self.play()
        standing = play.look(480.3)
        assert standing.decided is None
        assert standing.wake == pytest.approx(CONTROL - 0.3)
        assert standing.adverse
        play.verdict(self.due, Reason.MISSING, 480.5)
        assert play.ends(480.5).because is Because.BASELINE_BROKEN

    def test_until_they_are_good(self) -> None:
        play = self.play()
        play.verdict(self.due, Reason.PASS, 480.5)
        play.probe(bare("gmail-1"), 480.2, after=0.3)
        assert play.ends(480.5).because is Because.LOSSES

    def test_not_for_long(self) -> None:
        assert self.play().ends(480 + CONTROL).because is Because.LOSSES

    def test_not_where_they_could_not_excuse_it(self) -> None:
        assert self.play(before=GOOD).ends(480).because is Because.LOSSES

    def test_not_for_what_was_sent_later(self) -> None:
        play = Play(SMALL, GMAIL)
        play.all(2, 0, Reason.MISSING, after=480.0)
        for _ in range(2):
            play.take(bare("gmail-1"), 400)
        assert play.ends(480).because is Because.LOSSES

    def test_but_for_what_was_sent_later_and_is_overdue_itself(self) -> None:
        play = Play(SMALL, GMAIL)
        play.all(2, 0, Reason.MISSING, after=480.0)
        late = [play.take(bare("gmail-1"), 200) for _ in range(2)]
        play.looked("gmail-1", 400)
        assert play.look(481).decided is None
        assert play.look(550).decided is None
        assert play.look(599).decided is None
        over = play.look(600).decided
        assert over is not None
        assert over.because is Because.LOSSES, "its time is over"
        for probe in late:
            play.verdict(probe, Reason.MISSING, 590)
        assert play.ends(590).because is Because.BASELINE_BROKEN

    def test_the_next_losses_do_not_begin_it_anew(self) -> None:
        play = self.play()
        play.all(1, 0, Reason.MISSING, after=480 + CONTROL)
        assert play.ends(480 + CONTROL).because is Because.LOSSES


class TestOtherProviders:
    """Both arms fail at one provider, and were good before: it is the provider's own if the others are well."""

    def play(self) -> Play:
        play = Play(SMALL, BOTH, baseline=GOOD)
        play.all(2, 1, Reason.REJECTED, GMAIL)
        play.all(2, 1, Reason.REJECTED, GMAIL, path=BARE)
        self.waiting = [play.take(route, 1) for route in (app("outlook-1"), app("outlook-2"), bare("outlook-1"))]
        return play

    def test_waits_for_them(self) -> None:
        play = self.play()
        assert play.look(2.1).decided is None
        for probe in self.waiting:
            play.verdict(probe, Reason.PASS, 3)
        play.good(1, 3, OUTLOOK)
        assert play.ends(7).because is Because.BASELINE_BROKEN

    def test_not_for_long(self) -> None:
        play = self.play()
        assert play.look(2 + OTHERS - 0.1).decided is None
        assert play.ends(2 + OTHERS).because in (Because.LOSSES, Because.REFUSED)

    def test_not_once_another_one_fails_too(self) -> None:
        play = self.play()
        play.all(2, 1, Reason.REJECTED, OUTLOOK)
        assert play.ends(2.1).verdict is Verdict.FAIL

    def test_not_where_nothing_of_them_is_under_way(self) -> None:
        play = Play(SMALL, BOTH, baseline=GOOD)
        play.all(2, 1, Reason.MISSING, GMAIL)
        play.all(2, 1, Reason.MISSING, GMAIL, path=BARE)
        assert play.ends(2.1).because is Because.LOSSES


class TestTheNextAttempt:
    def test_passes_on_good_evidence_after_an_outage(self) -> None:
        play = Play(SMALL, baseline=BAD)
        play.all(2, 1, Reason.MISSING)
        play.all(2, 1, Reason.MISSING, path=BARE)
        assert play.ends(5).because is Because.BASELINE_BROKEN
        play.request(60)
        play.good(3, 61)
        play.good(2, 61, path=BARE)
        decided = play.ends(70)
        assert decided.verdict is Verdict.PASS
        assert "gmail: 2 not counted: of an attempt in which the control arm failed too" in decided.unseen

    def test_never_passes_on_what_was_good_in_the_outage(self) -> None:
        """Half of the mail is lost in both arms: the half that arrived vouches for nothing either."""
        play = Play(replace(SMALL, plan=GatePlan((GateStep(11, 0), GateStep(30, 1)))), GMAIL[:1])
        play.good(11, 1)
        play.all(11, 1, Reason.MISSING)
        play.probe(bare("gmail-1"), 1)
        play.probe(bare("gmail-1"), 1, Reason.MISSING)
        assert play.ends(5).because is Because.BASELINE_BROKEN
        play.request(60)
        standing = play.look(70)
        assert standing.decided is None and standing.needs.count(app("gmail-1")) == 11
        assert (standing.classes[0].good, standing.classes[0].adverse, standing.classes[0].aside) == (0, 0, 22)

    def test_sets_aside_what_was_good_in_one_class_alone(self) -> None:
        play = Play(SMALL, BOTH, baseline=(5, 0))
        play.good(3, 1)
        play.all(3, 1, Reason.MISSING, GMAIL)
        play.all(2, 1, Reason.MISSING, GMAIL, path=BARE)
        play.good(2, 1, OUTLOOK, path=BARE)
        assert play.ends(5).because is Because.BASELINE_BROKEN
        play.request(60)
        gmail, outlook = play.look(70).classes
        assert (gmail.good, gmail.adverse, outlook.good) == (0, 0, 3)

    def test_fails_on_bad_evidence_after_an_outage(self) -> None:
        play = Play(SMALL, baseline=BAD)
        play.all(2, 1, Reason.MISSING)
        play.all(2, 1, Reason.MISSING, path=BARE)
        play.ends(5)
        play.request(60)
        play.good(2, 61, path=BARE)
        play.all(2, 61, Reason.MISSING)
        assert play.ends(70).because is Because.LOSSES


def test_of_two_paths_only_the_canary_routes_tell_what_was_before_without_control() -> None:
    play = Play(SMALL, GMAIL, before={app("gmail-1"): (5, 0), bare("gmail-1"): (0, 5), bare("gmail-2"): (0, 5)})
    play.all(2, 1, Reason.MISSING)
    assert play.ends(5).because is Because.LOSSES
