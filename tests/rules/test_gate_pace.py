"""How much gates may probe now, and who gets it."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.facts import GateRequested
from monitor.model.gate import BUILT_IN, QUICK, GateId, GatesPolicy
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import PathName, Route
from monitor.rules.gate.pace import Room, in_turn, share, whole
from monitor.views.gates import KEPT_BURST, Gates, GateState
from tests.stages.house import RELAY, policy, seed
from tests.views.life import NOON

YESTERDAY, TODAY = "2025-12-31", "2026-01-01"
A, B, C = (GateId(f"gate-{letter}") for letter in "abc")


@cache
def rules(seeds: int = 3) -> Policy:
    with tempfile.TemporaryDirectory() as directory:
        return policy(Path(directory), seeds, budgets={"per_path": 100, "per_mailbox": 40})


def with_gates(**fields: Any) -> Policy:
    return replace(rules(), gates=GatesPolicy(**fields))


def route(number: int = 1) -> Route:
    return Route(RELAY, seed(number))


def at(t: float, process: str = "one") -> Instant:
    return Instant(NOON + t, t, process)


def planned(*times: float) -> Gates:
    return Gates(bursts={seed(1): [at(t) for t in times]})


def spent(path: int = 0, mailbox: int = 0, day: str = TODAY) -> Gates:
    gates = Gates()
    gates.budget.day, gates.budget.paths, gates.budget.mailboxes = day, {RELAY: path}, {seed(1): mailbox}
    return gates


def taken(room: Room, one: Route | None = None, tries: int = 1_000) -> int:
    return sum(room.take(one or route()) for _ in range(tries))


class TestBurst:
    @pytest.mark.parametrize(
        ("times", "free"),
        [((), 6), ((-1.0,) * 4, 2), ((-59.9,) * 6, 0), ((-60.0,) * 6, 6), ((-61.0, -59.0, 0.0), 4), ((5.0,) * 6, 0), ((61.0,) * 6, 6)],
        ids=["nothing yet", "some", "all within", "all out", "mixed", "planned ahead: the clock stepped back", "far ahead"],
    )
    def test_of_the_window(self, times: tuple[float, ...], free: int) -> None:
        assert taken(Room(planned(*times), rules(), at(0))) == free

    def test_each_mailbox_has_its_own_and_all_gates_share_it(self) -> None:
        room = Room(planned(-1, -1), rules(), at(0))
        assert (taken(room), taken(room, route(2))) == (4, 6)

    def test_of_a_process_before_by_utc(self) -> None:
        before = Gates(bursts={seed(1): [Instant(NOON - 10, 9e6, "zero")] * 6})
        assert taken(Room(before, rules(), at(0))) == 0

    def test_never_more_than_is_remembered(self) -> None:
        of = replace(with_gates(burst=10_000), paths=rules().paths)
        roomy = replace(of, mailboxes={name: replace(box, daily_budget=10**6) for name, box in of.mailboxes.items()})
        roomy = replace(roomy, paths={name: replace(path, daily_budget=10**6) for name, path in of.paths.items()})
        assert taken(Room(Gates(), roomy, at(0))) == KEPT_BURST

    @pytest.mark.parametrize(("times", "opens"), [((), None), ((-50.0,) * 6, 10.0), ((-50.0, *(-1.0,) * 5), 10.0), ((-50.0,), 10.0)])
    def test_when_there_is_room_again(self, times: tuple[float, ...], opens: float | None) -> None:
        room = Room(planned(*times), rules(), at(0))
        assert room.opens() is None, "nobody was refused"
        taken(room)
        assert room.opens() == pytest.approx(opens if times else 60.0)


class TestBudget:
    @pytest.mark.parametrize(("path", "mailbox", "free"), [(0, 0, 6), (47, 0, 3), (50, 0, 0), (0, 18, 2), (0, 20, 0), (99, 99, 0)])
    def test_half_of_the_path_and_half_of_the_mailbox(self, path: int, mailbox: int, free: int) -> None:
        room = Room(spent(path, mailbox), rules(), at(0))
        assert room.exhausted(route()) is (free == 0)
        assert taken(room) == free

    def test_what_is_taken_now_counts_too(self) -> None:
        room = Room(spent(48, 0), rules(), at(0))
        assert [room.take(route(number)) for number in (1, 2, 3)] == [True, True, False]
        assert room.exhausted(route(3))

    def test_of_the_day(self) -> None:
        assert taken(Room(spent(50, 20, YESTERDAY), rules(), at(0))) == 6

    @pytest.mark.parametrize(("share_", "budget", "probes"), [(0.5, 1, 0), (0.5, 3, 1), (0.29, 100, 29), (0.1, 30, 3), (1.0, 7, 7)])
    def test_whole_probes(self, share_: float, budget: int, probes: int) -> None:
        assert whole(share_, budget) == probes

    def test_a_route_that_is_gone(self) -> None:
        room = Room(Gates(), rules(), at(0))
        for gone in (route(9), Route(PathName("old"), seed(1))):
            assert not room.take(gone) and not room.exhausted(gone)
        fewer = replace(rules(), routes={one: of for one, of in rules().routes.items() if one != route(2)})
        assert not Room(Gates(), fewer, at(0)).take(route(2)), "although its path and mailbox are there"


class TestShares:
    def test_one_each_in_turn(self) -> None:
        given_ = share({A: [route()] * 300, B: [route()] * 2, C: [route()]}, Room(Gates(), rules(), at(0)))
        assert {gate: len(routes) for gate, routes in given_.items()} == {A: 3, B: 2, C: 1}

    def test_a_full_mailbox_does_not_hold_up_the_others(self) -> None:
        given_ = share({A: [route(1), route(2)], B: [route(1), route(3)]}, Room(planned(*(-1.0,) * 6), rules(), at(0)))
        assert given_ == {A: [route(2)], B: [route(3)]}

    def test_each_in_its_own_order(self) -> None:
        wanted = [route(2), route(1), route(2)]
        assert share({A: wanted}, Room(Gates(), rules(), at(0))) == {A: wanted}

    def test_nobody_needs_anything(self) -> None:
        assert share({A: []}, Room(Gates(), rules(), at(0))) == {} == share({}, Room(Gates(), rules(), at(0)))

    def test_who_has_waited_longest_comes_first(self) -> None:
        def state(asked_for: float, served: float | None) -> GateState:
            request = GateRequested(at(asked_for), A, "d", 1, BUILT_IN[QUICK], "ci", ("v",), (), at(0), at(600))
            return GateState(A, [request], asked_at=None if served is None else at(served))

        old, fresh, waits, again = state(0, 90), state(80, None), state(10, 70), state(85, 20)
        assert in_turn([old, fresh, waits, again]) == [waits, fresh, again, old], (
            "a new one has waited since it came, however often it asks"
        )

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.lists(st.integers(1, 3), max_size=30), max_size=5),
        st.lists(st.tuples(st.integers(1, 3), st.floats(0, 120)), max_size=30),
        st.integers(0, 60),
    )
    def test_never_beyond_any_bound_and_nothing_is_left_that_fits(
        self, wanted: list[list[int]], before: list[tuple[int, float]], on_path: int
    ) -> None:
        gates = spent(on_path)
        for number, ago in before:
            gates.bursts.setdefault(seed(number), []).append(at(-ago))
        needs = {GateId(f"gate-{n}"): [route(number) for number in each] for n, each in enumerate(wanted)}
        room = Room(gates, rules(), at(0))
        given_ = share(needs, room)
        boxes = Counter(one.mailbox for routes in given_.values() for one in routes)
        for number in (1, 2, 3):
            recent = sum(ago < 60 for box, ago in before if box == number)
            assert boxes[seed(number)] <= max(0, 6 - recent)
        assert boxes.total() <= max(0, 50 - on_path)
        for gate, routes in given_.items():
            assert not Counter(routes) - Counter(needs[gate])
        left = [one for gate, routes in needs.items() for one in (Counter(routes) - Counter(given_.get(gate, []))).elements()]
        assert not any(room.take(one) for one in left)
