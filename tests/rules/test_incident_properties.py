"""Whatever happens, in whatever order: what must never be."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.edge.journal.codec import decode_view, encode
from monitor.model.facts import Acknowledged, ResolveAsked, Transition, Tripped, WatchBlind, WatchRestored, Withheld
from monitor.model.incident import IncidentId, Phase
from monitor.model.mail import BlindCause
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.rules.incident.scene import family_of
from monitor.views.world import World
from tests.rules.incidents import Play, rules
from tests.stages.house import seed

ROUTES = sorted(rules(4).routes)
REASONS = [*[Reason.PASS] * 6, *[reason for reason in Reason if reason not in (Reason.PASS, Reason.STALLED, Reason.JOURNAL_UNWRITABLE)]]
AFTER: dict[Phase | None, set[Phase]] = {  # what may follow each phase of one incident
    None: {Phase.SUSPECTED, Phase.OPENED},
    Phase.SUSPECTED: {Phase.SUSPECTED, Phase.CLEARED, Phase.OPENED},
    Phase.CLEARED: set(),
    Phase.RESOLVED: {Phase.OPENED},
}
OPEN = {Phase.GROWN, Phase.ACKNOWLEDGED, Phase.RECOVERING, Phase.RELAPSED, Phase.FLAPPING, Phase.RESOLVED}

probes = st.tuples(st.just("probe"), st.sampled_from(ROUTES), st.sampled_from(REASONS), st.booleans())
storms = st.tuples(st.just("storm"), st.sampled_from(ROUTES), st.sampled_from(REASONS), st.booleans())
others = st.tuples(
    st.sampled_from(["lost", "look", "close", "revise", "blind", "seen", "trip", "ack", "ask", "withhold", "wait", "restart", "calm"]),
    st.sampled_from(ROUTES),
    st.sampled_from(REASONS),
    st.booleans(),
)
histories = st.lists(st.tuples(st.floats(0.5, 700.0), probes | storms | others), max_size=40)
relaxed = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def happen(play: Play, t: float, what: str, route: Route, reason: Reason, money: bool) -> None:
    world, mailbox = play.world, route.mailbox
    unjudged = [probe for probe, state in world.probes.items() if state.judged is None]
    some: IncidentId = next(iter(world.incidents.known), IncidentId("INC-1"))
    match what:
        case "probe":
            play.probe(route, t, reason, 0.1, money and reason is Reason.ALTERED)
        case "storm":
            for other in ROUTES:
                if other.path == route.path or money:
                    play.probe(other, t, reason, 0.1)
        case "lost":
            for other in ROUTES if money else [route]:
                play.lost(other, t)
        case "look":
            play.look_everywhere(t)
        case "revise":
            if unjudged:
                play.verdict(unjudged[0], reason, t)
        case "close":
            judged = [probe for probe, state in world.probes.items() if state.judged is not None]
            for probe in judged:
                play.close(probe, t)
        case "blind":
            for number in range(1, 5) if money else [1]:
                play.tell(WatchBlind(play.at(t), seed(number), BlindCause.TIMEOUT, "", ""))
        case "seen":
            for number in range(1, 5):
                play.tell(WatchRestored(play.at(t), seed(number), 3))
        case "trip":
            play.tell(Tripped(play.at(t), mailbox, 1, "", ()))
        case "ack":
            play.tell(Acknowledged(play.at(t), some, "ana"))
        case "ask":
            play.tell(ResolveAsked(play.at(t), some, "ana", ""))
        case "withhold":
            play.tell(Withheld(play.at(t), play.send(route, t), ""))
        case "restart":
            play.process += "+"
        case "calm":
            for number in range(4):
                for other in ROUTES:
                    play.probe(other, t + number / 10)


def lived(history: list[tuple[float, tuple[Any, ...]]]) -> Play:
    play, t = Play(rules(4)), 0.0
    for pause, (what, route, reason, money) in history:
        t += pause
        happen(play, t, what, route, reason, money)
        play.ask(t + 0.5, None if what in ("restart", "wait") or money else [route])
        t += 0.5
        play.ask(t)
        assert play.ask(t) == [], "what was decided leaves nothing to say"
        check(play, t)
    return play


def check(play: Play, t: float) -> None:
    keys = [(family_of(state.last.symptom), state.last.scope) for state in play.world.incidents.open()]
    assert len(keys) == len(set(keys)), "one open incident of a family and scope"
    suspected = [(family_of(state.last.symptom), state.last.scope) for state in play.world.incidents.suspicions()]
    assert len(suspected) == len(set(suspected))
    rounds = 3 + play.process.count("+")  # one for each provider, and another where a restart may have lost it
    for state in play.world.incidents.suspicions():
        assert sum(len(fact.confirm) for fact in play.said if fact.incident == state.id) <= 4 * rounds


@relaxed
@given(histories)
def test_transitions_follow_one_another_as_they_may(history: list[tuple[float, tuple[Any, ...]]]) -> None:
    phases: dict[IncidentId, Phase] = {}
    for fact in lived(history).said:
        before = phases.get(fact.incident)
        allowed = AFTER.get(before, OPEN)
        assert fact.phase in allowed, f"{fact.phase} after {before}"
        phases[fact.incident] = fact.phase


@relaxed
@given(histories)
def test_nothing_opens_without_evidence_or_ends_without_it(history: list[tuple[float, tuple[Any, ...]]]) -> None:
    play = lived(history)
    ours = (Symptom.MAILBOX_BLIND, Symptom.STRAY, Symptom.BUDGET)
    for fact in play.said:
        if fact.symptom in ours:
            continue
        if fact.phase is Phase.OPENED:
            assert fact.routes and fact.since.mono <= fact.at.mono
            assert fact.evidence
        if fact.phase is Phase.RESOLVED and not fact.by:
            assert fresh_good(play, fact), fact.note


def fresh_good(play: Play, fact: Transition) -> bool:
    """At its end the newest verdict about mail on each of its routes was a pass, sent after it began."""
    for name in fact.routes:
        trials = [trial for trial in play.world.evidence.trials(name) if trial.sent.mono <= fact.at.mono]
        said = [t for t in trials if t.reason is not None and t.reason.verdict in (Verdict.PASS, Verdict.FAIL)]
        decided = [t for t in said if t.decided is not None and t.decided.mono <= fact.at.mono]
        if decided and (decided[-1].reason is not Reason.PASS or decided[-1].sent.mono <= fact.since.mono):
            return False
    return True


@relaxed
@given(histories)
def test_only_good_evidence_gives_no_incident(history: list[tuple[float, tuple[Any, ...]]]) -> None:
    quiet = ("blind", "trip", "withhold", "lost", "revise")
    good = [(pause, (what, route, Reason.PASS, money)) for pause, (what, route, _, money) in history if what not in quiet]
    assert lived(good).said == []


@relaxed
@given(histories)
def test_a_snapshot_is_the_fold(history: list[tuple[float, tuple[Any, ...]]]) -> None:
    play = lived(history)
    restored = decode_view(encode(play.world), World)
    assert restored == play.world
    whole, play.world = play.decided(1e6), restored
    assert play.decided(1e6) == whole
