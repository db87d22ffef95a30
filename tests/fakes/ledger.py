"""ports.Ledger in plain lists: slow and meant to be obviously right. The oracle of the tests of the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from monitor.model.ledger import (
    CLASS_OF,
    MOST_DAYS,
    MOST_EXAMPLES,
    SCALE,
    ClassStanding,
    Confirmation,
    Difference,
    DifferenceClass,
    DifferenceKind,
    Impact,
    Outcome,
    Page,
    Purge,
    Purged,
    Refund,
    RowFault,
    Side,
    Slice,
    SourceStanding,
    Standing,
    Taken,
    Taking,
    Wanted,
    Windows,
    money,
)
from monitor.model.money import Money
from monitor.ports import LedgerUnreadable

MOST = 500  # records of one key
SAME = 300.0  # seconds

Fits = Callable[["KeptRefund", "KeptConfirmation"], bool]

NOTES = {Outcome.FAILED: "its mail was rejected", Outcome.HELD: "its mail went to a holding mailbox"}


@dataclass
class KeptRefund:
    row: Refund
    source: str
    origin: str
    amounts: list[tuple[int, str]]  # the first one counts in sums; any of them is right
    recipients: list[bytes]
    missing: bool = False  # found once, and still
    told: bool = False
    elsewhere: bool = False  # somebody else was told

    @property
    def order(self) -> tuple[bool, float, str]:
        return (self.row.reversed_at is not None, self.row.at, self.row.number)


@dataclass
class KeptConfirmation:
    row: Confirmation
    source: str
    origin: str
    accused: bool = False
    waiting: bool = False
    disputed: list[tuple[int | None, str]] = field(default_factory=list)  # what later rows said instead; told of once

    @property
    def order(self) -> tuple[bool, float, str]:
        return (self.row.resend, self.row.at, self.row.identity)


@dataclass
class Claim:
    """One way in which a key differs now."""

    kind: DifferenceKind
    refund: KeptRefund | None
    confirmation: KeptConfirmation | None
    note: str = ""


@dataclass
class KeptDifference:
    place: int
    claim: Claim
    key: str
    found: float
    settled: float | None = None

    @property
    def kind(self) -> DifferenceKind:
        return self.claim.kind


@dataclass
class KeptSource:
    standing: SourceStanding
    faults_at: list[float] = field(default_factory=list)  # of those of the standing
    position: str = ""
    memory: str = ""


@dataclass
class FakeLedger:
    """`broken`: what every call raises. `takings`, `windows`: what it was asked, in order."""

    broken: LedgerUnreadable | None = None
    takings: list[Taking] = field(default_factory=list)
    windows: list[Windows] = field(default_factory=list)
    closed: bool = False
    _refunds: list[KeptRefund] = field(default_factory=list)
    _confirmations: list[KeptConfirmation] = field(default_factory=list)
    _differences: list[KeptDifference] = field(default_factory=list)
    _found: Counter[DifferenceClass] = field(default_factory=Counter)
    _latest: dict[DifferenceClass, float] = field(default_factory=dict)
    _sources: dict[str, KeptSource] = field(default_factory=dict)
    _standing: Standing = field(default_factory=lambda: Standing(classes=tuple(ClassStanding(one) for one in DifferenceClass)))
    _forgotten: float = float("-inf")
    _refused: set[tuple[Side, str]] = field(default_factory=set)  # keys of rows that could not be taken
    _mark: str | None = None

    async def begin(self, mark: str) -> bool:
        self._check()
        other = self._mark not in (None, mark)
        if other:
            new = FakeLedger()
            self._refunds, self._confirmations, self._sources = new._refunds, new._confirmations, new._sources
            self._differences, self._found, self._latest = new._differences, new._found, new._latest
            self._standing, self._forgotten, self._refused = new._standing, new._forgotten, new._refused
        self._mark = mark
        return other

    # --- coming in --------------------------------------------------------------------------------------------------

    async def reached(self, source: str) -> tuple[str, str]:
        self._check()
        kept = self._sources.get(source)
        return (kept.position, kept.memory) if kept else ("", "")

    async def take(self, taking: Taking) -> Taken:
        self._check()
        self.takings.append(taking)
        new = known = changed = 0
        conflicts: list[RowFault] = []
        for row in taking.records:
            what = self._take_refund(taking, row) if isinstance(row, Refund) else self._take_confirmation(taking, row)
            match what:
                case "new":
                    new += 1
                case "known":
                    known += 1
                case "changed":
                    changed += 1
                case RowFault():
                    conflicts.append(what)
        self._note_source(taking, new, tuple(conflicts))
        self._refused |= {(taking.side, fault.key) for fault in taking.faults if fault.key}
        return Taken(new, known, changed, tuple(conflicts))

    def _take_refund(self, taking: Taking, row: Refund) -> str | RowFault:
        kept = next((one for one in self._refunds if (one.row.key, one.row.number) == (row.key, row.number)), None)
        if kept is None:
            recipients = [row.recipient] if row.recipient else []
            self._refunds.append(KeptRefund(row, taking.source, taking.origin, [(row.amount, row.currency)], recipients))
            return "new"
        before = (kept.row, list(kept.recipients))
        first = kept.row
        if row.recipient and row.recipient not in kept.recipients:
            kept.recipients.append(row.recipient)
        if row.recipient and not first.recipient:
            kept.row = kept.row._replace(recipient=row.recipient, provider=row.provider)
        reversals = [at for at in (first.reversed_at, row.reversed_at) if at is not None]
        kept.row = kept.row._replace(at=min(first.at, row.at), reversed_at=min(reversals) if reversals else None)
        if (row.amount, row.currency) not in kept.amounts:
            kept.amounts.append((row.amount, row.currency))
            return _conflict(f"refund {row.number}", (first.line, kept.origin, first), (row.line, taking.origin, row))
        return "changed" if (kept.row, kept.recipients) != before else "known"

    def _take_confirmation(self, taking: Taking, row: Confirmation) -> str | RowFault:
        same = (row.key, taking.source, row.identity)
        kept = next((one for one in self._confirmations if (one.row.key, one.source, one.row.identity) == same), None)
        if kept is None:
            self._confirmations.append(KeptConfirmation(row, taking.source, taking.origin))
            return "new"
        first = kept.row
        if (row.at, row.outcome != Outcome.SENT, row.outcome) > (first.at, first.outcome != Outcome.SENT, first.outcome):
            kept.row = kept.row._replace(at=row.at, outcome=row.outcome)
        if first.amount is None:
            kept.row = kept.row._replace(amount=row.amount)
        if not first.currency:
            kept.row = kept.row._replace(currency=row.currency)
        if not first.recipient:
            kept.row = kept.row._replace(recipient=row.recipient, provider=row.provider)
        kept.row = kept.row._replace(resend=first.resend or row.resend)
        stands = (kept.row.amount, kept.row.currency)
        says = (row.amount if row.amount is not None else stands[0], row.currency or stands[1])
        if says[0] is not None and says != stands and says not in kept.disputed:
            kept.disputed.append(says)
            said = row._replace(amount=says[0], currency=says[1])
            return _conflict(f"a confirmation of {row.key}", (first.line, kept.origin, kept.row), (row.line, taking.origin, said))
        return "changed" if kept.row != first else "known"

    def _note_source(self, taking: Taking, new: int, conflicts: tuple[RowFault, ...]) -> None:
        fresh = SourceStanding(taking.source, taking.side, taking.at, taking.at, None, None, None)
        kept = self._sources.setdefault(taking.source, KeptSource(fresh))
        old = kept.standing
        times = [row.at for row in taking.records]
        faults = tuple((taking.origin, replace(fault, key="")) for fault in (*taking.faults, *conflicts))
        kept.standing = replace(
            old,
            first_read=min(old.first_read, taking.at),
            last_read=max(old.last_read, taking.at),
            read_until=_read_until(old.read_until, taking),
            earliest=min((at for at in (old.earliest, *times) if at is not None), default=None),
            latest=max((at for at in (old.latest, *times) if at is not None), default=None),
            records=old.records + new,
            refused=old.refused + len(faults),
            dropped=old.dropped + taking.dropped,
            faults=(old.faults + faults)[-MOST_EXAMPLES:],
            days=_days((*old.days, *times)),
        )
        kept.faults_at = [*kept.faults_at, *(taking.at for _ in faults)][-MOST_EXAMPLES:]
        if taking.position is not None:
            kept.position, kept.memory = taking.position, taking.memory

    # --- comparing --------------------------------------------------------------------------------------------------

    async def reconcile(self, windows: Windows, now: float) -> Standing:
        self._check()
        self.windows.append(windows)
        edges = _Edges(windows, self._forgotten)
        keys = sorted({one.row.key for one in self._refunds} | {one.row.key for one in self._confirmations})
        for key in keys:
            refunds = sorted((one for one in self._refunds if one.row.key == key), key=lambda one: one.order)
            confirmations = sorted((one for one in self._confirmations if one.row.key == key), key=lambda one: one.order)
            if len(refunds) + len(confirmations) > MOST:
                _decide_nothing(refunds, confirmations)
            elif (not refunds and (Side.REFUNDS, key) in self._refused) or (
                not confirmations and (Side.CONFIRMATIONS, key) in self._refused
            ):
                _decide_nothing(refunds, confirmations)
                for due in refunds:
                    due.missing = False
                for mail in confirmations:
                    mail.accused, mail.waiting = False, mail.row.outcome == Outcome.SENT
                self._record(key, [], now)
            else:
                self._record(key, compared(refunds, confirmations, edges, windows.refund_within), now)
        begun = edges.confirmations_from
        early = [one for one in self._waiting() if begun is not None and one.row.at < begun]
        waiting = len(self._waiting())
        self._standing = Standing(
            refunds=len(self._refunds),
            confirmations=len(self._confirmations),
            confirmed=sum(one.told for one in self._refunds),
            awaited=waiting - len(early),
            undecided=len(early) + sum(one.waiting for one in self._confirmations),
            refunds_until=windows.refunds_until,
            confirmations_until=windows.confirmations_until,
        )
        return self._with_classes()

    def _waiting(self) -> list[KeptRefund]:
        return [one for one in self._refunds if not (one.told or one.missing or one.elsewhere or one.row.reversed_at is not None)]

    def _record(self, key: str, claims: list[Claim], now: float) -> None:
        """The open differences of the key become `claims`."""
        unsettled = [one for one in self._differences if one.key == key and one.settled is None]
        for same in (_same_records, _same_mail):
            for claim in list(claims):
                old = next((one for one in unsettled if same(one.claim, claim)), None)
                if old is not None:
                    old.claim = claim
                    unsettled.remove(old)
                    claims.remove(claim)
        for old in unsettled:
            old.settled = now
        for claim in claims:
            place = self._differences[-1].place + 1 if self._differences else 1
            self._differences.append(KeptDifference(place, claim, key, now))
            self._found[CLASS_OF[claim.kind]] += 1
            self._latest[CLASS_OF[claim.kind]] = now

    async def standing(self) -> Standing:
        self._check()
        return self._with_classes()

    def _with_classes(self) -> Standing:
        classes = tuple(self._class(one) for one in DifferenceClass)
        return replace(self._standing, classes=classes, oldest_unconfirmed=classes[0].earliest)

    def _class(self, kind: DifferenceClass) -> ClassStanding:
        unsettled = [one for one in self._differences if one.settled is None and CLASS_OF[one.kind] is kind]
        return ClassStanding(
            kind,
            open=len(unsettled),
            found=self._found[kind],
            latest=self._latest.get(kind),
            earliest=min((_at(one.claim) for one in unsettled), default=None),
            customers=len({_customer(one.claim) for one in unsettled} - {b""}),
            money=_sum(_stake(one.claim) for one in unsettled),
        )

    # --- going out --------------------------------------------------------------------------------------------------

    async def differences(self, wanted: Wanted) -> Page:
        self._check()
        found = [
            one
            for one in self._differences
            if one.place > wanted.after
            and one.kind in wanted.kinds
            and (wanted.since is None or one.found >= wanted.since)
            and not (wanted.open_only and one.settled is not None)
            and (not wanted.provider or _provider(one.claim) == wanted.provider)
        ]
        page = found[: wanted.limit]
        return Page(tuple(_difference(one) for one in page), page[-1].place if len(found) > len(page) and page else None)

    async def impact(self, since: float, until: float, provider: str = "") -> Impact:
        self._check()
        refunds = [
            one
            for one in self._refunds
            if since <= one.row.at < until and one.row.reversed_at is None and provider in ("", one.row.provider)
        ]
        owed = [one for one in refunds if one.missing or one.elsewhere]
        awaited = [one for one in refunds if not (one.told or one.missing or one.elsewhere)]
        wrong = [
            one.claim
            for one in self._differences
            if one.settled is None
            and one.claim.confirmation is not None
            and one.kind is not DifferenceKind.MISSING
            and since <= one.claim.confirmation.row.at < until
            and provider in ("", _provider(one.claim))
        ]
        return Impact(
            since=since,
            until=min(at for at in (until, self._standing.refunds_until, self._standing.confirmations_until) if at is not None),
            refunds=len(refunds),
            customers=len({one.row.recipient for one in refunds} - {b""}),
            confirmed=sum(one.told for one in refunds),
            owed=len(owed),
            owed_money=_sum((one.row.amount, one.row.currency) for one in owed),
            awaited=len(awaited),
            awaited_money=_sum((one.row.amount, one.row.currency) for one in awaited),
            wrong=len(wrong),
            wrong_customers=len({_customer(claim) for claim in wrong} - {b""}),
            wrong_money=_sum(_stake(claim) for claim in wrong),
            provider=provider,
        )

    async def volume(self, since: float, slice_seconds: float) -> tuple[Slice, ...]:
        self._check()
        refunds = [one.row.at for one in self._refunds]
        sent: list[float] = []
        for key in {one.row.key for one in self._confirmations}:  # two sources that show the same mail count once
            by_source: dict[str, list[float]] = {}
            for one in self._confirmations:
                if one.row.key == key and one.row.outcome == Outcome.SENT:
                    by_source.setdefault(one.source, []).append(one.row.at)
            sent += max(by_source.items(), key=lambda item: (len(item[1]), item[0]))[1] if by_source else []
        newest = max((*refunds, *sent), default=None)
        slices = []
        at = since // slice_seconds * slice_seconds
        while newest is not None and at <= newest:
            here = [sum(at <= one < at + slice_seconds for one in times) for times in (refunds, sent)]
            slices.append(Slice(at, *here))
            at += slice_seconds
        return tuple(slices)

    async def sources(self) -> tuple[SourceStanding, ...]:
        self._check()
        return tuple(self._sources[name].standing for name in sorted(self._sources))

    async def purge(self, purge: Purge) -> Purged:
        self._check()
        counts = Counter[str]()
        if purge.before is not None:
            before = purge.before
            self._forgotten = max(self._forgotten, before)
            for source in self._sources.values():
                standing = source.standing
                lasting = [place for place, at in enumerate(source.faults_at) if at >= before]
                faults = tuple(standing.faults[place] for place in lasting)
                days = tuple(at for at in standing.days if at // 86_400 >= before // 86_400)
                source.standing, source.faults_at = (
                    replace(standing, faults=faults, days=days),
                    [source.faults_at[place] for place in lasting],
                )
            young = {one.row.key for one in self._refunds if one.row.at >= before}
            young |= {one.row.key for one in self._confirmations if one.row.at >= before}
            old = [one for one in self._differences if _at(one.claim) < before]
            past = [one for one in old if one.settled is not None or one.key not in young]
            self._differences = [one for one in self._differences if one not in past]
            disputed = {one.key for one in self._differences}
            kept = disputed | young
            counts["refunds"] = sum(one.row.key not in kept for one in self._refunds)
            counts["confirmations"] = sum(one.row.key not in kept for one in self._confirmations)
            counts["differences"] = len(past)
            self._refunds = [one for one in self._refunds if one.row.key in kept]
            self._confirmations = [one for one in self._confirmations if one.row.key in kept]
        if purge.recipient:
            for source in self._sources.values():
                source.standing, source.faults_at = replace(source.standing, faults=()), []
                source.memory = source.memory.replace(purge.recipient.hex(), "")
            counts["differences"] += sum(_customer(one.claim) == purge.recipient for one in self._differences)
            for one in self._refunds:
                if purge.recipient in one.recipients:
                    one.recipients.remove(purge.recipient)
                    counts["refunds"] += 1
                    if one.row.recipient == purge.recipient:
                        one.row = one.row._replace(recipient=b"", provider="")
            for other in self._confirmations:
                if other.row.recipient == purge.recipient:
                    counts["confirmations"] += 1
                    other.row = other.row._replace(recipient=b"", provider="")
        return Purged(counts["refunds"], counts["confirmations"], counts["differences"])

    async def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


def _read_until(old: float | None, taking: Taking) -> float | None:
    if old is None or taking.read_until is None:
        return taking.read_until if old is None else old
    return taking.read_until if old > taking.at else max(old, taking.read_until)


def _days(times: Iterable[float]) -> tuple[float, ...]:
    first: dict[int, float] = {}
    for at in sorted(times):
        first.setdefault(int(at // 86_400), at)
    return tuple(sorted(first.values()))[-MOST_DAYS:]


class _Edges:
    """What has been read, and may therefore be judged."""

    def __init__(self, windows: Windows, forgotten: float) -> None:
        self._windows, self.forgotten = windows, forgotten
        self.refunds_from = None if windows.refunds_from is None else max(windows.refunds_from, forgotten)
        self.confirmations_from = None if windows.confirmations_from is None else max(windows.confirmations_from, forgotten)

    def overdue(self, refund: KeptRefund) -> bool:
        until, begun = self._windows.confirmations_until, self.confirmations_from
        if refund.missing:
            return True
        return until is not None and begun is not None and begun <= refund.row.at <= until - self._windows.confirm_within

    def decidable(self, confirmation: KeptConfirmation) -> bool:
        until, begun, at = self._windows.refunds_until, self.refunds_from, confirmation.row.at
        if confirmation.accused:
            return True
        return until is not None and begun is not None and begun + self._windows.confirm_within <= at <= until - self._windows.refund_within


def compared(
    refunds: Sequence[KeptRefund], all_confirmations: Sequence[KeptConfirmation], edges: _Edges, refund_within: float
) -> list[Claim]:
    """How one key differs. Marks the records with what became of them."""
    unsent = [one for one in all_confirmations if one.row.outcome != Outcome.SENT]
    sent = [one for one in all_confirmations if one.row.outcome == Outcome.SENT]
    for mail in all_confirmations:
        mail.waiting = False
        mail.accused = mail.accused and mail.row.outcome == Outcome.SENT
    told: set[str] = set()  # of refunds, by number
    told_perhaps: set[str] = set()
    elsewhere: set[str] = set()
    paired_by: set[tuple[str, str]] = set()  # number of the refund, source
    bound: dict[tuple[str, DifferenceKind], Claim] = {}  # of one refund
    extra: dict[DifferenceKind, dict[str, list[Claim]]] = {}  # by source
    for source in sorted({one.source for one in sent}):
        mails = [one for one in sent if one.source == source]
        outcome = _Source(refunds, mails, edges, refund_within)
        for refund, mail, kind in outcome.pairs:
            paired_by.add((refund.row.number, source))
            if kind is DifferenceKind.RECIPIENT:
                elsewhere.add(refund.row.number)
            elif mail.row.recipient and refund.recipients:
                told.add(refund.row.number)
            else:
                told_perhaps.add(refund.row.number)
            if kind is not None and not any(one.kind is kind and one.confirmation is mail for one in bound.values()):
                bound.setdefault((refund.row.number, kind), Claim(kind, refund, mail))
        for claim in outcome.extra:
            extra.setdefault(claim.kind, {}).setdefault(source, []).append(claim)
    claims = list(bound.values())
    for by_source in extra.values():  # several sources show the same mail: the one that shows most of it speaks
        claims += by_source[min(by_source, key=lambda name: (-len(by_source[name]), name))]
    for one in refunds:
        number = one.row.number
        one.told = number in told or (number in told_perhaps and number not in elsewhere)
        lost = [mail.row.at for mail in unsent if _tells(one, mail) and (number, mail.source) not in paired_by]
        latest = max((mail.row.at for mail in sent if _tells(one, mail)), default=float("-inf"))
        if any(latest <= at + SAME for at in lost):
            one.told = False
        one.elsewhere = number in elsewhere and not one.told
        paired = one.told or one.elsewhere
        one.missing = not paired and one.row.reversed_at is None and edges.overdue(one)
        if one.missing:
            evidence = _unsent(one, unsent)
            claims.append(Claim(DifferenceKind.MISSING, one, evidence, NOTES[Outcome(evidence.row.outcome)] if evidence else ""))
    return claims


def _tells(refund: KeptRefund, mail: KeptConfirmation) -> bool:
    return _fits(refund, mail) and (mail.row.amount is None or any(_exact(mail, amount) for amount in refund.amounts))


def _decide_nothing(refunds: Sequence[KeptRefund], confirmations: Sequence[KeptConfirmation]) -> None:
    for due in refunds:
        due.told = False
    for mail in confirmations:
        mail.waiting = mail.row.outcome == Outcome.SENT and not mail.accused


def _unsent(refund: KeptRefund, unsent: Sequence[KeptConfirmation]) -> KeptConfirmation | None:
    fitting = [one for one in unsent if one.row.amount is None or any(_exact(one, amount) for amount in refund.amounts)]
    return max(fitting, key=lambda one: (one.row.outcome == Outcome.HELD, one.row.at, one.source, one.row.identity), default=None)


class _Source:
    """The refunds of one key against what one source shows. `pairs`: with what is wrong about them."""

    def __init__(self, refunds: Sequence[KeptRefund], mails: Sequence[KeptConfirmation], edges: _Edges, within: float) -> None:
        self.pairs: list[tuple[KeptRefund, KeptConfirmation, DifferenceKind | None]] = []
        self.extra: list[Claim] = []
        self._refunds, self._mails = list(refunds), list(mails)
        self._within = within
        by_number = all(one.row.number == one.row.key for one in refunds)  # then no other refund can come under this key
        purged = {id(mail): mail.row.at < edges.forgotten and not mail.accused for mail in mails}
        decidable = {id(mail): edges.decidable(mail) or (by_number and bool(refunds) and not purged[id(mail)]) for mail in mails}
        self._pair_those(_fits, decidable)
        self._pair_those(lambda refund, mail: decidable[id(mail)], decidable)
        everyone = [recipient for one in refunds for recipient in one.recipients]
        for mail in self._mails:
            self._left_over(mail, refunds, mails, everyone, decidable[id(mail)], purged[id(mail)])
        for _, mail, kind in self.pairs:
            mail.accused = kind is not None

    def _pair_those(self, fits: Fits, decidable: dict[int, bool]) -> None:
        self._pair(lambda refund, mail: fits(refund, mail) and any(_exact(mail, amount) for amount in refund.amounts))
        self._pair(lambda refund, mail: fits(refund, mail) and mail.row.amount is None)
        self._pair_sums(fits)
        self._pair(lambda refund, mail: fits(refund, mail) and decidable[id(mail)], differing=True)

    def _eligible(self, refund: KeptRefund, mail: KeptConfirmation) -> bool:
        return refund.row.reversed_at is None or mail.row.at <= refund.row.reversed_at + self._within

    def _pair(self, test: Fits, differing: bool = False) -> None:
        choosy = [one for one in self._refunds if one.recipients]  # the others take any mail
        rest = [one for one in self._refunds if not one.recipients]
        for refund in sorted([*choosy, *rest], key=lambda one: one.row.reversed_at is not None):
            mail = next((one for one in self._mails if self._eligible(refund, one) and test(refund, one)), None)
            if mail is not None:
                kind = _mismatch(refund, mail) if differing else None
                self._take(refund, mail, kind if _fits(refund, mail) else DifferenceKind.RECIPIENT)
                self._mails.remove(mail)

    def _pair_sums(self, fits: Fits) -> None:
        for mail in list(self._mails):
            for reversed_too in (True, False):
                summed = [
                    one
                    for one in self._refunds
                    if self._eligible(one, mail)
                    and (reversed_too or one.row.reversed_at is None)
                    and mail.row.currency in ("", one.row.currency)
                ]
                one_currency = len({one.row.currency for one in summed}) == 1
                total = sum(one.row.amount for one in summed)
                if len(summed) > 1 and one_currency and total == mail.row.amount and any(fits(one, mail) for one in summed):
                    self._mails.remove(mail)
                    right = any(_fits(one, mail) for one in summed)
                    for one in summed:
                        self._take(one, mail, None if right else DifferenceKind.RECIPIENT)
                    break

    def _take(self, refund: KeptRefund, mail: KeptConfirmation, kind: DifferenceKind | None) -> None:
        self._refunds.remove(refund)
        self.pairs.append((refund, mail, kind))

    def _left_over(
        self,
        mail: KeptConfirmation,
        refunds: Sequence[KeptRefund],
        mails: Sequence[KeptConfirmation],
        everyone: Sequence[bytes],
        judged: bool,
        purged: bool,
    ) -> None:
        reversals = [one.row.reversed_at for one in refunds if one.row.reversed_at is not None]
        if refunds and len(reversals) == len(refunds) and mail.row.at > max(reversals) + self._within:
            latest = max(refunds, key=lambda one: (one.row.reversed_at or 0.0, one.row.number))
            note = f"reversed {_span(mail.row.at - max(reversals))} before"
            mail.waiting, mail.accused = purged, not purged
            if not purged:
                self.extra.append(Claim(DifferenceKind.SPURIOUS, latest, mail, note))
        elif not refunds:
            mail.waiting, mail.accused = not judged, judged
            if judged:
                self.extra.append(Claim(DifferenceKind.SPURIOUS, None, mail))
        elif mail.row.recipient and everyone and mail.row.recipient not in everyone:
            mail.waiting, mail.accused = not judged, judged
            if judged:
                self.extra.append(Claim(DifferenceKind.RECIPIENT, refunds[0], mail))
        elif mail.row.resend:
            mail.waiting, mail.accused = not judged, False
        else:
            mail.waiting, mail.accused = not judged, judged
            if judged:
                nth = sorted(mails, key=lambda one: (one.row.at, one.row.identity)).index(mail) + 1
                self.extra.append(Claim(DifferenceKind.DUPLICATE, refunds[0], mail, f"the {_nth(nth)} of {len(mails)}"))


def _fits(refund: KeptRefund, mail: KeptConfirmation) -> bool:
    return not mail.row.recipient or not refund.recipients or mail.row.recipient in refund.recipients


def _exact(mail: KeptConfirmation, amount: tuple[int, str]) -> bool:
    return mail.row.amount == amount[0] and mail.row.currency in ("", amount[1])


def _mismatch(refund: KeptRefund, mail: KeptConfirmation) -> DifferenceKind:
    if mail.row.currency in ("", *(currency for _, currency in refund.amounts)):
        return DifferenceKind.AMOUNT
    return DifferenceKind.CURRENCY


def _same_records(old: Claim, new: Claim) -> bool:
    if old.kind is not new.kind:
        return False
    if old.kind is DifferenceKind.MISSING:
        return old.refund is new.refund
    return old.confirmation is new.confirmation


def _same_mail(old: Claim, new: Claim) -> bool:
    """Another source speaks of it now."""
    if old.kind is not new.kind or old.confirmation is None or new.confirmation is None or old.kind is DifferenceKind.MISSING:
        return False
    return old.confirmation.source != new.confirmation.source


def _at(claim: Claim) -> float:
    if claim.confirmation is not None and claim.kind is not DifferenceKind.MISSING:
        return claim.confirmation.row.at
    assert claim.refund is not None
    return claim.refund.row.at


def _whose(claim: Claim) -> Refund | Confirmation:
    if claim.kind is DifferenceKind.SPURIOUS or claim.refund is None:
        assert claim.confirmation is not None
        return claim.confirmation.row
    return claim.refund.row


def _customer(claim: Claim) -> bytes:
    return _whose(claim).recipient


def _provider(claim: Claim) -> str:
    return _whose(claim).provider


def _stake(claim: Claim) -> tuple[int | None, str]:
    if claim.kind is DifferenceKind.MISSING:
        assert claim.refund is not None
        return claim.refund.row.amount, claim.refund.row.currency
    assert claim.confirmation is not None
    return claim.confirmation.row.amount, claim.confirmation.row.currency


def _sum(stakes: Iterable[tuple[int | None, str]]) -> tuple[Money, ...]:
    totals: dict[str, int] = {}
    for amount, currency in stakes:
        if amount is not None and currency:
            totals[currency] = totals.get(currency, 0) + amount
    return tuple(money(totals[currency], currency) for currency in sorted(totals))


def _difference(kept: KeptDifference) -> Difference:
    refund, mail = kept.claim.refund, kept.claim.confirmation
    return Difference(
        kind=kept.kind,
        key=kept.key,
        found=kept.found,
        settled=kept.settled,
        number=refund.row.number if refund else "",
        refund=money(refund.row.amount, refund.row.currency) if refund else None,
        refund_at=refund.row.at if refund else None,
        refund_place=_place(refund.source, refund.origin, refund.row.line) if refund else "",
        confirmation=money(mail.row.amount, mail.row.currency) if mail and mail.row.amount is not None and mail.row.currency else None,
        confirmation_at=mail.row.at if mail else None,
        confirmation_place=_place(mail.source, mail.origin, mail.row.line) if mail else "",
        note=kept.claim.note,
    )


def _place(source: str, origin: str, line: int) -> str:
    return ", ".join(part for part in (source, origin if origin != source else "", f"line {line}" if line else "") if part)


def _conflict(what: str, first: tuple[int, str, Refund | Confirmation], second: tuple[int, str, Refund | Confirmation]) -> RowFault:
    def told(line: int, origin: str, row: Refund | Confirmation) -> str:
        where = f" on line {line}" if line else ""
        elsewhere = f" of {origin}" if first[1] != second[1] else ""
        return f"{where}{elsewhere} with {_exactly(row.amount or 0, row.currency)}"

    text = f"{what} is{told(*first)} and{told(*second)}; the first one is kept"
    return RowFault(second[0], text, "find out which one is right")


def _exactly(amount: int, currency: str) -> str:
    whole, parts = divmod(abs(amount), SCALE)
    decimals = f"{parts:04d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals} {currency}".rstrip()


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def refunds(*rows: Refund, source: str = "ledger", at: float = 0.0, **more: object) -> Taking:
    """A portion of refunds."""
    return cast(Callable[..., Taking], Taking)(source=source, side=Side.REFUNDS, origin=source, records=rows, at=at, **more)


def confirmations(*rows: Confirmation, source: str = "mails", at: float = 0.0, **more: object) -> Taking:
    """A portion of confirmations."""
    return cast(Callable[..., Taking], Taking)(source=source, side=Side.CONFIRMATIONS, origin=source, records=rows, at=at, **more)
