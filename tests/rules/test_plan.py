"""When routes are probed: rhythm, budget, backoff, clock jumps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.instant import Instant
from monitor.model.policy import RoutePolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.rules import plan
from tests.views.life import DEADLINES, at

EVERY = 300.0


def policy(name: str, every: float = EVERY, jitter: float = 0.1, path: str = "app") -> RoutePolicy:
    return RoutePolicy(Route(PathName(path), MailboxName(name)), every, jitter, DEADLINES, "hash")


def due(nominal: float, at_: float | None = None) -> plan.Due:
    instant = at(nominal if at_ is None else at_)
    return plan.Due(instant.utc, instant.mono, instant.process, at(nominal))


def unprobed(_: Route) -> Instant | None:
    return None


def chance(number: int) -> Callable[[], float]:
    source = random.Random(number)
    return lambda: source.uniform(-1.0, 1.0)


def served(routes: Iterable[RoutePolicy], steps: int, draw: Callable[[], float]) -> dict[str, list[float]]:
    """When the probes of each path go out, `steps` of them in all, each in time."""
    of = {policy.route: policy for policy in routes}
    slots = {slot.route: slot for slot in plan.opening(of, unprobed, at(0))}
    times: dict[str, list[float]] = {}
    for _ in range(steps):
        slot = plan.soonest(slots.values())
        assert slot is not None
        times.setdefault(slot.route.path, []).append(slot.due.mono - at(0).mono)
        slots[slot.route] = plan.following(of[slot.route], slot.due, slot.due, draw())
    return times


def opened(last: Mapping[str, Instant | None], now: Instant) -> dict[str, float]:
    """Seconds from `now` to the first slot of each route."""
    routes = {policy(name).route: policy(name) for name in last}
    slots = plan.opening(routes, lambda route: last[route.mailbox], now)
    assert len(slots) == len(last)
    return {slot.route.mailbox: slot.due.seconds_since(now) for slot in slots}


class TestOpening:
    def test_a_first_start_is_staggered_over_one_interval(self) -> None:
        first = opened(dict.fromkeys("abcd"), at(0))
        assert sorted(first.values()) == [0.0, 75.0, 150.0, 225.0]

    def test_the_longest_unprobed_goes_first_the_never_probed_before_all(self) -> None:
        first = opened({"a": at(-400), "b": at(-9000), "c": None, "d": at(-500)}, at(0))
        assert first == {"c": 0.0, "b": 75.0, "d": 150.0, "a": 225.0}

    def test_after_a_short_restart_each_interval_is_respected(self) -> None:
        first = opened({"a": at(-10), "b": at(-290)}, at(0, "second"))
        assert first == pytest.approx({"b": 10.0, "a": 290.0})

    def test_after_a_night_off_no_catch_up_burst(self) -> None:
        first = opened({name: at(-40_000 + number) for number, name in enumerate("abcdef")}, at(0, "second"))
        assert sorted(first.values()) == [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]

    def test_a_clock_stepped_back_postpones_by_one_interval_at_most(self) -> None:
        first = opened({"a": at(86_400), "b": at(86_400)}, at(0, "second"))
        assert first == {"a": EVERY, "b": EVERY}

    @pytest.mark.parametrize("by", ["path by path", "in turns"])
    def test_each_path_is_spread_over_the_whole_interval_however_the_routes_are_listed(self, by: str) -> None:
        routes = [policy(name, path=path) for path in ("app", "relay") for name in "abcdef"]
        if by == "in turns":
            routes.sort(key=lambda one: one.route.mailbox)
        slots = plan.opening({one.route: one for one in routes}, unprobed, at(0))
        assert [slot.due.seconds_since(at(0)) for slot in slots] == pytest.approx([25.0 * number for number in range(12)])
        assert [slot.route.path for slot in slots] == ["app", "relay"] * 6
        assert "".join(slot.route.mailbox for slot in slots) == "aabbccddeeff"

    def test_a_path_of_few_mailboxes_is_as_evenly_spread_as_one_of_many(self) -> None:
        routes = [*(policy(name, path="many") for name in "abcdef"), *(policy(name, path="few") for name in "ab")]
        times: dict[str, list[float]] = {}
        for slot in plan.opening({one.route: one for one in routes}, unprobed, at(0)):
            times.setdefault(slot.route.path, []).append(slot.due.seconds_since(at(0)))
        assert times["many"] == pytest.approx([0.0, 50.0, 100.0, 150.0, 200.0, 250.0])
        assert times["few"] == pytest.approx([75.0, 225.0])

    def test_what_was_probed_in_a_bunch_before_the_restart_does_not_stay_one(self) -> None:
        routes = {one.route: one for one in (policy(name, jitter=0.0) for name in "abcdef")}
        slots = plan.opening(routes, lambda _: at(-10), at(0))
        assert {slot.due.mono - at(0).mono for slot in slots} == {290.0}, "as was promised"
        first = [plan.following(routes[slot.route], slot.due, slot.due, 0.0) for slot in slots]
        second = [plan.following(routes[slot.route], slot.due, slot.due, 0.0) for slot in first]
        assert all(slot.due.mono >= at(290 + EVERY / 2).mono for slot in first), "and no second burst"
        assert sorted(slot.due.mono - at(0).mono for slot in second) == pytest.approx([600.0, 650.0, 700.0, 750.0, 800.0, 850.0])

    def test_no_routes(self) -> None:
        assert opened({}, at(0)) == {}

    @settings(deadline=None)
    @given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.none() | st.floats(-1e6, 1e6), min_size=1), st.booleans())
    def test_within_one_interval_and_never_two_at_once(self, last: dict[str, float | None], same_process: bool) -> None:
        now = at(0, "first" if same_process else "second")
        first = opened({name: None if ago is None else at(ago) for name, ago in last.items()}, now)
        assert all(0.0 <= seconds <= EVERY for seconds in first.values())
        staggered = sorted(round(seconds, 3) for name, seconds in first.items() if (ago := last[name]) is None or ago <= -EVERY)
        assert len(staggered) == len(set(staggered))
        for name, seconds in first.items():
            if (ago := last[name]) is not None and ago <= 0:
                assert seconds - ago >= EVERY * 0.999


class TestFollowing:
    def test_keeps_its_rhythm_although_it_was_served_late(self) -> None:
        assert plan.following(policy("a"), due(100), at(120), draw=0.0).due == due(400)

    @pytest.mark.parametrize(("draw", "then"), [(-1.0, 385.0), (0.0, 400.0), (1.0, 415.0)])
    @pytest.mark.parametrize("now", [85.0, 100.0, 115.0])
    def test_jitter_is_bounded_and_moves_no_later_slot(self, draw: float, then: float, now: float) -> None:
        slot = plan.following(policy("a"), due(100, now), at(now), draw)
        assert slot.due.utc == pytest.approx(at(then).utc)
        assert slot.due.nominal == at(400)

    @pytest.mark.parametrize(("now", "then"), [(39_710, 40_000.0), (39_999, 40_149.0), (40_000, 40_300.0)])
    def test_a_suspended_night_is_not_made_up_for_and_moves_no_place(self, now: float, then: float) -> None:
        """All wake together; each goes on in its own place."""
        slot = plan.following(policy("a"), due(100), at(now), draw=0.0)
        assert slot.due.mono == pytest.approx(at(then).mono)
        assert (slot.due.nominal.mono - at(100).mono) % EVERY == 0

    @pytest.mark.parametrize(
        ("now", "then", "nominal"), [(249, 400, 400), (251, 401, 400), (399, 549, 400), (400, 700, 700), (550, 700, 700)]
    )
    def test_never_sooner_than_half_an_interval_after_one_that_was_late(self, now: float, then: float, nominal: float) -> None:
        slot = plan.following(policy("a"), due(100), at(now), draw=0.0)
        assert (slot.due.utc, slot.due.nominal) == (at(then).utc, at(nominal))

    @pytest.mark.parametrize("draw", [chance(1), chance(2), lambda: 1.0, lambda: -1.0], ids=["chance", "luck", "late", "early"])
    def test_after_a_thousand_steps_a_path_is_still_as_evenly_spread(self, draw: Callable[[], float]) -> None:
        routes = [policy(name, path=path) for path in ("app", "relay") for name in "abcdef"]
        for times in served(routes, 6_000, draw).values():
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert max(gaps) <= EVERY / 6 + EVERY * 0.1 + 1e-3

    @settings(deadline=None, max_examples=30)
    @given(st.integers(1, 7), st.integers(1, 7), st.floats(0, 0.5), st.integers())
    def test_no_gap_of_a_path_is_longer_than_its_share_of_the_interval_plus_the_jitter(
        self, few: int, many: int, jitter: float, number: int
    ) -> None:
        """Of points that each lie within j/2 of a grid of width w, no two neighbours are further apart than w + j."""
        sizes = {"few": few, "many": many}
        routes = [policy(str(box), jitter=jitter, path=path) for path, size in sizes.items() for box in range(size)]
        for path, times in served(routes, 1_000, chance(number)).items():
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert max(gaps) <= EVERY / sizes[path] + EVERY * jitter + 1e-3

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 2000), st.floats(-1, 1)), min_size=1, max_size=60))
    def test_no_catch_up_burst(self, delays: list[tuple[float, float]]) -> None:
        """However late the loop comes to it: probes never outnumber the rhythm that the time allows, plus the one that was overdue."""
        route, next_, times = policy("a"), due(0), []
        now = at(0)
        for delay, draw in delays:
            now = at(max(next_.mono, now.mono) - at(0).mono + delay)
            times.append(now.mono)
            next_ = plan.following(route, next_, now, draw).due
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


class TestRejoined:
    def test_what_stays_keeps_its_slot_and_what_is_new_opens_staggered(self) -> None:
        routes = {one.route: one for one in (policy(name) for name in "abc")}
        slots = {slot.route: slot for slot in plan.opening(routes, unprobed, at(0))}
        more = {one.route: one for one in (policy(name) for name in "bcde")}
        after = plan.rejoined(slots, more, unprobed, at(50))
        assert [after[policy(name).route] for name in "bc"] == [slots[policy(name).route] for name in "bc"]
        assert [after[policy(name).route].due.seconds_since(at(50)) for name in "de"] == [0.0, 150.0]
        assert policy("a").route not in after

    @pytest.mark.parametrize("every", [60.0, 3_000.0])
    def test_another_interval_is_spread_anew(self, every: float) -> None:
        slots = {slot.route: slot for slot in plan.opening({policy(n).route: policy(n) for n in "abcd"}, unprobed, at(0))}
        changed = {one.route: one for one in (policy(name, every) for name in "abcd")}
        after = plan.rejoined(slots, changed, unprobed, at(100))
        assert [slot.due.seconds_since(at(100)) for slot in after.values()] == pytest.approx([0, every / 4, every / 2, every * 3 / 4])
        assert {slot.every for slot in after.values()} == {every}


def test_soonest() -> None:
    slots = [plan.Slot(policy(name).route, due(then), EVERY) for name, then in (("a", 9), ("b", 3), ("c", 7))]
    assert plan.soonest(slots) == slots[1]
    assert plan.soonest([]) is None
