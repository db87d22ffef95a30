"""Text for a public status page, in the words of Statuspage, for a person to read, to correct and to publish. Nothing in it is a name of
ours, of a peer or of a deploy: customers read it. That refunds themselves are well is not ours to say, so a person is asked."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from monitor.model.incident import Confidence, ScopeKind, Severity
from monitor.model.verdict import Symptom

Document = Mapping[str, Any]
WIDE = 0.9  # of the probes since it began bad: nearly nobody gets the mail
ASKED = "[Are refunds themselves affected? To be said by a person.]"


class ComponentStatus(StrEnum):
    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    PARTIAL = "partial_outage"
    MAJOR = "major_outage"


_NEVER_ARRIVE = frozenset(
    {Symptom.DELIVERY_MISSING, Symptom.DELIVERY_STALLED, Symptom.BOUNCED, Symptom.SMTP_REJECT, Symptom.MISROUTED, Symptom.LEDGER_MISSING}
)
_WIDEST = frozenset({ScopeKind.ALL, ScopeKind.PATH})
_WRONG = frozenset({Symptom.CONTENT_WRONG, Symptom.STRAY, Symptom.LEDGER_SPURIOUS, Symptom.LEDGER_MISMATCHED})

FELT: dict[Symptom, str] = {
    Symptom.DELIVERY_MISSING: "Some refund confirmation emails do not arrive.",
    Symptom.DELIVERY_STALLED: "Refund confirmation emails are delayed and may not arrive.",
    Symptom.DELIVERY_LATE: "Refund confirmation emails arrive later than usual.",
    Symptom.MISROUTED: "Some refund confirmation emails do not reach the customers that they are meant for.",
    Symptom.BOUNCED: "Some refund confirmation emails are returned by the recipients' mail providers and do not arrive.",
    Symptom.SPAM_PLACEMENT: "Some refund confirmation emails are put into the spam folder.",
    Symptom.MISFILED: "Some refund confirmation emails are put into a folder other than the inbox.",
    Symptom.SMTP_REJECT: "Refund confirmation emails cannot be sent at the moment.",
    Symptom.CONTENT_WRONG: "Some refund confirmation emails show wrong details, such as the amount.",
    Symptom.DUPLICATE: "Some customers receive a refund confirmation email more than once.",
    Symptom.AUTH: "Some refund confirmation emails may be treated as suspicious by mail providers.",
    Symptom.STRAY: "Some people may have received a refund confirmation email that was not meant for them.",
    Symptom.AUTH_SPF: "Some refund confirmation emails may be treated as suspicious by mail providers.",
    Symptom.AUTH_DKIM: "Some refund confirmation emails may be treated as suspicious by mail providers.",
    Symptom.AUTH_DMARC: "Some refund confirmation emails may be treated as suspicious by mail providers.",
    Symptom.LEDGER_MISSING: "Some customers have not received the confirmation email of their refund.",
    Symptom.LEDGER_SPURIOUS: "Some people may have received a refund confirmation email without a refund.",
    Symptom.LEDGER_MISMATCHED: "Some refund confirmation emails show details that do not match the refund.",
    Symptom.LEDGER_DUPLICATE: "Some customers receive a refund confirmation email more than once.",
}  # of all others customers notice nothing


def status_page(story: Document, symptom: Symptom, severity: Severity, scope: ScopeKind) -> dict[str, object] | None:
    """One update for each phase that was reached, the oldest first. None: customers notice nothing of it; nothing is to be published."""
    felt = FELT.get(symptom)
    if felt is None:
        return None
    worst = component(symptom, severity, scope, story["tallies"])
    updates = [_update("investigating", story["opened_at"], worst, f"{felt} We are investigating. {ASKED}")]
    diagnosis, acknowledged, better = story["diagnosis"], story["acknowledged"], _recovered_at(story)
    over = better or story["resolved_at"]
    in_time = acknowledged and (not over or acknowledged["at"] <= over)
    if diagnosis and in_time and diagnosis.get("confidence") != Confidence.LOW.value:
        text = f"We know where the problem is and are working on it. {felt} {ASKED}"
        updates.append(_update("identified", acknowledged["at"], worst, text))
    if better is not None:
        text = "Refund confirmation emails are back to normal in our checks. We keep watching before we close this."
        updates.append(_update("monitoring", better, ComponentStatus.OPERATIONAL, text))
    if story["resolved_at"]:
        text = "This is resolved. [What should customers do whose email did not arrive, or was wrong? To be said by a person.]"
        updates.append(_update("resolved", story["resolved_at"], ComponentStatus.OPERATIONAL, text))
    return {"component": "Refund confirmation emails", "worst": worst.value, "title": felt.rstrip("."), "updates": updates}


def component(symptom: Symptom, severity: Severity, scope: ScopeKind, tallies: list[Document]) -> ComponentStatus:
    """How bad it was for customers, as far as probes show it; an outage only where mail did not arrive or was wrong, and of one mailbox or
    provider never a major one: its tallies say nothing of the others."""
    if severity is Severity.TICKET:
        return ComponentStatus.DEGRADED
    bad, sent = (sum(row[key] for row in tallies) for key in ("bad", "sent"))
    if scope in _WIDEST and symptom in _NEVER_ARRIVE and sent and bad / sent >= WIDE:
        return ComponentStatus.MAJOR
    return ComponentStatus.PARTIAL if symptom in _NEVER_ARRIVE | _WRONG else ComponentStatus.DEGRADED


def _recovered_at(story: Document) -> str | None:
    """The latest recovery that still holds; one that a relapse ended is none."""
    found: str | None = None
    for step in story["steps"]:
        if step["what"] == "recovering":
            found = step["at"]
        elif step["what"] in ("relapsed", "opened"):
            found = None
    return found


def _update(status: str, at: str, worst: ComponentStatus, text: str) -> dict[str, object]:
    return {"status": status, "at": at, "component_status": worst.value, "text": text}
