"""The view of the reconciliation: what people know of, and what is remembered of probes."""

from __future__ import annotations

from dataclasses import replace

from monitor.edge.journal.codec import decode_view, encode
from monitor.model.facts import KIND_OF, Accepted, Entry, Fact, Reconciled, SourceBlind, SourceRestored, Transition
from monitor.model.incident import THE_LEDGER, IncidentId, Phase, Severity
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Side, Standing, Volume
from monitor.model.submission import Reply
from monitor.model.verdict import Symptom
from monitor.views.ledger import KEPT_BLIND, KEPT_NUMBERS, KEPT_STEPS, LedgerView, read_until
from tests.views.life import planned

SPURIOUS = DifferenceClass.SPURIOUS


def at(t: float) -> Instant:
    return Instant(1e9 + t, t, "one")


class Told:
    def __init__(self) -> None:
        self.view = LedgerView()
        self.seq = 0

    def fold(self, fact: Fact) -> int:
        self.seq += 1
        self.view.fold(Entry(self.seq, KIND_OF[type(fact)], fact))
        return self.seq

    def reconciled(self, t: float, open_: int, found: int, *volumes: Volume, until: float | None = None) -> int:
        reached = None if until is None else 1e9 + until
        known = ClassStanding(SPURIOUS, open_, found)
        return self.fold(Reconciled(at(t), Standing(classes=(known,), refunds_until=reached, confirmations_until=reached), volumes))

    def said(self, phase: Phase, *evidence: int, symptom: Symptom = Symptom.LEDGER_SPURIOUS) -> None:
        now = at(self.seq)
        self.fold(Transition(now, IncidentId("INC-1"), phase, symptom, THE_LEDGER, Severity.PAGE, 1, now, evidence=evidence))


def test_what_is_new_is_counted_from_what_was_known_when_it_was_over() -> None:
    told = Told()
    first = told.reconciled(1, 5, 5)
    assert told.view.fresh(SPURIOUS) == 5
    told.said(Phase.OPENED, first)
    assert told.view.fresh(SPURIOUS) == 5
    then = told.reconciled(2, 6, 6, until=1)
    told.reconciled(3, 9, 9, until=2)  # before what was decided on the one before is in the journal
    told.said(Phase.RESOLVED, first, then)
    assert told.view.fresh(SPURIOUS) == 3
    heard = told.view.of_people(SPURIOUS)
    assert (heard.told, heard.settled, heard.left, heard.until) == (6, 6, 6, 1e9 + 1)


def test_steps_that_nobody_hears_of_and_other_incidents_change_nothing() -> None:
    told = Told()
    first = told.reconciled(1, 5, 5)
    told.said(Phase.ACKNOWLEDGED, first)
    told.said(Phase.RESOLVED, first, symptom=Symptom.LEDGER_DUPLICATE)
    told.said(Phase.RESOLVED, first, symptom=Symptom.VOLUME)
    assert told.view.fresh(SPURIOUS) == 5
    assert told.view.of_people(SPURIOUS).told == 0


def test_no_more_are_new_than_stand() -> None:
    told = Told()
    told.reconciled(1, 2, 5)
    assert told.view.fresh(SPURIOUS) == 2


def test_evidence_that_is_no_longer_remembered_counts_as_the_oldest_that_is() -> None:
    told = Told()
    first = told.reconciled(0, 1, 1)
    for number in range(2 * KEPT_STEPS):
        told.reconciled(number, 2 + number, 2 + number)
    assert len(told.view.counted) == KEPT_STEPS
    told.said(Phase.RESOLVED, first)
    assert told.view.fresh(SPURIOUS) == KEPT_STEPS - 1


def test_a_store_that_was_lost_begins_anew() -> None:
    told = Told()
    told.said(Phase.RESOLVED, told.reconciled(1, 5, 5))
    told.reconciled(2, 0, 0)
    told.reconciled(3, 5, 5)
    assert told.view.fresh(SPURIOUS) == 5


def test_volumes_are_remembered_from_where_they_are_shown_in_a_row() -> None:
    collapse = Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, 1e9, 1e9 + 600, 0, 24.0, "refunds")
    told = Told()
    told.reconciled(1, 0, 0)
    assert told.view.calm is not None
    told.reconciled(2, 0, 0, until=1)
    assert told.view.calm.until == 1e9 + 1, "it counts from where both sides are read"
    told.reconciled(3, 0, 0, until=2)
    assert told.view.calm.until == 1e9 + 1
    told.reconciled(4, 0, 0, collapse, until=3)
    told.reconciled(5, 0, 0, collapse, until=4)
    assert told.view.calm is None
    (stretch,) = told.view.shown.values()
    assert (stretch.since, stretch.until) == (at(4), 1e9 + 3)
    told.reconciled(6, 0, 0, until=5)
    assert told.view.shown == {}


def test_a_source_is_blind_from_when_it_was_first_said() -> None:
    told = Told()
    for t in (1, 2):
        told.fold(SourceBlind(at(t), "shop-db", Side.REFUNDS, f"{t}", ""))
    assert told.view.blind["shop-db"].at == at(1)
    told.fold(SourceRestored(at(3), "shop-db", Side.REFUNDS))
    told.fold(SourceRestored(at(3), "shop-db", Side.REFUNDS))
    assert told.view.blind == {}
    for number in range(2 * KEPT_BLIND):
        told.fold(SourceBlind(at(number), f"source-{number}", Side.REFUNDS, "", ""))
    assert len(told.view.blind) == KEPT_BLIND


def test_numbers_of_probes_are_remembered_and_bounded() -> None:
    told, plan = Told(), planned()
    told.fold(plan)
    told.fold(Accepted(at(1), plan.probe, 1, Reply(250, "ok"), app_refund_id="app-7"))
    told.fold(Accepted(at(1), plan.probe, 1, Reply(250, "ok")))
    assert told.view.numbers == [plan.story.refund_number, "app-7"]
    assert told.view.numbered == 2
    most = 0
    for number in range(2 * KEPT_NUMBERS):
        told.fold(replace(plan, story=replace(plan.story, refund_number=f"RF-{number}")))
        most = max(most, len(told.view.numbers))
    assert KEPT_NUMBERS <= most <= 1.2 * KEPT_NUMBERS
    assert told.view.numbers[-1] == f"RF-{2 * KEPT_NUMBERS - 1}"
    assert told.view.numbered == 2 * KEPT_NUMBERS + 2


def test_a_snapshot_holds_all_of_it() -> None:
    told = Told()
    told.fold(planned())
    told.said(Phase.OPENED, told.reconciled(1, 5, 5, Volume(Flow.FLOOD, Side.REFUNDS, 1.0, 2.0, 3, 4.0, "usual"), until=1))
    told.fold(SourceBlind(at(2), "shop-db", Side.REFUNDS, "no", "look"))
    assert decode_view(encode(told.view), LedgerView) == told.view


def test_both_sides_are_read_as_far_as_the_one_behind() -> None:
    assert read_until(Standing(refunds_until=5.0, confirmations_until=3.0)) == 3.0
    assert read_until(Standing(refunds_until=5.0)) is None
