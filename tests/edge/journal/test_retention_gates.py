"""A gate leaves the journal as a whole story or not at all, and its probes stay as long as it must be explained."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from monitor.edge.journal import SqliteJournal, retention
from monitor.model.facts import (
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateProbing,
    GateRequested,
    Looked,
    ProbePlanned,
    WatchBlind,
    WithdrawCause,
    Withdrawn,
)
from monitor.model.gate import BUILT_IN, GATE_VERDICT, QUICK, Arm, Because, GateId, GateRoute
from monitor.model.mail import BlindCause
from monitor.model.verdict import Reason
from monitor.views.world import World
from tests.edge.journal.test_retention import KEEP, MISSING, NOW, PASS, Kept, ago, kept, life, probe
from tests.views.life import OWN, ROUTE

__all__ = ["kept"]  # the fixture

ONE = GateId("gate-000000000001")
GATE_KINDS = {"gate_requested", "gate_probing", "gate_decided", "gate_cancelled", "gate_overridden"}


def requested(days: float, attempt: int = 1, of: GateId = ONE) -> GateRequested:
    when, route = ago(days), GateRoute(ROUTE, "gmail", Arm.CANARY)
    return GateRequested(when, of, f"d of {of}", attempt, BUILT_IN[QUICK], "ci", ("v2",), (route,), when, when.plus(600))


def decided(
    days: float, because: Because = Because.CLEAN, attempt: int = 1, of: GateId = ONE, evidence: tuple[int, ...] = ()
) -> GateDecided:
    return GateDecided(ago(days), of, f"d of {of}", attempt, GATE_VERDICT[because], because, "", (), evidence)


def story(days: float, because: Because = Because.CLEAN, of: GateId = ONE) -> list[Fact]:
    return [requested(days, of=of), GateProbing(ago(days), of, 1, (ROUTE,)), decided(days, because, of=of)]


def asked_by(facts: list[Fact], of: GateId = ONE) -> list[Fact]:
    return [replace(fact, gate=of) if isinstance(fact, ProbePlanned) else fact for fact in facts]


def override(days: float, until: float) -> GateOverridden:
    return GateOverridden(ago(days), ONE, "ana", "known", NOW + until)


@pytest.mark.parametrize(
    ("facts", "stays"),
    [
        pytest.param(story(89.9), True, id="within the time of failures"),
        pytest.param(story(90.1), False, id="long ago"),
        pytest.param(story(90.1, Because.LOSSES), False, id="a failure, long ago"),
        pytest.param([requested(300), GateProbing(ago(300), ONE, 1, (ROUTE,))], True, id="never decided"),
        pytest.param([*story(300, Because.TOO_FEW), requested(200, 2)], True, id="another attempt runs"),
        pytest.param([*story(300, Because.TOO_FEW), requested(200, 2), decided(199, attempt=2)], False, id="another attempt was decided"),
        pytest.param([*story(300, Because.TOO_FEW), requested(89, 2), decided(89, attempt=2)], True, id="one attempt is young: all stay"),
        pytest.param([*story(300, Because.CANCELLED), GateCancelled(ago(300), ONE, "ana", "")], False, id="cancelled"),
        pytest.param([*story(300, Because.LOSSES), override(91, 60.0)], True, id="under an override"),
        pytest.param([*story(300, Because.LOSSES), override(91, -60.0)], False, id="the override has ended"),
        pytest.param([*story(300, Because.LOSSES), override(1, -60.0)], True, id="overridden lately"),
    ],
)
async def test_by_age(kept: Kept, facts: list[Fact], stays: bool) -> None:
    await kept.journal.append([*facts, *story(1, of=GateId("gate-2"))])
    await kept.retire()
    assert len(kept.rows()) == (len(facts) if stays else 0) + 3
    assert kept.rows().count(ONE) == (len(facts) if stays else 0)


@pytest.mark.parametrize(
    ("probes", "days", "stays"),
    [
        pytest.param(life(1, 30, PASS), 30, True, id="a pass, as long as failures"),
        pytest.param(life(1, 89, MISSING), 89, True, id="a failure"),
        pytest.param(life(1, 91, PASS), 91, False, id="it goes with its gate"),
        pytest.param(life(1, 91, MISSING), 91, False, id="so does a failure"),
        pytest.param(life(1, 91, MISSING), 89, True, id="an early probe of a gate that is still told of"),
        pytest.param(life(1, 91, PASS), 89, True, id="an early pass"),
        pytest.param([*life(1, 91, closed=False), Withdrawn(ago(91), probe(1), WithdrawCause.STALE)], 89, True, id="a withdrawn one"),
        pytest.param(life(1, 300, PASS, closed=False), 300, True, id="still watched"),
    ],
)
async def test_its_probes(kept: Kept, probes: list[Fact], days: float, stays: bool) -> None:
    """Decided `days` ago. Probes that nobody's gate asked for go by the ordinary rule."""
    await kept.journal.append([*story(days, Because.LOSSES), *asked_by(probes), *life(2, 30, PASS)])
    await kept.retire()
    assert kept.probes() == ([1] if stays else [])
    if stays:
        assert kept.rows().count(probe(1)) == len(probes), "whole"


