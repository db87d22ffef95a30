"""The sequential test of one mailbox class: outcomes in the order in which their probes were sent -> pass, fail, or how many more.

Prefix-complete: successes are known in seconds and losses only at their deadline, so a test that takes outcomes as they come sees the good
ones first and passes a deploy that loses a tenth of its mail. A pass therefore needs every probe of its prefix resolved. A fail need not
wait: it is certain as soon as it would come even if all that is pending were good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from monitor.model.gate import GatePlan, Sequential

NONE = -1  # no number of adverse probes is accepted here


@dataclass(frozen=True, slots=True)
class Ruling:
    """`passed`: True, False, or None while it is undecided; then `needed` probes, in all, complete the present step."""

    passed: bool | None
    resolved: int  # of the unbroken prefix
    adverse: int  # known, pending ones behind it included
    needed: int
    limit: int  # adverse probes with which it fails
    llr: float | None = None


def boundaries(plan: GatePlan, probes: int) -> tuple[int, int]:
    """After so many resolved probes: (adverse ones with which it passes, NONE if it cannot yet; adverse ones with which it fails)."""
    if plan.sequential is not None:
        return _wald(plan.sequential, probes)
    accept = max((step.accept for step in plan.steps if step.probes == probes), default=NONE)
    return accept, plan.reject


def rule(plan: GatePlan, outcomes: Sequence[bool | None]) -> Ruling:
    """`outcomes` in send order: adverse, good, or None while pending."""
    adverse = sum(outcome is True for outcome in outcomes)
    resolved = next((place for place, outcome in enumerate(outcomes) if outcome is None), len(outcomes))
    certain, at = _walk(plan, (outcome is True for outcome in outcomes), adverse)
    if certain is not False:
        certain, at = _walk(plan, (outcome is True for outcome in outcomes[:resolved]), adverse)
    place = at or resolved
    known = sum(outcome is True for outcome in outcomes[:resolved])
    llr = ratio(plan.sequential, resolved, known) if plan.sequential is not None else None
    return Ruling(certain, resolved, adverse, _needed(plan, place, adverse, certain), boundaries(plan, max(place, 1))[1], llr)


def ratio(test: Sequential, probes: int, adverse: int) -> float:
    """The log likelihood ratio, bad to good (Wald 1945)."""
    return adverse * math.log(test.bad / test.good) + (probes - adverse) * math.log((1 - test.bad) / (1 - test.good))


def _walk(plan: GatePlan, outcomes: Iterable[bool], known: int) -> tuple[bool | None, int]:
    """Where the test ends, if it does. What is known beyond a prefix is not ignored by a pass, so adverse probes that were sent beyond a
    step (an earlier attempt's, say) only make passing harder."""
    adverse = 0
    for probes, outcome in enumerate(outcomes, start=1):
        adverse += outcome
        accept, reject = boundaries(plan, probes)
        if adverse >= reject:
            return False, probes
        if max(adverse, known) <= accept:
            return True, probes
    return None, 0


def _needed(plan: GatePlan, probes: int, adverse: int, passed: bool | None) -> int:
    """Probes in all at which it is decided next, if no more adverse ones come."""
    if passed is not None:
        return probes
    return next((n for n in range(probes + 1, plan.most + 1) if boundaries(plan, n)[0] >= adverse), plan.most)


@lru_cache(maxsize=4_096)
def _wald(test: Sequential, probes: int) -> tuple[int, int]:
    upper, lower = math.log((1 - test.false_pass) / test.false_fail), math.log(test.false_pass / (1 - test.false_fail))
    if probes >= test.most:  # cut off: whichever is likelier
        upper = lower = 0.0
    step = math.log(test.bad / test.good) - math.log((1 - test.bad) / (1 - test.good))
    drift = probes * math.log((1 - test.bad) / (1 - test.good))
    reject = max(0, math.ceil((upper - drift) / step - 1e-12))
    accept = math.floor((lower - drift) / step + 1e-12)
    return (min(accept, reject - 1) if accept >= 0 else NONE), reject
