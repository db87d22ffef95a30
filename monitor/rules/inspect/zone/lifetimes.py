"""DNS-07: TTLs, as a server of the zone itself says them; a resolver's are already running down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from monitor.model.checks import CheckId, CheckResult
from monitor.model.dns import Answer, RecordType
from monitor.model.inspection import FacetKind, Subject
from monitor.rules.inspect.authority import Zone
from monitor.rules.inspect.firsthand import servers
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone.catalogue import CHECKS

_SHORTEST = 300  # seconds
_LONGEST = 86_400
_MOST_NAMES = 20

Wanted = tuple[str, RecordType]


def judge(scene: Scene, zones: Mapping[str, Zone]) -> Iterator[CheckResult]:
    """`zones`: by the domain. One result for each record with a fault, one for each domain when there is none."""
    check = CHECKS[CheckId.DNS_07]
    for domain, zone in zones.items():
        asked = servers(zone)
        if not asked:
            yield check.unknown(domain, zone.unknown or f"no address of the name servers of {zone.name} is known")
            continue
        answers = {wanted: [scene.lookup.ask(*wanted, address) for address in asked] for wanted in _wanted(scene, domain, zone)}
        yield from _domain(domain, answers, _meant(scene.subject))


def _wanted(scene: Scene, domain: str, zone: Zone) -> tuple[Wanted, ...]:
    names = [(domain, RecordType.MX), (domain, RecordType.TXT)]
    if domain == scene.subject.domain:
        names.append((f"_dmarc.{scene.policy(domain).at or domain}", RecordType.TXT))
    selectors = (selector for selector in scene.subject.selectors if selector.domain == domain and not selector.retired)
    names += [(f"{selector.name}._domainkey.{domain}", RecordType.TXT) for selector in selectors]
    return tuple(wanted for wanted in names if wanted[0] == zone.name or wanted[0].endswith("." + zone.name))[:_MOST_NAMES]


def _meant(subject: Subject) -> dict[Wanted, int]:
    """The TTLs of the baseline. A cache may have counted them down when it was learned, so that only a lower one is certain."""
    return {
        (facet.name, RecordType.MX if facet.kind is FacetKind.MX else RecordType.TXT): facet.ttl
        for facet in subject.baseline
        if facet.value and facet.kind in (FacetKind.SPF, FacetKind.MX, FacetKind.DKIM, FacetKind.DMARC)
    }


def _domain(domain: str, answers: Mapping[Wanted, list[Answer]], meant: Mapping[Wanted, int]) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DNS_07]
    told = {wanted: ttl for wanted, said in answers.items() if (ttl := _ttl(said)) is not None}
    for (name, kind), ttl in told.items():
        if ttl < _SHORTEST:
            saw = f"{ttl} s: each outage of the name servers longer than that is felt by receivers"
            yield check.warned(
                f"{name} {kind.value}", saw, mend=f"raise it to an hour; nothing below {_SHORTEST} s outside a planned change"
            )
        elif ttl > _LONGEST:
            yield check.warned(f"{name} {kind.value}", f"{ttl} s: a mistake stays in caches for days", mend="lower it to a day or less")
        elif ttl < meant.get((name, kind), 0):
            saw = f"lowered from {meant[name, kind]} s to {ttl} s: somebody may be about to change the record"
            yield check.noted(f"{name} {kind.value}", saw)
    if unheard := [wanted for wanted, said in answers.items() if all(answer.failed for answer in said)]:
        yield check.unknown(domain, f"no server of the zone said the TTL of {unheard[0][0]} {unheard[0][1].value}")
    elif not told:
        yield check.skipped(domain, "its zone has no mail records")
    elif all(_SHORTEST <= ttl <= _LONGEST for ttl in told.values()):
        yield check.passed(domain, f"{len(told)} records, {min(told.values())} to {max(told.values())} s")


def _ttl(said: list[Answer]) -> int | None:
    """What was delegated further or leads elsewhere is not this zone's to say."""
    return next((answer.ttl for answer in said if answer.found and answer.authoritative and not answer.chain), None)
