"""Where refunds and confirmations come from, and what is demanded of them: the section `ledger:`, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.model.address import Address
from monitor.model.ledger import Side
from monitor.model.secret import SecretRef

if TYPE_CHECKING:  # the policy holds this one's
    from monitor.model.policy import MailboxPolicy


class Match(StrEnum):
    """What refund and confirmation have in common."""

    REFUND = "refund"  # the refund number
    ORDER = "order"  # the order number: several refunds of one order are told apart by their amounts


class FileFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


class Complete(StrEnum):
    """Until when files are complete that have been read to their ends."""

    READ = "read"  # until they were looked at: what comes is written at once
    WRITTEN = "written"  # until the newest of them was written: exports


class RefundStatus(StrEnum):
    PROCESSED = "processed"
    REVERSED = "reversed"
    IGNORED = "ignored"  # pending, failed: no money moved


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are to be read. `columns`: our name of a field -> theirs; a field that is not named has our name."""

    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ""  # of CSV; empty: found out from the header
    decimal: str = "."
    minor_units: bool = False  # amounts are whole numbers of the currency's smallest unit
    negative: bool = False  # what was paid back is written as a negative amount
    currency: str = ""  # where rows name none
    time_zone: str = "UTC"  # IANA name, of times that bear none
    time_format: str = ""  # strptime; empty: ISO 8601, or seconds or milliseconds since the epoch
    statuses: Mapping[str, RefundStatus] = field(default_factory=dict)  # their words, in lower case


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Files that match a pattern, read on as they grow and as new ones come."""

    pattern: str  # absolute
    format: FileFormat
    layout: Layout
    complete: Complete = Complete.READ


@dataclass(frozen=True, slots=True)
class SqlSource:
    """The shop's own query, with the parameter :watermark."""

    url: SecretRef  # as SQLAlchemy writes it
    query: str
    watermark: str  # the column that grows
    start: str  # the first watermark
    overlap: float  # seconds, or as much of a number: read again each time, for transactions that are committed late
    layout: Layout


@dataclass(frozen=True, slots=True)
class PostfixSource:
    """The log of a Postfix: a confirmation is known by what its Message-ID or its logged Subject bears."""

    pattern: str  # of the files, absolute
    number: str  # a regular expression with one group: the refund's number, or its order's
    within: str  # "message_id" or "subject"
    time_zone: str  # of times that bear none
    sender: str = ""  # a regular expression: only mail with such an envelope sender; empty: any


@dataclass(frozen=True, slots=True)
class MailboxSource:
    """A mailbox that gets a copy of every confirmation (Bcc, always_bcc, journaling). `templates`: the shop's own, whose words are looked
    for where no patterns are given."""

    mailbox: MailboxPolicy
    number: str = ""  # regular expressions with one group each, on the normalised text; empty: by the template
    amount: str = ""
    decimal: str = "."
    currency: str = ""  # where the amount names none
    resend: str = ""  # mail in which it is found was sent again on purpose
    subject: str = ""  # only mail whose subject it is found in
    template: str = ""  # the subject and text template of the shop's confirmation, Jinja source


COMPLETE = "complete_until"  # the position of a pushed source whose batches have said until when they are complete


@dataclass(frozen=True, slots=True)
class PushSource:
    """What the shop sends to /v1/refunds or /v1/confirmations."""

    layout: Layout = Layout()


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    name: str
    side: Side
    via: FilesSource | SqlSource | PostfixSource | MailboxSource | PushSource
    every: float  # seconds between two looks
    lag: float  # seconds by which what it shows may be behind: so much is taken off "read until"


@dataclass(frozen=True, slots=True)
class LedgerPages:
    """So many new differences of a class page; fewer are a ticket."""

    missing: int = 5
    spurious: int = 1
    mismatched: int = 1
    duplicate: int = 5


@dataclass(frozen=True, slots=True)
class LedgerPolicy:
    match: Match = Match.REFUND
    key: bytes = field(default=b"", repr=False)  # of the hashes of recipients
    sources: Mapping[str, SourcePolicy] = field(default_factory=dict)
    confirm_within: float = 3_600.0
    refund_within: float = 900.0
    every: float = 10.0  # seconds between two reconciliations at most
    retention: float = 90 * 86_400.0
    pages: LedgerPages = LedgerPages()
    volume: bool = True
    copies: tuple[Address, ...] = ()  # they get a copy of what customers are told, and are told nothing themselves

    @property
    def enabled(self) -> bool:
        return bool(self.sources)

    def of(self, side: Side) -> tuple[SourcePolicy, ...]:
        return tuple(source for source in self.sources.values() if source.side is side)
