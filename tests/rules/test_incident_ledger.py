"""How refunds and confirmations differ becomes incidents: what opens them, how loud, and that only fresh evidence or a person ends them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.facts import (
    KIND_OF,
    Acknowledged,
    DeployMarked,
    Entry,
    Fact,
    LedgerPurged,
    Reconciled,
    ResolveAsked,
    SourceBlind,
    SourceRestored,
    Started,
    Transition,
)
from monitor.model.incident import THE_LEDGER, DeployPhase, Opening, Phase, Severity
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Purge, Purged, Side, Standing, Volume
from monitor.model.money import Money
from monitor.model.policy import Policy
from monitor.model.sources import LedgerPolicy, PushSource, SourcePolicy
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident import MOST
from monitor.rules.incident.layout import Layout
from monitor.rules.incident.ledger import QUIET, VOLUME_QUIET
from monitor.rules.incident.telling import GROWN_EVERY
from monitor.rules.replay.strand import Strand
from monitor.views.ledger import STORE, SYMPTOM_OF_CLASS
from monitor.views.world import World
from tests.rules.incidents import M, Play, app, rules
from tests.rules.truth import SetBack
from tests.views.life import NOON

MISSING, SPURIOUS, MISMATCHED, DUPLICATE = DifferenceClass
OPENED, GROWN, RESOLVED, TICKET, PAGE = Phase.OPENED, Phase.GROWN, Phase.RESOLVED, Severity.TICKET, Severity.PAGE
H = 3_600.0
DB = SourcePolicy("shop-db", Side.REFUNDS, PushSource(), 10.0, 0.0)
LOG = SourcePolicy("relay-log", Side.CONFIRMATIONS, PushSource(), 10.0, 0.0)
LEDGER = LedgerPolicy(sources={"shop-db": DB, "relay-log": LOG})


def with_ledger(of: Policy, ledger: LedgerPolicy = LEDGER) -> Policy:
    return replace(of, ledger=ledger)


class Books(Play):
    """A play with a ledger. Times are seconds after noon; counts are kept, so that a test says only what changes."""

    def __init__(self, ledger: LedgerPolicy = LEDGER) -> None:
        super().__init__(with_ledger(rules(), ledger))
        self.classes = {kind: ClassStanding(kind) for kind in DifferenceClass}
        self.read: tuple[float | None, float | None] = (0.0, 0.0)
        self.volumes: tuple[Volume, ...] = ()

    def found(self, kind: DifferenceClass, number: int, t: float, began: float | None = None) -> None:
        was = self.classes[kind]
        earliest = NOON + (t if began is None else began)
        self.classes[kind] = replace(
            was,
            open=was.open + number,
            found=was.found + number,
            latest=NOON + t,
            earliest=min(was.earliest or earliest, earliest),
            customers=was.open + number,
            money=(Money(Decimal(10 * (was.open + number)), "EUR"),),
        )

    def settled(self, kind: DifferenceClass, number: int) -> None:
        was = self.classes[kind]
        left = was.open - number
        gone = ClassStanding(kind, 0, was.found, was.latest)
        self.classes[kind] = replace(was, open=left, customers=left) if left else gone

    def reconciled(self, t: float, until: float | None = None, stands_still: bool = False) -> list[Phase]:
        """Both sides were read until `until` (now, if nothing else is said), and what follows."""
        if not stands_still:
            self.read = (t if until is None else until,) * 2
        refunds, confirmations = (None if at is None else NOON + at for at in self.read)
        standing = Standing(31, 8, 8, 0, 0, tuple(self.classes.values()), refunds, confirmations)
        self.tell(Reconciled(self.at(t), standing, self.volumes))
        return self.ask(t + 0.1, ())

    def differ(self, kind: DifferenceClass, number: int, t: float, began: float | None = None) -> list[Phase]:
        self.found(kind, number, t, began)
        return self.reconciled(t)

    def by_hand(self, t: float) -> list[Phase]:
        self.tell(ResolveAsked(self.at(t), self.last.incident, "ana", "known"))
        return self.ask(t + 0.1, ())

    def blinded(self, source: str, t: float, side: Side = Side.REFUNDS) -> None:
        self.tell(SourceBlind(self.at(t), source, side, "no answer", "see whether it runs"))

    def restored(self, source: str, t: float, side: Side = Side.REFUNDS) -> None:
        self.tell(SourceRestored(self.at(t), source, side))

    @property
    def last(self) -> Transition:
        return self.said[-1]


@pytest.fixture
def play() -> Books:
    return Books()


# --- what opens it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "number", "level"),
    [
        (MISSING, 1, TICKET),
        (MISSING, 4, TICKET),
        (MISSING, 5, PAGE),
        (SPURIOUS, 1, PAGE),
        (MISMATCHED, 1, PAGE),
        (DUPLICATE, 4, TICKET),
        (DUPLICATE, 5, PAGE),
    ],
)
def test_differences_open_at_once_as_loud_as_they_are_many(play: Books, kind: DifferenceClass, number: int, level: Severity) -> None:
    assert play.reconciled(10) == []
    assert play.differ(kind, number, 70, began=20) == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.scope, fact.severity) == (SYMPTOM_OF_CLASS[kind], THE_LEDGER, level)
    assert (fact.opening, fact.routes, fact.episode) == (Opening.DIFFERENCE, (), 1)
    assert fact.since.utc == pytest.approx(NOON + 20)
    assert fact.since.mono == pytest.approx(20)
    assert fact.evidence == (play.world.ledger.last_seq,)
    assert play.ask(71) == []


def test_what_is_no_more_when_it_is_compared_opens_nothing(play: Books) -> None:
    play.found(MISSING, 5, 60)
    play.settled(MISSING, 5)
    assert play.reconciled(60) == []


def test_without_a_ledger_nothing_opens_and_what_is_open_ends(play: Books) -> None:
    play.differ(MISSING, 5, 60)
    play.policy = replace(play.policy, ledger=LedgerPolicy())
    assert play.ask(61) == [RESOLVED]
    assert play.last.note == "no ledger is configured any more"
    assert play.ask(62) == []


def test_each_class_has_an_incident_of_its_own(play: Books) -> None:
    play.found(MISSING, 5, 60)
    play.found(SPURIOUS, 2, 60)
    assert play.reconciled(60) == [OPENED, OPENED]
    assert {state.last.symptom for state in play.world.incidents.open()} == {Symptom.LEDGER_MISSING, Symptom.LEDGER_SPURIOUS}


def test_a_deploy_stands_beside_it_by_the_time_of_the_first_refund(play: Books) -> None:
    """Found an hour later, it is still the deploy of an hour ago."""
    play.tell(DeployMarked(play.at(10), "d2", DeployPhase.FINISH, "shop", "v2", by="ana"))
    play.differ(MISSING, 5, 10 + 70 + H, began=70)
    (deploy,) = play.last.deploys
    assert (deploy.version, deploy.seconds_after) == ("v2", pytest.approx(60))


def test_when_everything_is_full_only_pages_open(play: Books) -> None:
    for number in range(MOST):
        fact = replace(_opening(play), incident=f"INC-{number + 1}", symptom=Symptom.GATE_HOLD)  # type: ignore[arg-type]
        play.tell(fact)
    play.found(MISSING, 1, 60)
    play.found(SPURIOUS, 1, 60)
    play.reconciled(60)
    opened = [fact.symptom for fact in play.opened()]
    assert opened == [Symptom.LEDGER_SPURIOUS]


def _opening(play: Books) -> Transition:
    other = Books()
    other.differ(MISSING, 1, 1)
    return replace(other.last, at=play.at(1), since=play.at(1), evidence=())


# --- what makes it grow -----------------------------------------------------------------------------------------------


def test_a_ticket_becomes_a_page_at_once(play: Books) -> None:
    play.differ(MISSING, 2, 60)
    assert play.differ(MISSING, 3, 70) == [GROWN]
    assert (play.last.severity, play.last.note) == (PAGE, "5 now, 2 when last told")
    assert play.ask(71) == []


def test_after_that_it_is_told_again_when_they_have_doubled_and_not_too_often(play: Books) -> None:
    play.differ(MISSING, 5, 60)
    assert play.differ(MISSING, 20, 70) == []
    assert play.differ(MISSING, 1, 60 + GROWN_EVERY) == [GROWN]
    assert play.last.note == "26 now, 5 when last told"
    assert play.differ(MISSING, 20, 70 + 2 * GROWN_EVERY) == []
    assert play.differ(MISSING, 6, 80 + 2 * GROWN_EVERY) == [GROWN]


def test_a_hundred_reconciliations_that_say_the_same_are_told_once(play: Books) -> None:
    play.differ(SPURIOUS, 3, 60)
    for round_ in range(100):
        assert play.reconciled(60 + 30 * (round_ + 1)) == []


# --- what ends it -----------------------------------------------------------------------------------------------------


def test_missing_ones_are_over_when_none_is_missing(play: Books) -> None:
    play.differ(MISSING, 5, 60)
    play.settled(MISSING, 4)
    assert play.reconciled(120) == []
    play.settled(MISSING, 1)
    assert play.reconciled(180) == [RESOLVED]
    assert play.last.note.startswith("every refund that was missing is confirmed")
    assert play.ask(181) == []


def test_missing_ones_are_not_over_because_the_store_was_lost(play: Books) -> None:
    play.differ(MISSING, 5, 60)
    play.classes[MISSING] = ClassStanding(MISSING)
    assert play.reconciled(120) == []
    assert play.reconciled(9_000) == []
    play.found(MISSING, 5, 9_060)
    assert play.reconciled(9_060) == []
    play.settled(MISSING, 5)
    assert play.reconciled(9_120) == [RESOLVED]


@pytest.mark.parametrize("kind", [SPURIOUS, MISMATCHED, DUPLICATE])
def test_the_others_are_over_after_an_hour_of_fresh_evidence_without_another(play: Books, kind: DifferenceClass) -> None:
    play.differ(kind, 5, 60)
    assert play.reconciled(60 + QUIET - 1) == []
    assert play.reconciled(60 + QUIET + 1) == [RESOLVED]
    assert play.last.note == "no other one in 1 h of fresh refunds and confirmations"
    assert play.ask(60 + QUIET + 2) == []
    assert play.reconciled(60 + QUIET + 60) == []  # they stand in the list for ever, and are told of


def test_another_one_starts_the_hour_anew(play: Books) -> None:
    play.differ(SPURIOUS, 5, 60)
    assert play.differ(SPURIOUS, 1, 3_000) == []
    assert play.reconciled(60 + QUIET + 1) == []
    assert play.reconciled(3_000 + QUIET + 1) == [RESOLVED]


@pytest.mark.parametrize("stuck", [0, 1])
def test_one_side_that_stands_still_ends_nothing(play: Books, stuck: int) -> None:
    play.differ(SPURIOUS, 5, 60)
    for t in range(120, 90_000, 3_000):
        play.read = (float(t), 60.0) if stuck else (60.0, float(t))
        assert play.reconciled(t, stands_still=True) == []
    play.read = (None, 90_000.0) if stuck else (90_000.0, None)
    assert play.reconciled(90_000, stands_still=True) == []


def test_silence_ends_nothing(play: Books) -> None:
    play.differ(SPURIOUS, 5, 60)
    play.differ(MISSING, 5, 61)
    for t in range(120, 200_000, 5_000):
        assert play.ask(t) == []
        assert play.ask(t + 1, ()) == []


def test_a_person_ends_it_and_only_new_ones_open_it_again(play: Books) -> None:
    play.differ(MISSING, 7, 60)
    assert play.by_hand(100) == [RESOLVED]
    assert (play.last.by, play.last.note) == ("ana", "known")
    assert play.ask(101) == []
    assert play.reconciled(160) == []
    assert play.differ(MISSING, 2, 220) == [OPENED]
    assert (play.last.episode, play.last.severity) == (2, TICKET)
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.summary.startswith("2 refunds since")


def test_those_found_while_a_person_ends_it_are_told(play: Books) -> None:
    """The transition is written on what was known, and another reconciliation may be in the journal before it is."""
    play.differ(SPURIOUS, 5, 60)
    play.tell(ResolveAsked(play.at(100), play.last.incident, "ana", "known"))
    decision = play.decided(100.1, ())
    play.found(SPURIOUS, 2, 100.2)
    standing = Standing(31, 8, classes=tuple(play.classes.values()), refunds_until=NOON + 100, confirmations_until=NOON + 100)
    play.tell(Reconciled(play.at(100.2), standing))
    play.tell(*decision.transitions)
    play.said += decision.transitions
    assert play.ask(100.3, ()) == [OPENED]
    assert play.world.ledger.fresh(SPURIOUS) == 2


def test_those_found_since_it_opened_are_not_told_again_when_a_person_ends_it(play: Books) -> None:
    play.differ(SPURIOUS, 5, 60)
    play.differ(SPURIOUS, 2, 70)  # not told: it did not double
    assert play.by_hand(100) == [RESOLVED]
    assert play.reconciled(160) == []


def test_new_ones_do_not_begin_where_the_old_ones_that_are_left_began(play: Books) -> None:
    """Or every incident would be laid to the deploy of the first one."""
    play.differ(SPURIOUS, 3, 60, began=20)
    play.reconciled(60 + QUIET + 1)
    later = 60 + 3 * QUIET
    play.reconciled(later)
    assert play.differ(SPURIOUS, 1, later + 60, began=20) == [OPENED]
    resolved_until = 60 + QUIET + 1
    assert play.last.since.utc == pytest.approx(NOON + resolved_until - LEDGER.refund_within)


def test_it_can_be_acknowledged(play: Books) -> None:
    play.differ(MISSING, 5, 60)
    play.tell(Acknowledged(play.at(100), play.last.incident, "ana", "looking"))
    assert play.ask(101, ()) == [Phase.ACKNOWLEDGED]


def test_one_that_flaps_ends_only_when_much_later_nothing_is_missing(play: Books) -> None:
    t = 60.0
    for _ in range(3):
        assert play.differ(MISSING, 1, t) in ([OPENED], [OPENED, Phase.FLAPPING])
        play.settled(MISSING, 1)
        before = play.reconciled(t + 60)
        t += 300
    assert before == [Phase.RECOVERING]
    patience = 4 * play.policy.incidents.recover_after
    assert play.reconciled(t + 60) == []
    assert play.differ(MISSING, 1, t + 120) == [Phase.RELAPSED]
    play.settled(MISSING, 1)
    assert play.reconciled(t + 180) == [Phase.RECOVERING]
    assert play.ask(t + 180 + 2 * patience) == []  # silence
    assert play.reconciled(t + 181 + patience) == [RESOLVED]


# --- volumes ----------------------------------------------------------------------------------------------------------


def volume(flow: Flow, side: Side, t: float) -> Volume:
    return Volume(flow, side, NOON + t, NOON + t + 600, 0, 24.0, "refunds")


@pytest.mark.parametrize(
    ("flow", "side", "level"),
    [
        (Flow.COLLAPSE, Side.CONFIRMATIONS, PAGE),
        (Flow.FLOOD, Side.CONFIRMATIONS, PAGE),
        (Flow.COLLAPSE, Side.REFUNDS, TICKET),
        (Flow.FLOOD, Side.REFUNDS, TICKET),
    ],
)
def test_volumes_open_when_two_reconciliations_agree(play: Books, flow: Flow, side: Side, level: Severity) -> None:
    play.volumes = (volume(flow, side, 10),)
    assert play.reconciled(100) == []
    assert play.reconciled(159) == []
    assert play.reconciled(160) == [OPENED]
    assert (play.last.symptom, play.last.severity, play.last.since.utc) == (Symptom.VOLUME, level, pytest.approx(NOON + 10))


def test_two_that_agree_on_the_same_evidence_are_one(play: Books) -> None:
    play.volumes = (volume(Flow.COLLAPSE, Side.CONFIRMATIONS, 10),)
    assert play.reconciled(100) == []
    for t in range(160, 9_000, 60):
        assert play.reconciled(t, stands_still=True) == []
    assert play.reconciled(9_060) == [OPENED]


def test_a_single_slip_is_none(play: Books) -> None:
    for t in range(100, 2_000, 120):
        play.volumes = (volume(Flow.COLLAPSE, Side.CONFIRMATIONS, t),)
        assert play.reconciled(t) == []
        play.volumes = ()
        assert play.reconciled(t + 60) == []


def test_refunds_out_of_bounds_become_a_page_when_confirmations_are_too(play: Books) -> None:
    play.volumes = (volume(Flow.FLOOD, Side.REFUNDS, 10),)
    play.reconciled(100)
    assert play.reconciled(160) == [OPENED]
    play.volumes = (*play.volumes, volume(Flow.FLOOD, Side.CONFIRMATIONS, 100))
    assert play.reconciled(220) == []
    assert play.reconciled(280) == [GROWN]
    assert play.last.severity is PAGE


def test_volumes_are_over_after_half_an_hour_of_fresh_evidence(play: Books) -> None:
    play.volumes = (volume(Flow.COLLAPSE, Side.CONFIRMATIONS, 10),)
    play.reconciled(100)
    play.reconciled(160)
    play.volumes = ()
    assert play.reconciled(220) == []
    assert play.reconciled(220 + VOLUME_QUIET + 600, until=220 + VOLUME_QUIET - 1) == []
    assert play.ask(220 + 9 * VOLUME_QUIET) == []
    assert play.reconciled(220 + 10 * VOLUME_QUIET, until=221 + VOLUME_QUIET) == [RESOLVED]


def test_a_volume_that_a_person_closed_is_told_again_only_when_it_was_well_between(play: Books) -> None:
    play.volumes = (volume(Flow.FLOOD, Side.CONFIRMATIONS, 10),)
    play.reconciled(100)
    play.reconciled(160)
    assert play.by_hand(200) == [RESOLVED]
    assert play.reconciled(300) == play.reconciled(400) == []
    play.volumes = ()
    play.reconciled(500)
    play.volumes = (volume(Flow.FLOOD, Side.CONFIRMATIONS, 600),)
    play.reconciled(600)
    assert play.reconciled(700) == [OPENED]


class BooksAhead(SetBack, Books):
    """Compared while the clock was wrong."""


def test_an_end_that_a_wrong_clock_dated_into_the_future_hides_no_volume() -> None:
    play = BooksAhead()
    play.volumes = (volume(Flow.FLOOD, Side.CONFIRMATIONS, 10),)
    play.reconciled(100)
    play.reconciled(160)
    assert play.by_hand(200) == [RESOLVED]
    play.set_back(250)
    assert play.reconciled(300) == []
    play.volumes = ()
    play.reconciled(500)
    play.volumes = (volume(Flow.FLOOD, Side.CONFIRMATIONS, 600),)
    play.reconciled(600)
    assert play.reconciled(700) == [OPENED]


# --- blindness --------------------------------------------------------------------------------------------------------


def test_a_source_that_cannot_be_read_for_long_is_a_ticket(play: Books) -> None:
    patience = play.policy.incidents.blind_after
    play.blinded("shop-db", 10)
    assert play.ask(11, ()) == []
    assert play.wake == pytest.approx(patience - 1)
    assert play.ask(10 + patience) == [OPENED]
    fact = play.last
    assert (fact.symptom, fact.scope, fact.severity, fact.opening) == (Symptom.LEDGER_BLIND, THE_LEDGER, TICKET, Opening.BLIND)
    assert fact.since.utc == pytest.approx(NOON + 10)
    assert play.ask(5_000) == []
    play.restored("shop-db", 5_010)
    assert play.ask(5_011, ()) == [RESOLVED]


def test_a_source_that_is_no_longer_configured_is_not_blind(play: Books) -> None:
    play.blinded("gone", 10)
    assert play.ask(9_000) == []


def test_the_store_is_a_source_too(play: Books) -> None:
    play.blinded(STORE, 10)
    assert play.ask(1_000) == [OPENED]
    assert play.last.diagnosis is not None
    assert "the ledger store cannot be read" in play.last.diagnosis.summary


def test_another_blind_source_is_told_once(play: Books) -> None:
    play.blinded("shop-db", 10)
    play.ask(1_000)
    play.blinded("relay-log", 1_100, Side.CONFIRMATIONS)
    assert play.ask(1_500) == []
    assert play.ask(2_001) == [GROWN]
    assert play.last.note == "also relay-log"
    assert play.ask(3_000) == []
    play.restored("shop-db", 3_001)
    assert play.ask(3_002, ()) == []
    play.restored("relay-log", 3_003, Side.CONFIRMATIONS)
    assert play.ask(3_004, ()) == [RESOLVED]


def test_one_that_a_person_closed_is_told_again_after_the_same_patience(play: Books) -> None:
    patience = play.policy.incidents.blind_after
    play.blinded("shop-db", 0)
    play.ask(patience)
    assert play.by_hand(1_000) == [RESOLVED]
    assert play.ask(1_500) == []
    assert play.wake is not None
    assert play.ask(1_001 + patience) == [OPENED]


def test_a_new_process_is_patient_anew(play: Books) -> None:
    play.blinded("shop-db", 0)
    play.process = "two"
    play.tell(Started(play.at(5_000), "1", ""))
    assert play.ask(5_001) == []
    assert play.ask(5_001 + play.policy.incidents.blind_after) == [OPENED]


def test_blindness_that_ended_while_the_clock_was_wrong_is_told_again() -> None:
    play = BooksAhead()
    play.blinded("shop-db", 0)
    play.ask(1_000)
    assert play.by_hand(1_100) == [RESOLVED]
    play.set_back(5_000)
    play.tell(Started(play.at(5_000), "1", ""))
    assert play.ask(5_001) == []
    assert play.ask(5_001 + play.policy.incidents.blind_after) == [OPENED]


# --- beside everything else -------------------------------------------------------------------------------------------


def test_it_holds_no_route_and_probes_do_not_end_it(play: Books) -> None:
    assert Layout.of(play.policy).within(THE_LEDGER) == ()
    play.differ(MISSING, 5, 60)
    play.ask(play.passes(100, 40))
    assert [state.last.symptom for state in play.world.incidents.open()] == [Symptom.LEDGER_MISSING]


def test_the_incidents_of_probes_know_nothing_of_it() -> None:
    def trouble(of: Books, with_ledger: bool) -> list[tuple[Phase, Symptom, object, Severity, object]]:
        t = of.passes(0.0, 3)
        if with_ledger:
            of.differ(MISSING, 9, t)
        for number in (1, 2, 3, 4, 5, 6) * 2:
            t += 10
            of.probe(app(number), t, Reason.REJECTED)
            of.ask(t + 3)
        of.ask(of.passes(t + 60, 24))
        return [(f.phase, f.symptom, f.scope, f.severity, f.parent) for f in of.said if f.symptom is not Symptom.LEDGER_MISSING]

    without = trouble(Books(), False)
    assert Phase.OPENED in {phase for phase, *_ in without}
    assert trouble(Books(), True) == without


def test_a_purge_wakes_it(play: Books) -> None:
    play.differ(MISSING, 1, 60)
    play.tell(LedgerPurged(play.at(70), "ana", Purge(before=NOON), Purged(1, 0, 1)))
    play.settled(MISSING, 1)
    assert play.reconciled(80) == [RESOLVED]


def test_a_past_that_is_told_again_opens_and_ends_it_too(play: Books) -> None:
    entries: list[Entry] = []
    tell = play.tell

    def wrote(*facts: Fact) -> None:
        tell(*facts)
        entries.extend(Entry(len(entries) + 1 + place, KIND_OF[type(fact)], fact) for place, fact in enumerate(facts))

    play.tell = wrote  # type: ignore[method-assign]
    play.differ(SPURIOUS, 3, 60)
    play.reconciled(60 + QUIET + 1)
    play.differ(MISSING, 5, 90_000)
    play.settled(MISSING, 5)
    play.reconciled(90_060)
    recorded = [(fact.symptom, fact.at.utc) for fact in play.opened()]
    strand = Strand(play.policy, lambda plan: plan, with_incidents=True)
    for entry in entries:
        strand.take(entry)
    strand.end()
    assert strand.deciding is not None
    assert [fact.symptom for fact in strand.deciding.opened] == [symptom for symptom, _ in recorded]
    assert [fact.at.utc for fact in strand.deciding.opened] == pytest.approx([at for _, at in recorded], abs=1.0)
    assert strand.world.incidents.open() == []


moves = some.lists(
    some.tuples(
        some.sampled_from(["find", "settle", "resolve", "wait", "still", "blind", "restore"]),
        some.sampled_from(list(DifferenceClass)),
        some.integers(1, 6),
        some.sampled_from([1.0, 61.0, 700.0, 4_000.0]),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(moves)
def test_whatever_happens(script: list[tuple[str, DifferenceClass, int, float]]) -> None:
    """One incident a class at most, nothing twice, a fold of what was said gives the same, and while nothing moves nothing is decided."""
    play, t = Books(), 100.0
    for move, kind, number, pause in script:
        t += pause
        match move:
            case "find":
                play.differ(kind, number, t)
            case "settle":
                play.settled(kind, min(number, play.classes[kind].open))
                play.reconciled(t)
            case "resolve":
                for state in play.world.incidents.open():
                    play.tell(ResolveAsked(play.at(t), state.id, "ana", "known"))
            case "wait":
                play.reconciled(t)
            case "blind":
                play.blinded("shop-db", t)
            case "restore":
                play.restored("shop-db", t)
        play.ask(t + 0.2, ())
        assert play.ask(t + 0.3, ()) == []
        assert play.ask(t + 0.4) == []
        open_ = [state.last.symptom for state in play.world.incidents.open()]
        assert len(open_) == len(set(open_))
        for each in DifferenceClass:
            if play.world.ledger.fresh(each):
                assert SYMPTOM_OF_CLASS[each] in open_
    quiet = {state.id: state.last.symptom for state in play.world.incidents.open()}
    before = len(play.said)
    for _ in range(8):
        t += 2_000.0
        play.reconciled(t, stands_still=True)
        play.ask(t + 1)
    decided = [fact for fact in play.said[before:] if fact.symptom is not Symptom.LEDGER_BLIND and fact.phase is not GROWN]
    assert decided == [], quiet
    folded = World()
    for seq, fact in enumerate(play.said, start=1):
        folded.fold(Entry(seq, "transition", fact))
    assert {key: state.is_open for key, state in folded.incidents.known.items()} == {
        key: state.is_open for key, state in play.world.incidents.known.items()
    }
    assert t > M
