"""Which deploys stand beside the beginning of an incident. They are graded by time alone: a claim of cause is nobody's to make here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployCandidate, DeployPhase, Link
from monitor.model.instant import Instant
from monitor.rules.words import lapse

NEAR = 7_200.0  # seconds: an incident that begins later than this after a deploy has nothing to do with it at first sight
MOST = 5

DID = {DeployPhase.START: "started", DeployPhase.FINISH: "finished", DeployPhase.ROLLBACK: "was rolled back"}


def candidates(
    deploys: Sequence[DeployMarked], began: Instant, last_good: Instant | None, control_good: bool
) -> tuple[DeployCandidate, ...]:
    """The deploys before `began`, the best first, at most MOST; none when there is nothing near.

    Bracketed: the last good evidence is older than the deploy, the first bad one is younger, and the control arm was good meanwhile.
    Near: the incident began at most NEAR seconds after it. A deploy counts from its end; one that was still running counts from its start.
    """
    named: dict[str, set[str]] = {}
    for marker in deploys:
        named.setdefault(marker.deploy, set()).update({marker.service} - {""})
    found: dict[tuple[str, str, bool], DeployMarked] = {}
    for marker in deploys:
        if began.seconds_since(marker.at) < 0:
            continue
        services = named[marker.deploy]
        service = marker.service or (next(iter(services)) if len(services) == 1 else "")  # a pipeline need not say twice what it deploys
        key = (service, marker.deploy, marker.phase is DeployPhase.ROLLBACK)
        known = found.get(key, marker)
        newer, older = (marker, known) if marker.at.seconds_since(known.at) >= 0 else (known, marker)
        found[key] = replace(newer, service=service, version=newer.version or older.version, by=newer.by or older.by)
    undone = {m.deploy: m.at for m in deploys if m.phase is DeployPhase.ROLLBACK and began.seconds_since(m.at) < 0}
    graded = [replace(_graded(marker, began, last_good, control_good), taken_back=undone.get(marker.deploy)) for marker in found.values()]
    linked = [candidate for candidate in graded if candidate.link is not Link.NONE]
    return tuple(sorted(linked, key=lambda c: (c.link is not Link.BRACKETED, c.seconds_after, c.deploy))[:MOST])


def worded(candidate: DeployCandidate) -> str:
    """One deploy in plain words: what it was, when, and how long after it the incident began."""
    name = " ".join(part for part in (candidate.service, candidate.version or candidate.deploy) if part)
    by = f" by {candidate.by}" if candidate.by else ""
    running = ", still running" if candidate.phase is DeployPhase.START else ""
    if candidate.taken_back is not None:
        running = f", rolled back {candidate.taken_back.when.strftime('%H:%M:%SZ')}"
    when = candidate.at.when.strftime("%H:%M:%SZ")
    return f"{name}{by} {DID[candidate.phase]} {when}{running}; began {lapse(candidate.seconds_after)} after ({candidate.link.value})"


def _graded(marker: DeployMarked, began: Instant, last_good: Instant | None, control_good: bool) -> DeployCandidate:
    after = began.seconds_since(marker.at)
    bracketed = control_good and last_good is not None and marker.at.seconds_since(last_good) >= 0
    link = Link.BRACKETED if bracketed else Link.NEAR if after <= NEAR else Link.NONE
    return DeployCandidate(marker.deploy, marker.phase, marker.service, marker.version, marker.by, marker.at, after, link)
