"""The reconciliation of real refunds as gauges. Labels are the sources of the configuration, and nothing of any refund.

Without a configured ledger none of them exists. With one, all do from the start; what nothing was compared for yet is absent, never 0: 0
missing confirmations is something that somebody has looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from monitor.model.ledger import DifferenceClass, SourceStanding, Standing
from monitor.model.sources import LedgerPolicy
from monitor.views.ledger import STORE, LedgerView

_OPEN = {
    DifferenceClass.MISSING: ("unconfirmed_refunds", "Refunds whose customer was not told within the time."),
    DifferenceClass.SPURIOUS: ("spurious_confirmations", "Confirmations without a refund."),
    DifferenceClass.MISMATCHED: ("mismatched_confirmations", "Confirmations with another amount, currency or recipient than the refund."),
    DifferenceClass.DUPLICATE: ("duplicate_confirmations", "Confirmations that were sent again to the same person."),
}


def ledger_gauges(environment: str, policy: LedgerPolicy, view: LedgerView) -> Iterable[Metric]:
    if not policy.enabled:
        return

    def gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"mailcanary_ledger_{name}", text, labels=("environment",))
        if value is not None:
            family.add_metric((environment,), value)
        return family

    last = view.last
    standing = last.standing if last else Standing()
    for kind, (name, text) in _OPEN.items():
        yield gauge(name, f"{text} Absent: nothing was compared yet.", view.of(kind).open if last else None)
    yield gauge(
        "oldest_unconfirmed_timestamp_seconds",
        "When the oldest refund whose customer was not told in time was processed; 0: none. Absent: nothing was compared yet.",
        (standing.oldest_unconfirmed or 0) if last else None,
    )
    yield gauge("last_reconciled_timestamp_seconds", "When both sides were last compared; 0: never.", last.at.utc if last else 0)


def source_gauges(environment: str, policy: LedgerPolicy, view: LedgerView, sources: Sequence[SourceStanding] | None) -> Iterable[Metric]:
    """`sources`: as the store had them last; None: it never answered."""
    if not policy.enabled:
        return ()
    labels = ("environment", "source")
    until = GaugeMetricFamily(
        "mailcanary_ledger_source_read_until_timestamp_seconds",
        "All that the source had at that time has been read, less its lag; 0: never. Absent: the store was never readable.",
        labels=labels,
    )
    blind = GaugeMetricFamily(
        "mailcanary_ledger_source_blind", "1: the source cannot be read, or what it shows cannot be kept.", labels=labels
    )
    known = {source.source: source.read_until for source in sources or ()}
    for name, source in policy.sources.items():
        blind.add_metric((environment, name), name in view.blind or STORE in view.blind)
        if sources is not None:
            read_until = known.get(name)
            until.add_metric((environment, name), 0 if read_until is None else read_until - source.lag)
    return (until, blind)


def newly_found(view: LedgerView, seq: int) -> Iterable[tuple[DifferenceClass, int]]:
    """How many more differences of each class the fact `seq` tells of than the one before it. Fewer than before: the store was lost, and
    counts from the beginning."""
    place = next((place for place, counted in enumerate(view.counted) if counted.seq == seq), None)
    if place is None:
        return
    now, before = view.counted[place].found, view.counted[place - 1].found if place else {}
    for kind in DifferenceClass:
        found, known = now.get(kind.value, 0), before.get(kind.value, 0)
        yield kind, found - known if found >= known else found
