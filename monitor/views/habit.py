"""How long mail on a route usually takes: the transit times of the last week, in buckets."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate

from monitor.model.instant import Instant

STEP = 1.1  # each bucket is a tenth wider than the one below: a quantile is right to 10 %
SMALLEST = 0.01  # seconds
DAYS = 7
ENOUGH = 30  # transits before there is a habit


@dataclass(slots=True)
class Habit:
    """Bounded: at most seven days of some 150 buckets. Keys are text because snapshots are JSON."""

    days: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, at: Instant, seconds: float) -> None:
        """Take in one transit. Days fall out by their number, so a clock that steps loses at most what it skipped."""
        day = str(int(at.utc // 86_400))
        bucket = str(max(0, math.ceil(math.log(max(seconds, SMALLEST) / SMALLEST, STEP))))
        counts = self.days.setdefault(day, {})
        counts[bucket] = counts.get(bucket, 0) + 1
        while len(self.days) > DAYS:
            del self.days[min(self.days, key=int)]

    def quantile(self, share: float) -> float | None:
        """The transit time that `share` of the mail does not exceed, in seconds; None while there is too little history."""
        counts: Counter[int] = Counter()
        for day in self.days.values():
            counts.update({int(bucket): count for bucket, count in day.items()})
        total = counts.total()
        if total < ENOUGH:
            return None
        covered = accumulate(counts[bucket] for bucket in sorted(counts))
        rank = next(index for index, upto in enumerate(covered) if upto >= share * total)
        return float(SMALLEST * STEP ** sorted(counts)[rank])
