"""What a zone says, reduced to what matters: one facet for each thing that must not change unseen. Order, case, quoting, white space and
chunks are gone; an SPF tree is a set of networks and a policy; a key is its digest. What could not be asked is no facet: unknown is no
change."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from monitor.model.dns import Answer, RecordType, mx_of
from monitor.model.inspection import Facet, FacetKind, KeyAge, Selector, Subject
from monitor.rules.inspect.authority import zone_of
from monitor.rules.inspect.firsthand import UNSEEN, Presence, firsthand, key_record, was_there
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import dmarc, spf
from monitor.rules.mailauth.dkim.key import read_key

MOST = 200  # facets of one domain
MOST_NETWORKS = 200  # of one SPF record, written out
MOST_HOSTS = 20  # of MX and HELO
_LONGEST = 8_000

Parts = Mapping[str, Sequence[str]]
Key = tuple[FacetKind, str]


@dataclass(frozen=True, slots=True)
class Observation:
    """The facets of one inspection, in order, and what could not be asked."""

    facets: tuple[Facet, ...]
    unanswered: tuple[Key, ...]

    @property
    def complete(self) -> bool:
        return not self.unanswered


def pack(parts: Parts) -> str:
    """`policy=-all; networks=192.0.2.0/24,198.51.100.1/32`."""
    text = "; ".join(f"{name}={','.join(_escaped(item) for item in items)}" for name, items in parts.items() if items)
    return text if len(text) <= _LONGEST else "digest=" + hashlib.sha256(text.encode()).hexdigest()


def unpack(value: str) -> dict[str, tuple[str, ...]]:
    """The parts of a packed value; {} for one that is not there."""
    pairs = (part.partition("=") for part in value.split("; ") if part)
    return {name: tuple(item for item in items.split(",") if item) for name, _, items in pairs}


def _escaped(item: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in ";,%" or not char.isprintable() else char for char in item)


def observe(subject: Subject, lookup: Lookup) -> Observation:
    """All facets of a domain. Provisional while the lookup is not complete."""
    facets: dict[Key, Facet] = {}
    unanswered: dict[Key, None] = {}
    before = {(facet.key, facet.value): facet.ttl for facet in (*subject.baseline, *subject.facets)}
    for key, value, life in _all(subject, lookup):
        if value is None:
            unanswered[key] = None
        elif len(facets) < MOST:
            facets[key] = Facet(*key, value, life.ttl if life.exact else max(life.ttl, before.get((key, value), 0)))
    return Observation(tuple(sorted(facets.values())), tuple(unanswered))


def ages(known: Sequence[KeyAge], facets: Iterable[Facet], now: float) -> tuple[KeyAge, ...]:
    """Since when each key is what it is; one that is not seen now keeps its age."""
    made = {(age.domain, age.selector): age for age in known}
    for facet in facets:
        if facet.kind is not FacetKind.DKIM or not facet.value:
            continue
        selector, _, domain = facet.name.partition("._domainkey.")
        parts = unpack(facet.value)
        key, testing = ",".join(parts.get("p", ())), "y" in parts.get("t", ())
        before = made.get((domain, selector))
        same = before if before is not None and before.key == key else None
        since = (same.testing_since if same and same.testing_since is not None else now) if testing else None
        made[domain, selector] = KeyAge(domain, selector, key, same.first_seen if same else now, since)
    return tuple(made[place] for place in sorted(made))[:MOST]


@dataclass(frozen=True, slots=True)
class _Life:
    """`exact`: as a server of the zone says it; a resolver's cache counts it down."""

    ttl: int = 0
    exact: bool = False


Seen = tuple[Key, str | None, _Life]


def _all(subject: Subject, lookup: Lookup) -> Iterator[Seen]:
    senders = tuple(dict.fromkeys((subject.domain, *subject.envelope)))[:MOST_HOSTS]
    exchanges: list[str] = []
    for domain in senders:
        yield _spf(domain, subject, lookup)
        answer = lookup.ask(domain, RecordType.MX)
        exchanges += [mx_of(record)[1] for record in answer.records]
        key, value, _ = _plain(FacetKind.MX, domain, answer)
        yield key, value, _lifetime(domain, answer, subject, lookup)
    for selector in subject.selectors:
        yield _dkim(selector, subject, lookup)
    yield _dmarc(subject, lookup)
    for kind, rtype in ((FacetKind.NS, RecordType.NS), (FacetKind.DS, RecordType.DS)):
        yield _plain(kind, subject.domain, lookup.ask(subject.domain, rtype))
    yield _soa(subject.domain, lookup)
    for address in subject.egress[:MOST_HOSTS]:
        yield _plain(FacetKind.PTR, address, lookup.ask(ipaddress.ip_address(address).reverse_pointer, RecordType.PTR))
    hosts = tuple(dict.fromkeys((*subject.helo, *exchanges)))[:MOST_HOSTS]
    owned = {host: related(host, subject.domain) or dmarc.aligned(lookup, host, subject.domain) for host in hosts}
    for host, own in owned.items():  # others' hosts move as they like
        if own:
            yield _addresses(host, lookup)
        elif own is None:
            yield (FacetKind.ADDRESS, host), None, _Life()


def related(name: str, domain: str) -> bool:
    """One of them is the other, or lies below it; a top-level domain relates to nothing."""
    return name == domain or name.endswith("." + domain) or ("." in name and domain.endswith("." + name))


