"""The other direction: refunds of the shop, the confirmations that were sent for them, and how the two differ.

Amounts are whole numbers of ten-thousandths of the currency's unit: exact, and the smallest unit of every currency of ISO 4217 fits. Times
are seconds since the epoch. Of a recipient there is a keyed hash (BLAKE2b, RFC 7693), never the address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from monitor.model.mail import Copy
from monitor.model.money import Money

SCALE = 10_000  # parts of a currency's unit
HASHED = 12  # bytes of a recipient's hash
MOST_EXAMPLES = 20  # faults of rows that are kept of one source, the latest
MOST_DAYS = 400  # of records that are told of one source


class Side(StrEnum):
    REFUNDS = "refunds"
    CONFIRMATIONS = "confirmations"


class Outcome(StrEnum):
    """What became of a confirmation, as its source knows it."""

    SENT = "sent"
    FAILED = "failed"  # rejected or bounced: nobody was told
    HELD = "held"  # handed to a holding mailbox of ours instead of the customer: nobody was told


class Refund(NamedTuple):
    """One refund of the ledger; a tuple, because a million of them go straight into a table."""

    key: str  # by which it is matched: its number, or its order's where the policy matches orders
    number: str  # as the ledger names it
    amount: int
    currency: str
    at: float  # processed
    recipient: bytes = b""  # empty: not known
    provider: str = ""  # the mailbox provider of the configuration whose domain the recipient has; empty: another one
    reversed_at: float | None = None  # nothing is owed any more
    line: int = 0  # of its origin, from 1; 0: it has none


class Confirmation(NamedTuple):
    """One confirmation, as one source knows it. The same source naming the same identity again is the same confirmation."""

    key: str
    identity: str  # its Message-ID's digest, the id of its row, or made of what it says where the source names none
    amount: int | None  # None: the source does not know
    currency: str
    at: float  # submitted or sent
    recipient: bytes = b""
    provider: str = ""
    outcome: str = Outcome.SENT.value
    resend: bool = False  # sent again on purpose: no duplicate
    line: int = 0


class DifferenceKind(StrEnum):
    """How a refund and its confirmation differ."""

    MISSING = "missing"  # a refund whose customer was not told within the time
    SPURIOUS = "spurious"  # a confirmation without a refund, or of one that had been reversed long before
    AMOUNT = "amount"  # another amount than the refund's
    CURRENCY = "currency"
    RECIPIENT = "recipient"  # sent to somebody else
    DUPLICATE = "duplicate"  # sent more than once to the same person, by one source


class DifferenceClass(StrEnum):
    """What an incident is about."""

    MISSING = "missing"
    SPURIOUS = "spurious"
    MISMATCHED = "mismatched"
    DUPLICATE = "duplicate"


CLASS_OF: dict[DifferenceKind, DifferenceClass] = {
    DifferenceKind.MISSING: DifferenceClass.MISSING,
    DifferenceKind.SPURIOUS: DifferenceClass.SPURIOUS,
    DifferenceKind.AMOUNT: DifferenceClass.MISMATCHED,
    DifferenceKind.CURRENCY: DifferenceClass.MISMATCHED,
    DifferenceKind.RECIPIENT: DifferenceClass.MISMATCHED,
    DifferenceKind.DUPLICATE: DifferenceClass.DUPLICATE,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One of them, with its evidence. `key` as in Refund; numbers and places are for people who repair, never for logs or labels."""

    kind: DifferenceKind
    key: str
    found: float  # when it was first seen to differ
    settled: float | None = None  # when it was first seen not to differ any more
    number: str = ""  # of the refund, where there is one
    refund: Money | None = None
    refund_at: float | None = None
    refund_place: str = ""  # source, origin and line
    confirmation: Money | None = None
    confirmation_at: float | None = None
    confirmation_place: str = ""
    note: str = ""  # in plain words, what else is known: "reversed 3h before", "its mail went to a holding mailbox", "the 2nd of 3"


# --- what comes in ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was not taken. Names what is wrong and how to mend it; no address stands in it."""

    line: int  # of its origin, from 1; of a pushed batch the row, from 1; 0: all of it
    what: str
    mend: str = ""
    column: str = ""
    key: str = field(default="", repr=False)  # by which it would be matched, where that could be read; never shown


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names. Values are text, numbers or None; `lines[i]` is where `rows[i]` stands."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a log, without their ends; `first` is the number of the first one."""

    lines: Sequence[str]
    first: int = 1


