"""SPF: the record, the tree of records below it, what it says of our addresses and of strangers', and what delivered mail shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from monitor.model.checks import CheckId, CheckResult
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf import budget, mail, published, sending
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.sight import sights

__all__ = ["CHECKS", "judge"]

MOST_RESULTS: Final = 20  # of one check


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All of them in every world; each about one thing once, and no more than 20 of a kind."""
    names = sights(scene)
    told: dict[CheckId, set[str]] = {}
    left: dict[CheckId, list[CheckResult]] = {}
    for result in chain(published.judge(scene, names), budget.judge(names), sending.judge(scene, names), mail.judge(scene)):
        abouts = told.setdefault(result.check, set())
        if result.about in abouts:
            continue
        if len(abouts) < MOST_RESULTS:
            abouts.add(result.about)
            yield result
        else:
            left.setdefault(result.check, []).append(result)
    for check, results in left.items():
        yield _rest(check, results)


def _rest(check: CheckId, results: list[CheckResult]) -> CheckResult:
    """The worst of those that have no room, with how many there are."""
    ranks = ["pass", "skip", "info", "unknown", "warn", "fail"]
    worst = max(results, key=lambda result: ranks.index(result.status.value))
    return CheckResult(check, worst.status, f"{len(results)} more", worst.gravity, f"{worst.about}: {worst.saw}", mend=worst.mend)
