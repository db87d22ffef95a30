"""The checks of checks' catalogue over one domain: pure, of what is known (Subject) and what the DNS and mail servers say (Lookup)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from monitor.model.checks import CheckResult
from monitor.model.inspection import Subject
from monitor.ports import SuffixList
from monitor.rules.inspect.scene import Scene
from monitor.rules.lookup import Lookup

__all__ = ["Inspection", "Scene", "inspect"]

Family = Callable[[Scene], Iterator[CheckResult]]
FAMILIES: tuple[Family, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """All results, in the order of the families, worst things not first."""

    domain: str
    results: tuple[CheckResult, ...]


def inspect(subject: Subject, lookup: Lookup, suffixes: SuffixList) -> Inspection:
    """Every check once. While the lookup is not complete the results are provisional."""
    scene = Scene(subject, lookup, suffixes)
    return Inspection(subject.domain, tuple(result for family in FAMILIES for result in family(scene)))
