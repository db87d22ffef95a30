"""What a delivered message shows: where it lies, which carriers survived, what the receiver said of its sender."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Placement(StrEnum):
    INBOX = "inbox"
    TAB = "tab"
    SPAM = "spam"
    OTHER = "other"


class Carrier(StrEnum):
    """A place in the mail that bears the token."""

    HEADER = "header"  # X-Mailcanary-Token
    PLUS_TAG = "plus_tag"  # envelope recipient seed+token@domain
    MESSAGE_ID = "message_id"  # <token@author-domain>
    BODY = "body"  # hidden marker in the HTML part, a line in the text part
    REFUND_NUMBER = "refund_number"  # a number of ours, or the one that the application assigned


class AuthResult(StrEnum):
    """RFC 8601 section 2.7 results, verbatim; ABSENT is ours: the receiver said nothing."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    POLICY = "policy"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Authentication:
    """The receiver's own verdicts on one message, from the trusted authserv-id only."""

    spf: AuthResult = AuthResult.ABSENT
    dkim: AuthResult = AuthResult.ABSENT
    dmarc: AuthResult = AuthResult.ABSENT
    authserv_id: str = ""


UNSAID = Authentication()


class Field(StrEnum):
    """A named field of the expectation."""

    AMOUNT = "amount"
    REFUND_NUMBER = "refund_number"
    ORDER_NUMBER = "order_number"
    CUSTOMER_NAME = "customer_name"
    FOREIGN_AMOUNT = "foreign_amount"  # another amount of money stands in the mail


@dataclass(frozen=True, slots=True)
class Folder:
    """One selectable folder. `wire` is the name as the server spells it (modified UTF-7, RFC 3501 section 5.1.3);
    `attributes` are in lower case: \\junk, \\all, \\hasnochildren (RFC 6154 section 2)."""

    name: str
    wire: str
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a folder was read: all UIDs below next_uid, under this UIDVALIDITY (RFC 3501 section 2.3.1.1)."""

    uidvalidity: int
    next_uid: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One message as found in a folder. `raw` is its beginning, at most the bound of the look; never interpreted yet."""

    folder: Folder
    uidvalidity: int
    uid: int
    size: int
    internaldate: float | None
    raw: bytes

    @property
    def truncated(self) -> bool:
        return len(self.raw) < self.size


@dataclass(frozen=True, slots=True)
class Look:
    """The new messages of one folder. `more`: the bound was hit, look again from `mark`."""

    folder: Folder
    mark: Mark
    copies: tuple[Copy, ...]
    more: bool = False


class BlindCause(StrEnum):
    """Why we cannot look into a mailbox."""

    STARTING = "starting"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    AUTH_REFUSED = "auth_refused"
    FOLDER_MISSING = "folder_missing"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    MISCONFIGURED = "misconfigured"
