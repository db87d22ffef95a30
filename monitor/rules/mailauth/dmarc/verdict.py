"""Does a message meet the DMARC policy of its author domain (RFC 9989 sections 4.4, 5.3): one that passed has to be aligned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitor.model.mail import AuthResult
from monitor.model.mailauth import DmarcProof
from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc.discover import Discovery, discover, shadow_discover, walk
from monitor.rules.mailauth.dmarc.record import Record

Related = Callable[[str, str], bool | None]
"""Do two domains have the same organizational domain; None: it could not be found out."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a message was authenticated as. `unsure`: domains of signatures that could not be verified this time; `incomplete`: why the
    message may bear more than what we read of it."""

    spf: AuthResult = AuthResult.ABSENT
    spf_domain: str = ""
    dkim: tuple[str, ...] = ()  # d= of the signatures that pass
    unsure: tuple[str, ...] = ()
    incomplete: str = ""


def evaluate(lookup: Lookup, author_domains: Iterable[str], said: Identifiers) -> DmarcProof:
    """By the tree walk (RFC 9989)."""
    return _judged(author_domains, said, lambda domain: discover(lookup, domain), lambda one, other: _related(lookup, one, other))


def shadow_evaluate(lookup: Lookup, author_domains: Iterable[str], said: Identifiers, suffixes: SuffixList) -> DmarcProof:
    """By the public suffix list (RFC 7489)."""

    def related(one: str, other: str) -> bool:
        return (suffixes.registrable(one) or one) == (suffixes.registrable(other) or other)

    return _judged(author_domains, said, lambda domain: shadow_discover(lookup, domain, suffixes), related)


def aligned(lookup: Lookup, one: str, other: str, strict: bool = False) -> bool | None:
    """Are two domains aligned: identical, or, relaxed, with the same organizational domain by the tree walk. None: it is not known."""
    return _aligned(one, other, strict, lambda left, right: _related(lookup, left, right))


def _related(lookup: Lookup, one: str, other: str) -> bool | None:
    if one.rpartition(".")[2] != other.rpartition(".")[2]:
        return False
    left, right = walk(lookup, one), walk(lookup, other)
    if left.unknown or right.unknown:
        return None
    return left.organizational == right.organizational


def _aligned(one: str, other: str, strict: bool, related: Related) -> bool | None:
    one, other = one.lower().rstrip("."), other.lower().rstrip(".")
    if not one or not other:
        return False
    if one == other:
        return True
    return False if strict else related(one, other)


def _judged(author_domains: Iterable[str], said: Identifiers, find: Callable[[str], Discovery], related: Related) -> DmarcProof:
    authors = tuple(dict.fromkeys(domain.lower().rstrip(".") for domain in author_domains))
    if not authors:
        if said.incomplete:
            return DmarcProof(AuthResult.TEMPERROR, why=f"the author domain is not known: {said.incomplete}")
        return DmarcProof(AuthResult.PERMERROR, why="there is no author domain: From is missing or names no address")
    if len(authors) > 1:
        return DmarcProof(AuthResult.PERMERROR, why=f"From has {len(authors)} author domains, and DMARC judges only one")
    found = find(authors[0])
    if found.record is None:
        result = AuthResult.TEMPERROR if found.unknown else AuthResult.NONE
        why = found.unknown or found.fault or f"no DMARC record applies to {found.domain}"
        return DmarcProof(result, found.at, found.organizational, why=why)
    return _met(found, found.record, said, related)


def _met(found: Discovery, record: Record, said: Identifiers, related: Related) -> DmarcProof:
    def by_spf(domain: str) -> bool | None:
        return _aligned(found.domain, domain, record.strict_spf, related)

    def by_dkim(domain: str) -> bool | None:
        return _aligned(found.domain, domain, record.strict_dkim, related)

    # All of them are asked before any is judged, so that their walks share one round.
    spf = by_spf(said.spf_domain)
    signed = [by_dkim(domain) for domain in said.dkim]
    perhaps = [by_dkim(domain) for domain in said.unsure]
    spf_aligned = said.spf is AuthResult.PASS and spf is True
    dkim_aligned = any(one is True for one in signed)
    doubt = _doubt(found, said, spf, signed, perhaps)
    if spf_aligned or dkim_aligned:
        result, why = AuthResult.PASS, _passed(said, spf_aligned, dkim_aligned)
        if found.unknown and found.at != found.domain:
            result, why = AuthResult.TEMPERROR, found.unknown
    elif doubt:
        result, why = AuthResult.TEMPERROR, doubt
    else:
        result, why = AuthResult.FAIL, _failed(found, said)
    return DmarcProof(result, found.at, found.organizational, found.applied, spf_aligned, dkim_aligned, why)


def _doubt(found: Discovery, said: Identifiers, spf: bool | None, signed: list[bool | None], perhaps: list[bool | None]) -> str:
    """Why a message that does not pass might pass all the same (section 5.3.6: nobody judges by what could not be asked)."""
    if found.unknown and found.at != found.domain:
        return found.unknown
    if said.spf is AuthResult.TEMPERROR and spf is not False:
        return f"SPF of {said.spf_domain} could not be evaluated"
    if said.spf is AuthResult.ABSENT and (spf is not False or not said.spf_domain):
        return "SPF is not known: the sending address or the envelope sender is not"
    if said.spf is AuthResult.PASS and spf is None:
        return f"whether {said.spf_domain} is aligned could not be found out"
    if any(one is None for one in signed) or any(one is not False for one in perhaps):
        return "a signature could not be verified, or its alignment could not be found out"
    return said.incomplete


def _passed(said: Identifiers, spf: bool, dkim: bool) -> str:
    parts = [f"SPF for {said.spf_domain}"] if spf else []
    if dkim:
        parts.append(f"DKIM for {', '.join(dict.fromkeys(said.dkim))}")
    return " and ".join(parts) + (" are aligned" if spf and dkim else " is aligned")


def _failed(found: Discovery, said: Identifiers) -> str:
    parts = []
    if said.spf is AuthResult.PASS:
        parts.append(f"SPF passes for {said.spf_domain}, which is not aligned with {found.domain}")
    else:
        parts.append(f"SPF says {said.spf.value}")
    if said.dkim:
        parts.append(f"DKIM passes for {', '.join(dict.fromkeys(said.dkim))}, which is not aligned with {found.domain}")
    else:
        parts.append("no signature passes")
    return "; ".join(parts)
