"""How far files are read, in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from monitor.cli.bar import PatientBar


class Bar(PatientBar):
    def __init__(self, paths: Iterable[Path]) -> None:
        super().__init__("reading", sum(_size(path) for path in paths) or None, "{task.percentage:>3.0f} %")

    def heard(self, doing: str, done: int) -> None:
        self._bar.update(self._task, description=doing, completed=done)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if str(path) != "-" else 0
    except OSError:
        return 0
