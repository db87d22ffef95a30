"""Ways to tell people of an incident, one module each: ports.Channel."""

from __future__ import annotations

from typing import assert_never

from monitor.edge.channels.alertmanager import Alertmanager
from monitor.edge.channels.apprise import Apprise
from monitor.edge.channels.exchange import TlsSource
from monitor.edge.channels.pagerduty import Pagerduty, PagerdutyChanges
from monitor.edge.channels.slack import Slack
from monitor.edge.channels.webhook import Webhook
from monitor.model.channels import AlertmanagerChannel, AppriseChannel, NotifyPolicy, PagerdutyChannel, SlackChannel, WebhookChannel
from monitor.ports import Annotator, Channel, Clock, Secrets

__all__ = ["Alertmanager", "Apprise", "Pagerduty", "PagerdutyChanges", "Slack", "Webhook", "build", "build_changes"]


def build(policy: NotifyPolicy, secrets: Secrets, tls: TlsSource, clock: Clock) -> dict[str, Channel]:
    """The channels that the policy names. Opens nothing yet."""
    built: dict[str, Channel] = {}
    for name, via in policy.channels.items():
        match via:
            case WebhookChannel():
                built[name] = Webhook(via, secrets, tls, clock)
            case AlertmanagerChannel():
                built[name] = Alertmanager(via, secrets, tls, clock)
            case PagerdutyChannel():
                built[name] = Pagerduty(via, secrets, tls, clock)
            case SlackChannel():
                built[name] = Slack(via, secrets, tls, clock)
            case AppriseChannel():
                built[name] = Apprise(via, secrets)
            case _:
                assert_never(via)
    return built


def build_changes(policy: NotifyPolicy, secrets: Secrets, tls: TlsSource, clock: Clock) -> dict[str, Annotator]:
    """Those of the channels that hear of deploys too."""
    told = {name: via for name, via in policy.channels.items() if isinstance(via, PagerdutyChannel) and via.changes}
    return {name: PagerdutyChanges(via, secrets, tls, clock) for name, via in told.items()}
