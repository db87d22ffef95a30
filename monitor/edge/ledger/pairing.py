"""Which confirmation tells of which refund, within one key.

Only keys come here of which the joins cannot say that one refund has one confirmation that is right. The order in which records came makes
no difference: refunds go by time and number, confirmations by time and identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.edge.ledger.schema import ACCUSED, AWAITED, ELSEWHERE, FINE, MISSING, SETTLED, TOLD, UNDECIDED
from monitor.edge.ledger.wording import nth, span
from monitor.model.ledger import DifferenceKind, Outcome

MOST = 500  # records of one key; of more nothing is decided
SAME = 300.0  # seconds; what another source shows as sent so long after a rejection is another mail

_UNSENT = {Outcome.FAILED.value: "its mail was rejected", Outcome.HELD.value: "its mail went to a holding mailbox"}


class Due(NamedTuple):
    """A refund, with all that was ever said of it."""

    id: int
    number: str
    amount: int
    currency: str
    at: float
    recipient: bytes
    provider: str
    reversed_at: float | None
    state: int
    amounts: frozenset[tuple[int, str]]
    recipients: frozenset[bytes]


class Mail(NamedTuple):
    """A confirmation, as one source shows it."""

    id: int
    source: str
    identity: str
    amount: int | None
    currency: str
    at: float
    recipient: bytes
    provider: str
    outcome: str
    resend: int
    state: int


class Claim(NamedTuple):
    """One way in which a key differs."""

    kind: DifferenceKind
    refund: Due | None
    mail: Mail | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Refunds processed and confirmations sent from..until are old enough to be missed, and not older than what was read. What is older
    than `forgotten` was purged, may be shown again, and accuses nobody whatever else is known."""

    refunds: tuple[float, float] | None
    confirmations: tuple[float, float] | None
    refund_within: float
    forgotten: float = float("-inf")

    def overdue(self, refund: Due) -> bool:
        """What was missing once is missing until it is told of."""
        return refund.state == MISSING or (self.refunds is not None and self.refunds[0] <= refund.at <= self.refunds[1])

    def decidable(self, mail: Mail) -> bool:
        """What was accused once stays so."""
        return mail.state == ACCUSED or (self.confirmations is not None and self.confirmations[0] <= mail.at <= self.confirmations[1])

    def remembered(self, mail: Mail) -> bool:
        return mail.state == ACCUSED or mail.at >= self.forgotten


@dataclass(slots=True)
class Compared:
    """What one key comes to: the states of its records by id, and how it differs."""

    refunds: dict[int, int] = field(default_factory=dict)
    mails: dict[int, int] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)


def compare(key: str, refunds: Sequence[Due], mails: Sequence[Mail], bounds: Bounds, refused: bool = False) -> Compared:
    """`refused`: the side without a record has a row of this key that could not be taken: then nobody is accused."""
    if refused:
        settled = {one.id: AWAITED if one.reversed_at is None else SETTLED for one in refunds}
        return Compared(settled, {mail.id: UNDECIDED if mail.outcome == Outcome.SENT else FINE for mail in mails})
    due = sorted(refunds, key=lambda one: (one.reversed_at is not None, one.at, one.number))
    compared = Compared(mails={mail.id: FINE for mail in mails})
    sides: dict[str, list[Mail]] = {}
    for mail in sorted(mails, key=lambda one: (one.resend, one.at, one.identity)):
        if mail.outcome == Outcome.SENT:
            sides.setdefault(mail.source, []).append(mail)
    pairings = [_Pairing(key, due, sides[source], bounds, compared.mails) for source in sorted(sides)]
    compared.claims = [*_of_refunds(pairings), *_left_over(pairings)]
    _judge_refunds(due, pairings, [mail for mail in mails if mail.outcome != Outcome.SENT], bounds, compared)
    return compared


def _of_refunds(pairings: Iterable[_Pairing]) -> Iterable[Claim]:
    """What is wrong about pairs: once for a refund or a mail, however many sources show it."""
    claimed: set[tuple[str, int]] = set()
    for pairing in pairings:
        for refund, mail, kind in pairing.pairs:
            marks = (f"refund {kind}", refund.id), (f"mail {kind}", mail.id)
            if kind is not None and claimed.isdisjoint(marks):
                claimed.update(marks)
                yield Claim(kind, refund, mail)


