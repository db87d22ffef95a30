"""Incidents: what broke, for whom, since when, and what is thought of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from monitor.model.instant import Instant
from monitor.model.verdict import Symptom

IncidentId = NewType("IncidentId", str)  # INC-<number>, counted up within one journal
SilenceId = NewType("SilenceId", str)  # SIL-<number>, likewise


class Severity(StrEnum):
    PAGE = "page"  # wakes a person
    TICKET = "ticket"


def as_it_is(symptom: Symptom, severity: Severity) -> Symptom:
    """What it has become: an incident keeps the symptom that it opened with, but mail that is only late wakes nobody, and what pages under
    that name stays away altogether."""
    late_no_more = symptom is Symptom.DELIVERY_LATE and severity is Severity.PAGE
    return Symptom.DELIVERY_MISSING if late_no_more else symptom


class ScopeKind(StrEnum):
    ALL = "all"  # every path
    PATH = "path"
    PROVIDER = "provider"
    MAILBOX = "mailbox"
    DEPLOY = "deploy"  # no route: what a release gate holds
    DOMAIN = "domain"  # no route either: a sending domain
    LEDGER = "ledger"  # nor here: the shop's real refunds and confirmations


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What an incident is about: the smallest description of where it fails when it opens. Never changes afterwards."""

    kind: ScopeKind
    name: str = ""  # of the path, provider, mailbox, deploy or domain; empty for all

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}" if self.name else self.kind.value


EVERYWHERE = Scope(ScopeKind.ALL)
THE_LEDGER = Scope(ScopeKind.LEDGER)


class Phase(StrEnum):
    """What a transition changes. An incident lives from OPENED to RESOLVED; a suspicion may end before that."""

    SUSPECTED = "suspected"  # adverse evidence; confirm probes go out; nobody is told
    CLEARED = "cleared"  # the confirm probes were good
    OPENED = "opened"  # with episode > 1: reopened within the hour
    GROWN = "grown"  # more routes, or more severe
    ACKNOWLEDGED = "acknowledged"
    RECOVERING = "recovering"  # the latest evidence of every affected route is good
    RELAPSED = "relapsed"  # adverse again while recovering: no new page
    SILENCED = "silenced"  # a planned silence begins to cover it, or covers it no longer: nobody is told before `silent_until`
    FLAPPING = "flapping"  # opened and resolved again and again: it stays open, and recovery takes longer
    RESOLVED = "resolved"


class Opening(StrEnum):
    """By which rule an incident was opened."""

    AT_ONCE = "at_once"  # wrong amount or currency, a tripwire trip
    CONFIRMED = "confirmed"  # suspicion, then confirm probes; or two providers in one round
    STALLED = "stalled"  # overdue everywhere on a path, while the control path arrives
    SUSTAINED = "sustained"  # nothing good from one place for a long time
    LOSSY = "lossy"  # single losses, too many of them
    BLIND = "blind"  # we cannot look, or cannot submit
    ITSELF = "itself"  # the monitor's own fault
    HELD = "held"  # a release gate did not pass
    DIFFERENCE = "difference"  # ledger and confirmations differ
    FINDING = "finding"  # two inspections of a domain agree that something is wrong


class Layer(StrEnum):
    """Where the fault is thought to be."""

    APPLICATION = "application"
    RELAY = "relay"
    AUTHENTICATION = "authentication"
    DNS = "dns"
    PROVIDER = "provider"
    MAILBOX = "mailbox"
    MONITOR = "monitor"


class Confidence(StrEnum):
    """How well the evidence tells this layer from the others."""

    HIGH = "high"  # the pattern fits no other layer, or the peer or the zone says so itself
    MEDIUM = "medium"  # it fits best, and something that would tell was not there to be seen
    LOW = "low"  # a guess by what is usual: too few probes, or evidence against it


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The layer, and what shows it, in plain words; `said` is what the peer said, verbatim."""

    layer: Layer
    summary: str  # one line: what broke, as the pattern shows it
    shows: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # in the two hours before: deploys, our configuration, the zone
    next_step: str = ""
    why: str = ""  # what the zone or our own proof of the mail says of it, in a clause that stands in the summary too
    findings: tuple[str, ...] = ()  # of an incident of a domain: the findings told of so far, by their keys; bounded
    confidence: Confidence | None = None  # None: written before there was one
    against: tuple[str, ...] = ()  # what speaks against this layer, or was not there to be seen


class Link(StrEnum):
    """How a deploy stands in time to the beginning of an incident. Never a claim of cause."""

    BRACKETED = "bracketed"  # last good evidence before it, first bad after it, and the control arm was good
    NEAR = "near"  # the incident began at most two hours after it
    NONE = "none"


class DeployPhase(StrEnum):
    START = "start"
    FINISH = "finish"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class DeployCandidate:
    """A deploy marker beside an incident: it began `seconds_after` seconds after the deploy; negative: a start was marked so long after the
    first bad probe was sent, at about the same time."""

    deploy: str
    phase: DeployPhase
    service: str
    version: str
    by: str
    at: Instant
    seconds_after: float
    link: Link
    taken_back: Instant | None = None  # when it was rolled back, where that was after the incident began


@dataclass(frozen=True, slots=True)
class Tally:
    """Of the `sent` probes to one provider on one path since the incident began, `bad` were adverse."""

    path: str
    provider: str
    bad: int
    sent: int
