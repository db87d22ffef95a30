"""What the zone and our own proof of delivered mail say about mail that is not authenticated: whether the zone changed, or our mail, or
whether the receiver judges it otherwise than we do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from monitor.model.checks import Gravity
from monitor.model.facts import MailProved
from monitor.model.incident import Layer, ScopeKind
from monitor.model.inspection import Drift, DriftState, FacetKind
from monitor.model.instant import Instant
from monitor.model.mail import AuthResult
from monitor.model.mailauth import MailProof, SignatureProof, SignatureState
from monitor.model.policy import Policy, SmtpPath
from monitor.model.probe import Route
from monitor.model.verdict import Symptom
from monitor.rules.deploys import NEAR
from monitor.rules.diagnose.findings import FINDING_SYMPTOMS, certain, layer_of
from monitor.rules.plain import plain
from monitor.views.world import World

MOST_DOMAINS = 5  # that are looked at for one diagnosis

_AUTHENTICATION = (Symptom.AUTH_DKIM, Symptom.AUTH_SPF, Symptom.AUTH_DMARC, Symptom.DNS)
_CAUSES = FINDING_SYMPTOMS - {Symptom.CONTENT_WRONG}
_HARMFUL = frozenset({FacetKind.SPF, FacetKind.DKIM, FacetKind.DMARC, FacetKind.NS, FacetKind.DS})  # to authentication
_FAILED = frozenset({AuthResult.FAIL, AuthResult.PERMERROR, AuthResult.NONE, AuthResult.SOFTFAIL, AuthResult.POLICY})
_KNOWN = _FAILED | {AuthResult.PASS}
_ALTERED: dict[SignatureState, str] = {
    SignatureState.BODY_ALTERED: "the body was altered after it was signed",
    SignatureState.HEADER_ALTERED: "header fields were altered after they were signed, or another key has signed",
    SignatureState.EXPIRED: "the signature had expired",
    SignatureState.MALFORMED: "the signature is malformed",
    SignatureState.WEAK: "the key or the algorithm is too weak to count",
}


@dataclass(frozen=True, slots=True)
class Witness:
    """`layer` None: neither the zone nor the delivered mail says where the fault is. `why`: in one clause, for the summary. `against`: what
    speaks against a fault of ours; `doubts`: what could not be asked."""

    layer: Layer | None = None
    why: str = ""
    shows: tuple[str, ...] = ()
    domain: str = ""  # whose zone and mail it is about
    against: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def domains_of(world: World, policy: Policy, routes: Collection[Route]) -> tuple[str, ...]:
    """The inspected domains that mail on these routes is authenticated by: as it was delivered, or else as it is configured."""
    said: dict[str, None] = {}
    for route in sorted(routes, key=str):
        _, seen = world.zones.delivered.get(str(route), (0, None))
        said |= dict.fromkeys(seen.mail.author_domains) if seen is not None else {}
        if route.path in policy.paths and isinstance(via := policy.paths[route.path].via, SmtpPath):
            said[str(via.identity.author.domain)] = None
    names = tuple(said) or policy.sending_domains
    inspected = [known for known in world.zones.domains if policy.inspect.enabled and known in policy.inspect.domains]
    found = [known for name in names for known in inspected if name == known or name.endswith(f".{known}")]
    return tuple(dict.fromkeys(found))[:MOST_DOMAINS]


def changes(world: World, domains: Iterable[str]) -> list[tuple[Instant, str]]:
    """The drifts of these domains, when they were first seen, in words."""
    return [(_seen(drift), worded(drift)) for domain in domains for drift in world.zones.domains[domain].drifts]


def certificates(world: World, domains: Iterable[str]) -> list[tuple[Instant, str]]:
    """What inspections found wrong with TLS of these domains' mail, and since when."""
    found = [finding for domain in domains for finding in world.zones.domains[domain].findings.values()]
    tls = [finding for finding in found if finding.result.check.value.startswith("TLS") and finding.result.is_bad]
    return [(finding.since, plain(f"{finding.result.about}: {finding.result.saw} ({finding.result.check.value})")) for finding in tls]


def worded(drift: Drift) -> str:
    ttl = f", TTL {drift.old_ttl}" if drift.old_ttl else ""
    match drift.state:
        case DriftState.REVERTED | DriftState.APPROVED:
            return plain(f"{drift.what}{ttl} ({drift.state.value})")
        case DriftState.PROPAGATING | DriftState.STANDING:
            return plain(f"{drift.what}{ttl}")


def witness(world: World, policy: Policy, failing: Collection[Route], narrow: bool, since: Instant, now: Instant) -> Witness:
    """Who is at fault that mail on these routes is not authenticated since then. `narrow`: other providers take it as authenticated."""
    domains = domains_of(world, policy, failing)
    proofs = [proof for route in sorted(failing, key=str) if (proof := world.zones.proofs.get(str(route))) and _after(proof, since)]
    found = _changed(world, domains, since, now) or _proven(world, proofs) or _found(world, domains, since) or _contradicted(proofs, narrow)
    found = found or Witness()
    shows = (*map(plain, found.shows), *_open(world, domains))
    return replace(found, domain=next(iter(domains), ""), why=plain(found.why), shows=shows, doubts=tuple(_unasked(world, domains)))


def _seen(drift: Drift) -> Instant:
    return Instant(drift.first_seen, 0.0, "")  # on no monotonic clock: compared by UTC


def _after(proof: MailProved, since: Instant) -> bool:
    return proof.sent >= since.utc if proof.sent else proof.at.seconds_since(since) >= 0


