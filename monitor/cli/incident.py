"""`mailcanary incident list|show|ack|silence|resolve|note`."""

from __future__ import annotations

import argparse
import json
import sys
from urllib.parse import quote

from rich.console import Console

from monitor.cli import UsageError, tell
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line
from monitor.surface.story import print_incident, print_incidents

LIST, STORY = "mailcanary.incidents/v1", "mailcanary.incident/v1"


def call(arguments: argparse.Namespace) -> int:
    try:
        if arguments.action == "list":
            answer = told(arguments, LIST, lambda daemon: daemon.document(f"/v1/incidents?state={arguments.state}"))
        elif arguments.action == "show":
            answer = told(arguments, STORY, lambda daemon: daemon.document(_place(arguments)))
        else:
            answer = told(arguments, STORY, lambda daemon: daemon.post(f"{_place(arguments)}/{arguments.action}", _body(arguments)))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    tell(json.dumps(answer) if arguments.format == "json" else _text(arguments.action, answer))
    return 0


def _place(arguments: argparse.Namespace) -> str:
    """INC-12 may be called 12 or inc-12."""
    name = arguments.incident.strip().upper()
    if not name:
        raise UsageError("name an incident, e.g. INC-12; `mailcanary incident list` shows them")
    return f"/v1/incidents/{quote(f'INC-{name}' if name.isdecimal() else name, safe='')}"


def _body(arguments: argparse.Namespace) -> dict[str, object]:
    match arguments.action:
        case "ack":
            return {"by": arguments.by, "text": arguments.text}
        case "silence":
            return {"by": arguments.by, "reason": arguments.reason, "for": arguments.length}
        case "resolve":
            return {"by": arguments.by, "reason": arguments.reason}
        case _:
            return {"by": arguments.by, "text": arguments.text}


def _text(action: str, answer: dict[str, object]) -> str:
    def draw(console: Console) -> None:
        (print_incidents if action == "list" else print_incident)(answer, console)

    name = answer.get("id")
    match action:
        case "list" | "show":
            return drawn(draw)
        case "ack":
            return one_line(f"{name} is acknowledged by {answer['acknowledged_by']}; nobody is told again unless a ticket becomes a page")
        case "silence":
            return one_line(f"{name} is silent until {answer['silenced_until']}; it is told again if it is still open then")
        case "resolve":
            return one_line(f"{name} is being resolved; fresh bad evidence opens it again")
        case _:
            return one_line(f"{name}: noted")