@dataclass(frozen=True, slots=True)
class Mails:
    """Messages of a journal mailbox."""

    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one read of a source gave. `position`: where to read on, opaque, committed with what came before it."""

    origin: str  # the file, query or folder, for people
    content: Table | Lines | Mails
    position: str
    more: bool  # there is more already: read again at once
    read_until: float | None  # all that the source had at that time has been read; None: not yet at its end
    faults: tuple[RowFault, ...] = ()  # what could not even be cut into rows


@dataclass(frozen=True, slots=True)
class Taking:
    """Records to be kept, all or nothing, together with how far the source was read."""

    source: str
    side: Side
    origin: str
    records: Sequence[Refund] | Sequence[Confirmation]
    at: float
    faults: tuple[RowFault, ...] = ()
    dropped: int = 0  # probes
    position: str | None = None  # None: pushed, nothing to read on from
    memory: str = ""  # of the rule that read it, for the next portion
    read_until: float | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """`conflicts`: rows that contradict one that was taken before; the first one is kept, and any of them counts as right."""

    new: int
    known: int  # delivered again: nothing changed
    changed: int = 0  # reversed, another address
    conflicts: tuple[RowFault, ...] = ()


# --- what comes out -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Windows:
    """How long to wait, and what has been read. A side that was read until None, or from None, decides nothing against the other."""

    confirm_within: float  # seconds from the refund until its confirmation must be there
    refund_within: float  # seconds from a confirmation until its refund must be in the ledger
    refunds_until: float | None
    confirmations_until: float | None
    refunds_from: float | None
    confirmations_from: float | None


@dataclass(frozen=True, slots=True)
class ClassStanding:
    """`open`: differences now; `found`: all that were ever found, which only grows."""

    kind: DifferenceClass
    open: int = 0
    found: int = 0
    latest: float | None = None  # when the newest one was found
    earliest: float | None = None  # of the open ones: when the refund was processed, or the confirmation sent
    customers: int = 0  # of the open ones, as far as recipients are known
    money: tuple[Money, ...] = ()  # of the open ones, by currency: owed, promised without a refund, said wrongly


@dataclass(frozen=True, slots=True)
class Standing:
    """The two sides as they stand."""

    refunds: int = 0
    confirmations: int = 0
    confirmed: int = 0  # refunds whose customer was told
    awaited: int = 0  # refunds that are not confirmed, and not missing yet
    undecided: int = 0  # too near the edge of what was read to say
    classes: tuple[ClassStanding, ...] = ()
    refunds_until: float | None = None
    confirmations_until: float | None = None
    oldest_unconfirmed: float | None = None  # when the oldest missing one was processed


@dataclass(frozen=True, slots=True)
class Impact:
    """Real refunds in the time of an incident."""

    since: float
    until: float  # as far as the sources were read
    refunds: int = 0  # processed
    customers: int = 0  # of them, as far as recipients are known
    confirmed: int = 0
    owed: int = 0  # not confirmed, and its time is over
    owed_money: tuple[Money, ...] = ()
    awaited: int = 0  # not confirmed, and not due yet
    awaited_money: tuple[Money, ...] = ()
    wrong: int = 0  # confirmations that should not have been sent so: spurious, mismatched, doubled
    wrong_customers: int = 0
    wrong_money: tuple[Money, ...] = ()  # what they say
    provider: str = ""  # only recipients of this mailbox provider are counted


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """How far one source was read."""

    source: str
    side: Side
    first_read: float
    last_read: float
    read_until: float | None
    earliest: float | None  # of its records
    latest: float | None
    records: int = 0
    refused: int = 0  # rows with faults, and conflicts
    dropped: int = 0  # probes
    faults: tuple[tuple[str, RowFault], ...] = ()  # the latest, with their origins
    days: tuple[float, ...] = ()  # its first record of each day (UTC) that has any, the latest MOST_DAYS


@dataclass(frozen=True, slots=True)
class Slice:
    """What was processed and sent in one slice of time."""

    at: float  # its beginning
    refunds: int
    confirmations: int


class Flow(StrEnum):
    COLLAPSE = "collapse"
    FLOOD = "flood"


@dataclass(frozen=True, slots=True)
class Volume:
    """Far more or far less than there should be."""

    flow: Flow
    side: Side  # what there is too much or too little of
    began: float
    until: float
    seen: int
    expected: float
    against: str  # "refunds": the other side in the same time; "usual": the same hours of earlier weeks


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which differences are asked for; in the order in which they were found."""

    kinds: tuple[DifferenceKind, ...] = tuple(DifferenceKind)
    since: float | None = None  # found since then
    open_only: bool = True
    provider: str = ""
    after: int = 0  # the place behind which to go on
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    differences: tuple[Difference, ...]
    after: int | None  # where to go on; None: that was all


@dataclass(frozen=True, slots=True)
class Purge:
    """What is to be forgotten: all that is older, or all of one recipient."""

    before: float | None = None
    recipient: bytes = b""


@dataclass(frozen=True, slots=True)
class Purged:
    refunds: int
    confirmations: int
    differences: int


def money(amount: int, currency: str) -> Money:
    """An amount as it is kept -> exact money."""
    return Money(Decimal(amount).scaleb(-4), currency)
