"""Who was told of what, as a table for the terminal: drawn from the document `mailcanary.notifications/v1`, by the command alone."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.rules.plain import one_line
from monitor.surface.deliveries import State

Document = dict[str, Any]

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
