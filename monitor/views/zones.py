"""What inspections of zones and proofs of delivered mail have shown, what was learned from them, and what people approved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from monitor.model.checks import CheckResult, Status
from monitor.model.facts import Baselined, Delivered, Entry, InspectionAsked, MailProved, ZoneLearned, ZoneObserved
from monitor.model.inspection import Drift, DriftState, Facet, FacetKind
from monitor.model.instant import Instant
from monitor.model.mailauth import DeliveredMail

CONFIRM_AFTER = 60.0  # seconds between two observations that make a finding certain
MOST_LEARNED = 50  # addresses, names, selectors of one author domain: those seen last
MOST_AUTHORS = 500  # author domains
MOST_ROUTES = 2_000
MOST_DRIFTS = 100
MOST_MEANT = 300  # facets of a baseline

T = TypeVar("T")
Key = tuple[FacetKind, str]


def finding_key(result: CheckResult) -> str:
    """One check about one thing."""
    return f"{result.check.value} {result.about}"


def untold(baseline: Sequence[Facet], facets: Iterable[Facet]) -> tuple[Facet, ...]:
    """The facets of which the baseline knows nothing, so that it takes them over. A key record beside those that it knows is no such
    thing but an addition, which a person has to approve."""
    known = {facet.key for facet in baseline}
    keys = any(kind is FacetKind.DKIM for kind, _ in known)
    return tuple(facet for facet in facets if facet.key not in known and not (keys and facet.kind is FacetKind.DKIM))


def unasked(known: Iterable[Key], baseline: Sequence[Facet], facets: Sequence[Facet], unanswered: Sequence[Key]) -> set[Key]:
    """Those of `known` that an inspection, which shows facets and left others unanswered, no longer asks for: an address or a selector that
    is not in use any more. Which hosts are asked for is sure only while every MX answers as it is meant to."""
    seen = {facet.key: facet.value for facet in facets}
    meant = {facet.key: facet.value for facet in baseline if facet.kind is FacetKind.MX}
    sure = not any(kind is FacetKind.MX for kind, _ in unanswered) and all(seen.get(key, value) == value for key, value in meant.items())
    asked = {*seen, *unanswered}
    return {key for key in known if key not in asked and (sure or key[0] is not FacetKind.ADDRESS)}


@dataclass(slots=True)
class FindingState:
    """A bad or unknown result that stands: of one check about one thing. `confirmed`: when a second observation, a minute or more after the
    first, agreed; only then anybody is told."""

    result: CheckResult
    since: Instant
    latest: Instant
    seen: int = 1
    confirmed: Instant | None = None
    seq: int = 0  # of the latest observation that spells it out
    hardened: bool = False  # it fails because it could not be tested for so long
    was_unknown: bool = False  # before it began nobody could tell


@dataclass(slots=True)
class DomainState:
    """One sending domain. `last` is complete, also when its fact only said that all was the same."""

    first: Instant | None = None  # when it was first inspected, and not blind
    looks: int = 0  # inspections that were not blind
    last: ZoneObserved | None = None  # the latest that was not blind
    last_seq: int = 0
    spelled: Instant | None = None  # when a fact last spelled all out
    findings: dict[str, FindingState] = field(default_factory=dict)  # by finding_key
    baseline: tuple[Facet, ...] = ()  # approved, or else learned from the first complete inspection
    approved: Baselined | None = None
    drifts: list[Drift] = field(default_factory=list)  # the latest, oldest first; bounded
    blind: Instant | None = None  # since when nothing can be said
    blind_why: str = ""
    blinded: int = 0  # inspections in a row that saw nothing
    asked: InspectionAsked | None = None  # and not done yet


@dataclass(slots=True)
class Learned:
    """What delivered probes of one author domain showed of how it sends: name -> when it was last seen, seconds since the epoch."""

    since: float = 0.0
    addresses: dict[str, float] = field(default_factory=dict)
    helo: dict[str, float] = field(default_factory=dict)
    envelope: dict[str, float] = field(default_factory=dict)
    selectors: dict[str, float] = field(default_factory=dict)  # by `selector domain`


@dataclass(slots=True)
class ProvedMail:
    """A delivered message together with its proof."""

    delivered: Delivered
    proved: MailProved


@dataclass(slots=True)
class Zones:
    domains: dict[str, DomainState] = field(default_factory=dict)
    delivered: dict[str, tuple[int, Delivered]] = field(default_factory=dict)  # route -> (seq, the latest)
    proofs: dict[str, MailProved] = field(default_factory=dict)  # route -> the latest
    mails: dict[str, ProvedMail] = field(default_factory=dict)  # route -> the latest that was proved
    learned: dict[str, Learned] = field(default_factory=dict)  # by author domain

    def domain(self, name: str) -> DomainState:
        return self.domains.setdefault(name, DomainState())

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Delivered() as fact:
                _latest(self.delivered, str(fact.route), (entry.seq, fact))
                for author in fact.mail.author_domains[:1]:
                    self._learn(author, fact.mail, fact.at.utc)
            case MailProved() as fact:
                _latest(self.proofs, str(fact.route), fact)
                seq, delivered = self.delivered.get(str(fact.route), (0, None))
                if delivered is not None and seq == fact.delivered:
                    _latest(self.mails, str(fact.route), ProvedMail(delivered, fact))
            case ZoneObserved() as fact:
                self._observed(entry.seq, fact)
            case ZoneLearned() as fact:
                _taught(self.domain(fact.domain), fact)
            case Baselined() as fact:
                _approved(self.domain(fact.domain), fact)
            case InspectionAsked() as fact:
                self.domain(fact.domain).asked = fact
            case _:
                pass

    def _learn(self, author: str, mail: DeliveredMail, now: float) -> None:
        learned = self.learned.pop(author, None) or Learned(now)
        self.learned[author] = learned
        if len(self.learned) > MOST_AUTHORS:
            del self.learned[next(iter(self.learned))]
        border = mail.border
        _see(learned.addresses, (border.address if border else "") or mail.said_address, now)
        _see(learned.helo, border.helo if border else "", now)
        _see(learned.envelope, mail.envelope_domain or mail.said_envelope, now)
        for signature in mail.signatures:
            if signature.selector and signature.domain and not signature.fault:
                _see(learned.selectors, f"{signature.selector} {signature.domain}".lower(), now)

    def _observed(self, seq: int, fact: ZoneObserved) -> None:
        state = self.domain(fact.domain)
        state.asked = None
        if fact.blind:
            state.blind = state.blind or fact.at
            state.blind_why = fact.blind
            state.blinded += 1
            return
        if fact.same:
            if state.last is None:  # what it refers to has left the journal; the next that spells all out tells it
                return
            before = state.last
            drifts = tuple(state.drifts) if fact.unmoved else fact.drifts
            fact = replace(
                before, at=fact.at, cause=fact.cause, asked=fact.asked, failed=fact.failed, drifts=drifts, same=True, learned=False
            )
        else:
            state.last_seq, state.spelled = seq, fact.at
        state.blind, state.blind_why, state.blinded, state.last = None, "", 0, fact
        state.first = state.first or fact.at
        state.looks += 1
        if fact.learned:
            state.baseline = (*state.baseline, *untold(state.baseline, fact.facets))
        known = state.findings
        state.findings = {}
        for result in fact.results:
            key = finding_key(result)
            state.findings[key] = _found(known.get(key), result, fact, state.last_seq, key in fact.hardened)
        state.drifts = [*fact.drifts][-MOST_DRIFTS:]


def _found(before: FindingState | None, result: CheckResult, fact: ZoneObserved, seq: int, hardened: bool) -> FindingState:
    went_on = before is not None and (before.result.status is result.status or (hardened and before.result.status is Status.UNKNOWN))
    if before is None or not went_on:
        was_unknown = before is not None and before.result.status is Status.UNKNOWN
        return FindingState(result, fact.at, fact.at, seq=seq, hardened=hardened, was_unknown=was_unknown)
    before.result, before.latest, before.seq, before.hardened = result, fact.at, seq, hardened
    before.seen += 1
    if before.confirmed is None and fact.at.seconds_since(before.since) >= CONFIRM_AFTER:
        before.confirmed = fact.at
    return before


def _taught(state: DomainState, fact: ZoneLearned) -> None:
    """What a person approved while it was being learned counts."""
    if state.approved is None or fact.at.utc >= state.approved.at.utc:
        state.baseline = fact.facets


def _approved(state: DomainState, fact: Baselined) -> None:
    """What could not be seen when a person approved keeps the value that it was meant to have; what nobody asks for any more goes."""
    last, known = state.last, {facet.key: facet for facet in state.baseline}
    over = unasked(known, state.baseline, last.facets, last.unanswered) if last is not None and last.unanswered is not None else set()
    approved = {facet.key for facet in fact.facets}
    kept = [facet for key, facet in known.items() if key not in over | approved]
    meant = {facet.key: facet for facet in (*fact.facets, *kept)[:MOST_MEANT]}
    state.baseline, state.approved = tuple(meant[key] for key in sorted(meant)), fact
    state.drifts = [
        replace(one, state=DriftState.APPROVED) if one.stands and one.key in meant and meant[one.key].brief == one.after else one
        for one in state.drifts
    ]


def _see(seen: dict[str, float], name: str, now: float) -> None:
    if not name:
        return
    _bounded(seen, name, now, MOST_LEARNED)


def _latest(known: dict[str, T], route: str, value: T) -> None:
    _bounded(known, route, value, MOST_ROUTES)


def _bounded(known: dict[str, T], name: str, value: T, most: int) -> None:
    """Put in as the latest; the one that is oldest goes when there are too many."""
    known.pop(name, None)
    known[name] = value
    if len(known) > most:
        del known[next(iter(known))]
