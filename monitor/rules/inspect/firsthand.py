"""What the servers of a zone say of a record themselves, beside our resolver, whose word may be as old as the TTL.

A key that our resolver does not find and a server has is unseen, for an hour at most: a cache forgets by then that it was not there, and a
resolver that does not find it still is shown another view of the zone, and counts. A key that our resolver has and the servers do not is
vanished: no server that speaks with authority has it, two have said so, or the only one there is, and of the rest of the zone they say what
our resolver says. That holds for a day at most: no cache keeps it longer. Where the servers cannot be asked, our resolver is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from monitor.model.dns import Answer, RecordType
from monitor.model.inspection import Drift, FacetKind, Selector, Subject
from monitor.rules.inspect.authority import Zone, zone_of
from monitor.rules.lookup import Lookup

MOST_ASKED = 2  # servers of a zone
UNSEEN_FOR = (
    3_600.0  # seconds for which a resolver may hold that there is no such record (RFC 2308 section 5 recommends one to three hours)
)
VANISHED_FOR = 86_400.0  # seconds for which a resolver may hold a record
UNSEEN = "unseen"  # the part of a facet that says so


class Presence(Enum):
    SAID = auto()  # it is as our resolver says
    UNSEEN = auto()
    VANISHED = auto()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`answer`: the one that counts, of our resolver or of a server of the zone."""

    presence: Presence
    answer: Answer


def servers(zone: Zone) -> tuple[str, ...]:
    """The addresses that are asked: of two servers where there are two, IPv4 first: a machine without IPv6 would learn nothing else."""
    ranked = [(":" in address, at, address) for server in zone.servers for at, address in enumerate(server.addresses)]
    allowed = set(zone.addresses)
    ordered = dict.fromkeys(address for _, _, address in sorted(ranked, key=lambda one: one[:2]) if address in allowed)
    return tuple(ordered)[:MOST_ASKED]


def firsthand(lookup: Lookup, zone: Zone, name: str, rtype: RecordType) -> tuple[Answer, ...]:
    """What they say with authority. What was delegated further or leads elsewhere is not this zone's to say."""
    if name != zone.name and not name.endswith("." + zone.name):
        return ()
    answers = [lookup.ask(name, rtype, address) for address in servers(zone)]
    return tuple(answer for answer in answers if answer.authoritative and not answer.failed and not answer.chain)


def key_record(subject: Subject, lookup: Lookup, selector: Selector) -> KeyRecord:
    """The record of a selector, and whose word counts. Of a retired one it is our resolver's."""
    name = f"{selector.name}._domainkey.{selector.domain}"
    said = lookup.ask(name, RecordType.TXT)
    if said.failed or selector.retired:
        return KeyRecord(Presence.SAID, said)
    zone = zone_of(lookup, selector.domain, subject.private_addresses)
    own = firsthand(lookup, zone, name, RecordType.TXT)
    there = next((answer for answer in own if answer.found), None)
    known = next((one for one in subject.drifts if one.key == (FacetKind.DKIM, name)), None)
    if said.void and there is not None and not _is_gone(known, subject.now):
        return KeyRecord(Presence.UNSEEN, there)
    agreed = there is None and len(own) >= min(MOST_ASKED, max(1, len(zone.servers)))
    if said.found and agreed and _may_be_cached(known, subject, name) and _same_view(lookup, zone, selector.domain):
        return KeyRecord(Presence.VANISHED, own[0])
    return KeyRecord(Presence.SAID, said)


def was_there(subject: Subject, name: str) -> bool:
    """The baseline, the inspection before, or a difference that is remembered has a key at this name."""
    key = (FacetKind.DKIM, name)
    return any(facet.key == key and facet.value for facet in (*subject.baseline, *subject.facets)) or any(
        one.key == key and (one.before or one.after) for one in subject.drifts
    )


def _is_gone(known: Drift | None, now: float) -> bool:
    """It was found to be gone before, or unseen for too long."""
    if known is None or not known.stands:
        return False
    return not known.after or (known.after.startswith(f"{UNSEEN}=") and now - _since(known) >= UNSEEN_FOR)


def _may_be_cached(known: Drift | None, subject: Subject, name: str) -> bool:
    """Our resolver may have it from before. One that has it still after VANISHED_FOR is shown another view, as long as that is known."""
    outlived = known is not None and not known.after and subject.now - known.first_seen >= VANISHED_FOR
    return was_there(subject, name) and not outlived


def _since(known: Drift) -> float:
    """When it became what it is: a difference goes on when it changes to another one of the same gravity."""
    return known.changes[-1] if known.changes else known.first_seen


def _same_view(lookup: Lookup, zone: Zone, domain: str) -> bool:
    """Something else that our resolver finds in the zone is there at its servers, and nothing is there otherwise (split horizon)."""
    names = dict.fromkeys((domain, zone.name))
    wanted = [(name, rtype) for name in names for rtype in (RecordType.MX, RecordType.TXT)]
    wanted += [(f"_dmarc.{name}", RecordType.TXT) for name in names]
    pairs = [
        (said, own) for name, rtype in wanted if (said := lookup.ask(name, rtype)).found for own in firsthand(lookup, zone, name, rtype)
    ]
    return bool(pairs) and all(said.records == own.records for said, own in pairs)
