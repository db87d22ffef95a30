"""The section `ledger:` of the file."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from monitor.model.ledger import SCALE
from monitor.model.query import QueryError, prepare
from monitor.model.sources import Complete, FileFormat, Match, RefundStatus
from monitor.model.time_format import TimeFormatError, check_time_format
from monitor.settings.addresses import Mail
from monitor.settings.http_values import Mark, Matching
from monitor.settings.mail_shape import FoldersShape, ImapShape
from monitor.settings.scalars import Choice, Flag, Hidden, Name, Scalar, Span, Text, TextScalar, Whole, a_text, refuse
from monitor.settings.section import Section, optional, required

MOST_SOURCES = 20
LONGEST_QUERY = 20_000
_LONGEST_PATTERN = 500
# a repeat of what itself repeats may take for ever on the right text: (a+)+, (a*b)*
_REPEATED_REPEAT = re.compile(r"\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)(?:[+*]|\{[0-9]+,)")


@dataclass(frozen=True)
class PatternScalar(Scalar):
    """A regular expression with so many groups."""

    groups: int

    def parse(self, value: object) -> object:
        text = a_text(value, "a regular expression", "it in single quotes: 'Refund (RF-[0-9]+)'")
        if len(text) > _LONGEST_PATTERN:
            refuse(f"is longer than {_LONGEST_PATTERN} characters", "shorten it")
        try:
            found = re.compile(text)
        except re.error as error:
            refuse(f"is no regular expression: {error.msg}", "mend it; in YAML, single quotes keep backslashes")
        if found.groups != self.groups:
            wanted = "one group around what is wanted" if self.groups else "no group: (?:...) where brackets are needed"
            refuse(f"has {found.groups} groups", f"write {wanted}")
        if _REPEATED_REPEAT.search(text):
            refuse("repeats what itself repeats, which can take for ever", "write one repeat: [A-Z0-9]+ instead of ([A-Z]+)+")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "regex", "minLength": 1, "maxLength": _LONGEST_PATTERN}


@dataclass(frozen=True)
class ZoneScalar(Scalar):
    """The name of a time zone."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a time zone", "Europe/Berlin")
        try:
            zoneinfo.ZoneInfo(text)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            refuse("is no time zone", "write a name of the IANA database: UTC, Europe/Berlin, America/New_York")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[A-Za-z0-9_+/-]{1,64}$"}


@dataclass(frozen=True)
class TimeFormatScalar(TextScalar):
    """How times are written."""

    def parse(self, value: object) -> object:
        text = str(super().parse(value))
        try:
            check_time_format(text)
        except TimeFormatError as error:
            refuse(error.what, error.mend)
        return text


