"""A shop in slices of time: refunds with the rhythm of day and week, confirmations shortly after, and what happens to both."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from monitor.model.ledger import Slice

SLICE = 300.0
DAY, WEEK = 86_400.0, 604_800.0
BEGAN = 1_767_571_200.0  # Monday, 2026-01-05
Weight = Callable[[float], float]  # time -> factor


def always(_: float) -> float:
    return 1.0


@dataclass(frozen=True)
class Shop:
    """`a_day`: refunds of an average day. `busy`: how many times as many at a time; `mailed`: confirmations to a refund at a time."""

    a_day: float
    busy: Weight = always
    mailed: Weight = always

    def slices(self, days: float, seed: int) -> list[Slice]:
        chance = random.Random(seed)
        made: list[Slice] = []
        late = later = 0
        for place in range(int(days * DAY / SLICE)):
            at = BEGAN + place * SLICE
            refunds = poisson(chance, self.a_day * SLICE / DAY * rhythm(at) * self.busy(at))
            mails = thinned(chance, refunds, self.mailed(at))
            now = thinned(chance, mails, 0.85)
            soon = thinned(chance, mails - now, 0.9)
            made.append(Slice(at, refunds, now + late))
            late, later = soon + later, mails - now - soon
        return made


def rhythm(at: float) -> float:
    """Much at noon, little at night, half as much on Saturdays and Sundays; 1 on the average."""
    hour, weekday = (at % DAY) / 3_600, int((at - BEGAN) // DAY) % 7
    return (0.1 + 0.9 * (1 - math.cos(2 * math.pi * (hour - 1) / 24))) * (0.583 if weekday >= 5 else 1.167)


def poisson(chance: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, product, floor = -1, 1.0, math.exp(-mean)
    while product > floor or count < 0:
        count += 1
        product *= chance.random()
    return count


def thinned(chance: random.Random, count: int, share: float) -> int:
    """So many of `count`; above 1, each counts so often."""
    whole = int(share)
    part = share - whole
    return count * whole + (sum(chance.random() < part for _ in range(count)) if 0 < part < 1 else 0)
