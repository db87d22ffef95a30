"""The zones that our domains lie in: delegation, aliases, TTLs, DNSSEC, wildcards."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult
from monitor.model.dns import Outcome, RecordType
from monitor.rules.inspect.authority import Zone, zone_of
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone import aliases, delegation, lifetimes, signed, wildcards
from monitor.rules.inspect.zone.catalogue import CHECKS

__all__ = ["CHECKS", "judge"]

_MOST_DOMAINS = 10


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All of them in every world."""
    domains = tuple(dict.fromkeys((scene.subject.domain, *scene.subject.envelope)))[:_MOST_DOMAINS]
    found = {domain: zone_of(scene.lookup, domain, scene.subject.private_addresses) for domain in domains}
    zones = {zone.name: zone for zone in found.values()}
    for zone in zones.values():
        yield from delegation.judge(scene, zone)
        yield signed.judge(scene, zone, tuple(domain for domain in domains if found[domain].name == zone.name))
    yield from aliases.judge(scene, domains, tuple(zones))
    yield from lifetimes.judge(scene, found)
    yield from wildcards.judge(scene, domains)
    for domain in domains:
        yield _exists(scene, domain, found[domain])


def _exists(scene: Scene, domain: str, zone: Zone) -> CheckResult:
    check, answer = CHECKS[CheckId.DNS_11], scene.lookup.ask(domain, RecordType.SOA)
    if answer.failed:
        return check.unknown(domain, f"no answer: {answer.detail}", "when it lasts, Yahoo refuses the mail")
    if answer.outcome is Outcome.NXDOMAIN:
        return check.failed(domain, "the name does not exist", mend=f"publish {domain} in the zone {zone.name}")
    return check.passed(domain, f"an SOA query is answered; the zone is {zone.name}")
