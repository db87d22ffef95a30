"""The sections `incidents:`, `notify:` and `heartbeat:` of the file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from monitor.model.channels import PAGERDUTY
from monitor.model.incident import Severity
from monitor.model.verdict import Symptom
from monitor.settings.addresses import PublicUrl, UrlOrSecret, WebUrl
from monitor.settings.scalars import Choice, Flag, Hidden, Name, Span, Text, Whole
from monitor.settings.section import Section, optional, required

MemberUrl = Annotated[str, WebUrl("write authorization: {env: NAME}, a secret with the whole header")]
EventsUrl = Annotated[str, WebUrl("remove it: routing_key is all that PagerDuty asks for")]
Length = Annotated[float, Span("100ms", "30d")]


class IncidentsShape(Section):
    """When evidence becomes an incident, and when it is over."""

    recover_after: Annotated[float, Span("0s", "7d")] = optional("Every affected route must have been good for so long.", "10m")
    recover_passes: Annotated[int, Whole(1, 100)] = optional("And so many probes of each must have passed in a row.", 3)
    sustained_after: Length = optional("Nothing good from one provider or mailbox for so long: an incident.", "15m")
    blind_after: Length = optional("A mailbox or path that we cannot use for so long: an incident.", "15m")
    reopen_within: Annotated[float, Span("0s", "7d")] = optional("The same again so soon after it was resolved: the same incident.", "1h")


class WebhookShape(Section):
    """A POST with JSON, signed as Standard Webhooks asks."""

    kind: Literal["webhook"] = required("webhook: a signed POST.", "webhook")
    url: UrlOrSecret = required("Where to: text, or a secret when the path is one.", "https://hooks.example.com/mailcanary")
    secret: Hidden | None = optional("Signs the request; base64 after whsec_, or text. Default: not signed.")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")


class AlertmanagerShape(Section):
    """Prometheus Alertmanager, API v2."""

    kind: Literal["alertmanager"] = required("alertmanager: Prometheus Alertmanager.", "alertmanager")
    urls: tuple[MemberUrl, ...] = required("Base URL of every member of the cluster; each is told.", "[http://alertmanager:9093]", 1)
    authorization: Hidden | None = optional("The whole value of the Authorization header: Bearer ..., Basic ....")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
    resend_every: Annotated[float, Span("1s", "1h")] = optional("It forgets what it is not told again.", "60s")


class PagerdutyShape(Section):
    """PagerDuty, Events API v2."""

    kind: Literal["pagerduty"] = required("pagerduty: alerts of PagerDuty.", "pagerduty")
    routing_key: Hidden = required("Integration key of an Events API v2 integration, 32 characters.", "{env: PAGERDUTY_KEY}")
    url: EventsUrl = optional("In the EU: https://events.eu.pagerduty.com.", PAGERDUTY)
    changes: Flag = optional("Deploys are shown there as change events; they notify nobody.", False)
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")


class SlackShape(Section):
    """An incoming webhook of Slack, or of what speaks its language."""

    kind: Literal["slack"] = required("slack: an incoming webhook.", "slack")
    url: Hidden = required("The URL of the webhook: who has it may write there.", "{env: SLACK_URL}")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")


class AppriseShape(Section):
    """Any place that apprise knows: Teams, ntfy, Telegram and a hundred others; never e-mail."""

    kind: Literal["apprise"] = required("apprise: a place that the library apprise knows (extra `apprise`).", "apprise")
    url: Hidden = required("One URL as apprise reads it: who has it may write there.", "{env: TEAMS_URL}")


ChannelShape = Annotated[WebhookShape | AlertmanagerShape | PagerdutyShape | SlackShape | AppriseShape, Field(discriminator="kind")]


class NotifyRouteShape(Section):
    """Other channels for some incidents. What is left out leaves nothing out."""

    symptoms: tuple[Annotated[Symptom, Choice(Symptom)], ...] = optional("Only these. Default: all.", ())
    severity: Annotated[Severity, Choice(Severity)] | None = optional("page or ticket. Default: both.")
    scopes: tuple[Text, ...] = optional("Only these: kind:name, or a kind for all of it. Default: all.", ())
    channels: tuple[Name, ...] = required("Who is told instead of pages or tickets; an empty list: nobody.", "[oncall]")


class NotifyShape(Section):
    """Who is told of what, by channels that are not e-mail."""

    channels: dict[Name, ChannelShape] = optional(
        "Ways to tell people, by name: webhook, alertmanager, pagerduty, slack or apprise. Default: none.", {}
    )
    routes: tuple[NotifyRouteShape, ...] = optional("Who is told of what, first match; what matches none goes to pages or tickets.", ())
    pages: tuple[Name, ...] | None = optional("Channels that wake a person. Default: all that are not in fallback.")
    tickets: tuple[Name, ...] | None = optional("Channels for what can wait. Default: all that are not in fallback.")
    fallback: tuple[Name, ...] = optional("Channels that are told of a page too when another has not taken it for fallback_after.", ())
    fallback_after: Length = optional("How long a page may wait for its channel before the fallback is told.", "2m")
    give_up_after: Length = optional("A notification older than this is given up.", "1d")
    public_url: PublicUrl | None = optional("Where people reach this daemon, for links. Default: no links.")
    runbooks_url: PublicUrl | None = optional("Where the runbooks are, the symptom is appended. Default: docs/runbooks, as in the source.")


class HeartbeatShape(Section):
    """A dead-man switch outside: somebody who notices when we fall silent."""

    url: UrlOrSecret = required(
        "Asked after each complete cycle, with /fail appended when one failed: text, or a secret.", "https://heartbeat.example.com/canary-1"
    )
    every: Annotated[float, Span("100ms", "1d")] = optional("Between two beats.", "1m")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
