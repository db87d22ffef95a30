"""The checks of the zone and of delivered mail over one domain: pure, of what is known (Subject) and what the DNS and mail servers say
(Lookup). A family of checks is a module with CHECKS and judge()."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from monitor.model.checks import CheckId, CheckResult, ProviderAnswer
from monitor.model.inspection import Drift, Facet, FacetKind, KeyAge, Subject
from monitor.ports import SuffixList
from monitor.rules.inspect import dkim_keys, dkim_mail, dmarc, drift, egress, message, mx, profiles, receivers, spf, transport, zone
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.facets import ages
from monitor.rules.inspect.scene import Scene
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Node

__all__ = ["FAMILIES", "Inspection", "Scene", "catalogue", "inspect"]

Family = Callable[[Scene], Iterator[CheckResult]]
_MODULES = (spf, dkim_keys, dkim_mail, dmarc, mx, zone, egress, transport, receivers, message, drift)
FAMILIES: tuple[Family, ...] = tuple(module.judge for module in _MODULES)


@dataclass(frozen=True, slots=True)
class Inspection:
    """All results, in the order of the families, worst things not first. `tree`: of the first envelope domain's SPF record. `unanswered`:
    facets that could not be asked."""

    domain: str
    results: tuple[CheckResult, ...]
    facets: tuple[Facet, ...] = ()
    drifts: tuple[Drift, ...] = ()
    answers: tuple[ProviderAnswer, ...] = ()
    tree: Node | None = None
    keys: tuple[KeyAge, ...] = ()
    unanswered: tuple[tuple[FacetKind, str], ...] = ()


@cache
def catalogue() -> Mapping[CheckId, Check]:
    """Every check that there is."""
    return MappingProxyType({check: known for module in _MODULES for check, known in module.CHECKS.items()})


def inspect(subject: Subject, lookup: Lookup, suffixes: SuffixList, families: Sequence[Family] = FAMILIES) -> Inspection:
    """Every check once. While the lookup is not complete the results are provisional."""
    scene = Scene(subject, lookup, suffixes)
    results = tuple(result for family in families for result in family(scene))
    observed = scene.observation
    return Inspection(
        subject.domain,
        results,
        observed.facets,
        scene.drifts,
        profiles.answers(results, subject.profiles),
        _tree(scene),
        ages(subject.keys, observed.facets, subject.now),
        observed.unanswered,
    )


def _tree(scene: Scene) -> Node | None:
    address = next(iter(scene.subject.egress), "192.0.2.1")  # the tree is whole whoever asks
    tree = scene.spf(address, scene.envelope[0]).tree
    return tree if tree.record else None
