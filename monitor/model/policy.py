"""What the configuration means, as frozen values. settings.py is the only maker; stages and rules only read.

All lengths of time are seconds. Secrets stand here as references; their values are read when a connection is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.model.address import Address, SeedList
from monitor.model.channels import NotifyPolicy
from monitor.model.deploy import DeployHook, GrafanaPolicy
from monitor.model.gate import GatesPolicy
from monitor.model.inspection import InspectPolicy
from monitor.model.mail import AuthResult, Carrier
from monitor.model.probe import Deadlines, MailboxName, PathName, Route
from monitor.model.secret import SecretRef
from monitor.model.sources import LedgerPolicy


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One HMAC key for tokens. `number` 1..255 stands in the token, so that a key can be replaced while probes are in flight."""

    number: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The first key signs; all verify."""

    keys: tuple[SigningKey, ...]


class Security(StrEnum):
    TLS = "tls"  # implicit TLS
    STARTTLS = "starttls"  # required, never opportunistic
    PLAIN = "plain"  # IMAP: loopback only


class LoginMethod(StrEnum):
    LOGIN = "login"
    PLAIN = "plain"  # AUTHENTICATE PLAIN (RFC 4616)
    XOAUTH2 = "xoauth2"  # the password is an OAuth 2.0 access token


@dataclass(frozen=True, slots=True)
class Templates:
    """Jinja sources of the message; each must print what the expectation lists."""

    subject: str
    text: str
    html: str
    origin: str = "built-in"  # for error messages: the directory they came from


@dataclass(frozen=True, slots=True)
class MailIdentity:
    """Who writes the mail on an smtp path."""

    author: Address
    author_name: str
    envelope_sender: Address  # its local part gains +<probe id>
    templates: Templates


@dataclass(frozen=True, slots=True)
class DkimKey:
    """Sign by ourselves, for a shop whose relay does not (RFC 6376)."""

    domain: str  # d=
    selector: str  # s=
    key: SecretRef  # PEM, RSA


@dataclass(frozen=True, slots=True)
class SmtpPath:
    host: str
    port: int
    security: Security
    ca_file: str | None
    username: str | None
    password: SecretRef | None
    identity: MailIdentity
    helo: str | None = None
    login: LoginMethod = LoginMethod.PLAIN  # PLAIN: whatever password mechanism the relay offers; XOAUTH2: `password` is an access token
    dkim: DkimKey | None = None


@dataclass(frozen=True, slots=True)
class HttpPath:
    """The production application, asked to process a synthetic refund. Header and body values are Jinja sources."""

    url: str
    method: str
    headers: Mapping[str, str | SecretRef]
    body: object  # JSON value whose strings are Jinja sources
    expected_status: tuple[int, ...]
    ca_file: str | None
    refund_id: str | None  # JSON pointer (RFC 6901) into the answer
    version: str | None  # JSON pointer, or header:NAME
    sends_number: bool  # the application assigns the refund number itself; its id stands in the mail


@dataclass(frozen=True, slots=True)
class CommandPath:
    """A program of the shop's, run once per probe without a shell; docs/app-contract.md says what it owes."""

    argv: tuple[str, ...]
    environment: Mapping[str, str | SecretRef]  # all it gets beside PATH
    input: object  # JSON value whose strings are Jinja sources, on its stdin
    refund_id: str | None  # JSON pointer (RFC 6901) into the JSON on its stdout
    version: str | None  # JSON pointer
    sends_number: bool


@dataclass(frozen=True, slots=True)
class Locale:
    """What probes of a path look like: how the shop prints money."""

    tag: str  # en-GB
    currency: str
    amount: str  # how an amount is printed: "£{amount}" with {amount} formatted by grouping and decimal
    grouping: str = ","
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class Demand:
    """What the receiver must say of our mail; empty means: reported, not judged."""

    spf: tuple[AuthResult, ...] = ()
    dkim: tuple[AuthResult, ...] = ()
    dmarc: tuple[AuthResult, ...] = ()


