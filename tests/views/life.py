"""The life of a probe, told in real facts and folded through the World: what the tests of views and rules are built from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from monitor.model.address import Address
from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    ClockJumped,
    Closed,
    Deferred,
    DsnReceived,
    Entry,
    Fact,
    Looked,
    ProbePlanned,
    Refused,
    Sighted,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    WatchBlind,
    Withheld,
)
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Carrier, Field, Placement
from monitor.model.money import Money
from monitor.model.probe import Deadlines, Expectation, MailboxName, PathName, ProbeId, Purpose, RefundStory, Route
from monitor.model.submission import Reply, Step
from monitor.rules import judge
from monitor.rules.judge import Ruling
from monitor.views.probes import ProbeState
from monitor.views.world import World

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
OWN = MailboxName("gmail-1")
OTHER = MailboxName("outlook-1")
HOLDING = MailboxName("holding")
PATH = PathName("app")
ROUTE = Route(PATH, OWN)
PROBE = ProbeId("0123456789ab")
DEADLINES = Deadlines(late_after=60.0, missing_after=300.0, give_up_after=900.0, watch_until=2100.0)
REFUND_NUMBER = "RF-20260101-7731"
RECIPIENT = Address.parse("canary.one@seed.example")
TAKEN = Reply(250, "queued as 4XyZ", "2.0.0")
GREYLISTED = Reply(451, "try again later", "4.7.1")
NO = Reply(550, "mailbox unavailable", "5.1.1")


def at(seconds: float, process: str = "first", utc_step: float = 0.0) -> Instant:
    """`seconds` after noon, on a monotonic clock of the process's own; `utc_step`: what UTC is wrong by."""
    return Instant(NOON + seconds + utc_step, seconds + (1_000.0 if process == "first" else 77.0), process)


def planned(
    seconds: float = 0.0,
    probe: ProbeId = PROBE,
    route: Route = ROUTE,
    deadlines: Deadlines = DEADLINES,
    process: str = "first",
    **expectation: Any,
) -> ProbePlanned:
    return ProbePlanned(
        at=at(seconds, process),
        probe=probe,
        route=route,
        purpose=Purpose.SCHEDULED,
        token="tok",
        message_id="<tok@shop.example>",
        envelope_sender=Address.parse(f"refunds+{probe}@shop.example"),
        recipient=RECIPIENT,
        story=RefundStory(REFUND_NUMBER, "A-1001", Money(Decimal("49.90"), "EUR"), "Ada Example", "en-IE"),
        expectation=Expectation(
            fields=((Field.AMOUNT, "€49.90"), (Field.REFUND_NUMBER, REFUND_NUMBER)),
            carriers=(Carrier.HEADER, Carrier.BODY),
            **expectation,
        ),
        deadlines=deadlines,
        policy_hash="hash",
    )


def sighted(
    seconds: float,
    folder: str = "INBOX",
    placement: Placement = Placement.INBOX,
    mailbox: MailboxName = OWN,
    unseen: float | Instant | None = None,
    process: str = "first",
    **fields: Any,
) -> Sighted:
    fact: dict[str, Any] = {
        "probe": PROBE,
        "uidvalidity": 1,
        "uid": 7,
        "message_id": "<tok@shop.example>",
        "digest": "text",
        "header_digest": "header-1",
        "carriers": (Carrier.HEADER, Carrier.BODY),
    } | fields
    return Sighted(
        at=at(seconds, process),
        mailbox=mailbox,
        folder=folder,
        placement=placement,
        unseen_since=at(unseen, process) if isinstance(unseen, int | float) else unseen,
        **fact,
    )


class Life:
    """Facts about one probe, in order. Every method returns the life itself."""

    def __init__(self, plan: ProbePlanned | None = None) -> None:
        self.world = World()
        self.probe = (plan or planned()).probe
        self.seqs: dict[str, int] = {}  # the last seq of each kind
        self.attempts = 0
        self.tell(plan or planned())

    def tell(self, *facts: Fact) -> Life:
        for fact in facts:
            kind = KIND_OF[type(fact)]
            self.world.fold(Entry(self.world.seq + 1, kind, fact))
            self.seqs[kind] = self.world.seq
        return self

    def attempt(self, seconds: float = 0.0, process: str = "first") -> Life:
        self.attempts += 1
        return self.tell(Attempted(at(seconds, process), self.probe, self.attempts))

    def accept(self, seconds: float = 1.0, process: str = "first", **fields: Any) -> Life:
        return self.tell(Accepted(at(seconds, process), self.probe, self.attempts, TAKEN, **fields))

    def defer(self, seconds: float, retry_in: float | None) -> Life:
        return self.tell(Deferred(at(seconds), self.probe, self.attempts, Step.RCPT_TO, GREYLISTED, retry_in))

    def refuse(self, seconds: float, reply: Reply = NO, step: Step = Step.RCPT_TO) -> Life:
        return self.tell(Refused(at(seconds), self.probe, self.attempts, step, reply))

    def lose_reply(self, seconds: float) -> Life:
        return self.tell(SubmitUnknown(at(seconds), self.probe, self.attempts, Step.DATA, "the connection broke after DATA"))

    def err(self, seconds: float, fault: SubmitFault, detail: str = "detail", mend: str = "mend", retry_in: float | None = None) -> Life:
        return self.tell(SubmitError(at(seconds), self.probe, self.attempts, fault, detail, mend, retry_in))

    def withhold(self, seconds: float, detail: str = "the path's budget of 300 probes a day is used up") -> Life:
        return self.tell(Withheld(at(seconds), self.probe, detail))

    def see(self, seconds: float, *place: Any, **fields: Any) -> Life:
        return self.tell(sighted(seconds, *place, **fields))

    def look(self, began: float, process: str = "first", mailbox: MailboxName = OWN, lasted: float = 1.0) -> Life:
        return self.tell(Looked(at(began + lasted, process), mailbox, at(began, process), folders=6))

    def blind(self, seconds: float, detail: str = "LOGIN refused", mend: str = "renew the app password") -> Life:
        return self.tell(WatchBlind(at(seconds), OWN, BlindCause.AUTH_REFUSED, detail, mend))

    def jump(self, seconds: float, step: float, process: str = "first") -> Life:
        return self.tell(ClockJumped(at(seconds, process), step))

    def dsn(self, seconds: float, action: str = "failed") -> Life:
        return self.tell(DsnReceived(at(seconds), self.probe, OWN, action, "5.2.2", "smtp; 552 mailbox full"))

    def close(self, seconds: float) -> Life:
        return self.tell(Closed(at(seconds), self.probe))

    @property
    def state(self) -> ProbeState:
        return self.world.probes[self.probe]

    def ruling(self, now: float | Instant, holding: Sequence[MailboxName] = ()) -> Ruling | None:
        now = at(now) if isinstance(now, int | float) else now
        return judge.judge(self.state, self.world.mailbox(OWN), now, self.world.jumps, frozenset(holding))


def submitted() -> Life:
    """Attempted at 0 s, accepted at 1 s."""
    return Life().attempt(0).accept(1)
