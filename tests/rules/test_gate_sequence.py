"""The sequential test of one mailbox class: what it says, when it is certain, and that more bad news never helps a deploy."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.gate import BUILT_IN, DEEP, QUICK, STANDARD, GatePlan, GateStep, Sequential
from monitor.rules.gate.sequence import NONE, Ruling, boundaries, rule

SMALL = GatePlan((GateStep(3, 0), GateStep(6, 1)))
SHORT = GatePlan(sequential=Sequential(0.05, 0.4, 0.1, 0.1, 12))
QUICK_PLAN, STANDARD_PLAN, DEEP_PLAN = (BUILT_IN[name].plan for name in (QUICK, STANDARD, DEEP))

OUTCOME = {".": False, "x": True, "?": None}


def outcomes(text: str) -> list[bool | None]:
    """. good, x adverse, ? pending; in send order."""
    return [OUTCOME[each] for each in text]


steps = some.lists(some.tuples(some.integers(1, 5), some.integers(1, 2)), min_size=1, max_size=3)


@some.composite
def plans(draw: some.DrawFn) -> GatePlan:
    """Plans without fault, of at most a dozen probes."""
    if draw(some.booleans()):
        good, bad = draw(some.sampled_from([(0.02, 0.3), (0.05, 0.4), (0.1, 0.6)]))
        return GatePlan(sequential=Sequential(good, bad, draw(some.sampled_from([0.05, 0.2])), 0.2, draw(some.integers(8, 14))))
    made: list[GateStep] = []
    probes, accept = 1, -1
    for more, allowed in draw(steps):
        probes, accept = probes + more, accept + allowed
        made.append(GateStep(max(probes, accept + 1), accept))
        probes = made[-1].probes
    return GatePlan(tuple(made), reject=accept + 1)


resolved = some.lists(some.booleans(), max_size=16)
partly = some.lists(some.sampled_from([True, False, None]), max_size=12)


@pytest.mark.parametrize(
    ("plan", "seen", "passed", "needed"),
    [
        (SMALL, "", None, 3),
        (SMALL, "..", None, 3),
        (SMALL, "...", True, 3),
        (SMALL, "..?", None, 3),  # a loss is known only at its deadline: the good ones that come first prove nothing
        (SMALL, "?..", None, 3),
        (SMALL, "?...........", None, 3),  # however many others arrive meanwhile
        (SMALL, "x", None, 6),
        (SMALL, "??x", None, 6),  # a step that cannot accept any more is not waited for
        (SMALL, "x.....", True, 6),
        (SMALL, "x....?", None, 6),
        (SMALL, "xx", False, 2),
        (SMALL, "?x?x", False, 4),  # whatever the pending ones show
        (SMALL, "...x", None, 6),  # one that was sent beyond the step is not ignored by it
        (SMALL, "...x..", True, 6),
        (SMALL, "...xx", False, 5),
        (QUICK_PLAN, "." * 10, True, 10),
        (QUICK_PLAN, "." * 9, None, 10),
        (QUICK_PLAN, "." * 9 + "x", None, 30),
        (QUICK_PLAN, "." * 9 + "x" + "." * 20, True, 30),
        (QUICK_PLAN, "." * 9 + "x" + "." * 19 + "x", False, 30),
        (STANDARD_PLAN, "." * 30, True, 30),
        (STANDARD_PLAN, "x" + "." * 29, None, 60),
        (STANDARD_PLAN, "x" + "." * 58 + "x", None, 90),
        (STANDARD_PLAN, "xx" + "." * 88, True, 90),
        (STANDARD_PLAN, "xxx", False, 3),
        (DEEP_PLAN, "." * 64, None, 65),
        (DEEP_PLAN, "." * 65, True, 65),
        (DEEP_PLAN, "xx", False, 2),
    ],
)
def test_what_it_says(plan: GatePlan, seen: str, passed: bool | None, needed: int) -> None:
    said = rule(plan, outcomes(seen))
    assert (said.passed, said.needed) == (passed, needed)


def test_it_counts_what_it_knows() -> None:
    assert rule(SMALL, outcomes(".?x")) == Ruling(None, resolved=1, adverse=1, needed=6, limit=2)


def test_the_likelihood_ratio_is_that_of_the_unbroken_prefix() -> None:
    assert rule(DEEP_PLAN, []).llr == 0.0
    assert rule(DEEP_PLAN, outcomes("x?x")).llr == pytest.approx(2.302585)  # ln(0.05 / 0.005)
    assert rule(SMALL, outcomes("x")).llr is None


@pytest.mark.parametrize("name", [QUICK, STANDARD, DEEP])
def test_one_deadline_is_enough_for_a_total_loss(name: str) -> None:
    """What the first burst of a mailbox holds already fails it: nothing more needs to be sent when it is overdue."""
    assert rule(BUILT_IN[name].plan, [True] * 6).passed is False


@pytest.mark.parametrize("plan", [SHORT, DEEP_PLAN])
def test_walds_boundaries_grow_and_stay_apart(plan: GatePlan) -> None:
    lines = [boundaries(plan, probes) for probes in range(1, plan.most)]
    for (accept, reject), (next_accept, next_reject) in itertools.pairwise(lines):
        assert accept <= next_accept
        assert reject <= next_reject
    assert all(NONE <= accept < reject for accept, reject in lines)
    accept, reject = boundaries(plan, plan.most)
    assert accept == reject - 1 >= lines[-1][0]  # cut off: decided either way, and nobody who had passed before is blocked now


def test_walds_first_acceptance_is_where_the_formula_says() -> None:
    """ln(0.05 / 0.99) / ln(0.95 / 0.995) = 64.5"""
    assert [boundaries(DEEP_PLAN, probes)[0] for probes in (64, 65)] == [NONE, 0]


def walk(plan: GatePlan, known: list[bool]) -> bool | None:
    """The rule, told plainly, where everything is resolved."""
    for probes in range(1, len(known) + 1):
        accept, reject = boundaries(plan, probes)
        if sum(known[:probes]) >= reject:
            return False
        if sum(known) <= accept:
            return True
    return None


@settings(deadline=None)
@given(plans(), resolved)
def test_resolved_outcomes_are_walked_in_send_order(plan: GatePlan, known: list[bool]) -> None:
    assert rule(plan, known).passed is walk(plan, known)


@settings(deadline=None)
@given(plans(), partly)
def test_an_early_fail_holds_whatever_the_pending_ones_show(plan: GatePlan, seen: list[bool | None]) -> None:
    says = rule(plan, seen).passed
    ends = {rule(plan, whole).passed for whole in filled(seen)}
    if says is False:
        assert ends == {False}
    if ends == {False}:
        assert says is False  # nor is it later than it must be


@settings(deadline=None)
@given(plans(), partly)
def test_a_pass_needs_its_whole_prefix(plan: GatePlan, seen: list[bool | None]) -> None:
    said = rule(plan, seen)
    if said.passed:
        first = next(probes for probes in range(1, plan.most + 1) if boundaries(plan, probes)[0] > NONE)
        assert said.resolved >= said.needed >= first
        assert None not in seen[: said.needed]
        assert said.adverse <= boundaries(plan, said.needed)[0]


@settings(deadline=None)
@given(plans(), partly, some.integers(0, 11))
def test_bad_news_never_helps(plan: GatePlan, seen: list[bool | None], place: int) -> None:
    if place >= len(seen) or seen[place] is True:
        return
    worse = [*seen[:place], True, *seen[place + 1 :]]
    before, after = rule(plan, seen), rule(plan, worse)
    if before.passed is False:
        assert after.passed is False
    if after.passed:
        assert before.passed or seen[place] is None  # a probe that is resolved at last may complete the prefix


@settings(deadline=None)
@given(plans(), some.lists(some.booleans(), min_size=20, max_size=24))
def test_what_is_asked_for_ends_it(plan: GatePlan, deploy: list[bool]) -> None:
    """Sending what it needs, and no more, always comes to an end within the plan."""
    sent = 0
    for _ in range(plan.most + 1):
        said = rule(plan, deploy[:sent])
        if said.passed is not None:
            return
        assert sent < said.needed <= plan.most
        sent = said.needed
    raise AssertionError("it never decides")


@settings(deadline=None)
@given(plans(), partly)
def test_a_plan_that_has_all_it_asks_for_is_decided(plan: GatePlan, seen: list[bool | None]) -> None:
    whole = [outcome is True for outcome in seen] + [False] * plan.most
    assert rule(plan, whole).passed is not None


def filled(seen: list[bool | None]) -> list[list[bool]]:
    """Every way in which the pending ones may turn out; at most 64 of them, evenly spread."""
    pending = [place for place, outcome in enumerate(seen) if outcome is None]
    ways = list(itertools.product((False, True), repeat=len(pending)))
    ways = [*ways[:: max(1, len(ways) // 64)], ways[-1]]
    return [[dict(zip(pending, way, strict=True)).get(place, outcome is True) for place, outcome in enumerate(seen)] for way in ways]
