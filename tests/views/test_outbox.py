"""The notification log, folded: who was promised what, who took it, and what stays within bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Acknowledged, Entry, Fact, Notified, NotifyFailed, Silenced, Transition
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.views import outbox as view
from monitor.views.outbox import Outbox

ONE, TWO = IncidentId("INC-1"), IncidentId("INC-2")
START = Instant(1_790_000_000.0, 0.0, "first")


class Log:
    """An outbox and its facts, one second apart."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.seq = 0

    @property
    def now(self) -> Instant:
        return START.plus(self.seq)

    def fold(self, fact: Fact) -> int:
        self.seq += 1
        self.outbox.fold(Entry(self.seq, "", fact))
        return self.seq

    def go(self, phase: Phase, incident: IncidentId = ONE, severity: Severity = Severity.PAGE, episode: int = 1, **fields: object) -> int:
        at = self.now.plus(1)
        fact = Transition(at, incident, phase, Symptom.STRAY, Scope(ScopeKind.PATH, "app"), severity, episode, START)
        return self.fold(replace(fact, **fields))  # type: ignore[arg-type]

    def took(self, about: int, channel: str = "hook", incident: IncidentId = ONE) -> int:
        return self.fold(Notified(self.now.plus(1), incident, channel, about, 1, "ok"))

    def failed(self, about: int, channel: str = "hook", retry_in: float | None = 1.0) -> int:
        return self.fold(NotifyFailed(self.now.plus(1), ONE, channel, about, 1, "down", "", retry_in))

    def silence(self, seconds: float, incident: IncidentId = ONE) -> int:
        at = self.now.plus(1)
        return self.fold(Silenced(at, incident, "ana", "known", at.utc + seconds))

    def promised(self) -> list[tuple[int, int]]:
        """(seq, number) of what is to be told."""
        return [(item.seq, item.number) for item in self.outbox.items.values() if not item.superseded]


@pytest.mark.parametrize("phase", Phase)
def test_which_transitions_are_promises(phase: Phase) -> None:
    log = Log()
    log.go(phase)
    assert bool(log.promised()) is (phase in view.TOLD_PHASES)
    assert {Phase.OPENED, Phase.GROWN, Phase.FLAPPING, Phase.RESOLVED} == view.TOLD_PHASES


def test_numbers_count_up_within_an_episode_and_begin_anew_with_the_next() -> None:
    log = Log()
    for phase, episode in ((Phase.OPENED, 1), (Phase.GROWN, 1), (Phase.RESOLVED, 1), (Phase.OPENED, 2), (Phase.GROWN, 2)):
        log.go(phase, episode=episode)
    log.go(Phase.OPENED, TWO)
    assert log.promised() == [(1, 1), (2, 2), (3, 3), (4, 1), (5, 2), (6, 1)]


def test_taken_and_failed() -> None:
    log = Log()
    opened = log.go(Phase.OPENED)
    item = log.outbox.items[str(opened)]
    log.failed(opened)
    assert not item.is_settled("hook") and log.outbox.channels["hook"].failing_since == START.plus(2)
    log.failed(opened, retry_in=None)
    assert item.is_settled("hook") and not item.is_settled("other")
    assert log.outbox.channels["hook"].failing_since == START.plus(2), "since the first of them"
    log.took(opened)
    assert item.is_settled("hook") and not item.failed
    assert log.outbox.channels["hook"].failing_since is None
    log.failed(opened)
    assert item.is_settled("hook") and not item.failed, "a reminder that fails does not unsay what was told"
    assert log.outbox.channels["hook"].failing_since is not None


def test_who_heard_and_what_a_channel_shows() -> None:
    log = Log()
    opened = log.go(Phase.OPENED)
    assert log.outbox.shown(ONE, "hook") is None
    log.took(opened)
    grown = log.go(Phase.GROWN)
    log.took(grown, "other")
    shown = [log.outbox.shown(ONE, name) for name in ("hook", "other")]
    assert [item.seq if item else 0 for item in shown] == [opened, grown]
    resolved = log.go(Phase.RESOLVED)
    assert log.outbox.items[str(resolved)].heard == ["hook", "other"]
    log.go(Phase.OPENED, episode=2)
    assert log.outbox.shown(ONE, "hook") is None, "of the new episode it has heard nothing"
    log.took(resolved)
    assert log.outbox.shown(ONE, "hook") is None


