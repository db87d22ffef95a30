"""What one sees while a gate runs, on stderr: a live line on a terminal, a plain line now and then in the log of a pipeline."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.cli import remark
from monitor.edge import clock
from monitor.rules.plain import one_line

Document = dict[str, object]

LINE_EVERY = 10.0  # seconds between two lines in a log


class Watching:
    """A context manager; `heard` for each document, as often as one likes."""

    def __init__(self) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not self.live, transient=True)
        self._task = self._bar.add_task("asking", total=None)
        self._said, self._said_at = "", 0.0

    def __enter__(self) -> Watching:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def heard(self, document: Document) -> None:
        resolved, wanted, line = standing(document)
        plain = one_line(f"gate {document['id']} attempt {document['attempt']}: {line}")
        if self.live:
            self._bar.update(self._task, description=line, completed=resolved, total=wanted or None)
            return
        now = clock.monotonic()
        if not self._said or now - self._said_at >= LINE_EVERY:  # the same too: some runners end a job that is silent
            remark(plain)
            self._said, self._said_at = plain, now

    def note(self, text: str) -> None:
        """Something that happens meanwhile; the same again is not said again."""
        if self.live:
            self._bar.update(self._task, description=one_line(text))
        elif text != self._said:
            remark(text)
            self._said, self._said_at = text, clock.monotonic()


def standing(document: Document) -> tuple[int, int, str]:
    """Resolved probes, those wanted, and how the classes stand, in words."""
    rows = document["classes"]
    classes = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    done, pending, adverse, wanted = 0, 0, 0, 0
    for row in classes:
        resolved = int(row["good"]) + int(row["adverse"])
        done, wanted = done + resolved, wanted + max(resolved, int(row["needed"]))
        pending, adverse = pending + int(row["pending"]), adverse + int(row["adverse"])
    decided = sum(row["verdict"] != "pending" for row in classes)
    line = f"{decided} of {len(classes)} classes decided, {done} of {wanted} probes resolved, {pending} pending, {adverse} adverse"
    return done, wanted, line
