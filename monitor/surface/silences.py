"""Planned silences as JSON: who wants quiet about what, from when until when, and what it covers now. No address, no refund number."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from monitor.desk import Desk
from monitor.model.incident import IncidentId
from monitor.model.instant import Instant
from monitor.rules.incident import Layout
from monitor.rules.incident.silences import cover, covers
from monitor.rules.plain import plain
from monitor.views.incidents import IncidentState, SilenceState
from monitor.views.outbox import Item

Row = dict[str, object]
MOST_COVERED = 20  # incidents that one row names


class Stage(StrEnum):
    PLANNED = "planned"  # begins later: a maintenance window
    ACTIVE = "active"
    OVER = "over"


def stage_of(silence: SilenceState, now: Instant) -> Stage:
    if silence.is_over(now.utc):
        return Stage.OVER
    return Stage.ACTIVE if silence.is_active(now.utc) else Stage.PLANNED


def silence_list(desk: Desk, silences: Sequence[SilenceState]) -> Row:
    """Schema `mailcanary.silences/v1`: additive changes only."""
    now = desk.clock.now()
    return {
        "schema": "mailcanary.silences/v1",
        "environment": desk.policy.environment,
        "at": now.iso(),
        "silences": silence_rows(desk, silences, now),
    }


def silence_rows(desk: Desk, silences: Sequence[SilenceState], now: Instant) -> list[Row]:
    layout = Layout.of(desk.policy) if silences else None
    return [_row(desk, layout, each, now) for each in silences] if layout is not None else []


def pending(desk: Desk, now: Instant) -> list[SilenceState]:
    """Those that are not over, what begins first at the head."""
    return sorted(desk.world.incidents.pending(now.utc), key=lambda each: (each.fact.begins, each.until))


def still_silent(desk: Desk, silence: SilenceState, now: Instant) -> list[IncidentId]:
    """The open incidents that it covered when it ended, of which nobody is told nevertheless: another silence, or a person, wants so."""
    return [state.id for state in _meant(desk, silence) if _is_quiet(desk, state, now)][:MOST_COVERED]


def in_hand(desk: Desk, silence: SilenceState, now: Instant) -> list[IncidentId]:
    """The others that it covered when it ended, of which nobody is told because whoever has acknowledged them knows of them."""
    there = [state for state in _meant(desk, silence) if state.acknowledged and not _is_quiet(desk, state, now)]
    return [state.id for state in there if not any(_is_owed(item) for item in desk.world.outbox.of(state.id))][:MOST_COVERED]


def _meant(desk: Desk, silence: SilenceState) -> list[IncidentState]:
    layout = Layout.of(desk.policy)
    return [state for state in desk.world.incidents.open() if covers(layout, silence.fact, state.last)]


def _is_quiet(desk: Desk, state: IncidentState, now: Instant) -> bool:
    return state.is_silent(now) or cover(desk.world.incidents, Layout.of(desk.policy), state.last, now).until > now.utc


def _is_owed(item: Item) -> bool:
    return item.fires and not item.superseded and not item.taken


def _row(desk: Desk, layout: Layout, silence: SilenceState, now: Instant) -> Row:
    planned, ended, stage = silence.fact, silence.ended, stage_of(silence, now)
    open_ones = desk.world.incidents.open() if stage is Stage.ACTIVE else []
    return {
        "id": planned.silence,
        "state": stage.value,
        "by": plain(planned.by),
        "reason": plain(planned.reason),
        "planned_at": planned.at.iso(),
        "begins": _iso(planned.begins),
        "until": _iso(planned.until),
        "scopes": [plain(str(scope)) for scope in planned.scopes],
        "symptoms": [symptom.value for symptom in planned.symptoms],
        "ended": {"at": ended.at.iso(), "by": plain(ended.by), "reason": plain(ended.reason)} if ended else None,
        "covers": [state.id for state in open_ones if covers(layout, planned, state.last)][:MOST_COVERED],
    }


def _iso(utc: float) -> str:
    return Instant(utc, 0.0, "").iso()
