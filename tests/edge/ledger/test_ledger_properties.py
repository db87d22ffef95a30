"""The store against its oracle, and against itself in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import cast

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from monitor.edge.ledger import SqliteLedger
from monitor.model.ledger import Difference, Refund, Standing, Taking, Wanted
from monitor.ports import Ledger
from tests.edge.ledger.worlds import END, consistent, records, shown, windows
from tests.fakes.ledger import FakeLedger

ONLY = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a world is small enough as it is, and shrinking takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)


def batched(takings: Sequence[Taking], size: int) -> list[Taking]:
    """Neighbours of one source in one portion, up to `size` records."""
    batches = []
    for _, group in groupby(takings, key=lambda one: one.source):
        same = list(group)
        for first in range(0, len(same), size):
            some = same[first : first + size]
            rows = cast(list[Refund], [row for one in some for row in one.records])
            batches.append(replace(some[0], records=rows, faults=tuple(fault for one in some for fault in one.faults)))
    return batches


@ONLY
@given(
    records(),
    st.integers(1, 4),
    st.lists(st.sampled_from((None, 300.0, 450.0)), min_size=15, max_size=15),
    st.sampled_from((0.0, 0.0, 100.0)),
)
def test_as_the_oracle_says_at_every_step(takings: list[Taking], size: int, looks: list[float | None], begun: float) -> None:
    async def play() -> None:
        ledgers: list[Ledger] = [SqliteLedger(None), FakeLedger()]
        try:
            portions = batched(takings, size)
            note("\n".join(f"{portion.source} {list(portion.records)}, {until}" for portion, until in zip(portions, looks, strict=False)))
            for place, portion in enumerate(portions):
                taken = [await ledger.take(portion) for ledger in ledgers]
                assert taken[0] == taken[1]
                until = looks[place]
                if until is not None:
                    await agree(ledgers, until, begun, float(place))
            await agree(ledgers, END + 100.0, begun, 99.0)
            assert await ledgers[0].sources() == await ledgers[1].sources()
        finally:
            await ledgers[0].close()

    async def agree(ledgers: list[Ledger], until: float, begun: float, now: float) -> None:
        standings = [await ledger.reconcile(windows(until, begun), now) for ledger in ledgers]
        assert standings[0] == standings[1]
        assert await shown(ledgers[0]) == await shown(ledgers[1])
        assert await ledgers[0].standing() == standings[0]
        for span in ((0.0, END), (100.0, 200.0)):
            assert await ledgers[0].impact(*span) == await ledgers[1].impact(*span)

    asyncio.run(play())


@ONLY
@given(consistent(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_order_makes_no_difference(takings: list[Taking], draw: object, size: int) -> None:
    shuffled = list(takings)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]

    async def play(order: Sequence[Taking]) -> tuple[list[Difference], Standing]:
        ledger = SqliteLedger(None)
        try:
            for portion in (*order, *order[:2]):
                await ledger.take(portion)
            standing = await ledger.reconcile(windows(END + 100.0), 0.0)
            return sorted((await ledger.differences(Wanted())).differences, key=repr), standing
        finally:
            await ledger.close()

    assert asyncio.run(play(batched(takings, 2))) == asyncio.run(play(batched(shuffled, size)))
