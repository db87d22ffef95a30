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
    found, policy = work.record(domain, (), top=True)
    four = collapse_addresses(network for network, _ in work.networks if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network, _ in work.networks if isinstance(network, IPv6Network))
    return Flat(
        (*map(str, sorted(four)), *map(str, sorted(six))),
        policy,
        tuple(sorted(set(work.opaque))),
        work.unknown,
        work.fault,
        found,
        tuple((str(network), source) for network, source in work.networks),
    )


@dataclass(slots=True)
class _Work:
    lookup: Lookup
    networks: list[tuple[IPv4Network | IPv6Network, str]] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    unknown: str = ""
    fault: str = ""
    asked: set[tuple[str, RecordType]] = field(default_factory=set)

    def record(self, domain: str, path: tuple[str, ...], top: bool = False) -> tuple[bool, str]:
        """(there is a record, its `all`)."""
        if not well_formed(domain) or len(path) > _DEEPEST:
            self._blame(f"{domain} is no domain name" if len(path) <= _DEEPEST else f"{domain} is included too deep")
            return False, ""
        answer = self._ask(domain, RecordType.TXT)
        if answer is None or answer.failed:
            return False, ""
        texts = selected(answer)
        if len(texts) != 1:
            if texts or not top:
                self._blame(f"{domain} has {len(texts) or 'no'} SPF record{'s' if texts else ''}")
            return bool(texts), ""
        record = parse(texts[0])
        if record.fault:
            self._blame(f"{domain}: {record.fault}")
        return True, self._terms(record, domain, (*path, domain.lower()))

    def _terms(self, record: Record, domain: str, path: tuple[str, ...]) -> str:
        for term in record.mechanisms:
            if term.kind is not Kind.ALL:
                self._term(term, domain, path)
        if record.policy is not None:
            if record.policy.qualifier == "+":
                self._add(0, 0, 32, domain)
                self._add(0, 0, 128, domain)
            return f"{record.policy.qualifier}all"
        if record.redirect is None:
            return ""
        return self._nested(record.redirect, domain, path)

    def _term(self, term: Term, domain: str, path: tuple[str, ...]) -> None:
        if term.qualifier != "+" or term.kind in (Kind.EXISTS, Kind.PTR) or (term.kind is not Kind.INCLUDE and term.macros):
            self.opaque.append(term.text)
            return
        match term.kind:
            case Kind.IP4:
                self._add(term.base, term.prefix4, 32, domain)
            case Kind.IP6:
                self._add(term.base, term.prefix6, 128, domain)
            case Kind.INCLUDE:
                self._nested(term, domain, path)
            case Kind.A:
                self._addresses([_target(term, domain)], term)
            case _:
                self._mx(term, domain)

    def _nested(self, term: Term, domain: str, path: tuple[str, ...]) -> str:
        if term.macros:
            self.opaque.append(term.text)
            return ""
        target = _target(term, domain)
        if target.lower() in path:
            self._blame(f"{domain}: {term.text} leads back to {target}")
            return ""
        return self.record(target, path)[1]

    def _mx(self, term: Term, domain: str) -> None:
        answer = self._ask(_target(term, domain), RecordType.MX)
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
            self.opaque.append(f"more than {MOST_NETWORKS} networks")

    def _ask(self, name: str, rtype: RecordType) -> Answer | None:
        self.asked.add((name, rtype))
        if len(self.asked) > MOST_QUESTIONS:
            self.opaque.append(f"more than {MOST_QUESTIONS} names")
            return None
        answer = self.lookup.ask(name, rtype)
        if answer.failed:
            self.unknown = self.unknown or f"{answer.question}: {answer.detail}"
        return answer

    def _blame(self, fault: str) -> None:
        self.fault = self.fault or fault


def _target(term: Term, domain: str) -> str:
    return "".join(str(part) for part in term.spec).removesuffix(".") or domain