@dataclass(frozen=True)
class QueryScalar(Scalar):
    """One SELECT with the parameter :watermark."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a query", "SELECT ... WHERE updated_at >= :watermark ORDER BY updated_at").strip()
        if len(text) > LONGEST_QUERY:
            refuse(f"is longer than {LONGEST_QUERY} characters", "put a view into the database and select from that")
        try:
            prepare(text)
        except QueryError as error:
            refuse(error.what.removeprefix("the query "), error.mend)
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": ":watermark", "maxLength": LONGEST_QUERY}


Pattern = Annotated[str, PatternScalar(1)]
Sign = Annotated[str, PatternScalar(0)]
Zone = Annotated[str, ZoneScalar()]
TimeFormat = Annotated[str, TimeFormatScalar()]
Currency = Annotated[str, Matching("[A-Z]{3}", "no currency code", "write the ISO 4217 code, GBP")]
DecimalMark = Annotated[str, Mark(".,")]
Word = Annotated[str, TextScalar(64)]
Field_ = Annotated[
    str,
    Matching(
        "refund|order|amount|currency|at|recipient|status|reversed_at|id|outcome|resend",
        "no field of a record",
        "write refund, order, amount, currency, at, recipient, status or reversed_at; of confirmations id, outcome or resend too",
    ),
]


class _SourceShape(Section):
    """What all sources share."""

    lag: Annotated[float, Span("0s", "7d")] = optional("How far what it shows may be behind: nothing younger is judged.", "0s")


class _RowsShape(_SourceShape):
    """What sources of rows share."""

    columns: dict[Field_, Text] = optional("Our field: their column. A field that is not named here has our name.", {})
    decimal: DecimalMark = optional("Before the cents.", ".")
    minor_units: Flag = optional("true: amounts are whole numbers of the smallest unit: 1250 is 12.50 EUR.", False)
    negative: Flag = optional("true: what was paid back is written as a negative amount.", False)
    currency: Currency | None = optional("Where rows name none.")
    time_zone: Zone = optional("Of times that bear none.", "UTC")
    time_format: TimeFormat | None = optional(
        "How times are written (strptime). Default: ISO 8601, or seconds or milliseconds since the epoch."
    )
    statuses: dict[Word, Annotated[RefundStatus, Choice(RefundStatus)]] = optional(
        "Their words for processed, reversed and ignored (pending, failed). Usual words are known.", {}
    )


class FilesShape(_RowsShape):
    """Files that are read on as they grow, and as new ones come."""

    kind: Literal["files"] = required("files: CSV or JSONL.", "files")
    path: Text = required("A file, or a pattern with * in its last part; relative to this file.", "exports/refunds-*.csv")
    format: Annotated[FileFormat, Choice(FileFormat)] | None = optional("csv or jsonl. Default: by the name.")
    delimiter: Annotated[str, Mark(",;|\t")] | None = optional("Between the fields of CSV. Default: found out from the header.")
    complete: Annotated[Complete, Choice(Complete)] = optional(
        "Until when: read, until they were looked at, of files that grow; written, until the newest was written, of exports.",
        "read",
    )
    every: Annotated[float, Span("100ms", "1d")] = optional("Between two looks.", "5s")


class SqlShape(_RowsShape):
    """The shop's database, asked by a query of its own. Needs the extra `sql`."""

    kind: Literal["sql"] = required("sql: PostgreSQL, MySQL or SQLite.", "sql")
    url: Hidden = required("As SQLAlchemy writes it, in a secret: postgresql://reader:...@db/shop.", "{env: SHOP_DATABASE_URL}")
    query: Annotated[str, QueryScalar()] = required(
        "One SELECT that takes rows from :watermark on, in its order.", "SELECT ... WHERE updated_at >= :watermark ORDER BY updated_at"
    )
    watermark: Annotated[str, TextScalar(100)] = required("The column that only grows: a time of change, or a number.", "updated_at")
    start: Annotated[str, TextScalar(100)] = required("The first watermark.", '"2026-11-01 00:00:00"')
    overlap: Annotated[float, Span("0s", "1d")] = optional(
        "What is asked for again each time, for transactions that commit late; of a number, as many as seconds.", "5m"
    )
    every: Annotated[float, Span("100ms", "1d")] = optional("Between two questions.", "15s")


class PushShape(_RowsShape):
    """What the shop sends to POST /v1/refunds or /v1/confirmations."""

    kind: Literal["push"] = required("push: the shop tells us.", "push")
    lag: Annotated[float, Span("0s", "7d")] = optional(
        "How late it may tell; where a batch says complete_until, that counts instead.", "15m"
    )


class PostfixShape(_SourceShape):
    """The log of a Postfix."""

    kind: Literal["postfix"] = required("postfix: its log.", "postfix")
    path: Text = required("The log, or a pattern with * in its last part; relative to this file.", "/var/log/mail.log")
    number: Pattern = required("Finds the refund's number (or the order's, see match), in one group.", "'refund-(RF-[0-9]+)[.@]'")
    within: Annotated[str, Matching("message_id|subject", "not known", "write message_id or subject")] = optional(
        "Where: message_id, or subject, which header_checks must log (docs/ledger.md).", "message_id"
    )
    sender: Sign | None = optional("Only mail in whose envelope sender this is found; needed where the relay takes mail from outside.")
    time_zone: Zone = optional("Of its times, if they bear none.", "UTC")
    every: Annotated[float, Span("100ms", "1d")] = optional("Between two looks.", "2s")


