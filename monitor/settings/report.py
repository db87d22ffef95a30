"""Collects what is wrong (faults) and what is allowed but probably not meant (notes), each with its place."""

from __future__ import annotations

from monitor.settings.document import Document, Place
from monitor.settings.faults import Fault, KeyPath, show


class Report:
    """Faults and notes on one file."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self._document = document
        self._faults: list[tuple[Place, Fault]] = []
        self._notes: list[tuple[Place, Fault]] = []

    def fault(self, path: KeyPath, what: str, mend: str, place: Place | None = None) -> None:
        self._faults.append(self._entry(path, what, mend, place))

    def note(self, path: KeyPath, what: str, mend: str) -> None:
        self._notes.append(self._entry(path, what, mend, None))

    def locate(self, path: KeyPath) -> str:
        return f"{self.file}:{self._document.place(path).line}"

    def written(self, path: KeyPath) -> bool:
        return path in self._document.places

    def line(self, path: KeyPath) -> int:
        return self._document.place(path).line

    @property
    def faults(self) -> tuple[Fault, ...]:
        """In file order, each once."""
        return _in_order(self._faults)

    @property
    def notes(self) -> tuple[Fault, ...]:
        return _in_order(self._notes)

    def _entry(self, path: KeyPath, what: str, mend: str, place: Place | None) -> tuple[Place, Fault]:
        place = place or self._document.place(path)
        return place, Fault(f"{self.file}:{place.line}", show(path), what, mend)


def _in_order(entries: list[tuple[Place, Fault]]) -> tuple[Fault, ...]:
    return tuple(dict.fromkeys(fault for _, fault in sorted(entries, key=lambda entry: entry[0])))
