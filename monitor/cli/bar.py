"""A progress bar on stderr, for whoever waits."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

PATIENCE = 2.0  # seconds before there is one


class PatientBar:
    """A context manager; shown on a terminal only, and only when there is something to wait for. `shows`: how far it is, in the words of
    rich's columns."""

    def __init__(self, doing: str, total: float | None, shows: str) -> None:
        live = sys.stderr is not None and sys.stderr.isatty()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn(shows))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not live, transient=True)
        self._task = self._bar.add_task(doing, total=total)
        self._soon = threading.Timer(PATIENCE, self._bar.start) if live else None

    def __enter__(self) -> Self:
        if self._soon is not None:
            self._soon.daemon = True
            self._soon.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon.join()  # else it might be shown after its end
            self._soon = None
        self._bar.stop()
