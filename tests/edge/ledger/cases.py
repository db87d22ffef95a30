"""The rules of the comparison, one by one."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.ledger import Confirmation, Refund, Windows

ANNA, BERT, CARL = b"anna--------", b"bert--------", b"carl--------"
NOON = 1_000_000.0
CONFIRM, GRACE = 3_600.0, 900.0
HOUR = 3_600.0
LATE = NOON + 10 * HOUR  # everything at noon has come of age


def refund(number: str = "R1", amount: int = 100_000, at: float = NOON, to: bytes = ANNA, **more: object) -> Refund:
    """By its number."""
    row = Refund(number, number, amount, "EUR", at, to)
    return row._replace(**more)  # type: ignore[arg-type]


def part(number: str, amount: int, at: float = NOON, to: bytes = ANNA, **more: object) -> Refund:
    """One of several of the order O1."""
    return refund(number, amount, at, to, key="O1", **more)


def mail(
    key: str = "R1", identity: str = "m1", amount: int | None = 100_000, at: float = NOON + 60.0, to: bytes = ANNA, **more: object
) -> Confirmation:
    row = Confirmation(key, identity, amount, "EUR", at, to)
    return row._replace(**more)  # type: ignore[arg-type]


def windows(until: float | None = LATE, begun: float | None = 0.0) -> Windows:
    return Windows(CONFIRM, GRACE, until, until, begun, begun)


ALL_READ = windows()


@dataclass(frozen=True)
class Case:
    """`expected`: (kind, number of the refund, note)."""

    name: str
    refunds: tuple[Refund, ...] = ()
    mails: tuple[Confirmation, ...] = ()
    also: tuple[Confirmation, ...] = ()  # of a second source
    windows: Windows = ALL_READ
    expected: tuple[tuple[str, str, str], ...] = ()  # kind, number of the refund, note
    confirmed: int = 0
    awaited: int = 0
    undecided: int = 0


CASES = (
    Case("right", (refund(),), (mail(),), confirmed=1),
    Case("the recipient is unknown to one side", (refund(to=b""), refund("R2")), (mail(), mail("R2", to=b"")), confirmed=2),
    Case("the amount is unknown", (refund(),), (mail(amount=None),), confirmed=1),
    Case("the currency is unknown", (refund(),), (mail(currency=""),), confirmed=1),
    Case("missing", (refund(),), expected=(("missing", "R1", ""),)),
    Case("not yet missing", (refund(),), windows=windows(NOON + CONFIRM - 1.0), awaited=1),
    Case("missing to the second", (refund(),), windows=windows(NOON + CONFIRM), expected=(("missing", "R1", ""),)),
    Case("before the mails were read", (refund(),), windows=windows(begun=NOON + 1.0), undecided=1),
    Case("nothing was read of the mails", (refund(),), windows=Windows(CONFIRM, GRACE, LATE, None, 0.0, 0.0), awaited=1),
    Case("the mails began never", (refund(),), windows=Windows(CONFIRM, GRACE, LATE, LATE, 0.0, None), awaited=1),
    Case("rejected", (refund(),), (mail(outcome="failed"),), expected=(("missing", "R1", "its mail was rejected"),)),
    Case("held", (refund(),), (mail(outcome="held"),), expected=(("missing", "R1", "its mail went to a holding mailbox"),)),
    Case("rejected, then sent", (refund(),), (mail(outcome="failed"), mail(identity="m2", at=NOON + 90.0)), confirmed=1),
    Case("a bogus one that was rejected told nobody", mails=(mail(outcome="failed"),)),
    Case("spurious", mails=(mail(),), expected=(("spurious", "", ""),)),
    Case("not yet spurious", mails=(mail(),), windows=windows(NOON + 60.0 + GRACE - 1.0), undecided=1),
    Case("spurious to the second", mails=(mail(),), windows=windows(NOON + 60.0 + GRACE), expected=(("spurious", "", ""),)),
    Case("too near the first refund that was read", mails=(mail(),), windows=windows(begun=NOON + 61.0 - CONFIRM), undecided=1),
    Case("nothing was read of the refunds", mails=(mail(),), windows=Windows(CONFIRM, GRACE, None, LATE, 0.0, 0.0), undecided=1),
    Case("amount", (refund(),), (mail(amount=100_100),), expected=(("amount", "R1", ""),), confirmed=1),
    Case("currency", (refund(),), (mail(currency="USD"),), expected=(("currency", "R1", ""),), confirmed=1),
    Case("amount at once, by number", (refund(),), (mail(amount=1),), windows=windows(NOON), expected=(("amount", "R1", ""),), confirmed=1),
    Case("amount of a part, not at once", (part("P1", 1),), (mail("O1"),), windows=windows(NOON), awaited=1, undecided=1),
    Case(
        "somebody else in an order, not at once",
        (part("P1", 1),),
        (mail("O1", amount=1, to=BERT),),
        windows=windows(NOON),
        awaited=1,
        undecided=1,
    ),
    Case("somebody else at once, by number", (refund(),), (mail(to=BERT),), windows=windows(NOON), expected=(("recipient", "R1", ""),)),
    Case("somebody else", (refund(),), (mail(to=BERT),), expected=(("recipient", "R1", ""),)),
    Case("somebody else, another amount", (refund(),), (mail(to=BERT, amount=1),), expected=(("recipient", "R1", ""),)),
    Case(
        "somebody else first, then the customer",
        (refund(),),
        (mail(to=BERT), mail(identity="m2", at=NOON + 90.0)),
        expected=(("recipient", "R1", ""),),
        confirmed=1,
    ),
    Case("duplicate", (refund(),), (mail(), mail(identity="m2")), expected=(("duplicate", "R1", "the 2nd of 2"),), confirmed=1),
    Case(
        "three times",
        (refund(),),
        (mail(), mail(identity="m2", to=b""), mail(identity="m3", amount=7)),
        expected=(("duplicate", "R1", "the 2nd of 3"), ("duplicate", "R1", "the 3rd of 3")),
        confirmed=1,
    ),
    Case("sent again on purpose", (refund(),), (mail(), mail(identity="m2", resend=True)), confirmed=1),
    Case("only what was sent again arrived", (refund(),), (mail(resend=True),), confirmed=1),
    Case("sent again before it was sent", (refund(),), (mail(at=NOON + 90.0), mail(identity="m2", resend=True)), confirmed=1),
    Case(
        "sent again to somebody else",
        (refund(),),
        (mail(), mail(identity="m2", resend=True, to=BERT)),
        expected=(("recipient", "R1", ""),),
        confirmed=1,
    ),
    Case("shown by two sources", (refund(),), (mail(),), (mail(identity="q1", amount=None, to=b""),), confirmed=1),
    Case("in one of two sources", (refund(),), also=(mail(),), confirmed=1),
    Case("spurious in two sources", mails=(mail(),), also=(mail(identity="q1"),), expected=(("spurious", "", ""),)),
    Case("one source knows that it was somebody else", (refund(),), (mail(to=BERT),), (mail(to=b""),), expected=(("recipient", "R1", ""),)),
    Case("reversed, never told", (refund(reversed_at=NOON + 60.0),)),
    Case("reversed after its mail", (refund(reversed_at=NOON + HOUR),), (mail(),), confirmed=1),
    Case("told a moment after the reversal", (refund(reversed_at=NOON),), (mail(at=NOON + GRACE),), confirmed=1),
    Case(
        "told long after the reversal",
        (refund(reversed_at=NOON),),
        (mail(at=NOON + 3 * HOUR + 5.0),),
        expected=(("spurious", "R1", "reversed 3h before"),),
    ),
    Case(
        "the one that stands is told of",
        (part("P1", 100, at=NOON - 60.0, reversed_at=NOON), part("P2", 100)),
        (mail("O1", amount=100),),
        confirmed=1,
    ),
    Case("parts, told of by amount", (part("P1", 100), part("P2", 200)), (mail("O1", "a", 200), mail("O1", "b", 100)), confirmed=2),
    Case("equal parts", (part("P1", 100), part("P2", 100)), (mail("O1", "a", 100), mail("O1", "b", 100)), confirmed=2),
    Case("one of equal parts", (part("P1", 100), part("P2", 100)), (mail("O1", "a", 100),), expected=(("missing", "P2", ""),), confirmed=1),
    Case("one mail for all parts", (part("P1", 100), part("P2", 200)), (mail("O1", "a", 300),), confirmed=2),
    Case(
        "one mail for the parts that are left",
        (part("P1", 100), part("P2", 200), part("P3", 300)),
        (mail("O1", "a", 100), mail("O1", "b", 500)),
        confirmed=3,
    ),
    Case(
        "one that may be anybody's takes no mail of the other's",
        (part("P1", 100, to=b""), part("P2", 100, to=BERT)),
        (mail("O1", "a", 100, to=BERT), mail("O1", "b", 100, at=NOON + 90.0, to=CARL)),
        confirmed=2,
    ),
    Case(
        "nor one of another amount",
        (part("P1", 100, to=b""), part("P2", 100, to=BERT)),
        (mail("O1", "a", 7, to=BERT), mail("O1", "b", 7, at=NOON + 90.0, to=CARL)),
        expected=(("amount", "P1", ""), ("amount", "P2", "")),
        confirmed=2,
    ),
    Case(
        "nor one of an unknown amount",
        (part("P1", 100, to=b""), part("P2", 100, to=BERT)),
        (mail("O1", "a", None, to=BERT), mail("O1", "b", None, at=NOON + 90.0, to=CARL)),
        confirmed=2,
    ),
    Case(
        "one mail for all parts to somebody else",
        (part("P1", 100), part("P2", 200)),
        (mail("O1", "a", 300, to=BERT),),
        expected=(("recipient", "P1", ""),),
    ),
    Case(
        "parts in two currencies do not add up",
        (part("P1", 100), part("P2", 200, currency="USD")),
        (mail("O1", "a", 300),),
        expected=(("amount", "P1", ""), ("missing", "P2", "")),
        confirmed=1,
    ),
    Case(
        "the rest differs in order of time",
        (part("P1", 100, at=NOON), part("P2", 200, at=NOON + 1.0)),
        (mail("O1", "a", 7, at=NOON + 5.0), mail("O1", "b", 9, at=NOON + 6.0)),
        expected=(("amount", "P1", ""), ("amount", "P2", "")),
        confirmed=2,
    ),
    Case("another address of the same refund", (refund(), refund(to=BERT)), (mail(to=BERT),), confirmed=1),
    Case("two amounts of the same refund: the first", (refund(), refund(amount=7)), (mail(),), confirmed=1),
    Case("two amounts of the same refund: the second", (refund(), refund(amount=7)), (mail(amount=7),), confirmed=1),
    Case("reversed by a later row", (refund(), refund(reversed_at=NOON + 5.0))),
    Case(
        "rejected, and a copy of it was kept",
        (refund(),),
        (mail(),),
        (mail(identity="q1", amount=None, at=NOON + 61.0, outcome="failed"),),
        expected=(("missing", "R1", "its mail was rejected"),),
    ),
    Case(
        "held, to an unknown recipient, and a copy of it was kept",
        (refund(),),
        (mail(),),
        (mail(identity="q1", to=b"", at=NOON, outcome="held"),),
        expected=(("missing", "R1", "its mail went to a holding mailbox"),),
    ),
    Case("rejected, with a copy kept, not yet missing", (refund(),), (mail(),), (mail(outcome="failed"),), windows(NOON), awaited=1),
    Case(
        "rejected, then sent over another way",
        (refund(),),
        (mail(), mail(identity="m2", at=NOON + 361.0, resend=True)),
        (mail(identity="q1", outcome="failed"),),
        confirmed=1,
    ),
    Case(
        "the copy is some minutes late",
        (refund(),),
        (mail(at=NOON + 360.0),),
        (mail(identity="q1", outcome="failed"),),
        expected=(("missing", "R1", "its mail was rejected"),),
    ),
    Case(
        "somebody else's was rejected",
        (refund(),),
        (mail(),),
        (mail(identity="q1", to=BERT, outcome="failed"), mail("R1", "q2", 1, outcome="failed")),
        confirmed=1,
    ),
    Case(
        "rejected once, and sent, as the same source says",
        (refund(),),
        (mail(),),
        (mail(identity="q1", outcome="failed"), mail(identity="q2", at=NOON + 90.0)),
        confirmed=1,
    ),
    Case("sent, then bounced", (refund(),), (mail(), mail(outcome="failed")), expected=(("missing", "R1", "its mail was rejected"),)),
)
