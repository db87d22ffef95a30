"""What is wrong with a sending domain, as two inspections of it agree: the findings that an incident of that domain is about, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.incident import Confidence, Layer, Scope, ScopeKind
from monitor.model.verdict import SYMPTOM_OF_CHECK, Symptom
from monitor.rules.diagnose.advice import named
from monitor.rules.plain import plain
from monitor.views.world import World
from monitor.views.zones import FindingState, finding_key

FINDING_SYMPTOMS = frozenset({symptom for symptom in SYMPTOM_OF_CHECK.values() if symptom is not None})
LONGEST_STEP = 200  # characters of a next step; a record that does not fit is not cut but left out, for a cut one would be published
MOST_KEYS = 50  # findings that an incident remembers to have told of

_OF_MAIL = ("DKIM-M", "DMARC-10", "MSG-01", "TLS-01")
_SERIOUS = (Gravity.CRITICAL, Gravity.ERROR)
_ORDER = {check: number for number, check in enumerate(CheckId)}
_LAYERS: dict[str, Layer] = {  # by the beginning of the check's id, the longest that fits
    "SPF": Layer.DNS,
    "SPF-15": Layer.AUTHENTICATION,  # the envelope sender belongs to somebody else
    "DKIM-K": Layer.DNS,
    "DKIM-M": Layer.AUTHENTICATION,
    "DMARC": Layer.DNS,
    "DMARC-10": Layer.AUTHENTICATION,
    "DMARC-11": Layer.PROVIDER,
    "MX": Layer.DNS,
    "DNS": Layer.DNS,
    "IP": Layer.DNS,
    "IP-03": Layer.RELAY,  # what it says in EHLO
    "TLS": Layer.RELAY,
    "MSG": Layer.APPLICATION,
    "AR": Layer.PROVIDER,
    "PLC": Layer.PROVIDER,
}


@dataclass(frozen=True, slots=True)
class Wording:
    """What a diagnosis says of a domain or the ledger. `summary` goes without the layer; `findings`: the keys of what it rests on;
    `against`: what speaks against it, or could not be seen."""

    layer: Layer
    summary: str
    shows: tuple[str, ...]
    next_step: str
    confidence: Confidence
    against: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def layer_of(check: CheckId) -> Layer:
    return _LAYERS[max((key for key in _LAYERS if check.value.startswith(key)), key=len)]


def is_of_mail(check: CheckId) -> bool:
    """It is read from a delivered message, of each route by itself; not from the zone."""
    return check.value.startswith(_OF_MAIL)


def counts(result: CheckResult, symptom: Symptom) -> bool:
    """It is bad enough for an incident of this symptom."""
    return result.is_bad and result.gravity in _SERIOUS and SYMPTOM_OF_CHECK[result.check] is symptom


def standing(world: World, domain: str, symptom: Symptom) -> list[FindingState]:
    """The bad findings of this symptom that stand, confirmed or not, the worst first."""
    state = world.zones.domains.get(domain)
    found = [finding for finding in state.findings.values() if counts(finding.result, symptom)] if state is not None else []
    return sorted(found, key=lambda f: (_SERIOUS.index(f.result.gravity), _ORDER[f.result.check], f.result.about))


def certain(world: World, domain: str, symptom: Symptom) -> list[FindingState]:
    """Those of them that a second inspection has confirmed."""
    return [finding for finding in standing(world, domain, symptom) if finding.confirmed is not None]


def worded(world: World, scope: Scope, symptom: Symptom) -> Wording:
    """What is wrong with the domain that the scope names. Total: also when nothing stands any more."""
    if symptom is Symptom.DNS_BLIND:
        return _blindness(world, scope)
    domain = scope.name
    found = certain(world, domain, symptom) or standing(world, domain, symptom)
    if not found:
        over = ("the latest inspection finds nothing wrong",)
        return Wording(Layer.DNS, f"{domain}: nothing of it stands any more", (), _audit(domain, ""), Confidence.LOW, over)
    worst = found[0].result
    against = tuple(map(plain, _doubts(world, domain, found[0])))
    more = f", and {len(found) - 1} more finding{'s' if len(found) > 2 else ''}" if len(found) > 1 else ""
    return Wording(
        layer=layer_of(worst.check),
        summary=plain(f"{_place(domain, worst)}: {worst.saw}{more} ({worst.check.value})"),
        shows=tuple(map(plain, _shown([finding.result for finding in found]))),
        next_step=step(domain, worst),
        confidence=Confidence.MEDIUM if against else Confidence.HIGH,
        against=against,
        findings=tuple(finding_key(finding.result) for finding in found)[:MOST_KEYS],
    )


def _doubts(world: World, domain: str, worst: FindingState) -> Iterator[str]:
    """What keeps the worst finding from being certain."""
    if worst.confirmed is None:
        yield "one inspection only has seen it: no second one agrees yet"
    if worst.hardened:
        yield f"it could not be tested since {worst.since.when:%H:%M:%S}Z, and counts as failed for that"
    state = world.zones.domains[domain]
    if state.blind is not None:
        yield f"the zone of {domain} could not be asked since {state.blind.when:%H:%M:%S}Z: {state.blind_why}"


def _place(domain: str, result: CheckResult) -> str:
    """What it is about, so that the domain is named."""
    return result.about if domain in result.about else f"{domain}, {result.about}"


def _shown(results: Iterable[CheckResult]) -> Iterator[str]:
    """One line for each finding, with the record as it stands; the same of many things, as of the mail of all routes, is one."""
    alike: dict[tuple[CheckId, str, str], list[str]] = {}
    for result in results:
        alike.setdefault((result.check, result.saw, result.record), []).append(result.about)
    for (check, saw, record), places in alike.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield f"{check.value} {places[0]}{more}: {saw}{f'; the record: {record}' if record else ''}"


def step(domain: str, result: CheckResult) -> str:
    """What to do about it, with the exact record where it fits and nothing in it has to be masked."""
    mend, publish = plain(result.mend), result.publish
    if publish and plain(publish) == publish and len(whole := f"{mend or 'publish'}: {publish}") <= LONGEST_STEP:
        return whole
    audit = _audit(domain, publish)
    room = LONGEST_STEP - len(audit) - 2
    mend = mend if len(mend) <= room else mend[:room].rpartition("; ")[0] or mend[:room]
    return f"{mend}; {audit}" if mend else audit


def _audit(domain: str, publish: str) -> str:
    return f"mailcanary audit {domain} {'names what to publish' if publish else 'tells more'}"


def _blindness(world: World, scope: Scope) -> Wording:
    domains = world.zones.domains
    blind = {
        name: state for name, state in sorted(domains.items()) if state.blind is not None and scope in (Scope(ScopeKind.ALL), _of(name))
    }
    where = scope.name or "any sending domain"
    example = scope.name or next(iter(blind), "DOMAIN")
    sure, against = _ours(world, where)
    return Wording(
        layer=Layer.MONITOR,
        summary=f"nothing can be said about DNS, SPF, DKIM and DMARC of {where}: no answer to what we ask",
        shows=tuple(
            plain(f"{name}: {state.blind_why}, since {state.blind.when:%H:%M:%S}Z") for name, state in blind.items() if state.blind
        ),
        next_step=f"from the monitor's host: dig SOA {example}; then the resolvers (inspect.resolvers, /etc/resolv.conf) and the firewall",
        confidence=sure,
        against=against,
    )


def _ours(world: World, where: str) -> tuple[Confidence, tuple[str, ...]]:
    """Whether it is our resolvers that are silent, or the name servers of one domain."""
    heard = sorted(name for name, state in world.zones.domains.items() if state.blind is None)
    if heard:
        return Confidence.LOW, (f"{named(heard, '')} can be asked: it may be the name servers of {where}, or the way to them",)
    if len(world.zones.domains) < 2:
        return Confidence.MEDIUM, ("no other domain is inspected: its name servers and our resolvers cannot be told apart",)
    return Confidence.HIGH, ()


def _of(domain: str) -> Scope:
    return Scope(ScopeKind.DOMAIN, domain)
