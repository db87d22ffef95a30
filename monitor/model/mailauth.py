"""What a delivered message bears of its own proof, and what we make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model.mail import UNSAID, Authentication, AuthResult


class BodyHash(StrEnum):
    """The body hash of a signature against the body that we hold."""

    MATCHES = "matches"
    ALTERED = "altered"
    UNREAD = "unread"  # we hold only the beginning of the body


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature (RFC 6376 section 3.5) or ARC-Message-Signature or ARC-Seal (RFC 8617), reduced to what verification still needs:
    with the digest of the signed header data the message itself is no longer wanted.

    `fault`: why it can never verify (a tag is missing or malformed); empty when it is well-formed. Times are seconds since the epoch.
    """

    domain: str  # d=, A-labels
    selector: str  # s=
    algorithm: str  # a=
    value: bytes = field(default=b"", repr=False)  # b=
    digest: bytes = field(default=b"", repr=False)  # SHA-256 of the canonical signed header data; empty: not all of it was read
    body: BodyHash = BodyHash.MATCHES
    canonicalization: str = "simple/simple"  # c=
    identity: str = ""  # i=, quoted-printable decoded; its default where it is absent
    headers: tuple[str, ...] = ()  # h=, lower case, repeated as they stand
    queries: tuple[str, ...] = ("dns/txt",)  # q=
    signed_at: int | None = None  # t=
    expires: int | None = None  # x=
    length: int | None = None  # l=
    body_length: int = 0  # of the canonical body
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ArcSet:
    """One ARC set (RFC 8617 section 4)."""

    instance: int
    validation: str  # cv=: none, pass, fail
    results: str  # the value of ARC-Authentication-Results
    message: Signature
    seal: Signature


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received field (RFC 5321 section 4.4). Empty where it does not say."""

    by: str = ""
    helo: str = ""  # the name that the client gave
    name: str = ""  # the client's name by reverse DNS, as the receiver found it
    address: str = ""  # the client's IP address, canonical
    protocol: str = ""  # the word after `with`, upper case: ESMTPS
    tls: bool | None = None  # True: TLS is said; False: a protocol without it is said; None: it does not say
    at: float | None = None


class Leaning(StrEnum):
    GOOD = "good"
    SPAM = "spam"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class PlacementHint:
    """What a filter wrote into the header. It corroborates the folder and never overrides it."""

    source: str  # the field: X-Forefront-Antispam-Report
    leaning: Leaning
    detail: str  # SFV:SPM SCL:5


@dataclass(frozen=True, slots=True)
class DeliveredMail:
    """All of a delivered message that its proof needs; a few kilobytes, without recipients or text."""

    author_domains: tuple[str, ...] = ()  # of the addresses in From, in order, A-labels
    reply_domains: tuple[str, ...] = ()  # of the addresses in Reply-To
    envelope_domain: str = ""  # of Return-Path; empty: null or not said
    envelope_said: bool = False  # there is a Return-Path
    fields: tuple[tuple[str, int], ...] = ()  # how often each header field of interest stands there, lower case
    signatures: tuple[Signature, ...] = ()  # topmost first
    signatures_ignored: int = 0  # beyond the bound
    arc: tuple[ArcSet, ...] = ()  # by instance
    arc_fault: str = ""  # the chain is malformed (RFC 8617 section 5.2)
    hops: tuple[Hop, ...] = ()  # topmost first, bounded
    border: Hop | None = None  # the hop at which the receiver took it from outside
    said: Authentication = UNSAID  # by the trusted Authentication-Results
    arc_said: Authentication = UNSAID  # by the newest ARC-Authentication-Results, if it is theirs: counts only when the chain holds
    said_address: str = ""  # the client's IP address as they name it
    said_envelope: str = ""  # the domain of smtp.mailfrom as they name it
    untrusted: tuple[str, ...] = ()  # authserv-ids whose results we do not trust
    unparsed: int = 0  # Authentication-Results of which nothing could be read
    hints: tuple[PlacementHint, ...] = ()
    faults: tuple[str, ...] = ()  # of the message format (RFC 5322, 2045), in plain words
    dated: float | None = None  # Date
    truncated: bool = False  # only the beginning was read
    header_cut: bool = False  # not even the header block was read whole


class SignatureState(StrEnum):
    """What became of one signature."""

    PASS = "pass"
    NO_KEY = "no_key"
    REVOKED = "revoked"
    KEY_UNUSABLE = "key_unusable"  # syntax, several records of which none verifies, another kind, h=, s= or t=s forbid it
    WEAK = "weak"  # the key is too short or the algorithm is forbidden (RFC 8301)
    BODY_ALTERED = "body_altered"
    HEADER_ALTERED = "header_altered"
    EXPIRED = "expired"
    MALFORMED = "malformed"
    TEMPERROR = "temperror"  # the key could not be asked for
    UNREAD = "unread"  # the message is bigger than what we read of it

    @property
    def result(self) -> AuthResult:
        """As RFC 8601 section 2.7.1 words it."""
        return _RESULTS[self]

    @property
    def unknown(self) -> bool:
        return self in (SignatureState.TEMPERROR, SignatureState.UNREAD)


_RESULTS = {
    SignatureState.PASS: AuthResult.PASS,
    SignatureState.NO_KEY: AuthResult.PERMERROR,
    SignatureState.REVOKED: AuthResult.FAIL,
    SignatureState.KEY_UNUSABLE: AuthResult.PERMERROR,
    SignatureState.WEAK: AuthResult.POLICY,
    SignatureState.BODY_ALTERED: AuthResult.FAIL,
    SignatureState.HEADER_ALTERED: AuthResult.FAIL,
    SignatureState.EXPIRED: AuthResult.FAIL,
    SignatureState.MALFORMED: AuthResult.PERMERROR,
    SignatureState.TEMPERROR: AuthResult.TEMPERROR,
    SignatureState.UNREAD: AuthResult.TEMPERROR,
}


@dataclass(frozen=True, slots=True)
class SignatureProof:
    """Our verification of one signature."""

    domain: str
    selector: str
    algorithm: str
    state: SignatureState
    why: str = ""
    bits: int = 0  # of the key; 0: not known
    testing: bool = False  # t=y


class ArcState(StrEnum):
    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class ArcProof:
    state: ArcState
    sealers: tuple[str, ...] = ()  # d= of the seals, oldest first
    why: str = ""


@dataclass(frozen=True, slots=True)
class DmarcProof:
    """Our DMARC verdict by one way of finding the organizational domain."""

    result: AuthResult
    policy_domain: str = ""  # where the record stands
    organizational: str = ""
    policy: str = ""  # that applies: none, quarantine, reject
    spf_aligned: bool = False
    dkim_aligned: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class MailProof:
    """What we find when we do on a delivered message what its receiver did."""

    spf: AuthResult = AuthResult.ABSENT  # for MAIL FROM, or HELO when that is null; ABSENT: the sending address is not known
    spf_domain: str = ""
    spf_address: str = ""
    spf_why: str = ""
    dkim: tuple[SignatureProof, ...] = ()
    arc: ArcProof = ArcProof(ArcState.NONE)
    dmarc: DmarcProof = DmarcProof(AuthResult.ABSENT)  # by the tree walk (RFC 9989)
    shadow: DmarcProof = DmarcProof(AuthResult.ABSENT)  # by the public suffix list (RFC 7489)

    @property
    def dkim_result(self) -> AuthResult:
        """Pass if any signature passes, none without any, else what the first one says."""
        states = [proof.state for proof in self.dkim]
        if SignatureState.PASS in states:
            return AuthResult.PASS
        return states[0].result if states else AuthResult.NONE
