"""The whole file, as pydantic models. The descriptions are the documentation: they become config/mailcanary.schema.json."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from monitor.settings.addresses import DomainName, Host
from monitor.settings.deploys_shape import DeploysShape
from monitor.settings.gates_shape import GatesShape
from monitor.settings.inspect_shape import InspectShape
from monitor.settings.ledger_shape import LedgerShape
from monitor.settings.mail_shape import MailboxShape, PathShape
from monitor.settings.notify_shape import HeartbeatShape, IncidentsShape, NotifyShape
from monitor.settings.scalars import Budget, Hidden, Name, Percent, Port, Size, Span, Text, Whole
from monitor.settings.section import Section, optional, required

Every = Annotated[float, Span("100ms", "7d")]
Deadline = Annotated[float, Span("10ms", "30d")]


class KeyShape(Section):
    """One signing key."""

    number: Annotated[int, Whole(1, 255)] = required("Stands in the token, so that keys can be replaced while probes are in flight.", "1")
    secret: Hidden = required("At least 16 bytes: {env: NAME} or {file: PATH}.", "{env: MAILCANARY_SIGNING_KEY}")


class SigningShape(Section):
    """Tokens are signed, because anyone can mail a seed."""

    keys: tuple[KeyShape, ...] = required("The first key signs, all verify.", "[{number: 1, secret: {env: MAILCANARY_SIGNING_KEY}}]", 1)


class TokensShape(Section):
    """Bearer tokens by role."""

    read: Hidden | None = optional("May read status and verdicts.")
    deploy: Hidden | None = optional("May mark deploys.")
    gate: Hidden | None = optional("May ask for gates and cancel them.")
    rollback: Hidden | None = optional("Opens Flagger's rollback hook and nothing else; no other token opens it, not even on loopback.")
    oncall: Hidden | None = optional("May pause, resume, acknowledge, silence and override a gate.")
    ledger: Hidden | None = optional("May say which refunds and confirmations there were, and see how they differ.")


class ListenShape(Section):
    """Where the daemon answers. Changes need a restart."""

    host: Host = optional("Address to bind.", "0.0.0.0")  # noqa: S104 - design 6: /v1 needs a token unless bound to loopback
    port: Port = optional("Port to bind.", 9464)
    tokens: TokensShape = Field(default_factory=TokensShape, description="Bearer tokens of /v1 by role; not needed on loopback.")


class ScheduleShape(Section):
    """How often probes are planned."""

    every: Every | None = optional(
        "Between two probes of a route. Default: 5m, or as much longer as it takes for the probes of a day to fit the daily budgets."
    )
    jitter: Annotated[float, Percent(50)] = optional("Share of `every` by which a probe may come earlier or later.", "10%")


class DeadlinesShape(Section):
    """Counted from the first attempt."""

    overdue_floor: Deadline = optional("A probe younger than this never makes its route suspect.", "20s")
    late: Deadline = optional("Arrived, but later than this: late.", "2m")
    missing: Deadline = optional("Not found in any folder by a look that began after this: missing.", "8m")
    give_up: Deadline = optional("Nobody could look until this: inconclusive, mailbox_blind.", "30m")
    watch_until: Deadline | None = optional("Later arrivals and second copies are noted until this. Default: missing + 30m.")


class DeadlinesOverride(Section):
    """As `deadlines`, for one route; what is not written comes from there."""

    overdue_floor: Deadline | None = optional("Instead of deadlines.overdue_floor.")
    late: Deadline | None = optional("Instead of deadlines.late.")
    missing: Deadline | None = optional("Instead of deadlines.missing.")
    give_up: Deadline | None = optional("Instead of deadlines.give_up.")
    watch_until: Deadline | None = optional("Instead of deadlines.watch_until.")


class SubmissionShape(Section):
    """How hard a submission is tried."""

    attempt_timeout: Annotated[float, Span("100ms", "10m")] = optional("Total deadline of one attempt.", "30s")
    retry_backoff: Annotated[float, Span("10ms", "6h")] = optional("First wait after a 4xx; doubles, up to ten times as long.", "60s")
    retry_for: Annotated[float, Span("0s", "2d")] | None = optional(
        "After a 4xx: how long to go on, from the first attempt. Default: 35m, or until watch_until if that is sooner."
    )
    unreachable_for: Annotated[float, Span("0s", "2d")] = optional(
        "Without any connection: how long to go on, from the first attempt.", "15s"
    )


class BudgetsShape(Section):
    """Probes a day (UTC), all purposes together; beyond it nothing is submitted."""

    per_path: Budget | None = optional("Probes a day on one path. Default: 360 for each of its mailboxes, at most 2400.")
    per_mailbox: Budget = optional("Probes a day to one mailbox.", 800)


class WatchShape(Section):
    """How mailboxes are watched."""

    sweep_after: Annotated[float, Span("10ms", "1h")] = optional("A probe unseen for this long: look through all folders.", "5s")
    poll_every: Annotated[float, Span("100ms", "1h")] = optional("Safety net: a full round although nothing was announced.", "2m")
    idle_renew: Annotated[float, Span("100ms", "29m")] = optional("IDLE is issued anew after this (RFC 2177: below 30m).", "5m")
    command_timeout: Annotated[float, Span("100ms", "10m")] = optional("Deadline of one IMAP exchange.", "30s")
    reconnect_min: Annotated[float, Span("10ms", "1h")] = optional("First wait before a reconnect.", "1s")
    reconnect_max: Annotated[float, Span("10ms", "1d")] = optional("Longest wait before a reconnect.", "5m")


class RetentionShape(Section):
    """How long the journal keeps facts."""

    passes: Annotated[float, Span("1h", "3650d")] = optional("Facts of probes that passed.", "14d")
    failures: Annotated[float, Span("1h", "3650d")] = optional("Facts of all other probes.", "90d")
    max_size: Annotated[int, Size()] = optional("Cap of the journal; the oldest passes go first.", "512MiB")


class RouteShape(Section):
    """One path to one seed mailbox."""

    path: Name = required("Name of a path.", "relay")
    mailbox: Name = required("Name of a seed mailbox.", "gmail-1")
    every: Every | None = optional("Instead of schedule.every.")
    jitter: Annotated[float, Percent(50)] | None = optional("Instead of schedule.jitter.")
    deadlines: DeadlinesOverride = Field(default_factory=DeadlinesOverride, description="Instead of the same keys of deadlines.")


class Settings(Section):
    """mailcanary configuration. Lengths of time are written 90s, 5m, 1h30m, 2d; secrets {env: NAME} or {file: PATH}."""

    environment: Name = required("Stands in every token; probes of another environment raise a finding.", "production")
    instance: Name = required("Stands in every token; tells instances apart that share mailboxes.", "canary-1")
    signing: SigningShape = required("Keys that sign the tokens.", "{keys: [{number: 1, secret: {env: MAILCANARY_SIGNING_KEY}}]}")
    paths: dict[Name, PathShape] = required(
        "Ways of submission by name, kind smtp, http or command.", "{relay: {kind: smtp, host: ..., author: ...}}"
    )
    mailboxes: dict[Name, MailboxShape] = required(
        "Seed, holding and tripwire mailboxes by name.", "{gmail-1: {provider: gmail, address: ..., imap: ...}}"
    )
    routes: tuple[RouteShape, ...] | None = optional(
        "Only these routes, with overrides. Default: every path to every seed mailbox.", least=1
    )
    sending_domains: tuple[DomainName, ...] | None = optional(
        "The shop's author domains: what a stray must be authenticated as, to be ours. Default: those of the smtp paths.", least=1
    )
    schedule: ScheduleShape = Field(default_factory=ScheduleShape, description="How often probes are planned.")
    deadlines: DeadlinesShape = Field(
        default_factory=DeadlinesShape, description="When a probe is late, missing, given up; from the first attempt."
    )
    submission: SubmissionShape = Field(default_factory=SubmissionShape, description="How hard a submission is tried.")
    budgets: BudgetsShape = Field(default_factory=BudgetsShape, description="Probes a day; persisted, all purposes together.")
    watch: WatchShape = Field(default_factory=WatchShape, description="How mailboxes are watched.")
    retention: RetentionShape = Field(default_factory=RetentionShape, description="How long the journal keeps facts.")
    incidents: IncidentsShape = Field(default_factory=IncidentsShape, description="When evidence becomes an incident, and when it is over.")
    notify: NotifyShape = Field(default_factory=NotifyShape, description="Who is told of what, by channels that are not e-mail.")
    heartbeat: HeartbeatShape | None = optional("A dead-man switch outside, that notices when we fall silent. Default: none.")
    gates: GatesShape = Field(
        default_factory=GatesShape, description="What a release gate demands, and what gates may use of mailboxes and budgets."
    )
    deploys: DeploysShape = Field(default_factory=DeploysShape, description="Where deploys are heard of and shown.")
    inspect: InspectShape = Field(default_factory=InspectShape, description="How the zones of the sending domains are inspected.")
    ledger: LedgerShape = Field(default_factory=LedgerShape, description="Real refunds and their confirmations, compared both ways.")
    listen: ListenShape = Field(default_factory=ListenShape, description="Where /metrics, /livez, /readyz and /v1 answer.")
    state_dir: Text = optional("Directory of the journal, mode 0700; relative to this file.", "/var/lib/mailcanary")
    drain: Annotated[float, Span("0s", "10m")] = optional("How long SIGTERM waits for running submissions.", "20s")
