"""What the gate's counts are worth: known numbers, the promises of the built-in policies, and the page that shows them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from docs.pictures import gate_statistics as pictures
from monitor.model.gate import BUILT_IN, DEEP, QUICK, STANDARD, Control, GatePlan, GatePolicy, GateStep, Sequential, faults
from monitor.rules.gate.sequence import rule
from monitor.rules.gate.statistics import characteristic, coverage, endings, loss_upper, p_value

GOOD, BAD = 0.005, 0.1
SMALL = GatePlan((GateStep(3, 0), GateStep(6, 1), GateStep(10, 3)), reject=4)
SHORT = GatePlan(sequential=Sequential(0.05, 0.4, 0.1, 0.1, 11))
TWO_STEPS = GatePlan((GateStep(30, 0), GateStep(60, 1)))  # the plan that decision 17 gave up


# --- the bound ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probes", "adverse", "bound"),
    [
        (0, 0, 1.0),
        (1, 0, 0.95),
        (10, 0, 0.259),
        (20, 0, 0.139),
        (30, 0, 0.095),
        (60, 0, 0.049),
        (60, 1, 0.077),
        (300, 0, 0.010),
        (5, 5, 1.0),
    ],
)
def test_the_upper_bound_of_the_loss(probes: int, adverse: int, bound: float) -> None:
    assert loss_upper(probes, adverse) == pytest.approx(bound, abs=0.0006)


def test_without_a_loss_the_bound_has_a_closed_form() -> None:
    for probes in range(1, 200):
        assert loss_upper(probes, 0) == pytest.approx(1 - 0.05 ** (1 / probes), rel=1e-9)
        assert loss_upper(probes, 0, 0.99) == pytest.approx(1 - 0.01 ** (1 / probes), rel=1e-9)


@settings(deadline=None)
@given(some.integers(1, 120), some.data())
def test_the_bound_grows_with_losses_and_shrinks_with_probes(probes: int, data: some.DataObject) -> None:
    adverse = data.draw(some.integers(0, probes - 1))
    bound = loss_upper(probes, adverse)
    assert adverse / probes < bound < 1
    assert bound < loss_upper(probes, adverse + 1)
    assert bound > loss_upper(probes + 1, adverse)
    assert bound < loss_upper(probes, adverse, 0.99)


@settings(deadline=None)
@given(some.integers(1, 60), some.data())
def test_the_bound_is_where_so_few_losses_become_incredible(probes: int, data: some.DataObject) -> None:
    adverse = data.draw(some.integers(0, probes - 1))
    bound = loss_upper(probes, adverse)
    few = sum(math.comb(probes, k) * bound**k * (1 - bound) ** (probes - k) for k in range(adverse + 1))
    assert few == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(("name", "least"), [(QUICK, 0.944), (STANDARD, 0.936), (DEEP, 0.915)])
def test_the_bound_holds_nearly_as_often_as_it_says_where_a_plan_stops_early(name: str, least: float) -> None:
    plan = BUILT_IN[name].plan
    worst = min(coverage(plan, bound * (1 + 1e-9)) for bound in pictures.bounds_of_passes(plan))
    assert least <= worst < 0.95
    assert all(coverage(plan, loss) >= worst for loss in (0.001, 0.01, 0.03, 0.05, 0.08, 0.1, 0.2, 0.5))


# --- the two arms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canary_adverse", "canary", "control_adverse", "control", "expected"),
    [
        (3, 10, 0, 10, 0.10526),
        (6, 30, 0, 30, 0.01186),
        (4, 4, 0, 4, 1 / 70),
        (0, 10, 0, 10, 1.0),
        (0, 10, 5, 10, 1.0),
        (5, 10, 5, 10, 0.67186),
        (1, 1, 0, 1, 0.5),
        (0, 0, 3, 10, None),
        (3, 10, 0, 0, None),
    ],
)
def test_fishers_exact_test(canary_adverse: int, canary: int, control_adverse: int, control: int, expected: float | None) -> None:
    found = p_value(canary_adverse, canary, control_adverse, control)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-5))


@settings(deadline=None)
@given(some.integers(1, 12), some.integers(1, 12), some.data())
def test_fisher_counts_the_ways(canary: int, control: int, data: some.DataObject) -> None:
    bad, beside = data.draw(some.integers(0, canary)), data.draw(some.integers(0, control))
    adverse = bad + beside
    ways = sum(math.comb(canary, k) * math.comb(control, adverse - k) for k in range(bad, adverse + 1))
    assert p_value(bad, canary, beside, control) == pytest.approx(ways / math.comb(canary + control, adverse))


# --- operating characteristics -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [SMALL, SHORT, GatePlan((GateStep(4, 0), GateStep(8, 1)))])
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3, 0.7, 1.0])
def test_the_characteristic_is_what_counting_every_deploy_gives(plan: GatePlan, loss: float) -> None:
    passes = fails = probes = 0.0
    for deploy in itertools.product((False, True), repeat=plan.most):
        chance = math.prod(loss if adverse else 1 - loss for adverse in deploy)
        said = next(ruling for sent in range(1, plan.most + 1) if (ruling := rule(plan, deploy[:sent])).passed is not None)
        passes += chance * (said.passed is True)
        fails += chance * (said.passed is False)
        probes += chance * said.resolved
    found = characteristic(plan, loss)
    assert (found.passes, found.fails, found.undecided, found.probes) == pytest.approx((passes, fails, 0.0, probes), abs=1e-9)


@pytest.mark.parametrize("name", [QUICK, STANDARD, DEEP])
@pytest.mark.parametrize("loss", [0.0, 0.005, 0.1, 1.0])
def test_something_always_comes_of_it(name: str, loss: float) -> None:
    plan = BUILT_IN[name].plan
    assert math.fsum(end.chance for end in endings(plan, loss)) == pytest.approx(1.0, abs=1e-12)
    assert characteristic(plan, loss).undecided == 0.0


def test_a_plan_that_can_end_undecided_says_how_often() -> None:
    found = characteristic(GatePlan((GateStep(2, 0),), reject=3), 0.5)
    assert (found.passes, found.fails, found.undecided, found.probes) == (0.25, 0.0, 0.75, 2.0)


@pytest.mark.parametrize(
    ("plan", "shares"),
    [
        (TWO_STEPS, {0.001: 99.9, 0.005: 97.2, 0.01: 90.6, 0.02: 72.8, 0.05: 28.7, 0.1: 4.8, 0.2: 0.1}),
        (BUILT_IN[QUICK].plan, {0.005: 99.4, 0.1: 39.6, 0.5: 0.1}),
        (BUILT_IN[STANDARD].plan, {0.001: 100.0, 0.005: 99.3, 0.01: 96.1, 0.02: 81.8, 0.05: 32.4, 0.1: 5.0, 0.2: 0.1}),
    ],
)
def test_known_shares_of_passes(plan: GatePlan, shares: dict[float, float]) -> None:
    assert {loss: round(100 * characteristic(plan, loss).passes, 1) for loss in shares} == pytest.approx(shares, abs=0.051)


# --- what the built-in policies promise --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [QUICK, STANDARD, DEEP])
def test_a_good_deploy_is_blocked_in_at_most_three_of_a_hundred_with_up_to_four_classes(name: str) -> None:
    passes = characteristic(BUILT_IN[name].plan, GOOD).passes
    assert 1 - passes <= 0.03
    assert 1 - passes**4 <= 0.03


def test_two_steps_would_not_keep_that() -> None:
    assert 1 - characteristic(TWO_STEPS, GOOD).passes ** 3 > 0.08


@pytest.mark.parametrize("name", [STANDARD, DEEP])
def test_the_loss_of_a_tenth_at_one_provider_is_caught(name: str) -> None:
    assert characteristic(BUILT_IN[name].plan, BAD).fails >= 0.95


@pytest.mark.parametrize("name", [QUICK, STANDARD, DEEP])
@pytest.mark.parametrize("mailboxes", [1, 2])
def test_a_total_loss_takes_one_deadline(name: str, mailboxes: int) -> None:
    """What is sent in the first burst fails it, at the default pace, whatever else there is."""

    def lost(_: int, at: float) -> object:
        return pictures.Sent(at, at + pictures.MISSING, True)

    assert pictures.seconds_to_decide(BUILT_IN[name], mailboxes, lost) == (False, pictures.MISSING)


@pytest.mark.parametrize("name", [QUICK, STANDARD, DEEP])
@pytest.mark.parametrize("mailboxes", [1, 2])
def test_no_timeout_is_shorter_than_the_slowest_pass(name: str, mailboxes: int) -> None:
    """A healthy deploy that loses a probe at the worst place passes late; a timeout before that would block it."""
    assert pictures.slowest_pass(name, mailboxes) < BUILT_IN[name].timeout


def test_outcomes_as_they_come_pass_what_send_order_blocks() -> None:
    """A tenth is lost. In the limit the naive rule passes 96 % of such deploys, ours 4.9 %; chance is left four deviations."""
    dice = Random(pictures.SEED)
    deploys = [pictures.stream(dice, BAD) for _ in range(400)]
    assert sum(map(pictures.naive, deploys)) / 400 == pytest.approx(0.96, abs=0.04)
    assert sum(map(pictures.in_send_order, deploys[:100])) / 100 == pytest.approx(characteristic(pictures.NAIVE, BAD).passes, abs=0.086)


# --- faulty policies ---------------------------------------------------------------------------------------------------


def steps(*of: tuple[int, int], reject: int = 2) -> GatePolicy:
    return GatePolicy("own", GatePlan(tuple(GateStep(*each) for each in of), reject))


def wald(good: float = 0.005, bad: float = 0.05, false_fail: float = 0.01, false_pass: float = 0.05, most: int = 300) -> GatePolicy:
    return GatePolicy("own", GatePlan(sequential=Sequential(good, bad, false_fail, false_pass, most)))


OWN = steps((10, 0), (30, 1))


@pytest.mark.parametrize("policy", [*BUILT_IN.values(), OWN, wald(), steps((1, 0), reject=1), steps((1000, 0), reject=1), wald(most=65)])
def test_a_policy_without_fault(policy: GatePolicy) -> None:
    assert faults(policy) == ""
    assert faults(replace(policy, deadline=180.0, settle=0.0, fresh_for=0.0)) == ""


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (steps(), "asks for no probe"),
        (GatePolicy("own", replace(wald().plan, steps=(GateStep(10, 0),))), "both steps and a sequential test"),
        (steps((10, 0), (10, 1)), "do not grow: 10 probes with 0, then 10 with 1"),
        (steps((30, 0), (10, 1)), "do not grow"),
        (steps((10, 1), (30, 1)), "do not grow"),
        (steps((10, 1), (30, 0)), "do not grow"),
        (steps((10, 2), reject=2), "accepts 2 adverse probes in 10, and fails with 2"),
        (steps((10, 3), reject=2), "let reject be greater"),
        (steps((10, 0), (30, 1), reject=3), "can end undecided"),
        (steps((10, 0), reject=0), "can never pass"),
        (steps((10, 0), reject=-1), "can never pass"),
        (steps((2, 2), reject=3), "passes 2 probes although"),
        (steps((0, 0), reject=1), "a step has a probe at least"),
        (steps((10, -1), reject=1), "accepts 0 or more"),
        (steps((1001, 1)), "1000 are the most"),
        (wald(most=1001), "1000 are the most"),
        (wald(good=0.05), "let good be less than bad"),
        (wald(good=0.1), "let good be less than bad"),
        (wald(good=0.0), "good = 0"),
        (wald(bad=1.0), "bad = 1"),
        (wald(false_fail=0.0), "false_fail = 0"),
        (wald(false_pass=1.5), "false_pass = 1.5"),
        (wald(false_pass=math.nan), "false_pass = nan"),
        (wald(false_fail=0.5, false_pass=0.5), "no better than a coin"),
        (wald(most=64), "cannot pass before 65"),
        (wald(most=0), "cannot pass before 65"),
        (replace(OWN, timeout=0.0), "timeout of 0 s"),
        (replace(OWN, timeout=math.nan), "timeout of nan s"),
        (replace(OWN, timeout=math.inf), "timeout of inf s"),
        (replace(OWN, timeout=21_601.0), "at most 21600"),
        (replace(OWN, settle=-1.0), "settles for -1 s"),
        (replace(OWN, settle=601.0), "settles for 601 s"),
        (replace(OWN, fresh_for=-1.0), "fresh_for be from 0"),
        (replace(OWN, fresh_for=700_000.0), "fresh_for be from 0"),
        (replace(OWN, deadline=0.0), "deadline of 0 s"),
        (replace(OWN, deadline=30_000.0), "deadline of 30000 s"),
        (replace(OWN, deadline=599.0), "longer than both together"),
        (replace(OWN, timeout=2.0), "its timeout is 2 s"),
        (replace(OWN, min_routes=0), "min_routes be 1"),
        (replace(OWN, overdue_fails=True, control=Control.NONE), "has no control arm"),
    ],
)
def test_a_policy_that_cannot_decide_is_told_why(policy: GatePolicy, said: str) -> None:
    why = faults(policy)
    assert said in why
    assert "\n" not in why


@settings(deadline=None)
@given(some.lists(some.tuples(some.integers(-1, 12), some.integers(-1, 4)), max_size=3), some.integers(-1, 5), some.lists(some.booleans()))
def test_a_policy_without_fault_always_decides_and_can_fail(of: list[tuple[int, int]], reject: int, deploy: list[bool]) -> None:
    policy = steps(*of, reject=reject)
    if faults(policy):
        return
    most = policy.plan.most
    assert rule(policy.plan, (deploy + [False] * most)[:most]).passed is not None
    assert rule(policy.plan, [True] * most).passed is False
    assert rule(policy.plan, [False] * most).passed is True
    assert rule(policy.plan, []).passed is None  # no evidence never passes


# --- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_and_the_picture_are_made_from_the_rules_as_they_are() -> None:
    """Otherwise: `python docs/pictures/gate_statistics.py`."""
    text = pictures.PAGE.read_text(encoding="utf-8")
    assert pictures.page(text) == text
    assert pictures.picture() == pictures.PICTURE.read_text(encoding="utf-8")


def test_what_can_happen_is_never_rounded_to_never() -> None:
    assert [pictures.percent(share) for share in (0.0, 0.0004, 0.0005, 0.9994, 0.9996, 1.0)] == [
        "0.0 %", "< 0.1 %", "0.1 %", "99.9 %", "> 99.9 %", "100.0 %",
    ]  # fmt: skip


SHARES = some.floats(0, 1) | some.sampled_from([5e-324, 1e-323, 1e-6, 0.1, 0.10000000000000002, 0.4, 1 - 1e-6, 1 - 1e-16])


@given(good=SHARES, bad=SHARES, false_fail=SHARES, false_pass=SHARES, most=some.integers(1, 1_200))
@example(good=0.1, bad=0.10000000000000002, false_fail=0.4, false_pass=0.4, most=1)
@example(good=5e-324, bad=1e-323, false_fail=0.4, false_pass=0.4, most=1)
@example(good=1e-6, bad=1 - 1e-6, false_fail=1e-6, false_pass=1e-6, most=1_000)
def test_a_sequential_test_is_refused_or_can_be_reckoned(good: float, bad: float, false_fail: float, false_pass: float, most: int) -> None:
    plan = GatePlan(sequential=Sequential(good, bad, false_fail, false_pass, most))
    if faults(GatePolicy("any", plan)):
        return
    for outcomes in ([], [False] * most, [True] * most, [None]):
        ruling = rule(plan, outcomes)
        assert ruling.llr is not None and math.isfinite(ruling.llr)
    assert rule(plan, [False] * most).passed is True and rule(plan, [True] * most).passed is False
