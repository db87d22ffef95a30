"""What a gate asks for next, and when it is looked at again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from monitor.model.facts import GateProbing, SubmitFault
from monitor.model.gate import BUILT_IN, DEEP, Control, GatePlan, GateStep
from monitor.model.probe import Route
from monitor.model.verdict import Reason
from monitor.rules.gate.ends import MOST_ASKED
from monitor.rules.gate.needs import CONTROL_EVERY, CONTROL_ROUNDS
from tests.rules.gates import APP, BARE, BOXES, GATE, GMAIL, OUTLOOK, SMALL, Play, app, at, bare

BOTH = (*GMAIL, *OUTLOOK)


def canary(play: Play, t: float) -> list[Route]:
    return [route for route in play.look(t).needs if route.path == APP]


def control(play: Play, t: float) -> list[Route]:
    return [route for route in play.look(t).needs if route.path == BARE]


class TestCanary:
    def test_the_first_step_of_each_class_in_turn_and_its_mailboxes_in_turn(self) -> None:
        assert canary(Play(SMALL, BOTH), 0) == [
            app("gmail-1"), app("outlook-1"), app("gmail-2"), app("outlook-2"), app("gmail-1"), app("outlook-1")
        ]  # fmt: skip

    def test_less_what_is_under_way_and_what_is_planned(self) -> None:
        play = Play(SMALL)
        play.take(app("gmail-1"), 1)
        play.plan(app("gmail-2"), 1)
        assert len(canary(play, 2)) == 1

    def test_nothing_while_what_was_asked_for_is_not_planned(self) -> None:
        play = Play(SMALL)
        play.probing(0, app("gmail-1"), bare("gmail-1"))
        assert play.look(0.1).needs == ()
        play.plan(app("gmail-1"), 0.2)
        assert play.look(0.2).needs == ()
        play.plan(bare("gmail-1"), 0.2)
        assert play.look(0.3).needs

    def test_the_mailbox_and_the_route_that_were_asked_least(self) -> None:
        play = Play(SMALL)
        play.take(app("gmail-1"), 1)
        assert canary(play, 2) == [app("gmail-2"), app("gmail-1")]

    def test_two_paths_to_a_mailbox_take_turns(self) -> None:
        play = Play(replace(SMALL, trust_target=True), GMAIL)
        assert list(play.look(0).needs) == [app("gmail-1"), app("gmail-2"), bare("gmail-1")]

    @pytest.mark.parametrize("version", ["v1", ""])
    def test_what_others_serve_is_made_up_for(self, version: str) -> None:
        play = Play(SMALL)
        play.good(3, 1, version=version)
        assert len(canary(play, 2)) == 3

    def test_what_says_nothing_is_made_up_for(self) -> None:
        play = Play(SMALL)
        play.probe(app("gmail-1"), 1, Reason.MAILBOX_BLIND)
        play.err(play.send(app("gmail-1"), 1), 2, SubmitFault.MISCONFIGURED)
        assert len(canary(play, 2)) == 3

    def test_only_so_often_in_one_attempt(self) -> None:
        play = Play(SMALL)
        play.good(MOST_ASKED * SMALL.plan.most - 1, 1, version="v1")
        assert len(canary(play, 2)) == 1
        play.good(1, 1, version="v1")
        assert not play.look(2).needs
        play.request(20)
        assert len(canary(play, 21)) == 3

    def test_the_next_step_after_a_bad_one(self) -> None:
        play = Play(SMALL)
        play.good(2, 1)
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        assert len(canary(play, 3)) == 3

    def test_nothing_more_for_a_class_that_is_clean(self) -> None:
        play = Play(SMALL, BOTH)
        play.good(3, 1, GMAIL)
        assert {route.mailbox for route in canary(play, 3)} == set(OUTLOOK)

    def test_not_to_a_mailbox_that_nobody_can_look_into(self) -> None:
        play = Play(SMALL)
        play.blind(0, "gmail-1")
        assert {route.mailbox for route in play.look(1).needs} == {"gmail-2"}

    def test_not_on_a_route_that_is_gone(self) -> None:
        play = Play(SMALL)
        kept = {route: rule for route, rule in play.policy.routes.items() if route != app("gmail-1")}
        play.policy = replace(play.policy, routes=kept)
        assert set(canary(play, 1)) == {app("gmail-2")}

    def test_of_a_sequential_plan_as_many_as_it_takes_at_least(self) -> None:
        play = Play(BUILT_IN[DEEP])
        few = len(canary(play, 0))
        assert few > 50, "so many good ones in a row"
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        assert len(canary(play, 3)) > few

    def test_more_mailboxes_than_probes(self) -> None:
        play = Play(replace(SMALL, plan=GatePlan((GateStep(1, 0),), reject=1)), BOXES)
        assert Counter(route.mailbox for route in canary(play, 0)) == {"gmail-1": 1, "outlook-1": 1, "web-1": 1}


class TestRoom:
    """Why a gate that wants probes does not send any."""

    def test_the_burst(self) -> None:
        play = Play(SMALL, GMAIL[:1], paths=(APP,))
        burst = play.policy.gates.burst
        for _ in range(burst):
            play.probe(app("gmail-1"), 1, version="v1")
        says = f"waiting for room: {burst} probes to a mailbox in 60 s (gates.burst)"
        assert says in play.look(5).reason
        assert says not in play.look(62).reason, "the window is over"
        assert says not in Play(SMALL).look(5).reason

    def test_the_days_share(self) -> None:
        play = Play(SMALL, GMAIL[:1], paths=(APP,))
        play.policy = replace(play.policy, gates=replace(play.policy.gates, daily_share=0.0001))
        play.take(app("gmail-1"), 1)
        assert "no room today: 0.01 % of the day's probes are for gates (gates.daily_share)" in play.look(2).reason


class TestControl:
    def test_goes_out_first_one_to_each_mailbox(self) -> None:
        needs = Play(SMALL, BOTH).look(0).needs
        assert needs[:4] == (bare("gmail-1"), bare("outlook-1"), bare("gmail-2"), bare("outlook-2"))
        assert {route.path for route in needs[4:]} == {APP}

    def test_two_where_there_is_one_mailbox_for_one_cannot_say_that_control_is_bad(self) -> None:
        assert control(Play(SMALL, ("gmail-1",)), 0) == [bare("gmail-1"), bare("gmail-1")]

    def test_none_where_the_policy_wants_none_or_there_is_no_such_path(self) -> None:
        assert not control(Play(replace(SMALL, control=Control.NONE)), 0)
        assert not control(Play(SMALL, paths=(APP,)), 0)

    def test_once_while_all_is_well(self) -> None:
        play = Play(SMALL)
        for box in GMAIL:
            play.probe(bare(box), 1)
        play.probe(app("gmail-1"), 1)
        assert not control(play, 100)

    def test_what_is_missing_of_the_first_round(self) -> None:
        play = Play(SMALL)
        play.probe(bare("gmail-1"), 1)
        assert control(play, 2) == [bare("gmail-2")]

    def test_anew_in_the_next_attempt(self) -> None:
        play = Play(SMALL)
        for box in GMAIL:
            play.probe(bare(box), 1)
        play.request(700)
        assert len(control(play, 701)) == 2

    def test_again_beside_a_bad_probe_some_times(self) -> None:
        play = Play(SMALL)
        for box in GMAIL:
            play.probe(bare(box), 1)
        play.probe(app("gmail-1"), 1, Reason.SPAM)
        assert not control(play, 1 + CONTROL_EVERY - 0.1)
        assert play.look(1 + CONTROL_EVERY - 0.1).wake == pytest.approx(0.1)
        for number in range(1, CONTROL_ROUNDS + 1):
            t = 1 + number * CONTROL_EVERY
            assert len(control(play, t)) == 2
            for box in GMAIL:
                play.probe(bare(box), t)
        assert not control(play, 500)

    def test_again_beside_an_overdue_probe(self) -> None:
        play = Play(SMALL)
        for box in GMAIL:
            play.probe(bare(box), 1)
        play.take(app("gmail-1"), 1)
        assert not control(play, 150)
        play.looked("gmail-1", 150)
        assert len(control(play, 151)) == 2


class TestWake:
    def test_at_the_end_of_the_attempt(self) -> None:
        play = Play(SMALL)
        assert play.look(SMALL.timeout - 2).wake == pytest.approx(2)
        assert play.look(SMALL.timeout - 0.01).wake == pytest.approx(0.05)

    def test_when_a_rollout_should_have_reached_the_endpoint(self) -> None:
        assert Play(SMALL).look(58).wake == pytest.approx(2)

    def test_now_and_then(self) -> None:
        assert Play(SMALL).look(1).wake == 5


def test_lost_requests_do_not_stop_it_for_ever() -> None:
    play = Play(SMALL)
    play.probing(0, app("gmail-1"))
    play.tell(GateProbing(at(20), GATE, 1, ()))
    assert play.look(20).needs
