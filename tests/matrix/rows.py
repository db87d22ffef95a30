"""The rows of the matrix: a fault of the lab each, where it applies, and which layer is right, with the reason; and two faults at once.

A fault at one mailbox or provider is *theirs*. Where only one mailbox is kept at that provider nobody could tell the two apart, so both
answers are right there. Of two faults the first is the worse one: what wakes people names its layer, and the other one is seen too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from monitor.lab import Fault
from monitor.model.incident import Layer
from monitor.model.verdict import Symptom


class Place(StrEnum):
    """Where the fault is switched on."""

    EVERYWHERE = "everywhere"
    APP = "app path"
    BARE = "bare path"
    PROVIDER = "one provider"
    MAILBOX = "one mailbox"


@dataclass(frozen=True, slots=True)
class Other:
    """A second fault, at the same time. Where it is at one provider or mailbox, that is not the provider of the first one. `symptoms`: any
    incident of these is its own."""

    fault: Fault
    place: Place
    symptoms: frozenset[Symptom]
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """`layers`: the right answers; empty: nobody is to be paged. `deploy`: a version of the shop goes live instead of a fault; `gone`: the
    TXT record at this name below each sending domain goes. `silenced`: a planned silence covers it: it opens, and nobody is told."""

    fault: Fault | None
    place: Place
    layers: frozenset[Layer]
    why: str
    params: Mapping[str, Any] = field(default_factory=dict)
    deploy: str = ""
    gone: str | None = None
    other: Other | None = None
    silenced: bool = False

    @property
    def name(self) -> str:
        return f"{self.what}, {self.place.value}"

    @property
    def what(self) -> str:
        besides = f" + {_worded(self.other.fault, self.other.params)}, {self.other.place.value}" if self.other else ""
        return f"{self._first}{besides}{' under a silence' if self.silenced else ''}"

    @property
    def _first(self) -> str:
        if self.fault is not None:
            return _worded(self.fault, self.params)
        if self.gone is not None:
            return f"no TXT at {self.gone or 'the domain'}"
        return f"deploy {self.deploy}" if self.deploy else "nothing"

    @property
    def faults(self) -> frozenset[Fault]:
        return frozenset(fault for fault in (self.fault, self.other.fault if self.other else None) if fault is not None)

    @property
    def is_wide(self) -> bool:
        """One fault of everything: one page, however many routes it breaks."""
        return self.place is Place.EVERYWHERE and self.other is None and not self.healthy

    @property
    def healthy(self) -> bool:
        return not self.layers


def _worded(fault: Fault, params: Mapping[str, Any]) -> str:
    return " ".join((fault.value, *(f"{key}={value}" for key, value in params.items())))


THEIRS = {Place.PROVIDER: Layer.PROVIDER, Place.MAILBOX: Layer.MAILBOX}


def _row(fault: Fault, place: Place, layer: Layer, why: str, **params: Any) -> Row:
    return Row(fault, place, frozenset({layer}), why, params)


def _healthy(fault: Fault | None, place: Place, why: str, **params: Any) -> Row:
    return Row(fault, place, frozenset(), why, params)


def _theirs(fault: Fault, place: Place, **params: Any) -> Row:
    return _row(fault, place, THEIRS[place], "it fails there and nowhere else", **params)


def _gone(name: str, why: str) -> Row:
    return Row(None, Place.EVERYWHERE, PROOF, why, gone=name)


def _both(worse: Fault | str, place: Place, layers: Layer | frozenset[Layer], other: Other) -> Row:
    """`worse`: a fault, or a deploy."""
    fault, deploy = (None, worse) if isinstance(worse, str) else (worse, "")
    right = frozenset({layers}) if isinstance(layers, Layer) else layers
    return Row(fault, place, right, "the worse of the two, and the other one stands beside it", deploy=deploy, other=other)


PROOF = frozenset({Layer.AUTHENTICATION, Layer.DNS})
BLIND = frozenset({Symptom.MAILBOX_BLIND})
NO_DNS = frozenset({Symptom.DNS_BLIND})
ARRIVAL = frozenset({Symptom.DELIVERY_LATE, Symptom.DELIVERY_MISSING, Symptom.DELIVERY_STALLED})
APP_ONLY = "the application's mail fails while the bare path's arrives"
SHARED = "both paths fail everywhere: what they share is the relay"
F, P, L, S = Fault, Place, Layer, Symptom
FOR_EVER = 3600.0

ROWS: tuple[Row, ...] = (
    # at submission
    _row(F.REFUSE, P.EVERYWHERE, L.RELAY, SHARED),
    _row(F.REFUSE, P.APP, L.APPLICATION, APP_ONLY),
    _theirs(F.REFUSE, P.PROVIDER),
    _theirs(F.REFUSE, P.MAILBOX),
    _row(F.REFUSE_MAIL_FROM, P.EVERYWHERE, L.RELAY, SHARED),
    _row(F.REFUSE_MAIL_FROM, P.APP, L.APPLICATION, APP_ONLY),
    _row(F.REFUSE_CONNECT, P.APP, L.APPLICATION, APP_ONLY),
    _row(F.REFUSE_CONNECT, P.BARE, L.RELAY, "only the relay's own way in is closed, once the connection that was open has ended"),
    _row(F.AUTH_REFUSED, P.BARE, L.MONITOR, "our password is refused, the application's mail goes on: our configuration"),
    _row(F.GREYLIST, P.EVERYWHERE, L.RELAY, SHARED, seconds=FOR_EVER),
    _theirs(F.GREYLIST, P.PROVIDER, seconds=FOR_EVER),
    _row(F.SLOW_SMTP, P.BARE, L.RELAY, "only the relay's own way in is too slow to be used", seconds=0.2),
    _row(F.DROP_AFTER_DATA_LOST, P.BARE, L.RELAY, "the relay breaks off and loses what it got; the application's mail arrives"),
    # on delivery
    _row(F.ACCEPT_AND_DROP, P.EVERYWHERE, L.RELAY, SHARED),
    _row(F.ACCEPT_AND_DROP, P.APP, L.APPLICATION, APP_ONLY),
    _row(F.ACCEPT_AND_DROP, P.BARE, L.RELAY, "the application's mail arrives: it is that way in"),
    _theirs(F.ACCEPT_AND_DROP, P.PROVIDER),
    _theirs(F.ACCEPT_AND_DROP, P.MAILBOX),
    _row(F.HOLD_QUEUE, P.EVERYWHERE, L.RELAY, SHARED),
    _theirs(F.HOLD_QUEUE, P.PROVIDER),
    _row(F.DELAY, P.EVERYWHERE, L.RELAY, SHARED, seconds=5.5),
    _theirs(F.DELAY, P.PROVIDER, seconds=5.5),
    _row(F.JUNK, P.EVERYWHERE, L.RELAY, "the reputation that all mail shares"),
    _row(F.JUNK, P.APP, L.APPLICATION, "only what the application writes is taken for spam"),
    _theirs(F.JUNK, P.PROVIDER),
    _theirs(F.JUNK, P.MAILBOX),
    _theirs(F.OTHER_FOLDER, P.PROVIDER),
    _theirs(F.OTHER_FOLDER, P.MAILBOX),
    _row(F.DUPLICATE, P.EVERYWHERE, L.RELAY, SHARED),
    _row(F.DUPLICATE, P.APP, L.APPLICATION, APP_ONLY),
    _theirs(F.DUPLICATE, P.PROVIDER),
    _row(F.ALTER_AMOUNT, P.APP, L.APPLICATION, APP_ONLY),
    _theirs(F.MISROUTE, P.MAILBOX),
    _row(F.CLONE_BOUNCE, P.EVERYWHERE, L.RELAY, SHARED),
    _theirs(F.CLONE_BOUNCE, P.PROVIDER),
    _theirs(F.CLONE_BOUNCE, P.MAILBOX),
    _row(F.AUTHENTICATION_FAIL, P.EVERYWHERE, L.AUTHENTICATION, "every receiver says so"),
    _theirs(F.AUTHENTICATION_FAIL, P.PROVIDER),
    # in the shop
    _row(F.ROUTE_TO_HOLDING, P.APP, L.APPLICATION, "its mail lies in the holding mailbox"),
    Row(None, P.APP, frozenset({L.APPLICATION}), "its mail lies in the holding mailbox", deploy="v2"),
    Row(None, P.APP, frozenset({L.APPLICATION}), "it prints a wrong amount, the bare path does not", deploy="v5"),
    Row(None, P.APP, frozenset({L.APPLICATION}), "refund mail of ours that no probe asked for lies in a tripwire", deploy="v4"),
    # at the IMAP server: nothing is known of the mail
    _row(F.IMAP_DOWN, P.EVERYWHERE, L.MONITOR, "no mailbox of any provider answers: it is on our side of the network"),
    _theirs(F.IMAP_DOWN, P.PROVIDER),
    _theirs(F.IMAP_DOWN, P.MAILBOX),
    _theirs(F.IMAP_HANG, P.PROVIDER),
    _theirs(F.IMAP_AUTH_REFUSED, P.MAILBOX),
    # in the proof of the mail
    _row(F.UNSIGNED, P.EVERYWHERE, L.AUTHENTICATION, "no mail bears a signature"),
    _row(F.UNSIGNED, P.APP, L.AUTHENTICATION, "the application's mail bears none"),
    _row(F.ALTER_BODY, P.EVERYWHERE, L.AUTHENTICATION, "something alters it after it was signed"),
    Row(F.ALTER_BODY, P.PROVIDER, frozenset({L.AUTHENTICATION, L.PROVIDER}), "a gateway on the way to one provider"),
    Row(F.KEY_GONE, P.EVERYWHERE, frozenset({L.AUTHENTICATION, L.DNS}), "the key's record is gone"),
    Row(
        None,
        P.APP,
        frozenset({L.AUTHENTICATION, L.DNS}),
        "it signs with a key that was never published: forgotten there, or wrong here",
        deploy="v6",
    ),
    _row(F.DNS_SERVFAIL, P.EVERYWHERE, L.MONITOR, "our resolver is broken; receivers have their own"),
    _row(F.DNS_DOWN, P.EVERYWHERE, L.MONITOR, "our resolver is silent; receivers have their own"),
    _gone("", "the receivers find no SPF record"),
    _gone("_dmarc", "the receivers find no DMARC policy"),
    # two at once: the worse one first
    _both("v2", P.APP, L.APPLICATION, Other(F.DELAY, P.PROVIDER, ARRIVAL, {"seconds": 5.5})),
    _both("v2", P.APP, L.APPLICATION, Other(F.IMAP_DOWN, P.PROVIDER, BLIND)),
    _both("v2", P.APP, L.APPLICATION, Other(F.AUTH_REFUSED, P.BARE, frozenset({S.SUBMIT_BLIND}))),
    _both(F.REFUSE, P.EVERYWHERE, L.RELAY, Other(F.IMAP_DOWN, P.MAILBOX, BLIND)),
    _both(F.REFUSE, P.EVERYWHERE, L.RELAY, Other(F.DNS_SERVFAIL, P.EVERYWHERE, NO_DNS)),
    _both(F.REFUSE, P.APP, L.APPLICATION, Other(F.DNS_DOWN, P.EVERYWHERE, NO_DNS)),
    _both(F.REFUSE, P.PROVIDER, L.PROVIDER, Other(F.JUNK, P.PROVIDER, frozenset({S.SPAM_PLACEMENT}))),
    _both(F.ACCEPT_AND_DROP, P.EVERYWHERE, L.RELAY, Other(F.IMAP_HANG, P.PROVIDER, BLIND)),
    _both(F.ALTER_AMOUNT, P.APP, L.APPLICATION, Other(F.OTHER_FOLDER, P.PROVIDER, frozenset({S.MISFILED}))),
    _both(F.JUNK, P.APP, L.APPLICATION, Other(F.IMAP_DOWN, P.MAILBOX, BLIND)),
    _both(F.KEY_GONE, P.EVERYWHERE, PROOF, Other(F.JUNK, P.PROVIDER, frozenset({S.SPAM_PLACEMENT}))),
    _both(F.UNSIGNED, P.EVERYWHERE, L.AUTHENTICATION, Other(F.DUPLICATE, P.PROVIDER, frozenset({S.DUPLICATE}))),
    _both(F.ALTER_BODY, P.EVERYWHERE, L.AUTHENTICATION, Other(F.REFUSE, P.MAILBOX, frozenset({S.SMTP_REJECT}))),
    # nobody is to be paged
    _healthy(None, P.EVERYWHERE, "nothing is wrong"),
    _healthy(F.DELAY, P.EVERYWHERE, "half a second more is no lateness", seconds=0.5),
    _healthy(F.GREYLIST, P.EVERYWHERE, "the second attempt is taken (RFC 6647)", seconds=0.3),
    _healthy(F.DROP_AFTER_DATA, P.BARE, "the reply is lost, the mail arrives"),
    _healthy(F.STRIP_HEADER_CARRIERS, P.EVERYWHERE, "other carriers of the token are left"),
    _healthy(F.IMAP_BYE, P.PROVIDER, "the watcher connects again"),
    _healthy(F.IMAP_NO_PUSH, P.PROVIDER, "the polling safety net finds the mail"),
    _healthy(F.IMAP_MALFORMED, P.PROVIDER, "broken untagged lines are skipped"),
    _healthy(F.UIDVALIDITY_CHANGE, P.EVERYWHERE, "every message has a new name; none is new"),
    _healthy(F.REFUSE, P.EVERYWHERE, "one refusal, and all is well again: a blip", times=1),
    _healthy(F.ACCEPT_AND_DROP, P.EVERYWHERE, "one loss, and all is well again: a blip", times=1),
    Row(F.REFUSE, P.PROVIDER, frozenset(), "somebody works on it and has said so", silenced=True),
    Row(F.REFUSE, P.EVERYWHERE, frozenset(), "somebody works on it and has said so", silenced=True),
)
FAULTY = tuple(row for row in ROWS if not row.healthy)
HEALTHY = tuple(row for row in ROWS if row.healthy)
DOUBLE = tuple(row for row in FAULTY if row.other is not None)
