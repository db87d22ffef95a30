"""What is, as gauges: computed from the views and the policy in force when scraped."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor import __version__
from monitor.model.instant import Instant
from monitor.model.ledger import SourceStanding
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.rules.plain import plain
from monitor.surface.deploys import latest
from monitor.surface.metrics.gates import gate_gauges
from monitor.surface.metrics.labels import route_label
from monitor.surface.metrics.ledger import ledger_gauges, source_gauges
from monitor.surface.metrics.oncall import incident_gauges, notice_gauges
from monitor.surface.metrics.zones import zone_gauges
from monitor.views.world import World

END_OF_TIME = Instant(math.inf, 0.0, "")  # whoever does not say when it is, is shown what is silenced too
MAX_LABEL = 100  # characters of a version or commit that a pipeline named


@dataclass(slots=True)
class Vitals:
    """What the daemon knows of itself beside the facts; written by app, read here."""

    journal_writable: bool = True
    journal_bytes: int = 0
    loop_lag: float = 0.0
    day: str = ""  # the UTC day that the budget is counted by
    reload_ok: bool = True
    reloaded_at: float = 0.0
    heartbeat_at: float = 0.0  # when the dead-man switch outside last took a beat; 0: never


class Gauges(Collector):
    """`policy` is replaced at a reload: gauges follow the configuration. `now`: the instant of this scrape, where it is known."""

    def __init__(self, policy: Policy, world: World, vitals: Vitals) -> None:
        self.policy = policy
        self.now: Instant | None = None
        self.sources: Sequence[SourceStanding] | None = None  # of the ledger, as its store had them last
        self._world = world
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        yield from self._routes()
        yield from self._mailboxes()
        yield from incident_gauges(self.policy.environment, self._world.incidents, self.now or END_OF_TIME)
        yield from notice_gauges(self.policy.notify, self._world.outbox, self.now or END_OF_TIME)
        yield from self._deploys()
        yield from gate_gauges(self.policy.environment, self._world.gates, self._world.incidents.deploys, self.now or END_OF_TIME)
        yield from zone_gauges(self.policy.environment, self.policy.inspect, self._world.zones)
        yield from ledger_gauges(self.policy.environment, self.policy.ledger, self._world.ledger)
        yield from source_gauges(self.policy.environment, self.policy.ledger, self._world.ledger, self.sources)
        yield from self._process()

    def _routes(self) -> Iterable[Metric]:
        env = self.policy.environment

        def family(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"mailcanary_{name}", text, labels=("environment", "route"))

        pending = family("probes_pending", "Probes attempted and without a verdict.")
        oldest = family("oldest_pending_probe_timestamp_seconds", "First attempt of the oldest probe without a verdict; 0: none.")
        enabled = family("route_enabled", "1: this route is probed; 0: submission is paused.")
        deadline = family("delivery_deadline_seconds", "missing_after of the route.")
        interval = family("probe_interval_seconds", "How often the route is probed.")
        last = {
            which: family(f"last_probe_{which}_timestamp_seconds", f"When a probe of this route was last {which}; 0: never.")
            for which in ("submitted", "judged", "sighted")
        }
        open_since: dict[str, list[float]] = {}
        for state in self._world.probes.values():
            if state.first_attempt is not None and state.judged is None:
                open_since.setdefault(route_label(self.policy, state.plan.route), []).append(state.first_attempt.utc)
        shown: dict[str, list[Route]] = {}
        for route in self.policy.routes:
            shown.setdefault(route_label(self.policy, route), []).append(route)
        for label, routes in shown.items():
            key = (env, label)
            waiting = open_since.get(label, [])
            pending.add_metric(key, len(waiting))
            oldest.add_metric(key, min(waiting, default=0))
            enabled.add_metric(key, 0 if self._world.paused else 1)
            deadline.add_metric(key, max(self.policy.routes[route].deadlines.missing_after for route in routes))
            interval.add_metric(key, max(self.policy.routes[route].every for route in routes))
            states = [self._world.routes.get(str(route)) for route in routes]
            for which, metric in last.items():
                times: list[Instant | None] = [getattr(state, which) if state else None for state in states]
                metric.add_metric(key, max((at.utc for at in times if at is not None), default=0))
        return (pending, oldest, enabled, deadline, interval, *last.values())

    def _mailboxes(self) -> Iterable[Metric]:
        watching = GaugeMetricFamily(
            "mailcanary_mailbox_watching", "1: we can look into the mailbox; 0: blind.", labels=("environment", "mailbox")
        )
        for name in self.policy.mailboxes:
            state = self._world.mailboxes.get(name)
            watching.add_metric((self.policy.environment, name), 1 if state and state.stated and state.blind is None else 0)
        used = GaugeMetricFamily(
            "mailcanary_budget_used_ratio", "Share of today's budget of probes that is used.", labels=("environment", "path")
        )
        for path, policy in self.policy.paths.items():
            spent = 0 if self._vitals.day > self._world.budget.day else self._world.budget.paths.get(path, 0)
            used.add_metric((self.policy.environment, path), spent / policy.daily_budget)
        return (watching, used)

    def _deploys(self) -> Iterable[Metric]:
        env, deploy = self.policy.environment, latest(self._world.incidents.deploys)
        info = GaugeMetricFamily("mailcanary_deploy_info", "1: the deploy that was marked last.", labels=("environment", "version", "sha"))
        if deploy is not None:
            info.add_metric((env, plain(deploy.version)[:MAX_LABEL], plain(deploy.sha)[:MAX_LABEL]), 1)
        last = GaugeMetricFamily(
            "mailcanary_last_deploy_timestamp_seconds", "When a deploy was last marked; 0: never.", labels=("environment",)
        )
        last.add_metric((env,), deploy.last.at.utc if deploy else 0)
        return (info, last)

    def _process(self) -> Iterable[Metric]:
        vitals = self._vitals

        def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"mailcanary_{name}", text, value=value)

        started = self._world.started
        info = InfoMetricFamily("mailcanary_build", "The running version.")
        info.add_metric((), {"version": __version__, "python": platform.python_version()})
        return (
            gauge("paused", "1: submission is paused.", 1 if self._world.paused else 0),
            gauge("journal_writable", "1: the journal takes facts; 0: submitting has stopped.", 1 if vitals.journal_writable else 0),
            gauge("journal_bytes", "Bytes used by the journal.", vitals.journal_bytes),
            gauge("event_loop_lag_seconds", "How late the event loop ran its last tick.", vitals.loop_lag),
            gauge("config_last_reload_successful", "1: the last configuration that was read is in force.", 1 if vitals.reload_ok else 0),
            gauge("config_last_reload_success_timestamp_seconds", "When it was read.", vitals.reloaded_at),
            gauge("start_timestamp_seconds", "When this process started.", started.at.utc if started else 0),
            gauge(
                "heartbeat_last_success_timestamp_seconds",
                "When the dead-man switch outside last took a beat; 0: never.",
                vitals.heartbeat_at,
            ),
            info,
        )
