"""An incident as the stages would have written it, fact by fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from monitor.model.channels import NotifyPolicy, WebhookChannel
from monitor.model.facts import DeployMarked, Notified, NotifyFailed, Transition
from monitor.model.incident import (
    DeployCandidate,
    DeployPhase,
    Diagnosis,
    IncidentId,
    Layer,
    Link,
    Opening,
    Phase,
    Scope,
    ScopeKind,
    Severity,
    Tally,
)
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom

INC = IncidentId("INC-1")
PATH = Scope(ScopeKind.PATH, "relay")
DIAGNOSIS = Diagnosis(
    Layer.APPLICATION,
    "the app path fails at every provider, the bare path does not",
    shows=("app fails: gmail 6/8, outlook 2/2", "bare-smtp arrives: 10/10"),
    said=("250 2.0.0 Ok: queued as 4XyZ",),
    changed=("deploy 512 of checkout-api",),
    next_step="roll back checkout-api v512",
)
HOSTILE = "no\n[bold]all is well[/]\r\x1b[2J\x9b31m\u2028\u202e <seed+tag@box.test> RF-87654321"
PAGER = WebhookChannel("https://pager.test/", None)


def with_channels(policy: Policy, pages: Sequence[str] = ("pager",), tickets: Sequence[str] = ("chat",)) -> Policy:
    names = dict.fromkeys((*pages, *tickets), PAGER)
    return replace(policy, notify=NotifyPolicy(channels=names, pages=tuple(pages), tickets=tuple(tickets)))


def transition(at: Instant, phase: Phase, incident: IncidentId = INC, **more: Any) -> Transition:
    fields: dict[str, Any] = {
        "symptom": Symptom.DELIVERY_STALLED,
        "scope": PATH,
        "severity": Severity.PAGE,
        "episode": 0 if phase in (Phase.SUSPECTED, Phase.CLEARED) else 1,
        "since": at.plus(-100.0),
        "routes": ("relay/seed-1", "relay/seed-2"),
    }
    return Transition(at, incident, phase, **(fields | more))


def suspected(at: Instant, incident: IncidentId = INC, **more: Any) -> Transition:
    return transition(at, Phase.SUSPECTED, incident, **more)


def opened(at: Instant, incident: IncidentId = INC, **more: Any) -> Transition:
    """With all that an opening can say."""
    began = at.plus(-100.0)
    candidate = DeployCandidate(
        "d-1", DeployPhase.FINISH, "checkout-api", "v512", "ana", began.plus(-221.0), 221.0, Link.BRACKETED
    )  # fmt: skip
    whole: dict[str, Any] = {
        "opening": Opening.STALLED,
        "last_good": began.plus(-240.0),
        "tallies": (Tally("relay", "gmail", 6, 8), Tally("relay", "outlook", 2, 2)),
        "evidence": (3, 5),
        "diagnosis": DIAGNOSIS,
        "deploys": (candidate,),
    }
    return transition(at, Phase.OPENED, incident, **(whole | more))


def resolved(at: Instant, incident: IncidentId = INC, **more: Any) -> Transition:
    return transition(at, Phase.RESOLVED, incident, **more)


def notified(at: Instant, about: int, channel: str = "pager", incident: IncidentId = INC) -> Notified:
    return Notified(at, incident, channel, about, 1, "202")


def failed(at: Instant, about: int, channel: str = "pager", retry_in: float | None = 10.0, incident: IncidentId = INC) -> NotifyFailed:
    return NotifyFailed(at, incident, channel, about, 2, "503 from pager.test", "is it up?", retry_in)


def deployed(at: Instant, deploy: str = "d-1", phase: DeployPhase = DeployPhase.FINISH, **more: str) -> DeployMarked:
    return DeployMarked(at, deploy, phase, **more)
