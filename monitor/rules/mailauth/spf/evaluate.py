"""check_host() (RFC 7208 sections 4 to 6): what one client gets, and what that spends. It asks for one name after another, like a receiver
would; the tree asks ahead."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from monitor.model.dns import Answer, Question, RecordType, mx_of
from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf.macro import Client, expand_name, expand_text
from monitor.rules.mailauth.spf.record import Kind, Malformed, Record, Term, is_spf, macro_string, parse

MOST_LOOKUPS: Final = 10  # DNS terms (section 4.6.4)
MOST_VOIDS: Final = 2
MOST_EXCHANGES: Final = 10  # of one mx
MOST_POINTERS: Final = 10  # that ptr and %{p} look at
UNKNOWN_NAME: Final = "unknown"  # %{p} without a validated name (section 7.3)

_RESULTS: Final = {"+": AuthResult.PASS, "-": AuthResult.FAIL, "~": AuthResult.SOFTFAIL, "?": AuthResult.NEUTRAL}

Place = Hashable  # where in the tree a term stands: (that of its record's term, number of the mechanism)


class Stop(Exception):
    """A permanent or temporary error, which ends the whole evaluation."""

    def __init__(self, result: AuthResult, why: str) -> None:
        super().__init__(why)
        self.result = result
        self.why = why


@dataclass(frozen=True, slots=True)
class Verdict:
    """`exp`: the record whose explanation counts, and its domain."""

    result: AuthResult
    why: str
    matched: str = ""
    exp: tuple[Term, str] | None = None


_LOCAL = frozenset("ls")  # macros (section 7.2)


class Evaluator:
    """One evaluation. `reached`: what came of the terms that it reached, by their place; `asked`: seconds of its questions."""

    def __init__(self, lookup: Lookup, client: Client) -> None:
        self.lookup = lookup
        self.client = client
        self.spent = 0
        self.voids = 0
        self.reached: dict[Place, str] = {}
        self.asked: dict[Question, float] = {}
        self.by_local = False  # a term that it reached asks by the local part of the sender
        self._number = int(client.address)
        self._forward = RecordType.A if client.bits == 32 else RecordType.AAAA

    def run(self, domain: str) -> Verdict:
        try:
            return self._record(domain, (), ())
        except Stop as stop:
            return Verdict(stop.result, stop.why)

    def explain(self, verdict: Verdict) -> str:
        """The text of exp=; empty for whatever goes wrong with it (section 6.2)."""
        if verdict.result is not AuthResult.FAIL or verdict.exp is None:
            return ""
        term, domain = verdict.exp
        answer = self.lookup.ask(self._expand(term, domain, free=True), RecordType.TXT)
        if not answer.found or len(answer.records) != 1 or not answer.records[0].isascii():
            return ""
        try:
            spec = macro_string(answer.records[0], explaining=True)
        except Malformed:
            return ""
        return expand_text(spec, domain, self.client, lambda: self._validated_name(domain, free=True))

    def _record(self, domain: str, path: tuple[str, ...], place: Place) -> Verdict:
        record, why = self._select(domain)
        if record is None:
            return Verdict(AuthResult.NONE, why)
        path = (*path, domain.lower())
        for number, term in enumerate(record.mechanisms):
            if self._matches(term, domain, path, (place, number)):
                return Verdict(_RESULTS[term.qualifier], f"{domain}: {term.text}", term.text, (record.exp, domain) if record.exp else None)
        if record.redirect is not None:
            return self._redirect(record.redirect, domain, path, (place, -1))
        return Verdict(AuthResult.NEUTRAL, f"{domain}: nothing matches, and there is no all")

    def _select(self, domain: str) -> tuple[Record | None, str]:
        """The record of a domain, or why there is none (sections 4.3 to 4.6)."""
        if not well_formed(domain):
            return None, f"{domain or 'an empty name'} is no domain name"
        answer = self._ask(domain, RecordType.TXT)
        if answer.failed:
            raise Stop(AuthResult.TEMPERROR, f"{answer.question}: {answer.detail}")
        texts = selected(answer)
        if not texts:
            return None, f"{domain} has no SPF record"
        if len(texts) > 1:
            raise Stop(AuthResult.PERMERROR, f"{domain} has {len(texts)} SPF records")
        record = parse(texts[0])
        if record.fault:
            raise Stop(AuthResult.PERMERROR, f"{domain}: {record.fault}")
        return record, ""

    def _redirect(self, term: Term, domain: str, path: tuple[str, ...], place: Place) -> Verdict:
        try:
            verdict = self._nested(term, domain, path, place)
        except Stop as stop:
            self.reached[place] = stop.result.value
            raise
        self.reached[place] = verdict.result.value
        return verdict

    def _nested(self, term: Term, domain: str, path: tuple[str, ...], place: Place) -> Verdict:
        """What the record of an include or a redirect says; none is a permanent error of whoever names it (sections 5.2 and 6.1)."""
        self._spend(term, domain)
        target = self._expand(term, domain)
        if target.lower() in path:
            raise Stop(AuthResult.PERMERROR, f"{domain}: {term.text} leads back to {target}")
        verdict = self._record(target, path, place)
        if verdict.result is AuthResult.NONE:
            raise Stop(AuthResult.PERMERROR, f"{domain}: {term.text}: {verdict.why}")
        return verdict

    def _matches(self, term: Term, domain: str, path: tuple[str, ...], place: Place) -> bool:
        try:
            matches = self._mechanism(term, domain, path, place)
        except Stop as stop:
            self.reached[place] = stop.result.value
            raise
        self.reached.setdefault(place, "match" if matches else "no match")
        return matches

    def _mechanism(self, term: Term, domain: str, path: tuple[str, ...], place: Place) -> bool:
        match term.kind:
            case Kind.ALL:
                return True
            case Kind.IP4:
                return self.client.bits == 32 and within(self._number, term.base, term.prefix4, 32)
            case Kind.IP6:
                return self.client.bits == 128 and within(self._number, term.base, term.prefix6, 128)
            case Kind.INCLUDE:
                verdict = self._nested(term, domain, path, place)
                self.reached[place] = verdict.result.value
                return verdict.result is AuthResult.PASS
            case _:
                return self._asking(term, domain)

    def _asking(self, term: Term, domain: str) -> bool:
        self._spend(term, domain)
        match term.kind:
            case Kind.A:
                return self._holds(self._sure(self._expand(term, domain), self._forward), term)
            case Kind.MX:
                return self._mx(term, domain)
            case Kind.EXISTS:
                return self._sure(self._expand(term, domain), RecordType.A).found
            case _:
                target = self._expand(term, domain).lower()
                return any(below(name, target) for name in self._validated())

    def _mx(self, term: Term, domain: str) -> bool:
        answer = self._sure(self._expand(term, domain), RecordType.MX)
        if len(answer.records) > MOST_EXCHANGES:
            raise Stop(AuthResult.PERMERROR, f"{domain}: {term.text} has {len(answer.records)} exchanges, {MOST_EXCHANGES} are allowed")
        return any(self._holds(self._sure(host, self._forward), term) for host in exchanges(answer))

    def _holds(self, answer: Answer, term: Term) -> bool:
        prefix = term.prefix4 if self.client.bits == 32 else term.prefix6
        bits = self.client.bits
        return any((number := address_number(text, bits)) >= 0 and within(self._number, number, prefix, bits) for text in answer.records)

    def _spend(self, term: Term, domain: str) -> None:
        self.spent += 1
        if self.spent > MOST_LOOKUPS:
            raise Stop(AuthResult.PERMERROR, f"{domain}: {term.text} is DNS term {self.spent}, {MOST_LOOKUPS} are allowed")

    def _ask(self, name: str, rtype: RecordType) -> Answer:
        answer = self.lookup.ask(name, rtype)
        self.asked[answer.question] = answer.seconds
        return answer

    def _sure(self, name: str, rtype: RecordType) -> Answer:
        """An answer to a mechanism; a failure ends the evaluation, and a void one counts."""
        answer = self._ask(name, rtype)
        if answer.failed:
            raise Stop(AuthResult.TEMPERROR, f"{answer.question}: {answer.detail}")
        self._count_void(answer)
        return answer

    def _count_void(self, answer: Answer) -> None:
        if answer.void:
            self.voids += 1
            if self.voids > MOST_VOIDS:
                raise Stop(AuthResult.PERMERROR, f"{answer.question} is void lookup {self.voids}, {MOST_VOIDS} are allowed")

    def _expand(self, term: Term, domain: str, free: bool = False) -> str:
        self.by_local = self.by_local or (not free and not _LOCAL.isdisjoint(term.macros))
        return expand_name(term.spec, domain, self.client, lambda: self._validated_name(domain, free)) if term.spec else domain

    def _validated(self, free: bool = False) -> list[str]:
        """The names of the client that lead back to it (section 5.5): errors only make names drop out. `free`: nothing is counted any more,
        the result stands already."""
        pointers = self._pointers(free)
        answers = [(name, self.lookup.ask(name, self._forward)) for name in pointers]
        names = []
        for name, answer in answers:
            if not free:
                self.asked[answer.question] = answer.seconds
                self._count_void(answer)
            if any(address_number(text, self.client.bits) == self._number for text in answer.records):
                names.append(name)
        return names

    def _pointers(self, free: bool) -> Sequence[str]:
        answer = self.lookup.ask(self.client.reverse_name, RecordType.PTR) if free else self._ask(self.client.reverse_name, RecordType.PTR)
        if not free:
            self._count_void(answer)
        return answer.records[:MOST_POINTERS]

    def _validated_name(self, domain: str, free: bool) -> str:
        """%{p}: the domain itself, else one below it, else any (section 7.3)."""
        names = self._validated(free)
        domain = domain.lower()
        exact = [name for name in names if name.lower().rstrip(".") == domain]
        below_it = [name for name in names if below(name, domain)]
        return next(iter([*exact, *below_it, *names]), UNKNOWN_NAME).rstrip(".")


def well_formed(domain: str) -> bool:
    """A name of several labels that can be asked for (section 4.3); no address literal."""
    labels = domain.removesuffix(".").split(".")
    return (
        len(labels) > 1
        and len(domain) <= 254
        and all(0 < len(label) <= 63 for label in labels)
        and not domain.startswith("[")
        and domain.isascii()
    )


def selected(answer: Answer) -> list[str]:
    """The SPF records among the texts (section 4.5)."""
    return [text for text in answer.records if is_spf(text)]


def exchanges(answer: Answer) -> list[str]:
    """The hosts of an MX answer, the most preferred first; a null MX names none."""
    pairs = []
    for record in answer.records:
        try:
            pairs.append(mx_of(record))
        except ValueError:
            continue
    return [host for _, host in sorted(pairs) if host not in ("", ".")]


def below(name: str, domain: str) -> bool:
    name = name.lower().rstrip(".")
    return name == domain or name.endswith("." + domain)


def within(number: int, base: int, prefix: int, bits: int) -> bool:
    return number >> (bits - prefix) == base >> (bits - prefix)


@lru_cache(maxsize=4096)
def address_number(text: str, bits: int) -> int:
    """An address as a number; -1 when it is none of this family."""
    try:
        return int(IPv4Address(text) if bits == 32 else IPv6Address(text))
    except AddressValueError:
        return -1
