"""Deploys, gates and incidents over one stretch of time, as places on a line: per cent from its left end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.model.instant import Instant
from monitor.surface.page.times import DAY, epoch

Document = Mapping[str, Any]

LONGEST = DAY
SHORTEST = 300.0  # seconds
ROW = 22  # pixels
TICKS = (60.0, 300.0, 900.0, 3_600.0, 7_200.0, 14_400.0, 21_600.0)  # seconds between ticks that may be
MOST_TICKS = 6
MOST_BARS = 8  # of deploys, and of incidents
TURNS = 55.0  # per cent: right of it, the name of a mark stands on its left
ROOM = 16.0  # per cent that the name of an incident needs


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """What lasted from `x` to `x + width`, one to a row; `look` is its colour and `shape` how it is drawn."""

    look: str
    name: str
    words: str
    x: float
    width: float
    y: int
    shape: str

    @property
    def side(self) -> str:
        """Where there is room for its name."""
        if self.x > (ROOM if self.shape == "span" else TURNS):
            return "left"
        return "right" if self.x + self.width < 100 - ROOM else "inside"


@dataclass(frozen=True, slots=True)
class Axis:
    since: str
    until: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]

    @property
    def height(self) -> int:
        return ROW * len(self.bars) + ROW


@dataclass(frozen=True, slots=True)
class _Span:
    look: str
    name: str
    words: str
    begin: float
    end: float
    shape: str


def axis(now: str, deploys: Sequence[Document], incidents: Sequence[Document]) -> Axis | None:
    """Of rows of `mailcanary.status/v1`; None: nothing happened that could be shown."""
    at = epoch(now)
    spans = [_deployed(row) for row in deploys[:MOST_BARS]] + [_broken(row, at) for row in incidents[:MOST_BARS]]
    return _placed(spans, at)


def beside(story: Document) -> Axis | None:
    """The deploys that an incident may have to do with, and the incident, of `mailcanary.incident/v1`."""
    at = epoch(story["resolved_at"] or story["at"])
    deploys = [
        _Span("deploy", _named(row), row["text"], epoch(row["at"]), epoch(row["at"]), "mark") for row in story["deploys"][:MOST_BARS]
    ]
    return _placed([*deploys, _broken(story, at)], at)


def _deployed(row: Document) -> _Span:
    times = [epoch(marker["at"]) for marker in row["markers"]]
    name = _named(row)
    gates = [f"gate {gate['verdict']}" for gate in row["gates"][:1]]
    words = ", ".join([name, row["phase"], *gates])
    return _Span("deploy", " · ".join([name, *gates]), words, times[0], times[-1], "rollback" if row["phase"] == "rollback" else "mark")


def _named(row: Document) -> str:
    return f"{row['service']} {row['version']}".strip() or str(row["deploy"])


def _broken(row: Document, at: float) -> _Span:
    end = epoch(row["resolved_at"]) if row["resolved_at"] else at
    words = f"{row['id']} {row['title']}, {row['state']}"
    return _Span(row["severity"] if row["state"] == "open" else row["state"], row["id"], words, epoch(row["since"]), end, "span")


def _placed(spans: Sequence[_Span], at: float) -> Axis | None:
    seen = [span for span in spans if span.end >= at - LONGEST]
    if not seen:
        return None
    oldest = max(min(span.begin for span in seen), at - LONGEST)
    length = max(SHORTEST, (at - oldest) * 1.08)
    left = at - length

    def place(when: float) -> float:
        return round(min(100.0, max(0.0, (when - left) / length * 100)), 2)

    bars = tuple(
        Bar(
            span.look,
            span.name,
            span.words,
            place(span.begin),
            round(max(0.0, place(span.end) - place(span.begin)), 2),
            row * ROW,
            span.shape,
        )
        for row, span in enumerate(seen)
    )
    return Axis(_iso(left), _iso(at), bars, _ticks(left, length, place))


def _ticks(left: float, length: float, place: Callable[[float], float]) -> tuple[Tick, ...]:
    step = next((step for step in TICKS if length / step <= MOST_TICKS), TICKS[-1])
    first = int(left // step + 1)
    times = [number * step for number in range(first, int((left + length) // step) + 1)]
    return tuple(Tick(place(when), _iso(when)[11:16]) for when in times if 3 < place(when) < 95)


def _iso(utc: float) -> str:
    return Instant(utc, 0.0, "").iso()