def _left_over(pairings: Iterable[_Pairing]) -> Iterable[Claim]:
    """Several sources show the same mail: for each kind, the one that shows most of it speaks."""
    by_kind: dict[DifferenceKind, list[Claim]] = {}
    for pairing in pairings:
        own: dict[DifferenceKind, list[Claim]] = {}
        for claim in pairing.left_over:
            own.setdefault(claim.kind, []).append(claim)
        for kind, claims in own.items():
            if len(claims) > len(by_kind.get(kind, ())):
                by_kind[kind] = claims
    return [claim for claims in by_kind.values() for claim in claims]


def _judge_refunds(due: Iterable[Due], pairings: Sequence[_Pairing], unsent: Sequence[Mail], bounds: Bounds, compared: Compared) -> None:
    told: set[int] = set()
    perhaps: set[int] = set()  # told, but the source does not know whom
    elsewhere: set[int] = set()
    sent = [mail for pairing in pairings for mail in pairing.mails]
    paired = {(refund.id, mail.source) for pairing in pairings for refund, mail, _ in pairing.pairs}
    for refund, mail, kind in (pair for pairing in pairings for pair in pairing.pairs):
        known = mail.recipient and refund.recipients
        (elsewhere if kind is DifferenceKind.RECIPIENT else told if known else perhaps).add(refund.id)
    for refund in due:
        lost = any(_lost(refund, mail, sent) for mail in unsent if (refund.id, mail.source) not in paired)
        if not lost and (refund.id in told or (refund.id in perhaps and refund.id not in elsewhere)):
            state = TOLD
        elif refund.id in elsewhere:
            state = ELSEWHERE
        elif refund.reversed_at is not None:
            state = SETTLED
        elif bounds.overdue(refund):
            state = MISSING
            compared.claims.append(_missing(refund, unsent))
        else:
            state = AWAITED
        compared.refunds[refund.id] = state


def _lost(refund: Due, unsent: Mail, sent: Iterable[Mail]) -> bool:
    """A source that saw the mail fail knows more than another one that saw a copy of it leave; a later mail is another one."""
    return _of(refund, unsent) and not any(_of(refund, mail) and mail.at > unsent.at + SAME for mail in sent)


def _of(refund: Due, mail: Mail) -> bool:
    return _fits(refund, mail) and (mail.amount is None or _exact(refund, mail))


def _missing(refund: Due, unsent: Sequence[Mail]) -> Claim:
    fitting = [mail for mail in unsent if mail.amount is None or _exact(refund, mail)]
    mail = max(fitting, key=lambda one: (one.outcome == Outcome.HELD, one.at, one.source, one.identity), default=None)
    return Claim(DifferenceKind.MISSING, refund, mail, _UNSENT[mail.outcome] if mail else "")