@dataclass(frozen=True, slots=True)
class PathPolicy:
    name: PathName
    via: SmtpPath | HttpPath | CommandPath
    carriers: tuple[Carrier, ...]
    locales: tuple[Locale, ...]
    allowed_amounts: tuple[str, ...]  # other amounts the template always prints, as rendered
    demand: Demand
    attempt_timeout: float  # total deadline of one attempt
    retry_backoff: float  # first wait after a 4xx; doubles up to 10 x
    retry_for: float  # after a 4xx: how long to keep trying, from the first attempt
    unreachable_for: float  # without any connection: how long to keep trying, from the first attempt
    daily_budget: int


class Role(StrEnum):
    SEED = "seed"
    HOLDING = "holding"  # where a faulty deploy parks customers' mail; watched, never submitted to
    TRIPWIRE = "tripwire"  # must never get refund mail; watched, never submitted to, nothing in it is ever touched


@dataclass(frozen=True, slots=True)
class FolderNames:
    """Names tried where the server has no special-use attributes (RFC 6154)."""

    spam: tuple[str, ...] = ("Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk", "Bulk Mail", "[Gmail]/Spam", "Courrier indésirable")
    tabs: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ("Trash", "Sent", "Drafts", "Outbox", "[Gmail]/All Mail", "[Gmail]/Important", "[Gmail]/Starred")


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    name: MailboxName
    role: Role
    provider: str
    address: Address
    host: str
    port: int
    security: Security
    ca_file: str | None
    username: str
    password: SecretRef
    login: LoginMethod
    folders: FolderNames
    authserv_ids: tuple[str, ...]  # whose Authentication-Results we trust
    plus_tags: bool
    clean_up: bool
    clean_up_after: float  # age of a judged probe before its copy is deleted
    daily_budget: int


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How mailboxes are watched."""

    sweep_after: float  # a probe unseen for this long makes its mailbox rotate through all folders
    poll_every: float  # the safety net: a full round although nothing was announced
    idle_renew: float  # IDLE is re-issued after this (RFC 2177 allows 29 minutes; servers and NATs do not)
    command_timeout: float  # outer deadline of every IMAP exchange
    reconnect_min: float
    reconnect_max: float


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    route: Route
    every: float
    jitter: float  # share of `every`, 0..0.5
    deadlines: Deadlines
    policy_hash: str


class Access(StrEnum):
    READ = "read"
    DEPLOY = "deploy"
    GATE = "gate"
    ROLLBACK = "rollback"
    ONCALL = "oncall"
    LEDGER = "ledger"  # says which refunds and confirmations there were; may see how they differ


@dataclass(frozen=True, slots=True)
class ListenPolicy:
    host: str
    port: int
    tokens: Mapping[Access, SecretRef]


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    passes: float
    failures: float
    max_bytes: int


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """When evidence becomes an incident, and when it is over."""

    recover_after: float = 600.0  # the good streak of every affected route must span this
    recover_passes: int = 3  # and hold so many probes
    sustained_after: float = 900.0  # nothing good from one provider or mailbox for this long
    blind_after: float = 900.0  # a mailbox or path that we cannot use for this long
    reopen_within: float = 3600.0


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """A dead-man switch outside: `url` is asked after each complete cycle, `url`/fail when a cycle failed."""

    url: str | SecretRef
    every: float
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole configuration."""

    environment: str
    instance: str
    keys: KeyRing
    state_dir: str
    listen: ListenPolicy
    paths: Mapping[PathName, PathPolicy]
    mailboxes: Mapping[MailboxName, MailboxPolicy]
    routes: Mapping[Route, RoutePolicy]
    watch: WatchPolicy
    retention: RetentionPolicy
    drain: float  # how long SIGTERM waits for running submissions
    policy_hash: str
    sending_domains: tuple[str, ...] = ()  # author domains of the shop: what "authenticated as ours" means
    incidents: IncidentPolicy = IncidentPolicy()
    notify: NotifyPolicy = field(default_factory=NotifyPolicy)
    heartbeat: HeartbeatPolicy | None = None
    gates: GatesPolicy = field(default_factory=GatesPolicy)
    deploy_hooks: Mapping[str, DeployHook] = field(default_factory=dict)
    grafana: GrafanaPolicy | None = None
    inspect: InspectPolicy = field(default_factory=InspectPolicy)
    ledger: LedgerPolicy = field(default_factory=LedgerPolicy)

    @property
    def seeds(self) -> SeedList:
        return SeedList.of([box.address for box in self.mailboxes.values() if box.role is Role.SEED])
