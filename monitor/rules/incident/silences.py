"""Planned silences: which of them cover an incident, until when nobody is told of it, and that this has changed.

Only the telling waits. Incidents open, grow and end as before, gates still block, metrics count. Times are UTC: people plan by the clock on
the wall.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from monitor.model.facts import SilencePlanned, Transition
from monitor.model.incident import Phase, Scope, ScopeKind, as_it_is
from monitor.model.instant import Instant
from monitor.rules.incident import telling
from monitor.rules.incident.layout import Layout
from monitor.rules.incident.scene import Scene
from monitor.views.incidents import Incidents, IncidentState, SilenceState
from monitor.views.outbox import FIRING

_NAMED = 2  # silences in one line
_LONGEST_NAME = 64  # of an owner, in one line


@dataclass(frozen=True, slots=True)
class Cover:
    """Nobody is told before `until` (seconds since the epoch; 0: nothing is silent). `why`: by which silences, whose, until when."""

    until: float = 0.0
    why: str = ""
    by: str = ""


OPEN = Cover()


def covers(layout: Layout, planned: SilencePlanned, fact: Transition) -> bool:
    """What the silence names is all of it: one of its scopes holds the whole incident, and its symptom is meant."""
    if planned.symptoms and as_it_is(fact.symptom, fact.severity) not in planned.symptoms:
        return False
    return not planned.scopes or any(_within(layout, scope, fact) for scope in planned.scopes)


def covering(incidents: Incidents, layout: Layout, fact: Transition, now: Instant) -> list[SilenceState]:
    """The silences that cover it now."""
    return [each for each in incidents.pending(now.utc) if each.is_active(now.utc) and covers(layout, each.fact, fact)]


def cover(incidents: Incidents, layout: Layout, fact: Transition, now: Instant, alone_until: float = 0.0) -> Cover:
    """How silent it is. One silence that begins before another ends goes on with it: between the two nobody is told.

    `alone_until`: until when a person has silenced this incident alone, which such a row may begin with.
    """
    pending = incidents.pending(now.utc)
    if not pending:
        return OPEN
    meant = sorted((each for each in pending if covers(layout, each.fact, fact)), key=lambda each: each.fact.begins)
    until, row = max(now.utc, alone_until), []
    for each in meant:
        if each.fact.begins <= until:
            row.append(each)
            until = max(until, each.until)
    return Cover(until, _named(row), row[0].fact.by) if row else OPEN


def silenced(scene: Scene) -> list[Transition]:
    """Of the open incidents those that are covered now, or for longer, or no longer, as nobody has said yet."""
    incidents, now = scene.incidents, scene.now
    states = incidents.open() if incidents.silences else []
    if not any(state.quiet_until > now.utc for state in states) and not incidents.pending(now.utc):
        return []
    return [fact for state in states if (fact := _changed(scene, state))]


def _changed(scene: Scene, state: IncidentState) -> Transition | None:
    known = Cover(state.quiet_until, state.quiet_why) if state.quiet_until > scene.now.utc else OPEN
    meant = of(scene, state, state.last)
    if (meant.until, meant.why) == (known.until, known.why):
        return None
    note = meant.why or f"no longer silenced by {known.why or 'what was planned'}"
    by = meant.by or _ended_by(scene.incidents.silences.values(), scene.now)
    return replace(telling.step(scene, state, Phase.SILENCED, note, by), silent_until=meant.until)


def of(scene: Scene, state: IncidentState | None, fact: Transition) -> Cover:
    alone = state.silenced.until if state is not None and state.silenced is not None else 0.0
    return cover(scene.incidents, scene.layout, fact, scene.now, alone)


def kept(scene: Scene, fact: Transition) -> Transition:
    """With the time before which nobody is told of it, where people would be."""
    if fact.phase is Phase.RESOLVED:
        return replace(fact, silent_until=0.0)
    if fact.phase not in FIRING:
        return fact
    return replace(fact, silent_until=of(scene, scene.incidents.known.get(fact.incident), fact).until)


def next_change(scene: Scene) -> float | None:
    """Seconds until a silence begins that may cover what is open; None: none does. An end needs no decision, an early one is a fact."""
    if not scene.incidents.silences or not scene.incidents.open():
        return None
    waits = [each.fact.begins - scene.now.utc for each in scene.incidents.pending(scene.now.utc)]
    return min((wait for wait in waits if wait > 0), default=None)


def _within(layout: Layout, scope: Scope, fact: Transition) -> bool:
    match scope.kind:
        case ScopeKind.ALL:
            return True
        case ScopeKind.DOMAIN | ScopeKind.LEDGER | ScopeKind.DEPLOY:
            return fact.scope == scope
        case ScopeKind.PATH | ScopeKind.PROVIDER | ScopeKind.MAILBOX:
            named = [route for name in fact.routes if (route := layout.routes.get(name))]
            routes = named or layout.within(fact.scope)
            return fact.scope == scope or (bool(routes) and all(layout.holds(scope, route) for route in routes))


def _named(row: list[SilenceState]) -> str:
    """SIL-3 of ana until 2030-01-31T12:00:00Z, by the time of their ends."""
    shown = sorted(row, key=lambda each: each.until, reverse=True)
    named = [f"{each.fact.silence} of {each.fact.by[:_LONGEST_NAME]} until {Instant(each.until, 0.0, '').iso()}" for each in shown[:_NAMED]]
    return ", ".join(named) + (f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else "")


def _ended_by(silences: Iterable[SilenceState], now: Instant) -> str:
    """Who ended one early, the latest."""
    ends = [each.ended for each in silences if each.ended is not None and each.ended.at.utc <= now.utc]
    return max(ends, key=lambda end: end.at.utc).by if ends else ""
