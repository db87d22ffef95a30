"""Open incidents, and what on-call is still to be told, as gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from monitor.model.channels import NotifyPolicy
from monitor.model.incident import Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules.notify import owed, untold
from monitor.views.incidents import Incidents
from monitor.views.outbox import Outbox


def incident_gauges(environment: str, incidents: Incidents, now: Instant) -> Iterable[Metric]:
    labels = ("environment", "symptom")
    found = GaugeMetricFamily("mailcanary_incidents_open", "Incidents that are open.", labels=labels)
    loud = GaugeMetricFamily(
        "mailcanary_incidents_open_pages", "Of the open incidents those that are pages; the others are tickets.", labels=labels
    )
    states = incidents.open()
    count = Counter(state.last.symptom for state in states)
    pages = Counter(state.last.symptom for state in states if state.last.severity is Severity.PAGE)
    for symptom in Symptom:
        found.add_metric((environment, symptom.value), count[symptom])
        loud.add_metric((environment, symptom.value), pages[symptom])
    quiet = GaugeMetricFamily(
        "mailcanary_silences_active", "Planned silences that are in force; begun, and not over.", labels=("environment",)
    )
    quiet.add_metric((environment,), sum(silence.is_active(now.utc) for silence in incidents.silences.values()))
    return (found, loud, quiet)


def notice_gauges(policy: NotifyPolicy, outbox: Outbox, now: Instant) -> Iterable[Metric]:
    success = GaugeMetricFamily(
        "mailcanary_notification_last_success_timestamp_seconds", "When the channel last took a notice; 0: never.", labels=("channel",)
    )
    for name in policy.channels:
        state = outbox.channels.get(name)
        success.add_metric((name,), state.last_success.utc if state and state.last_success else 0)
    waiting = owed(outbox, policy, now)
    return (
        success,
        GaugeMetricFamily(
            "mailcanary_notification_untold_pages",
            "Open pages that no channel has taken; silenced ones, parts, and those that a person has in hand apart.",
            value=untold(outbox, policy, now),
        ),
        GaugeMetricFamily(
            "mailcanary_notification_outbox_pending", "Transitions that a channel is still to be told of.", value=len(waiting)
        ),
        GaugeMetricFamily(
            "mailcanary_notification_oldest_pending_timestamp_seconds",
            "Since when the oldest of them could have been told; 0: nothing waits.",
            value=min((item.due.utc for item in waiting), default=0),
        ),
    )
