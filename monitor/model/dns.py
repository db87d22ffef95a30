"""Questions to the DNS and their answers, as values that can be kept and replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RecordType(StrEnum):
    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    DNSKEY = "DNSKEY"
    DS = "DS"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SPF = "SPF"  # type 99, obsolete (RFC 7208 section 3.1)
    TXT = "TXT"


class Outcome(StrEnum):
    """NXDOMAIN (the name does not exist) and NODATA (it has no such record) are different facts; FAILED is neither."""

    FOUND = "found"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    FAILED = "failed"


class DnsFailure(StrEnum):
    """Why there is no answer. All but BOGUS say nothing about the zone: unknown, never fail."""

    PENDING = "pending"  # not asked yet: the rule that asked is asked again when the answer is there
    TIMEOUT = "timeout"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"  # cut over UDP, and TCP gave nothing
    BOGUS = "bogus"  # the validating resolver refuses it (SERVFAIL), and answers when told not to check (RFC 4035 section 3.2.2)
    TOO_MUCH = "too_much"  # this inspection has asked for more than its bound


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """`name`: lower case, absolute, without the final dot; "." for the root. `server`: an IP address that is asked directly, without
    recursion; empty: our resolvers."""

    name: str
    rtype: RecordType
    server: str = ""
    tcp: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.rtype.value}" + (f" @{self.server}{' over TCP' if self.tcp else ''}" if self.server else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `records` in presentation form, names in lower case without the final dot ("." for the root), in canonical order:
    TXT the strings of each record joined (bytes as Latin-1), MX `10 mx.example.com`, SOA `mname rname serial refresh retry expire minimum`,
    DS `tag algorithm digest-type digest`, DNSKEY `flags protocol algorithm tag`. A referral of a server that was asked directly for NS is
    FOUND and not authoritative. A loop of CNAMEs is NODATA, and its chain leads back to a name that was there before.
    """

    question: Question
    outcome: Outcome
    records: tuple[str, ...] = ()
    ttl: int = 0  # of the answer; of the SOA where there is none
    chain: tuple[str, ...] = ()  # the names that CNAMEs led to, in order
    authentic: bool = False  # AD: our validating resolver vouches for it
    authoritative: bool = False  # AA
    failure: DnsFailure | None = None  # only with FAILED
    detail: str = ""  # of the failure, in words
    resolver: str = ""  # who answered, or was asked last
    resolvers_failed: int = 0  # how many of our resolvers gave no answer
    size: int = 0  # bytes of the answer
    truncated: bool = False  # it did not fit into UDP
    signed_until: float = 0.0  # when the first of its RRSIGs ends, seconds since the epoch; 0: none
    signed_from: float = 0.0  # since when that RRSIG holds
    seconds: float = 0.0  # until it came
    at: float = 0.0  # seconds since the epoch

    @property
    def found(self) -> bool:
        return self.outcome is Outcome.FOUND

    @property
    def void(self) -> bool:
        """No such name, or no such record (RFC 7208 section 4.6.4)."""
        return self.outcome is Outcome.NXDOMAIN or self.outcome is Outcome.NODATA

    @property
    def failed(self) -> bool:
        return self.outcome is Outcome.FAILED

    @property
    def pending(self) -> bool:
        return self.failure is DnsFailure.PENDING


Snapshot = Mapping[Question, Answer]


def mx_of(record: str) -> tuple[int, str]:
    """(preference, exchange) of an MX record."""
    preference, _, host = record.partition(" ")
    return int(preference), host
