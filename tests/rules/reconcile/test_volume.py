"""Volume sanity on simulated shops: no false alarm in months, and real collapses and floods within stated times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from monitor.model.ledger import Flow, Side, Slice, Volume
from monitor.rules.reconcile.chance import so_few, so_many
from monitor.rules.reconcile.counts import Counts
from monitor.rules.reconcile.volume import judge, judged, worded
from tests.rules.reconcile.shop import BEGAN, DAY, SLICE, WEEK, Shop, Weight

LAG = 60.0
HOUR = 3_600.0
NOON = BEGAN + 30 * DAY + 11 * HOUR  # of a Wednesday, a month after the beginning


def during(start: float, hours: float, then: float, usually: float = 0.995) -> Weight:
    return lambda at: then if start <= at < start + hours * HOUR else usually


def verdicts(slices: Sequence[Slice], since: float, until: float, every: int = 1) -> list[tuple[float, tuple[Volume, ...]]]:
    """What is judged at each slice's end, as minutes from `since`."""
    counts = Counts.of(slices, SLICE, len(slices))
    ends = range(int((since - slices[0].at) / SLICE), int((until - slices[0].at) / SLICE) + 1, every)
    return [((slices[0].at + end * SLICE - since) / 60, judged(replace(counts, end=end), LAG)) for end in ends]


def first(found: Sequence[tuple[float, tuple[Volume, ...]]], flow: Flow, side: Side = Side.CONFIRMATIONS) -> float | None:
    return next((minutes for minutes, volumes in found if any((one.flow, one.side) == (flow, side) for one in volumes)), None)


def sales(at: float) -> float:
    """Two days of a sale, one three weeks before, and a bank holiday."""
    day = (at - BEGAN) // DAY
    return 2.0 if day in (20, 41, 42) else 0.3 if day == 30 else 1.0


