"""A probe: one synthetic refund confirmation on one route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from monitor.model.mail import AuthResult, Carrier, Field
from monitor.model.money import Money

ProbeId = NewType("ProbeId", str)  # 12 characters [0-9a-f], random, unique per instance
PathName = NewType("PathName", str)
MailboxName = NewType("MailboxName", str)


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """Path x seed mailbox."""

    path: PathName
    mailbox: MailboxName

    def __str__(self) -> str:
        return f"{self.path}/{self.mailbox}"


class Purpose(StrEnum):
    SCHEDULED = "scheduled"
    CONFIRM = "confirm"
    GATE = "gate"
    CLI = "cli"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds from the first attempt, resolved when the probe is planned (design 5, clocks)."""

    late_after: float
    missing_after: float
    give_up_after: float
    watch_until: float
    overdue_floor: float = 20.0  # a probe younger than this is never overdue


@dataclass(frozen=True, slots=True)
class RefundStory:
    """The made-up refund that the confirmation is about; varies harmlessly from probe to probe."""

    refund_number: str
    order_number: str
    amount: Money
    customer_name: str
    locale: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the delivered mail must show: each field in its exact rendered form, and who vouches for it."""

    fields: tuple[tuple[Field, str], ...]
    allowed_amounts: tuple[str, ...] = ()  # other amounts that the template prints, as rendered
    carriers: tuple[Carrier, ...] = (Carrier.HEADER,)
    spf: tuple[AuthResult, ...] = ()  # acceptable results; empty: not demanded
    dkim: tuple[AuthResult, ...] = ()
    dmarc: tuple[AuthResult, ...] = ()
