"""Prometheus metrics. Counters and histograms count facts appended since this process began; gauges and timestamps come from the views.

Every label set that the configuration allows exists at 0 from the start, so that the first failure is an increase and not a new series.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor import __version__
from monitor.model.facts import Attempted, Entry, Foreign, ForeignKind, Judged, Stray, SubmitError, SubmitFault, WatchBlind
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.model.verdict import Reason
from monitor.views.world import World

disable_created_metrics()  # type: ignore[no-untyped-call] # a _created series per child doubles the budget

TRANSIT_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
SUBMISSION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
MANY_ROUTES = 50  # above this the label `route` is path x provider
COMPONENTS = ("smtp", "imap", "dns", "state", "notify", "ledger")


@dataclass(slots=True)
class Vitals:
    """What the daemon knows of itself beside the facts; written by app, read here."""

    journal_writable: bool = True
    journal_bytes: int = 0
    loop_lag: float = 0.0
    day: str = ""  # the UTC day that the budget is counted by
    reload_ok: bool = True
    reloaded_at: float = 0.0


class Metrics:
    """`count` takes every new entry, after the world has folded it; `expose` renders."""

    def __init__(self, policy: Policy, world: World, vitals: Vitals) -> None:
        self.registry = CollectorRegistry()
        self._policy = policy
        self._world = world
        env = policy.environment
        registry = self.registry
        route = ("environment", "route")
        self._submitted = Counter("mailcanary_probes_submitted", "Probes whose first attempt was made.", route, registry=registry)
        self._results = Counter("mailcanary_probe_results", "First verdicts (revision 0) by reason.", (*route, "result"), registry=registry)
        self._revised = Counter(
            "mailcanary_probe_revisions",
            "Later, better-informed verdicts on a probe, by their reason.",
            (*route, "result"),
            registry=registry,
        )
        self._transit = Histogram(
            "mailcanary_probe_transit_seconds",
            "Acceptance to first sighting, on our monotonic clock. Includes the server's delay before it announces mail (Dovecot: 0.5 s).",
            route,
            buckets=TRANSIT_BUCKETS,
            registry=registry,
        )
        self._submission = Histogram(
            "mailcanary_probe_submission_seconds", "First attempt to acceptance.", route, buckets=SUBMISSION_BUCKETS, registry=registry
        )
        self._errors = Counter(
            "mailcanary_monitor_errors", "Times the monitor could not measure, by component.", ("component",), registry=registry
        )
        self._strays = Counter("mailcanary_strays", "Refund-shaped mail that is no probe.", ("environment", "mailbox"), registry=registry)
        self._foreign = Counter(
            "mailcanary_foreign_tokens", "Tokens that are not ours to judge, by kind.", ("environment", "kind"), registry=registry
        )
        for label in {route_label(policy, known) for known in policy.routes}:
            self._submitted.labels(env, label)
            self._transit.labels(env, label)
            self._submission.labels(env, label)
            for reason in Reason:
                self._results.labels(env, label, reason.value)
                self._revised.labels(env, label, reason.value)
        for component in COMPONENTS:
            self._errors.labels(component)
        for name in policy.mailboxes:
            self._strays.labels(env, name)
        for kind in ForeignKind:
            self._foreign.labels(env, kind.value)
        registry.register(_Gauges(policy, world, vitals))

    def count(self, entry: Entry) -> None:
        env = self._policy.environment
        match entry.fact:
            case Attempted(attempt=1) as fact:
                if state := self._world.probes.get(fact.probe):
                    self._submitted.labels(env, route_label(self._policy, state.plan.route)).inc()
            case Judged() as fact:
                label = route_label(self._policy, fact.route)
                if fact.revision:
                    self._revised.labels(env, label, fact.reason.value).inc()
                    return
                self._results.labels(env, label, fact.reason.value).inc()
                if fact.submission_seconds is not None:
                    self._submission.labels(env, label).observe(fact.submission_seconds)
                if fact.transit_seconds is not None:
                    self._transit.labels(env, label).observe(fact.transit_seconds, {"probe_id": fact.probe})
            case SubmitError(fault=SubmitFault.MISCONFIGURED | SubmitFault.INTERNAL):
                self._errors.labels("smtp").inc()
            case WatchBlind():
                self._errors.labels("imap").inc()
            case Stray() as fact:
                self._strays.labels(env, fact.mailbox).inc()
            case Foreign() as fact:
                self._foreign.labels(env, fact.kind.value).inc()
            case _:
                pass

    def journal_refused(self, times: int) -> None:
        self._errors.labels("state").inc(times)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type: text 0.0.4, or OpenMetrics with exemplars, as the scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def route_label(policy: Policy, route: Route) -> str:
    """path/mailbox; with more than 50 routes path/provider, so that the series stay bounded."""
    if len(policy.routes) <= MANY_ROUTES:
        return str(route)
    box = policy.mailboxes.get(route.mailbox)
    return f"{route.path}/{box.provider if box else 'removed'}"


class _Gauges(Collector):
    """Computed from the views when scraped."""

    def __init__(self, policy: Policy, world: World, vitals: Vitals) -> None:
        self._policy = policy
        self._world = world
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        yield from self._routes()
        yield from self._mailboxes()
        yield from self._process()

    def _routes(self) -> Iterable[Metric]:
        env = self._policy.environment

        def family(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"mailcanary_{name}", text, labels=("environment", "route"))

        pending = family("probes_pending", "Probes attempted and without a verdict.")
        oldest = family("oldest_pending_probe_timestamp_seconds", "First attempt of the oldest probe without a verdict; 0: none.")
        enabled = family("route_enabled", "1: this route is probed; 0: submission is paused.")
        deadline = family("delivery_deadline_seconds", "missing_after of the route.")
        last = {
            which: family(f"last_probe_{which}_timestamp_seconds", f"When a probe of this route was last {which}; 0: never.")
            for which in ("submitted", "judged", "sighted")
        }
        open_since: dict[str, list[float]] = {}
        for state in self._world.probes.values():
            if state.first_attempt is not None and state.judged is None:
                open_since.setdefault(route_label(self._policy, state.plan.route), []).append(state.first_attempt.utc)
        shown: dict[str, list[Route]] = {}
        for route in self._policy.routes:
            shown.setdefault(route_label(self._policy, route), []).append(route)
        for label, routes in shown.items():
            key = (env, label)
            waiting = open_since.get(label, [])
            pending.add_metric(key, len(waiting))
            oldest.add_metric(key, min(waiting, default=0))
            enabled.add_metric(key, 0 if self._world.paused else 1)
            deadline.add_metric(key, max(self._policy.routes[route].deadlines.missing_after for route in routes))
            states = [self._world.routes.get(str(route)) for route in routes]
            for which, metric in last.items():
                times: list[Instant | None] = [getattr(state, which) if state else None for state in states]
                metric.add_metric(key, max((at.utc for at in times if at is not None), default=0))
        return (pending, oldest, enabled, deadline, *last.values())

    def _mailboxes(self) -> Iterable[Metric]:
        watching = GaugeMetricFamily(
            "mailcanary_mailbox_watching", "1: we can look into the mailbox; 0: blind.", labels=("environment", "mailbox")
        )
        for name in self._policy.mailboxes:
            state = self._world.mailboxes.get(name)
            watching.add_metric((self._policy.environment, name), 1 if state and state.stated and state.blind is None else 0)
        used = GaugeMetricFamily(
            "mailcanary_budget_used_ratio", "Share of today's budget of probes that is used.", labels=("environment", "path")
        )
        for path, policy in self._policy.paths.items():
            spent = 0 if self._vitals.day > self._world.budget.day else self._world.budget.paths.get(path, 0)
            used.add_metric((self._policy.environment, path), spent / policy.daily_budget)
        return (watching, used)

    def _process(self) -> Iterable[Metric]:
        vitals = self._vitals

        def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"mailcanary_{name}", text, value=value)

        info = InfoMetricFamily("mailcanary_build", "The running version.")
        info.add_metric((), {"version": __version__, "python": platform.python_version()})
        return (
            gauge("paused", "1: submission is paused.", 1 if self._world.paused else 0),
            gauge("journal_writable", "1: the journal takes facts; 0: submitting has stopped.", 1 if vitals.journal_writable else 0),
            gauge("journal_bytes", "Bytes used by the journal.", vitals.journal_bytes),
            gauge("event_loop_lag_seconds", "How late the event loop ran its last tick.", vitals.loop_lag),
            gauge("config_last_reload_successful", "1: the last configuration that was read is in force.", 1 if vitals.reload_ok else 0),
            gauge("config_last_reload_success_timestamp_seconds", "When it was read.", vitals.reloaded_at),
            info,
        )
