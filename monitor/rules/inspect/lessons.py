"""What the baseline of a zone learns by itself: that of which it knows nothing. What it knows moves only when a person approves."""

from __future__ import annotations

from monitor.model.facts import ZoneObserved
from monitor.model.inspection import Facet, FacetKind
from monitor.rules.inspect.unknowns import SPAN, TIMES
from monitor.views.zones import MOST_MEANT, DomainState, unasked, untold

_HOSTS = (FacetKind.PTR, FacetKind.ADDRESS)  # they come and go with what delivered mail shows


def lesson(before: DomainState | None, fact: ZoneObserved) -> tuple[Facet, ...] | None:
    """The baseline from now on, when it takes facets over or lets go of hosts that are not in use any more; None: it stays. `fact`: an
    inspection, spelled out; `before`: the domain as it was."""
    meant, unanswered = before.baseline if before is not None else (), fact.unanswered or ()
    if fact.blind or not fact.facets or (not meant and unanswered and not _patient(before, fact)):
        return None
    left = unasked((facet.key for facet in meant if facet.kind in _HOSTS), meant, fact.facets, unanswered)
    kept = tuple(facet for facet in meant if facet.key not in left)
    taken = untold(kept, fact.facets)[: max(0, MOST_MEANT - len(kept))]
    return (*kept, *taken) if left or taken else None


def _patient(before: DomainState | None, fact: ZoneObserved) -> bool:
    """A name that never answers does not keep all others from being compared."""
    if before is None or before.first is None:
        return False
    return before.looks + 1 >= TIMES and fact.at.seconds_since(before.first) >= SPAN
