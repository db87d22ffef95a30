"""Refunds and confirmations by slices of time, as sums from which any stretch is read at once."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from monitor.model.ledger import Slice

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0

QUARTER = 900.0
TELLING = 20  # records in a week that tell how they are booked
BLOCK = 50  # refunds in the smallest block that tells of the ratio
BLOCKS = 3  # that it takes
MOST_BLOCKS = 200
YOUNG = 10_800.0  # seconds: what is younger may be the accident, and tells nothing of the ratio


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums from the first slice on: `refunds[i]` are those of the slices before the i-th."""

    refunds: Sequence[int]
    confirmations: Sequence[int]
    start: float
    width: float
    since: int  # the first slice in which both sides had begun
    end: int  # slices

    @classmethod
    def of(cls, slices: Sequence[Slice], width: float, whole: int) -> Counts:
        refunds = [one.refunds for one in slices[:whole]]
        confirmations = [one.confirmations for one in slices[:whole]]
        begun = max(next((place for place, count in enumerate(side) if count), whole) for side in (refunds, confirmations))
        silent = [0] * (whole - len(refunds))
        return cls(
            refunds=tuple(accumulate(refunds + silent, initial=0)),
            confirmations=tuple(accumulate(confirmations + silent, initial=0)),
            start=slices[0].at,
            width=width,
            since=begun,
            end=whole,
        )

    def steps(self, seconds: float) -> int:
        return max(1, math.ceil(seconds / self.width))

    def at(self, place: int) -> float:
        return self.start + place * self.width

    def by_the_day(self) -> bool:
        """Most of a side's records in the latest week bear a date and no time: they stand in the last second of their day, which ends a
        quarter of an hour in every time zone there is. What runs by a clock begins one."""
        return any(self._at_days_ends(sums) for sums in (self.refunds, self.confirmations))

    def _at_days_ends(self, sums: Sequence[int]) -> bool:
        day, first = self.steps(DAY), max(0, self.end - self.steps(WEEK))
        ends = [place for place in range(first + 1, self.end + 1) if self.at(place) % QUARTER == 0]
        fullest: dict[int, int] = {}
        for place in ends:
            number = (self.end - place) // day
            fullest[number] = max(fullest.get(number, 0), sums[place] - sums[place - 1])
        total = sums[self.end] - sums[first]
        return total >= TELLING and sum(fullest.values()) * 2 > total

    def ratio(self) -> float | None:
        """Confirmations to a refund, the median of blocks that hold as many refunds each; None: too little was seen."""
        last = self.end - self.steps(YOUNG)
        total = self.refunds[last] - self.refunds[self.since] if last > self.since else 0
        size = max(BLOCK, total // MOST_BLOCKS)
        ratios: list[float] = []
        place = self.since
        while True:
            ahead = bisect_left(self.refunds, self.refunds[place] + size, place, max(place, last) + 1)
            if ahead > last:
                return median(ratios) if len(ratios) >= BLOCKS else None
            ratios.append((self.confirmations[ahead] - self.confirmations[place]) / (self.refunds[ahead] - self.refunds[place]))
            place = ahead
