"""The exact tails of Poisson's distribution: how likely so few, or so many, are where so many are expected."""

from __future__ import annotations

import math

TAIL = 1e-6  # a deviation that chance makes more often than so is none

_NEGLIGIBLE = 1e-18  # a term below it changes nothing that is compared with TAIL


def so_few(seen: int, expected: float) -> float:
    """The chance of at most `seen`. 1.0 where nothing is expected."""
    if expected <= 0:
        return 1.0
    return min(1.0, _sum(seen, expected, -1)) if seen < expected else 1.0


def so_many(seen: int, expected: float) -> float:
    """The chance of at least `seen`; of anything at all, 0.0 where nothing is expected."""
    if seen <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    return min(1.0, _sum(seen, expected, 1)) if seen > expected else 1.0


def _sum(start: int, expected: float, step: int) -> float:
    """Of the terms from `start` outwards, which shrink all the way."""
    total, count = 0.0, start
    while count >= 0:
        term = math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
        total += term
        if term < max(_NEGLIGIBLE, total * 1e-12):
            break
        count += step
    return total
