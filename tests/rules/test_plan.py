"""When routes are probed: rhythm, budget, backoff, clock jumps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.instant import Instant
from monitor.model.policy import RoutePolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.rules import plan
from tests.views.life import DEADLINES, at

EVERY = 300.0


def policy(name: str, every: float = EVERY, jitter: float = 0.1) -> RoutePolicy:
    return RoutePolicy(Route(PathName("app"), MailboxName(name)), every, jitter, DEADLINES, "hash")


def opened(last: Mapping[str, Instant | None], now: Instant) -> dict[str, float]:
    """Seconds from `now` to the first slot of each route."""
    routes = {policy(name).route: policy(name) for name in last}
    slots = plan.opening(routes, lambda route: last[route.mailbox], now)
    assert len(slots) == len(last)
    return {slot.route.mailbox: slot.due.seconds_since(now) for slot in slots}


class TestOpening:
    def test_a_first_start_is_staggered_over_one_interval(self) -> None:
        due = opened(dict.fromkeys("abcd"), at(0))
        assert sorted(due.values()) == [0.0, 75.0, 150.0, 225.0]

    def test_the_longest_unprobed_goes_first_the_never_probed_before_all(self) -> None:
        due = opened({"a": at(-400), "b": at(-9000), "c": None, "d": at(-500)}, at(0))
        assert due == {"c": 0.0, "b": 75.0, "d": 150.0, "a": 225.0}

    def test_after_a_short_restart_each_interval_is_respected(self) -> None:
        due = opened({"a": at(-10), "b": at(-290)}, at(0, "second"))
        assert due == pytest.approx({"b": 10.0, "a": 290.0})

    def test_after_a_night_off_no_catch_up_burst(self) -> None:
        due = opened({name: at(-40_000 + number) for number, name in enumerate("abcdef")}, at(0, "second"))
        assert sorted(due.values()) == [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]

    def test_a_clock_stepped_back_postpones_by_one_interval_at_most(self) -> None:
        due = opened({"a": at(86_400), "b": at(86_400)}, at(0, "second"))
        assert due == {"a": EVERY, "b": EVERY}

    def test_no_routes(self) -> None:
        assert opened({}, at(0)) == {}

    @settings(deadline=None)
    @given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.none() | st.floats(-1e6, 1e6), min_size=1), st.booleans())
    def test_within_one_interval_and_never_two_at_once(self, last: dict[str, float | None], same_process: bool) -> None:
        now = at(0, "first" if same_process else "second")
        due = opened({name: None if ago is None else at(ago) for name, ago in last.items()}, now)
        assert all(0.0 <= seconds <= EVERY for seconds in due.values())
        staggered = sorted(round(seconds, 3) for name, seconds in due.items() if (ago := last[name]) is None or ago <= -EVERY)
        assert len(staggered) == len(set(staggered))
        for name, seconds in due.items():
            if (ago := last[name]) is not None and ago <= 0:
                assert seconds - ago >= EVERY * 0.999


class TestFollowing:
    def test_keeps_its_rhythm_although_it_was_served_late(self) -> None:
        assert plan.following(policy("a"), at(100), at(120), draw=0.0).due == at(400)

    @pytest.mark.parametrize(("draw", "due"), [(-1.0, 370.0), (0.0, 400.0), (1.0, 430.0)])
    def test_jitter_is_bounded(self, draw: float, due: float) -> None:
        assert plan.following(policy("a"), at(100), at(100), draw).due.utc == pytest.approx(at(due).utc)

    def test_after_a_suspended_night_the_rhythm_starts_anew(self) -> None:
        assert plan.following(policy("a"), at(100), at(40_000), draw=0.0).due == at(40_300)

    def test_an_interval_late_counts_as_a_night(self) -> None:
        assert plan.following(policy("a"), at(100), at(400), draw=0.0).due == at(700)
        assert plan.following(policy("a"), at(100), at(399), draw=0.0).due == at(400)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 2000), st.floats(-1, 1)), min_size=1, max_size=60))
    def test_no_catch_up_burst(self, delays: list[tuple[float, float]]) -> None:
        """However late the loop comes to it: probes never outnumber the rhythm that the time allows, plus the one that was overdue."""
        route, due, times = policy("a"), at(0), []
        now = due
        for delay, draw in delays:
            now = max(due, now, key=lambda instant: instant.mono).plus(delay)
            times.append(now.mono)
            due = plan.following(route, due, now, draw).due
        shortest = EVERY * (1 - route.jitter)
        for first in range(len(times)):
            for last in range(first + 1, len(times)):
                assert last - first <= (times[last] - times[first]) / shortest + 1.2


class TestJump:
    @pytest.mark.parametrize(
        ("utc", "mono", "jumped"),
        [
            (5.0, 5.0, None),
            (8.0, 5.0, None),
            (8.1, 5.0, 3.1),
            (2.0, 5.0, None),
            (1.0, 5.0, -4.0),
            (3605.0, 5.0, 3600.0),
            (5.0, 3605.0, -3600.0),
        ],
    )
    def test_table(self, utc: float, mono: float, jumped: float | None) -> None:
        before = Instant(1e9, 50.0, "first")
        seconds = plan.jump(before, Instant(1e9 + utc, 50.0 + mono, "first"))
        assert seconds == (None if jumped is None else pytest.approx(jumped))


class TestBudget:
    @pytest.mark.parametrize(
        ("spent", "says"),
        [
            ((0, 0), ""),
            ((299, 59), ""),
            ((300, 0), "the path's budget of 300"),
            ((0, 60), "the mailbox's budget of 60"),
            ((999, 999), "path's"),
        ],
    )
    def test_table(self, spent: tuple[int, int], says: str) -> None:
        refusal = plan.over_budget(spent, 300, 60)
        assert says in refusal
        assert bool(refusal) == bool(says)
        assert not refusal or "00:00 UTC" in refusal

    def test_a_budget_of_nothing_allows_nothing(self) -> None:
        assert plan.over_budget((0, 0), 0, 60)


class TestBackoff:
    def test_doubles_up_to_ten_times(self) -> None:
        assert [plan.backoff(30.0, attempt) for attempt in range(1, 8)] == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0]

    @settings(deadline=None)
    @given(st.floats(0.01, 1e4), st.integers(1, 10_000))
    def test_bounded(self, first: float, attempt: int) -> None:
        assert first <= plan.backoff(first, attempt) <= first * 10
        assert plan.backoff(first, attempt) <= plan.backoff(first, attempt + 1)


def test_soonest() -> None:
    slots = [plan.Slot(policy(name).route, at(due)) for name, due in (("a", 9), ("b", 3), ("c", 7))]
    assert plan.soonest(slots) == slots[1]
    assert plan.soonest([]) is None
