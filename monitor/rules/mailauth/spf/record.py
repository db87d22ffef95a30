"""An SPF record in terms (RFC 7208 sections 4.6.1, 7.1 and 12): strict, and yet a record with faults keeps what is valid of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

MOST_TERMS = 1_000  # of one record; the terms beyond are one fault. What fits into 64 KiB and is no attack has fewer

_SPF = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_SENDER_ID = re.compile(r"spf2\.\d/", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)\Z", re.DOTALL)
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z0-9._-]+)([:/].*)?\Z", re.DOTALL)
_CIDR = r"(0|[1-9][0-9]{0,2})"
_DUAL = re.compile(rf"(?:/{_CIDR})?(?://{_CIDR})?\Z")
_SINGLE = re.compile(rf"/{_CIDR}\Z")
_MACRO = re.compile(r"%(?:\{([A-Za-z])([0-9]*)([rR]?)([-.+,/_=]*)\}|([%_-]))")
_TOP = re.compile(r"\.([A-Za-z0-9-]+)\.?\Z")
_LETTERS = frozenset("slodiphv")
_IN_TEXTS = frozenset("crt")  # only in explanations (section 7.2)
_SAID = {"%": "%", "_": " ", "-": "%20"}


class Kind(StrEnum):
    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"
    REDIRECT = "redirect"
    EXP = "exp"
    OTHER = "other"  # an unknown modifier, which is ignored (section 6)
    FAULTY = "faulty"


ASKING: Final = frozenset({Kind.INCLUDE, Kind.A, Kind.MX, Kind.PTR, Kind.EXISTS, Kind.REDIRECT})  # what counts (section 4.6.4)
MODIFIERS: Final = frozenset({Kind.REDIRECT, Kind.EXP, Kind.OTHER})


class Malformed(Exception):
    """A term, or a text with macros, that the grammar does not allow; says why."""


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{ir-}`: the letter in lower case; `keep`: how many parts from the right, 0 all."""

    letter: str
    keep: int = 0
    reverse: bool = False
    delimiters: str = "."
    escape: bool = False


Spec = tuple["str | Macro", ...]  # a macro-string


@dataclass(frozen=True, slots=True)
class Term:
    """`spec`: the domain-spec, empty: the domain itself; `base` and `prefix4` or `prefix6`: the network of ip4 and ip6."""

    text: str  # as it stands in the record
    kind: Kind
    qualifier: str = "+"
    spec: Spec = ()
    prefix4: int = 32
    prefix6: int = 128
    base: int = 0
    fault: str = ""

    @property
    def macros(self) -> str:
        """The letters of its macros."""
        return "".join(part.letter for part in self.spec if isinstance(part, Macro))


@dataclass(frozen=True, slots=True)
class Record:
    """`terms` as they stand. `mechanisms`: those that are valid, up to and with the first `all`; `redirect`: None also where an `all` makes
    it void (section 6.1)."""

    text: str
    terms: tuple[Term, ...]
    mechanisms: tuple[Term, ...]
    redirect: Term | None
    exp: Term | None
    policy: Term | None  # the first `all`
    dead: tuple[Term, ...]  # after `all`, and a redirect beside it
    asking_at: tuple[int, ...]  # where in `terms` the mechanisms and the redirect stand that ask the DNS
    fault: str = ""  # of the first faulty term: the record is a permanent error

    @property
    def asking(self) -> tuple[Term, ...]:
        return tuple(self.terms[at] for at in self.asking_at)


def is_spf(text: str) -> bool:
    """It is selected (section 4.5)."""
    return _SPF.match(text) is not None


def is_sender_id(text: str) -> bool:
    """A record of Sender ID (RFC 4406), which nobody evaluates any more."""
    return _SENDER_ID.match(text) is not None


