"""Either side against the same three hours of earlier weeks.

Up to eight weeks are looked at, of which it takes two; their median does not mind a bad week or a bank holiday. A factor of five is needed
beyond what so few weeks leave open, and an hour to and fro is allowed, for the clocks that change. Both sides rising together are a sale;
both sinking together is told of the refunds alone, whom the confirmations follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from monitor.model.ledger import Flow, Side, Volume
from monitor.rules.reconcile.chance import TAIL, so_few, so_many
from monitor.rules.reconcile.counts import HOUR, WEEK, Counts

USUAL = 10_800.0  # seconds that are compared
FACTOR = 5.0
WEEKS = 8
LEAST_WEEKS = 2
ALIKE = 2.0  # within this factor of each other both sides moved together


@dataclass(frozen=True, slots=True)
class _Usual:
    """Three hours of one side beside the same hours of earlier weeks. `low` and `high`: medians, with an hour to and fro."""

    side: Side
    seen: int
    middle: float
    low: float
    high: float
    weeks: int
    peaks: bool  # each of the hours is above the factor
    dips: bool  # the latest one is below it: it is not over

    @property
    def collapsed(self) -> bool:
        sure = self.low - 3 * math.sqrt(self.low / self.weeks)
        return self.dips and self.seen * FACTOR <= sure and so_few(self.seen, sure) <= TAIL

    @property
    def flooded(self) -> bool:
        sure = self.high + 3 * math.sqrt((self.high + 1) / self.weeks) + 1
        return self.peaks and self.seen >= FACTOR * sure and so_many(self.seen, sure) <= TAIL


def against_usual(counts: Counts) -> Iterator[Volume]:
    refunds = _usual(counts, Side.REFUNDS, counts.refunds)
    confirmations = _usual(counts, Side.CONFIRMATIONS, counts.confirmations)
    if refunds is None or confirmations is None:
        return
    together = _together(refunds, confirmations)
    for usual in (refunds, confirmations):
        flow = Flow.FLOOD if usual.flooded else Flow.COLLAPSE
        if (usual.flooded and not together) or (usual.collapsed and not (together and usual.side is Side.CONFIRMATIONS)):
            began = counts.at(counts.end - counts.steps(USUAL))
            yield Volume(flow, usual.side, began, counts.at(counts.end), usual.seen, usual.middle, "usual")


def _together(refunds: _Usual, confirmations: _Usual) -> bool:
    """Both sides moved alike, within a factor of two."""
    moved = (refunds.seen + 0.5) / (refunds.middle + 0.5)  # halves keep what is none from dividing
    followed = (confirmations.seen + 0.5) / (confirmations.middle + 0.5)
    return 1 / ALIKE <= followed / moved <= ALIKE


def _usual(counts: Counts, side: Side, sums: Sequence[int]) -> _Usual | None:
    length, week, hour = counts.steps(USUAL), counts.steps(WEEK), counts.steps(HOUR)
    start = counts.end - length
    weeks = [start - number * week for number in range(1, WEEKS + 1) if start - number * week - hour >= counts.since]
    if len(weeks) < LEAST_WEEKS:
        return None

    def medians(place: int, size: int) -> list[float]:
        earlier = [place - start + week_start for week_start in weeks]
        return [median(sums[one + shift + size] - sums[one + shift] for one in earlier) for shift in (-hour, 0, hour)]

    whole = medians(start, length)
    hours = range(start, counts.end - hour + 1, hour)
    return _Usual(
        side=side,
        seen=sums[counts.end] - sums[start],
        middle=whole[1],
        low=min(whole),
        high=max(whole),
        weeks=len(weeks),
        peaks=all(sums[place + hour] - sums[place] >= FACTOR * max(medians(place, hour)) for place in hours),
        dips=(sums[counts.end] - sums[counts.end - hour]) * FACTOR <= max(medians(counts.end - hour, hour)),
    )
