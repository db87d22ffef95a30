"""What somebody asks of a gate -> the attempt as it is written down, an answer that is there already, or a refusal that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    DeployMarked,
    Entry,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateRequested,
    Judged,
    ProbePlanned,
)
from monitor.model.gate import BUILT_IN, DEEP, GATE_VERDICT, QUICK, Arm, Because, GatePlan, GatePolicy, GatesPolicy, GateStep, Sequential
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import ProbeId, Route
from monitor.model.submission import Reply
from monitor.model.verdict import Reason, Verdict
from monitor.rules.deploys import TOGETHER
from monitor.rules.gate.request import AGAIN_AFTER, BEFORE, LATEST, GateAsk, GateRefused, Refusal, attempt, gate_id, selected
from monitor.views.gates import MOST_ATTEMPTS, MOST_RUNNING
from monitor.views.world import World
from tests.rules.gates import APP, BARE, BOXES, app, bare, shop
from tests.views.life import NOON, planned

ASKED = BUILT_IN[QUICK]


def at(t: float, process: str = "one") -> Instant:
    return Instant(NOON + t, t + 5_000, process)


class Desk:
    """Times are seconds after noon."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or shop()
        self.world = World()
        self.number = 0

    def tell(self, *facts: Fact) -> Desk:
        for fact in facts:
            self.world.fold(Entry(self.world.seq + 1, KIND_OF[type(fact)], fact))
        return self

    def ask(self, t: float = 0.0, deploy: str = "d-2", of: GatePolicy = ASKED, process: str = "one", **fields: Any) -> GateRequested | None:
        return attempt(self.world, self.policy, GateAsk(deploy, of, "ci", **fields), at(t, process))

    def begin(self, t: float = 0.0, deploy: str = "d-2", of: GatePolicy = ASKED, process: str = "one", **fields: Any) -> GateRequested:
        request = self.ask(t, deploy, of, process, **fields)
        assert request is not None
        self.tell(request)
        return request

    def end(self, t: float, because: Because, deploy: str = "d-2", process: str = "one") -> Desk:
        state = self.world.gates.of_deploy(deploy)
        assert state is not None
        verdict = GATE_VERDICT[because]
        return self.tell(GateDecided(at(t, process), state.id, deploy, state.request.attempt, verdict, because, "", (), ()))

    def probe(self, route: Route, t: float, reason: Reason | None, version: str = "") -> Desk:
        self.number += 1
        probe = ProbeId(f"{self.number:012x}")
        plan: ProbePlanned = replace(planned(), at=at(t), probe=probe, route=route)
        self.tell(plan, Attempted(at(t), probe, 1), Accepted(at(t), probe, 1, Reply(202, "ok"), served_version=version))
        if reason is not None:
            self.tell(Judged(at(t + 2), probe, route, plan.purpose, 0, reason.verdict, reason, "", ()))
        return self


def refused(ask: Callable[[], object]) -> GateRefused:
    with pytest.raises(GateRefused) as caught:
        ask()
    text = str(caught.value)
    assert "\n" not in text and (";" in text or "nothing was sent" in text), "one line, with the mend"
    return caught.value


def marked(t: float, phase: DeployPhase, deploy: str = "d-2", **fields: Any) -> DeployMarked:
    return DeployMarked(at(t), deploy, phase, **fields)


class TestTheFirst:
    def test_bears_all_that_is_needed_to_decide_it(self) -> None:
        request = Desk().begin(3.0, service="checkout", version="v2", sha="a1b2", notify=False, advisory_until=99.0)
        assert (request.attempt, request.deploy, request.policy, request.by) == (1, "d-2", ASKED, "ci")
        assert request.gate == gate_id("test", "d-2", ASKED)
        assert (request.service, request.version, request.sha) == ("checkout", "v2", "a1b2")
        assert (request.notify, request.advisory_until, request.marked) == (False, 99.0, False)
        assert request.until == at(3.0 + ASKED.timeout) and request.began == request.at == at(3.0)
        assert {each.route for each in request.routes} == set(shop().routes)
        assert {each.route for each in request.baseline} == {each.route for each in request.routes}

    def test_the_same_question_is_the_same_gate_and_any_other_is_another(self) -> None:
        assert gate_id("prod", "d", ASKED) == gate_id("prod", "d", replace(ASKED))
        others = {gate_id("test", "d", ASKED), gate_id("prod", "e", ASKED), gate_id("prod", "d", replace(ASKED, settle=3.0))}
        assert len(others | {gate_id("prod", "d", ASKED)}) == 4
        assert gate_id("prod", "\udcff\x00", ASKED).startswith("gate-"), "whatever text"


