"""DNS-14: the zone against the way it is meant to be. A baseline is learned once and moves only when a person approves; a difference is
propagating while old answers may still live in caches, and stands after that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.inspection import Drift, DriftState, Facet, FacetKind, Subject
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.difference import adds, difference
from monitor.rules.inspect.facets import Observation
from monitor.rules.plain import plain
from monitor.views.zones import Key, unasked, untold

if TYPE_CHECKING:
    from monitor.rules.inspect.scene import Scene

TWICE = 60.0  # seconds between two observations that make a difference certain
DAY = 86_400.0
KEPT = 7 * DAY  # how long a difference that is over is remembered
MOST = 100  # differences of one domain
MOST_TIMES = 20  # at which one facet changed, kept
FLAPPING = 3  # changes of one facet in a day that are still bearable
MOST_RESULTS = 20
LONGEST_TTL = DAY  # longer TTLs are cut by resolvers
MOST_NAMED = 5

_RECORDS = {
    FacetKind.SPF: "SPF record",
    FacetKind.DKIM: "key record",
    FacetKind.DMARC: "DMARC record",
    FacetKind.MX: "MX records",
    FacetKind.NS: "NS records",
    FacetKind.DS: "DS records",
    FacetKind.SOA: "SOA record",
    FacetKind.PTR: "PTR record",
    FacetKind.ADDRESS: "address records",
}

DNS_14 = Check(
    CheckId.DNS_14,
    "the zone is as it was approved",
    "Most outages of authentication begin with a change of the zone that nobody meant: a vanished key, a sending address that fell out of "
    "SPF, a weaker policy. Compared with the last known good zone it is noticed within minutes.",
    "own",
    Gravity.CRITICAL,
)
CHECKS = {CheckId.DNS_14: DNS_14}


def drift(baseline: Sequence[Facet], observed: Observation, subject: Subject, known: Sequence[Drift], now: float) -> tuple[Drift, ...]:
    """One difference for each facet that differs, and for some days those that are over. What could not be asked leaves its difference as
    it is; what nobody asks for any more is over."""
    if not baseline:
        return ()
    before = {one.key: one for one in known}
    left = unasked(before, baseline, observed.facets, observed.unanswered)
    seen = {facet.key: facet for facet in observed.facets}
    made = [_unseen(one, key in left, now) for key, one in before.items() if key not in seen]
    made += filter(None, (_next(baseline, before.get(key), facet, subject, now) for key, facet in seen.items()))
    over = sorted((one for one in made if not one.stands and now - _times(one)[-1] <= KEPT), key=_age)
    return (*over[-(MOST // 2) :], *sorted((one for one in made if one.stands), key=_age))[-MOST:]


def _age(one: Drift) -> tuple[float, Key]:
    return one.first_seen, one.key


def _times(one: Drift) -> tuple[float, ...]:
    return one.changes or (one.first_seen,)


def _unseen(one: Drift, left: bool, now: float) -> Drift:
    if not one.stands:
        return one
    if left:
        return replace(one, state=DriftState.REVERTED, what=f"{one.what} (nobody asks for it any more)", changes=_later(one, now))
    return _aged(one, now)


def _later(one: Drift, now: float) -> tuple[float, ...]:
    return (*_times(one), now)[-MOST_TIMES:]


def _aged(one: Drift, now: float) -> Drift:
    certain = now >= one.until and now - one.first_seen >= TWICE
    return replace(one, state=DriftState.STANDING) if certain else one


def _next(baseline: Sequence[Facet], one: Drift | None, facet: Facet, subject: Subject, now: float) -> Drift | None:
    """What becomes of the difference of a facet that was seen."""
    meant = next((known for known in baseline if known.key == facet.key), None)
    change = _change(baseline, meant, one, facet, subject)
    if one is not None and one.stands and facet.brief == one.after and (meant is None or meant.value != facet.value):
        return _aged(_graded(one, change), now)
    if change is not None:
        return _moved(one, change, facet, subject, now)
    if one is None or not one.stands:
        return one
    if meant is not None and facet.brief == one.after:
        return replace(one, state=DriftState.APPROVED)
    return replace(one, state=DriftState.REVERTED, changes=_later(one, now))


def _graded(one: Drift, change: _Change | None) -> Drift:
    """What was critical for a selector in use is none for one that no longer signs."""
    return replace(one, gravity=Gravity.INFO) if change is not None and change[1] is Gravity.INFO else one


_Change = tuple[Facet | None, Gravity, str]  # what was there before, how bad it is, in words


def _change(baseline: Sequence[Facet], meant: Facet | None, one: Drift | None, facet: Facet, subject: Subject) -> _Change | None:
    if meant is not None:
        change = difference(meant, facet, subject)
        return (meant, *change) if change is not None else None
    if untold(baseline, (facet,)):
        return None
    if one is not None and one.stands and one.after:  # nobody approved it, and yet mail may be signed with it by now
        added = replace(facet, value=one.after)
        change = difference(added, facet, subject)
        if change is not None and change[0] is Gravity.CRITICAL:
            return added, *change
    return (None, *adds(facet)) if facet.value else None


def _moved(one: Drift | None, change: _Change, facet: Facet, subject: Subject, now: float) -> Drift:
    """A new difference; one that stands and is as bad as before goes on."""
    meant, gravity, what = change
    ttl = _ttl(meant, subject)
    before, until = meant.brief if meant is not None else "", now + min(ttl, LONGEST_TTL)
    times = _later(one, now) if one is not None else (now,)
    made = Drift(facet.kind, facet.name, before, facet.brief, gravity, what, DriftState.PROPAGATING, now, until, ttl, times)
    if one is None or not one.stands or one.gravity is not gravity:
        return made
    return replace(made, state=one.state, first_seen=one.first_seen, until=one.until, old_ttl=one.old_ttl)


def _ttl(meant: Facet | None, subject: Subject) -> int:
    """The one that was seen last with this value: when the baseline was learned a cache had counted it down, or it was another."""
    if meant is None:
        return 0
    return next((facet.ttl for facet in subject.facets if (facet.key, facet.value) == (meant.key, meant.value)), meant.ttl)


def flapping(drifts: Sequence[Drift], now: float) -> dict[Key, int]:
    """Facets that changed more than FLAPPING times within a day, and how often. Coming back is a change too."""
    counts = {one.key: sum(now - at < DAY for at in _times(one)) for one in drifts}
    return {key: count for key, count in counts.items() if count > FLAPPING}


def judge(scene: Scene) -> Iterator[CheckResult]:
    subject = scene.subject
    if not subject.baseline:
        why = "nothing to compare with yet: the first complete inspection of a running daemon is kept"
        yield DNS_14.skipped(subject.domain, why + _missing(scene.observation))
        return
    results = [*_findings(scene)]
    yield from results[:MOST_RESULTS]
    if len(results) > MOST_RESULTS:
        yield DNS_14.warned(f"{subject.domain} zone", f"and {len(results) - MOST_RESULTS} more differences")


def _findings(scene: Scene) -> Iterator[CheckResult]:
    subject, observed = scene.subject, scene.observation
    drifts = scene.drifts
    standing = sorted((one for one in drifts if one.stands), key=lambda one: one.gravity is not Gravity.CRITICAL)
    for one in standing:
        yield _result(one, subject)
    for key, count in flapping(drifts, subject.now).items():
        times = f"{count} times{' or more' if count == MOST_TIMES else ''}"
        what = f"changed {times} within a day: two people or tools may be writing it, or its servers disagree"
        about, mend = f"{_about(key)} (flapping)", "find out who writes this record, and compare the answers of all its servers"
        grave = any(one.key == key and one.gravity in (Gravity.CRITICAL, Gravity.ERROR) for one in drifts)
        if grave:  # it breaks delivery each time, and never stands for long
            yield DNS_14.failed(about, what, mend=mend, gravity=Gravity.ERROR)
        else:
            yield DNS_14.warned(about, what, mend=mend)
    for key in observed.unanswered:
        yield DNS_14.unknown(_about(key), f"could not be asked; it was not compared with the {_meant(subject)}")
    if not standing and observed.complete:
        yield DNS_14.passed(subject.domain, f"{len(observed.facets)} records are as {_meant(subject)}")


def _result(one: Drift, subject: Subject) -> CheckResult:
    about = _about(one.key)
    until = datetime.fromtimestamp(one.until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    still = one.state is DriftState.PROPAGATING and one.until > subject.now
    saw = f"{one.what}; caches may hold the old one until {until}" if still else one.what
    approve = f"if it was meant, approve it: mailcanary audit {subject.domain} --approve"
    mend = f"{approve}; if not, {_back(one)}"
    record = one.after[:1000] or "no record"
    match one.gravity:
        case Gravity.CRITICAL | Gravity.ERROR:
            return DNS_14.failed(about, saw, record, mend[:1000], gravity=one.gravity)
        case Gravity.WARNING:
            return DNS_14.warned(about, saw, record, mend[:1000])
        case Gravity.INFO:
            return DNS_14.noted(about, saw, record)


def _back(one: Drift) -> str:
    """In words: the baseline holds what a record means, and nobody can publish that."""
    of = one.name.partition("._domainkey")[0] if one.kind is FacetKind.DKIM else one.name
    what = f"{_RECORDS[one.kind]} of {plain(of)}"
    if not one.before:
        return f"take the {what} out of the zone"
    where = "the signer's file or the zone's history" if one.kind is FacetKind.DKIM else "the zone's history"
    return f"put the former {what} back: from {where}"


def _missing(observed: Observation) -> str:
    names = [_about(key) for key in observed.unanswered]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"; {plain(', '.join(names[:MOST_NAMED]))}{more} could not be asked" if names else ""


def _about(key: Key) -> str:
    kind, name = key
    return name if kind in (FacetKind.DKIM, FacetKind.DMARC) else f"{name} {kind.value.upper()}"


def _meant(subject: Subject) -> str:
    return "zone that was approved" if subject.approved is not None else "zone that was seen first"
