"""What the counts of a gate are worth: the loss that a pass still allows, the two arms compared, and how a plan answers at a true loss.

All of it assumes that probes are lost independently of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from monitor.model.gate import GatePlan
from monitor.rules.gate.sequence import boundaries

HALVINGS = 60  # of the interval in which a bound is sought


@dataclass(frozen=True, slots=True)
class Ending:
    """One way in which the test of a class ends, and its chance. `passed`: None where the plan leaves it undecided."""

    probes: int
    adverse: int
    passed: bool | None
    chance: float


@dataclass(frozen=True, slots=True)
class Characteristic:
    """How a plan answers for one mailbox class at one true loss. The three shares add up to 1. `probes`: resolved ones, on the average."""

    passes: float
    fails: float
    undecided: float
    probes: float


@lru_cache(maxsize=4_096)
def loss_upper(probes: int, adverse: int, confidence: float = 0.95) -> float:
    """The greatest true loss that shows so few adverse probes with at least 1 - confidence (Clopper and Pearson 1934, one-sided).
    1.0 without a probe. 0 <= adverse <= probes; 0 < confidence < 1."""
    if adverse >= probes:
        return 1.0
    low, high = adverse / probes, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _at_most(adverse, probes, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def p_value(canary_adverse: int, canary: int, control_adverse: int, control: int) -> float | None:
    """The chance of at least so many adverse probes in the canary arm, were both arms alike (Fisher's exact test, one-sided).
    None where an arm has no probe."""
    if canary <= 0 or control <= 0:
        return None
    adverse = canary_adverse + control_adverse
    whole = _ways(canary + control, adverse)
    least, most = max(canary_adverse, adverse - control), min(canary, adverse)
    return min(1.0, math.fsum(math.exp(_ways(canary, k) + _ways(control, adverse - k) - whole) for k in range(least, most + 1)))


def endings(plan: GatePlan, loss: float) -> Iterator[Ending]:
    """Every way in which the test of one class can end at this true loss, exactly: all numbers of adverse probes are followed, each with
    its chance. 0 <= loss <= 1."""
    alive = {0: 1.0}
    for probes in range(1, plan.most + 1):
        accept, reject = boundaries(plan, probes)
        ahead: dict[int, float] = {}
        for adverse, chance in alive.items():
            ahead[adverse] = ahead.get(adverse, 0.0) + chance * (1 - loss)
            ahead[adverse + 1] = ahead.get(adverse + 1, 0.0) + chance * loss
        alive = {}
        for adverse, chance in ahead.items():
            if adverse >= reject or adverse <= accept:
                yield Ending(probes, adverse, adverse < reject, chance)
            else:
                alive[adverse] = chance
    for adverse, chance in alive.items():
        yield Ending(plan.most, adverse, None, chance)


def characteristic(plan: GatePlan, loss: float) -> Characteristic:
    """The operating characteristic of one class at this true loss, exactly."""
    ends = list(endings(plan, loss))
    passes, fails, undecided = (math.fsum(end.chance for end in ends if end.passed is way) for way in (True, False, None))
    return Characteristic(passes, fails, undecided, math.fsum(end.chance * end.probes for end in ends))


def coverage(plan: GatePlan, loss: float, confidence: float = 0.95) -> float:
    """The share of gates whose `loss_upper`, taken where the plan stops, is not below this true loss. The bound is made for a number of
    probes that is fixed beforehand; this says what is left of it under a plan that may stop early."""
    return math.fsum(end.chance for end in endings(plan, loss) if loss_upper(end.probes, end.adverse, confidence) >= loss)


def _at_most(adverse: int, probes: int, loss: float) -> float:
    """The chance of at most so many adverse ones (binomial). 0 < loss < 1."""
    lost, kept = math.log(loss), math.log1p(-loss)
    return math.fsum(math.exp(_ways(probes, k) + k * lost + (probes - k) * kept) for k in range(adverse + 1))


def _ways(all_of: int, some: int) -> float:
    """The logarithm of the number of choices."""
    return math.lgamma(all_of + 1) - math.lgamma(some + 1) - math.lgamma(all_of - some + 1)
