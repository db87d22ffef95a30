"""A gate that holds a deploy becomes a ticket: what opens it, what ends it, and that it leaves the incidents of probes alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.facts import (
    KIND_OF,
    Acknowledged,
    DeployMarked,
    Entry,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateRequested,
    ResolveAsked,
    Transition,
)
from monitor.model.gate import BUILT_IN, GATE_VERDICT, QUICK, Arm, Because, Example, GateId, GateRoute
from monitor.model.incident import DeployPhase, IncidentId, Layer, Link, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.notice import Call
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.rules.incident.gates import WAITED
from monitor.rules.incident.layout import Layout, severity
from monitor.rules.notice import render
from monitor.rules.replay.strand import Strand
from monitor.views.gates import KEPT_GATES
from monitor.views.world import World
from tests.rules.incidents import Play, app
from tests.rules.truth import SetBack

DAY = 86_400.0


class Gates(Play):
    """A play with gates; one attempt after the other of each."""

    def asked(self, deploy: str, t: float, service: str = "shop", **known: object) -> GateRequested:
        gate = GateId(f"gate-{deploy}")
        state = self.world.gates.known.get(gate)
        request = GateRequested(
            at=self.at(t),
            gate=gate,
            deploy=deploy,
            attempt=state.request.attempt + 1 if state else 1,
            policy=BUILT_IN[QUICK],
            by="ci",
            versions=(deploy,),
            routes=(GateRoute(app(1), "provider-1", Arm.CANARY),),
            began=state.requests[0].began if state else self.at(t),
            until=self.at(t + 900.0),
            service=service,
            version=deploy,
        )
        return replace(request, **known)  # type: ignore[arg-type]

    def decided_as(self, deploy: str, t: float, because: Because, **known: object) -> GateDecided:
        state = self.world.gates.known[GateId(f"gate-{deploy}")]
        reason = f"6 of 10 probes lost ({because})"
        fact = GateDecided(self.at(t), state.id, deploy, state.request.attempt, GATE_VERDICT[because], because, reason, (), (7, 8))
        return replace(fact, **known)  # type: ignore[arg-type]

    def attempt(self, deploy: str, t: float, because: Because, service: str = "shop", **known: object) -> list[Phase]:
        """Asked ten seconds ago, decided at `t`; what follows for the incidents."""
        self.tell(self.asked(deploy, t - 10, service, **known))
        self.tell(self.decided_as(deploy, t, because))
        return self.ask(t + 0.1, ())

    @property
    def last(self) -> Transition:
        return self.said[-1]


@pytest.fixture
def play() -> Gates:
    return Gates()


# --- what opens it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("because", Because)
def test_every_decision_but_a_pass_and_a_cancelled_one_opens_a_ticket(play: Gates, because: Because) -> None:
    opens = because not in (Because.CLEAN, Because.CANCELLED)
    assert play.attempt("v2", 60, because) == ([Phase.OPENED] if opens else [])
    assert play.ask(61, ()) == []
    assert play.ask(62) == []


def test_what_the_ticket_says(play: Gates) -> None:
    play.tell(DeployMarked(play.at(20), "v2", DeployPhase.FINISH, "shop", "2.0", by="ana"))
    play.tell(play.asked("v2", 30))
    example = Example("0" * 12, app(1), play.at(31), "missing", "250 queued")
    play.tell(play.decided_as("v2", 60, Because.LOSSES, unseen=("a loss of 2 % would not show",), example=example))
    play.ask(60.5, ())
    fact = play.last
    assert (fact.symptom, fact.scope, fact.severity) == (Symptom.GATE_HOLD, Scope(ScopeKind.DEPLOY, "v2"), Severity.TICKET)
    assert (fact.opening, fact.since, fact.evidence, fact.routes, fact.tallies) == (Opening.HELD, play.at(60), (7, 8), (), ())
    assert fact.diagnosis is not None
    assert fact.diagnosis.layer is Layer.APPLICATION
    assert fact.diagnosis.summary == "fail by gate gate-v2 (policy quick, attempt 1): 6 of 10 probes lost (losses)"
    assert (fact.diagnosis.shows, fact.diagnosis.said) == (("a loss of 2 % would not show",), ("250 queued",))
    assert fact.diagnosis.next_step.startswith("mailcanary gate explain gate-v2; then roll shop v2 back")
    (deploy,) = fact.deploys
    assert (deploy.deploy, deploy.phase, deploy.by, deploy.seconds_after, deploy.link) == ("v2", DeployPhase.FINISH, "ana", 40.0, Link.NEAR)


def test_a_deploy_without_a_marker_is_told_by_its_request(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    (deploy,) = play.last.deploys
    assert (deploy.deploy, deploy.phase, deploy.service, deploy.seconds_after) == ("v2", DeployPhase.START, "shop", 10.0)
    assert play.last.diagnosis is not None
    assert "run the gate again" in play.last.diagnosis.next_step


@pytest.mark.parametrize(
    ("markers", "phase", "after", "words"),
    [
        (((20, DeployPhase.START), (65, DeployPhase.ROLLBACK)), DeployPhase.START, 40, "12:00:20Z, rolled back 12:01:05Z; began 40.0 s"),
        (((20, DeployPhase.FINISH), (55, DeployPhase.ROLLBACK)), DeployPhase.ROLLBACK, 5, "was rolled back 12:00:55Z; began 5.0 s after"),
        (((65, DeployPhase.ROLLBACK),), DeployPhase.START, 10, "started 12:00:50Z, rolled back 12:01:05Z; began 10.0 s after"),
        (((61, DeployPhase.START),), DeployPhase.START, -1, "started 12:01:01Z, still running; began at about the same time as it"),
    ],
)  # fmt: skip
def test_what_was_marked_after_the_decision_is_not_said_to_stand_before_it(
    play: Gates, markers: tuple[tuple[float, DeployPhase], ...], phase: DeployPhase, after: float, words: str
) -> None:
    play.tell(play.asked("v2", 50))
    play.tell(play.decided_as("v2", 60, Because.LOSSES))
    play.tell(*[DeployMarked(play.at(t), "v2", marked, "shop", "2.0") for t, marked in markers])
    play.ask(70, ())
    (deploy,) = play.last.deploys
    assert (deploy.phase, deploy.seconds_after, deploy.link) == (phase, after, Link.NEAR)
    assert words in render(play.last, play.policy, "key", Call.FIRE).text


@pytest.mark.parametrize(
    ("because", "layer"),
    [
        (Because.REFUSED, Layer.APPLICATION),
        (Because.UNOBSERVED, Layer.APPLICATION),
        (Because.BASELINE_BROKEN, Layer.RELAY),
        (Because.BLIND, Layer.MONITOR),
        (Because.OWN_FAULT, Layer.MONITOR),
    ],
)
def test_the_layer_follows_the_reason(play: Gates, because: Because, layer: Layer) -> None:
    play.attempt("v2", 60, because)
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.layer is layer


def test_the_notice_of_it(play: Gates) -> None:
    """R13 and R19: a title that says it, why, what to do, and the runbook."""
    play.tell(DeployMarked(play.at(20), "v2", DeployPhase.FINISH, "shop", "2.0", by="ana"))
    play.attempt("v2", 60, Because.LOSSES)
    notice = render(play.last, play.policy, "key", Call.FIRE)
    assert "Release gate holds a deploy: v2" in notice.title
    assert notice.severity is Severity.TICKET
    assert notice.dedup_key.endswith("/gate_hold/deploy:v2")
    assert "Broke:    fail by gate gate-v2" in notice.text
    assert "Deploy:   shop 2.0 by ana finished" in notice.text
    assert "1) mailcanary gate explain gate-v2" in notice.text
    assert notice.runbook_url.endswith("gate-hold.md")


def test_no_address_stands_in_the_notice(play: Gates) -> None:
    play.tell(play.asked("v2", 50))
    play.tell(play.decided_as("v2", 60, Because.LOSSES, reason="550 <ana@box.test>: unknown", unseen=("bob@box.test is blind",)))
    play.ask(61, ())
    notice = render(play.last, play.policy, "key", Call.FIRE)
    assert "ana@" not in notice.text + notice.title
    assert "bob@" not in notice.text


def test_who_asked_for_silence_gets_it(play: Gates) -> None:
    assert play.attempt("v2", 60, Because.LOSSES, notify=False) == []
    assert play.ask(61) == []


def test_a_gate_that_was_asked_for_advice_says_so(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES, advisory_until=play.at(DAY).utc)
    assert play.last.diagnosis is not None
    assert play.last.diagnosis.shows == ("the gate was asked for advice only: it blocks nothing",)


def test_a_running_gate_holds_nothing_yet(play: Gates) -> None:
    play.tell(play.asked("v2", 60))
    assert play.ask(61, ()) == []


def test_what_was_decided_more_than_a_day_ago_is_no_news(play: Gates) -> None:
    play.tell(play.asked("v2", 50), replace(play.asked("v2", 50), attempt=1))
    play.tell(play.decided_as("v2", 60, Because.LOSSES))
    assert play.ask(60 + WAITED) == []


def test_the_stage_finds_it_after_a_restart(play: Gates) -> None:
    play.tell(play.asked("v2", 50))
    play.tell(play.decided_as("v2", 60, Because.LOSSES))
    play.process = "two"
    assert play.ask(3.0) == [Phase.OPENED]


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_the_same_verdict_again_is_no_news(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    assert play.attempt("v2", 200, Because.BLIND) == []
    assert play.attempt("v2", 400, Because.BUDGET) == []


def test_another_verdict_is_told(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    opened = play.last
    assert play.attempt("v2", 200, Because.LOSSES) == [Phase.GROWN]
    assert play.last.note == "attempt 2 says fail, attempt 1 said inconclusive"
    assert (play.last.incident, play.last.since) == (opened.incident, opened.since)
    assert play.last.diagnosis is not None
    assert "fail by gate gate-v2 (policy quick, attempt 2)" in play.last.diagnosis.summary
    assert play.ask(201) == []
    notice = render(play.last, play.policy, "key", Call.FIRE)
    assert "Now:      attempt 2 says fail, attempt 1 said inconclusive\n" in notice.text  # and nothing of routes, which it has none of


def test_a_decision_that_nobody_wants_to_hear_of_is_not_told(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    assert play.attempt("v2", 200, Because.LOSSES, notify=False) == []


@pytest.mark.parametrize("step", [-7_200.0, 7_200.0])
def test_a_clock_that_steps_between_two_processes_repeats_nothing(play: Gates, step: float) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.attempt("v2", 200, Because.LOSSES)
    before = len(play.said)
    play.process = "two"
    assert play.ask(200 + step) == []
    assert play.attempt("v2", 260 + step, Because.LOSSES) == []
    assert len(play.said) == before


def test_the_deploy_is_held_while_another_attempt_runs(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.tell(play.asked("v2", 100))
    assert play.ask(101, ()) == []
    assert len(play.world.incidents.open()) == 1


# --- what ends it -----------------------------------------------------------------------------------------------------


def test_a_pass_of_the_same_gate_ends_it(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    assert play.attempt("v2", 200, Because.CLEAN) == [Phase.RESOLVED]
    assert play.last.note.startswith("gate gate-v2 has passed: ")
    assert play.ask(201) == []


def test_the_notice_of_its_end_counts_no_probes(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    assert play.attempt("v2", 120, Because.CLEAN) == [Phase.RESOLVED]
    text = render(play.last, play.policy, "INC-1-1-2", Call.RESOLVE).text
    assert "Over:" in text and "Adverse:" not in text and "no probe was counted" not in text


def test_a_pass_that_is_taken_back_opens_it(play: Gates) -> None:
    assert play.attempt("v2", 60, Because.CLEAN) == []
    play.tell(play.decided_as("v2", 70, Because.LOSSES))
    assert play.ask(70.1, ()) == [Phase.OPENED]
    assert play.ask(71, ()) == []


def test_a_pass_that_ended_it_and_is_taken_back_opens_it_again(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    assert play.attempt("v2", 120, Because.CLEAN) == [Phase.RESOLVED]
    play.tell(play.decided_as("v2", 130, Because.LOSSES))
    assert play.ask(130.1, ()) == [Phase.OPENED]
    assert "losses" in play.last.diagnosis.summary if play.last.diagnosis else False


def test_an_override_ends_it_by_name_and_its_end_opens_nothing(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    play.tell(GateOverridden(play.at(100), GateId("gate-v2"), "ana", "known, harmless", play.at(3_700).utc))
    assert play.ask(101, ()) == [Phase.RESOLVED]
    assert (play.last.by, play.last.note) == ("ana", "gate gate-v2 was overridden until 2026-01-01 13:01:40Z: known, harmless")
    assert play.ask(102) == []
    assert play.ask(3_800) == []
    notice = render(play.last, play.policy, "key", Call.RESOLVE)
    assert "closed by ana: gate gate-v2 was overridden" in notice.text


def test_an_override_that_is_over_ends_nothing(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    play.tell(GateOverridden(play.at(100), GateId("gate-v2"), "ana", "known", play.at(100).utc))
    assert play.ask(101, ()) == []


def test_nothing_opens_under_an_override(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.tell(GateOverridden(play.at(100), GateId("gate-v2"), "ana", "known", play.at(9_000).utc))
    play.ask(101, ())
    assert play.attempt("v2", 200, Because.LOSSES) == []


def test_a_later_attempt_that_a_person_cancels_ends_it(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.tell(play.asked("v2", 100), GateCancelled(play.at(110), GateId("gate-v2"), "ana", "rolled back"))
    play.tell(play.decided_as("v2", 111, Because.CANCELLED))
    assert play.ask(112, ()) == [Phase.RESOLVED]
    assert (play.last.by, play.last.note) == ("ana", "gate gate-v2 was cancelled: rolled back")
    assert play.ask(113) == []


@pytest.mark.parametrize(
    ("service", "other", "ends"), [("shop", "shop", True), ("shop", "", True), ("", "shop", True), ("", "", True), ("shop", "blog", False)]
)
def test_the_pass_of_a_later_deploy_ends_it(play: Gates, service: str, other: str, ends: bool) -> None:
    play.attempt("v2", 60, Because.LOSSES, service)
    assert play.attempt("v3", 200, Because.CLEAN, other) == ([Phase.RESOLVED] if ends else [])
    if ends:
        assert play.last.note == "gate gate-v3 of the later deploy v3 has passed"
        assert play.last.scope.name == "v2"
    assert play.ask(201) == []


def test_the_pass_of_an_earlier_deploy_ends_nothing(play: Gates) -> None:
    play.attempt("v1", 30, Because.TOO_FEW)
    play.attempt("v2", 60, Because.LOSSES)
    assert play.attempt("v1", 200, Because.CLEAN) == [Phase.RESOLVED]  # its own, only
    assert [state.last.scope.name for state in play.world.incidents.open()] == ["v2"]


def test_a_pass_before_the_decision_ends_nothing(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.attempt("v3", 200, Because.CLEAN)
    assert play.attempt("v2", 300, Because.LOSSES) == [Phase.OPENED]  # somebody asked about v2 again, after v3 had passed


def test_two_deploys_have_two_incidents(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    assert play.attempt("v3", 200, Because.LOSSES) == [Phase.OPENED]
    assert [state.last.scope.name for state in play.world.incidents.open()] == ["v2", "v3"]
    assert all(state.parent is None for state in play.world.incidents.open())
    assert play.attempt("v4", 400, Because.CLEAN) == [Phase.RESOLVED, Phase.RESOLVED]


def test_after_a_day_nobody_waits(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    assert play.ask(60 + WAITED - 1) == []
    assert play.ask(60 + WAITED) == [Phase.RESOLVED]
    assert play.last.note.startswith("a day has gone by")
    assert play.ask(61 + WAITED) == []


def test_the_day_counts_from_the_latest_attempt(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    play.attempt("v2", 60_000, Because.TOO_FEW)
    assert play.ask(61 + WAITED) == []
    assert play.ask(60_000 + WAITED) == [Phase.RESOLVED]


def test_a_person_ends_it_and_is_believed(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    play.tell(ResolveAsked(play.at(100), play.last.incident, "ana", "we know"))
    assert play.ask(101, ()) == [Phase.RESOLVED]
    assert (play.last.by, play.last.note) == ("ana", "we know")
    assert play.ask(102) == []


def test_a_decision_after_that_is_another_episode(play: Gates) -> None:
    play.attempt("v2", 60, Because.TOO_FEW)
    first = play.last.incident
    play.tell(ResolveAsked(play.at(100), first, "ana", "we know"))
    play.ask(101, ())
    assert play.attempt("v2", 200, Because.LOSSES) == [Phase.OPENED]
    assert (play.last.incident, play.last.episode) == (first, 2)


class GatesAhead(SetBack, Gates):
    """Decided while the clock was wrong."""


def test_an_end_that_a_wrong_clock_dated_into_the_future_hides_no_decision() -> None:
    play = GatesAhead()
    play.attempt("v2", 60, Because.TOO_FEW)
    play.tell(ResolveAsked(play.at(100), play.last.incident, "ana", "we know"))
    play.ask(101, ())
    play.set_back(150)
    assert play.ask(151) == []
    assert play.attempt("v2", 200, Because.LOSSES) == [Phase.OPENED]


def test_it_can_be_acknowledged(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    play.tell(Acknowledged(play.at(100), play.last.incident, "ana", "looking"))
    assert play.ask(101, ()) == [Phase.ACKNOWLEDGED]


def test_a_gate_that_is_asked_again_and_again_does_not_flap(play: Gates) -> None:
    for round_ in range(5):
        t = 100.0 + 200 * round_
        assert play.attempt("v2", t, Because.TOO_FEW) == [Phase.OPENED]
        play.tell(ResolveAsked(play.at(t + 50), play.last.incident, "ana", "again"))
        assert play.ask(t + 51, ()) == [Phase.RESOLVED]


def test_a_gate_that_is_forgotten_is_still_over_after_a_day_or_a_later_pass(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    del play.world.gates.known[GateId("gate-v2")]
    assert play.ask(100) == []
    assert play.attempt("w1", 150, Because.CLEAN, "blog") == []
    assert play.attempt("v3", 200, Because.CLEAN) == [Phase.RESOLVED]
    play.attempt("v4", 300, Because.LOSSES)
    del play.world.gates.known[GateId("gate-v4")]
    assert play.ask(301 + WAITED) == [Phase.RESOLVED]


# --- beside everything else -------------------------------------------------------------------------------------------


def test_it_holds_no_route() -> None:
    scope = Scope(ScopeKind.DEPLOY, "v2")
    layout = Layout.of(Gates().policy)
    assert layout.within(scope) == ()
    assert not any(layout.holds(scope, route) for route in layout.routes.values())
    assert severity(Symptom.GATE_HOLD, scope) is Severity.TICKET


def test_the_incidents_of_probes_know_nothing_of_it(play: Gates) -> None:
    """The same trouble with and without a gate beside it."""

    def trouble(of: Gates, with_gate: bool) -> list[tuple[Phase, Symptom, Scope, Severity, object]]:
        t = of.passes(0.0, 3)
        if with_gate:
            of.attempt("v2", t, Because.LOSSES)
        for number in (1, 2, 3, 4, 5, 6) * 2:
            t += 10
            of.probe(app(number), t, Reason.REJECTED)
            of.ask(t + 3)
        t = of.passes(t + 60, 12)
        of.ask(t)
        of.ask(of.passes(t, 12))
        if with_gate:
            assert [state.last.symptom for state in of.world.incidents.open()] == [Symptom.GATE_HOLD]
        return [(f.phase, f.symptom, f.scope, f.severity, f.parent) for f in of.said if f.symptom is not Symptom.GATE_HOLD]

    plain = trouble(Gates(), False)
    assert Phase.OPENED in {phase for phase, *_ in plain}
    assert Phase.RESOLVED in {phase for phase, *_ in plain}
    assert trouble(play, True) == plain


def test_good_probes_do_not_end_it(play: Gates) -> None:
    play.attempt("v2", 60, Because.LOSSES)
    play.ask(play.passes(100, 40))
    assert len(play.world.incidents.open()) == 1


def test_a_past_that_is_told_again_opens_and_ends_it_too(play: Gates) -> None:
    """Replay keeps the gates' decisions and decides the incidents anew."""
    entries: list[Entry] = []

    def wrote(fact: Fact) -> None:
        play.tell(fact)
        entries.append(Entry(play.world.seq, KIND_OF[type(fact)], fact))

    wrote(play.asked("v2", 50))
    wrote(play.decided_as("v2", 60, Because.LOSSES))
    wrote(GateOverridden(play.at(100), GateId("gate-v2"), "ana", "known", play.at(9_000).utc))
    wrote(play.asked("v3", 200))
    strand = Strand(play.policy, lambda plan: plan, with_incidents=True)
    for entry in entries:
        strand.take(entry)
    strand.end()
    assert strand.deciding is not None
    assert [(fact.symptom, fact.scope.name) for fact in strand.deciding.opened] == [(Symptom.GATE_HOLD, "v2")]
    assert strand.world.incidents.open() == []


