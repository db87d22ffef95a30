"""The reconciliation as the journal tells of it: how the two sides stand, which sources cannot be read, what people were told of, and which
numbers are probes'."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import Accepted, Entry, ProbePlanned, Reconciled, SourceBlind, SourceRestored, Transition
from monitor.model.incident import Phase
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Standing
from monitor.model.verdict import Symptom

STORE = "ledger"  # the name under which the ledger store itself is blind
KEPT_STEPS = 16  # reconciliations whose counts are remembered, for what is decided on one while the next is written
KEPT_NUMBERS = 20_000  # of probes: a week of ten routes at their default rhythm
KEPT_BLIND = 200  # sources
_SPARE = 2_000  # numbers above KEPT_NUMBERS before the oldest are let go

SYMPTOM_OF_CLASS: dict[DifferenceClass, Symptom] = {
    DifferenceClass.MISSING: Symptom.LEDGER_MISSING,
    DifferenceClass.SPURIOUS: Symptom.LEDGER_SPURIOUS,
    DifferenceClass.MISMATCHED: Symptom.LEDGER_MISMATCHED,
    DifferenceClass.DUPLICATE: Symptom.LEDGER_DUPLICATE,
}
CLASS_OF_SYMPTOM = {symptom: kind for kind, symptom in SYMPTOM_OF_CLASS.items()}


@dataclass(slots=True)
class Heard:
    """What people know of one class of differences. `told`: how many had been found when they last heard of it; `settled`: how many when
    it was last over, with `left` of them still open, and both sides read until `until` then."""

    told: int = 0
    settled: int = 0
    left: int = 0
    until: float | None = None


@dataclass(slots=True)
class Counted:
    """One reconciliation, by class."""

    seq: int
    found: dict[str, int]
    open: dict[str, int]
    until: float | None


@dataclass(slots=True)
class Stretch:
    """Reconciliations in a row that all show the same: since which one, and how far both sides had been read then."""

    since: Instant
    until: float | None


@dataclass(slots=True)
class LedgerView:
    """`last` with its seq; `blind`: by source; `heard`: by class. `shown`: since when volumes out of bounds are shown, by flow and side;
    `calm`: since when none is. `numbers`: refund numbers and application ids of the latest probes, `numbered` of them in all."""

    last: Reconciled | None = None
    last_seq: int = 0
    blind: dict[str, SourceBlind] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)
    counted: list[Counted] = field(default_factory=list)
    shown: dict[str, Stretch] = field(default_factory=dict)
    calm: Stretch | None = None
    numbers: list[str] = field(default_factory=list)
    numbered: int = 0

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Reconciled() as fact:
                self._reconciled(entry.seq, fact)
            case SourceBlind() as fact:
                self.blind.setdefault(fact.source, fact)
                if len(self.blind) > KEPT_BLIND:
                    del self.blind[next(iter(self.blind))]
            case SourceRestored() as fact:
                self.blind.pop(fact.source, None)
            case Transition() as fact if fact.symptom in CLASS_OF_SYMPTOM:
                self._told(fact)
            case ProbePlanned() as fact:
                self._number(fact.story.refund_number)
            case Accepted() as fact if fact.app_refund_id:
                self._number(fact.app_refund_id)
            case _:
                pass

    def of(self, kind: DifferenceClass) -> ClassStanding:
        """As of the last reconciliation."""
        standing = self.last.standing if self.last is not None else Standing()
        return next((each for each in standing.classes if each.kind is kind), ClassStanding(kind))

    def of_people(self, kind: DifferenceClass) -> Heard:
        return self.heard.get(kind.value) or Heard()

    def fresh(self, kind: DifferenceClass) -> int:
        """Differences that stand and were found since people were last told that it is over. Where old ones are left open as well, some of
        the new may have been settled: then it is an upper bound."""
        standing = self.of(kind)
        return max(0, min(standing.open, standing.found - self.of_people(kind).settled))

    def _reconciled(self, seq: int, fact: Reconciled) -> None:
        until = read_until(fact.standing)
        found = {each.kind.value: each.found for each in fact.standing.classes}
        for name, heard in self.heard.items():  # a store that was lost counts from the beginning
            if found.get(name, 0) < heard.settled:
                heard.settled = heard.left = 0
        self.last, self.last_seq = fact, seq
        self.counted.append(Counted(seq, found, {each.kind.value: each.open for each in fact.standing.classes}, until))
        del self.counted[:-KEPT_STEPS]
        names = [f"{volume.flow.value}/{volume.side.value}" for volume in fact.volumes]
        self.shown = {name: _stretched(self.shown.get(name), fact.at, until) for name in names}
        self.calm = None if names else _stretched(self.calm, fact.at, until)

    def _told(self, fact: Transition) -> None:
        """What it was decided on stands in its evidence; a later reconciliation may be in the journal already."""
        kind = CLASS_OF_SYMPTOM[fact.symptom].value
        if fact.phase not in (Phase.OPENED, Phase.GROWN, Phase.RESOLVED) or not self.counted:
            return
        seen = [counted for counted in self.counted if fact.evidence and counted.seq <= fact.evidence[-1]]
        then = seen[-1] if seen else self.counted[0]
        heard = self.heard.setdefault(kind, Heard())
        heard.told = then.found.get(kind, 0)
        if fact.phase is Phase.RESOLVED:
            heard.settled, heard.left, heard.until = heard.told, then.open.get(kind, 0), then.until

    def _number(self, number: str) -> None:
        self.numbers.append(number)
        self.numbered += 1
        if len(self.numbers) > KEPT_NUMBERS + _SPARE:
            del self.numbers[:-KEPT_NUMBERS]


def _stretched(before: Stretch | None, at: Instant, until: float | None) -> Stretch:
    """It counts from where both sides are read."""
    return before if before is not None and before.until is not None else Stretch(at, until)


def read_until(standing: Standing) -> float | None:
    """How far both sides have been read; None: one of them decides nothing yet."""
    if standing.refunds_until is None or standing.confirmations_until is None:
        return None
    return min(standing.refunds_until, standing.confirmations_until)
