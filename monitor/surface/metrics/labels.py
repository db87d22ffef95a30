"""The label `route`, whose values the configuration bounds."""

from __future__ import annotations

from monitor.model.policy import Policy
from monitor.model.probe import Route

MANY_ROUTES = 50  # above this the label is path x provider


def route_label(policy: Policy, route: Route) -> str:
    """path/mailbox; with more than 50 routes path/provider, so that the series stay bounded."""
    if len(policy.routes) <= MANY_ROUTES:
        return str(route)
    box = policy.mailboxes.get(route.mailbox)
    return f"{route.path}/{box.provider if box else 'removed'}"
