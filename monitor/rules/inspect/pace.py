"""When a domain is inspected next, and why: on schedule, soon after something happened, and never more often than its resolvers bear."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.checks import Gravity, Status
from monitor.model.facts import Baselined, DeployMarked, InspectionAsked, Judged, MailProved, ZoneObserved
from monitor.model.inspection import Cause
from monitor.model.instant import Instant
from monitor.model.mail import AuthResult
from monitor.model.policy import Policy
from monitor.model.verdict import Reason
from monitor.rules.inspect.subject import domain_of, domains_of_path
from monitor.views.zones import CONFIRM_AFTER, DomainState, Zones, finding_key

LEAST_BETWEEN = 30.0  # seconds between two inspections of a domain, whatever happens
START_AFTER = 5.0  # seconds after the start: probes go first
APART = 1.0  # seconds between the first inspections of two domains, at most
BLIND_AGAIN = 60.0  # seconds after an inspection that saw nothing; doubles up to the schedule
JITTER = 0.1  # share of the schedule


@dataclass(frozen=True, slots=True)
class Turn:
    """The next inspection of a domain."""

    at: Instant
    cause: Cause


def first(index: int, of: int, every: float, now: Instant) -> Turn:
    """After a start, one domain after another."""
    return Turn(now.plus(START_AFTER + index * min(APART, every / max(1, of))), Cause.START)


def sooner(turn: Turn | None, cause: Cause, latest: Instant | None, now: Instant) -> Turn:
    """Something happened: the inspection comes now, or as soon as it may. Causes that meet are one inspection, for the first of them."""
    at = now
    if latest is not None and now.seconds_since(latest) < LEAST_BETWEEN:
        at = latest.plus(LEAST_BETWEEN)
    if turn is not None and at.seconds_since(turn.at) >= 0 and turn.cause is not Cause.SCHEDULE:
        return turn
    return Turn(at, cause)


def following(observed: ZoneObserved, before: DomainState | None, blinded: int, every: float, draw: float) -> Turn:
    """After an inspection, which `observed` spells out. `before`: the domain as it was; `blinded`: inspections in a row that saw nothing,
    with this one; `draw` from -1 to 1."""
    if observed.blind:
        return Turn(observed.at.plus(min(every, BLIND_AGAIN * 2.0 ** min(max(0, blinded - 1), 20))), Cause.SCHEDULE)
    if unsettled(observed, before):
        return Turn(observed.at.plus(min(every, CONFIRM_AFTER + 1.0)), Cause.CONFIRM)
    return Turn(observed.at.plus(every * (1.0 + JITTER * draw)), Cause.SCHEDULE)


def unsettled(observed: ZoneObserved, before: DomainState | None) -> bool:
    """It shows a grave finding or a grave change that a second look has to confirm, or the end of one."""
    known = before.findings if before is not None else {}
    grave = {finding_key(result) for result in observed.results if result.is_bad and _grave(result.gravity)}
    fresh = [key for key in grave if key not in known or known[key].result.status is Status.UNKNOWN]
    unconfirmed = [key for key in grave if key in known and known[key].confirmed is None and not _certain(known[key].since, observed.at)]
    gone = [
        key for key, state in known.items() if state.confirmed and state.result.is_bad and _grave(state.result.gravity) and key not in grave
    ]
    drifted = [one for one in observed.drifts if one.stands and _grave(one.gravity) and observed.at.utc - one.first_seen < CONFIRM_AFTER]
    return bool(fresh or unconfirmed or gone or drifted)


def _grave(gravity: Gravity) -> bool:
    return gravity in (Gravity.CRITICAL, Gravity.ERROR)


def _certain(since: Instant, now: Instant) -> bool:
    return now.seconds_since(since) >= CONFIRM_AFTER


def woken(fact: object, policy: Policy, zones: Zones) -> tuple[Cause, tuple[str, ...]] | None:
    """The domains that a fact lets us inspect at once; None: it concerns no zone."""
    match fact:
        case DeployMarked():
            return Cause.DEPLOY, tuple(policy.inspect.domains)
        case InspectionAsked(domain=domain) | Baselined(domain=domain) if domain in policy.inspect.domains:
            return Cause.ASKED, (domain,)
        case Judged(reason=Reason.UNAUTHENTICATED, route=route):
            path = policy.paths.get(route.path)
            return (Cause.AUTHENTICATION, domains_of_path(path, policy)) if path is not None else None
        case MailProved(proof=proof, route=route) if proof.dmarc.result is AuthResult.FAIL:
            _, delivered = zones.delivered.get(str(route), (0, None))
            authors = delivered.mail.author_domains if delivered is not None else ()
            return Cause.AUTHENTICATION, tuple(filter(None, (domain_of(author, policy) for author in authors)))
        case _:
            return None