@lru_cache(maxsize=256)
def parse(text: str) -> Record:
    """A record that is_spf(). Never raises: what the grammar does not allow is a faulty term."""
    words = [word for word in text[6:].split(" ") if word]
    terms = [_term(word) for word in words[:MOST_TERMS]]
    if len(words) > MOST_TERMS:
        terms.append(Term("", Kind.FAULTY, fault=f"more than {MOST_TERMS} terms"))
    terms = _once_each(terms)
    first_all = next((at for at, term in enumerate(terms) if term.kind is Kind.ALL), len(terms))
    policy = terms[first_all] if first_all < len(terms) else None
    valid = [term for term in terms[: first_all + 1] if term.kind is not Kind.FAULTY and term.kind not in MODIFIERS]
    redirect = next((term for term in terms if term.kind is Kind.REDIRECT), None)
    late = [term for term in terms[first_all + 1 :] if term.kind is not Kind.FAULTY and term.kind not in MODIFIERS]
    return Record(
        text,
        tuple(terms),
        tuple(valid),
        redirect if policy is None else None,
        next((term for term in terms if term.kind is Kind.EXP), None),
        policy,
        (*late, *([redirect] if redirect is not None and policy is not None else [])),
        tuple(
            at
            for at, term in enumerate(terms)
            if term.kind in ASKING and (policy is None if term.kind is Kind.REDIRECT else at < first_all)
        ),
        next((term.fault for term in terms if term.fault), ""),
    )


def _once_each(terms: list[Term]) -> list[Term]:
    """A second redirect or exp is a fault (section 6)."""
    seen: set[Kind] = set()
    kept = []
    for term in terms:
        if term.kind in (Kind.REDIRECT, Kind.EXP):
            if term.kind in seen:
                term = Term(term.text, Kind.FAULTY, fault=f"{term.kind.value}= stands there twice")
            seen.add(term.kind)
        kept.append(term)
    return kept


def _term(text: str) -> Term:
    if not all("!" <= char <= "~" for char in text):
        return Term(text, Kind.FAULTY, fault=f"{text[:80]}: a character that is not printable ASCII")
    try:
        if modifier := _MODIFIER.match(text):
            return _modifier(text, modifier[1].lower(), modifier[2])
        if mechanism := _MECHANISM.match(text):
            return _mechanism(text, mechanism[1] or "+", mechanism[2].lower(), mechanism[3] or "")
    except Malformed as error:
        return Term(text, Kind.FAULTY, fault=f"{text[:80]}: {error}")
    return Term(text, Kind.FAULTY, fault=f"{text[:80]}: neither mechanism nor modifier")


def _modifier(text: str, name: str, value: str) -> Term:
    match name:
        case "redirect":
            return Term(text, Kind.REDIRECT, spec=domain_spec(value))
        case "exp":
            return Term(text, Kind.EXP, spec=domain_spec(value))
        case _:
            macro_string(value, explaining=True)
            return Term(text, Kind.OTHER)


def _mechanism(text: str, qualifier: str, name: str, rest: str) -> Term:
    match name:
        case "all":
            if rest:
                raise Malformed("all takes no argument")
            return Term(text, Kind.ALL, qualifier)
        case "ip4":
            base, prefix = _network(rest, 32)
            return Term(text, Kind.IP4, qualifier, prefix4=prefix, base=base)
        case "ip6":
            base, prefix = _network(rest, 128)
            return Term(text, Kind.IP6, qualifier, prefix6=prefix, base=base)
        case "include" | "exists":
            if not rest.startswith(":"):
                raise Malformed(f"{name} needs a domain: {name}:example.com")
            return Term(text, Kind(name), qualifier, domain_spec(rest[1:]))
        case "ptr":
            if rest and not rest.startswith(":"):
                raise Malformed("ptr takes no prefix length")
            return Term(text, Kind.PTR, qualifier, domain_spec(rest[1:]) if rest else ())
        case "a" | "mx":
            spec, prefix4, prefix6 = _dual(rest)
            return Term(text, Kind(name), qualifier, spec, prefix4, prefix6)
        case _:
            raise Malformed(_unknown(name))