def _lifetime(domain: str, answer: Answer, subject: Subject, lookup: Lookup) -> _Life:
    """Of a record in the zone of the domain."""
    zone = zone_of(lookup, domain, subject.private_addresses)
    told = next((own for own in firsthand(lookup, zone, answer.question.name, answer.question.rtype) if own.found), None)
    return _Life(told.ttl, exact=True) if told is not None else _Life(answer.ttl)


def _value(records: Iterable[str]) -> str:
    return pack({"records": sorted(records)})


def _plain(kind: FacetKind, name: str, answer: Answer) -> Seen:
    return (kind, name), None if answer.failed else _value(answer.records), _Life(answer.ttl)


def _addresses(host: str, lookup: Lookup) -> Seen:
    answers = [lookup.ask(host, rtype) for rtype in (RecordType.A, RecordType.AAAA)]
    key = (FacetKind.ADDRESS, host)
    if any(answer.failed for answer in answers):
        return key, None, _Life()
    return key, _value(record for answer in answers for record in answer.records), _Life(max(answer.ttl for answer in answers))


def _soa(domain: str, lookup: Lookup) -> Seen:
    """Without the serial, which changes with everything."""
    answer = lookup.ask(domain, RecordType.SOA)
    records = [" ".join(word for at, word in enumerate(record.split()) if at != 2) for record in answer.records]
    return (FacetKind.SOA, domain), None if answer.failed else _value(records), _Life(answer.ttl)


def _spf(domain: str, subject: Subject, lookup: Lookup) -> Seen:
    key, answer = (FacetKind.SPF, domain), lookup.ask(domain, RecordType.TXT)
    records = [record for record in answer.records if record.lower().split(" ")[0] == "v=spf1"]
    if answer.failed:
        return key, None, _Life()
    if not records:
        return key, "", _Life(answer.ttl)
    flat = spf.flatten(lookup, domain)
    if flat.unknown:
        return key, None, _Life()
    networks = list(flat.networks)
    if len(networks) > MOST_NETWORKS:
        held = [network for network in networks if any(holds((network,), address) for address in subject.egress)]
        networks = [*held, "digest:" + hashlib.sha256(" ".join(networks).encode()).hexdigest()]
    terms = sorted({term.lower() for record in records for term in record.split()[1:]} - {"-all", "~all", "?all", "+all", "all"})
    value = pack({"policy": (flat.policy or "?all",), "terms": terms, "networks": networks, "opaque": sorted(flat.opaque)})
    return key, value, _lifetime(domain, answer, subject, lookup)


def _dkim(selector: Selector, subject: Subject, lookup: Lookup) -> Seen:
    name, record = f"{selector.name}._domainkey.{selector.domain}", key_record(subject, lookup, selector)
    key, answer, unseen = (FacetKind.DKIM, name), record.answer, record.presence is Presence.UNSEEN
    if answer.failed or (unseen and not was_there(subject, name)):
        return key, None, _Life()
    keys = [read_key(text) for text in answer.records]
    if not keys:
        return key, "", _Life(answer.ttl)
    one = keys[0]
    parts: dict[str, Sequence[str]] = {
        UNSEEN: ("resolver",) if unseen else (),
        "k": (one.kind,),
        "bits": (str(one.bits),) if one.bits else (),
        "p": (one.digest,) if one.digest else (),
        "t": [flag for flag, there in (("y", one.testing), ("s", one.strict)) if there],
        "h": sorted(one.hashes),
        "s": sorted(one.services) if one.services != ("*",) else (),
        "state": ("revoked",) if one.revoked else ("unusable",) if one.fault else (),
        "more": sorted(other.digest or "unusable" for other in keys[1:]),
    }
    return key, pack(parts), _lifetime(selector.domain, answer, subject, lookup)


def _dmarc(subject: Subject, lookup: Lookup) -> Seen:
    """What applies to the domain, wherever it stands."""
    domain = subject.domain
    key, found = (FacetKind.DMARC, f"_dmarc.{domain}"), dmarc.discover(lookup, domain)
    if found.unknown:
        return key, None, _Life()
    if found.record is None:
        return key, "", _Life(lookup.ask(f"_dmarc.{domain}", RecordType.TXT).ttl)
    record = found.record
    parts: dict[str, Sequence[str]] = {
        "at": (found.at,) if found.at != domain else (),
        "p": (record.policy,),
        "sp": (record.subdomain_policy or record.policy,),
        "np": (record.missing_policy or record.subdomain_policy or record.policy,),
        "adkim": ("s" if record.strict_dkim else "r",),
        "aspf": ("s" if record.strict_spf else "r",),
        "t": ("y",) if record.testing else (),
        "pct": (str(record.percentage),) if record.percentage != 100 else (),
        "psd": (record.suffix,) if record.suffix != "u" else (),
        "rua": sorted(set(record.aggregate)),
        "ruf": sorted(set(record.forensic)),
    }
    return key, pack(parts), _lifetime(found.at, lookup.ask(f"_dmarc.{found.at}", RecordType.TXT), subject, lookup)


def holds(networks: Iterable[str], address: str) -> bool:
    """Is the address in one of the networks? What is no network is passed over."""
    ip = ipaddress.ip_address(address)
    for text in networks:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            continue
        if network.version == ip.version and ip in network:
            return True
    return False
