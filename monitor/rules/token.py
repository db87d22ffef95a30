"""The signed token that a probe bears: 25 bytes as 40 base32 characters, safe in headers, URLs and local parts.

    key number 1 | environment tag 2 | instance tag 2 | probe id 6 | route tag 2 | planned 4 | signature 8

Tags are truncated hashes of names. The signature covers a fixed prefix and all that stands before it in the token, and nothing else,
so that a token of another instance or environment which shares the key can be verified without knowing its names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from monitor.model.policy import KeyRing, SigningKey
from monitor.model.probe import ProbeId, Route

LENGTH = 40
MAX_FOUND = 20

_PREFIX = b"mailcanary probe token 1\0"
_SIGNED = 17  # bytes before the signature
_SIGNATURE = 8
_SHAPE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z2-7]{40}(?![A-Za-z0-9])")
_FOLD = re.compile(r"=\r?\n|\r?\n[ \t]+")  # a quoted-printable soft break; a header folded inside a word
_PROBE = re.compile(r"[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token with a good signature says."""

    probe: ProbeId
    route_tag: bytes
    planned: int  # seconds since the epoch
    key: int
    same_environment: bool
    same_instance: bool


def mint(keys: KeyRing, environment: str, instance: str, probe: ProbeId, route: Route, planned: int) -> str:
    """The token of a probe, signed with the first key. Raises ValueError for a probe id or a time that does not fit."""
    if not _PROBE.match(probe):
        raise ValueError(f"probe id {probe!r} is not 12 characters [0-9a-f]")
    key = keys.keys[0]
    signed = b"".join(
        (
            key.number.to_bytes(1, "big"),
            _tag(environment),
            _tag(instance),
            bytes.fromhex(probe),
            route_tag(route),
            (planned & 0xFFFFFFFF).to_bytes(4, "big"),
        )
    )
    return base64.b32encode(signed + _sign(key, signed)).decode("ascii").lower()


def find(text: str) -> tuple[str, ...]:
    """Token-shaped strings in lower case, in order, each once, at most MAX_FOUND; verified by nobody yet."""
    found: dict[str, None] = {}
    for variant in (text, _FOLD.sub("", text)) if "\n" in text else (text,):
        for shape in islice(_SHAPE.finditer(variant), MAX_FOUND * 10):
            found.setdefault(shape[0].lower())
            if len(found) == MAX_FOUND:
                return tuple(found)
    return tuple(found)


def verify(keys: KeyRing, environment: str, instance: str, token: str) -> Claim | None:
    """The claim of a token that one of our keys signed; None when it is forged or no token."""
    raw = _decode(token)
    if raw is None:
        return None
    signed, signature = raw[:_SIGNED], raw[_SIGNED:]
    good = False
    for key in keys.keys:
        if key.number == signed[0]:
            good |= hmac.compare_digest(_sign(key, signed), signature)
    if not good:
        return None
    same_environment = signed[1:3] == _tag(environment)
    return Claim(
        probe=ProbeId(signed[5:11].hex()),
        route_tag=signed[11:13],
        planned=int.from_bytes(signed[13:17], "big"),
        key=signed[0],
        same_environment=same_environment,
        same_instance=same_environment and signed[3:5] == _tag(instance),
    )


def names_our_key(keys: KeyRing, token: str) -> bool:
    """The token names a key of ours, whatever its signature is worth: chance text does so once in 256 times."""
    raw = _decode(token)
    return raw is not None and any(key.number == raw[0] for key in keys.keys)


def route_tag(route: Route) -> bytes:
    return _tag(f"{route.path}\0{route.mailbox}")


def first_verified(keys: KeyRing, environment: str, instance: str, tokens: Iterable[str]) -> tuple[str, Claim] | None:
    """The first of `tokens` whose signature is good, with its claim."""
    for token in tokens:
        if claim := verify(keys, environment, instance, token):
            return token, claim
    return None


def _decode(token: str) -> bytes | None:
    return base64.b32decode(token.upper()) if len(token) == LENGTH and _SHAPE.fullmatch(token) else None


def _tag(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:2]


def _sign(key: SigningKey, signed: bytes) -> bytes:
    return hmac.new(key.secret, _PREFIX + signed, hashlib.sha256).digest()[:_SIGNATURE]
