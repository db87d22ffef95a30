"""Handing a message over, and the closed set of what can come of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.model.address import Address
from monitor.model.probe import ProbeId


@dataclass(frozen=True, slots=True)
class MailSubmission:
    """A finished message for a relay. The bytes have CRLF line ends and are not touched again."""

    probe: ProbeId
    envelope_sender: Address
    recipient: Address
    message_id: str
    message: bytes


@dataclass(frozen=True, slots=True)
class AppSubmission:
    """A synthetic refund for the production application, which composes the mail itself. Headers that are secrets are added at the edge."""

    probe: ProbeId
    recipient: Address
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class CommandSubmission:
    """A synthetic refund for a program of the shop's: what stands on its stdin. Its environment is made at the edge."""

    probe: ProbeId
    recipient: Address
    body: bytes


Submission = MailSubmission | AppSubmission | CommandSubmission


class Step(StrEnum):
    """Where in the dialogue the peer spoke."""

    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"
    MAIL_FROM = "mail_from"
    RCPT_TO = "rcpt_to"
    DATA = "data"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Reply:
    """The peer's words: SMTP or HTTP code, or a program's exit code (200 for exit code 0), enhanced status code (RFC 3463) if any, and the
    text, cut at 500 characters."""

    code: int
    text: str
    enhanced: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}".replace("  ", " ") if self.enhanced else f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Taken:
    """2xx: the peer took responsibility (RFC 5321 section 4.2.5)."""

    reply: Reply
    queue_id: str = ""
    app_refund_id: str = ""
    served_version: str = ""


@dataclass(frozen=True, slots=True)
class Postponed:
    """4xx: try again later with the same envelope."""

    step: Step
    reply: Reply
    served_version: str = ""


@dataclass(frozen=True, slots=True)
class Declined:
    """5xx: final. `served_version`: who said no, where an application tells it."""

    step: Step
    reply: Reply
    served_version: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The message may or may not have been taken: the reply was lost. Never sent again."""

    step: Step
    detail: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """Nothing was handed over because there was no conversation; safe to try again."""

    step: Step
    detail: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Our side is wrong: credentials refused, CA file missing. Nothing was handed over."""

    step: Step
    detail: str
    mend: str


Outcome = Taken | Postponed | Declined | Unanswered | Unreached | Misconfigured
