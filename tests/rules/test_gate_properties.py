"""What holds for a gate whatever its probes show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    Deferred,
    Entry,
    Fact,
    GateCancelled,
    GateRequested,
    Judged,
    Paused,
    ProbePlanned,
    Refused,
    Sighted,
    Started,
    SubmitError,
    SubmitUnknown,
    Tripped,
    WatchBlind,
    WatchRestored,
    Withdrawn,
)
from monitor.model.gate import Arm, Because, Control, GatePlan, GatePolicy, GateRoute, GateStep, Sequential
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate import Standing, assess
from monitor.rules.gate.arms import classes, outcome
from monitor.rules.gate.wording import LONGEST
from monitor.rules.plain import plain
from monitor.views.world import World
from tests.rules.gates import APP, BARE, GATE, GMAIL, OUTLOOK, SMALL, Play, at, shop
from tests.views import facts as at_random

BOXES = (*GMAIL, *OUTLOOK)
POLICIES = st.sampled_from(
    [
        SMALL,
        replace(SMALL, trust_target=True),
        replace(SMALL, control=Control.NONE),
        replace(SMALL, min_routes=2, overdue_fails=True),
        GatePolicy("three", GatePlan((GateStep(2, 0), GateStep(4, 1), GateStep(6, 2)), reject=3)),
        GatePolicy("wald", GatePlan(sequential=Sequential(0.005, 0.3, 0.01, 0.05, 30))),
    ]
)
BASELINES = st.sampled_from([None, (5, 0), (0, 5), (1, 1)])
LATER = 100.0  # seconds: when it is looked at


@dataclass(frozen=True)
class Fate:
    """What becomes of one probe. `version`: who answered; None: nobody has."""

    path: PathName
    box: str
    version: str | None
    reason: Reason | None
    money: bool = False


def fates(reasons: Sequence[Reason | None] = (None, *Reason)) -> st.SearchStrategy[Fate]:
    weighted = [Reason.PASS, Reason.PASS, Reason.PASS, *reasons]
    return st.builds(
        Fate,
        path=st.sampled_from([APP, APP, APP, BARE]),
        box=st.sampled_from(BOXES),
        version=st.sampled_from(["v2", "v2", "v2", "v1", "", None]),
        reason=st.sampled_from(weighted),
        money=st.sampled_from([False] * 12 + [True]),
    )


WELL = st.builds(
    Fate,
    path=st.sampled_from([APP] * 5 + [BARE]),
    box=st.sampled_from(BOXES),
    version=st.sampled_from(["v2"] * 12 + ["v1", "", None]),
    reason=st.sampled_from([Reason.PASS] * 24 + [None, Reason.MISSING, Reason.SUBMIT_UNKNOWN]),
)
HISTORIES = st.lists(fates(), max_size=24) | st.lists(WELL, min_size=8, max_size=24)


class Told(Play):
    """Probes in the order of their first attempts; what became of them in any order."""

    def live(self, fates: Sequence[Fate], order: Sequence[int] | None = None) -> list[ProbeId]:
        probes = [self.send(Route(fate.path, MailboxName(fate.box)), float(place)) for place, fate in enumerate(fates)]
        for place in range(len(fates)) if order is None else order:
            self.become(probes[place], fates[place], 30.0 + place)
        return probes

    def become(self, probe: ProbeId, fate: Fate, t: float) -> None:
        version = fate.version if fate.path == APP else "" if fate.version is not None else None
        refused = fate.reason in (Reason.REJECTED, Reason.DEFERRED)
        if version is not None and not refused:
            self.accept(probe, t, version)
        if fate.money:
            self.see(probe, t, money=True)
        if refused:
            self.tell(Refused(self.at(t), probe, 1, Step.RCPT_TO, Reply(550, "no"), version or ""))
        if fate.reason is not None and (version is not None or refused):
            said = "to <seed+tag@box.test> RF-20260101-7731"
            self.verdict(probe, fate.reason, t, said, version or "")


def passed(standing: Standing) -> bool:
    return standing.decided is not None and standing.decided.verdict is Verdict.PASS


def told(policy: GatePolicy, baseline: tuple[int, int] | None, history: Sequence[Fate], order: Sequence[int] | None = None) -> Told:
    play = Told(policy, BOXES, baseline=baseline)
    play.live(history, order)
    return play


@settings(max_examples=80, deadline=None)
@given(policy=POLICIES, baseline=BASELINES, history=HISTORIES)
def test_a_pass_rests_on_a_whole_first_step_of_the_version_under_test_in_every_class(
    policy: GatePolicy, baseline: tuple[int, int] | None, history: list[Fate]
) -> None:
    play = told(policy, baseline, history)
    standing = play.look(LATER)
    if not passed(standing):
        return
    least = policy.plan.steps[0].probes if policy.plan.steps else 5
    for provider in ("gmail", "outlook"):
        served = [
            fate
            for fate in history
            if fate.box.startswith(provider)
            and (fate.version == "v2" if fate.path == APP and not policy.trust_target else fate.version != "v1" or fate.path == BARE)
            and fate.reason is not None
            and fate.reason.verdict in (Verdict.PASS, Verdict.FAIL)
        ]
        assert len(served) >= least
    assert not any(fate.money and fate.version == "v2" and fate.path == APP for fate in history)


@settings(max_examples=60, deadline=None)
@given(policy=POLICIES, baseline=BASELINES, history=HISTORIES, bad=fates((Reason.MISSING, Reason.SPAM)), box=st.sampled_from(BOXES))
def test_one_more_bad_probe_never_makes_it_pass(
    policy: GatePolicy, baseline: tuple[int, int] | None, history: list[Fate], bad: Fate, box: str
) -> None:
    bad = replace(bad, path=APP, version="v2", box=box, reason=Reason.SPAM)
    before = told(policy, baseline, history).look(LATER)
    after = told(policy, baseline, [*history, bad]).look(LATER)
    earlier = told(policy, baseline, [bad, *history]).look(LATER)
    if not passed(before):
        assert not passed(after)
        assert not passed(earlier)


@settings(max_examples=60, deadline=None)
@given(
    policy=POLICIES,
    baseline=BASELINES,
    before=st.lists(fates(), max_size=12) | st.lists(WELL, max_size=12),
    after=st.lists(fates(), max_size=12) | st.lists(WELL, max_size=12),
    box=st.sampled_from(BOXES),
    reason=st.sampled_from([Reason.MISSING, Reason.LATE]),
)
def test_a_good_probe_turned_bad_never_makes_it_pass(
    policy: GatePolicy, baseline: tuple[int, int] | None, before: list[Fate], after: list[Fate], box: str, reason: Reason
) -> None:
    good, bad = (told(policy, baseline, [*before, Fate(APP, box, "v2", each), *after]).look(LATER) for each in (Reason.PASS, reason))
    assert passed(good) or not passed(bad)


@settings(max_examples=60, deadline=None)
@given(policy=POLICIES, baseline=BASELINES, history=HISTORIES, data=st.data())
def test_the_order_of_facts_about_different_probes_does_not_matter(
    policy: GatePolicy, baseline: tuple[int, int] | None, history: list[Fate], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(history))))
    one, other = told(policy, baseline, history).look(LATER), told(policy, baseline, history, order).look(LATER)
    assert (one.reason, one.classes, one.needs, one.adverse) == (other.reason, other.classes, other.needs, other.adverse)
    assert (one.decided is None) == (other.decided is None)
    if one.decided is not None and other.decided is not None:
        assert replace(one.decided, evidence=()) == replace(other.decided, evidence=())


CANARY = st.builds(
    Fate, path=st.just(APP), box=st.sampled_from(BOXES), version=st.sampled_from(["v2", "v2", None]),
    reason=st.sampled_from([None, Reason.PASS, Reason.MISSING, Reason.SPAM, Reason.LATE]),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(policy=POLICIES, history=st.lists(CANARY, min_size=4, max_size=24), data=st.data())
def test_an_early_fail_stands_if_all_that_is_pending_turns_out_good(policy: GatePolicy, history: list[Fate], data: st.DataObject) -> None:
    play = told(policy, (5, 0), history)
    early = play.look(LATER)
    for trial in list(play.state.trials.values()):
        if trial.reason is None:
            if not trial.taken:
                play.accept(trial.probe, LATER + 1, data.draw(st.sampled_from(["v1", "v2"])))
            play.verdict(trial.probe, Reason.PASS, LATER + 1)
    late = play.look(LATER + 2)
    if early.decided is not None and early.decided.verdict is Verdict.FAIL:
        assert late.decided is not None
        assert (late.decided.verdict, late.decided.because) == (early.decided.verdict, early.decided.because)
    elif early.decided is None and late.decided is not None:
        assert late.decided.verdict is not Verdict.FAIL, "it was certain before"


@settings(max_examples=60, deadline=None)
@given(policy=POLICIES, baseline=BASELINES, history=HISTORIES, t=st.sampled_from([LATER, 10_000.0]), cancelled=st.booleans())
def test_the_numbers_add_up_and_nothing_is_told_that_may_not_be(
    policy: GatePolicy, baseline: tuple[int, int] | None, history: list[Fate], t: float, cancelled: bool
) -> None:
    play = told(policy, baseline, history)
    if cancelled:
        play.tell(GateCancelled(at(99), GATE, "ann@box.test", "RF-20260101-7731\x1b"))
    standing = play.look(t)
    for tally in standing.classes:
        assert tally.sent == tally.good + tally.adverse + tally.pending + tally.aside
        assert sum(count for _, count in tally.reasons) == tally.adverse
        assert 0 <= tally.loss_upper <= 1
    counted = [trial for each in classes(play.world, play.state) for trial in each.counted]
    assert len({trial.probe for trial in counted}) == len(counted)
    assert standing.adverse >= any(outcome(trial) for trial in counted)
    check_words(standing)
    if t == 10_000.0:
        assert standing.decided is not None, "its time is over"
    if standing.decided is not None and standing.decided.verdict is not Verdict.PASS:
        assert standing.needs == ()


def check_words(standing: Standing) -> None:
    texts = [standing.reason]
    if standing.decided is not None:
        texts += [standing.decided.reason, *standing.decided.unseen]
        texts += [standing.decided.example.said or "nothing"] if standing.decided.example else []
        assert 0 <= len(standing.decided.evidence) <= 100
        assert len(standing.decided.unseen) <= 40
    for text in texts:
        assert text
        assert len(text) <= LONGEST
        assert text.isprintable()
        assert "@b" not in text.replace("***@", "")
        assert plain(text) == text


# --- any history -------------------------------------------------------------------------------------------------------

MINE = st.builds(ProbePlanned, gate=st.sampled_from([GATE, GATE, GATE, "gate-000000000000"]))
STEPS = st.lists(st.builds(GateStep, st.integers(-1, 5), st.integers(-1, 3)), max_size=3).map(tuple)
ANY_POLICY = st.builds(
    GatePolicy,
    name=at_random.TEXTS,
    plan=st.builds(GatePlan, steps=STEPS, reject=st.integers(-1, 4), sequential=st.none()),
    timeout=st.floats(-1, 1e9),
    settle=st.floats(-1, 100),
    fresh_for=st.floats(-1, 1e9),
    deadline=st.none(),
    min_routes=st.integers(-1, 3),
)
HOMES = tuple(
    GateRoute(Route(PathName(path), MailboxName(box)), box, arm)
    for path, arm in (("app", Arm.CANARY), ("smtp", Arm.CONTROL))
    for box in ("gmail-1", "outlook-1")
)
ASKED = st.builds(
    GateRequested,
    gate=st.just(GATE),
    policy=st.just(SMALL) | ANY_POLICY,
    versions=st.just(("v2",)) | st.just(("",)),
    routes=st.just(HOMES) | st.just(()),
    attempt=st.integers(1, 3),
)
KINDS = (
    ProbePlanned, Attempted, Accepted, Deferred, Refused, SubmitUnknown, SubmitError, Judged, Sighted, Withdrawn, Tripped, WatchBlind,
    WatchRestored, Started, Paused, GateCancelled,
)  # fmt: skip
ANYTHING = st.one_of(MINE, MINE, ASKED, *(st.from_type(kind) for kind in KINDS))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(first=ASKED, history=st.lists(ANYTHING, max_size=14), now=at_random.facts_of("resumed"))
def test_any_history_gives_a_standing(first: GateRequested, history: list[Fact], now: Fact) -> None:
    world = World()
    for seq, fact in enumerate([first, *history], 1):
        world.fold(Entry(seq, KIND_OF[type(fact)], fact))
    standing = assess(world, world.gates.known[GATE], shop(), now.at)
    assert standing == assess(world, world.gates.known[GATE], shop(), now.at), "looking changes nothing"
    assert 0.05 <= standing.wake <= 5
    check_words(standing)
    assert standing.decided is None or (standing.decided.because is Because.CLEAN) == passed(standing)
