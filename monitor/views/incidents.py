"""Incidents and suspicions, folded from their transitions and from what people said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from monitor.model.facts import (
    Acknowledged,
    DeployMarked,
    Entry,
    Noted,
    ResolveAsked,
    Silenced,
    SilenceEnded,
    SilencePlanned,
    Transition,
    Tripped,
)
from monitor.model.incident import IncidentId, Phase, SilenceId
from monitor.model.instant import Instant
from monitor.model.policy import IncidentPolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.views.outbox import CAUSE_NAMED, FIRING

KEPT_RESOLVED = 200  # resolved incidents that can still be shown
KEPT_STEPS = 100  # steps of one incident: its first ones stay, the middle goes
KEPT_DEPLOYS = 100
KEPT_TRIPS = 100  # mailboxes whose latest trip is remembered
KEPT_TRIP_LINES = 3  # of its evidence
LONGEST_TRIP_LINE = 200  # characters
MOST_SILENCES = 100  # that are not over
KEPT_OVER = 100  # silences that are over and can still be shown, the latest


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an incident's timeline."""

    at: Instant
    what: str  # opened, grown, silenced, noted, ...
    by: str = ""  # the person, where one did it
    text: str = ""


@dataclass(frozen=True, slots=True)
class SilenceState:
    """A planned silence, and its early end where a person made one. Times are UTC."""

    fact: SilencePlanned
    ended: SilenceEnded | None = None

    @property
    def until(self) -> float:
        """When it is over, in seconds since the epoch."""
        return self.fact.until if self.ended is None else min(self.fact.until, self.ended.at.utc)

    def is_over(self, utc: float) -> bool:
        return utc >= self.until

    def is_active(self, utc: float) -> bool:
        return self.fact.begins <= utc < self.until


