"""Mailboxes x paths: one cell a route, mailboxes grouped by provider, with the latest probes drawn small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.rules.words import lapse

Document = Mapping[str, Any]

SLOTS = 20  # probes in a sparkline
STEP = 5  # pixels from one to the next
HIGH = 22  # pixels of the slowest
LOW = 3  # pixels of the fastest: a bar that nobody sees would be a gap


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Oldest left, latest right. Paths of SVG: bars of what passed, broken bars of what failed, dots of what is not known, rings of what is
    under way. `words` say the same."""

    passed: str
    failed: str
    unknown: str
    waiting: str
    words: str

    @property
    def width(self) -> int:
        return SLOTS * STEP

    @property
    def drawn(self) -> bool:
        return bool(self.passed or self.failed or self.unknown or self.waiting)


@dataclass(frozen=True, slots=True)
class Cell:
    """One route. `look` is one of pass, fail, unknown, error, none, and `stale` beside it: what is too old is no health."""

    route: str
    path: str
    mailbox: str
    look: str
    word: str
    stale: bool
    said: str
    transit: float | None
    last_at: str | None
    spark: Sparkline


@dataclass(frozen=True, slots=True)
class Line:
    """One mailbox; None where it has no route on that path."""

    mailbox: str
    role: str
    state: str
    why: str
    mend: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Group:
    provider: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """`watched`: mailboxes without a route (holding places, tripwires), which are looked into all the same."""

    paths: tuple[str, ...]
    groups: tuple[Group, ...]
    watched: tuple[Line, ...]

    @property
    def blind(self) -> tuple[Line, ...]:
        lines = (*(line for group in self.groups for line in group.lines), *self.watched)
        return tuple(line for line in lines if line.state == "blind")


def grid(status: Document) -> Grid:
    """Of `mailcanary.status/v1`."""
    paths = tuple(dict.fromkeys(row["path"] for row in status["routes"]))
    cells = {(row["mailbox"], row["path"]): cell(row) for row in status["routes"]}
    lines: dict[str, list[Line]] = {}
    watched: list[Line] = []
    for box in status["mailboxes"]:
        name = box["mailbox"]
        of = tuple(cells.get((name, path)) for path in paths)
        line = Line(name, box["role"], box["state"], box["why"], box["mend"], of)
        if any(of):
            lines.setdefault(box["provider"], []).append(line)
        else:
            watched.append(line)
    return Grid(paths, tuple(Group(provider, tuple(of)) for provider, of in lines.items()), tuple(watched))


def cell(row: Document) -> Cell:
    look = look_of(row["verdict"])
    word = row["reason"] or "no probe yet"
    return Cell(
        row["route"],
        row["path"],
        row["mailbox"],
        look,
        word.replace("_", " "),
        row["stale"],
        row["explanation"],
        row["transit_seconds"] if look == "pass" else None,
        row["last_evidence_at"],
        sparkline(row["recent"]),
    )


def look_of(verdict: str | None) -> str:
    match verdict:
        case "pass" | "fail" | "error":
            return verdict
        case None:
            return "none"
        case _:
            return "unknown"


def sparkline(trials: Sequence[Document]) -> Sparkline:
    """On a scale from nothing to the slowest, as the terminal has it."""
    latest = trials[-SLOTS:]
    times = [trial["transit_seconds"] for trial in latest if trial["verdict"] == "pass" and trial["transit_seconds"] is not None]
    top = max(times, default=0.0) or 1.0
    drawn: dict[str, list[str]] = {"pass": [], "fail": [], "unknown": [], "waiting": []}
    first = SLOTS - len(latest)
    for slot, trial in enumerate(latest, first):
        x = slot * STEP
        match trial["verdict"]:
            case "pass":
                seconds = trial["transit_seconds"]
                high = HIGH if seconds is None else max(LOW, round(seconds / top * HIGH))
                drawn["pass"].append(f"M{x + 2} {HIGH + 1}v-{high}")
            case "fail":
                drawn["fail"].append(f"M{x + 2} {HIGH + 1}v-9m0-4v-9")
            case None:
                drawn["waiting"].append(f"M{x + 1} {HIGH - 1}h2v2h-2z")
            case _:
                drawn["unknown"].append(f"M{x} {HIGH - 1}h4")
    passed, failed, unknown, waiting = ("".join(drawn[kind]) for kind in ("pass", "fail", "unknown", "waiting"))
    return Sparkline(passed, failed, unknown, waiting, _words(latest, times))


def _words(latest: Sequence[Document], times: Sequence[float]) -> str:
    if not latest:
        return "no probe yet"
    counted = Counter((trial["reason"] or "under way").replace("_", " ") for trial in latest)
    parts = [f"{number} {reason}" for reason, number in counted.most_common()]
    if times:
        parts.append(f"transit {lapse(min(times))} to {lapse(max(times))}" if len(times) > 1 else f"transit {lapse(times[0])}")
    return f"latest {len(latest)}: {', '.join(parts)}"
