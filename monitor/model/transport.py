"""One look at a mail server from outside: how far it lets us, and what it shows of its TLS."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ServerKind(StrEnum):
    """What a server speaks, and when it begins TLS."""

    MX = "mx"  # SMTP with STARTTLS, opportunistic
    SUBMISSION = "submission"  # SMTP with STARTTLS, required
    SUBMISSIONS = "submissions"  # SMTP with implicit TLS (RFC 8314)
    IMAP = "imap"  # with STARTTLS
    IMAPS = "imaps"


class Reached(StrEnum):
    """How far a look came: the last thing that worked."""

    NOTHING = "nothing"
    CONNECTED = "connected"
    GREETED = "greeted"  # 220, * OK
    ANSWERED = "answered"  # EHLO, CAPABILITY
    ENCRYPTED = "encrypted"  # the TLS handshake is done
    AGAIN = "again"  # EHLO or CAPABILITY again, inside TLS


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """`host`: the name that the certificate has to bear; `address`: the IP address to connect to, empty: whatever `host` resolves to."""

    kind: ServerKind
    host: str
    port: int
    address: str = ""
    ca_file: str | None = None
    recipients: tuple[str, ...] = ()  # addresses for which RCPT TO is tried, without any message (RFC 5321 section 3.3); opted in

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" + (f" [{self.address}]" if self.address else "")


@dataclass(frozen=True, slots=True)
class Certificate:
    """`names`: the DNS names of subjectAltName, in lower case; the common name never counts (RFC 9525)."""

    names: tuple[str, ...]
    not_before: float  # seconds since the epoch
    not_after: float
    issuer: str
    self_signed: bool
    trusted: bool  # there is a path to a root that we trust
    why_untrusted: str = ""


@dataclass(frozen=True, slots=True)
class TransportSeen:
    """`failed`: why the look ended before everything was seen, empty when it did not; `pending`: nobody has looked yet."""

    endpoint: Endpoint
    reached: Reached
    failed: str = ""
    transient: bool = False  # a 4xx, a timeout: unknown rather than broken
    reply: str = ""  # the peer's last words, verbatim
    offers_tls: bool | None = None  # STARTTLS among the capabilities; None: not seen, or TLS is implicit
    version: str = ""  # TLSv1.3
    certificate: Certificate | None = None
    plain_auth: tuple[str, ...] = ()  # AUTH mechanisms that send a password, offered before TLS
    injected: bool | None = None  # a command that was sent together with STARTTLS, before TLS, was obeyed inside it; None: not tried
    refused: tuple[tuple[str, str], ...] = ()  # (recipient, reply) of those that were refused for good
    deferred: tuple[tuple[str, str], ...] = ()  # (recipient, reply) of those that may be taken later
    at: float = 0.0
    pending: bool = False
