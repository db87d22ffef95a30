"""Who was told of what, as JSON: each notice for each channel, and what became of it. No address, no secret; what peers said is
masked and escaped."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from monitor.desk import Desk
from monitor.model.instant import Instant
from monitor.rules.notify import owing
from monitor.rules.plain import plain
from monitor.views.outbox import Item

SCHEMA = "mailcanary.notifications/v1"
SHOWN = 100
MOST_SHOWN = 1_000

Row = dict[str, object]


class State(StrEnum):
    """What became of one notice at one channel."""

    TOLD = "told"
    WAITING = "waiting"  # its time has come, and no attempt has ended yet
    HELD = "held"  # until a silence ends
    FAILING = "failing"  # it is tried again
    GIVEN_UP = "given_up"
    SUPERSEDED = "superseded"  # something newer is told instead, or nothing is left to tell
    NOBODY = "nobody"  # no channel is named for it


def deliveries(desk: Desk, incident: str = "", channel: str = "", limit: int = SHOWN) -> Row:
    """The latest first; empty: of every incident, by every channel."""
    found = [row for row in _rows(desk) if incident in ("", row["incident"]) and channel in ("", row["channel"])]
    found.reverse()
    return {
        "schema": SCHEMA,
        "environment": desk.policy.environment,
        "at": desk.clock.now().iso(),
        "total": len(found),
        "notifications": found[:limit],
    }


def heard(desk: Desk) -> list[str]:
    """The channels that there are, and those that there were."""
    names = dict.fromkeys(desk.policy.notify.channels)
    for item in desk.world.outbox.items.values():
        names |= dict.fromkeys([*item.taken, *item.failed])
    return list(names)


def _rows(desk: Desk) -> Iterator[Row]:
    now, outbox = desk.clock.now(), desk.world.outbox
    due = owing(outbox, desk.policy.notify, now)
    for item in outbox.items.values():
        waiting = [name for name in desk.policy.notify.channels if (item.seq, name) in due]
        names = list(dict.fromkeys([*item.taken, *item.failed, *waiting]))
        for name in names:
            yield _row(item, name, _state(item, name, name in waiting, now))
        if not names:
            yield _row(item, None, State.SUPERSEDED if item.superseded or not item.fires else State.NOBODY)


def _state(item: Item, channel: str, waiting: bool, now: Instant) -> State:
    if channel in item.taken:
        return State.TOLD
    failure = item.failed.get(channel)
    if failure is not None and failure.retry_in is None:
        return State.GIVEN_UP
    if not waiting:
        return State.SUPERSEDED
    if not item.is_due(now):
        return State.HELD
    return State.WAITING if failure is None else State.FAILING


def _row(item: Item, channel: str | None, state: State) -> Row:
    told = item.taken.get(channel or "")
    failure = item.failed.get(channel or "")
    attempts = item.attempts.get(channel or "") if told else failure.attempt if failure else 0
    return {
        "incident": item.transition.incident,
        "episode": item.episode,
        "notice": item.number,
        "of": item.transition.phase.value,
        "severity": item.transition.severity.value,
        "symptom": item.transition.symptom.value,
        "scope": plain(str(item.transition.scope)),
        "channel": None if channel is None else plain(channel),
        "state": state.value,
        "promised_at": item.transition.at.iso(),
        "due_at": item.due.iso(),
        "told_at": told.iso() if told else None,
        "attempts": attempts or 0,
        "failure": None
        if failure is None
        else {
            "at": failure.at.iso(),
            "detail": plain(failure.detail),
            "mend": plain(failure.mend),
            "retry_seconds": None if failure.retry_in is None else round(failure.retry_in, 3),
        },
    }
