"""Sources of refunds and confirmations that are read: one small adapter each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ssl import SSLContext

from monitor.edge.sources.files import FileSource
from monitor.edge.sources.mailbox import JournalMailbox
from monitor.edge.sources.pushed import Pushed
from monitor.model.policy import WatchPolicy
from monitor.model.sources import FilesSource, LedgerPolicy, MailboxSource, PostfixSource, PushSource, SqlSource
from monitor.ports import Clock, LedgerSource, Secrets


def build(
    policy: LedgerPolicy, watch: WatchPolicy, secrets: Secrets, tls: Callable[[str | None], SSLContext], clock: Clock
) -> Mapping[str, LedgerSource]:
    """One for each source of the policy. Opens nothing yet."""
    made: dict[str, LedgerSource] = {}
    for name, source in policy.sources.items():
        match source.via:
            case FilesSource() | PostfixSource():
                made[name] = FileSource(source.via, clock)
            case SqlSource():
                from monitor.edge.sources.sql import SqlReader  # noqa: PLC0415 - an optional extra; most shops need none

                made[name] = SqlReader(source.via, secrets, clock)
            case MailboxSource():
                made[name] = JournalMailbox(source.via, watch, secrets, tls, clock)
            case PushSource():
                made[name] = Pushed(clock)
    return made
