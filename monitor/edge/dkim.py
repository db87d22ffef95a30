"""Our own DKIM signature (RFC 6376), for a shop whose relay does not sign. dkimpy does the cryptography; this module is its only importer.

The library is slow to import and signs in pure Python (7 ms for 2048 bits): it is imported when the first message is signed, and `sign`
is called in a thread.
"""

from __future__ import annotations

import re

from monitor.model.policy import DkimKey
from monitor.ports import SecretError, Secrets

MIN_BITS = 1024  # receivers must not accept shorter keys (RFC 8301 section 3.2)

# What the receiver shows or we rely on (RFC 6376 section 5.4.1).
_SIGNED = (
    "From",
    "Subject",
    "To",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Reply-To",
    "Auto-Submitted",
    "X-Mailcanary-Token",
)
_RELAXED = (b"relaxed", b"relaxed")


class DkimSigner:
    """ports.Signer with one key, read anew for each message."""

    def __init__(self, key: DkimKey, secrets: Secrets) -> None:
        self._key = key
        self._secrets = secrets

    def sign(self, message: bytes) -> bytes:
        """The message, lines ended by CRLF, with a DKIM-Signature field in front: rsa-sha256, relaxed/relaxed. From is signed once more
        than it is there, so that nobody can put a second one above it (section 8.15). Raises SecretError."""
        import dkim  # noqa: PLC0415 - see above
        from dkim.crypto import parse_pem_private_key  # noqa: PLC0415

        key = self._key
        pem = self._secrets.read(key.key).replace("\r\n", "\n").encode()
        try:
            bits = parse_pem_private_key(pem)["modulus"].bit_length()
        except Exception:  # the library raises what its parser stumbles over; "from None": that may hold a part of the key
            raise SecretError(f"secret {key.key} is no private RSA key in PEM (unencrypted); make one with: openssl genrsa 2048") from None
        if bits < MIN_BITS:
            raise SecretError(f"secret {key.key} is an RSA key of {bits} bits, which receivers ignore; make one with: openssl genrsa 2048")
        head = message.partition(b"\r\n\r\n")[0]
        names = [name.encode() for name in _SIGNED if re.search(rb"(?im)^" + name.encode() + rb"[ \t]*:", head)]
        signer = dkim.DKIM(message, linesep=b"\r\n")
        field: bytes = signer.sign(
            key.selector.encode(), key.domain.encode(), pem, canonicalize=_RELAXED, include_headers=[*names, b"From"]
        )
        return field + message
