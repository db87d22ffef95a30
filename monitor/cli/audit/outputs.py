"""Where an audit goes: stdout, files, and a progress bar on stderr when it takes its time."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.cli import remark, tell
from monitor.cli.files import written
from monitor.cli.paper import drawn
from monitor.rules.plain import one_line
from monitor.surface.audit.document import Audited, Document
from monitor.surface.audit.findings import final_line
from monitor.surface.audit.junit import junit
from monitor.surface.audit.markdown import markdown
from monitor.surface.audit.text import print_audit

PATIENCE = 2.0  # seconds before there is a progress bar


def publish(document: Document, arguments: argparse.Namespace, blind: bool) -> None:
    """Every form that was asked for. `blind`: there is nothing to report, and text is one line."""
    forms = {"json": _json, "junit": junit, "markdown": markdown}
    for name, make in forms.items():
        if place := getattr(arguments, name):
            written(f"--{name}", Path(place), make(document))
    if arguments.format != "text":
        tell(forms[arguments.format](document))
        if blind:
            remark(document["notes"][-1])
    elif blind:
        remark("\n".join(document["notes"]))
    else:
        report = drawn(lambda console: print_audit(document, console, arguments.all))
        lines = [line.rstrip() for line in report.rstrip().splitlines()]
        tell("\n".join([*lines, "", final_line(document)] if lines else [final_line(document)]))


def _json(document: Document) -> str:
    return f"{json.dumps(document, indent=2)}\n"


class Bar:
    """A context manager; shown on a terminal only, and only when there is something to wait for."""

    def __init__(self, wanted: int) -> None:
        self._live = sys.stderr is not None and sys.stderr.isatty()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not self._live, transient=True)
        self._task = self._bar.add_task("asking", total=wanted)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._live:
            loop.call_later(PATIENCE, self._bar.start)

    def advanced(self, audited: Audited) -> None:
        self._bar.update(self._task, advance=1, description=one_line(audited.subject.domain))
