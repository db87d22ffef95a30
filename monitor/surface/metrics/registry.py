"""Prometheus metrics. Counters and histograms count facts appended since this process began; gauges and timestamps come from the views.

Every label set that the configuration allows exists at 0 from the start, so that the first failure is an increase and not a new series.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from monitor.model.facts import (
    Attempted,
    Entry,
    Foreign,
    ForeignKind,
    GateDecided,
    Judged,
    Notified,
    NotifyFailed,
    Reconciled,
    SourceBlind,
    Stray,
    SubmitError,
    SubmitFault,
    Transition,
    Tripped,
    WatchBlind,
    ZoneObserved,
)
from monitor.model.incident import Phase
from monitor.model.instant import Instant
from monitor.model.ledger import DifferenceClass, SourceStanding
from monitor.model.policy import Policy, Role
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.surface.metrics.gauges import Gauges, Vitals
from monitor.surface.metrics.labels import route_label
from monitor.surface.metrics.ledger import newly_found
from monitor.views.world import World

disable_created_metrics()  # type: ignore[no-untyped-call] # a _created series per child doubles the budget

TRANSIT_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
SUBMISSION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
GATE_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200)
COMPONENTS = ("smtp", "imap", "dns", "state", "notify", "ledger", "annotations")
OUTCOMES = ("taken", "failed", "given_up")  # of one attempt to tell a channel

Labels = tuple[str, ...]
Family = Counter | Histogram


class Metrics:
    """`count` takes every new entry, after the world has folded it; `expose` renders."""

    def __init__(self, policy: Policy, world: World, vitals: Vitals) -> None:
        self.registry = CollectorRegistry()
        self._policy = policy
        self._world = world
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
        self._transitions = Counter(
            "mailcanary_incident_transitions",
            "Changes of incidents and suspicions, by what they changed to.",
            ("environment", "symptom", "to"),
            registry=registry,
        )
        self._notifications = Counter(
            "mailcanary_notifications", "Notices to channels, by what became of them.", ("channel", "outcome"), registry=registry
        )
        self._trips = Counter(
            "mailcanary_tripwire_trips",
            "Refund mail of ours, no probe, in a mailbox that must never get any.",
            ("environment", "mailbox"),
            registry=registry,
        )
        env = ("environment",)
        self._decisions = Counter(
            "mailcanary_gate_decisions", "Decided attempts of gates, by what the evidence says.", (*env, "verdict"), registry=registry
        )
        self._flips = Counter(
            "mailcanary_gate_flips", "Attempts of gates that found another verdict than the one before.", env, registry=registry
        )
        self._gate_probes = Counter("mailcanary_gate_probes", "Probes for gates whose first attempt was made.", env, registry=registry)
        self._gate_duration = Histogram(
            "mailcanary_gate_duration_seconds",
            "From the request of an attempt to its decision.",
            env,
            buckets=GATE_BUCKETS,
            registry=registry,
        )
        self._inspections = Counter(
            "mailcanary_inspections", "Inspections of a sending domain, blind ones too.", ("environment", "domain"), registry=registry
        )
        self._differences = Counter(
            "mailcanary_ledger_differences_found",
            "Differences between refunds and confirmations that were found, by class.",
            ("environment", "class"),
            registry=registry,
        )
        self._gauges = Gauges(policy, world, vitals)
        self.vitals = vitals
        self._left: dict[Family, set[Labels]] = {}
        self.reload(policy)
        registry.register(self._gauges)

    def reload(self, policy: Policy) -> None:
        """Another policy is in force. What it adds exists at 0; what it leaves out is counted on, for probes in flight have verdicts still
        to come, until a further reload leaves it out as well: so the series are bounded by two configurations."""
        self._policy = self._gauges.policy = policy
        for family, wanted in self._wanted(policy):
            for labels in wanted:
                family.labels(*labels)
            unwanted = present(family) - wanted
            for labels in unwanted & self._left.get(family, set()):
                family.remove(*labels)
                unwanted.discard(labels)
            self._left[family] = unwanted

    def _wanted(self, policy: Policy) -> Iterator[tuple[Family, set[Labels]]]:
        """Every label set that this policy allows."""
        env = policy.environment
        routes = {route_label(policy, route) for route in policy.routes}
        for family in (self._submitted, self._transit, self._submission):
            yield family, {(env, route) for route in routes}
        for family in (self._results, self._revised):
            yield family, {(env, route, reason.value) for route in routes for reason in Reason}
        yield self._errors, {(component,) for component in COMPONENTS}
        yield self._strays, {(env, name) for name in policy.mailboxes}
        yield self._trips, {(env, name) for name, box in policy.mailboxes.items() if box.role is Role.TRIPWIRE}
        yield self._foreign, {(env, kind.value) for kind in ForeignKind}
        yield self._transitions, {(env, symptom.value, phase.value) for symptom in Symptom for phase in Phase}
        yield self._decisions, {(env, verdict.value) for verdict in Verdict}
        for family in (self._flips, self._gate_probes, self._gate_duration):
            yield family, {(env,)}
        yield self._inspections, {(env, domain) for domain in policy.inspect.domains if policy.inspect.enabled}
        yield self._differences, {(env, kind.value) for kind in DifferenceClass if policy.ledger.enabled}
        yield self._notifications, {(name, outcome) for name in policy.notify.channels for outcome in OUTCOMES}

    def count(self, entry: Entry) -> None:
        env = self._policy.environment
        match entry.fact:
            case Attempted(attempt=1) as fact:
                if state := self._world.probes.get(fact.probe):
                    self._submitted.labels(env, route_label(self._policy, state.plan.route)).inc()
                    self._gate_probes.labels(env).inc(1 if state.plan.gate else 0)
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
            case SubmitError(fault=SubmitFault.MISCONFIGURED | SubmitFault.OVERLOADED | SubmitFault.INTERNAL):
                self._errors.labels("smtp").inc()
            case WatchBlind():
                self._errors.labels("imap").inc()
            case Stray() as fact:
                self._strays.labels(env, fact.mailbox).inc()
            case Foreign() as fact:
                self._foreign.labels(env, fact.kind.value).inc()
            case Tripped() as fact:
                self._trips.labels(env, fact.mailbox).inc()
            case Transition() as fact:
                self._transitions.labels(env, fact.symptom.value, fact.phase.value).inc()
            case GateDecided() as fact:
                self._decided(env, fact)
            case ZoneObserved() as fact:
                if fact.domain in self._policy.inspect.domains:
                    self._inspections.labels(env, fact.domain).inc()
                self._errors.labels("dns").inc(bool(fact.blind))
            case Reconciled():
                for kind, number in newly_found(self._world.ledger, entry.seq):
                    self._differences.labels(env, kind.value).inc(number)
            case SourceBlind():
                self._errors.labels("ledger").inc()
            case Notified() as fact:
                self._notifications.labels(fact.channel, "taken").inc()
            case NotifyFailed() as fact:
                self._notifications.labels(fact.channel, "given_up" if fact.retry_in is None else "failed").inc()
                self._errors.labels("notify").inc()
            case _:
                pass

    def _decided(self, env: str, fact: GateDecided) -> None:
        self._decisions.labels(env, fact.verdict.value).inc()
        if (state := self._world.gates.known.get(fact.gate)) is None:
            return
        self._gate_duration.labels(env).observe(max(0.0, fact.at.seconds_since(state.request.at)))
        before = [decision for decision in state.decisions if decision.attempt < fact.attempt][-1:]
        self._flips.labels(env).inc(sum(decision.verdict is not fact.verdict for decision in before))

    def annotations_failed(self, times: int) -> None:
        self._errors.labels("annotations").inc(times)

    def journal_refused(self, times: int) -> None:
        self._errors.labels("state").inc(times)

    def sources_read(self, sources: Sequence[SourceStanding]) -> None:
        """The sources of the ledger, as the store has them now."""
        self._gauges.sources = sources

    def expose(self, accept: str, now: Instant | None = None) -> tuple[bytes, str]:
        """The page and its content type: text 0.0.4, or OpenMetrics with exemplars, as the scraper accepts."""
        self._gauges.now = now
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def present(family: Family) -> set[Labels]:
    """The label sets that a family has now."""
    (metric,) = family.collect()
    names = [name for name in metric.samples[0].labels if name != "le"] if metric.samples else []
    return {tuple(sample.labels[name] for name in names) for sample in metric.samples}
