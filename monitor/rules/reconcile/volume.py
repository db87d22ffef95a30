"""Volume sanity: far fewer or far more confirmations than the refunds of the same time let expect, and either side far from its usual.

The shop's own ratio of confirmations to refunds is learned (the median over its history: it is not 1 where only some refunds are mailed,
or where two sources show each mail). The stretch that ends now and deviates most is tested. A collapse is less than half, a flood more
than 2.5 times of what is expected, with a chance of at most 1e-6 by the exact Poisson tail, in at least ten minutes, and not over again
already; twenty refunds without any confirmation are enough. What was owed before may come later: a queue that is flushed is no flood. And
what this shop does every day, every week or all the time (a batch at night) is its habit: neither a collapse nor a flood.

Only what both sides have been read past counts, and nothing before both had their first record: a blind source is no collapse.
Where a side is booked by the day, without times, it is no measure of the other: either is compared with its usual alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise

from monitor.model.ledger import Flow, Side, Slice, Volume
from monitor.rules.reconcile.chance import TAIL, so_few, so_many
from monitor.rules.reconcile.counts import DAY, HOUR, WEEK, Counts
from monitor.rules.reconcile.usual import WEEKS, against_usual

HALF = 0.5  # below: a collapse
MANY = 2.5  # above: a flood; a second source of confirmations makes 2
LEAST = 600.0  # seconds that a deviation lasts at least
BACK = 86_400.0  # seconds that a deviation is followed back
DELAY = 60.0  # seconds that a confirmation takes without anybody wondering
RECENT = 15  # confirmations due, or seen, in what has to deviate too: the latest
UNLEARNED_FEW = 0.1  # while the ratio is not known: a collapse is a tenth of one confirmation for each refund,
UNLEARNED_MANY = 3.0  # a flood is measured against so many
CALENDARS = ((HOUR, 24), (DAY, 14), (WEEK, WEEKS))  # of habits: so many hours, days, weeks ago
COMPARABLE = 3  # of them that it takes to call a deviation a habit


def judge(
    slices: Sequence[Slice],
    slice_seconds: float,
    refunds_until: float | None,
    confirmations_until: float | None,
    lag: float,
    now: float,
) -> tuple[Volume, ...]:
    """What is far from what it should be, each kind once. `slices`: consecutive, `slice_seconds` long; behind the last there was nothing.
    `lag`: seconds by which sources may be behind."""
    if refunds_until is None or confirmations_until is None or not slices:
        return ()
    whole = int((min(refunds_until, confirmations_until, now) - slices[0].at) // slice_seconds)
    if whole <= 0:
        return ()
    return judged(Counts.of(slices, slice_seconds, whole), lag)


def judged(counts: Counts, lag: float) -> tuple[Volume, ...]:
    """The same, of sums that were made before."""
    if counts.since >= counts.end:
        return ()
    told: dict[tuple[Flow, Side], Volume] = {}
    against_refunds = tuple(_against_refunds(counts, max(lag, DELAY)))
    if against_refunds and counts.by_the_day():
        against_refunds = ()
    for volume in (*against_refunds, *against_usual(counts)):
        told.setdefault((volume.flow, volume.side), volume)
    return tuple(told.values())


def worded(volume: Volume) -> str:
    """In words and numbers, for people."""
    began, until = datetime.fromtimestamp(volume.began, UTC), datetime.fromtimestamp(volume.until, UTC)
    when = f"between {began:%Y-%m-%d %H:%M} and {until:{'%H:%M' if began.date() == until.date() else '%Y-%m-%d %H:%M'}} UTC"
    measure = "the refunds of that time" if volume.against == "refunds" else "the same hours of earlier weeks"
    expected = f"{volume.expected:.0f}" if volume.expected >= 1 else "none"
    match volume.flow:
        case Flow.COLLAPSE:
            share = f"{100 * volume.seen / volume.expected:.0f} %" if volume.expected else "nothing"
            return f"only {volume.seen or 'no'} {volume.side} {when}, where {measure} let expect {expected}: {share}".replace(
                "only no", "no"
            )
        case Flow.FLOOD:
            times = f": {volume.seen / volume.expected:.1f} times as many" if volume.expected >= 1 else ""
            return f"{volume.seen} {volume.side} {when}, where {measure} let expect {expected}{times}"


@dataclass(frozen=True, slots=True)
class _Scale:
    """What is expected of a stretch of slices."""

    counts: Counts
    ratio: float
    few: float  # of what is expected: less is a collapse
    slack: float  # seconds that a confirmation may take

    def due(self, start: int, end: int) -> float:
        """Confirmations that must be there of the refunds of the stretch, as of its end."""
        counts = self.counts
        fresh = self.slack / counts.width
        settled = max(start, end - math.ceil(fresh))
        total = float(counts.refunds[settled] - counts.refunds[start])
        for place in range(settled, end):
            share = min(1.0, max(0.0, end - place - fresh))
            total += share * (counts.refunds[place + 1] - counts.refunds[place])
        return self.ratio * total

    def warranted(self, start: int, end: int) -> float:
        """Confirmations that there may be: of the refunds shortly before the stretch too."""
        whole, part = divmod(self.slack / self.counts.width, 1)
        first = max(self.counts.since, start - int(whole))
        before = self.counts.refunds[first] - self.counts.refunds[max(self.counts.since, first - 1)]
        return self.ratio * (self.counts.refunds[end] - self.counts.refunds[first] + part * before)

    def slices(self, start: int) -> list[tuple[int, int]]:
        """(refunds, confirmations) of each from `start` on."""
        sums = zip(self.counts.refunds[start : self.counts.end + 1], self.counts.confirmations[start : self.counts.end + 1], strict=True)
        return [(ahead[0] - before[0], ahead[1] - before[1]) for before, ahead in pairwise(sums)]

    def seen(self, start: int, end: int) -> int:
        return self.counts.confirmations[end] - self.counts.confirmations[start]

    def collapsed(self, start: int, end: int) -> bool:
        due, seen = self.due(start, end), self.seen(start, end)
        return seen < self.few * due and so_few(seen, due) <= TAIL

    def flooded(self, start: int, end: int) -> bool:
        warranted, seen = max(1.0, self.warranted(start, end)), self.seen(start, end)
        return seen > MANY * warranted and so_many(seen, warranted) <= TAIL


def _against_refunds(counts: Counts, slack: float) -> Iterator[Volume]:
    ratio = counts.ratio()
    earliest = max(counts.since, counts.end - counts.steps(BACK))
    if counts.end - counts.steps(LEAST) < earliest:
        return
    falling = _Scale(counts, 1.0 if ratio is None else ratio, UNLEARNED_FEW if ratio is None else HALF, slack)
    start = _sunk(falling, earliest)
    if falling.collapsed(start, counts.end) and _goes_on_low(falling, start) and not _is_habit(falling, start, Flow.COLLAPSE):
        yield _volume(counts, Flow.COLLAPSE, start, falling.seen(start, counts.end), falling.due(start, counts.end))
    rising = _Scale(counts, UNLEARNED_MANY if ratio is None else ratio, HALF, slack)
    start = _swollen(rising, earliest)
    if rising.flooded(start, counts.end) and _goes_on_high(rising, start) and not _is_habit(rising, start, Flow.FLOOD):
        seen, warranted = (
            rising.seen(start, counts.end),
            max(1.0, rising.warranted(start, counts.end) + _owed(replace(rising, ratio=falling.ratio), earliest, start)),
        )
        if seen > MANY * warranted and so_many(seen, warranted) <= TAIL:
            yield _volume(counts, Flow.FLOOD, start, seen, warranted)


def _volume(counts: Counts, flow: Flow, start: int, seen: int, expected: float) -> Volume:
    return Volume(flow, Side.CONFIRMATIONS, counts.at(start), counts.at(counts.end), seen, expected, "refunds")


def _sunk(scale: _Scale, earliest: int) -> int:
    """Where the stretch begins that half of what is due explains best, against all of it (by the ratio of likelihoods)."""
    slices, fresh = scale.slices(earliest), scale.slack / scale.counts.width
    ages = range(len(slices) - 1, -1, -1)  # of the slices, in slices
    due, less = scale.ratio * (1 - HALF), math.log(1 / HALF)
    gains = (
        due * refunds * min(1.0, max(0.0, age + 1 - fresh)) - less * confirmations
        for age, (refunds, confirmations) in zip(ages, slices, strict=True)
    )
    return _best(scale, list(gains))


def _swollen(scale: _Scale, earliest: int) -> int:
    """The same of so many times what is warranted."""
    more, warranted = math.log(MANY), scale.ratio * (MANY - 1)
    return _best(scale, [more * confirmations - warranted * refunds for refunds, confirmations in scale.slices(earliest)])


def _best(scale: _Scale, gains: Sequence[float]) -> int:
    """The first of the slices up to the end that gain most together; no fewer than LEAST has."""
    sums = list(accumulate(reversed(gains)))
    least = scale.counts.steps(LEAST)
    return scale.counts.end - max(range(least, len(sums) + 1), key=lambda count: sums[count - 1])


def _goes_on_low(scale: _Scale, start: int) -> bool:
    """The latest part, in which RECENT confirmations were due, is as low as the rest: it is not over."""
    end = scale.counts.end
    for place in range(end - scale.counts.steps(LEAST), start - 1, -1):
        if scale.due(place, end) >= RECENT:
            return scale.seen(place, end) < scale.few * scale.due(place, end)
    return True


def _goes_on_high(scale: _Scale, start: int) -> bool:
    counts = scale.counts
    place = counts.end - counts.steps(LEAST)
    while place > start and scale.seen(place, counts.end) < RECENT:
        place -= 1
    return scale.seen(place, counts.end) > MANY * scale.ratio * (counts.refunds[counts.end] - counts.refunds[place])


def _owed(scale: _Scale, earliest: int, start: int) -> float:
    """What was still to come when the stretch began: by how much the confirmations had fallen behind since they were furthest ahead."""
    balance = [scale.seen(earliest, place) - scale.warranted(earliest, place) for place in range(earliest, start + 1)]
    return max(balance) - balance[-1]


def _is_habit(scale: _Scale, start: int, flow: Flow) -> bool:
    """The same is seen about this time, an hour to and fro, on at least half of the earlier days or weeks; or in every other hour."""
    counts = scale.counts
    around = range(-counts.steps(HOUR), counts.steps(HOUR) + 1)
    for period, most in CALENDARS:
        back = counts.steps(period)
        groups = ([start - number * back + shift for shift in around] for number in range(1, most + 1))
        deviating, comparable = _tally(scale, groups, start, flow)
        if comparable >= COMPARABLE and deviating * 2 >= comparable:
            return True
    return False


def _tally(scale: _Scale, groups: Iterable[Sequence[int]], start: int, flow: Flow) -> tuple[int, int]:
    """(groups with an earlier stretch as long that deviates alike, groups with one that could)."""
    deviates = scale.collapsed if flow is Flow.COLLAPSE else scale.flooded
    measure = scale.due if flow is Flow.COLLAPSE else scale.seen
    since, length = scale.counts.since, scale.counts.end - start
    deviating = comparable = 0
    for group in groups:
        places = [place for place in group if since <= place <= start - length and measure(place, place + length) >= RECENT]
        comparable += bool(places)
        deviating += any(deviates(place, place + length) for place in places)
    return deviating, comparable
