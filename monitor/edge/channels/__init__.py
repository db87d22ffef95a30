"""Ways to tell people of an incident, one module each: ports.Channel."""

from __future__ import annotations

from typing import assert_never

from monitor.edge.channels.alertmanager import Alertmanager
from monitor.edge.channels.exchange import TlsSource
from monitor.edge.channels.webhook import Webhook
from monitor.model.policy import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.ports import Channel, Clock, Secrets

__all__ = ["Alertmanager", "Webhook", "build"]


def build(policy: NotifyPolicy, secrets: Secrets, tls: TlsSource, clock: Clock) -> dict[str, Channel]:
    """The channels that the policy names. Opens nothing yet."""
    built: dict[str, Channel] = {}
    for name, via in policy.channels.items():
        match via:
            case WebhookChannel():
                built[name] = Webhook(via, secrets, tls, clock)
            case AlertmanagerChannel():
                built[name] = Alertmanager(via, secrets, tls, clock)
            case _:
                assert_never(via)
    return built
