"""Incidents, folded from transitions and from what people said."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model.facts import KIND_OF, Acknowledged, DeployMarked, Entry, Fact, Noted, ResolveAsked, Silenced, Transition, Tripped
from monitor.model.incident import EVERYWHERE, DeployPhase, Diagnosis, IncidentId, Layer, Phase, Severity
from monitor.model.policy import IncidentPolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.verdict import Symptom
from monitor.views.incidents import KEPT_DEPLOYS, KEPT_RESOLVED, KEPT_STEPS, KEPT_TRIPS, LONGEST_TRIP_LINE, Incidents
from tests.views.life import OTHER, OWN, PATH, at

ONE = IncidentId("INC-1")


def transition(phase: Phase, t: float = 0.0, incident: IncidentId = ONE, **fields: Any) -> Transition:
    known: dict[str, Any] = {"episode": 1, "since": at(0)} | fields
    return Transition(at(t), incident, phase, Symptom.SPAM_PLACEMENT, EVERYWHERE, Severity.PAGE, **known)


def folded(*facts: Fact) -> Incidents:
    view = Incidents()
    for seq, fact in enumerate(facts, 1):
        view.fold(Entry(seq, KIND_OF[type(fact)], fact))
    return view


def test_a_suspicion_is_no_incident_and_is_forgotten_when_cleared() -> None:
    view = folded(transition(Phase.SUSPECTED))
    assert view.suspicions() and not view.open()
    assert not folded(transition(Phase.SUSPECTED), transition(Phase.CLEARED)).known


def test_its_confirm_round_is_remembered_with_the_path() -> None:
    first, control = Route(PATH, OTHER), Route(PathName("smtp"), OWN)
    view = folded(transition(Phase.SUSPECTED, 5, confirm=(first, control)), transition(Phase.SUSPECTED, 9))
    assert view.known[ONE].confirm == (first, control)
    assert view.known[ONE].asked == at(5)
    assert view.rounds == {PATH: at(5)}


def test_an_incident_opens_recovers_relapses_resolves_and_opens_again() -> None:
    facts = [transition(Phase.OPENED, 1), transition(Phase.RECOVERING, 2)]
    assert folded(*facts).known[ONE].recovering
    facts.append(transition(Phase.ACKNOWLEDGED, 3, by="ana"))
    assert folded(*facts).known[ONE].recovering, "whoever looks at it meanwhile changes nothing"
    facts.append(transition(Phase.RELAPSED, 4))
    assert not folded(*facts).known[ONE].recovering
    facts += [transition(Phase.FLAPPING, 5), transition(Phase.RESOLVED, 6)]
    state = folded(*facts).known[ONE]
    assert (state.is_open, state.resolved_at, state.flapping) == (False, at(6), False)
    facts.append(transition(Phase.OPENED, 7, episode=2))
    state = folded(*facts).known[ONE]
    assert (state.is_open, state.opened_seq, state.openings) == (True, 7, [at(1), at(7)])
    assert [step.what for step in state.steps] == [
        "opened", "recovering", "acknowledged", "relapsed", "flapping", "resolved", "opened"
    ]  # fmt: skip


def test_only_opening_and_growing_is_telling() -> None:
    facts = [transition(Phase.OPENED, 1), transition(Phase.RECOVERING, 2)]
    assert folded(*facts).known[ONE].told == at(1)
    assert folded(*facts, transition(Phase.GROWN, 3)).known[ONE].told == at(3)


def test_the_latest_diagnosis_outlives_the_steps_that_have_none_and_not_its_episode() -> None:
    first, later = Diagnosis(Layer.RELAY, "first"), Diagnosis(Layer.DNS, "later")
    facts = [transition(Phase.OPENED, 1, diagnosis=first), transition(Phase.GROWN, 2, diagnosis=later)]
    state = folded(*facts, transition(Phase.ACKNOWLEDGED, 3), transition(Phase.GROWN, 4, parent=IncidentId("INC-2"))).known[ONE]
    assert state.last.diagnosis is None and state.explained == facts[1]
    again = folded(*facts, transition(Phase.RESOLVED, 5), transition(Phase.OPENED, 6, episode=2)).known[ONE]
    assert again.explained is not None and again.explained.diagnosis is None
    assert folded(transition(Phase.SUSPECTED)).known[ONE].explained is None


def test_the_evidence_of_the_latest_trip_of_each_mailbox_is_kept_within_bounds() -> None:
    trips = [Tripped(at(n), MailboxName(f"wire-{n}"), n, "shop.test", ("x" * 999, "2", "3", "4")) for n in range(KEPT_TRIPS + 5)]
    view = folded(*trips, Tripped(at(999), MailboxName("wire-50"), 999, "shop.test", ("newest",)))
    assert len(view.trips) == KEPT_TRIPS
    assert view.trips[MailboxName("wire-50")] == ("newest",)
    assert view.trips[MailboxName(f"wire-{KEPT_TRIPS + 4}")] == ("x" * LONGEST_TRIP_LINE, "2", "3")
    assert MailboxName("wire-0") not in view.trips
    assert view.copy() == view and view.copy().trips is not view.trips


def test_what_people_said_belongs_to_the_episode() -> None:
    said = [Acknowledged(at(2), ONE, "ana"), Silenced(at(3), ONE, "ana", "known", at(60).utc), Noted(at(4), ONE, "ana", "a note")]
    state = folded(transition(Phase.OPENED, 1), *said, ResolveAsked(at(5), ONE, "ana", "mended")).known[ONE]
    assert state.acknowledged and state.resolve_asked and state.is_silent(at(59)) and not state.is_silent(at(60))
    again = folded(transition(Phase.OPENED, 1), *said, transition(Phase.RESOLVED, 6), transition(Phase.OPENED, 7)).known[ONE]
    assert again.acknowledged is None and again.resolve_asked is None and not again.answered
    assert not folded(Acknowledged(at(2), ONE, "ana")).known, "of an incident that nobody knows"


def test_the_end_of_a_planned_silence_is_no_silence_in_the_timeline() -> None:
    begins = transition(Phase.SILENCED, 2, silent_until=at(60).utc)
    ends = transition(Phase.SILENCED, 3, by="ana", note="no longer silenced by SIL-2")
    state = folded(transition(Phase.OPENED, 1), begins, ends).known[ONE]
    assert [(step.what, step.by) for step in state.steps] == [("opened", ""), ("silenced", ""), ("unsilenced", "ana")]


def test_a_part_knows_its_whole() -> None:
    whole = IncidentId("INC-2")
    state = folded(transition(Phase.OPENED), transition(Phase.GROWN, parent=whole)).known[ONE]
    assert state.parent == whole


def test_numbers_go_on_after_what_was_forgotten() -> None:
    assert folded().following() == "INC-1"
    view = folded(transition(Phase.SUSPECTED, incident=IncidentId("INC-7")), transition(Phase.CLEARED, incident=IncidentId("INC-7")))
    assert view.following() == "INC-8"


@pytest.mark.parametrize(("t", "reopenable"), [(3_600, True), (3_601, False)])
def test_it_can_be_opened_again_for_an_hour(t: float, reopenable: bool) -> None:
    view = folded(transition(Phase.OPENED), transition(Phase.RESOLVED, 0))
    assert bool(view.reopenable(IncidentPolicy(), at(t))) is reopenable


def test_everything_is_bounded() -> None:
    facts: list[Fact] = []
    for number in range(KEPT_RESOLVED + 5):
        incident = IncidentId(f"INC-{number + 1}")
        facts += [transition(Phase.OPENED, incident=incident), transition(Phase.RESOLVED, incident=incident)]
    last = IncidentId(f"INC-{KEPT_RESOLVED + 5}")
    facts += [Noted(at(1), last, "ana", str(number)) for number in range(KEPT_STEPS * 2)]
    facts += [DeployMarked(at(number), f"d{number}", DeployPhase.START) for number in range(KEPT_DEPLOYS + 5)]
    view = folded(*facts)
    assert len(view.known) == KEPT_RESOLVED and ONE not in view.known
    steps = view.known[last].steps
    assert len(steps) == KEPT_STEPS and steps[0].what == "opened" and steps[-1].text == str(KEPT_STEPS * 2 - 1)
    assert len(view.deploys) == KEPT_DEPLOYS and view.deploys[-1].deploy == f"d{KEPT_DEPLOYS + 4}"


def test_a_copy_lives_on_its_own() -> None:
    view = folded(transition(Phase.OPENED))
    before = folded(transition(Phase.OPENED))
    copy = view.copy()
    assert copy == view
    copy.fold(Entry(2, "transition", transition(Phase.RESOLVED, 5)))
    copy.fold(Entry(3, "transition", transition(Phase.SUSPECTED, 6, IncidentId("INC-2"), confirm=(Route(PATH, OWN),))))
    assert view == before and copy != view
