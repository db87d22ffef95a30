"""The view of gates: what each fact changes, what changes nothing, what is bounded, and that a restart finds it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.edge.journal.codec import decode_fact, decode_view, encode, kind_of
from monitor.model.facts import (
    KINDS,
    Accepted,
    Attempted,
    Closed,
    Deferred,
    Entry,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateProbing,
    GateRequested,
    Judged,
    ProbePlanned,
    Refused,
    Sighted,
    Started,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    Tripped,
    WithdrawCause,
    Withdrawn,
    Withheld,
)
from monitor.model.gate import BUILT_IN, GATE_VERDICT, QUICK, Arm, Because, GateId, GateRoute
from monitor.model.instant import Instant
from monitor.model.mail import Carrier, Field, Placement
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason
from monitor.views import gates
from monitor.views.budget import utc_day
from monitor.views.gates import KEPT_BURST, KEPT_GATES, KEPT_TRIPS, KEPT_VERSIONS, GateState, GateTrial
from monitor.views.world import World
from tests.views.facts import facts_of
from tests.views.life import NOON, PATH, planned, sighted

ONE = GateId("gate-000000000001")
DAY = 86_400.0
OTHER_BOX = MailboxName("outlook-1")
GMAIL = Route(PATH, MailboxName("gmail-1"))
OUTLOOK = Route(PATH, OTHER_BOX)
CONTROL = Route(PathName("bare"), OTHER_BOX)
NO = Reply(550, "no", "5.7.1")


def at(t: float, process: str = "one") -> Instant:
    return Instant(NOON + t, t, process)


def gate(number: int) -> GateId:
    return GateId(f"gate-{number:012x}")


def probe(number: int) -> ProbeId:
    return ProbeId(f"{number:012x}")


def requested(t: float = 0.0, attempt: int = 1, of: GateId = ONE, **fields: Any) -> GateRequested:
    routes = (GateRoute(GMAIL, "gmail", Arm.CANARY), GateRoute(OUTLOOK, "outlook", Arm.CANARY))
    fact = GateRequested(at(t), of, f"deploy of {of}", attempt, BUILT_IN[QUICK], "ci", ("v2",), routes, at(t), at(t + 600))
    return replace(fact, **fields)


def decided(t: float, because: Because = Because.CLEAN, attempt: int = 1, of: GateId = ONE) -> GateDecided:
    return GateDecided(at(t), of, f"deploy of {of}", attempt, GATE_VERDICT[because], because, "", (), ())


def plan(number: int, t: float = 1.0, of: str = ONE, route: Route = GMAIL) -> ProbePlanned:
    return replace(planned(), at=at(t), probe=probe(number), route=route, purpose=Purpose.GATE, gate=of)


def judged(number: int, t: float, reason: Reason, version: str = "") -> Judged:
    return Judged(at(t), probe(number), GMAIL, Purpose.GATE, 0, reason.verdict, reason, "because", (), served_version=version)


def differs(number: int, t: float, *altered: Field) -> Sighted:
    return Sighted(at(t), probe(number), GMAIL.mailbox, "INBOX", Placement.INBOX, 1, 1, None, "", "", (Carrier.HEADER,), altered=altered)


def world(*facts: Fact) -> World:
    told = World()
    tell(told, *facts)
    return told


def tell(told: World, *facts: Fact) -> None:
    for fact in facts:
        told.fold(Entry(told.seq + 1, kind_of(fact), fact))


def state(told: World, of: GateId = ONE) -> GateState:
    return told.gates.known[of]


class TestAttempts:
    def test_one_runs_until_it_is_decided(self) -> None:
        told = world(requested())
        assert state(told).running and told.gates.running() == [state(told)] and state(told).decision is None
        tell(told, decided(5))
        assert not state(told).running and not told.gates.running() and state(told).decision == decided(5)

    def test_another_attempt_keeps_what_the_first_one_saw(self) -> None:
        told = world(
            requested(), plan(1), GateCancelled(at(3), ONE, "ana", ""), decided(5, Because.CANCELLED), requested(60, 2), plan(2, 61)
        )
        assert state(told).running and state(told).cancelled is None and len(state(told).decisions) == 1
        assert {key: trial.attempt for key, trial in state(told).trials.items()} == {probe(1): 1, probe(2): 2}

    def test_of_two_that_asked_at_once_the_first_began_it(self) -> None:
        told = world(requested(), replace(requested(0.1), by="another"))
        assert [request.by for request in state(told).requests] == ["ci"] and state(told).begun == 1
        tell(told, decided(5, Because.TOO_FEW), requested(60, 2))
        assert state(told).begun == 4 and state(told).request.attempt == 2

    def test_one_decision_an_attempt(self) -> None:
        told = world(requested(), decided(5, Because.TOO_FEW), decided(6), requested(60, 2), decided(61, attempt=1))
        assert [fact.because for fact in state(told).decisions] == [Because.TOO_FEW] and state(told).running

    def test_a_pass_may_be_taken_back_by_a_fail_and_by_nothing_else(self) -> None:
        told = world(requested(), decided(5), decided(6, Because.TOO_FEW), decided(7, Because.LOSSES), decided(8))
        assert state(told).decisions == [decided(7, Because.LOSSES)]

    @pytest.mark.parametrize(
        ("route", "t", "reason", "spoiled"),
        [(GMAIL, 6, Reason.SPAM, True), (GMAIL, 4, Reason.SPAM, False), (GMAIL, 6, Reason.PASS, False), (CONTROL, 6, Reason.SPAM, False)],
    )
    def test_a_pass_is_spoiled_by_what_turns_bad_later(self, route: Route, t: float, reason: Reason, spoiled: bool) -> None:
        told = world(requested(), plan(1, route=route), judged(1, 3, Reason.PASS))
        tell(told, *sorted((decided(5), judged(1, t, reason)), key=lambda fact: fact.at.utc))
        assert state(told).spoiled is spoiled
        tell(told, judged(1, 8, Reason.SPAM))
        assert state(told).spoiled is (route is not CONTROL and t != 4), "that it is still bad is no news"

    def test_a_pass_is_spoiled_by_a_wrong_amount_that_is_seen_later(self) -> None:
        told = world(requested(), plan(1), judged(1, 3, Reason.PASS), decided(5))
        tell(told, differs(1, 6, Field.REFUND_NUMBER))
        assert not state(told).spoiled
        tell(told, differs(1, 7, Field.AMOUNT))
        assert state(told).spoiled
        tell(told, judged(1, 8, Reason.PASS))
        assert state(told).spoiled, "whatever else is said of it"

    def test_what_turned_good_again_spoils_nothing(self) -> None:
        told = world(requested(), plan(1), decided(5), judged(1, 6, Reason.MISSING), judged(1, 7, Reason.PASS))
        assert not state(told).spoiled

    def test_an_override_by_a_clock_that_was_ahead(self) -> None:
        told = world(requested(), decided(5, Because.LOSSES), GateOverridden(at(9_000), ONE, "bob", "we know", NOON + 10_000))
        assert state(told).overridden(at(10, "two")) is None and state(told).overridden(at(8_950, "two")) is not None

    def test_advisory_until_its_time_and_not_by_a_clock_that_was_ahead(self) -> None:
        told = world(requested(9_000, advisory_until=NOON + 10_000))
        assert [state(told).advisory(at(t, "two")) for t in (10, 8_950, 9_999, 10_000)] == [False, True, True, False]

    def test_what_is_said_of_a_decided_gate(self) -> None:
        told = world(requested(), GateOverridden(at(1), ONE, "eve", "too early", NOON + 900), decided(5, Because.LOSSES))
        assert state(told).override is None, "nobody can answer for what is not decided"
        tell(told, GateCancelled(at(6), ONE, "ana", ""), GateOverridden(at(7), ONE, "bob", "we know", NOON + 100))
        assert state(told).cancelled is None
        assert state(told).overridden(at(99, "two")) is not None and state(told).overridden(at(100)) is None, "UTC, whatever the process"

    def test_the_first_who_cancels(self) -> None:
        told = world(requested(), GateCancelled(at(1), ONE, "ana", ""), GateCancelled(at(2), ONE, "bob", ""))
        assert state(told).cancelled == GateCancelled(at(1), ONE, "ana", "")

    def test_by_its_deploy_the_latest_gate(self) -> None:
        told = world(requested(of=gate(1), deploy="d"), requested(of=gate(2), deploy="e"), requested(of=gate(3), deploy="d"))
        assert told.gates.of_deploy("d") is told.gates.known[gate(3)] and told.gates.of_deploy("f") is None


class TestAskedFor:
    def test_until_it_is_planned(self) -> None:
        told = world(requested(), GateProbing(at(1), ONE, 1, (GMAIL, OUTLOOK)))
        assert state(told).asked == 2 and state(told).asked_at == at(1)
        tell(told, plan(1), plan(2))
        assert state(told).asked == 0
        tell(told, plan(3))
        assert state(told).asked == 0, "never less than none"

    @pytest.mark.parametrize(
        "fact",
        [
            pytest.param(Started(at(2, "two"), "1", ""), id="the process that was asked is gone"),
            pytest.param(GateProbing(at(2), ONE, 1, ()), id="given up"),
            pytest.param(decided(2), id="decided"),
        ],
    )
    def test_or_never(self, fact: Fact) -> None:
        told = world(requested(), GateProbing(at(1), ONE, 1, (GMAIL, OUTLOOK)), fact)
        assert state(told).asked == 0

    def test_by_another_attempt(self) -> None:
        told = world(requested(), decided(2, Because.TOO_FEW), requested(60, 2), GateProbing(at(1), ONE, 1, (GMAIL,)))
        assert state(told).asked == 0


class TestTrials:
    """What the facts about one probe make of its trial."""

    @staticmethod
    def trial(*facts: Fact) -> GateTrial:
        return state(world(requested(), plan(1), Attempted(at(2), probe(1), 1), *facts)).trials[probe(1)]

    def test_attempted(self) -> None:
        trial = self.trial()
        assert (trial.sent, trial.seq, trial.final, trial.gone) == (at(2), 3, False, False)

    def test_sent_at_its_first_attempt(self) -> None:
        later = Deferred(at(3), probe(1), 1, Step.RCPT_TO, NO, 5.0)
        trial = self.trial(later, Attempted(at(8), probe(1), 2))
        assert (trial.sent, trial.seq) == (at(2), 3) and trial.step is None, "nobody has said anything of this attempt"

    def test_accepted(self) -> None:
        trial = self.trial(Accepted(at(3), probe(1), 1, Reply(250, "ok"), served_version="v2"))
        assert (trial.taken, trial.version, trial.said, trial.shown_by) == (True, "v2", "250 ok", 4)

    @pytest.mark.parametrize(
        ("fact", "final", "step", "version"),
        [
            (Refused(at(3), probe(1), 1, Step.MAIL_FROM, NO), True, Step.MAIL_FROM, ""),
            (Refused(at(3), probe(1), 1, Step.MAIL_FROM, NO, "v2"), True, Step.MAIL_FROM, "v2"),
            (Deferred(at(3), probe(1), 1, Step.DATA, NO, 5.0, "v2"), False, Step.DATA, "v2"),
            (Deferred(at(3), probe(1), 1, Step.DATA, NO, None), True, Step.DATA, ""),
            (SubmitUnknown(at(3), probe(1), 1, Step.DATA, "lost"), True, Step.DATA, ""),
            (SubmitError(at(3), probe(1), 1, SubmitFault.UNREACHABLE, "down", "", 2.0), False, None, ""),
            (SubmitError(at(3), probe(1), 1, SubmitFault.UNREACHABLE, "down", "", None), True, None, ""),
        ],
    )
    def test_not_taken(self, fact: Fact, final: bool, step: Step | None, version: str) -> None:
        trial = self.trial(fact)
        assert (trial.final, trial.step, trial.version, trial.taken, trial.shown_by) == (final, step, version, False, 4)

    def test_seen_and_judged(self) -> None:
        copy = replace(sighted(3), at=at(3), probe=probe(1))
        verdict = replace(judged(1, 4, Reason.SPAM, "v2"), placement=Placement.SPAM, folder="Junk", mailbox=OTHER_BOX, transit_seconds=1.5)
        trial = self.trial(copy, replace(copy, at=at(3.5)), verdict)
        assert (trial.seen, trial.money, trial.reason, trial.decided) == (at(3), False, Reason.SPAM, at(4))
        assert (trial.placement, trial.folder, trial.mailbox, trial.transit) == (Placement.SPAM, "Junk", OTHER_BOX, 1.5)
        assert (trial.version, trial.said, trial.shown_by) == ("v2", "because", 6)

    @pytest.mark.parametrize("field", [Field.AMOUNT, Field.FOREIGN_AMOUNT])
    def test_a_wrong_amount_is_not_forgotten(self, field: Field) -> None:
        copy = replace(sighted(3), at=at(3), probe=probe(1))
        assert self.trial(replace(copy, altered=(field,)), copy).money

    def test_a_wrong_amount_is_said_and_not_what_the_application_answered(self) -> None:
        """Its mail may be seen before its answer is."""
        copy = replace(sighted(3), at=at(3), probe=probe(1), altered=(Field.AMOUNT, Field.FOREIGN_AMOUNT))
        trial = self.trial(copy, Accepted(at(4), probe(1), 1, Reply(202, '{"refund_id": "R-1"}')))
        assert trial.said == "the mail that arrived differs in amount, foreign_amount" and trial.taken
        assert trial.turned == at(3)

    def test_the_versions_that_put_it_off(self) -> None:
        told = [Deferred(at(3 + n), probe(1), 1, Step.DATA, NO, 5.0, name) for n, name in enumerate(("v2", "v1", "v1", "", "v2"))]
        assert self.trial(*told).deferred_by == ("v2", "v1")
        many = [Deferred(at(3 + n), probe(1), 1, Step.DATA, NO, 5.0, f"v{n}") for n in range(50)]
        assert len(self.trial(*many).deferred_by) == KEPT_VERSIONS

    def test_the_latest_revision_counts(self) -> None:
        trial = self.trial(judged(1, 4, Reason.PASS, "v2"), replace(judged(1, 5, Reason.SPAM), revision=1))
        assert (trial.reason, trial.decided, trial.version) == (Reason.SPAM, at(5), "v2")

    def test_withheld_is_not_gone_and_withdrawn_is(self) -> None:
        assert not self.trial(Withheld(at(3), probe(1), "used up")).gone
        assert self.trial(Withdrawn(at(3), probe(1), WithdrawCause.STALE)).gone

    def test_its_end_shows_nothing_new(self) -> None:
        assert self.trial(judged(1, 4, Reason.PASS), Closed(at(9), probe(1))).shown_by == 4

    def test_of_another_gate_of_none_and_of_one_that_is_unknown(self) -> None:
        told = world(requested(), plan(1, of=""), plan(2, of=gate(7)), judged(1, 4, Reason.PASS), judged(2, 4, Reason.PASS))
        tell(told, Attempted(at(5), probe(9), 1), GateProbing(at(5), gate(7), 1, (GMAIL,)), decided(6, of=gate(7)))
        tell(told, GateOverridden(at(7), gate(7), "a", "b", 0.0), GateCancelled(at(8), gate(7), "a", "b"))
        assert not state(told).trials and list(told.gates.known) == [ONE] and not told.gates.owner

    def test_the_version_that_served_it_stands_in_the_evidence_of_its_route_too(self) -> None:
        told = world(plan(1), Attempted(at(2), probe(1), 1), Accepted(at(3), probe(1), 1, Reply(250, "ok"), served_version="v2"))
        tell(told, plan(2), Attempted(at(2), probe(2), 1), Refused(at(3), probe(2), 1, Step.DATA, NO, "v1"))
        tell(told, plan(3), Attempted(at(2), probe(3), 1), SubmitUnknown(at(3), probe(3), 1, None, "lost"))
        assert [trial.version for trial in told.evidence.trials(str(GMAIL))] == ["v2", "v1", ""]


class TestBounds:
    def test_of_many_gates_passes_go_first_and_failures_last(self) -> None:
        ends = (Because.LOSSES, Because.CLEAN, Because.TOO_FEW, Because.CLEAN)
        told = World()
        for number in range(KEPT_GATES):
            tell(told, requested(number, of=gate(number)), decided(number, ends[number % 4], of=gate(number)))
        for number in range(KEPT_GATES, KEPT_GATES + 30):
            tell(told, requested(number, of=gate(number)))
        assert len(told.gates.known) == KEPT_GATES and by_end(told) == {"fail": 13, "inconclusive": 7, "runs": 30}
        assert gate(18) not in told.gates.known and gate(22) in told.gates.known, "the oldest of its kind goes first"

    def test_one_that_runs_or_somebody_answers_for_stays(self) -> None:
        told = world(requested(of=gate(1)), requested(of=gate(2)), decided(1, Because.LOSSES, of=gate(2)))
        tell(told, GateOverridden(at(2), gate(2), "ana", "known", NOON + 10_000))
        for number in range(10, 10 + KEPT_GATES * 2):
            tell(told, requested(number, of=gate(number)), decided(number, of=gate(number)))
        assert {gate(1), gate(2)} <= told.gates.known.keys() and len(told.gates.known) == KEPT_GATES

    def test_probes_of_a_gate_that_has_left_are_ignored(self) -> None:
        told = world(requested(), plan(1), Attempted(at(2), probe(1), 1), decided(3))
        for number in range(10, 10 + KEPT_GATES):
            tell(told, requested(number, of=gate(number)))
        assert ONE not in told.gates.known and not told.gates.owner
        tell(told, judged(1, 70, Reason.PASS), plan(2), decided(80), GateOverridden(at(81), ONE, "a", "b", 1e12))
        assert ONE not in told.gates.known and not told.gates.owner

    def test_of_many_probes_the_oldest_gates_go_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gates, "KEPT_TRIALS", 10)
        told = World()
        for number in range(4):
            tell(told, requested(number, of=gate(number)), *(plan(number * 4 + k, of=gate(number)) for k in range(4)))
            tell(told, decided(number, of=gate(number)))
        tell(told, requested(9, of=gate(9)))
        assert list(told.gates.known) == [gate(2), gate(3), gate(9)] and len(told.gates.owner) == 8

    def test_probes_of_one_gate(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gates, "MOST_TRIALS", 3)
        told = world(requested(), GateProbing(at(1), ONE, 1, (GMAIL,) * 5), *(plan(number) for number in range(5)))
        assert list(state(told).trials) == [probe(0), probe(1), probe(2)] == list(told.gates.owner)
        assert state(told).asked == 0, "planned all the same"

    def test_bursts_and_trips(self) -> None:
        told = world(*(plan(number, number) for number in range(KEPT_BURST + 50)))
        assert [moment.mono for moment in told.gates.bursts[GMAIL.mailbox]] == list(range(50, KEPT_BURST + 50))
        tell(told, *(Tripped(at(t), OTHER_BOX, 1, "shop.test", ()) for t in range(KEPT_TRIPS + 5)))
        assert [trip.at.mono for trip in told.gates.trips] == list(range(5, KEPT_TRIPS + 5))
        assert told.gates.trips[-1].seq == told.seq and told.gates.trips[-1].mailbox == OTHER_BOX


class TestBudget:
    def spent(self, told: World, day: int = 0, route: Route = GMAIL) -> tuple[int, int]:
        return told.gates.budget.spent(utc_day(at(day * DAY)), route.path, route.mailbox)

    def test_counts_what_gates_planned_and_nothing_else(self) -> None:
        told = world(requested(), plan(1), plan(2, route=OUTLOOK), plan(3, of=""), plan(4, of=gate(7)))
        assert self.spent(told) == (3, 2) and self.spent(told, route=OUTLOOK) == (3, 1)

    def test_a_new_day_begins_at_midnight_utc(self) -> None:
        told = world(plan(1, 1.0), plan(2, DAY / 2 - 0.1), plan(3, DAY / 2 + 0.1))
        assert self.spent(told, 1) == (1, 1) and self.spent(told, 2) == (0, 0)

    def test_a_clock_that_steps_back_over_midnight_gives_nothing_twice(self) -> None:
        told = world(plan(1, DAY), plan(2, 0.0))
        assert self.spent(told, 0) == (2, 2) and self.spent(told, 1) == (2, 2)

    def test_a_clock_that_had_been_days_ahead_withholds_nothing(self) -> None:
        told = world(plan(1, 9 * DAY))
        assert self.spent(told, 0) == (0, 0)
        tell(told, plan(2, 0.0))
        assert self.spent(told, 0) == (1, 1)


def by_end(told: World) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in told.gates.known.values():
        name = each.decision.verdict.value if each.decision else "runs"
        found[name] = found.get(name, 0) + 1
    return found


_GATES = st.sampled_from([gate(1), gate(2)])
_PROBES = st.sampled_from([ProbeId("00000000000a"), ProbeId("00000000000b")])
_KINDS = [kind for kind in KINDS if kind.startswith("gate_")] * 3 + [
    "attempted",
    "accepted",
    "judged",
    "sighted",
    "refused",
    "started",
    "tripped",
]


def _fact(kind: str) -> st.SearchStrategy[Any]:
    """Few gates, attempts and probes, so that they meet."""
    few: dict[str, st.SearchStrategy[Any]] = {"gate": _GATES, "attempt": st.integers(1, 2)}
    if kind == "probe_planned":
        return st.builds(lambda fact, of: replace(fact, gate=of), facts_of(kind), _GATES | st.just(""))
    if kind.startswith("gate_"):
        cls = KINDS[kind]
        return st.builds(cls, **{name: few[name] for name in few if name in cls.__dataclass_fields__})
    return facts_of(kind)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
@given(st.lists(st.sampled_from([*_KINDS, *["probe_planned"] * 4]).flatmap(_fact), max_size=12), st.data())
def test_a_restart_loses_nothing(facts: list[Fact], data: st.DataObject) -> None:
    """A snapshot at any point, and the tail folded after it, is the fold from the start; and gates keep their invariants."""
    cut = data.draw(st.integers(0, len(facts)))
    whole, first = world(*facts), world(*facts[:cut])
    restored = decode_view(encode(first), World)
    for fact in facts[cut:]:
        stored = decode_fact(kind_of(fact), encode(fact))
        assert stored is not None
        tell(restored, stored)
    assert restored.gates == whole.gates and encode(restored) == encode(whole)
    for each in whole.gates.known.values():
        attempts = [fact.attempt for fact in each.decisions]
        assert len(attempts) == len(set(attempts)) and each.asked >= 0 and (each.running or not each.asked)
        assert [request.attempt for request in each.requests] == sorted({request.attempt for request in each.requests})
        assert all(whole.gates.owner[key] == each.id for key in each.trials)
