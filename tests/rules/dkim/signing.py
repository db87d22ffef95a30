"""A signer of DKIM and ARC for the tests: canonicalization written down naively from RFC 6376 section 3.4, any tag can be forced."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SIGNED = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")
OVERSIGNED = (*SIGNED, "from", "subject", "date", "to")

MESSAGE = (
    b"Received: from mta.shop.test (mta.shop.test [192.0.2.10])\r\n\tby mx.box.test with ESMTPS id 1;\r\n"
    b"\tSun, 22 Nov 2026 12:00:00 +0000\r\n"
    b"From: Shop <refunds@shop.test>\r\nTo: seed@box.test\r\nSubject: Your  refund\r\n of today\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@shop.test>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    b"We refunded  you 12.00 EUR. \t\r\n\r\nThe shop\r\n\r\n\r\n"
)


@dataclass(frozen=True)
class Pair:
    """A private key and the record of its public half."""

    private: RSAPrivateKey | Ed25519PrivateKey

    @property
    def kind(self) -> str:
        return "rsa" if isinstance(self.private, RSAPrivateKey) else "ed25519"

    @property
    def der(self) -> bytes:
        if isinstance(self.private, RSAPrivateKey):
            return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def pem(self) -> bytes:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    @property
    def seed(self) -> bytes:
        """As dkimpy takes an ed25519 key."""
        return base64.b64encode(self.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))

    def record(self, extra: str = "") -> str:
        kind = "k=ed25519; " if self.kind == "ed25519" else "k=rsa; "
        return f"v=DKIM1; {kind}{extra}p={base64.b64encode(self.der).decode()}"

    def sign(self, digest_input: bytes) -> bytes:
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest_input, PKCS1v15(), SHA256())
        return self.private.sign(hashlib.sha256(digest_input).digest())


@cache
def rsa(bits: int = 2048) -> Pair:
    return Pair(generate_private_key(65537, bits))


@cache
def ed25519() -> Pair:
    return Pair(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def header(name: str, value: bytes, relaxed: bool) -> bytes:
    if not relaxed:
        return name.encode() + b":" + value
    return name.lower().encode() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


def body(data: bytes, relaxed: bool) -> bytes:
    lines = data.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and lines[-1] == b"":
        lines.pop()
    joined = b"".join(line + b"\r\n" for line in lines)
    return joined if joined or relaxed else b"\r\n"


def fields(block: bytes) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for line in block.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and found:
            found[-1] = (found[-1][0], found[-1][1] + b"\r\n" + line)
        else:
            name, _, value = line.partition(b":")
            found.append((name.decode(), value))
    return found


def signed_data(block: bytes, names: Sequence[str], relaxed: bool, own: tuple[str, bytes]) -> bytes:
    left = fields(block)
    out = []
    for name in names:
        for at in range(len(left) - 1, -1, -1):
            if left[at][0].lower() == name.lower():
                out.append(header(*left.pop(at), relaxed) + b"\r\n")
                break
    return b"".join(out) + header(*own, relaxed)


def sign(
    message: bytes = MESSAGE,
    pair: Pair | None = None,
    *,
    domain: str = "shop.test",
    selector: str = "s1",
    names: Sequence[str] = OVERSIGNED,
    form: str = "relaxed/relaxed",
    field: str = "DKIM-Signature",
    forced: Mapping[str, str | None] | None = None,
    length: int | None = None,
) -> bytes:
    """The message with a signature on top. `forced`: tags to set, to add, or (None) to leave out before signing."""
    pair = pair or rsa()
    block, _, content = message.partition(b"\r\n\r\n")
    head, _, tail = form.partition("/")
    canonical = body(content, tail == "relaxed")
    tags: dict[str, str | None] = {
        "v": "1",
        "a": f"{pair.kind}-sha256",
        "c": form,
        "d": domain,
        "s": selector,
        "h": ":".join(names),
        "bh": base64.b64encode(hashlib.sha256(canonical[:length]).digest()).decode(),
    }
    if length is not None:
        tags["l"] = str(length)
    first = {"i": forced["i"]} if forced and field != "DKIM-Signature" else {}  # dkimpy finds an ARC field only so
    tags = {**first, **tags}
    merged = {name: value for name, value in {**tags, **(forced or {})}.items() if value is not None}
    value = " " + ";\r\n\t".join(f"{name}={text}" for name, text in merged.items()) + ";\r\n\tb="
    signature = pair.sign(signed_data(block, names, head == "relaxed", (field, value.encode())))
    encoded = base64.b64encode(signature).decode()
    folded = "\r\n\t ".join(encoded[at : at + 60] for at in range(0, len(encoded), 60))
    return f"{field}:{value}{folded}\r\n".encode() + message


def seal(message: bytes, pair: Pair | None = None, *, instance: int = 1, validation: str = "none", domain: str = "list.test") -> bytes:
    """The message with one more ARC set on top."""
    pair = pair or rsa()
    results = f"ARC-Authentication-Results: i={instance}; mx.{domain}; spf=pass smtp.mailfrom=shop.test\r\n".encode()
    signed = sign(
        message,
        pair,
        domain=domain,
        selector="arc",
        names=("from", "to", "subject", "date", "message-id"),
        field="ARC-Message-Signature",
        forced={"v": None, "i": str(instance)},
    )
    block = (results + signed).partition(b"\r\n\r\n")[0]
    order = ("arc-authentication-results", "arc-message-signature", "arc-seal")
    held = {(number_of(value), name.lower()): (name, value) for name, value in fields(block) if name.lower() in order}
    data = b""
    for number in range(1, instance + 1):
        for name in order:
            if (number, name) in held:
                data += header(*held[number, name], True) + b"\r\n"
    value = f" i={instance}; a={pair.kind}-sha256; cv={validation}; d={domain}; s=arc; t=1795348800;\r\n\tb="
    data += header("ARC-Seal", value.encode(), True)
    encoded = base64.b64encode(pair.sign(data)).decode()
    return f"ARC-Seal:{value}{encoded}\r\n".encode() + results + signed


def number_of(value: bytes) -> int:
    found = re.search(rb"\bi=([0-9]+)", value)
    assert found is not None
    return int(found[1])
