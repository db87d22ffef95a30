"""Random worlds of records, and how two ledgers are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from hypothesis import strategies as st

from monitor.model.ledger import Confirmation, Difference, Outcome, Refund, RowFault, Side, Taking, Wanted, Windows
from monitor.ports import Ledger

WITHIN, GRACE = 60.0, 20.0
END = 400.0

_TIMES = st.integers(0, 40).map(lambda tens: tens * 10.0)
_PEOPLE = st.sampled_from((b"", b"anna--------", b"anna--------", b"bert--------"))
_AMOUNTS = st.sampled_from((100_000, 100_000, 100_000, 200_000, 300_000))
_CURRENCIES = st.sampled_from(("EUR", "EUR", "EUR", "EUR", "USD"))


@st.composite
def _refunds(draw: st.DrawFn, by_order: bool) -> Refund:
    key = draw(st.sampled_from(("k1", "k2")))
    number = draw(st.sampled_from(("n1", "n2", key))) if by_order else key
    reversed_at = draw(st.none() | st.none() | _TIMES)
    return Refund(key, number, draw(_AMOUNTS), draw(_CURRENCIES), draw(_TIMES), draw(_PEOPLE), "", reversed_at, draw(st.integers(0, 9)))


@st.composite
def _confirmations(draw: st.DrawFn) -> Confirmation:
    outcome = draw(st.sampled_from((Outcome.SENT, Outcome.SENT, Outcome.SENT, Outcome.FAILED, Outcome.HELD)))
    return Confirmation(
        draw(st.sampled_from(("k1", "k2"))),
        draw(st.sampled_from(("i1", "i2", "i3"))),
        draw(st.none() | _AMOUNTS | _AMOUNTS),
        draw(st.sampled_from(("", "EUR", "EUR", "USD"))),
        draw(_TIMES),
        draw(_PEOPLE),
        "",
        outcome.value,
        draw(st.sampled_from((False, False, True))),
        draw(st.integers(0, 9)),
    )


@st.composite
def records(draw: st.DrawFn) -> list[Taking]:
    """One record a portion, from one or two sources of either side."""
    by_order = draw(st.booleans())
    shop = draw(st.lists(st.tuples(st.sampled_from(("erp", "push")), _refunds(by_order)), max_size=6))
    mail = draw(st.lists(st.tuples(st.sampled_from(("bcc", "log")), _confirmations()), max_size=7))
    takings = [Taking(source, Side.REFUNDS, source, [row], row.at) for source, row in shop]
    takings += [Taking(source, Side.CONFIRMATIONS, source, [row], row.at) for source, row in mail]
    faulty = draw(st.lists(st.tuples(st.sampled_from(Side), st.sampled_from(("k1", "k2"))), max_size=2))
    for side, key in faulty:
        source = "push" if side is Side.REFUNDS else "log"
        takings.append(Taking(source, side, source, (), END, (RowFault(1, "refused", key=key),)))
    return draw(st.permutations(takings))


@st.composite
def consistent(draw: st.DrawFn) -> list[Taking]:
    """Records that do not contradict each other about what only the first of them decides."""
    takings = draw(records())
    seen: dict[Hashable, Taking] = {}
    for taking in takings:
        if not taking.records:
            seen[taking.side, taking.faults[0].key] = taking
            continue
        row = taking.records[0]
        seen.setdefault((taking.side, taking.source if taking.side is Side.CONFIRMATIONS else "", row.key, row[1]), taking)
    return list(seen.values())


def windows(until: float, begun: float = 0.0) -> Windows:
    return Windows(WITHIN, GRACE, until, until, begun, begun)


async def shown(ledger: Ledger, wanted: Wanted | None = None) -> Counter[Difference]:
    """The differences, whatever their order."""
    return Counter((await ledger.differences(wanted or Wanted(open_only=False))).differences)
