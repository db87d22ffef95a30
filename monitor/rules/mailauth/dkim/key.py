"""DKIM key records (RFC 6376 section 3.6.1, RFC 8301, RFC 8463)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from monitor.rules.mailauth.dkim import tags
from monitor.rules.mailauth.dkim.tags import TagFault

if TYPE_CHECKING:  # cryptography is imported at the first key: mail is sighted, and probes are sent, without it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SHORTEST = 1024  # bits of an RSA key that verifiers may accept (RFC 8301 section 3.2)
LONGEST = 16384  # bits that we verify with
ED25519_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """One key record. `fault`: why nothing can be verified with it, in plain words; empty for a good one and for a revoked one."""

    kind: str = "rsa"  # k=
    public: RSAPublicKey | Ed25519PublicKey | None = field(default=None, repr=False, compare=False)
    bits: int = 0  # of an RSA modulus; 256 for ed25519
    hashes: tuple[str, ...] = ()  # h=; empty: all
    services: tuple[str, ...] = ("*",)  # s=
    testing: bool = False  # t=y
    strict: bool = False  # t=s
    revoked: bool = False  # p= is empty
    digest: str = ""  # SHA-256 of the decoded p=, hexadecimal
    modulus: str = ""  # SHA-256 of the RSA modulus, or of the ed25519 key: the same for every way to write it
    fault: str = ""

    @property
    def for_mail(self) -> bool:
        return "*" in self.services or "email" in self.services

    def allows(self, algorithm: str) -> bool:
        """Its h= does not forbid the hash of this a=."""
        return not self.hashes or algorithm.rpartition("-")[2] in self.hashes


@lru_cache(maxsize=256)
def read_key(text: str) -> Key:
    """One TXT record at a selector. Never raises; unknown tags, g= and n= among them, are ignored."""
    found, bad_list = tags.tags(text)
    if bad_list:
        return Key(fault=bad_list)
    kind = tags.unwhite(found.get("k", "rsa")).lower()[:40]
    about = Key(
        kind=kind,
        hashes=tuple(name.lower() for name in tags.items(found["h"])) if "h" in found else (),
        services=tuple(name.lower() for name in tags.items(found["s"])) if "s" in found else ("*",),
        testing="y" in _flags(found),
        strict="s" in _flags(found),
    )
    if fault_of_form := _form(found):
        return replace(about, fault=fault_of_form)
    try:
        data = tags.decoded("p", found["p"])
    except TagFault as fault:
        return replace(about, fault=str(fault))
    if not data:
        return replace(about, revoked=True)
    digest = hashlib.sha256(data).hexdigest()
    match kind:
        case "rsa":
            return _rsa(about, data, digest)
        case "ed25519":
            return _ed25519(about, data, digest)
        case _:
            return replace(about, digest=digest, fault=f"k={kind} is no kind of key that receivers know")


def _form(found: dict[str, str]) -> str:
    if "v" in found and next(iter(found)) != "v":
        return "v= is not the first tag"
    if found.get("v", "DKIM1") != "DKIM1":
        return "v= is not DKIM1"
    return "" if "p" in found else "p= is missing"


def _flags(found: dict[str, str]) -> tuple[str, ...]:
    return tuple(flag.lower() for flag in tags.items(found.get("t", "")))


def _rsa(about: Key, data: bytes, digest: str) -> Key:
    """SubjectPublicKeyInfo, or the bare RSAPublicKey that some publish (RFC 6376 section 3.6.1 names that one)."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        public = load_der_public_key(data) if len(data) <= LONGEST // 8 + 100 else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return replace(about, digest=digest, fault="p= is no RSA public key")
    if public is None:
        return replace(about, digest=digest, fault=f"the RSA key has more than {LONGEST} bits")
    if not isinstance(public, RSAPublicKey):
        return replace(about, digest=digest, fault="p= is a public key, but no RSA one")
    numbers = public.public_numbers()
    modulus = hashlib.sha256(numbers.n.to_bytes((public.key_size + 7) // 8, "big")).hexdigest()
    fault = ""
    if numbers.n % 2 == 0:
        fault = "the modulus of the RSA key is even"
    elif numbers.e < 3 or numbers.e % 2 == 0:
        fault = "the exponent of the RSA key is no odd number from 3"
    return replace(about, public=None if fault else public, bits=public.key_size, digest=digest, modulus=modulus, fault=fault)


def _ed25519(about: Key, data: bytes, digest: str) -> Key:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - see above

    if len(data) != ED25519_BYTES:
        return replace(about, digest=digest, fault=f"an ed25519 key has {ED25519_BYTES} bytes, this has {len(data)}")
    return replace(about, public=Ed25519PublicKey.from_public_bytes(data), bits=8 * ED25519_BYTES, digest=digest, modulus=digest)
