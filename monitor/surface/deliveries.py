"""Who was told of what, as JSON and as text: each notice for each channel, and what became of it. No address, no secret; what peers said is
masked and escaped."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.desk import Desk
from monitor.model.instant import Instant
from monitor.rules.notify import owing
from monitor.rules.plain import one_line, plain
from monitor.views.outbox import Item

SCHEMA = "mailcanary.notifications/v1"
SHOWN = 100
MOST_SHOWN = 1_000

Row = dict[str, object]
Document = dict[str, Any]


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


_COLOURS = {
    State.TOLD: "green",
    State.WAITING: "yellow",
    State.HELD: "yellow",
    State.FAILING: "bold red",
    State.GIVEN_UP: "bold red",
    State.SUPERSEDED: "dim",
    State.NOBODY: "bold yellow",
}


def print_deliveries(document: Document, console: Console) -> None:
    """Schema `mailcanary.notifications/v1`."""
    rows = document["notifications"]
    if not rows:
        console.print(Text("nobody was told of anything, and nothing waits to be told"))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for heading in ("when", "incident", "of", "channel", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what became of it", ratio=1)
    for row in rows:
        state = State(row["state"])
        when = str(row["told_at"] or row["due_at"])[:19].replace("T", " ")
        said = (when, row["incident"], row["of"], row["channel"] or "-")
        table.add_row(*[Text(one_line(str(part))) for part in said], Text(state.value, _COLOURS[state]), Text(one_line(_became(row))))
    console.print(table)
    if (more := document["total"] - len(rows)) > 0:
        console.print(Text(f"and {more} more: --limit"))


def _became(row: Document) -> str:
    attempts = f"on attempt {row['attempts']}" if row["attempts"] > 1 else ""
    failure = row["failure"]
    match State(row["state"]):
        case State.TOLD:
            return attempts
        case State.FAILING | State.GIVEN_UP if failure:
            again = "" if failure["retry_seconds"] is None else f", again in {failure['retry_seconds']:.0f} s"
            mend = f"; {failure['mend']}" if failure["mend"] else ""
            return f"{attempts + ': ' if attempts else ''}{failure['detail']}{mend}{again}"
        case State.HELD:
            return f"told at {row['due_at']}, when the silence ends, if it is still open"
        case State.NOBODY:
            return "no channel is named for it in notify"
        case _:
            return ""