@pytest.mark.parametrize("a_day", [1, 20, 500, 5_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_false_alarm_in_two_months(a_day: float, seed: int) -> None:
    slices = Shop(a_day, busy=sales, mailed=lambda _: 0.995).slices(60, seed)
    found = verdicts(slices, BEGAN + SLICE * (1 + seed), BEGAN + 60 * DAY, every=17)
    assert [one for one in found if one[1]] == []


@pytest.mark.parametrize(
    ("mailed", "what"),
    [(0.3, "only some refunds are mailed"), (2.0, "two sources show each mail"), (0.02, "hardly any"), (1.1, "resends")],
    ids=str,
)
def test_the_ratio_is_the_shops_own(mailed: float, what: str) -> None:
    found = verdicts(Shop(2_000, mailed=lambda _: mailed).slices(14, 7), BEGAN + DAY, BEGAN + 14 * DAY, every=17)
    assert [one for one in found if one[1]] == [], what


@pytest.mark.parametrize(
    ("a_day", "share", "flow", "within"),
    [
        (500, 0.0, Flow.COLLAPSE, 45),
        (5_000, 0.0, Flow.COLLAPSE, 10),
        (500, 0.3, Flow.COLLAPSE, 100),
        (5_000, 0.3, Flow.COLLAPSE, 15),
        (500, 3.0, Flow.FLOOD, 75),
        (5_000, 3.0, Flow.FLOOD, 40),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("history", [1, 30], ids=["new", "old"])
def test_what_is_real_is_found_in_time_and_ends(a_day: float, share: float, flow: Flow, within: float, seed: int, history: int) -> None:
    """Minutes from its beginning, at noon; over within half an hour at 5,000 a day."""
    slices = Shop(a_day, mailed=during(NOON, 6, share)).slices(30.9, seed)[int((30 - history) * DAY / SLICE) :]
    found = verdicts(slices, NOON, NOON + 8 * HOUR)
    minutes = first(found, flow)
    assert minutes is not None
    assert minutes <= within
    [told] = next(volumes for at, volumes in found if at == minutes)
    assert abs(told.began - NOON) <= 600
    assert told.against == "refunds"
    others = {(one.flow, one.side) for _, volumes in found for one in volumes}
    assert others == {(flow, Side.CONFIRMATIONS)}
    if a_day == 5_000:
        silent = [at for at, volumes in found if minutes <= at <= 360 and not volumes]
        assert len(silent) <= 2
        assert [at for at, volumes in found if at >= 400 and volumes] == []


def still(refunds: Callable[[int], int], confirmations: Callable[[int], int], count: int) -> list[Slice]:
    return [Slice(BEGAN + place * SLICE, refunds(place), confirmations(place)) for place in range(count)]


def told(slices: Sequence[Slice], lag: float = LAG) -> list[tuple[Flow, Side, str]]:
    end = slices[-1].at + SLICE
    return [(one.flow, one.side, one.against) for one in judge(slices, SLICE, end, end, lag, end)]


COLLAPSED = [(Flow.COLLAPSE, Side.CONFIRMATIONS, "refunds")]
FLOODED = [(Flow.FLOOD, Side.CONFIRMATIONS, "refunds")]


def test_twenty_refunds_and_no_confirmation_within_ten_minutes_are_enough() -> None:
    assert told(still(lambda _: 10, lambda place: 10 if place < 10 else 0, 12)) == COLLAPSED
    assert told(still(lambda _: 10, lambda place: 10 if place < 11 else 0, 12)) == []  # five minutes
    assert told(still(lambda _: 5, lambda place: 5 if place < 10 else 0, 12)) == []  # ten refunds


def test_ten_confirmations_without_any_refund_are_a_flood() -> None:
    assert told(still(lambda place: int(place < 5), lambda place: 1 if place < 5 else 5 if place >= 38 else 0, 40)) == FLOODED
    assert told(still(lambda place: int(place < 5), lambda place: 1 if place < 5 else 3 if place >= 38 else 0, 40)) == []


def test_nothing_is_said_of_a_side_that_never_began_nor_of_the_time_before_it_did() -> None:
    assert told(still(lambda _: 50, lambda _: 0, 40)) == []
    assert told(still(lambda _: 0, lambda _: 50, 40)) == []
    assert told(still(lambda _: 50, lambda place: 50 if place >= 35 else 0, 40)) == []
    assert told(still(lambda place: 50 if place >= 35 else 0, lambda _: 50, 40)) == []
    assert told(still(lambda place: 50 if place < 35 else 1, lambda place: int(place >= 35), 38)) == []
    assert told(still(lambda place: int(place >= 35), lambda place: 50 if place < 35 else 1, 38)) == []


def test_only_what_both_sides_were_read_past_counts() -> None:
    slices = still(lambda _: 20, lambda place: 20 if place < 30 else 0, 40)  # the log is blind since the 30th
    end = BEGAN + 40 * SLICE
    blind = BEGAN + 30 * SLICE
    assert judge(slices, SLICE, end, end, LAG, end) != ()
    assert judge(slices, SLICE, end, blind, LAG, end) == ()
    assert judge(slices, SLICE, blind, end, LAG, end) == ()
    assert judge(slices, SLICE, None, end, LAG, end) == ()
    assert judge(slices, SLICE, end, None, LAG, end) == ()
    assert judge([], SLICE, end, end, LAG, end) == ()
    assert judge(slices, SLICE, end, end, LAG, blind) == ()  # a watermark ahead of the clock


def test_what_came_later_than_the_last_record_is_silence_that_was_read() -> None:
    slices = still(lambda _: 20, lambda _: 20, 5_000)
    after = BEGAN + 5_000 * SLICE + 3 * HOUR
    assert [one.side for one in judge(slices, SLICE, after, after, LAG, after)] == [Side.REFUNDS]
    assert judge(slices, SLICE, BEGAN + 5_000 * SLICE, after, LAG, after) == ()


def test_a_queue_that_is_flushed_is_no_flood() -> None:
    """Three hours nothing, then all of it in ten minutes."""
    owed = 36 * 20
    flushed = still(lambda _: 20, lambda place: 0 if 1_000 <= place < 1_036 else 20 + (owed // 2 if place in (1_036, 1_037) else 0), 1_039)
    assert told(flushed[:1_036]) == COLLAPSED
    assert [told(flushed[:end]) for end in (1_037, 1_038, 1_039)] == [[], [], []]
    twice = [replace(one, confirmations=one.confirmations * 3) if one.confirmations > 100 else one for one in flushed]
    assert told(twice) == FLOODED  # each of them three times


def test_what_a_shop_does_every_night_is_its_habit() -> None:
    """500 refunds are booked at two, and mailed from five to six."""

    def refunds(place: int) -> int:
        return 500 if place % 288 == 24 else 2

    def confirmations(place: int) -> int:
        return 2 + (42 if 60 <= place % 288 < 72 else 0)

    nights = still(refunds, confirmations, 288 * 12)
    booked = 288 * 11 + 26  # ten minutes after
    assert told(nights[:booked]) == []
    assert told(nights[: 288 * 11 + 72]) == []
    unheard_of = still(lambda place: 500 if place == booked - 2 else 2, lambda _: 2, booked + 12)
    assert told(unheard_of[:booked]) == COLLAPSED
    assert told(unheard_of) == []  # mail goes out again; those that are missing are the reconciliation's


def test_a_shop_that_mails_on_mondays_what_it_books_on_wednesdays() -> None:
    def mails(place: int) -> int:
        return 44 if 24 <= place % 2_016 < 36 else 2

    habit = still(lambda place: 506 if place % 2_016 == 600 else 2, mails, 2_016 * 5 + 36)
    assert told(habit) == []
    assert told(habit[2_016 * 3 :]) == FLOODED  # too few weeks to know
    assert told(habit[: 2_016 * 5 + 600]) == []


def test_a_night_that_is_booked_in_the_morning_is_no_collapse() -> None:
    nights = still(lambda place: 504 if place % 288 == 96 else 2, lambda place: 44 if 24 <= place % 288 < 36 else 2, 288 * 12)
    assert told(nights[: 288 * 11 + 36]) == []
    assert told(nights[: 288 * 11 + 99]) == []


def test_a_shop_that_mails_every_half_hour_is_not_accused_all_day() -> None:
    batches = still(lambda _: 10, lambda place: 60 if place % 6 == 5 else 0, 300)
    assert [told(batches[:end]) for end in range(260, 300)] == [[]] * 40


@pytest.mark.parametrize("a_day", [10, 200, 2_000])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("zone", [0, 12, 66], ids=["UTC", "one hour east", "five and a half"])
def test_a_side_that_is_booked_by_the_day_is_no_measure_of_the_hour(a_day: float, side: Side, zone: int) -> None:
    """Dates without a time stand at the last second of their day; on Sundays nothing is booked, all of the week from the first day on."""
    shop = Shop(a_day, mailed=lambda _: 0.995).slices(15, 3)
    booked = [0] * len(shop)
    for place, one in enumerate(shop):
        last = min(place + 287 - (place + zone) % 288, len(shop) - 1)
        sunday = (place + zone) // 288 % 7 == 6
        booked[min(last + 288, len(shop) - 1) if sunday else last] += getattr(one, side.value)
    slices = [replace(one, **{side.value: count}) for one, count in zip(shop, booked, strict=True)]
    assert [one for one in verdicts(slices, BEGAN + SLICE, BEGAN + 14 * DAY, every=2) if one[1]] == []


def test_a_batch_of_the_hour_is_no_booking_of_the_day() -> None:
    """What runs on the hour begins a slice; what has no time of day ends one."""
    end = 12 * 20 + 3
    for place, said in ((end - 3, COLLAPSED), (end - 4, [])):
        shop = still(lambda at, place=place: 500 if at == place else int(at < 12), lambda at: int(at < 12), end)  # type: ignore[misc]
        assert told(shop) == said


@pytest.mark.parametrize(
    ("at_the_end", "else_", "booked"), [(20, 0, True), (19, 0, False), (30, 29, True), (30, 30, False), (288, 287, True), (100, 288, False)]
)
def test_most_of_a_week_and_twenty_records_tell_how_they_are_booked(at_the_end: int, else_: int, booked: bool) -> None:
    """A day of which so many records stand in the last slice, and one in each of so many others."""
    day = still(lambda place: at_the_end if place == 287 else int(place < else_), lambda _: 1, 288)
    assert Counts.of(day, SLICE, 288).by_the_day() is booked


def weeks(count: float, weight: Weight, mailed: Weight = lambda _: 1.0) -> list[Slice]:
    return [
        Slice(at, round(20 * weight(at)), round(20 * weight(at) * mailed(at)))
        for at in (BEGAN + place * SLICE for place in range(int(count * WEEK / SLICE)))
    ]


def test_black_friday_is_no_flood() -> None:
    friday = BEGAN + 5 * WEEK + 4 * DAY
    assert told([one for one in weeks(6, during(friday, 24, 8.0, 1.0)) if one.at < friday + 12 * HOUR]) == []


def test_both_sides_sinking_together_is_told_of_refunds() -> None:
    monday = BEGAN + 5 * WEEK + 10 * HOUR
    for share, said in ((0.0, [(Flow.COLLAPSE, Side.REFUNDS, "usual")]), (0.3, [])):  # a dead shop; a bank holiday
        assert told([one for one in weeks(6, during(monday, 12, share, 1.0)) if one.at < monday + 4 * HOUR]) == said


def test_one_side_far_above_its_usual_is_told() -> None:
    monday = BEGAN + 5 * WEEK + 10 * HOUR
    slices = [one for one in weeks(6, during(monday, 12, 8.0, 1.0), during(monday, 12, 0.125, 1.0)) if one.at < monday + 4 * HOUR]
    assert told(slices) == [(Flow.COLLAPSE, Side.CONFIRMATIONS, "refunds"), (Flow.FLOOD, Side.REFUNDS, "usual")]


def test_the_usual_needs_two_weeks_three_hours_and_forgets_a_bad_week() -> None:
    def dead(start: float) -> list[Slice]:
        return weeks(6, during(start, 12, 0.0, 1.0))

    monday = BEGAN + 5 * WEEK + 10 * HOUR
    for weeks_ago, said in ((1.9, []), (2.1, [(Flow.COLLAPSE, Side.REFUNDS, "usual")])):
        assert told([one for one in dead(monday) if monday - weeks_ago * WEEK <= one.at < monday + 4 * HOUR]) == said
    assert told([one for one in dead(monday) if one.at < monday + 2 * HOUR]) == []
    bad_week = [replace(one, refunds=0, confirmations=0) if BEGAN + WEEK <= one.at < BEGAN + 2 * WEEK else one for one in dead(monday)]
    assert told([one for one in bad_week if one.at < monday + 4 * HOUR]) == [(Flow.COLLAPSE, Side.REFUNDS, "usual")]


def test_clocks_that_change_move_no_edge_into_an_alarm() -> None:
    """Open from nine to five by the wall clock, which moves by an hour against ours in the fifth week."""
    changed = BEGAN + 5 * WEEK - DAY

    def office(at: float) -> float:
        hour = (at + (HOUR if at >= changed else 0)) % DAY / HOUR
        return 1.0 if 9 <= hour < 17 else 0.0

    slices = weeks(6, office)
    counts = Counts.of(slices, SLICE, len(slices))
    ends = range(int((changed - BEGAN) / SLICE), len(slices), 3)
    assert [end for end in ends if judged(replace(counts, end=end), LAG)] == []


def test_in_words() -> None:
    at = BEGAN + 14 * HOUR
    assert worded(Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, at, at + 2_400, 4, 62.2, "refunds")) == (
        "only 4 confirmations between 2026-01-05 14:00 and 14:40 UTC, where the refunds of that time let expect 62: 6 %"
    )
    assert worded(Volume(Flow.COLLAPSE, Side.REFUNDS, at, at + DAY, 0, 62.2, "usual")) == (
        "no refunds between 2026-01-05 14:00 and 2026-01-06 14:00 UTC, where the same hours of earlier weeks let expect 62: 0 %"
    )
    assert worded(Volume(Flow.FLOOD, Side.CONFIRMATIONS, at, at + 600, 310, 62.0, "refunds")) == (
        "310 confirmations between 2026-01-05 14:00 and 14:10 UTC, where the refunds of that time let expect 62: 5.0 times as many"
    )
    assert worded(Volume(Flow.FLOOD, Side.CONFIRMATIONS, at, at + 600, 31, 0.0, "refunds")).endswith("let expect none")


@pytest.mark.parametrize(
    ("seen", "expected"), [(0, 14.0), (3, 20.0), (9, 30.0), (30, 10.0), (10, 1.0), (200, 100.0), (5, 5.0), (2_000, 2_500.0)]
)
def test_the_tails_are_exact(seen: int, expected: float) -> None:
    """Against the plain sum of all terms."""

    def term(count: int) -> float:
        return math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))

    below = math.fsum(term(count) for count in range(seen + 1))
    if seen < expected:
        assert so_few(seen, expected) == pytest.approx(below, rel=1e-6)
    if seen > expected:
        assert so_many(seen, expected) == pytest.approx(math.fsum(term(count) for count in range(seen, seen + 2_000)), rel=1e-6)
    assert so_few(0, 0.0) == 1.0
    assert (so_many(0, 0.0), so_many(1, 0.0)) == (1.0, 0.0)
