"""One result for one cause, over however many routes it was seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from monitor.model.checks import CheckResult

_NAMED = 3  # routes besides the first


def together(results: Iterable[CheckResult], routes: Collection[str]) -> Iterator[CheckResult]:
    """Results that differ in their route only become one, about the first of these routes, that names the others."""
    alike: dict[CheckResult, tuple[CheckResult, list[str]]] = {}
    for result in results:
        cause = replace(result, about="") if result.about in routes else result
        alike.setdefault(cause, (result, []))[1].append(result.about)
    for first, (_, *others) in alike.values():
        yield replace(first, saw=f"{first.saw} (also on {_listed(others)})") if others else first


def _listed(routes: list[str]) -> str:
    more = len(routes) - _NAMED
    named = ", ".join(routes[:_NAMED])
    return f"{named} and {more} more route{'s' if more > 1 else ''}" if more > 0 else named