class TestAgain:
    """A gate was asked for at 0 s and decided at 60 s."""

    @pytest.mark.parametrize(
        ("because", "t", "begins"),
        [
            (None, 30, False),
            (None, 10_000, False),
            (Because.LOSSES, 61, False),
            (Because.LOSSES, 10_000_000, False),
            (Because.CLEAN, 61, False),
            (Because.CLEAN, 60 + ASKED.fresh_for - 1, False),
            (Because.CLEAN, 60 + ASKED.fresh_for, True),
            (Because.TOO_FEW, 60, False),
            (Because.TOO_FEW, 60 + AGAIN_AFTER - 0.1, False),
            (Because.TOO_FEW, 60 + AGAIN_AFTER, True),
            (Because.CANCELLED, 60 + AGAIN_AFTER, True),
            (Because.BASELINE_BROKEN, 60 + AGAIN_AFTER, True),
            (Because.OWN_FAULT, 60 + AGAIN_AFTER, True),
        ],
    )
    def test_by_what_was_decided(self, because: Because | None, t: float, begins: bool) -> None:
        desk = Desk()
        desk.begin()
        if because is not None:
            desk.end(60, because)
        request = desk.ask(t)
        assert (request is not None) is begins
        if request is not None:
            assert (request.attempt, request.at, request.until) == (2, at(t), at(t + ASKED.timeout))

    def test_cancelled_and_not_yet_decided_it_still_answers(self) -> None:
        desk = Desk()
        request = desk.begin()
        desk.tell(GateCancelled(at(1), request.gate, "ana", ""))
        assert desk.ask(2) is None

    def test_while_a_person_answers_for_it_nothing_begins(self) -> None:
        desk = Desk()
        request = desk.begin()
        desk.end(60, Because.TOO_FEW).tell(GateOverridden(at(70), request.gate, "ana", "known", NOON + 900))
        assert desk.ask(899) is None and desk.ask(900) is not None

    def test_a_policy_that_keeps_nothing_fresh_is_no_loop(self) -> None:
        desk, of = Desk(), replace(ASKED, fresh_for=0.0)
        desk.begin(of=of)
        desk.end(60, Because.CLEAN)
        assert desk.ask(61, of=of) is None and desk.ask(60 + AGAIN_AFTER, of=of) is not None

    @pytest.mark.parametrize("because", [Because.CLEAN, Because.TOO_FEW])
    def test_after_the_clock_was_set_back_nobody_knows_how_fresh_it_is(self, because: Because) -> None:
        desk = Desk()
        desk.begin()
        desk.end(60, because)
        request = desk.ask(-86_400.0, process="two")
        assert request is not None and request.until.seconds_since(request.at) == ASKED.timeout

    def test_a_failure_stays_one_whatever_the_clock(self) -> None:
        desk = Desk()
        desk.begin()
        desk.end(60, Because.LOSSES)
        assert desk.ask(-86_400.0, process="two") is None

    def test_another_policy_for_the_same_deploy(self) -> None:
        desk = Desk()
        desk.begin()
        error = refused(lambda: desk.ask(of=BUILT_IN[DEEP]))
        assert error.refusal is Refusal.OTHER_POLICY and "quick" in str(error) and ASKED.hash in str(error)
        desk.end(60, Because.LOSSES)
        assert refused(lambda: desk.ask(9_999, of=replace(ASKED, timeout=601.0))).refusal is Refusal.OTHER_POLICY
        assert desk.ask(deploy="d-3", of=BUILT_IN[DEEP]) is not None

    @pytest.mark.parametrize(("version", "sha"), [("v3", ""), ("", "b" * 40), ("v2", "b" * 40)])
    def test_about_another_version(self, version: str, sha: str) -> None:
        desk = Desk()
        desk.begin(version="v2", sha="a" * 40)
        error = refused(lambda: desk.ask(1, version=version, sha=sha))
        assert error.refusal is Refusal.OTHER_VERSION and "v2" in str(error)
        desk.end(60, Because.CLEAN)
        again = desk.begin(61, version=version, sha=sha)
        assert again.attempt == 2 and {version, sha} - {""} <= {*again.versions}

    def test_about_another_version_by_its_marker(self) -> None:
        desk = Desk()
        desk.tell(marked(-60, DeployPhase.START, version="v2")).begin()
        desk.tell(marked(10, DeployPhase.START, version="v3"))
        assert refused(lambda: desk.ask(20)).refusal is Refusal.OTHER_VERSION
        desk.end(60, Because.CLEAN)
        assert desk.begin(61).versions == ("v3", "d-2")

    def test_about_the_same_version_by_another_of_its_names(self) -> None:
        desk = Desk()
        desk.begin(version="v2", sha="a1b2c3d4" * 5)
        assert desk.ask(1) is None and desk.ask(1, version="v2") is None and desk.ask(1, sha="a1b2c3d4") is None
        desk.end(60, Because.CLEAN)
        assert desk.ask(61) is None and desk.ask(61, sha="a1b2c3d4" * 5) is None

    def test_about_another_version_of_a_failure_is_the_same_failure(self) -> None:
        desk = Desk()
        desk.begin(version="v2")
        desk.end(60, Because.LOSSES)
        assert desk.ask(61, version="v3") is None

    @pytest.mark.parametrize("because", [None, Because.LOSSES, Because.CLEAN, Because.TOO_FEW])
    def test_in_earnest_while_it_is_advisory(self, because: Because | None) -> None:
        desk = Desk()
        desk.begin(advisory_until=NOON + 900)
        if because is not None:
            desk.end(60, because)
        error = refused(lambda: desk.ask(80))
        assert error.refusal is Refusal.ADVISORY and "asked by ci as advisory until 2026-01-01 12:15:00Z" in str(error)
        assert because is Because.TOO_FEW or desk.ask(80, advisory_until=NOON + 300) is None
        assert because is Because.TOO_FEW or desk.ask(900) is None or because is Because.CLEAN

    def test_in_earnest_while_it_is_advisory_by_a_clock_that_was_ahead(self) -> None:
        desk = Desk()
        desk.begin(86_400.0, advisory_until=NOON + 90_000, process="two")
        assert desk.ask(0) is None

    def test_in_earnest_while_a_person_answers_for_it(self) -> None:
        desk = Desk()
        request = desk.begin(advisory_until=NOON + 900)
        desk.end(60, Because.LOSSES).tell(GateOverridden(at(70), request.gate, "ana", "known", NOON + 900))
        assert desk.ask(80) is None

    def test_a_pass_that_was_spoiled_answers_nobody(self) -> None:
        desk = Desk()
        request = desk.begin()
        probe = ProbeId("00000000abcd")
        desk.tell(replace(planned(), at=at(1), probe=probe, route=app("gmail-1"), gate=request.gate), Attempted(at(1), probe, 1))
        desk.end(60, Because.CLEAN)
        assert desk.ask(61) is None
        desk.tell(Judged(at(65), probe, app("gmail-1"), planned().purpose, 0, Verdict.FAIL, Reason.SPAM, "", ()))
        again = desk.ask(66)
        assert again is not None and again.attempt == 2

    def test_too_often(self) -> None:
        desk = Desk()
        for number in range(MOST_ATTEMPTS):
            desk.begin(number * 100)
            desk.end(number * 100 + 60, Because.TOO_FEW)
        error = refused(lambda: desk.ask(10_000))
        assert error.refusal is Refusal.TOO_MANY and "gate explain" in str(error)

    def test_too_many_at_once(self) -> None:
        desk = Desk()
        for number in range(MOST_RUNNING):
            desk.begin(number, f"d-{number}")
        assert refused(lambda: desk.ask(60, "another")).refusal is Refusal.CROWDED
        assert desk.ask(60, "d-0") is None, "one that runs answers all the same"
        desk.end(61, Because.CLEAN, "d-7")
        assert desk.ask(62, "another") is not None


