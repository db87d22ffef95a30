"""What is inspected, how often, and what one inspection saw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model.checks import Gravity, Profile
from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.model.transport import Endpoint

LONGEST_BRIEF = 1_000  # characters of a facet's value in a drift
MOST_DOMAINS = 500  # inspected by one instance: they are label values, and share one resolver


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """A sending domain as the configuration declares it. What is empty is learned from delivered probes."""

    domain: str  # of the author address
    egress: tuple[str, ...] = ()  # IP addresses that mail leaves from
    selectors: tuple[str, ...] = ()  # DKIM selectors in use
    retired: tuple[str, ...] = ()  # selectors that no longer sign
    envelope: tuple[str, ...] = ()  # domains of the envelope sender
    helo: tuple[str, ...] = ()  # names given in EHLO
    profiles: tuple[Profile, ...] = (Profile.GMAIL, Profile.YAHOO, Profile.OUTLOOK, Profile.APPLE)
    recipients: tuple[str, ...] = ()  # addresses of ours for which RCPT TO is tried at the MX, without any message


@dataclass(frozen=True, slots=True)
class InspectPolicy:
    """How zones are inspected. Lengths of time are seconds."""

    enabled: bool = True
    every: float = 900.0
    resolvers: tuple[str, ...] = ()  # address or address:port ([v6]:port); empty: those of the system
    timeout: float = 5.0  # of one question, all resolvers together
    port: int = 53  # of authoritative servers
    transport: bool = True  # connect to the MX hosts
    smtp_port: int = 25  # of MX hosts
    private_addresses: bool = False  # private and loopback addresses are no fault: a lab, a company's own relay
    domains: Mapping[str, DomainPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selector:
    """One DKIM key to look at."""

    domain: str
    name: str
    retired: bool = False
    seen: float | None = None  # when a delivered mail last bore it; None: never


@dataclass(frozen=True, slots=True)
class SeenMail:
    """A delivered message that an inspection judges, with what was made of it."""

    route: str
    provider: str
    mailbox: str
    mail: DeliveredMail
    proof: MailProof
    sent: float  # first attempt, seconds since the epoch
    seen: float


@dataclass(frozen=True, slots=True)
class KeyAge:
    """Since when a key record has had its present key, as far as we know."""

    domain: str
    selector: str
    key: str  # SHA-256 of p=
    first_seen: float
    testing_since: float | None = None  # t=y


class FacetKind(StrEnum):
    """What is compared with the baseline."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    MX = "mx"
    NS = "ns"
    DS = "ds"
    SOA = "soa"
    PTR = "ptr"
    ADDRESS = "address"  # A and AAAA of MX and HELO names


@dataclass(frozen=True, slots=True, order=True)
class Facet:
    """One thing that a zone says, in a form in which only what matters differs. `value` empty: it is not there."""

    kind: FacetKind
    name: str
    value: str
    ttl: int = 0

    @property
    def key(self) -> tuple[FacetKind, str]:
        return self.kind, self.name

    @property
    def brief(self) -> str:
        """The value. A long one is cut and ends in its digest, so that those that differ stay apart."""
        if len(self.value) <= LONGEST_BRIEF:
            return self.value
        digest = hashlib.sha256(self.value.encode()).hexdigest()
        return f"{self.value[: LONGEST_BRIEF - len(digest) - 3]}...{digest}"


class DriftState(StrEnum):
    PROPAGATING = "propagating"  # seen, and old answers may live until the old TTL is over
    STANDING = "standing"  # seen twice, and the old TTL is over
    APPROVED = "approved"
    REVERTED = "reverted"  # the zone is as it was, or nobody asks for it any more


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference from the baseline, one for each facet. `gravity`: critical when it weakens or removes, warning when it adds, info when
    it strengthens. `before` and `after` are brief."""

    kind: FacetKind
    name: str
    before: str
    after: str
    gravity: Gravity
    what: str  # in plain words: selector s1's key record vanished
    state: DriftState
    first_seen: float  # a value that changes again to another of the same gravity is the same difference
    until: float  # when every cache has the new one: first_seen + old TTL
    old_ttl: int = 0
    changes: tuple[float, ...] = ()  # when the value changed, the latest last, coming back included; bounded

    @property
    def key(self) -> tuple[FacetKind, str]:
        return self.kind, self.name

    @property
    def stands(self) -> bool:
        """The zone differs so now, and nobody has said that it is meant."""
        return self.state is DriftState.PROPAGATING or self.state is DriftState.STANDING


@dataclass(frozen=True, slots=True)
class Subject:
    """All that one inspection of a domain is about. `now`: seconds since the epoch."""

    domain: str
    now: float
    egress: tuple[str, ...] = ()  # declared, or else learned
    declared: bool = False  # egress stands in the configuration or on the command line
    observed: tuple[tuple[str, float], ...] = ()  # (address, last seen) of delivered mail
    watched_since: float | None = None  # since when mail is observed
    envelope: tuple[str, ...] = ()
    helo: tuple[str, ...] = ()
    selectors: tuple[Selector, ...] = ()
    profiles: tuple[Profile, ...] = (Profile.GMAIL, Profile.YAHOO, Profile.OUTLOOK, Profile.APPLE)
    mails: tuple[SeenMail, ...] = ()  # the latest of each route
    keys: tuple[KeyAge, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()  # our own submission and IMAP services
    recipients: tuple[str, ...] = ()
    transport: bool = True
    smtp_port: int = 25
    private_addresses: bool = False
    baseline: tuple[Facet, ...] = ()  # how the zone is meant to be; empty: not known yet
    approved: float | None = None  # when a person said so; None: it was learned
    facets: tuple[Facet, ...] = ()  # of the inspection before
    drifts: tuple[Drift, ...] = ()  # known until now


class Cause(StrEnum):
    """Why an inspection was made."""

    SCHEDULE = "schedule"
    START = "start"
    DEPLOY = "deploy"
    AUTHENTICATION = "authentication"  # a probe was not authenticated
    CONFIRM = "confirm"  # something changed: a second look
    ASKED = "asked"
