"""Strays and what became of them, what else lies in tripwire mailboxes, and who imitates us: so that a restart finds what its predecessor
had no time to decide on, and nothing is told of twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TypeVar

from monitor.model.facts import Doubted, Entry, Imitated, Stray, Tripped, Unasked
from monitor.model.instant import Instant
from monitor.model.probe import MailboxName

KEPT = 500  # strays, the latest; as many trips, and as many that were decided on otherwise
KEPT_CLAIMS = 200  # strays that keep what their proof needs, the latest
KEPT_DOMAINS = 30  # author domains of one mailbox that nobody asked for mail
KEPT_CAME = 3  # mails of each of them
KEPT_BOXES = 200  # mailboxes
KEPT_LINES = 3  # of the evidence
LONGEST_LINE = 200  # characters
QUIET = 86_400.0  # seconds: what comes later is another campaign
_DAY = 86_400.0

K = TypeVar("K")
T = TypeVar("T")


@dataclass(slots=True)
class Daily:
    """How many on one day, by UTC."""

    day: int = 0  # since the epoch
    count: int = 0

    def on(self, at: Instant) -> int:
        return self.count if self.day == int(at.utc // _DAY) else 0

    def add(self, at: Instant) -> None:
        self.day, self.count = int(at.utc // _DAY), self.on(at) + 1


@dataclass(slots=True)
class Came:
    """One mail that nobody asked for."""

    at: Instant
    seq: int
    digest: str


@dataclass(slots=True)
class Outside:
    """Who knows the address of a mailbox. `domains`: the latest mails of each author domain; `more`: mails that were only counted."""

    domains: dict[str, list[Came]] = field(default_factory=dict)
    more: int = 0

    def add(self, domain: str, came: Came) -> None:
        known = self.domains.pop(domain, [])
        if all(each.digest != came.digest for each in known):  # one mail may lie in two folders, and be read again
            known = [*known[1 - KEPT_CAME :], came]
        self.domains[domain] = known
        if len(self.domains) > KEPT_DOMAINS:
            del self.domains[next(iter(self.domains))]


@dataclass(slots=True)
class Told:
    """The latest of its kind in a mailbox. `lines`: its evidence."""

    at: Instant
    seq: int
    lines: tuple[str, ...]


@dataclass(slots=True)
class Campaign:
    """Imitations in one mailbox with never a quiet day between them. `domains`: how many bore each author domain, the latest last."""

    since: Instant
    latest: Told
    count: int = 0
    domains: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tripwires:
    """`lying`: strays that have not tripped, by their seqs. `undecided`: those of them on which nothing was said yet, with all that their
    proof needs. `tripped`: the seqs of those that have, by mailbox and digest: a mail that
    is read again, or lies there twice, trips once. `settled`: those that were found to be imitations or doubtful, by all that the decision
    rested on: a forged copy that came first must not hide the mail itself."""

    lying: dict[int, Stray] = field(default_factory=dict)
    undecided: dict[int, Stray] = field(default_factory=dict)
    tripped: dict[str, int] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    outside: dict[MailboxName, Outside] = field(default_factory=dict)
    unasked: dict[MailboxName, Daily] = field(default_factory=dict)  # facts that were written
    imitated: dict[MailboxName, Daily] = field(default_factory=dict)  # likewise
    doubted: dict[MailboxName, Daily] = field(default_factory=dict)  # likewise
    claims: dict[MailboxName, Daily] = field(default_factory=dict)  # strays that bear what their proof needs
    hopeless: dict[MailboxName, Daily] = field(default_factory=dict)  # strays that nothing can make ours
    campaigns: dict[MailboxName, Campaign] = field(default_factory=dict)
    doubts: dict[MailboxName, Told] = field(default_factory=dict)

    def has_tripped(self, stray: Stray) -> bool:
        return _key(stray) in self.tripped

    def is_settled(self, stray: Stray) -> bool:
        """Nothing is left to decide on it."""
        return self.has_tripped(stray) or _mark(stray) in self.settled

    def knows(self, mailbox: MailboxName, domain: str, digest: str) -> bool:
        """This unasked mail is known already."""
        seen = self.outside.get(mailbox)
        return seen is not None and any(came.digest == digest for came in seen.domains.get(domain, ()))

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Stray() as stray:
                self._lies(entry.seq, stray)
            case Tripped() as fact:
                self.undecided.pop(fact.stray, None)
                if known := self.lying.pop(fact.stray, None):
                    self.tripped[_key(known)] = fact.stray
                    _bound(self.tripped, KEPT)
            case Doubted() as fact:
                self._settle(fact.stray)
                _counted(self.doubted, fact.mailbox, fact.at)
                _latest(self.doubts, fact.mailbox, _told(entry.seq, fact))
            case Imitated() as fact:
                self._settle(fact.stray)
                self._imitated(entry.seq, fact)
            case Unasked() as fact:
                _counted(self.unasked, fact.mailbox, fact.at)
                seen = self._outside(fact.mailbox)
                seen.add(fact.author_domain, Came(fact.at, entry.seq, fact.digest))
                seen.more += max(0, fact.more)
            case _:
                pass

    def _lies(self, seq: int, stray: Stray) -> None:
        self._outside(stray.mailbox).add(stray.author_domain, Came(stray.at, seq, stray.digest))
        if stray.more is not None:
            _counted(self.hopeless, stray.mailbox, stray.at)
        if stray.claim is not None:
            _counted(self.claims, stray.mailbox, stray.at)
        if self.has_tripped(stray):
            return
        self.lying[seq] = replace(stray, claim=None)
        _bound(self.lying, KEPT)
        if self.is_settled(stray):
            return
        self.undecided[seq] = stray
        _bound(self.undecided, KEPT)
        bearing = [at for at, lying in self.undecided.items() if lying.claim is not None] if stray.claim is not None else []
        for at in bearing[:-KEPT_CLAIMS]:
            self.undecided[at] = replace(self.undecided[at], claim=None)

    def _settle(self, seq: int) -> None:
        if known := self.undecided.pop(seq, None):
            self.settled[_mark(known)] = seq
            _bound(self.settled, KEPT)

    def _imitated(self, seq: int, fact: Imitated) -> None:
        _counted(self.imitated, fact.mailbox, fact.at)
        known = self.campaigns.get(fact.mailbox)
        if known is None or fact.at.seconds_since(known.latest.at) >= QUIET:
            known = Campaign(fact.at, _told(seq, fact))
        known.latest = _told(seq, fact)
        known.count += 1 + max(0, fact.more)
        known.domains[fact.author_domain] = known.domains.pop(fact.author_domain, 0) + 1
        _bound(known.domains, KEPT_DOMAINS)
        _latest(self.campaigns, fact.mailbox, known)

    def _outside(self, mailbox: MailboxName) -> Outside:
        seen = self.outside.pop(mailbox, None) or Outside()
        _latest(self.outside, mailbox, seen)
        return seen


def _key(stray: Stray) -> str:
    return f"{stray.mailbox} {stray.digest}"


def _mark(stray: Stray) -> str:
    claim, auth = stray.claim, stray.auth
    parts = [stray.mailbox, stray.digest, stray.message_id, stray.author_domain, auth.spf, auth.dkim, auth.dmarc, str(stray.addressed)]
    if stray.claimed:
        parts.append(stray.claimed)
    elif claim is not None:
        parts += [claim.envelope_domain, claim.border.address if claim.border else ""]
        parts += [signature.digest.hex() + signature.value.hex() for signature in claim.signatures]
    return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:16]


def _told(seq: int, fact: Doubted | Imitated) -> Told:
    return Told(fact.at, seq, tuple(line[:LONGEST_LINE] for line in fact.evidence[:KEPT_LINES]))


def _counted(days: dict[MailboxName, Daily], mailbox: MailboxName, at: Instant) -> None:
    day = days.get(mailbox, Daily())
    day.add(at)
    _latest(days, mailbox, day)


def _latest(of: dict[MailboxName, T], mailbox: MailboxName, what: T) -> None:
    of.pop(mailbox, None)
    of[mailbox] = what
    _bound(of, KEPT_BOXES)


def _bound(of: dict[K, T], most: int) -> None:
    if len(of) > most:
        del of[next(iter(of))]
