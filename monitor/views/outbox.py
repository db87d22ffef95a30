"""What is still to be told to whom: the notification log, folded.

A transition that people are to hear of is a promise; it is kept when a channel has taken it (Notified), and ended when telling was given
up (NotifyFailed without another try). Which channels a promise is for is the policy's to say: rules/notify.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from monitor.model.facts import Acknowledged, Entry, Notified, NotifyFailed, Silenced, Transition
from monitor.model.incident import IncidentId, Phase, Severity
from monitor.model.instant import Instant

FIRING = frozenset({Phase.OPENED, Phase.GROWN, Phase.FLAPPING})
CAUSE_NAMED = "a possible cause is known"  # the note of a transition that says only that: whoever looks sees it, nobody is told
TOLD_PHASES = FIRING | {Phase.RESOLVED}
KEPT = 2_000  # promises that are remembered
KEPT_STANDINGS = 1_000  # incidents whose standing is remembered
KEPT_WIDTHS = 500  # paths and providers of one incident that were told of


@dataclass(slots=True)
class Item:
    """One promise to tell. `seq` is that of the fact that made it: a transition, or a silence whose end is told of."""

    transition: Transition
    seq: int
    due: Instant  # the time of the fact, or the end of the silence
    held: bool = False  # waits for the end of a silence
    number: int = 1  # of the notice within the episode, counted from 1; part of its key
    taken: dict[str, Instant] = field(default_factory=dict)  # channel -> when it took it
    attempts: dict[str, int] = field(default_factory=dict)  # channel -> on which attempt
    failed: dict[str, NotifyFailed] = field(default_factory=dict)  # channel -> its last failure
    heard: list[str] = field(default_factory=list)  # of a resolve: the channels that knew of the episode when it ended
    superseded: bool = False  # by a silence, or by the end of what a silence held back: not told any more

    @property
    def fires(self) -> bool:
        return self.transition.phase in FIRING

    @property
    def episode(self) -> int:
        return self.transition.episode

    def is_due(self, now: Instant) -> bool:
        """Its time has come. Only a silence makes a notice wait, and a silence is told in UTC."""
        return not self.held or now.utc >= self.due.utc

    def is_settled(self, channel: str) -> bool:
        """The channel took it, or telling it was given up."""
        failure = self.failed.get(channel)
        return channel in self.taken or (failure is not None and failure.retry_in is None)


@dataclass(slots=True)
class Standing:
    """How one incident stands towards the people who are told."""

    episode: int = 0
    number: int = 0  # notices promised in this episode
    is_open: bool = False
    severity: Severity = Severity.TICKET  # the highest that was promised in this episode
    acknowledged: bool = False
    silent_until: float = 0.0  # a person silenced this incident; seconds since the epoch
    planned_until: float = 0.0  # planned silences cover it until then
    planned: str = ""  # which they are, in words
    widths: list[str] = field(default_factory=list)  # paths and providers that fail, as promised in this episode
    parent: str = ""  # the incident that this one is part of
    current: Transition | None = None  # the latest that fires
    heard: list[str] = field(default_factory=list)  # channels that took a notice of this episode
    shown: dict[str, int] = field(default_factory=dict)  # channel -> seq of the item that it took last

    @property
    def quiet_until(self) -> float:
        """Nobody is told before: the later of both silences, for what ends first is covered by the other."""
        return max(self.silent_until, self.planned_until)


@dataclass(slots=True)
class ChannelState:
    last_success: Instant | None = None
    failing_since: Instant | None = None


@dataclass(slots=True)
class Outbox:
    """Items in the order of their promises; those that are settled go first when there are too many."""

    items: dict[str, Item] = field(default_factory=dict)  # seq as text: snapshots are JSON
    standings: dict[IncidentId, Standing] = field(default_factory=dict)
    channels: dict[str, ChannelState] = field(default_factory=dict)

    def item(self, seq: int) -> Item | None:
        return self.items.get(str(seq))

    def of(self, incident: IncidentId) -> list[Item]:
        return [item for item in self.items.values() if item.transition.incident == incident]

    def shown(self, incident: IncidentId, channel: str) -> Item | None:
        """What this channel was last told of the incident, in its present episode."""
        standing = self.standings.get(incident)
        return self.item(standing.shown.get(channel, 0)) if standing else None

    def is_followed(self, item: Item, channel: str) -> bool:
        """A newer notice is still to speak for it to this channel. After a silence there is none when a person has it in hand."""
        newer = (other for other in self.of(item.transition.incident) if other.seq > item.seq)
        return any(not other.superseded and not other.is_settled(channel) for other in newer)

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Transition() as fact:
                self._transition(entry.seq, fact)
            case Acknowledged() as fact:
                self._acknowledged(fact)
            case Silenced() as fact:
                self._silenced(entry.seq, fact)
            case Notified() as fact:
                self._notified(fact)
            case NotifyFailed() as fact:
                channel = self.channels.setdefault(fact.channel, ChannelState())
                channel.failing_since = channel.failing_since or fact.at
                item = self.item(fact.about)
                if item is not None and fact.channel not in item.taken:
                    item.failed[fact.channel] = fact
            case _:
                pass

    def _transition(self, seq: int, fact: Transition) -> None:
        standing = self.standings.get(fact.incident)
        if standing is None:
            if fact.phase not in TOLD_PHASES:
                return
            standing = self.standings[fact.incident] = Standing()
        standing.parent = fact.parent or ""
        match fact.phase:
            case Phase.OPENED | Phase.GROWN | Phase.FLAPPING:
                self._fires(seq, fact, standing)
            case Phase.RESOLVED:
                standing.is_open = False
                _supersede(self._held(fact.incident, fact.at))
                self._promise(Item(fact, seq, fact.at, heard=list(standing.heard)), standing)
            case Phase.ACKNOWLEDGED:
                standing.acknowledged = True
            case Phase.SILENCED:
                self._covered(seq, fact, standing)
            case Phase.CLEARED:
                del self.standings[fact.incident]
            case Phase.SUSPECTED | Phase.RECOVERING | Phase.RELAPSED:
                pass
        self._forget_standings()

    def _fires(self, seq: int, fact: Transition, standing: Standing) -> None:
        if fact.phase is Phase.OPENED or fact.episode != standing.episode:
            if fact.episode != standing.episode:
                standing.number, standing.heard, standing.shown = 0, [], {}
            standing.episode, standing.acknowledged, standing.severity = fact.episode, False, Severity.TICKET
            standing.widths, standing.planned = [], ""
        fact = _grounded(fact, standing.current)
        standing.is_open, standing.current, standing.planned_until = True, fact, fact.silent_until
        held = self._held(fact.incident, fact.at)
        rises = fact.severity is Severity.PAGE and standing.severity is Severity.TICKET
        wider = [width for width in _widths(fact) if width not in standing.widths]
        in_hand = standing.acknowledged and not rises and not wider
        if standing.parent:
            _supersede(held)
        if standing.parent or ((in_hand or fact.note == CAUSE_NAMED) and not held):
            return  # its parent speaks for it; or a person has it in hand, and it is as wide as they know; or there is no news
        standing.widths = [*standing.widths, *wider][-KEPT_WIDTHS:]
        if rises:
            standing.severity = Severity.PAGE
        if fact.at.utc < standing.quiet_until:
            self._hold(seq, fact, standing, fact.at)
        else:
            _supersede(held)  # it has grown beyond what was silenced
            if fact.phase is Phase.FLAPPING:
                _supersede(self._untaken(fact))
            self._promise(Item(fact, seq, fact.at), standing)

    def _silenced(self, seq: int, fact: Silenced) -> None:
        """A person silences it; or ends that, for `until` is not ahead."""
        standing = self.standings.setdefault(fact.incident, Standing())
        standing.silent_until = fact.until
        self._quieted(fact.incident, seq, fact.at, standing)
        self._forget_standings()

    def _covered(self, seq: int, fact: Transition, standing: Standing) -> None:
        """A planned silence begins to cover it, or covers it no longer. What a person has in hand, and knows of, is told at no end."""
        before, standing.planned_until, standing.planned = standing.quiet_until, fact.silent_until, fact.note
        firing = [item for item in self.of(fact.incident) if item.fires and not item.superseded]
        if standing.acknowledged and all(item.taken for item in firing):
            _supersede(firing)
        elif standing.quiet_until != before:
            self._quieted(fact.incident, seq, fact.at, standing)

    def _quieted(self, incident: IncidentId, seq: int, now: Instant, standing: Standing) -> None:
        """Nothing is told before the end of its silences, and then once, if it is still open."""
        if not standing.is_open or standing.current is None or standing.parent:
            return
        _supersede(item for item in self.of(incident) if item.fires)  # the end tells it
        self._hold(seq, standing.current, standing, now)

    def _acknowledged(self, fact: Acknowledged) -> None:
        """While a planned silence covers it: its end is no news to who has it in hand. Whoever silenced the incident itself asked to be
        told again."""
        standing = self.standings.get(fact.incident)
        if standing is None:
            return
        standing.acknowledged = True
        if standing.silent_until <= fact.at.utc:
            _supersede(self._held(fact.incident, fact.at))

    def _hold(self, seq: int, fact: Transition, standing: Standing, now: Instant) -> None:
        """A promise for the end of its silences: what the incident has become by then."""
        due = now.plus(max(0.0, standing.quiet_until - now.utc))
        held = self._held(fact.incident, now)
        if held:
            held[-1].transition, held[-1].due = fact, due
        else:
            self._promise(Item(fact, seq, due, held=True), standing)

    def _held(self, incident: IncidentId, now: Instant) -> list[Item]:
        return [item for item in self.of(incident) if item.held and not item.superseded and not item.is_due(now)]

    def _untaken(self, fact: Transition) -> list[Item]:
        """The opening of this episode, which no channel has taken yet: one notice says both."""
        mine = [item for item in self.of(fact.incident) if item.episode == fact.episode]
        return [item for item in mine if item.transition.phase is Phase.OPENED and not item.taken]

    def _promise(self, item: Item, standing: Standing) -> None:
        standing.number += 1
        item.number = standing.number
        self.items[str(item.seq)] = item
        while len(self.items) > KEPT:
            done = (key for key, old in self.items.items() if (old.taken or old.superseded) and not old.failed and not self._speaks(old))
            del self.items[next(done, next(iter(self.items)))]

    def _speaks(self, item: Item) -> bool:
        """It is what a channel shows of an open incident."""
        standing = self.standings.get(item.transition.incident)
        return standing is not None and standing.is_open and item.seq in standing.shown.values()

    def _forget_standings(self) -> None:
        if len(self.standings) > KEPT_STANDINGS:
            closed = (key for key, standing in self.standings.items() if not standing.is_open)
            del self.standings[next(closed, next(iter(self.standings)))]

    def _notified(self, fact: Notified) -> None:
        channel = self.channels.setdefault(fact.channel, ChannelState())
        channel.last_success, channel.failing_since = fact.at, None
        item = self.item(fact.about)
        if item is None:
            return
        item.taken.setdefault(fact.channel, fact.at)
        item.attempts.setdefault(fact.channel, fact.attempt)
        item.failed.pop(fact.channel, None)
        standing = self.standings.get(fact.incident)
        if standing is not None and item.episode == standing.episode:
            standing.shown[fact.channel] = item.seq
            if item.fires and fact.channel not in standing.heard:
                standing.heard.append(fact.channel)


def _supersede(items: Iterable[Item]) -> None:
    for item in items:
        item.superseded = True


def _grounded(fact: Transition, before: Transition | None) -> Transition:
    """A step of the same episode that has no grounds of its own stands on those before it."""
    if fact.diagnosis is not None or before is None or before.diagnosis is None or before.episode != fact.episode:
        return fact
    return replace(
        fact,
        last_good=before.last_good,
        tallies=before.tallies,
        diagnosis=before.diagnosis,
        deploys=before.deploys,
        impact=fact.impact or before.impact,
        opening=fact.opening or before.opening,
    )


def _widths(fact: Transition) -> list[str]:
    """The paths and providers on which mail fails."""
    bad = [tally for tally in fact.tallies if tally.bad > 0]
    return list(dict.fromkeys([*(f"path {tally.path}" for tally in bad), *(f"provider {tally.provider}" for tally in bad)]))
