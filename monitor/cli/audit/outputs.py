"""Where an audit goes: stdout, files, and a progress bar on stderr when it takes its time."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from monitor.cli import remark, tell
from monitor.cli.bar import PatientBar
from monitor.cli.files import written
from monitor.cli.paper import drawn
from monitor.rules.plain import one_line
from monitor.surface.audit.document import Document
from monitor.surface.audit.findings import final_line
from monitor.surface.audit.junit import junit
from monitor.surface.audit.markdown import markdown
from monitor.surface.audit.text import print_audit


@dataclass(frozen=True, slots=True)
class Said:
    out: str
    err: str = ""


def published(document: Document, arguments: argparse.Namespace) -> Said:
    """Writes every file that was asked for, and returns what to print. When nothing could be seen, text is one line."""
    forms = {"json": _json, "junit": junit, "markdown": markdown}
    for name, make in forms.items():
        if place := getattr(arguments, name):
            written(f"--{name}", Path(place), make(document))
    blind = document["blind"]
    if arguments.format != "text":
        return Said(forms[arguments.format](document), blind)
    if blind:
        return Said("", "\n".join(document["notes"]))
    report = drawn(lambda console: print_audit(document, console, arguments.all))
    lines = [line.rstrip() for line in report.rstrip().splitlines()]
    return Said("\n".join([*lines, "", final_line(document)] if lines else [final_line(document)]))


def say(said: Said) -> None:
    if said.out:
        tell(said.out)
    if said.err:
        remark(said.err)


def _json(document: Document) -> str:
    return f"{json.dumps(document, indent=2)}\n"


class Bar(PatientBar):
    """How many domains are done."""

    def __init__(self, wanted: int) -> None:
        super().__init__("asking", wanted, "{task.completed}/{task.total}")

    def advanced(self, domain: str) -> None:
        self._bar.update(self._task, advance=1, description=one_line(domain))

    def writing(self) -> None:
        self._bar.update(self._task, description="writing the report")