class JournalMailboxShape(_SourceShape):
    """A mailbox that gets a copy of every confirmation; only read. It is none of `mailboxes:`."""

    kind: Literal["mailbox"] = required("mailbox: Bcc, always_bcc or journaling.", "mailbox")
    address: Mail = required("Its address.", "journal@example.com")
    imap: ImapShape = required("How it is read.", "{host: imap.example.com, password: {env: JOURNAL_PASSWORD}}")
    folders: FoldersShape = Field(default_factory=FoldersShape, description="Folder names, where the server does not tell.")
    templates: Text | None = optional(
        "Directory with the shop's subject.txt and message.txt, relative to this file: number and amount stand where they print them."
    )
    number: Pattern | None = optional("Finds the refund's number (or the order's, see match) in subject or text, in one group.")
    amount: Pattern | None = optional("Finds the amount, with its currency if it has one, in one group.")
    decimal: DecimalMark = optional("Before the cents.", ".")
    currency: Currency | None = optional("Where the amount names none, and what $ means.")
    resend: Sign | None = optional("Mail in which this is found was sent again on purpose.")
    subject: Sign | None = optional("Only mail in whose subject this is found is a confirmation.")
    every: Annotated[float, Span("100ms", "1d")] = optional("Between two rounds through its folders.", "15s")


RefundSourceShape = Annotated[FilesShape | SqlShape | PushShape, Field(discriminator="kind")]
ConfirmationSourceShape = Annotated[FilesShape | SqlShape | PushShape | PostfixShape | JournalMailboxShape, Field(discriminator="kind")]
Count = Annotated[int, Whole(1, SCALE)]


class LedgerPagesShape(Section):
    """So many new differences page; fewer are a ticket."""

    missing: Count = optional("Refunds without a confirmation.", 5)
    spurious: Count = optional("Confirmations without a refund.", 1)
    mismatched: Count = optional("Confirmations of another amount or currency, or to somebody else.", 1)
    duplicate: Count = optional("Confirmations sent more than once.", 5)


class LedgerShape(Section):
    """Real refunds and their confirmations, compared both ways."""

    match: Annotated[Match, Choice(Match)] = optional(
        "What both have in common: refund, the refund number; or order, where mail bears the order's number only.", "refund"
    )
    key: Hidden | None = optional("At least 16 bytes, for the hashes that stand for recipients: {env: NAME} or {file: PATH}.")
    refunds: dict[Name, RefundSourceShape] = optional("Where refunds come from, by name: kind files, sql or push.", {})
    confirmations: dict[Name, ConfirmationSourceShape] = optional(
        "Where confirmations come from, by name: kind mailbox, postfix, files, sql or push.", {}
    )
    confirm_within: Annotated[float, Span("1s", "30d")] = optional("From a refund until its confirmation must be there.", "1h")
    refund_within: Annotated[float, Span("1s", "30d")] = optional("From a confirmation until its refund must be in the ledger.", "15m")
    every: Annotated[float, Span("100ms", "1h")] = optional("Between two reconciliations, at least.", "10s")
    retention: Annotated[float, Span("1h", "3650d")] = optional("How long refunds, confirmations and differences are kept.", "90d")
    page: LedgerPagesShape = Field(default_factory=LedgerPagesShape, description="How many new differences page.")
    copies: tuple[Mail, ...] = optional("Addresses of yours that get a copy of every mail, like accounting: nobody is told there.", ())
    volume: Flag = optional("Tell of confirmations that collapse or flood, beside refunds and beside what is usual.", True)
