"""Who is told of what, and over which channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model.incident import Scope, Severity, as_it_is
from monitor.model.secret import SecretRef
from monitor.model.verdict import Symptom


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """A signed POST (Standard Webhooks)."""

    url: str | SecretRef
    secret: SecretRef | None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    """Prometheus Alertmanager, API v2. `urls`: every member of the cluster is told."""

    urls: tuple[str, ...]
    authorization: SecretRef | None  # the whole header value
    ca_file: str | None = None
    resend_every: float = 60.0  # it forgets what it is not told again


PAGERDUTY = "https://events.pagerduty.com"


@dataclass(frozen=True, slots=True)
class PagerdutyChannel:
    """PagerDuty, Events API v2. `changes`: deploys are sent as change events too."""

    routing_key: SecretRef
    url: str = PAGERDUTY
    ca_file: str | None = None
    changes: bool = False


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """An incoming webhook of Slack, or of what speaks its language; who has the URL may write there."""

    url: SecretRef
    ca_file: str | None = None


MAILING = frozenset({
    "azure", "brevo", "deltachat", "deltachats", "groundmail", "mailersend", "mailgun", "mailto", "mailtos", "o365", "pingram", "postmark",
    "resend", "sendgrid", "sendpulse", "ses", "smtp2go", "sparkpost",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """Any place that the library apprise knows and that is not reached by e-mail (`MAILING`); who has the URL may write there."""

    url: SecretRef


Channel = WebhookChannel | AlertmanagerChannel | PagerdutyChannel | SlackChannel | AppriseChannel


@dataclass(frozen=True, slots=True)
class NotifyRoute:
    """Whose incidents are told to `channels` instead of to pages and tickets. What is empty, or None, leaves nothing out. A scope is
    kind:name, or a kind alone for all of that kind."""

    channels: tuple[str, ...]
    symptoms: tuple[Symptom, ...] = ()
    severity: Severity | None = None
    scopes: tuple[str, ...] = ()

    def takes(self, symptom: Symptom, severity: Severity, scope: Scope) -> bool:
        return (
            (not self.symptoms or as_it_is(symptom, severity) in self.symptoms)
            and self.severity in (None, severity)
            and (not self.scopes or str(scope) in self.scopes or scope.kind.value in self.scopes)
        )


@dataclass(frozen=True, slots=True)
class NotifyPolicy:
    """Who is told of what: the first of `routes` that takes an incident, else `pages` or `tickets`. Names are keys of `channels`."""

    channels: Mapping[str, Channel] = field(default_factory=dict)
    pages: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()  # told too when a channel has not taken a page for fallback_after
    fallback_after: float = 120.0
    give_up_after: float = 86_400.0  # a notice older than this is given up
    public_url: str = ""  # of this daemon, for links; empty: no links
    runbooks_url: str = "docs/runbooks"  # the symptom is appended; without a URL, where the pages stand in the source
    routes: tuple[NotifyRoute, ...] = ()

    def told(self, symptom: Symptom, severity: Severity, scope: Scope) -> tuple[str, ...]:
        """The channels that hear of such an incident first; the fallback is not among them."""
        for route in self.routes:
            if route.takes(symptom, severity, scope):
                return route.channels
        return self.pages if severity is Severity.PAGE else self.tickets