class TestRefused:
    def test_a_policy_that_never_decides(self) -> None:
        error = refused(lambda: Desk().ask(of=GatePolicy("mine", GatePlan())))
        assert error.refusal is Refusal.NEVER_DECIDES and str(error).startswith("policy mine: ")

    @pytest.mark.parametrize(
        ("of", "gates", "says"),
        [
            (replace(ASKED, min_routes=7), GatesPolicy(), "7 routes, and 6 that tell a version are selected"),
            (replace(ASKED, min_routes=2, routes=("app/gmail-1",)), GatesPolicy(), "2 routes, and 1"),
            (replace(ASKED, timeout=59.0, routes=("app/gmail-1",)), GatesPolicy(), "takes 60 s, and the timeout is 59 s"),
            (replace(ASKED, timeout=59.0), GatesPolicy(burst=4), "takes 60 s, and the timeout is 59 s"),
            (replace(ASKED, routes=("app/gmail-1",)), GatesPolicy(daily_share=0.01), "whose mailboxes have 8 a day"),
            (replace(ASKED, plan=GatePlan((GateStep(200, 0),), 1), timeout=21_600.0), GatesPolicy(daily_share=0.2), "600 probes in all"),
            (
                replace(ASKED, plan=GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)), timeout=60.0),
                GatesPolicy(),
                "needs 65 probes to gmail",
            ),
        ],
        ids=["routes", "selected routes", "burst", "smaller burst", "mailbox budget", "path budget", "sequential"],
    )
    def test_what_can_never_be_probed_enough(self, of: GatePolicy, gates: GatesPolicy, says: str) -> None:
        fewer = {name: replace(path, daily_budget=2_400) for name, path in shop().paths.items()}
        error = refused(lambda: Desk(replace(shop(), gates=gates, paths=fewer)).ask(of=of))
        assert error.refusal is Refusal.NEVER_DECIDES and says in str(error), error

    @pytest.mark.parametrize("of", BUILT_IN.values(), ids=lambda of: of.name)
    def test_the_built_in_policies_can_be_probed_by_default(self, of: GatePolicy) -> None:
        assert Desk().ask(of=of) is not None

    @pytest.mark.parametrize(
        ("names", "refusal", "says"),
        [
            (("apq",), Refusal.UNKNOWN_ROUTE, "no route or path apq"),
            (("app/gmail-9",), Refusal.UNKNOWN_ROUTE, "the paths app, bare-smtp"),
            (("eve@box.test\n",), Refusal.UNKNOWN_ROUTE, "***@box.test\\n"),
            (("bare-smtp",), Refusal.NO_ROUTE, "trust_target"),
        ],
    )
    def test_routes(self, names: tuple[str, ...], refusal: Refusal, says: str) -> None:
        error = refused(lambda: Desk().ask(of=replace(ASKED, routes=names)))
        assert error.refusal is refusal and says in str(error)

    def test_no_route_at_all(self) -> None:
        assert refused(lambda: Desk(replace(shop(), routes={})).ask()).refusal is Refusal.NO_ROUTE

    def test_a_deploy_with_an_evil_name(self) -> None:
        desk = Desk()
        desk.begin(deploy="eve@shop.test\x1b[31m")
        assert "eve@" not in str(refused(lambda: desk.ask(deploy="eve@shop.test\x1b[31m", of=BUILT_IN[DEEP])))