def test_acknowledged() -> None:
    log = Log()
    log.go(Phase.OPENED, severity=Severity.TICKET)
    log.fold(Acknowledged(log.now, ONE, "ana"))
    log.go(Phase.GROWN, severity=Severity.TICKET)
    raised = log.go(Phase.GROWN)
    log.go(Phase.FLAPPING)
    assert log.promised() == [(1, 1), (raised, 2)]
    log.go(Phase.RESOLVED)
    log.go(Phase.OPENED, episode=2)
    again = log.go(Phase.GROWN, episode=2)
    log.go(Phase.ACKNOWLEDGED, episode=2)
    log.go(Phase.GROWN, episode=2)
    assert log.promised()[-1] == (again, 2)


def test_a_silence_holds_one_promise_that_grows_with_the_incident() -> None:
    log = Log()
    opened = log.go(Phase.OPENED)
    silence = log.silence(100)
    log.go(Phase.GROWN, note="one more")
    log.go(Phase.FLAPPING, note="and again")
    ((seq, number),) = log.promised()
    assert (seq, number) == (silence, 2)
    held = log.outbox.items[str(silence)]
    assert held.transition.note == "and again" and log.outbox.items[str(opened)].superseded
    assert not held.is_due(START.plus(101)) and held.is_due(START.plus(102))
    longer = log.silence(500)
    assert log.promised() == [(longer, 3)]
    resolved = log.go(Phase.RESOLVED)
    assert log.promised() == [(resolved, 4)]


def test_what_opens_in_silence_is_held() -> None:
    log = Log()
    log.silence(100)
    opened = log.go(Phase.OPENED)
    assert log.promised() == [(opened, 1)]
    assert not log.outbox.items[str(opened)].is_due(log.now)
    assert log.outbox.items[str(opened)].due.utc == START.utc + 101


def test_silence_that_is_over_holds_nothing() -> None:
    log = Log()
    log.silence(0)
    opened = log.go(Phase.OPENED)
    assert log.outbox.items[str(opened)].is_due(START.plus(-1e6)), "only a silence makes a notice wait"


def test_a_silence_that_is_lifted_is_told_at_once() -> None:
    log = Log()
    log.go(Phase.OPENED)
    log.silence(1_000)
    lifted = log.silence(-5)
    assert log.promised() == [(lifted, 3)]
    assert log.outbox.items[str(lifted)].is_due(log.now)


def test_a_part_of_another_promises_only_its_end() -> None:
    log = Log()
    log.go(Phase.OPENED, parent=TWO)
    log.go(Phase.GROWN, parent=TWO)
    log.silence(5)
    resolved = log.go(Phase.RESOLVED, parent=TWO)
    assert log.promised() == [(resolved, 1)]
    assert log.outbox.items[str(resolved)].heard == []


def test_settled_items_go_first_and_what_an_open_incident_shows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT", 5)
    log = Log()
    shown = log.go(Phase.OPENED)
    log.took(shown)
    waiting = log.go(Phase.OPENED, TWO)
    for number in range(3, 30):
        opened = log.go(Phase.OPENED, IncidentId(f"INC-{number}"))
        log.took(opened, incident=IncidentId(f"INC-{number}"))
        resolved = log.go(Phase.RESOLVED, IncidentId(f"INC-{number}"))
        log.took(resolved, incident=IncidentId(f"INC-{number}"))
    assert len(log.outbox.items) == 5
    assert {str(shown), str(waiting)} <= log.outbox.items.keys()


def test_standings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT_STANDINGS", 5)
    log = Log()
    log.go(Phase.OPENED)
    for number in range(2, 30):
        log.go(Phase.OPENED, IncidentId(f"INC-{number}"))
        log.go(Phase.RESOLVED, IncidentId(f"INC-{number}"))
        log.silence(5, IncidentId(f"INC-{number + 100}"))
    assert len(log.outbox.standings) <= 5 and ONE in log.outbox.standings
