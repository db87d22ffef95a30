"""Records are written many in a statement: what was there already, and what a portion has twice, is known all the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.ledger import SqliteLedger, taking
from monitor.model.ledger import Confirmation, Refund, Side, Taken, Taking
from tests.fakes.ledger import FakeLedger

NOW = 1_770_000_000.0


def refund(number: int, amount: int, line: int) -> Refund:
    return Refund(f"RF-{number}", f"RF-{number}", amount, "EUR", NOW - 60, b"%012d" % number, line=line)


def mail(number: int, amount: int, line: int) -> Confirmation:
    return Confirmation(f"RF-{number}", f"m{number}", amount, "EUR", NOW - 50, b"%012d" % number, line=line)


async def told(ledger: SqliteLedger | FakeLedger, side: Side, portions: Sequence[Sequence[tuple[int, int]]]) -> list[Taken]:
    make = refund if side is Side.REFUNDS else mail
    answers, line = [], 1
    for portion in portions:
        records = [make(number, amount, line + place) for place, (number, amount) in enumerate(portion)]
        line += len(records)
        answers.append(await ledger.take(Taking("shop", side, "book", records, NOW)))  # type: ignore[arg-type]
    return answers


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(portions=st.lists(st.lists(st.tuples(st.integers(0, 6), st.sampled_from((10_000, 20_000))), max_size=9), max_size=4))
async def test_as_one_by_one(side: Side, at_once: int, portions: list[list[tuple[int, int]]]) -> None:
    before = taking.AT_ONCE
    taking.AT_ONCE = at_once
    store, fake = SqliteLedger(None), FakeLedger()
    try:
        assert await told(store, side, portions) == await told(fake, side, portions)
        assert [(one.records, one.refused) for one in await store.sources()] == [(one.records, one.refused) for one in await fake.sources()]
    finally:
        taking.AT_ONCE = before
        await store.close()
