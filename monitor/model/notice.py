"""What a channel is asked to tell, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.model.incident import IncidentId, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom


class Call(StrEnum):
    """What a notice asks of its channel."""

    FIRE = "fire"  # the incident is open; told again with the same dedup key when it grows
    RESOLVE = "resolve"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification, rendered. `key` is the same for every retry (idempotency key); `dedup_key` for the life of an incident."""

    key: str
    dedup_key: str  # mailcanary/<environment>/<symptom>/<scope>, at most 255 characters
    call: Call
    incident: IncidentId
    episode: int
    severity: Severity
    symptom: Symptom
    scope: str
    environment: str
    title: str  # one line
    text: str  # title and body together at most 1,024 characters; ends with the runbook
    began: Instant  # first bad evidence
    ended: Instant | None = None  # resolved
    incident_url: str = ""
    runbook_url: str = ""
    again: bool = False  # still open after a silence: it has to be heard, though it may have been told before
    lines: tuple[tuple[str, str], ...] = ()  # what the text says, as (name, words) without the padding: for channels that lay it out


@dataclass(frozen=True, slots=True)
class Told:
    """The channel took it; `receipt` is what it answered, shortened."""

    receipt: str


@dataclass(frozen=True, slots=True)
class NotTold:
    """It did not. Transient: worth another try, after `retry_after` seconds if the peer named a time."""

    detail: str  # no secret, no URL with a secret
    transient: bool
    mend: str = ""
    retry_after: float | None = None


Telling = Told | NotTold
