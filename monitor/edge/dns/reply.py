"""A reply as an Answer. dnspython parses; imported when the first reply is there, since that takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from monitor.edge.reply import clean
from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType

MAX_CHAIN = 16  # CNAMEs in one reply
MAX_RECORDS = 1_000
MAX_DETAIL = 200


class Read(NamedTuple):
    """`loose`: a CNAME leads to a name of which the reply says nothing."""

    answer: Answer
    loose: bool = False


def read(question: Question, wire: bytes, resolver: str, *, truncated: bool) -> Read:
    """Never raises. `truncated`: this came over TCP because the answer did not fit into UDP."""
    blank = Answer(question, Outcome.FAILED, resolver=resolver, size=len(wire), truncated=truncated)
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        return _read(blank, message)
    except Exception as error:  # nothing that a server provokes in the library may escape (ports.Resolver)
        said = clean(str(error), limit=MAX_DETAIL) or type(error).__name__
        return Read(_failed(blank, DnsFailure.MALFORMED, f"{resolver} sent what cannot be read: {said}"))


def _read(blank: Answer, message: dns.message.Message) -> Read:
    rcode = message.rcode()
    resolver = blank.resolver
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        failure = {dns.rcode.SERVFAIL: DnsFailure.SERVFAIL, dns.rcode.REFUSED: DnsFailure.REFUSED}.get(rcode, DnsFailure.MALFORMED)
        return Read(_failed(blank, failure, f"{resolver} said {dns.rcode.to_text(rcode)}{_explained(message)}"))
    question = blank.question
    found, chain, ttls = _followed(question, message.answer)
    name = chain[-1] if chain else question.name
    referral = "" if found or chain else _referral(message)
    if not found and question.server and question.rtype is RecordType.NS and referral == question.name:
        found = next(rrset for rrset in message.authority if rrset.rdtype is dns.rdatatype.NS)
        ttls.append(int(found.ttl))
    outcome = Outcome.FOUND if found else Outcome.NXDOMAIN if rcode is dns.rcode.NXDOMAIN else Outcome.NODATA
    soa = None if found else next((rrset for rrset in message.authority if rrset.rdtype is dns.rdatatype.SOA), None)
    if soa is not None:
        ttls.append(min(int(soa.ttl), int(soa[0].minimum)))
    looped = len({question.name, *chain}) <= len(chain)
    signed_until, signed_from = _first_to_end((*message.answer, *message.authority))
    answer = Answer(
        question,
        outcome,
        records=_texts(found or ()),
        ttl=min(ttls, default=0),
        chain=chain,
        authentic=bool(message.flags & dns.flags.AD),
        authoritative=bool(message.flags & dns.flags.AA),
        detail=f"CNAME loop at {name}" if looped else f"referral to {referral}" if referral and outcome is Outcome.NODATA else "",
        resolver=resolver,
        size=blank.size,
        truncated=blank.truncated,
        signed_until=signed_until,
        signed_from=signed_from,
    )
    return Read(answer, loose=bool(chain) and outcome is Outcome.NODATA and soa is None and not looped)


def _failed(blank: Answer, failure: DnsFailure, detail: str) -> Answer:
    return Answer(
        blank.question,
        Outcome.FAILED,
        failure=failure,
        detail=detail,
        resolver=blank.resolver,
        size=blank.size,
        truncated=blank.truncated,
    )


def _followed(question: Question, answer: Iterable[dns.rrset.RRset]) -> tuple[dns.rrset.RRset | None, tuple[str, ...], list[int]]:
    """(the records asked for, the names that CNAMEs led to, the TTLs on the way). A loop ends at the first name that comes twice."""
    by_name: dict[tuple[str, str], dns.rrset.RRset] = {}
    for rrset in answer:
        if rrset.rdclass is dns.rdataclass.IN and len(rrset):
            by_name.setdefault((host(rrset.name), dns.rdatatype.to_text(rrset.rdtype)), rrset)
    name = question.name
    chain: list[str] = []
    ttls: list[int] = []
    while True:
        found = by_name.get((name, question.rtype.value))
        if found is not None:
            return found, tuple(chain), [*ttls, int(found.ttl)]
        alias = by_name.get((name, "CNAME"))
        if alias is None or len(chain) >= MAX_CHAIN:
            return None, tuple(chain), ttls
        ttls.append(int(alias.ttl))
        name = host(alias[0].target)
        looped = name == question.name or name in chain
        chain.append(name)
        if looped:
            return None, tuple(chain), ttls


def _referral(message: dns.message.Message) -> str:
    """Whose servers the reply names instead of an answer; empty when it names none."""
    if message.flags & dns.flags.AA:
        return ""
    return next((host(rrset.name) for rrset in message.authority if rrset.rdtype is dns.rdatatype.NS), "")


def _explained(message: dns.message.Message) -> str:
    """Extended DNS errors (RFC 8914): what the resolver adds to its SERVFAIL."""
    said = [option for option in message.options if isinstance(option, dns.edns.EDEOption)]
    texts = [f"{option.code.name.replace('_', ' ').lower()}{': ' + option.text if option.text else ''}" for option in said[:3]]
    return f" ({clean('; '.join(texts), limit=MAX_DETAIL)})" if texts else ""


def _first_to_end(rrsets: Iterable[dns.rrset.RRset]) -> tuple[float, float]:
    """(end, inception) of the RRSIG that ends first; of several that end together the one that was made last."""
    signatures = [signature for rrset in rrsets if rrset.rdtype is dns.rdatatype.RRSIG for signature in rrset]
    end, inception = min(((int(one.expiration), -int(one.inception)) for one in signatures), default=(0, 0))
    return float(end), float(-inception)


def _texts(records: Iterable[Any]) -> tuple[str, ...]:
    """In presentation form and canonical order."""
    texts = [text for record, _ in zip(records, range(MAX_RECORDS), strict=False) for text in _text(record)]
    if texts and isinstance(records, dns.rrset.RRset) and records.rdtype is dns.rdatatype.MX:
        return tuple(sorted(texts, key=_preference))
    return tuple(sorted(texts))


def _preference(record: str) -> tuple[int, str]:
    preference, _, exchange = record.partition(" ")
    return int(preference), exchange


def _text(record: Any) -> Iterator[str]:
    match dns.rdatatype.to_text(record.rdtype):
        case "TXT" | "SPF":
            yield b"".join(record.strings).decode("latin-1")
        case "MX":
            yield f"{record.preference} {host(record.exchange)}"
        case "CNAME" | "NS" | "PTR":
            yield host(record.target)
        case "SOA":
            numbers = (record.serial, record.refresh, record.retry, record.expire, record.minimum)
            yield " ".join((host(record.mname), host(record.rname), *map(str, numbers)))
        case "DS":
            yield f"{record.key_tag} {int(record.algorithm)} {int(record.digest_type)} {record.digest.hex()}"
        case "DNSKEY":
            yield f"{int(record.flags)} {record.protocol} {int(record.algorithm)} {record.key_id()}"
        case _:
            yield record.to_text()


def host(name: dns.name.Name) -> str:
    """Lower case, absolute, without the final dot; "." for the root."""
    return name.to_text(omit_final_dot=True).lower()