class _Pairing:
    """The refunds of a key and the mails that one source shows. First come pairs whose mail may have gone to the refund's customer, the
    exact ones before the others; then those that went to somebody else, which tell nobody. Where another refund may still come under this
    key, nothing is wrong yet: only right pairs are made."""

    def __init__(self, key: str, due: Sequence[Due], mails: Sequence[Mail], bounds: Bounds, states: dict[int, int]) -> None:
        self.pairs: list[tuple[Due, Mail, DifferenceKind | None]] = []
        self.left_over: list[Claim] = []
        self.mails = tuple(mails)
        self._due, self._mails = list(due), list(mails)
        self._bounds = bounds
        self._everyone = frozenset[bytes]().union(*(refund.recipients for refund in due))
        in_time = sorted(mails, key=lambda one: (one.at, one.identity))
        self._place = {mail.id: f"the {nth(place)} of {len(mails)}" for place, mail in enumerate(in_time, 1)} if due else {}
        only = bool(due) and all(refund.number == key for refund in due)  # no other refund can come under this key
        decidable = {mail.id: (only and bounds.remembered(mail)) or bounds.decidable(mail) for mail in mails}
        for fits in (_fits, lambda _, mail: decidable[mail.id]):
            self._exact(fits)
            self._of_unknown_amount(fits)
            self._sums(fits)
            self._differing(fits, decidable)
        for _, mail, kind in self.pairs:
            if kind is not None:
                states[mail.id] = ACCUSED
        for mail in self._mails:
            self._leave(mail, due, decidable[mail.id], states)

    def _exact(self, fits: _Test) -> None:
        said = {mail.amount for mail in self._mails}
        due = [refund for refund in self._due if any(amount in said for amount, _ in refund.amounts)]
        self._pair(due, lambda refund, mail: _exact(refund, mail) and fits(refund, mail))

    def _of_unknown_amount(self, fits: _Test) -> None:
        if any(mail.amount is None for mail in self._mails):
            self._pair(self._due, lambda refund, mail: mail.amount is None and fits(refund, mail))

    def _differing(self, fits: _Test, decidable: Mapping[int, bool]) -> None:
        self._pair(self._due, lambda refund, mail: decidable[mail.id] and fits(refund, mail), differing=True)

    def _pair(self, due: Sequence[Due], test: _Test, differing: bool = False) -> None:
        """Those whose customer is known choose first: another one would take their mail and leave them somebody else's."""
        for refund in sorted(due, key=lambda one: (one.reversed_at is not None, not one.recipients)):
            if not self._mails:
                return
            mail = next((one for one in self._mails if self._may_tell(refund, one) and test(refund, one)), None)
            if mail is not None:
                self._mails.remove(mail)
                self._bind(refund, mail, _differing(refund, mail) if differing else None)

    def _may_tell(self, refund: Due, mail: Mail) -> bool:
        """Nobody is told of a refund that was reversed long before."""
        return refund.reversed_at is None or mail.at <= refund.reversed_at + self._bounds.refund_within

    def _sums(self, fits: _Test) -> None:
        """One mail for several refunds."""
        if len(self._due) < 2:
            return
        for mail in tuple(self._mails):
            summed = next((some for some in self._summable(mail) if sum(one.amount for one in some) == mail.amount), ())
            if not any(fits(refund, mail) for refund in summed):
                continue
            self._mails.remove(mail)
            right = any(_fits(refund, mail) for refund in summed)
            for refund in summed:
                self._due.remove(refund)
                self.pairs.append((refund, mail, None if right else DifferenceKind.RECIPIENT))

    def _summable(self, mail: Mail) -> Iterable[tuple[Due, ...]]:
        """All refunds that it may tell of, and those of them that stand."""
        some = tuple(one for one in self._due if self._may_tell(one, mail) and mail.currency in ("", one.currency))
        for refunds in (some, tuple(one for one in some if one.reversed_at is None)):
            if len(refunds) > 1 and len({one.currency for one in refunds}) == 1:
                yield refunds

    def _bind(self, refund: Due, mail: Mail, kind: DifferenceKind | None) -> None:
        self._due.remove(refund)
        self.pairs.append((refund, mail, kind if _fits(refund, mail) else DifferenceKind.RECIPIENT))

    def _leave(self, mail: Mail, due: Sequence[Due], decidable: bool, states: dict[int, int]) -> None:
        claim = self._against(mail, due)
        if claim is not None and claim.kind is DifferenceKind.SPURIOUS and claim.refund is not None:
            decidable = self._bounds.remembered(mail)  # no other refund would make it right
        if not decidable:
            states[mail.id] = UNDECIDED
        elif claim is not None:
            states[mail.id] = ACCUSED
            self.left_over.append(claim)

    def _against(self, mail: Mail, due: Sequence[Due]) -> Claim | None:
        if not due:
            return Claim(DifferenceKind.SPURIOUS, None, mail)
        if not any(self._may_tell(refund, mail) for refund in due):
            latest = max(due, key=lambda one: (one.reversed_at or 0.0, one.number))
            return Claim(DifferenceKind.SPURIOUS, latest, mail, f"reversed {span(mail.at - (latest.reversed_at or 0.0))} before")
        if mail.recipient and self._everyone and mail.recipient not in self._everyone:
            return Claim(DifferenceKind.RECIPIENT, due[0], mail)
        if mail.resend:
            return None
        return Claim(DifferenceKind.DUPLICATE, due[0], mail, self._place[mail.id])


_Test = Callable[[Due, Mail], bool]


def _fits(refund: Due, mail: Mail) -> bool:
    """The mail may have gone to the refund's customer."""
    return not mail.recipient or not refund.recipients or mail.recipient in refund.recipients


def _exact(refund: Due, mail: Mail) -> bool:
    if mail.currency:
        return (mail.amount, mail.currency) in refund.amounts
    return any(amount == mail.amount for amount, _ in refund.amounts)


def _differing(refund: Due, mail: Mail) -> DifferenceKind:
    same = not mail.currency or any(currency == mail.currency for _, currency in refund.amounts)
    return DifferenceKind.AMOUNT if same else DifferenceKind.CURRENCY
