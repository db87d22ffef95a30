"""How long mail on a route usually takes: the transit times of the last week, in buckets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monitor.model.instant import Instant

STEP = 1.1  # each bucket is a tenth wider than the one below: a quantile is right to 10 %
SMALLEST = 0.01  # seconds
DAYS = 7
ENOUGH = 30  # transits before there is a habit


@dataclass(slots=True)
class Habit:
    """Bounded: at most seven days of some 150 buckets, and their sum. Keys are text because snapshots are JSON."""

    days: dict[str, dict[str, int]] = field(default_factory=dict)
    week: dict[str, int] = field(default_factory=dict)  # the days together: asked far more often than told

    def add(self, at: Instant, seconds: float) -> None:
        """Take in one transit. Days fall out by their number, so a clock that steps loses at most what it skipped."""
        day = str(int(at.utc // 86_400))
        bucket = str(max(0, math.ceil(math.log(max(seconds, SMALLEST) / SMALLEST, STEP))))
        for counts in (self.days.setdefault(day, {}), self.week):
            counts[bucket] = counts.get(bucket, 0) + 1
        while len(self.days) > DAYS:
            self._drop(self.days.pop(min(self.days, key=int)))

    def _drop(self, day: dict[str, int]) -> None:
        for bucket, count in day.items():
            self.week[bucket] -= count
            if not self.week[bucket]:
                del self.week[bucket]

    def quantile(self, share: float) -> float | None:
        """The transit time that `share` of the mail does not exceed, in seconds; None while there is too little history."""
        total = sum(self.week.values())
        if total < ENOUGH:
            return None
        covered = 0
        for bucket in sorted(map(int, self.week)):
            covered += self.week[str(bucket)]
            if covered >= share * total:
                break
        return float(SMALLEST * STEP**bucket)
