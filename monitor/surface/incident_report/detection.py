"""How long it took to notice, to tell, to take it in hand and to end it: the lengths that a review asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from monitor.model.incident import Opening, Phase, Severity
from monitor.model.instant import Instant
from monitor.surface.incident_report.phrases import DETECTED, NOT_RECORDED, length
from monitor.views.incidents import IncidentState
from monitor.views.outbox import FIRING, Item

Document = Mapping[str, Any]


def detection(story: Document, state: IncidentState, items: list[Item]) -> dict[str, object]:
    """Of the present episode, and of the one that is over the last. A step that was not reached, or is not known any more, has no time."""
    opening = state.opened.opening if state.opened else None
    told, paged = _first(items, state, paged=False), _first(items, state, paged=True)
    last = state.last.severity
    rows = [
        ("began", "the first bad evidence", story["since"]),
        ("suspected", "the first doubt", _suspected(state)),
        ("opened", "the incident", story["opened_at"]),
        ("told", "a channel took the first notice", _iso(told)),
        ("paged", "a channel took the first page" if last is Severity.PAGE else "a ticket: it wakes nobody", _iso(paged)),
        ("acknowledged", "on-call took it in hand", story["acknowledged"]["at"] if story["acknowledged"] else None),
        ("recovering", "the latest evidence is good again", _step(state, Phase.RECOVERING)),
        ("resolved", "good for long enough, or a person said so", story["resolved_at"]),
    ]
    steps: list[dict[str, object]] = []
    before: str | None = None
    for name, text, at in rows:
        after = _between(story["since"], at)
        steps.append(
            {
                "name": name,
                "text": text,
                "at": at,
                "seconds_after_began": after,
                "seconds_after_previous": _between(before, at),
            }
        )
        before = at or before
    return {"by": DETECTED[Opening(opening)] if opening else NOT_RECORDED, "rule": opening.value if opening else None, "steps": steps}


def gap(seconds: float | None) -> str:
    """4m10s; - where a step was not reached, or is not known any more."""
    return "-" if seconds is None else length(seconds)


def _first(items: list[Item], state: IncidentState, *, paged: bool) -> Instant | None:
    """When the first channel took a notice of this episode that fires."""
    fired = [item for item in items if item.transition.phase in FIRING and item.episode == state.last.episode]
    wanted = [item for item in fired if not paged or item.transition.severity is Severity.PAGE]
    return min((at for item in wanted for at in item.taken.values()), key=lambda at: at.utc, default=None)


def _suspected(state: IncidentState) -> str | None:
    """The first suspicion since the episode before was over."""
    found: str | None = None
    for step in state.steps:
        if step.what == Phase.RESOLVED.value and state.opened is not None and step.at.utc < state.opened.at.utc:
            found = None
        elif step.what == Phase.SUSPECTED.value:
            found = found or step.at.iso()
    return found


def _step(state: IncidentState, phase: Phase) -> str | None:
    """The latest one of this kind in this episode."""
    since = state.opened.at.utc if state.opened else 0.0
    return next((step.at.iso() for step in reversed(state.steps) if step.what == phase.value and step.at.utc >= since), None)


def _between(first: str | None, then: str | None) -> float | None:
    """None also where it came before: what was taken in hand when it was good again took no time after that."""
    if first is None or then is None:
        return None
    seconds = round((datetime.fromisoformat(then) - datetime.fromisoformat(first)).total_seconds(), 3)
    return seconds if seconds >= 0 else None


def _iso(at: Instant | None) -> str | None:
    return at.iso() if at else None
