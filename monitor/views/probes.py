"""One probe, from plan to the end of its watch window."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import (
    Accepted,
    Attempted,
    Deferred,
    DsnReceived,
    Judged,
    Looked,
    ProbePlanned,
    Refused,
    Sighted,
    SubmitError,
    SubmitUnknown,
    Withheld,
)
from monitor.model.instant import Instant

MAX_SIGHTINGS = 16  # in one mailbox: a flood of copies is a duplicate long before this


@dataclass(slots=True)
class Seen:
    """A copy that is still there: where it stands now, and where and when it was first seen (moved, or its folder renumbered since)."""

    seq: int
    fact: Sighted
    first: Sighted


@dataclass(slots=True)
class ProbeState:
    """What the facts say about one probe. Fields named `*_seq` point at the evidence."""

    plan: ProbePlanned
    plan_seq: int
    attempt: int = 0
    first_attempt: Instant | None = None
    last_attempt: Instant | None = None
    accepted: Accepted | None = None
    deferred: Deferred | None = None
    refused: Refused | None = None
    unknown: SubmitUnknown | None = None
    error: SubmitError | None = None
    withheld: Withheld | None = None
    outcome_seq: int = 0
    seen: list[Seen] = field(default_factory=list)
    dsn: DsnReceived | None = None
    dsn_seq: int = 0
    unseen_look: Looked | None = None  # the latest complete look at its mailbox that did not show it
    unseen_look_seq: int = 0
    judged: Judged | None = None

    @property
    def awaiting_outcome(self) -> bool:
        """An attempt was begun and its outcome is not known yet."""
        return self.attempt > 0 and not (self.accepted or self.deferred or self.refused or self.unknown or self.error)

    @property
    def taken(self) -> bool:
        """The message may be on its way."""
        return self.accepted is not None or self.unknown is not None

    def own(self) -> list[Seen]:
        """Copies in its own mailbox that are still there, first seen first."""
        return [seen for seen in self.seen if seen.fact.mailbox == self.plan.route.mailbox]

    def elsewhere(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.fact.mailbox != self.plan.route.mailbox]

    @property
    def hunted(self) -> bool:
        """Attempted, possibly under way, and not yet seen in its own mailbox."""
        return self.first_attempt is not None and self.refused is None and not self.own()

    def attempted(self, fact: Attempted) -> None:
        self.attempt = fact.attempt
        self.first_attempt = self.first_attempt or fact.at
        self.last_attempt = fact.at
        self.deferred = self.error = None

    def sighted(self, seq: int, fact: Sighted) -> None:
        before = [old for old in self.seen if _replaces(fact, old)]
        kept = [old for old in self.seen if not _replaces(fact, old)]
        if before:  # it keeps its rank and its age: what is moved later did not arrive later
            kept.insert(self.seen.index(before[0]), Seen(seq, fact, before[0].first))
        elif sum(old.fact.mailbox == fact.mailbox for old in kept) < MAX_SIGHTINGS:
            kept.append(Seen(seq, fact, fact))
        self.seen = kept


def _replaces(fact: Sighted, old: Seen) -> bool:
    """The older sighting's copy is gone: moved to where this one was found, or its folder has a new UIDVALIDITY, which gives every
    message a new name (RFC 3501 section 2.3.1.1)."""
    there = old.fact
    renumbered = (there.mailbox, there.folder) == (fact.mailbox, fact.folder) and there.uidvalidity != fact.uidvalidity
    return renumbered or old.seq in fact.supersedes