@dataclass(slots=True)
class IncidentState:
    """One incident. `last` is its latest transition, `opened` the one that opened its present episode."""

    id: IncidentId
    last: Transition
    last_seq: int
    opened: Transition | None = None
    opened_seq: int = 0
    explained: Transition | None = None  # the latest of this episode that has a diagnosis: many steps change nothing in it
    openings: list[Instant] = field(default_factory=list)  # of its episodes, the latest last; bounded by KEPT_STEPS
    acknowledged: Acknowledged | None = None
    silenced: Silenced | None = None
    resolve_asked: ResolveAsked | None = None
    answered: bool = False  # the acknowledgement has its transition
    flapping: bool = False
    recovering: bool = False
    resolved_at: Instant | None = None
    told: Instant | None = None  # the last time that it opened or grew
    confirm: tuple[Route, ...] = ()  # the confirm round of the suspicion
    asked: Instant | None = None  # when that was asked for
    parent: IncidentId | None = None  # the wider incident that it is a part of
    quiet_until: float = 0.0  # planned silences cover it until then, as the latest transition says; seconds since the epoch
    quiet_why: str = ""  # which they are, in words; empty: nobody has said yet
    steps: list[Step] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.opened is not None and self.resolved_at is None

    @property
    def is_suspicion(self) -> bool:
        return self.opened is None and self.last.phase is Phase.SUSPECTED

    def is_silent(self, now: Instant) -> bool:
        return self.silenced is not None and now.utc < self.silenced.until

    def note(self, step: Step) -> None:
        self.steps.append(step)
        if len(self.steps) > KEPT_STEPS:
            del self.steps[KEPT_STEPS // 2]


@dataclass(slots=True)
class Incidents:
    """`known`: suspicions and open incidents, and the latest resolved ones, in the order of their numbers."""

    number: int = 0
    known: dict[IncidentId, IncidentState] = field(default_factory=dict)
    deploys: list[DeployMarked] = field(default_factory=list)  # in the order of their times
    rounds: dict[PathName, Instant] = field(default_factory=dict)  # the latest confirm round of each path
    trips: dict[MailboxName, tuple[str, ...]] = field(default_factory=dict)  # the evidence of the latest trip, in plain words
    silence_number: int = 0
    silences: dict[SilenceId, SilenceState] = field(default_factory=dict)  # planned ones, in the order of their numbers

    def copy(self) -> Incidents:
        """As it is now; what is folded into the copy does not change this one."""
        known = {key: replace(state, openings=[*state.openings], steps=[*state.steps]) for key, state in self.known.items()}
        return Incidents(self.number, known, [*self.deploys], {**self.rounds}, {**self.trips}, self.silence_number, {**self.silences})

    def open(self) -> list[IncidentState]:
        return [state for state in self.known.values() if state.is_open]

    def suspicions(self) -> list[IncidentState]:
        return [state for state in self.known.values() if state.is_suspicion]

    def parts(self, whole: IncidentId) -> list[IncidentState]:
        """Those that it speaks for, or spoke for at their end; the first to begin first."""
        return sorted((state for state in self.known.values() if state.parent == whole), key=lambda state: state.last.since.utc)

    def reopenable(self, policy: IncidentPolicy, now: Instant) -> list[IncidentState]:
        """Resolved so recently that the same trouble is the same incident."""
        states = self.known.values()
        return [s for s in states if s.resolved_at is not None and now.seconds_since(s.resolved_at) <= policy.reopen_within]

    def following(self) -> IncidentId:
        """The id of the next incident."""
        return IncidentId(f"INC-{self.number + 1}")

    def following_silence(self) -> SilenceId:
        """The id of the next planned silence."""
        return SilenceId(f"SIL-{self.silence_number + 1}")

    def pending(self, utc: float) -> list[SilenceState]:
        """The planned silences that are not over."""
        return [silence for silence in self.silences.values() if not silence.is_over(utc)]

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Transition() as fact:
                self._transition(entry.seq, fact)
            case Acknowledged() | Silenced() | ResolveAsked() | Noted() as fact:
                if state := self.known.get(fact.incident):
                    _heard(state, fact)
            case SilencePlanned() as fact:
                self._planned(fact)
            case SilenceEnded() as fact:
                planned = self.silences.get(fact.silence)
                if planned is not None and planned.ended is None and not planned.is_over(fact.at.utc):
                    self.silences[fact.silence] = SilenceState(planned.fact, fact)
            case Tripped() as fact:
                self.trips.pop(fact.mailbox, None)
                self.trips[fact.mailbox] = tuple(line[:LONGEST_TRIP_LINE] for line in fact.evidence[:KEPT_TRIP_LINES])
                if len(self.trips) > KEPT_TRIPS:
                    del self.trips[next(iter(self.trips))]
            case DeployMarked() as fact:
                self.deploys = _placed(self.deploys, fact)
            case _:
                pass

    def _planned(self, fact: SilencePlanned) -> None:
        """Those that are over make room; whoever plans sees to it that no more than MOST_SILENCES are not."""
        self.silences[fact.silence] = SilenceState(fact)
        number = fact.silence.rpartition("-")[2]
        self.silence_number = max(self.silence_number, int(number) if number.isdecimal() else 0)
        over = [key for key, silence in self.silences.items() if silence.is_over(fact.at.utc)]
        for key in over[:-KEPT_OVER]:
            del self.silences[key]
        while len(self.silences) > MOST_SILENCES + KEPT_OVER:
            del self.silences[next(iter(self.silences))]

    def _transition(self, seq: int, fact: Transition) -> None:
        state = self.known.get(fact.incident)
        if state is None:
            state = self.known[fact.incident] = IncidentState(fact.incident, fact, seq)
            number = fact.incident.rpartition("-")[2]
            self.number = max(self.number, int(number) if number.isdecimal() else 0)
        state.last, state.last_seq, state.parent = fact, seq, fact.parent
        if (fact.diagnosis is not None and fact.note != CAUSE_NAMED) or fact.phase is Phase.OPENED:
            state.explained = fact
        if fact.phase in FIRING:
            state.quiet_until, state.quiet_why = fact.silent_until, state.quiet_why if fact.silent_until else ""
        match fact.phase:
            case Phase.OPENED:
                state.opened, state.opened_seq, state.resolved_at = fact, seq, None
                state.openings = [*state.openings[1 - KEPT_STEPS :], fact.at]
                state.acknowledged = state.resolve_asked = None
                state.answered = state.recovering = False
                state.told, state.quiet_why = fact.at, ""
            case Phase.GROWN:
                state.told = state.told if fact.note == CAUSE_NAMED else fact.at
            case Phase.ACKNOWLEDGED:
                state.answered = True
            case Phase.RECOVERING:
                state.recovering = True
            case Phase.RELAPSED:
                state.recovering = False
            case Phase.SILENCED:
                state.quiet_until, state.quiet_why = fact.silent_until, fact.note
            case Phase.FLAPPING:
                state.flapping = True
            case Phase.RESOLVED:
                state.resolved_at, state.flapping, state.recovering = fact.at, False, False
                state.quiet_until, state.quiet_why = 0.0, ""
            case Phase.CLEARED:
                del self.known[fact.incident]
                return
            case Phase.SUSPECTED:
                if fact.confirm:
                    state.confirm, state.asked = fact.confirm, fact.at
                    self.rounds[fact.confirm[0].path] = fact.at
        told = fact.note or (fact.diagnosis.summary if fact.diagnosis else "")
        state.note(Step(fact.at, word_of(fact), fact.by, told))
        ends = {key: known.resolved_at.utc for key, known in self.known.items() if known.resolved_at is not None}
        for key in sorted(ends, key=lambda key: ends[key])[:-KEPT_RESOLVED]:  # one that was open for long ended just now
            del self.known[key]


def word_of(fact: Transition) -> str:
    """What it is called where people read: the end of a planned silence is a transition of the same phase as its beginning."""
    return "unsilenced" if fact.phase is Phase.SILENCED and not fact.silent_until else fact.phase.value


def _placed(markers: list[DeployMarked], marker: DeployMarked) -> list[DeployMarked]:
    """In the order of what they tell of: a marker may be told late. The oldest goes when there are too many."""
    place = len(markers)
    while place and marker.at.seconds_since(markers[place - 1].at) < 0:
        place -= 1
    return [*markers[:place], marker, *markers[place:]][-KEPT_DEPLOYS:]


def _heard(state: IncidentState, fact: Acknowledged | Silenced | ResolveAsked | Noted) -> None:
    match fact:
        case Acknowledged():
            state.acknowledged = fact
            step = Step(fact.at, "acknowledged", fact.by, fact.text)
        case Silenced():
            state.silenced = fact
            lifted = fact.until <= fact.at.utc
            step = Step(fact.at, "unsilenced" if lifted else "silenced", fact.by, fact.reason)
        case ResolveAsked():
            state.resolve_asked = fact
            step = Step(fact.at, "resolve asked", fact.by, fact.reason)
        case Noted():
            step = Step(fact.at, "noted", fact.by, fact.text)
    state.note(step)