def _unknown(name: str) -> str:
    if name in ("ip", "ipv4", "ipv6"):
        return f"there is no mechanism {name}: ip4 or ip6 is meant"
    if name in ("redirect", "exp"):
        return f"{name} is a modifier: {name}=example.com"
    return f"there is no mechanism {name[:40]}"


def _dual(rest: str) -> tuple[Spec, int, int]:
    """[":" domain-spec] [dual-cidr-length]; the prefix lengths are the last of what may be them, for a domain-spec may have slashes."""
    body, prefix4, prefix6 = rest, 32, 128
    start = max(0, len(rest) - 9)  # /128//128 is the longest
    for at in range(start, len(rest)):
        if found := _DUAL.match(rest, at):
            body, prefix4, prefix6 = rest[:at], int(found[1] or 32), int(found[2] or 128)
            break
    if prefix4 > 32 or prefix6 > 128:
        raise Malformed("a prefix length beyond /32 or //128")
    if body and not body.startswith(":"):
        raise Malformed("after a and mx comes : and a domain, or a prefix length like /24 or //64")
    return (domain_spec(body[1:]) if body else ()), prefix4, prefix6


def _network(rest: str, bits: int) -> tuple[int, int]:
    """The first address as a number, and the prefix length."""
    name = "ip4" if bits == 32 else "ip6"
    if not rest.startswith(":"):
        raise Malformed(f"{name} needs a network")
    address, prefix = rest[1:], bits
    if found := _SINGLE.search(rest, max(0, len(rest) - 4)):
        address, prefix = rest[1 : found.start()], int(found[1])
    if prefix > bits:
        raise Malformed(f"a prefix length beyond /{bits}")
    try:
        if "%" in address or "/" in address:
            raise AddressValueError(address)  # noqa: TRY301
        number = int(IPv4Address(address) if bits == 32 else IPv6Address(address))
    except AddressValueError:
        raise Malformed(f"no IPv{'4' if bits == 32 else '6'} network") from None
    return number >> (bits - prefix) << (bits - prefix), prefix


def domain_spec(text: str) -> Spec:
    """A macro-string that ends with a macro or with a dot and a top label (section 7.1). Raises Malformed."""
    spec = macro_string(text)
    if not text:
        raise Malformed("the domain is missing")
    end = max((found.end() for found in _MACRO.finditer(text)), default=0)
    if end == len(text):
        return spec
    top = _TOP.search(text, end)
    if top is None:
        raise Malformed("no full domain name")
    if top[1].isdigit():
        raise Malformed("a top label is never a number; an address goes into ip4: or ip6:")
    if top[1].startswith("-") or top[1].endswith("-"):
        raise Malformed("a top label neither begins nor ends with a hyphen")
    return spec


@lru_cache(maxsize=256)
def macro_string(text: str, explaining: bool = False) -> Spec:
    """The literals and macros of a text. `explaining`: of an explanation, where c, r and t are allowed, and spaces. Raises Malformed."""
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        here = text.find("%", at)
        here = len(text) if here < 0 else here
        if here > at:
            parts.append(text[at:here])
        if here == len(text):
            break
        found = _MACRO.match(text, here)
        if found is None:
            raise Malformed("% begins no macro: %% is a percent sign")
        parts.append(_SAID[found[5]] if found[5] else _macro(found, explaining))
        at = found.end()
    return tuple(parts)


def _macro(found: re.Match[str], explaining: bool) -> Macro:
    letter, digits = found[1].lower(), found[2].lstrip("0")
    if letter not in _LETTERS and not (explaining and letter in _IN_TEXTS):
        raise Malformed(f"%{{{found[1]}}} is no macro" + (" outside of an explanation" if letter in _IN_TEXTS else ""))
    if found[2] and not digits:
        raise Malformed("a macro that keeps 0 parts")
    keep = int(digits) if 0 < len(digits) < 4 else 999 if digits else 0
    return Macro(letter, keep, bool(found[3]), "".join(dict.fromkeys(found[4])) or ".", found[1].isupper())