def _changed(world: World, domains: Iterable[str], since: Instant, now: Instant) -> Witness | None:
    """The zone lost something that authentication needs, not long before or when it was looked at after."""
    drifts = [
        drift
        for domain in domains
        for drift in world.zones.domains[domain].drifts
        if drift.gravity is Gravity.CRITICAL and drift.kind in _HARMFUL and drift.state in (DriftState.PROPAGATING, DriftState.STANDING)
        if since.seconds_since(_seen(drift)) <= NEAR and now.seconds_since(_seen(drift)) >= 0
    ]
    if not drifts:
        return None
    first = min(drifts, key=lambda drift: drift.first_seen)
    at = _seen(first)
    when = f"{'at' if since.seconds_since(at) >= 0 else 'seen at'} {at.when:%H:%M}"
    ttl = f", TTL {first.old_ttl}" if first.old_ttl else ""
    return Witness(Layer.DNS, f"{first.what} {when}{ttl}", tuple(f"the zone: {worded(drift)}" for drift in drifts[:3]))


def _proven(world: World, proofs: Iterable[MailProved]) -> Witness | None:
    """What our own verification of the delivered mail finds wrong with most of it."""
    said = Counter(found for proof in proofs if (found := _fault(world, proof)) is not None)
    if not said:
        return None
    (layer, why), times = said.most_common(1)[0]
    return Witness(layer, why, (f"our own verification of {times} delivered mail{'s' if times > 1 else ''}: {why}",))


def _fault(world: World, proved: MailProved) -> tuple[Layer, str] | None:
    """None: it passes, or what it would take to know was not to be had."""
    proof = proved.proof
    if not proof.dkim:
        return (Layer.AUTHENTICATION, "it bears no DKIM signature") if proof.dmarc.result in _KNOWN else None
    broken = [one for one in proof.dkim if one.state is not SignatureState.PASS and _is_own(world, proof, one)]
    if proof.dkim_result is AuthResult.PASS and not (broken and proof.dmarc.result in _FAILED):
        if proof.dmarc.result in _FAILED:
            signers = ", ".join(sorted({signature.domain for signature in proof.dkim if signature.state is SignatureState.PASS})[:3])
            return Layer.AUTHENTICATION, f"it is signed by {signers}, which does not align with the author's domain"
        return _unnamed(proof.spf, proof.spf_address, proof.spf_domain)
    signature = (broken or proof.dkim)[0]
    match signature.state:
        case SignatureState.NO_KEY | SignatureState.REVOKED | SignatureState.KEY_UNUSABLE:
            return _keyless(world, signature)
        case SignatureState.TEMPERROR | SignatureState.UNREAD | SignatureState.PASS:
            return None
        case state:
            return Layer.AUTHENTICATION, f"{_ALTERED[state]} (selector {signature.selector} of {signature.domain})"


def _is_own(world: World, proof: MailProof, signature: SignatureProof) -> bool:
    """By a domain that we inspect, or the organization of the author: of the others, whoever signs beside us, nothing is asked."""
    home = proof.dmarc.organizational
    return signature.domain in world.zones.domains or bool(home and f".{signature.domain}".endswith(f".{home}"))


def _unnamed(spf: AuthResult, address: str, domain: str) -> tuple[Layer, str] | None:
    if spf in (AuthResult.FAIL, AuthResult.SOFTFAIL) and address:
        return Layer.RELAY, f"it leaves from {address}, which SPF of {domain} does not name"
    return None


def _keyless(world: World, signature: SignatureProof) -> tuple[Layer, str]:
    """A selector that the zone never had was chosen by whoever signs; another one was lost by the zone."""
    name = f"{signature.selector}._domainkey.{signature.domain}"
    state = world.zones.domains.get(signature.domain)
    known = [facet for facet in state.baseline if facet.kind is FacetKind.DKIM] if state is not None else []
    if known and not any(facet.value and facet.name in (name, signature.selector) for facet in known):
        return Layer.AUTHENTICATION, f"it is signed with selector {signature.selector} of {signature.domain}, which was never published"
    what = {SignatureState.NO_KEY: "is not there", SignatureState.REVOKED: "is revoked"}.get(signature.state, "cannot be used")
    return Layer.DNS, f"the key record {name} {what}"


def _found(world: World, domains: Iterable[str], since: Instant) -> Witness | None:
    """A finding about authentication that is not much older than the trouble."""
    for domain in domains:
        for symptom in _AUTHENTICATION:
            for finding in certain(world, domain, symptom):
                result = finding.result
                if since.seconds_since(finding.since) <= NEAR and result.check.value.partition("-")[0] not in ("IP", "MX"):
                    return Witness(layer_of(result.check), f"{result.check.value} {result.about}: {result.saw}")
    return None


def _contradicted(proofs: Collection[MailProved], narrow: bool) -> Witness | None:
    """It verifies when we do it."""
    if not proofs or any(proved.proof.dmarc.result is not AuthResult.PASS for proved in proofs):
        return None
    why = "our own verification of the same mail passes"
    return Witness(Layer.PROVIDER, why, (why,)) if narrow else Witness(against=(why,))


def _open(world: World, domains: Collection[str]) -> list[str]:
    """The incidents of these domains that may be behind it."""
    return [
        f"{state.id} is open about {state.last.symptom.value} of {state.last.scope.name}"
        for state in world.incidents.open()
        if state.last.scope.kind is ScopeKind.DOMAIN and state.last.scope.name in domains and state.last.symptom in _CAUSES
    ]


def _unasked(world: World, domains: Iterable[str]) -> list[str]:
    states = [(domain, world.zones.domains[domain]) for domain in domains]
    return [
        f"the zone of {domain} could not be asked since {state.blind.when:%H:%M}Z" for domain, state in states if state.blind is not None
    ]
