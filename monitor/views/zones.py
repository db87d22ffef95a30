"""What inspections of zones and proofs of delivered mail have shown, and what people approved."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.checks import CheckResult
from monitor.model.facts import Baselined, Delivered, Entry, InspectionAsked, MailProved, ZoneObserved
from monitor.model.inspection import Drift, Facet
from monitor.model.instant import Instant

CONFIRM_AFTER = 60.0  # seconds between two observations that make a finding certain


def finding_key(result: CheckResult) -> str:
    """One check about one thing."""
    return f"{result.check.value} {result.about}"


@dataclass(slots=True)
class FindingState:
    """A bad or unknown result that stands: of one check about one thing. `confirmed`: when a second observation, a minute or more after the
    first, agreed; only then anybody is told."""

    result: CheckResult
    since: Instant
    latest: Instant
    seen: int = 1
    confirmed: Instant | None = None
    seq: int = 0  # of the latest observation


@dataclass(slots=True)
class DomainState:
    """One sending domain."""

    last: ZoneObserved | None = None  # the latest that was not blind
    last_seq: int = 0
    findings: dict[str, FindingState] = field(default_factory=dict)  # by finding_key
    baseline: tuple[Facet, ...] = ()  # approved, or else learned from the first complete inspection
    approved: Baselined | None = None
    drifts: list[Drift] = field(default_factory=list)  # the latest, oldest first; bounded
    blind: Instant | None = None  # since when nothing can be said
    blind_why: str = ""
    asked: InspectionAsked | None = None  # and not done yet


@dataclass(slots=True)
class Zones:
    domains: dict[str, DomainState] = field(default_factory=dict)
    delivered: dict[str, tuple[int, Delivered]] = field(default_factory=dict)  # route -> (seq, the latest)
    proofs: dict[str, MailProved] = field(default_factory=dict)  # route -> the latest

    def domain(self, name: str) -> DomainState:
        return self.domains.setdefault(name, DomainState())

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Delivered() as fact:
                self.delivered[str(fact.route)] = (entry.seq, fact)
            case MailProved() as fact:
                self.proofs[str(fact.route)] = fact
            case ZoneObserved() as fact:
                self._observed(entry.seq, fact)
            case Baselined() as fact:
                state = self.domain(fact.domain)
                state.baseline, state.approved = fact.facets, fact
            case InspectionAsked() as fact:
                self.domain(fact.domain).asked = fact
            case _:
                pass

    def _observed(self, seq: int, fact: ZoneObserved) -> None:
        state = self.domain(fact.domain)
        state.asked = None
        if fact.blind:
            state.blind = state.blind or fact.at
            state.blind_why = fact.blind
            return
        state.blind, state.blind_why, state.last, state.last_seq = None, "", fact, seq
        state.baseline = state.baseline or fact.facets
        known = state.findings
        state.findings = {}
        for result in fact.results:
            key = finding_key(result)
            before = known.get(key)
            if before is None or before.result.status is not result.status:
                state.findings[key] = FindingState(result, fact.at, fact.at, seq=seq)
                continue
            before.result, before.latest, before.seq = result, fact.at, seq
            before.seen += 1
            if before.confirmed is None and fact.at.seconds_since(before.since) >= CONFIRM_AFTER:
                before.confirmed = fact.at
            state.findings[key] = before
        state.drifts = [*fact.drifts][-100:]
