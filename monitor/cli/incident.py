"""`mailcanary incident list|show|ack|silence|unsilence|resolve|note|report`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from monitor.cli import UsageError, tell
from monitor.cli.files import replacing
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line
from monitor.surface import incident_report
from monitor.surface.story import print_incident, print_incidents

LIST, STORY = "mailcanary.incidents/v1", "mailcanary.incident/v1"


def call(arguments: argparse.Namespace) -> int:
    try:
        if arguments.action == "list":
            answer = told(arguments, LIST, lambda daemon: daemon.document(f"/v1/incidents?state={arguments.state}"))
        elif arguments.action == "report":
            return _report(arguments)
        elif arguments.action == "show":
            answer = told(arguments, STORY, lambda daemon: daemon.document(_place(arguments)))
        else:
            answer = told(arguments, STORY, lambda daemon: daemon.post(f"{_place(arguments)}/{arguments.action}", _body(arguments)))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    tell(json.dumps(answer) if arguments.format == "json" else _text(arguments.action, answer))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    """Raises as `told` does. A file that takes nothing is an error: it is all that was asked for."""
    document = told(arguments, incident_report.SCHEMA, lambda daemon: daemon.document(f"{_place(arguments)}/report"))
    match arguments.format:
        case "json":
            text = f"{json.dumps(document, indent=2)}\n"
        case "html":
            text = incident_report.html(document)
        case _:
            text = incident_report.markdown(document)
    if not arguments.output:
        tell(text)
        return 0
    try:
        with replacing(Path(arguments.output).resolve()) as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"--output {arguments.output}: {error.strerror or error}; nothing was written") from None
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
        case "resolve" | "unsilence":
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
            return one_line(
                f"{name} is acknowledged by {answer['acknowledged_by']}; nobody is told again unless it becomes graver or wider"
            )
        case "silence":
            return one_line(f"{name} is silent until {answer['silenced_until']}; it is told again if it is still open then")
        case "unsilence":
            if hushed := answer.get("hushed"):
                return one_line(f"{name} is not silenced by itself any more, but nobody is told: {hushed}")
            return one_line(f"{name} is told again, as it is now")
        case "resolve":
            return one_line(f"{name} is being resolved; fresh bad evidence opens it again")
        case _:
            return one_line(f"{name}: noted")
