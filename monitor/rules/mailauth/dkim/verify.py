"""Verification of one signature against the key records that there are (RFC 6376 section 6.1)."""

from __future__ import annotations

from dataclasses import replace

from monitor.model.dns import Answer, Outcome, RecordType
from monitor.model.mailauth import BodyHash, Signature, SignatureProof, SignatureState
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dkim.key import SHORTEST, Key, read_key
from monitor.rules.mailauth.dkim.signature import KNOWN

MOST_KEYS = 5  # records at one selector that are tried
_RIGHT_KEY = (
    SignatureState.PASS,
    SignatureState.UNREAD,
    SignatureState.BODY_ALTERED,
)  # all come after the key has matched, if it can be told


def verify(signature: Signature, lookup: Lookup, now: float) -> SignatureProof:
    """What became of one signature. While the lookup is not complete the result is provisional (temperror). `now`: seconds since the
    epoch, for x=. What is asked first is what no key could mend: form, algorithm, time."""
    if signature.fault:
        return _proof(signature, SignatureState.MALFORMED, signature.fault)
    if signature.algorithm not in KNOWN:
        return _proof(signature, SignatureState.MALFORMED, "a= names an algorithm that receivers do not know")
    answer = lookup.ask(key_name(signature.domain, signature.selector), RecordType.TXT)
    if signature.algorithm == "rsa-sha1":
        return _proof(signature, SignatureState.WEAK, "rsa-sha1 must not be accepted (RFC 8301)")
    if signature.expires is not None and signature.expires <= now:
        return _proof(signature, SignatureState.EXPIRED, f"x= passed {now - signature.expires:.0f} s before")
    return _by_answer(signature, answer)


def key_name(domain: str, selector: str) -> str:
    """Where the key record stands."""
    return f"{selector}._domainkey.{domain}"


def _by_answer(signature: Signature, answer: Answer) -> SignatureProof:
    name = answer.question.name
    match answer.outcome:
        case Outcome.FAILED:
            why = f"{name}: {answer.failure.value if answer.failure else 'no answer'} {answer.detail}".rstrip()
            return _proof(signature, SignatureState.TEMPERROR, why)
        case Outcome.NXDOMAIN:
            return _proof(signature, SignatureState.NO_KEY, f"{name} does not exist")
        case Outcome.NODATA:
            return _proof(signature, SignatureState.NO_KEY, f"{name} has no TXT record")
        case Outcome.FOUND:
            return _by_records(signature, answer.records)


def _by_records(signature: Signature, records: tuple[str, ...]) -> SignatureProof:
    """Of several records, which the zone should not have (section 3.6.2.2), the one that the signature was made with counts."""
    if len(records) == 1:
        return _by_key(signature, read_key(records[0]))
    seen = f"{len(records)} TXT records stand at the selector"
    number = made_with(signature, tuple(map(read_key, records[:MOST_KEYS])))
    if number is None:
        return _proof(signature, SignatureState.KEY_UNUSABLE, f"{seen}; none of them verifies")
    proof = _by_key(signature, read_key(records[number]))
    why = "verifies" if proof.state is SignatureState.PASS else f"is the key; {proof.why}"
    return replace(proof, why=f"{seen}; number {number + 1} of them {why}")


def made_with(signature: Signature, keys: tuple[Key, ...]) -> int | None:
    """Which of several keys the signature was made with; None when it is none of them."""
    states = [judged(signature, key)[0] for key in keys[:MOST_KEYS]]
    return next((states.index(state) for state in _RIGHT_KEY if state in states), None)


def _by_key(signature: Signature, key: Key) -> SignatureProof:
    state, why = judged(signature, key)
    return SignatureProof(signature.domain, signature.selector, signature.algorithm, state, why, key.bits, key.testing)


def judged(signature: Signature, key: Key) -> tuple[SignatureState, str]:
    if key.revoked:
        return SignatureState.REVOKED, "the key is revoked (p= is empty)"
    if key.fault or key.public is None:
        return SignatureState.KEY_UNUSABLE, key.fault
    if forbidden := restriction(signature, key):
        return SignatureState.KEY_UNUSABLE, forbidden
    if key.kind == "rsa" and key.bits < SHORTEST:
        return SignatureState.WEAK, f"the RSA key has {key.bits} bits; {SHORTEST} is the least that receivers may accept (RFC 8301)"
    if not signature.digest:
        return SignatureState.UNREAD, "the header of the message was not read whole"
    if not _matches(signature, key):
        return SignatureState.HEADER_ALTERED, "a signed header field was altered, or another key has signed"
    if signature.body is BodyHash.UNREAD:
        return SignatureState.UNREAD, "the message is bigger than what was read of it"
    if signature.body is BodyHash.ALTERED:
        return SignatureState.BODY_ALTERED, "the body is not the one that was signed"
    return SignatureState.PASS, ""


def restriction(signature: Signature, key: Key) -> str:
    """Why the key record forbids this signature; empty when it does not."""
    if not signature.algorithm.startswith(f"{key.kind}-"):
        return f"the key is {key.kind}, the signature {signature.algorithm}"
    if not key.allows(signature.algorithm):
        return f"h= of the key allows only {', '.join(key.hashes)}"[:200]
    if not key.for_mail:
        return "s= of the key is not for mail"
    if key.strict and signature.identity.rpartition("@")[2].lower() != signature.domain:
        return "t=s of the key wants i= to be exactly d="
    return ""


def _matches(signature: Signature, key: Key) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - slow to import: see key.py
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        if isinstance(key.public, Ed25519PublicKey):
            key.public.verify(signature.value, signature.digest)  # PureEdDSA over the SHA-256 (RFC 8463 section 3)
        elif key.public is not None:
            key.public.verify(signature.value, signature.digest, PKCS1v15(), Prehashed(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return key.public is not None


def _proof(signature: Signature, state: SignatureState, why: str) -> SignatureProof:
    return SignatureProof(signature.domain, signature.selector, signature.algorithm, state, why)
