"""A progress bar by the bytes of files, on stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

PATIENCE = 2.0  # seconds before there is one


class Bar:
    """A context manager; on a terminal only, and only when there is something to wait for."""

    def __init__(self, paths: Iterable[Path]) -> None:
        live = sys.stderr is not None and sys.stderr.isatty()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not live, transient=True)
        self._task = self._bar.add_task("reading", total=sum(_size(path) for path in paths) or None)
        self._soon = threading.Timer(PATIENCE, self._bar.start) if live else None

    def __enter__(self) -> Bar:
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

    def heard(self, doing: str, done: int) -> None:
        self._bar.update(self._task, description=doing, completed=done)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if str(path) != "-" else 0
    except OSError:
        return 0
