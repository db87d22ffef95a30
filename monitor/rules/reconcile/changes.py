"""Whether a reconciliation is worth a fact: the journal of a busy shop must not fill with counts that only grow."""

from __future__ import annotations

from monitor.model.facts import Reconciled
from monitor.model.instant import Instant
from monitor.model.ledger import Flow, Side, Standing, Volume

HEARTBEAT = 60.0  # seconds between two facts that say only how far both sides were read


def is_news(last: Reconciled | None, standing: Standing, volumes: tuple[Volume, ...], now: Instant) -> bool:
    """At once when the differences, or the volumes out of bounds, are others than before; else now and then, as long as anything at all
    moves. Where nothing moves nothing is said: what stands still is no evidence."""
    if last is None:
        return True
    if _differences(last.standing) != _differences(standing) or _volumes(last.volumes) != _volumes(volumes):
        return True
    waited = now.seconds_since(last.at)
    return (waited >= HEARTBEAT or waited < 0) and last.standing != standing


def _differences(standing: Standing) -> list[tuple[str, int, int]]:
    return sorted((each.kind.value, each.open, each.found) for each in standing.classes if each.found)


def _volumes(volumes: tuple[Volume, ...]) -> set[tuple[Flow, Side]]:
    return {(volume.flow, volume.side) for volume in volumes}
