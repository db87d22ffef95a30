"""Inspections of the sending domains as gauges. Labels are the domains of the configuration, and closed sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from monitor.model.checks import CheckId, Gravity, Status
from monitor.model.inspection import DriftState, InspectPolicy
from monitor.views.zones import DomainState, Zones

CHECKS = ("spf", "dkim", "dmarc", "mx", "dns", "ptr", "tls", "mail")
_SERIOUS = (Gravity.CRITICAL, Gravity.ERROR)
_NAMES = {"IP": "ptr", "AR": "mail", "PLC": "mail", "MSG": "mail"}  # by the beginning of the check's id; the others are called as it is
_NEVER = DomainState()


def check_label(check: CheckId) -> str | None:
    """The family of the check; None: drift, which is counted by itself."""
    family = check.value.partition("-")[0]
    return None if check is CheckId.DNS_14 else _NAMES.get(family, family.lower())


def zone_gauges(environment: str, policy: InspectPolicy, zones: Zones) -> Iterable[Metric]:
    def family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"mailcanary_{name}", text, labels=("environment", "domain", *labels))

    good = family("auth_check_ok", "1: nothing critical and no error stands; 0: it does, seen twice. Absent: not known.", "check")
    unsure = family("auth_check_unknown", "1: something of it could not be tested, and would matter.", "check")
    last = family("auth_last_check_timestamp_seconds", "When the domain was last inspected with any answer; 0: never.")
    every = family("inspection_interval_seconds", "How often the domain is inspected.")
    found = family("findings", "What stands against the domain, warnings too.", "severity")
    blind = family("resolver_blind", "1: our resolvers say nothing about the domain.")
    drifts = family("zone_drifts", "Differences from the approved zone, by what became of them.", "state")
    for domain in policy.domains if policy.enabled else ():
        key, state = (environment, domain), zones.domains.get(domain, _NEVER)
        last.add_metric(key, state.last.at.utc if state.last else 0)
        every.add_metric(key, policy.every)
        blind.add_metric(key, state.blind is not None)
        for check, ok, unknown in _checks(state):
            if ok is not None:
                good.add_metric((*key, check), ok)
            unsure.add_metric((*key, check), unknown)
        graded = Counter(finding.result.gravity for finding in state.findings.values() if finding.result.is_bad)
        for gravity in Gravity:
            found.add_metric((*key, gravity.value), graded[gravity])
        stages = Counter(drift.state for drift in state.drifts)
        for stage in DriftState:
            drifts.add_metric((*key, stage.value), stages[stage])
    return (good, unsure, last, every, found, blind, drifts)


def _checks(state: DomainState) -> Iterable[tuple[str, bool | None, bool]]:
    """(check, it holds or None where nothing is known, something is unknown)"""
    passed = {check_label(check) for check in state.last.passed} if state.last is not None else set()
    for name in CHECKS:
        findings = [finding for finding in state.findings.values() if check_label(finding.result.check) == name]
        known = name in passed or any(finding.result.status is not Status.UNKNOWN for finding in findings)
        broken = any(f.result.is_bad and f.result.gravity in _SERIOUS and f.confirmed is not None for f in findings)
        unknown = any(f.result.status is Status.UNKNOWN and f.result.gravity in _SERIOUS for f in findings)
        yield name, not broken if known else None, unknown or state.last is None or state.blind is not None
