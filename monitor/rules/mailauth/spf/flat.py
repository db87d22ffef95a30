"""The addresses that an SPF record authorises, whatever names stand between."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from monitor.model.dns import Answer, RecordType
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf.evaluate import MOST_EXCHANGES, address_number, exchanges, selected, well_formed
from monitor.rules.mailauth.spf.record import Kind, Record, Term, parse

MOST_QUESTIONS: Final = 120
MOST_NETWORKS: Final = 4_000
MOST_TERMS: Final = 4_000  # of all records together
_DEEPEST: Final = 12


@dataclass(frozen=True, slots=True)
class Flat:
    """`networks`: canonical, without overlaps, IPv4 before IPv6. `policy`: the `all` that ends it, empty: none. `opaque`, sorted: the terms
    that authorise what cannot be listed, or take something away. `unknown`: why the DNS could not tell all. `fault`: why it is a permanent
    error. `sources`: (network, domain of the record, or the name whose address it is), before they are joined."""

    networks: tuple[str, ...] = ()
    policy: str = ""
    opaque: tuple[str, ...] = ()
    unknown: str = ""
    fault: str = ""
    found: bool = False  # there is a record
    sources: tuple[tuple[str, str], ...] = ()


def flatten(lookup: Lookup, domain: str) -> Flat:
    """While the lookup is not complete the result is provisional."""
    work = _Work(lookup)
    policy = work.record(domain)
    four = collapse_addresses(network for network, _ in work.networks if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network, _ in work.networks if isinstance(network, IPv6Network))
    return Flat(
        (*map(str, sorted(four)), *map(str, sorted(six))),
        policy,
        tuple(sorted(work.opaque)),
        work.unknown,
        work.fault,
        work.found,
        tuple((str(network), source) for network, source in work.networks),
    )


@dataclass(slots=True)
class _Work:
    lookup: Lookup
    networks: list[tuple[IPv4Network | IPv6Network, str]] = field(default_factory=list)
    opaque: set[str] = field(default_factory=set)
    unknown: str = ""
    fault: str = ""
    found: bool = False
    terms: int = 0
    policies: dict[str, str] = field(default_factory=dict)  # by the domain, of the records that were read
    open: list[str] = field(default_factory=list)  # the records that are being read, one named by the other
    resolved: set[tuple[Kind, str, int, int]] = field(default_factory=set)  # what a and mx terms named, with their prefixes
    asked: set[tuple[str, RecordType]] = field(default_factory=set)

    def record(self, domain: str) -> str:
        """Its `all`. A record is read once, however often it is named."""
        key = domain.lower()
        if key not in self.policies:
            record = self._read(domain)
            self.open.append(key)
            self.policies[key] = self._terms(record, domain) if record is not None else ""
            self.open.pop()
        return self.policies[key]

    def _read(self, domain: str) -> Record | None:
        if not well_formed(domain) or len(self.open) > _DEEPEST:
            self._blame(f"{domain} is no domain name" if len(self.open) <= _DEEPEST else f"{domain} is included too deep")
            return None
        answer = self._ask(domain, RecordType.TXT)
        if answer is None or answer.failed:
            return None
        texts = selected(answer)
        self.found = self.found or bool(texts)
        if len(texts) != 1:
            if texts or self.open:
                self._blame(f"{domain} has {len(texts) or 'no'} SPF record{'s' if texts else ''}")
            return None
        record = parse(texts[0])
        if record.fault:
            self._blame(f"{domain}: {record.fault}")
        return record

    def _terms(self, record: Record, domain: str) -> str:
        for term in record.mechanisms:
            if term.kind is not Kind.ALL and not self._full():
                self._term(term, domain)
        if record.policy is not None:
            if record.policy.qualifier == "+":
                self._add(0, 0, 32, domain)
                self._add(0, 0, 128, domain)
            return f"{record.policy.qualifier}all"
        if record.redirect is None:
            return ""
        return self._nested(record.redirect, domain)

    def _full(self) -> bool:
        """The bounds are reached: the terms that are left are not looked at."""
        self.terms += 1
        if self.terms > MOST_TERMS:
            self.opaque.add(f"more than {MOST_TERMS} terms")
        return self.terms > MOST_TERMS or len(self.networks) >= MOST_NETWORKS

    def _term(self, term: Term, domain: str) -> None:
        if term.qualifier != "+" or term.kind in (Kind.EXISTS, Kind.PTR) or (term.kind is not Kind.INCLUDE and term.macros):
            self.opaque.add(term.text)
            return
        match term.kind:
            case Kind.IP4:
                self._add(term.base, term.prefix4, 32, domain)
            case Kind.IP6:
                self._add(term.base, term.prefix6, 128, domain)
            case Kind.INCLUDE:
                self._nested(term, domain)
            case _:
                self._named(term, _target(term, domain), domain)

    def _named(self, term: Term, target: str, domain: str) -> None:
        """a and mx."""
        key = (term.kind, target.lower(), term.prefix4, term.prefix6)
        if key in self.resolved:
            return
        self.resolved.add(key)
        if term.kind is Kind.A:
            self._addresses([target], term)
        else:
            self._mx(term, target, domain)

    def _nested(self, term: Term, domain: str) -> str:
        if term.macros:
            self.opaque.add(term.text)
            return ""
        target = _target(term, domain)
        if target.lower() in self.open:
            self._blame(f"{domain}: {term.text} leads back to {target}")
            return ""
        return self.record(target)

    def _mx(self, term: Term, target: str, domain: str) -> None:
        answer = self._ask(target, RecordType.MX)
        if answer is None:
            return
        if len(answer.records) > MOST_EXCHANGES:
            self._blame(f"{domain}: {term.text} has {len(answer.records)} exchanges")
            return
        self._addresses(exchanges(answer), term)

    def _addresses(self, names: Iterable[str], term: Term) -> None:
        answers = [(name, bits, self._ask(name, rtype)) for name in names for bits, rtype in ((32, RecordType.A), (128, RecordType.AAAA))]
        for name, bits, answer in answers:
            prefix = term.prefix4 if bits == 32 else term.prefix6
            for text in answer.records if answer is not None else ():
                number = address_number(text, bits)
                if number >= 0:
                    self._add(number >> (bits - prefix) << (bits - prefix), prefix, bits, name)

    def _add(self, base: int, prefix: int, bits: int, source: str) -> None:
        if len(self.networks) < MOST_NETWORKS:
            self.networks.append((IPv4Network((base, prefix)) if bits == 32 else IPv6Network((base, prefix)), source))
        else:
            self.opaque.add(f"more than {MOST_NETWORKS} networks")

    def _ask(self, name: str, rtype: RecordType) -> Answer | None:
        self.asked.add((name, rtype))
        if len(self.asked) > MOST_QUESTIONS:
            self.opaque.add(f"more than {MOST_QUESTIONS} names")
            return None
        answer = self.lookup.ask(name, rtype)
        if answer.failed:
            self.unknown = self.unknown or f"{answer.question}: {answer.detail}"
        return answer

    def _blame(self, fault: str) -> None:
        self.fault = self.fault or fault


def _target(term: Term, domain: str) -> str:
    return "".join(str(part) for part in term.spec).removesuffix(".") or domain
