"""DKIM as the lab's relay signs and its receivers verify (RFC 6376): rsa-sha256, relaxed/relaxed, nothing else."""

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SELECTOR = "lab1"
MAX_SIGNATURES = 10  # of one message that a receiver looks at
_ALWAYS = (b"from", b"to", b"subject", b"date")  # once more than they are there, so that nobody adds another (section 8.15)
_IF_PRESENT = (b"message-id", b"mime-version", b"content-type", b"content-transfer-encoding", b"reply-to", b"auto-submitted")
_BLANKS = re.compile(rb"[ \t]+")
_TRAILING = re.compile(rb"[ \t]+(?=\r\n)")
_VALUE = re.compile(rb"(;[ \t\r\n]*b[ \t]*=)[^;]*")


@functools.cache
def key() -> rsa.RSAPrivateKey:
    """The lab's key, made when it is first needed: each lab of a process has the same."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def key_record() -> str:
    """What stands in the zone for that key."""
    der = key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode('ascii')}"


def sign(raw: bytes, domain: str, selector: str, now: int) -> bytes:
    """The DKIM-Signature field with its line end. `now`: seconds since the epoch."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = list(_fields(head))
    present = {name for name, _ in fields}
    signed = [name for name in (*_ALWAYS, *_IF_PRESENT) if name in present]
    signed += _ALWAYS
    field = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n"
        f"\tt={now}; h={':'.join(name.decode('ascii') for name in signed)};\r\n"
        f"\tbh={_body_hash(body)};\r\n\tb="
    ).encode("ascii")
    value = key().sign(_signed_data(fields, signed, field), padding.PKCS1v15(), hashes.SHA256())
    return field + base64.b64encode(value) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a receiver found of one signature: pass, fail, permerror or temperror."""

    result: str
    domain: str
    selector: str


def verify(raw: bytes, key_of: Callable[[str], str | None]) -> list[Checked]:
    """Each signature, topmost first. `key_of` gives the record of a name, empty where there is none, None where nobody can tell."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = list(_fields(head))
    return [_checked(fields, field, body, key_of) for name, field in fields if name == b"dkim-signature"][:MAX_SIGNATURES]


def _checked(fields: list[tuple[bytes, bytes]], field: bytes, body: bytes, key_of: Callable[[str], str | None]) -> Checked:
    tags = _tags(field.partition(b":")[2].decode("latin-1"))
    domain, selector = tags.get("d", "").lower(), tags.get("s", "")
    result = "permerror"
    record = key_of(f"{selector}._domainkey.{domain}") if domain and selector else ""
    if record is None:
        result = "temperror"
    elif record and tags.get("a") == "rsa-sha256" and tags.get("c") == "relaxed/relaxed":
        names = [name.strip().lower().encode("latin-1") for name in tags.get("h", "").split(":")]
        try:
            public = _public(record)
            data = _signed_data([known for known in fields if known[1] is not field], names, _VALUE.sub(rb"\1", field))
            public.verify(base64.b64decode(tags.get("b", "")), data, padding.PKCS1v15(), hashes.SHA256())
            result = "pass" if tags.get("bh") == _body_hash(body) else "fail"
        except InvalidSignature:
            result = "fail"
        except (ValueError, binascii.Error):
            result = "permerror"
    return Checked(result, domain, selector)


@functools.lru_cache(maxsize=64)
def _public(record: str) -> rsa.RSAPublicKey:
    """Raises ValueError."""
    found = serialization.load_der_public_key(base64.b64decode(_tags(record).get("p", "")))
    if not isinstance(found, rsa.RSAPublicKey):
        raise ValueError("no RSA key")  # noqa: TRY004 - of what stands in the zone
    return found


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, found, value in pairs if found}


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name in lower case, the whole field without its line end)."""
    for field in re.split(rb"\r\n(?![ \t])", head):
        if b":" in field:
            yield field.partition(b":")[0].strip().lower(), field


def _signed_data(fields: list[tuple[bytes, bytes]], names: list[bytes], signature: bytes) -> bytes:
    """Of several fields of a name the lowest is signed first (section 5.4.2); a name that is used up adds nothing."""
    left: dict[bytes, list[bytes]] = {}
    for name, field in fields:
        left.setdefault(name, []).append(field)
    chosen = [left[name].pop() for name in names if left.get(name)]
    return b"".join(_relaxed(field) + b"\r\n" for field in chosen) + _relaxed(signature)


def _relaxed(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip()


def _body_hash(body: bytes) -> str:
    text = _TRAILING.sub(b"", _BLANKS.sub(b" ", body)).rstrip(b"\r\n")
    return base64.b64encode(hashlib.sha256(text + b"\r\n" if text else b"").digest()).decode("ascii")
