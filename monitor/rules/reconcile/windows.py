"""How far each side was read -> what may be decided.

A side was read as far as the source of it that is furthest behind. A source that was never read to its end, or cannot be read any more,
stops its side: nothing is missing or spurious for want of evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.model.ledger import Side, SourceStanding, Windows
from monitor.model.sources import LedgerPolicy, PushSource

DAY = 86_400.0


def windows_of(policy: LedgerPolicy, sources: Iterable[SourceStanding], now: float) -> Windows:
    """`sources`: those that were ever read; only those that the policy names count. `now`: what was read later than that was read by a
    clock that was wrong."""
    standing = {(each.source, each.side): each for each in sources}
    return Windows(
        confirm_within=policy.confirm_within,
        refund_within=policy.refund_within,
        refunds_until=_until(policy, Side.REFUNDS, standing, now),
        confirmations_until=_until(policy, Side.CONFIRMATIONS, standing, now),
        refunds_from=_since(policy, Side.REFUNDS, standing),
        confirmations_from=_since(policy, Side.CONFIRMATIONS, standing),
    )


def lag_of(policy: LedgerPolicy) -> float:
    """Seconds by which what any source shows may be behind."""
    return max((source.lag for source in policy.sources.values()), default=0.0)


def _until(policy: LedgerPolicy, side: Side, standing: dict[tuple[str, Side], SourceStanding], now: float) -> float | None:
    found: list[float] = []
    for source in policy.of(side):
        known = standing.get((source.name, side))
        if known is None or known.read_until is None:
            return None
        latest = now + source.lag if isinstance(source.via, PushSource) else now  # a push that is complete has added the lag
        found.append(min(known.read_until, latest) - source.lag)
    return min(found, default=None)


def _since(policy: LedgerPolicy, side: Side, standing: dict[tuple[str, Side], SourceStanding]) -> float | None:
    """What lies before its history began decides nothing."""
    found: list[float] = []
    for source in policy.of(side):
        known = standing.get((source.name, side))
        if known is None:
            return None
        found.append(min(known.first_read, _begun(known)))
    return max(found, default=None)


def _begun(known: SourceStanding) -> float:
    """Its first record of those whose days follow one another up to the newest: an old row that came late is not where a history begins."""
    begun = known.days[-1] if known.days else known.first_read
    for at in reversed(known.days):
        if begun // DAY - at // DAY > 1:
            break
        begun = at
    return begun
