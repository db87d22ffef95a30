"""DNS-14: the zone against the way it is meant to be. A baseline is learned once and moves only when a person approves; a difference is
propagating while old answers may still live in caches, and stands after that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.inspection import Drift, DriftState, Facet, FacetKind, Subject
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.difference import adds, difference
from monitor.rules.inspect.facets import Observation
from monitor.views.zones import untold

if TYPE_CHECKING:
    from monitor.rules.inspect.scene import Scene

TWICE = 60.0  # seconds between two observations that make a difference certain
DAY = 86_400.0
KEPT = 7 * DAY  # how long a difference that is over is remembered
MOST = 100  # differences of one domain
FLAPPING = 3  # changes of one facet in a day that are still bearable
MOST_RESULTS = 20
LONGEST_TTL = DAY  # longer TTLs are cut by resolvers

DNS_14 = Check(
    CheckId.DNS_14,
    "the zone is as it was approved",
    "Most outages of authentication begin with a change of the zone that nobody meant: a vanished key, a sending address that fell out of "
    "SPF, a weaker policy. Compared with the last known good zone it is noticed within minutes.",
    "own",
    Gravity.CRITICAL,
)
CHECKS = {CheckId.DNS_14: DNS_14}

Key = tuple[FacetKind, str]


def drift(baseline: Sequence[Facet], observed: Observation, subject: Subject, known: Sequence[Drift], now: float) -> tuple[Drift, ...]:
    """All differences: those that stand, and for some days those that are over. What could not be asked leaves its difference as it is."""
    if not baseline:
        return ()
    meant = {facet.key: facet for facet in baseline}
    seen = {facet.key: facet for facet in observed.facets}
    standing = {one.key: one for one in known if one.stands}
    over = [one for one in known if not one.stands and now - one.first_seen <= KEPT]
    made: list[Drift] = []
    for key, one in standing.items():
        found = seen.get(key)
        if found is None or (found.value == one.after and _value(meant, key) != found.value):
            made.append(_aged(one, now))
        else:
            approved = _value(meant, key) == one.after
            over.append(replace(one, state=DriftState.APPROVED if approved else DriftState.REVERTED))
    going_on = {one.key for one in made}
    for key, facet in seen.items():
        if key not in going_on and (fresh := _fresh(meant, facet, subject, now)) is not None:
            made.append(fresh)
    made.sort(key=lambda one: (one.first_seen, one.key))
    over.sort(key=lambda one: (one.first_seen, one.key))
    return (*over[-(MOST // 2) :], *made)[-MOST:]


def _value(meant: Mapping[Key, Facet], key: Key) -> str | None:
    return meant[key].value if key in meant else None


def _aged(one: Drift, now: float) -> Drift:
    certain = now >= one.until and now - one.first_seen >= TWICE
    return replace(one, state=DriftState.STANDING) if certain else one


def _fresh(meant: Mapping[Key, Facet], facet: Facet, subject: Subject, now: float) -> Drift | None:
    before = meant.get(facet.key)
    change = None
    if before is not None:
        change = difference(before, facet, subject)
    elif not untold(tuple(meant.values()), (facet,)):
        change = adds(facet)
    if change is None:
        return None
    gravity, what = change
    ttl = before.ttl if before is not None else 0
    value = before.value if before is not None else ""
    until = now + min(ttl, LONGEST_TTL)
    return Drift(facet.kind, facet.name, value, facet.value, gravity, what, DriftState.PROPAGATING, now, until, ttl)


def lessons(baseline: Sequence[Facet], observed: Observation) -> bool:
    """Does the observation hold facets that the baseline takes over? The first baseline needs a complete one."""
    if not baseline:
        return observed.complete and bool(observed.facets)
    return bool(untold(baseline, observed.facets))


def flapping(drifts: Sequence[Drift], now: float) -> dict[Key, int]:
    """Facets that changed more than FLAPPING times within a day, and how often. Coming back is a change too."""
    counts: dict[Key, int] = {}
    for one in drifts:
        if now - one.first_seen < DAY:
            counts[one.key] = counts.get(one.key, 0) + (2 if one.state is DriftState.REVERTED else 1)
    return {key: count for key, count in counts.items() if count > FLAPPING}


def judge(scene: Scene) -> Iterator[CheckResult]:
    subject = scene.subject
    if not subject.baseline:
        yield DNS_14.skipped(subject.domain, "nothing to compare with yet: the first complete inspection of a running daemon is kept")
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
        what = f"changed {count} times within a day: two people or tools may be writing it, or its servers disagree"
        yield DNS_14.warned(
            f"{_about(key)} (flapping)", what, mend="find out who writes this record, and compare the answers of all its servers"
        )
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
    mend = f"{approve}; if not, publish again what was there: {one.before or 'nothing'}"
    record = one.after[:1000] or "no record"
    match one.gravity:
        case Gravity.CRITICAL | Gravity.ERROR:
            return DNS_14.failed(about, saw, record, mend[:1000], gravity=one.gravity)
        case Gravity.WARNING:
            return DNS_14.warned(about, saw, record, mend[:1000])
        case Gravity.INFO:
            return DNS_14.noted(about, saw, record)


def _about(key: Key) -> str:
    kind, name = key
    return name if kind in (FacetKind.DKIM, FacetKind.DMARC) else f"{name} {kind.value.upper()}"


def _meant(subject: Subject) -> str:
    return "zone that was approved" if subject.approved is not None else "zone that was seen first"