class TestRoutes:
    def arms(self, **changes: Any) -> dict[Route, Arm]:
        return {each.route: each.arm for each in selected(shop(), replace(ASKED, **changes))}

    def test_what_tells_a_version_is_canary_and_the_rest_control(self) -> None:
        assert self.arms() == {app(box): Arm.CANARY for box in BOXES} | {bare(box): Arm.CONTROL for box in BOXES}

    def test_a_trusted_target_is_canary_all_of_it(self) -> None:
        assert set(self.arms(trust_target=True).values()) == {Arm.CANARY}
        assert self.arms(trust_target=True, routes=("bare-smtp/gmail-1",)) == {
            bare("gmail-1"): Arm.CANARY,
            app("gmail-1"): Arm.CONTROL,
        }

    def test_control_goes_to_the_same_mailboxes_only(self) -> None:
        chosen = {app("gmail-1"): Arm.CANARY, bare("gmail-1"): Arm.CONTROL}
        assert self.arms(routes=("app/gmail-1",)) == chosen == self.arms(routes=("gmail-1",))
        assert self.arms(routes=("app",)) == self.arms()

    def test_the_class_is_the_provider(self) -> None:
        assert {(each.route.mailbox, each.provider) for each in selected(shop(), ASKED)} == {(box, box.split("-")[0]) for box in BOXES}


