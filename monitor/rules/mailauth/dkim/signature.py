"""DKIM-Signature, ARC-Message-Signature and ARC-Seal fields: their tags, and the digests that their signatures are of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model.mailauth import BodyHash, Signature
from monitor.rules.mailauth.dkim import canonical, tags
from monitor.rules.mailauth.dkim.canonical import Field
from monitor.rules.mailauth.dkim.tags import TagFault

MOST_SIGNATURES = 10  # that are evaluated
KNOWN = ("rsa-sha256", "ed25519-sha256", "rsa-sha1")
MOST_HEADERS = 200  # names of h= that are kept for the checks; all count for the digest
MAX_SIGNATURE = 2048  # bytes of b=, an RSA key of 16384 bits
_SHOWN = 100  # characters of a malformed value that are kept


class Kind(StrEnum):
    """The fields that bear a signature, by their names."""

    DKIM = "dkim-signature"
    ARC_MESSAGE = "arc-message-signature"
    ARC_SEAL = "arc-seal"


_REQUIRED = {
    Kind.DKIM: ("v", "a", "b", "bh", "d", "h", "s"),
    Kind.ARC_MESSAGE: ("a", "b", "bh", "d", "h", "s"),
    Kind.ARC_SEAL: ("a", "b", "cv", "d", "s"),
}


@dataclass(slots=True)
class Content:
    """What signatures are compared with: the fields and the body of one message. Each canonical form of the body is made once.
    `header_cut`: there are more fields than these, so that no digest of them says anything."""

    fields: Sequence[Field]
    body: bytes
    truncated: bool = False
    header_cut: bool = False
    _bodies: dict[bool, bytes] = field(default_factory=dict)
    _hashes: dict[tuple[bool, int | None], bytes] = field(default_factory=dict)

    def length(self, relaxed: bool) -> int:
        return len(self._canonical(relaxed))

    def hash(self, relaxed: bool, length: int | None) -> bytes:
        """SHA-256 of the canonical body, or of its first `length` octets."""
        if length is not None and length >= self.length(relaxed):
            length = None
        key = (relaxed, length)
        if key not in self._hashes:
            whole = memoryview(self._canonical(relaxed))
            self._hashes[key] = hashlib.sha256(whole if length is None else whole[:length]).digest()
        return self._hashes[key]

    def _canonical(self, relaxed: bool) -> bytes:
        if relaxed not in self._bodies:
            self._bodies[relaxed] = canonical.body(self.body, relaxed)
        return self._bodies[relaxed]


@dataclass(slots=True)
class _Draft:
    """What could be read of a field so far; the first fault counts, the rest is still read."""

    found: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    def complain(self, fault: str) -> None:
        self.fault = self.fault or fault

    def number(self, name: str) -> int | None:
        if name not in self.found:
            return None
        try:
            return tags.number(name, self.found[name])
        except TagFault as fault:
            self.complain(str(fault))
            return None

    def bytes(self, name: str) -> bytes:
        try:
            return tags.decoded(name, self.found.get(name, ""))
        except TagFault as fault:
            self.complain(str(fault))
            return b""

    def host(self, name: str) -> str:
        value = self.found.get(name, "")
        try:
            return tags.host(name, value)
        except TagFault as fault:
            self.complain(str(fault))
            return tags.unwhite(value)[:_SHOWN].lower()


def parse_signatures(content: Content) -> tuple[tuple[Signature, ...], int]:
    """The DKIM signatures of a message, topmost first, and how many beyond the bound were left alone."""
    found = [one for one in content.fields if one.name == Kind.DKIM]
    return tuple(read_signature(one, Kind.DKIM, content) for one in found[:MOST_SIGNATURES]), max(0, len(found) - MOST_SIGNATURES)


def read_signature(one: Field, kind: Kind, content: Content | None) -> Signature:
    """One field. Without `content` only the tags are read. Never raises."""
    draft = _draft(one, kind)
    found = draft.found
    algorithm = tags.unwhite(found.get("a", ""))[:_SHOWN].lower()
    if "a" in found and algorithm not in KNOWN:
        draft.complain("a= names an algorithm that receivers do not know")
    domain, selector = draft.host("d"), draft.host("s")
    headers = tuple(name.lower() for name in tags.items(found["h"])) if "h" in found else ()
    _check_headers(draft, kind, headers)
    header_form, body_form = _forms(draft, kind)
    identity = _identity(draft, kind, domain)
    signed_at, expires, length = draft.number("t"), draft.number("x"), draft.number("l")
    if signed_at is not None and expires is not None and expires < signed_at:
        draft.complain("x= lies before t=")
    queries = tags.items(found["q"].lower()) if "q" in found else ("dns/txt",)
    if "dns/txt" not in queries:
        draft.complain("q= does not name dns/txt")
    value = draft.bytes("b")
    if not 0 < len(value) <= MAX_SIGNATURE:
        draft.complain("b= is too long" if value else "b= is empty")
        value = b""
    wanted = draft.bytes("bh") if kind is not Kind.ARC_SEAL else b""
    body, body_length, digest = BodyHash.MATCHES, 0, b""
    if content is not None and kind is not Kind.ARC_SEAL:
        relaxed = body_form == "relaxed"
        body_length = content.length(relaxed)
        body = _body(content, relaxed, length, wanted)
        if not content.header_cut:
            digest = _digest(one, content.fields, headers, header_form == "relaxed")
    return Signature(
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        value=value,
        digest=digest,
        body=body,
        canonicalization=f"{header_form}/{body_form}",
        identity=identity,
        headers=headers[:MOST_HEADERS],
        queries=queries,
        signed_at=signed_at,
        expires=expires,
        length=length,
        body_length=body_length,
        fault=draft.fault,
    )


def _draft(one: Field, kind: Kind) -> _Draft:
    if len(one.raw) > canonical.MAX_VALUE:
        return _Draft(fault=f"longer than {canonical.MAX_VALUE} bytes")
    if not one.value.isascii():
        return _Draft(fault="has other characters than ASCII")
    draft = _Draft(*tags.tags(one.value.decode("ascii")))
    missing = [name for name in _REQUIRED[kind] if name not in draft.found]
    if missing:
        draft.complain(f"{missing[0]}= is missing")
    if kind is Kind.DKIM and draft.found.get("v", "1") != "1":
        draft.complain("v= is not 1")
    return draft


def _check_headers(draft: _Draft, kind: Kind, headers: tuple[str, ...]) -> None:
    if kind is Kind.ARC_SEAL:
        if "h" in draft.found:
            draft.complain("a seal has no h=")
        return
    if "h" not in draft.found:
        return
    if "" in headers:
        draft.complain("h= has an empty name")
    elif "from" not in headers:
        draft.complain("h= does not cover From")
    elif kind is Kind.ARC_MESSAGE and "arc-seal" in headers:
        draft.complain("h= covers ARC-Seal")


def _forms(draft: _Draft, kind: Kind) -> tuple[str, str]:
    """(header, body) of c=; a seal is always relaxed (RFC 8617 section 5.1.1)."""
    if kind is Kind.ARC_SEAL:
        return "relaxed", "relaxed"
    header, _, body = tags.unwhite(draft.found.get("c", "simple")).lower().partition("/")
    body = body or "simple"
    if header not in ("simple", "relaxed") or body not in ("simple", "relaxed"):
        draft.complain("c= is neither simple nor relaxed")
        return "simple", "simple"
    return header, body


def _identity(draft: _Draft, kind: Kind, domain: str) -> str:
    """i=, which in an ARC field is the number of the set."""
    if kind is not Kind.DKIM or "i" not in draft.found:
        return f"@{domain}"
    identity = tags.unquoted(draft.found["i"])
    below = identity.rpartition("@")[2].lower().removesuffix(".")
    if "@" not in identity:
        draft.complain("i= has no @")
    elif below != domain and not below.endswith(f".{domain}"):
        draft.complain("i= is not below d=")
    return f"@{below[: 2 * _SHOWN]}"


def _body(content: Content, relaxed: bool, length: int | None, wanted: bytes) -> BodyHash:
    if content.truncated:
        return BodyHash.UNREAD
    if length is not None and length > content.length(relaxed):
        return BodyHash.ALTERED  # there was more when it was signed
    return BodyHash.MATCHES if content.hash(relaxed, length) == wanted else BodyHash.ALTERED


def _digest(one: Field, fields: Sequence[Field], headers: Sequence[str], relaxed: bool) -> bytes:
    """SHA-256 of the canonical signed header data (RFC 6376 section 3.7)."""
    digest = hashlib.sha256()
    # The field itself is no part of what h= can name.
    for chosen in canonical.selected([other for other in fields if other is not one], headers):
        digest.update(canonical.field(chosen.raw, chosen.colon, relaxed))
        digest.update(b"\r\n")
    bare = canonical.unsigned(one.raw, one.colon)
    digest.update(canonical.field(bare, one.colon, relaxed))
    return digest.digest()