async def test_probes_of_a_gate_that_is_unknown_go_like_others(kept: Kept) -> None:
    await kept.journal.append(
        [*asked_by(life(1, 30, PASS), GateId("gate-9")), *asked_by(life(2, 30, PASS), GateId("")), *life(3, 30, PASS)]
    )
    await kept.retire()
    assert kept.probes() == []


@pytest.mark.parametrize(("because", "stays"), [(Because.LOSSES, True), (Because.BLIND, True), (Because.CLEAN, False)])
async def test_what_a_decision_against_a_deploy_rests_on_stays(kept: Kept, because: Because, stays: bool) -> None:
    """Whoever's probe it was, and the watcher's word too."""
    await kept.journal.append([WatchBlind(ago(30), OWN, BlindCause.TIMEOUT, "", ""), *life(1, 30, PASS)])
    verdict = kept.rows("kind").index("judged") + 1
    await kept.journal.append(
        [requested(30), decided(30, because, evidence=(1, verdict)), *life(2, 30, PASS), Looked(ago(30), OWN, ago(30), 6)]
    )
    await kept.retire()
    assert kept.probes() == ([1] if stays else []) and ("watch_blind" in kept.rows("kind")) is stays
    assert "looked" not in kept.rows("kind")


async def test_over_the_cap_gates_go_last_and_what_failed_or_runs_never(kept: Kept) -> None:
    passed, failed, runs, answered = (GateId(f"gate-{name}") for name in ("passed", "failed", "runs", "answered"))
    facts = [*story(5, of=passed), *story(4, Because.LOSSES, failed), requested(3, of=runs), *story(5, Because.TOO_FEW, answered)]
    facts.append(replace(override(4, 60.0), gate=answered))
    for number, of in enumerate((passed, failed, runs, answered), 1):
        facts += asked_by([*life(number, 3, PASS, padding=500), *life(number + 10, 3, MISSING)], of)
    await kept.journal.append([*facts, *life(20, 2, PASS)])
    steps = []
    while await kept.journal.retire(replace(KEEP, max_bytes=1), NOW):
        steps.append((kept.probes(), {key for key in kept.rows() if key.startswith("gate-")}))
    everyone = {passed, failed, runs, answered}
    assert steps == [
        ([1, 2, 3, 4, 11, 12, 13, 14], everyone),
        ([3, 11, 12, 13, 14], everyone),
        ([3, 11, 12, 13, 14], {failed, runs, answered}),
    ]


async def test_a_flood_of_gates_is_bounded_by_the_cap(kept: Kept) -> None:
    """Each is decided as soon as it is asked for: the day's budget is used up."""
    many = 1_000
    await kept.journal.append([fact for n in range(many) for fact in story(2 - n / many, Because.BUDGET, GateId(f"gate-{n}"))])
    cap = await kept.journal.size() // 2
    await kept.retire(replace(KEEP, max_bytes=cap))
    assert await kept.journal.size() <= cap
    left = [int(key.removeprefix("gate-")) for key in kept.rows()]
    assert left and len(left) % 3 == 0 and set(left) == set(range(min(left), many)), "whole stories, the oldest first"


async def test_what_is_left_is_the_same_gate_after_a_restart(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A snapshot of another image's shape is worth nothing: the facts that are left must give the same decision and adverse evidence."""
    home = tmp_path_factory.mktemp("again")
    journal = SqliteJournal(home)
    await journal.append([*story(30, Because.LOSSES), *asked_by(life(1, 30, MISSING)), *asked_by(life(2, 30, PASS)), *life(3, 30, PASS)])
    while await journal.retire(KEEP, NOW):
        pass
    await journal.close()
    again = SqliteJournal(home)
    state = again.restore("world", World).gates.known[ONE]
    await again.close()
    assert state.decision is not None and state.decision.because is Because.LOSSES
    assert {key: trial.reason for key, trial in state.trials.items()} == {probe(1): Reason.MISSING, probe(2): Reason.PASS}


@pytest.mark.parametrize("query", ["_PASSED", "_GATE_PASSED", "_ENDED", "_STORIES", "_GATES", "_GATES_UNFAILED"])
async def test_a_story_is_found_by_its_key(kept: Kept, query: str) -> None:
    """What is asked of each row must not go through all facts of a kind: with a month of probes one step would hold up every commit."""
    with sqlite3.connect(kept.file) as db:
        steps = db.execute(f"EXPLAIN QUERY PLAN {getattr(retention, query)}", {"before": 1.0, "now": 1.0, "step": 1}).fetchall()
    db.close()
    texts = [text for *_, text in steps]
    inner = [texts[place + 1] for place, text in enumerate(texts) if text.startswith("CORRELATED")]
    assert inner and all("facts_by_key" in text for text in inner), steps