class TestTheDeploy:
    @pytest.mark.parametrize(
        ("markers", "began"),
        [
            ((), 0.0),
            ((marked(-60, DeployPhase.START),), -60.0),
            ((marked(-90, DeployPhase.START), marked(-60, DeployPhase.START), marked(-30, DeployPhase.FINISH)), -90.0),
            ((marked(-30, DeployPhase.FINISH),), -30.0),
            ((marked(-90, DeployPhase.FINISH), marked(-60, DeployPhase.START)), -60.0),
            ((marked(-90, DeployPhase.ROLLBACK),), 0.0),
            ((marked(-90, DeployPhase.ROLLBACK), marked(-10, DeployPhase.START)), -10.0),
            ((marked(-90, DeployPhase.START, "another"),), 0.0),
            ((marked(3_600, DeployPhase.START),), 0.0),
        ],
        ids=[
            "not marked", "started", "started twice", "only finished", "finished before it started", "rolled back", "rolled back and again",
            "of another deploy", "in the future",
        ],
    )  # fmt: skip
    def test_began(self, markers: tuple[DeployMarked, ...], began: float) -> None:
        request = Desk().tell(*markers).begin()
        assert request.began == at(began)
        assert request.marked is any(marker.deploy == "d-2" for marker in markers)

    def test_a_marker_of_another_process_by_utc(self) -> None:
        request = Desk().tell(DeployMarked(Instant(NOON - 40, 9e9, "zero"), "d-2", DeployPhase.START)).begin()
        assert request.began.utc == NOON - 40

    def test_what_it_calls_itself(self) -> None:
        start = marked(-60, DeployPhase.START, version="v2", sha="a1b2", service="checkout")
        assert Desk().begin().versions == ("d-2",)
        assert Desk().begin(version="v2", sha="v2").versions == ("v2", "d-2")
        request = Desk().tell(start).begin()
        assert request.versions == ("v2", "a1b2", "d-2") and request.service == "checkout"
        request = Desk().tell(start, marked(-30, DeployPhase.FINISH, version="v2.1")).begin()
        assert request.versions == ("v2.1", "d-2"), "the latest word; the commit is that of another version"
        request = Desk().tell(marked(-60, DeployPhase.START, sha="a1b2"), marked(-30, DeployPhase.FINISH, version="v2")).begin()
        assert request.versions == ("v2", "a1b2", "d-2"), "each says a part"
        assert Desk().tell(start).begin(version="v3").versions == ("v3", "d-2"), "who asks knows best"
        assert Desk().tell(start).begin(version="v2").versions == ("v2", "a1b2", "d-2")

    def test_another_attempt_forgets_none_of_it_but_what_it_called_itself(self) -> None:
        """What another version served says nothing for this one."""
        desk = Desk().tell(marked(-60, DeployPhase.START, service="checkout"))
        first = desk.begin(version="v2", sha="a1b2")
        desk.end(60, Because.TOO_FEW)
        again = desk.begin(100, version="v9")
        assert again.versions == ("v9", "d-2") and (again.version, again.sha, again.service) == ("v9", "", "checkout")
        assert again.began == first.began and again.marked and again.baseline == first.baseline
        desk.end(160, Because.TOO_FEW)
        third = desk.begin(200)
        assert third.versions == ("v9", "d-2"), "who names none means the one before"


