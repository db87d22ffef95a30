"""`mailcanary silence add|list|end`: quiet that is planned, with an owner and an end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli import UsageError, tell
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line

LIST, PLACE = "mailcanary.silences/v1", "/v1/silences"
COLOURS = {"active": "yellow", "planned": "", "over": "dim"}

Row = Mapping[str, Any]


def call(arguments: argparse.Namespace) -> int:
    try:
        answer = _asked(arguments)
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    tell(json.dumps(answer) if arguments.format == "json" else _text(arguments.action, answer))
    return 0


def _asked(arguments: argparse.Namespace) -> Row:
    match arguments.action:
        case "list":
            return told(arguments, LIST, lambda daemon: daemon.document(f"{PLACE}?state={'all' if arguments.all else 'pending'}"))
        case "end":
            body: dict[str, object] = {"by": arguments.by, "reason": arguments.reason}
            return told(arguments, LIST, lambda daemon: daemon.post(f"{PLACE}/{_name(arguments.silence)}/end", body))
        case _:
            planned = _planned(arguments)
            return told(arguments, LIST, lambda daemon: daemon.post(PLACE, planned))


def _planned(arguments: argparse.Namespace) -> dict[str, object]:
    body: dict[str, object] = {"by": arguments.by, "reason": arguments.reason, "for": arguments.length}
    given = (("begins", arguments.begins), ("scopes", arguments.scope), ("symptoms", arguments.symptom))
    return body | {name: value for name, value in given if value}


def _name(text: str) -> str:
    """SIL-3 may be called 3 or sil-3."""
    name = text.strip().upper()
    if not name:
        raise UsageError("name a silence, e.g. SIL-3; `mailcanary silence list` shows them")
    return quote(f"SIL-{name}" if name.isdecimal() else name, safe="")


def _text(action: str, answer: Row) -> str:
    rows = answer["silences"]
    match action:
        case "list":
            return drawn(lambda console: _table(rows, console))
        case "end":
            return one_line(_ended(rows[0], answer))
        case _:
            row = rows[0]
            covered = f"; it covers {', '.join(row['covers'])}" if row["covers"] else ""
            return one_line(
                f"{row['id']}: {_what(row)} silent from {row['begins']} to {row['until']}{covered}; what is still open then is told"
            )


def _ended(row: Row, answer: Row) -> str:
    if row["ended"]["at"] < row["begins"]:
        return f"{row['id']} is over; it never begins"
    reasons = (("still_silent", "silenced otherwise"), ("in_hand", "acknowledged"))
    untold = "; ".join(f"{', '.join(answer[key])}: {why}" for key, why in reasons if answer.get(key))
    return f"{row['id']} is over; what it kept silent and is still open is told now{f', but not {untold}' if untold else ''}"


def _table(rows: list[Row], console: Console) -> None:
    if not rows:
        console.print("no silence is planned")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for head in ("id", "state", "from", "until", "by", "what", "why", "covers"):
        table.add_column(head, header_style="bold", overflow="fold")
    for row in rows:
        until = row["ended"]["at"] if row["ended"] else row["until"]
        shown = (row["begins"], until, row["by"], _what(row), row["reason"], ", ".join(row["covers"]))
        style = COLOURS.get(row["state"], "")
        table.add_row(*(Text(one_line(str(cell)), style) for cell in (row["id"], row["state"], *shown)))
    console.print(table)


def _what(row: Row) -> str:
    scopes, symptoms = ", ".join(row["scopes"]), ", ".join(row["symptoms"])
    everywhere = not row["scopes"] or "all" in row["scopes"]
    return f"{'everything' if everywhere else scopes}{f' ({symptoms})' if symptoms else ''}"