def test_many_gates_make_as_many_incidents_as_are_kept_and_no_more(play: Gates) -> None:
    for number in range(3 * KEPT_GATES):
        play.tell(play.asked(f"v{number}", 10.0 * number, f"service-{number}"))
        play.tell(play.decided_as(f"v{number}", 10.0 * number + 5, Because.LOSSES))
        play.ask(10.0 * number + 6, ())
    assert len(play.world.incidents.open()) <= 100
    assert play.ask(10_000) == []


moves = some.lists(
    some.tuples(
        some.sampled_from(["v1", "v2", "v3"]),
        some.sampled_from(["fail", "inconclusive", "error", "pass", "cancel", "override", "resolve", "wait"]),
        some.sampled_from([1.0, 50.0, 4_000.0, 50_000.0]),
        some.booleans(),
    ),
    max_size=12,
)
BECAUSE = {
    "fail": Because.LOSSES,
    "inconclusive": Because.TOO_FEW,
    "error": Because.OWN_FAULT,
    "pass": Because.CLEAN,
    "cancel": Because.CANCELLED,
}


@settings(deadline=None, max_examples=60)
@given(moves)
def test_whatever_people_and_pipelines_do(script: list[tuple[str, str, float, bool]]) -> None:
    """One incident for a deploy at most, nothing twice, all of them over in the end, and a restart changes nothing."""
    play, t = Gates(), 100.0
    for deploy, move, pause, notify in script:
        t += pause
        gate = GateId(f"gate-{deploy}")
        if because := BECAUSE.get(move):
            play.attempt(deploy, t, because, notify=notify)
        elif move == "override" and gate in play.world.gates.known:
            play.tell(GateOverridden(play.at(t), gate, "ana", "known", play.at(t + 3_600).utc))
        elif move == "resolve":
            for state in play.world.incidents.open():
                play.tell(ResolveAsked(play.at(t), state.id, "ana", "known"))
        play.ask(t + 0.2, ())
        assert play.ask(t + 0.3, ()) == []
        assert play.ask(t + 0.4) == []
        held = [state.last.scope for state in play.world.incidents.open()]
        assert len(held) == len(set(held))
        for state in play.world.incidents.open():
            last = play.world.gates.known[GateId(f"gate-{state.last.scope.name}")].decisions[-1]
            assert last.verdict is not Verdict.PASS
    folded = World()
    for seq, fact in enumerate(play.said, start=1):
        folded.fold(Entry(seq, "transition", fact))
    assert {key: state.is_open for key, state in folded.incidents.known.items()} == {
        key: state.is_open for key, state in play.world.incidents.known.items()
    }
    play.ask(t + WAITED + 1)
    assert play.world.incidents.open() == []
    assert all(isinstance(state.id, str) and IncidentId(state.id) for state in play.world.incidents.known.values())
