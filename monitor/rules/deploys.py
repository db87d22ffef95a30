"""Which deploys stand beside the beginning of an incident. They are graded by time alone: a claim of cause is nobody's to make here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployCandidate, DeployPhase, Link
from monitor.model.instant import Instant
from monitor.rules.words import lapse

NEAR = 7_200.0  # seconds: an incident that begins later than this after a deploy has nothing to do with it at first sight
TOGETHER = 5.0  # seconds: a person or a pipeline marks a start a moment before or after the thing itself
SLOWEST = 60.0  # seconds: what was put off for longer than this was bad before it was taken
MOST = 5

DID = {DeployPhase.START: "started", DeployPhase.FINISH: "finished", DeployPhase.ROLLBACK: "was rolled back"}


def candidates(
    deploys: Sequence[DeployMarked], began: Instant, last_good: Instant | None, control_good: bool, accepted: Instant | None = None
) -> tuple[DeployCandidate, ...]:
    """The deploys beside `began`, the best first, at most MOST; none when there is nothing near.

    Bracketed: the last good evidence is older than the deploy, the first bad one is younger, and the control arm was good meanwhile.
    Near: the incident began at most NEAR seconds after it. A deploy counts from its end; one that was still running counts from its start.
    `accepted`: when the first bad probe was, where it was; of a start that is marked after `began` it decides what is younger.
    """
    named: dict[str, set[str]] = {}
    for marker in deploys:
        named.setdefault(marker.deploy, set()).update({marker.service} - {""})
    found: dict[tuple[str, str, bool], DeployMarked] = {}
    for marker in deploys:
        if not stands_beside(marker, began, accepted):
            continue
        services = named[marker.deploy]
        service = marker.service or (next(iter(services)) if len(services) == 1 else "")  # a pipeline need not say twice what it deploys
        key = (service, marker.deploy, marker.phase is DeployPhase.ROLLBACK)
        known = found.get(key, marker)
        newer, older = (marker, known) if marker.at.seconds_since(known.at) >= 0 else (known, marker)
        found[key] = replace(newer, service=service, version=newer.version or older.version, by=newer.by or older.by)
    linked: list[DeployCandidate] = []
    for marker in found.values():
        candidate, undone = _graded(marker, began, last_good, control_good, accepted), rolled_back(marker, deploys)
        is_over = undone is not None and began.seconds_since(undone) >= 0
        if candidate.link is Link.NONE or (is_over and marker.phase is DeployPhase.START):  # the rollback stands there itself
            continue
        linked.append(candidate if is_over else replace(candidate, taken_back=undone))
    return tuple(sorted(linked, key=lambda c: (c.link is not Link.BRACKETED, abs(c.seconds_after), c.deploy))[:MOST])


def stands_beside(marker: DeployMarked, began: Instant, accepted: Instant | None = None) -> bool:
    """It was marked before `began`; a start also at about the same time, or while the first bad probe was on its way to the peer."""
    late = -began.seconds_since(marker.at)
    if late <= 0:
        return True
    on_its_way = accepted.seconds_since(began) if accepted is not None else 0.0
    return marker.phase is DeployPhase.START and late <= max(TOGETHER, min(SLOWEST, on_its_way))


def rolled_back(deploy: DeployMarked | DeployCandidate, deploys: Sequence[DeployMarked]) -> Instant | None:
    """When it was, after this marker; of a rollback itself never."""
    if deploy.phase is DeployPhase.ROLLBACK:
        return None
    return _next(deploy, DeployPhase.ROLLBACK, deploys)


def worded(candidate: DeployCandidate, deploys: Sequence[DeployMarked] = ()) -> str:
    """One deploy in plain words: what it was, when, and how long after it the incident began. `deploys`: what was marked until now, for one
    that was found a while ago."""
    name = " ".join(part for part in (candidate.service, candidate.version or candidate.deploy) if part)
    by = f" by {candidate.by}" if candidate.by else ""
    running = ""
    if candidate.phase is DeployPhase.START:
        ended = _next(candidate, DeployPhase.FINISH, deploys)
        running = f", finished {_clock(ended)}" if ended is not None else ", still running"
    if (undone := candidate.taken_back or rolled_back(candidate, deploys)) is not None:
        running = f", rolled back {_clock(undone)}"
    after = began_after(candidate.seconds_after, "it" if candidate.seconds_after < 0 else "")
    return f"{name}{by} {DID[candidate.phase]} {_clock(candidate.at)}{running}; {after} ({candidate.link.value})"


def began_after(seconds: float, deploy: str) -> str:
    """began 42.0 s after checkout v512."""
    return f"began {'at about the same time as' if seconds < 0 else f'{lapse(seconds)} after'} {deploy}".rstrip()


def _next(deploy: DeployMarked | DeployCandidate, phase: DeployPhase, deploys: Sequence[DeployMarked]) -> Instant | None:
    """When the same deploy, of the same service as far as both say which, was first marked so after it."""
    after = [
        marker.at
        for marker in deploys
        if marker.phase is phase
        and marker.deploy == deploy.deploy
        and (not marker.service or not deploy.service or marker.service == deploy.service)
        and marker.at.seconds_since(deploy.at) >= 0
    ]
    return min(after, key=lambda at: at.utc, default=None)


def _clock(at: Instant) -> str:
    return at.when.strftime("%H:%M:%SZ")


def _graded(
    marker: DeployMarked, began: Instant, last_good: Instant | None, control_good: bool, accepted: Instant | None
) -> DeployCandidate:
    after = began.seconds_since(marker.at)
    is_older = after >= 0 or (accepted is not None and accepted.seconds_since(marker.at) >= 0)  # than the first bad evidence
    bracketed = is_older and control_good and last_good is not None and marker.at.seconds_since(last_good) >= 0
    link = Link.BRACKETED if bracketed else Link.NEAR if after <= NEAR else Link.NONE
    return DeployCandidate(marker.deploy, marker.phase, marker.service, marker.version, marker.by, marker.at, after, link)
