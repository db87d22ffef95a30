"""Which arm a probe of a gate belongs to, and what it says there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Deferred, GateDecided, SubmitFault, WithdrawCause, Withdrawn, Withheld
from monitor.model.gate import GATE_VERDICT, Arm, Because, ClassTally
from monitor.model.probe import ProbeId
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason
from monitor.rules.gate.arms import Class, Names, bad, classes, place
from monitor.views.gates import GateTrial
from tests.rules.gates import APP, BARE, BEGAN, GATE, GMAIL, OUTLOOK, SMALL, Play, app, at, bare

COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
NAMES = Names({"v2", "d-2", COMMIT, "1234567", "2026112202"}, {"v1-typo", "v2", "d-2"})


def trial(reason: Reason | None = None, version: str = "", *, taken: bool = True, final: bool = False, money: bool = False) -> GateTrial:
    return GateTrial(ProbeId("0123456789ab"), app("gmail-1"), 1, at(0), 5, at(0), 6, taken, version, None, final, "", money, reason)


class TestPlace:
    @pytest.mark.parametrize(
        ("shown", "home", "trust", "expected"),
        [
            pytest.param(trial(version="v2"), Arm.CANARY, False, Arm.CANARY, id="served by it"),
            pytest.param(trial(Reason.MISSING, "v2"), Arm.CANARY, False, Arm.CANARY, id="served by it, lost"),
            pytest.param(trial(version="a1b2c3d"), Arm.CANARY, False, Arm.CANARY, id="served by it, its commit abbreviated"),
            pytest.param(trial(version="1234567" + "8" * 33), Arm.CANARY, False, Arm.CANARY, id="served by it, we know it abbreviated"),
            pytest.param(trial(version="1234567890abcdef"), Arm.CANARY, False, Arm.CONTROL, id="no whole commit: another number"),
            pytest.param(trial(version="20261122"), Arm.CANARY, False, Arm.CONTROL, id="a date that begins like the one under test"),
            pytest.param(trial(version="a1b2c3"), Arm.CANARY, False, Arm.CONTROL, id="too short for a commit"),
            pytest.param(trial(version="v"), Arm.CANARY, False, Arm.CONTROL, id="no commit, so whole"),
            pytest.param(trial(version="a1b2c3e"), Arm.CANARY, False, Arm.CONTROL, id="another commit"),
            pytest.param(trial(Reason.PASS, "v1"), Arm.CANARY, False, Arm.CONTROL, id="served by another one"),
            pytest.param(trial(Reason.MISSING, "v1"), Arm.CANARY, False, Arm.CONTROL, id="another one lost it"),
            pytest.param(trial(Reason.PASS, "v1"), Arm.CANARY, True, Arm.CONTROL, id="another one, and trusted"),
            pytest.param(trial(taken=False), Arm.CANARY, False, Arm.CANARY, id="nobody has answered yet"),
            pytest.param(
                trial(version="v1", taken=False), Arm.CANARY, False, Arm.CANARY, id="another one deferred it: who serves it is open"
            ),
            pytest.param(trial(), Arm.CANARY, False, None, id="untold, open"),
            pytest.param(trial(Reason.PASS), Arm.CANARY, False, Arm.CONTROL, id="untold, good"),
            pytest.param(trial(Reason.MISSING), Arm.CANARY, False, None, id="untold, lost: may be either's"),
            pytest.param(trial(Reason.MISSING), Arm.CANARY, True, Arm.CANARY, id="untold, trusted"),
            pytest.param(trial(Reason.REJECTED, taken=False, final=True), Arm.CANARY, False, None, id="refused by nobody knows whom"),
            pytest.param(trial(Reason.REJECTED, taken=False, final=True), Arm.CANARY, True, Arm.CANARY, id="refused, trusted"),
            pytest.param(trial(Reason.REJECTED, "v2", taken=False, final=True), Arm.CANARY, False, Arm.CANARY, id="refused by it"),
            pytest.param(trial(taken=False, final=True), Arm.CANARY, False, None, id="the answer was lost"),
            pytest.param(trial(Reason.MISSING), Arm.CONTROL, False, Arm.CONTROL, id="a path that tells no version"),
            pytest.param(trial(taken=False), Arm.CONTROL, False, Arm.CONTROL, id="a path that tells none, open"),
            pytest.param(trial(Reason.MISSING, "v1-typo"), Arm.CANARY, False, Arm.CANARY, id="told against it under another name"),
            pytest.param(trial(Reason.PASS, "v1-typo"), Arm.CANARY, False, Arm.CONTROL, id="good under a name that is given up"),
            pytest.param(trial(None, "v1-typo", money=True), Arm.CANARY, False, Arm.CANARY, id="a wrong amount under another name"),
        ],
    )
    def test_table(self, shown: GateTrial, home: Arm, trust: bool, expected: Arm | None) -> None:
        assert place(shown, home, NAMES, trust=trust) is expected


def only(play: Play) -> Class:
    found = classes(play.world, play.state)
    assert len(found) == 1
    return found[0]


class TestClasses:
    def test_sorted_by_the_first_attempt_and_what_was_not_attempted_last(self) -> None:
        play = Play(SMALL)
        waiting = play.plan(app("gmail-1"), 0)
        first, second = play.take(app("gmail-2"), 1), play.take(app("gmail-1"), 2)
        play.verdict(second, Reason.PASS, 3)
        assert [each.probe for each in only(play).counted] == [first, second, waiting]

    @pytest.mark.parametrize("reason", [reason for reason in Reason if reason.verdict.value in ("inconclusive", "error")])
    def test_what_is_inconclusive_says_nothing(self, reason: Reason) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, reason)
        assert not only(play).counted
        assert only(play).aside == {reason.value: 1}

    def test_withheld_and_withdrawn(self) -> None:
        play = Play(SMALL)
        held, gone = play.plan(app("gmail-1"), 0), play.plan(app("gmail-1"), 0)
        play.tell(Withheld(at(1), held, "no budget"), Withdrawn(at(1), gone, WithdrawCause.STALE))
        play.verdict(held, Reason.BUDGET_EXHAUSTED, 1)
        found = only(play)
        assert (found.counted, found.aside, found.withdrawn) == ([], {"budget_exhausted": 1}, 1)

    def test_good_evidence_ages_and_bad_does_not(self) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 0)
        play.probe(app("gmail-1"), 0, Reason.MISSING)
        play.probe(app("gmail-1"), 2.0)
        play.request(3_601.0)
        found = only(play)
        assert [trial.reason for trial in found.counted] == [Reason.MISSING, Reason.PASS]
        assert found.stale == 1

    def test_control_arm(self) -> None:
        play = Play(SMALL)
        play.probe(bare("gmail-1"), 1)
        play.probe(bare("gmail-2"), 1, Reason.MISSING)
        play.probe(app("gmail-1"), 1, version="v1")
        play.probe(app("gmail-2"), 1, Reason.SPAM, version="v1")
        play.probe(app("gmail-2"), 1, version="")
        play.probe(app("gmail-2"), 1, Reason.SPAM, version="")
        play.probe(bare("gmail-2"), 1, Reason.MAILBOX_BLIND)
        open_ = play.take(bare("gmail-1"), 1)
        found = only(play)
        assert (found.control.good, found.control.bad, [t.probe for t in found.control.pending]) == (3, 2, [open_])
        assert found.served == {"v1": 2, "": 2}
        assert found.aside.total() == 4
        assert not found.counted

    @pytest.mark.parametrize(
        ("path", "t", "reason", "version", "expected"),
        [
            (BARE, BEGAN + 1, Reason.PASS, "", (1, 0)),
            (BARE, BEGAN + 1, Reason.MISSING, "", (0, 1)),
            (BARE, BEGAN - 1, Reason.MISSING, "", (0, 0)),
            (BARE, BEGAN + 1, Reason.MAILBOX_BLIND, "", (0, 0)),
            (APP, BEGAN + 1, Reason.PASS, "v1", (1, 0)),
            (APP, BEGAN + 1, Reason.MISSING, "v1", (0, 1)),
            (APP, BEGAN + 1, Reason.PASS, "v2", (0, 0)),
            (APP, BEGAN + 1, Reason.MISSING, "v2", (0, 0)),
            (APP, BEGAN + 1, Reason.PASS, "", (1, 0)),
            (APP, BEGAN + 1, Reason.MISSING, "", (0, 0)),
        ],
    )
    def test_scheduled_probes_since_the_deploy_began_are_control(
        self, path: str, t: float, reason: Reason, version: str, expected: tuple[int, int]
    ) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1") if path == APP else bare("gmail-1"), t, reason, version, gate=False)
        found = only(play)
        assert (found.control.good, found.control.bad) == expected
        assert not found.counted

    def test_what_tells_no_version_is_no_control_where_the_target_is_trusted(self) -> None:
        play = Play(replace(SMALL, trust_target=True), paths=(APP,))
        play.probe(app("gmail-1"), 1, version="", gate=False)
        play.probe(app("gmail-1"), 1, version="v1", gate=False)
        assert only(play).control.good == 1

    def test_the_classes_are_the_providers(self) -> None:
        found = classes((play := Play(SMALL, (*GMAIL, *OUTLOOK))).world, play.state)
        assert [each.provider for each in found] == ["gmail", "outlook"]
        assert found[0].routes == (app("gmail-1"), app("gmail-2"))
        assert found[1].beside == (bare("outlook-1"), bare("outlook-2"))

    def test_a_provider_that_is_not_probed_any_more_is_no_class_unless_it_fails(self) -> None:
        play = Play(SMALL, (*GMAIL, *OUTLOOK))
        play.probe(app("outlook-1"), 1, Reason.MISSING)
        routes = tuple(each for each in play.state.request.routes if each.provider == "gmail")
        play.request(20, routes=routes)
        assert [each.provider for each in classes(play.world, play.state)] == ["gmail"]
        play.probe(app("outlook-1"), 1, Reason.MISSING)
        assert [each.provider for each in classes(play.world, play.state)] == ["gmail", "outlook"]


def broken(play: Play, t: float, provider: str = "gmail") -> None:
    tally = ClassTally(provider, Because.BASELINE_BROKEN, 0, 0, 0, 0, 0, 3, 2, 0, 2, 1.0)
    because = Because.BASELINE_BROKEN
    play.tell(GateDecided(at(t), GATE, "d-2", play.state.request.attempt, GATE_VERDICT[because], because, "", (tally,), ()))


class TestExcused:
    """What was adverse, or good, while the control arm failed too."""

    def test_is_held_against_nobody_in_the_next_attempt(self) -> None:
        play = Play(SMALL)
        play.all(2, 1, Reason.MISSING)
        play.all(2, 1, Reason.MISSING, path=BARE)
        play.probe(bare("gmail-1"), 1, Reason.MISSING, gate=False)
        play.probe(app("gmail-1"), 1)
        broken(play, 2)
        play.request(20)
        play.probe(app("gmail-1"), 21, Reason.MISSING)
        play.probe(bare("gmail-1"), 21)
        found = only(play)
        assert (found.excused, len(found.adverse), len(found.good)) == (3, 1, 0)
        assert (found.control.good, found.control.bad) == (1, 0)

    def test_but_not_a_wrong_amount(self) -> None:
        play = Play(SMALL)
        probe = play.take(app("gmail-1"), 1)
        play.see(probe, 2, money=True)
        play.verdict(probe, Reason.ALTERED, 2)
        broken(play, 3)
        play.request(20)
        assert (only(play).excused, len(only(play).money), len(only(play).adverse)) == (0, 1, 1)

    def test_nor_another_class(self) -> None:
        play = Play(SMALL)
        play.all(1, 1, Reason.MISSING)
        broken(play, 3, "outlook")
        play.request(20)
        assert (only(play).excused, len(only(play).adverse)) == (0, 1)


def put_off(play: Play, by: str, version: str, reason: Reason = Reason.PASS) -> ProbeId:
    """Put off by these versions in turn, then served by this one."""
    probe = play.send(app("gmail-1"), 1)
    for each in by.split():
        play.tell(Deferred(at(1.2), probe, 1, Step.REQUEST, Reply(503, "busy"), 1.0, served_version=each))
    play.accept(probe, 3, version)
    play.verdict(probe, reason, 4)
    return probe


class TestUnanswered:
    """What came to nothing before any version was told."""

    def test_of_the_canary_routes_whatever_the_cause(self) -> None:
        play = Play(SMALL)
        play.refuse(play.send(app("gmail-1"), 1), 1.2)
        for fault in (SubmitFault.UNREACHABLE, SubmitFault.MISCONFIGURED):
            play.err(play.send(app("gmail-2"), 1), 1.3, fault)
        lost = play.send(app("gmail-2"), 1)
        play.lose_reply(lost, 2)
        play.verdict(lost, Reason.SUBMIT_UNKNOWN, 3)
        play.probe(app("gmail-1"), 1, Reason.MISSING, version="")
        found = only(play)
        assert len(found.unanswered) == 5 and not found.counted and found.control.bad == 0

    def test_not_what_another_version_or_the_one_under_test_answered_nor_our_own_fault_nor_control(self) -> None:
        play = Play(SMALL)
        play.refuse(play.send(app("gmail-1"), 1), 1.2, version="v1")
        play.refuse(play.send(app("gmail-1"), 1), 1.2, version="v2")
        play.refuse(play.send(bare("gmail-1"), 1), 1.2)
        for fault in (SubmitFault.OVERLOADED, SubmitFault.INTERNAL):
            play.err(play.send(app("gmail-2"), 1), 1.3, fault)
        play.probe(app("gmail-1"), 1, version="")
        play.take(app("gmail-1"), 1, version="")
        assert not only(play).unanswered

    @pytest.mark.parametrize(("by", "unanswered"), [("v2", 1), ("v2 v1", 1), ("v1", 0), ("", 0)])
    def test_put_off_by_the_version_under_test_and_served_by_another_is_no_control(self, by: str, unanswered: int) -> None:
        play = Play(SMALL)
        put_off(play, by, "v1")
        found = only(play)
        assert (len(found.unanswered), found.control.good) == (unanswered, 1 - unanswered)

    def test_put_off_by_another_one_it_is_the_canarys(self) -> None:
        play = Play(SMALL)
        put_off(play, "v1", "v2")
        put_off(play, "v2", "v2", Reason.MISSING)
        found = only(play)
        assert (len(found.good), len(found.adverse), len(found.unanswered)) == (1, 1, 0)


class TestAnotherVersion:
    """An attempt that is about another version than the one before."""

    def test_does_not_rest_on_what_the_version_before_served(self) -> None:
        play = Play(SMALL)
        play.good(3, 1)
        play.request(20, versions=("v3", "d-2"))
        found = only(play)
        assert (len(found.good), found.control.good) == (0, 3)
        play.probe(app("gmail-1"), 21, version="v3")
        assert len(only(play).good) == 1


@pytest.mark.parametrize(
    ("good", "adverse", "expected"), [(0, 1, False), (0, 2, True), (1, 1, True), (2, 1, False), (2, 2, True), (9, 8, False)]
)
def test_bad(good: int, adverse: int, expected: bool) -> None:
    assert bad(good, adverse) is expected
