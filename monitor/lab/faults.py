"""The closed set of faults that can be switched on and off while the lab runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

MAX_ACTIVE = 256  # faults switched on at the same time


class Fault(Enum):
    """What can be made to go wrong. S: at submission; D: on delivery; A: in the shop; I: at the IMAP server; N: in the DNS."""

    REFUSE = "refuse"  # S: 554 at RCPT
    REFUSE_MAIL_FROM = "refuse_mail_from"  # S: 553 at MAIL
    REFUSE_CONNECT = "refuse_connect"  # S: the listener is gone; the shop finds its relay unreachable
    AUTH_REFUSED = "auth_refused"  # S: 535 whatever the password
    GREYLIST = "greylist"  # S: 450 until the triplet is `seconds` old
    SLOW_SMTP = "slow_smtp"  # S: every octet of a reply waits `seconds`
    DROP_AFTER_DATA = "drop_after_data"  # S: connection lost after the final dot, the message is delivered
    DROP_AFTER_DATA_LOST = "drop_after_data_lost"  # S: connection lost after the final dot, the message is lost
    ACCEPT_AND_DROP = "accept_and_drop"  # D: 250, then nothing
    HOLD_QUEUE = "hold_queue"  # D: 250, then waits until the fault is switched off
    DELAY = "delay"  # D: delivered `seconds` later
    JUNK = "junk"  # D: into the provider's junk folder
    OTHER_FOLDER = "other_folder"  # D: into `folder`, or the provider's other folder
    DUPLICATE = "duplicate"  # D: delivered `copies` times
    ALTER_AMOUNT = "alter_amount"  # D: the digits of money amounts change, in text and HTML
    STRIP_HEADER_CARRIERS = "strip_header_carriers"  # D: X- fields removed, Message-ID rewritten
    MISROUTE = "misroute"  # D: delivered to the account `to`
    CLONE_BOUNCE = "clone_bounce"  # D: a DSN (RFC 3464) to the envelope sender in place of delivery
    AUTHENTICATION_FAIL = "authentication_fail"  # D: receiver writes spf=softfail dkim=fail dmarc=fail
    UNSIGNED = "unsigned"  # D: the relay does not sign
    ALTER_BODY = "alter_body"  # D: a footer is appended after the message was signed
    ROUTE_TO_HOLDING = "route_to_holding"  # A: the shop's mail goes to the holding store, as in v2
    IMAP_DOWN = "imap_down"  # I: connection refused and sessions cut; with a mailbox in scope, its login only
    IMAP_HANG = "imap_hang"  # I: connections are accepted and never answered
    IMAP_BYE = "imap_bye"  # I: BYE and close during IDLE
    IMAP_MALFORMED = "imap_malformed"  # I: broken untagged lines before each answer and during IDLE
    IMAP_AUTH_REFUSED = "imap_auth_refused"  # I: NO [AUTHENTICATIONFAILED] whatever the password
    IMAP_NO_PUSH = "imap_no_push"  # I: IDLE never pushes
    UIDVALIDITY_CHANGE = "uidvalidity_change"  # I: once, when switched on: new UIDVALIDITY for `folder` or INBOX
    KEY_GONE = "key_gone"  # N: the record of the DKIM key is not in the zone
    DNS_SERVFAIL = "dns_servfail"  # N: our resolver answers SERVFAIL to everything; the receivers have their own
    DNS_DOWN = "dns_down"  # N: our resolver does not answer


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a fault applies; None matches all.

    provider is a provider's domain (whoever switches may say its first label only), mailbox an account's address, path is "shop" (the app)
    or "smtp" (any listener), or one listener: "plain", "starttls", "tls".
    """

    provider: str | None = None
    mailbox: str | None = None
    path: str | None = None

    def covers(self, provider: str | None, mailbox: str | None, paths: tuple[str, ...]) -> bool:
        """Whether something at this place is hit; an unknown place is hit only by a scope that does not name it."""
        return (
            (self.provider is None or self.provider == provider)
            and (self.mailbox is None or self.mailbox == mailbox)
            and (self.path is None or self.path in paths)
        )


@dataclass(frozen=True, slots=True)
class FaultState:
    """A fault that is switched on, with its parameters.

    `times` ends it after so many hits; it counts for the faults S, D and A but slow_smtp, greylist, refuse_connect
    and hold_queue, and for imap_auth_refused. The other ones are states of a server, which have no hits.
    """

    fault: Fault
    scope: Scope = Scope()
    seconds: float = 0.0
    folder: str | None = None
    to: str | None = None
    copies: int = 2
    times: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= 86_400:
            raise ValueError("seconds must be between 0 and 86400")
        if not 2 <= self.copies <= 100:
            raise ValueError("copies must be between 2 and 100")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.fault is Fault.MISROUTE and not self.to:
            raise ValueError("misroute needs the parameter 'to'")

    def as_json(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "fault": self.fault.value,
            "scope": {"provider": self.scope.provider, "mailbox": self.scope.mailbox, "path": self.scope.path},
            "params": {
                "seconds": self.seconds,
                "folder": self.folder,
                "to": self.to,
                "copies": self.copies,
                "times": self.times,
            },
        }


class FaultBoard:
    """Which faults are on. Servers ask it at the moment that matters, and subscribe where they must act on a switch."""

    def __init__(self) -> None:
        self._active: dict[tuple[Fault, Scope], FaultState] = {}
        self._subscribers: list[Callable[[Fault], None]] = []

    @property
    def active(self) -> list[FaultState]:
        """All faults that are on."""
        return list(self._active.values())

    def subscribe(self, on_switch: Callable[[Fault], None]) -> None:
        """Call `on_switch` after each switch, on or off."""
        self._subscribers.append(on_switch)

    def switch_on(self, state: FaultState) -> None:
        """Switch a fault on for its scope; the same fault and scope again replaces the parameters."""
        key = (state.fault, state.scope)
        if key not in self._active and len(self._active) >= MAX_ACTIVE:
            raise ValueError(f"more than {MAX_ACTIVE} faults are on")
        self._active[key] = state
        self._announce(state.fault)

    def switch_off(self, fault: Fault, scope: Scope | None = None) -> None:
        """Switch a fault off, for one scope or for all."""
        for key in [key for key in self._active if key[0] is fault and scope in (None, key[1])]:
            del self._active[key]
        self._announce(fault)

    def clear(self) -> None:
        """Switch everything off."""
        for fault in {key[0] for key in self._active}:
            self.switch_off(fault)

    def find(self, fault: Fault, provider: str | None = None, mailbox: str | None = None, paths: tuple[str, ...] = ()) -> FaultState | None:
        """The state of a fault at a place, or None; does not count as a hit."""
        if not self._active:
            return None
        for (kind, scope), state in self._active.items():
            if kind is fault and scope.covers(provider, mailbox, paths):
                return state
        return None

    def hit(self, fault: Fault, provider: str | None = None, mailbox: str | None = None, paths: tuple[str, ...] = ()) -> FaultState | None:
        """Like find, and uses up one of its `times`."""
        state = self.find(fault, provider, mailbox, paths)
        if state is not None and state.times is not None:
            if state.times > 1:
                self._active[(fault, state.scope)] = replace(state, times=state.times - 1)
            else:
                self.switch_off(fault, state.scope)
        return state

    def _announce(self, fault: Fault) -> None:
        for on_switch in self._subscribers:
            on_switch(fault)
