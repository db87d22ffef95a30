"""The outside world that a policy names: one edge for each path, mailbox and channel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from monitor.edge.channels import build as build_channels
from monitor.edge.channels import build_changes
from monitor.edge.clock import SystemClock
from monitor.edge.command import CommandSubmitter
from monitor.edge.dns import DnsResolver
from monitor.edge.entropy import SystemEntropy
from monitor.edge.grafana import Grafana
from monitor.edge.heartbeat import HttpHeartbeat
from monitor.edge.http import HttpSubmitter
from monitor.edge.imap import ImapMailbox
from monitor.edge.secret import SystemSecrets
from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.sources import build as build_sources
from monitor.edge.suffixes import PublicSuffixes
from monitor.edge.tls import TlsContexts
from monitor.edge.transport import MailServerProbe
from monitor.model.channels import PagerdutyChannel
from monitor.model.inspection import InspectPolicy
from monitor.model.policy import CommandPath, HttpPath, MailboxPolicy, Policy, SmtpPath
from monitor.model.probe import MailboxName, PathName
from monitor.ports import (
    Channel,
    Clock,
    Entropy,
    Heartbeat,
    LedgerSource,
    Mailbox,
    Resolver,
    Secrets,
    Submitter,
    SuffixList,
    TransportProbe,
)
from monitor.stages.annotate import Annotators

LOOK_WITHIN = 20.0  # seconds for one mail server


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything of the outside world that the stages use."""

    clock: Clock
    entropy: Entropy
    secrets: Secrets
    submitters: Mapping[PathName, Submitter]
    mailboxes: Mapping[MailboxName, Mailbox]
    channels: Mapping[str, Channel] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None
    annotator: Annotators | None = None  # None: deploys are drawn nowhere
    resolver: Resolver | None = None  # None: nothing is inspected
    transport: TransportProbe | None = None
    suffixes: SuffixList | None = None
    sources: Mapping[str, LedgerSource] = field(default_factory=dict)  # of the ledger
    tls: TlsContexts = field(default_factory=TlsContexts)


def build_edges(policy: Policy, before: Edges | None = None) -> Edges:
    """The real edges for a policy, on the clock and with the TLS contexts of those `before`. Opens nothing yet."""
    base = before or Edges(SystemClock(), SystemEntropy(), SystemSecrets(), {}, {})
    secrets, tls = base.secrets, base.tls
    submitters: dict[PathName, Submitter] = {}
    for name, path in policy.paths.items():
        match path.via:
            case SmtpPath():
                submitters[name] = SmtpSubmitter(path, policy.seeds, secrets, tls.get)
            case HttpPath():
                submitters[name] = HttpSubmitter(path, policy.seeds, secrets, tls.get)
            case CommandPath():
                submitters[name] = CommandSubmitter(path, policy.seeds, secrets)
    mailboxes: dict[MailboxName, Mailbox] = {
        name: ImapMailbox(box, policy.watch, secrets, tls.get, base.clock) for name, box in policy.mailboxes.items()
    }
    channels = build_channels(policy.notify, secrets, tls.get, base.clock)
    heartbeat = HttpHeartbeat(policy.heartbeat, secrets, tls.get) if policy.heartbeat else None
    drawing = build_changes(policy.notify, secrets, tls.get, base.clock)
    if policy.grafana:
        drawing["grafana"] = Grafana(policy.grafana, secrets, tls.get)
    annotator = Annotators(drawing) if drawing else None
    sources = build_sources(policy.ledger, policy.watch, secrets, tls.get, base.clock)
    told = replace(base, channels=channels, heartbeat=heartbeat, annotator=annotator)
    return with_dns(replace(told, submitters=submitters, mailboxes=mailboxes, sources=sources), policy.inspect)


def with_dns(edges: Edges, inspect: InspectPolicy) -> Edges:
    """The same, with what inspections need: nothing where nothing is inspected."""
    if not inspect.enabled or not inspect.domains:
        return replace(edges, resolver=None, transport=None)
    resolver = DnsResolver(inspect.resolvers, inspect.timeout, inspect.port, edges.clock)
    transport = MailServerProbe(LOOK_WITHIN, edges.clock) if inspect.transport else None
    return replace(edges, resolver=resolver, transport=transport, suffixes=edges.suffixes or PublicSuffixes())


def kept_edges(old: Policy, watched: Mapping[MailboxName, MailboxPolicy], edges: Edges, new: Policy, fresh: Edges) -> Edges:
    """`fresh`, but what means the same in both configurations is the one of `edges`, connections and all. `watched`: the mailboxes of
    `edges`."""

    def same_path(name: PathName) -> bool:
        return name in old.paths and old.paths[name] == new.paths[name] and old.seeds == new.seeds

    def same_box(name: MailboxName) -> bool:
        return watched.get(name) == new.mailboxes[name] and old.watch == new.watch

    def same_channel(name: str) -> bool:
        return old.notify.channels.get(name) == new.notify.channels[name]

    def same_source(name: str) -> bool:
        return old.ledger.sources.get(name) == new.ledger.sources[name] and old.watch == new.watch

    def drawn(one: Policy) -> tuple[object, ...]:
        return one.grafana, {name: via for name, via in one.notify.channels.items() if isinstance(via, PagerdutyChannel) and via.changes}

    def same_dns(one: InspectPolicy) -> tuple[object, ...]:
        return one.enabled and bool(one.domains), one.resolvers, one.timeout, one.port, one.transport

    asks_the_same = same_dns(old.inspect) == same_dns(new.inspect)
    return replace(
        fresh,
        submitters={name: edges.submitters[name] if same_path(name) else one for name, one in fresh.submitters.items()},
        mailboxes={name: edges.mailboxes[name] if same_box(name) else one for name, one in fresh.mailboxes.items()},
        channels={name: edges.channels[name] if same_channel(name) else one for name, one in fresh.channels.items()},
        heartbeat=edges.heartbeat if old.heartbeat == new.heartbeat else fresh.heartbeat,
        annotator=edges.annotator if drawn(old) == drawn(new) else fresh.annotator,
        sources={name: edges.sources[name] if same_source(name) else one for name, one in fresh.sources.items()},
        resolver=edges.resolver if asks_the_same else fresh.resolver,
        transport=edges.transport if asks_the_same else fresh.transport,
    )


Closable = Channel | Heartbeat | Annotators | Resolver | LedgerSource


class Farewells:
    """Closes what a reload replaced, a while later: whoever uses it may go on until then."""

    def __init__(self, clock: Clock, after: float) -> None:
        self._clock = clock
        self._after = after
        self._tasks: set[asyncio.Task[None]] = set()

    def part_with(self, tasks: asyncio.TaskGroup, replaced: Iterable[Closable]) -> None:
        for one in replaced:
            task = tasks.create_task(self._close(one), name="farewell")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Close now."""
        for task in self._tasks:
            task.cancel()

    async def _close(self, one: Closable) -> None:
        try:
            await self._clock.sleep(self._after)
        finally:
            await one.close()


class Channels(Mapping[str, Channel]):
    """The channels that there are `now`: one mapping for the life of the daemon, whose content a reload replaces whole."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self.now = channels

    def __getitem__(self, name: str) -> Channel:
        return self.now[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.now)

    def __len__(self) -> int:
        return len(self.now)