class TestBaseline:
    def of(self, desk: Desk, route: Route = app("gmail-1")) -> tuple[int, int]:  # noqa: B008 - a constant
        (found,) = (each for each in desk.begin().baseline if each.route == route)
        return found.good, found.bad

    def test_the_latest_decided_probes(self) -> None:
        desk = Desk()
        for number in range(LATEST):
            desk.probe(app("gmail-1"), -900 + number, Reason.MISSING)
        for number, reason in enumerate((Reason.PASS, Reason.MAILBOX_BLIND, Reason.SPAM, None, Reason.PASS)):
            desk.probe(app("gmail-1"), -500 + number, reason)
        desk.probe(app("gmail-2"), -100, Reason.PASS)
        request = desk.begin()
        found = next(each for each in request.baseline if each.route == app("gmail-1"))
        assert (found.good, found.bad) == (2, 3), "of the last five that say anything"
        assert found.last_good == at(-496) and found.last_bad == at(-498)

    def test_what_the_version_under_test_served_was_not_before_the_deploy(self) -> None:
        """Nobody told when the deploy began."""
        desk = Desk().probe(app("gmail-1"), -200, Reason.PASS)
        for t in (-100, -90, -80):
            desk.probe(app("gmail-1"), t, Reason.MISSING, "v2")
        (found,) = (each for each in desk.begin(version="v2").baseline if each.route == app("gmail-1"))
        assert (found.good, found.bad) == (1, 0)

    @pytest.mark.parametrize(("t", "counts"), [(-61.0, True), (-59.0, False), (-60 - BEFORE + 1, True), (-60 - BEFORE - 1, False)])
    def test_before_the_deploy_began_and_not_long_before(self, t: float, counts: bool) -> None:
        desk = Desk().tell(marked(-60, DeployPhase.START)).probe(app("gmail-1"), t, Reason.PASS)
        assert self.of(desk) == (1 if counts else 0, 0)

    @pytest.mark.parametrize(
        ("t", "reason", "version", "expected"),
        [
            pytest.param(-61.0, Reason.MISSING, "", (2, 0), id="at about the same time, and nobody says which version it was"),
            pytest.param(-60 - TOGETHER + 0.5, Reason.REJECTED, "", (2, 0), id="just as near"),
            pytest.param(-60 - TOGETHER - 0.5, Reason.MISSING, "", (2, 2), id="clearly before"),
            pytest.param(-61.0, Reason.MISSING, "v1", (2, 2), id="the version before served it"),
            pytest.param(-61.0, Reason.PASS, "", (4, 0), id="good: it speaks for the time before, whichever it was"),
        ],
    )
    def test_a_start_that_is_marked_a_moment_late(self, t: float, reason: Reason, version: str, expected: tuple[int, int]) -> None:
        desk = Desk().tell(marked(-60, DeployPhase.START)).probe(app("gmail-1"), -300, Reason.PASS).probe(app("gmail-1"), -200, Reason.PASS)
        for number in range(2):
            desk.probe(app("gmail-1"), t + number / 10, reason, version)
        assert self.of(desk) == expected

    def test_what_no_version_serves_failed_before_it(self) -> None:
        desk = Desk().tell(marked(-60, DeployPhase.START)).probe(bare("gmail-1"), -61, Reason.MISSING)
        assert self.of(desk, bare("gmail-1")) == (0, 1)

    def test_nothing_is_known(self) -> None:
        assert self.of(Desk()) == (0, 0)

    def test_the_first_attempt_tells_for_all(self) -> None:
        """The gate's own probes push out what the view remembers of the time before."""
        desk = Desk().probe(app("gmail-1"), -100, Reason.PASS)
        first = desk.begin()
        for number in range(30):
            desk.probe(app("gmail-1"), 1 + number, Reason.MISSING)
        desk.end(60, Because.TOO_FEW)
        assert desk.begin(100).baseline == first.baseline

    def test_a_route_that_came_later(self) -> None:
        whole = shop()
        fewer = replace(whole, routes={route: of for route, of in whole.routes.items() if route.path == APP})
        desk = Desk(fewer).probe(bare("gmail-1"), -100, Reason.PASS)
        assert bare("gmail-1") not in {each.route for each in desk.begin().baseline}
        desk.end(60, Because.TOO_FEW)
        desk.policy = whole
        again = desk.begin(100)
        found = next(each for each in again.baseline if each.route == bare("gmail-1"))
        assert (found.good, found.bad) == (1, 0) and {each.route.path for each in again.routes} == {APP, BARE}

    def test_after_a_clock_step_nothing_is_negative(self) -> None:
        desk = Desk().probe(app("gmail-1"), 500, Reason.PASS)
        request = desk.ask(0.0, process="two")
        assert request is not None and all(each.good == each.bad == 0 for each in request.baseline)
        json.dumps([request.until.utc, request.began.utc])
