"""What is still to be told to whom: the notification log, folded.

A transition that people are to hear of is a promise; it is kept when a channel has taken it (Notified), and ended when telling was given
up (NotifyFailed without another try). Which channels a promise is for is the policy's to say: rules/notify.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import Acknowledged, Entry, Notified, NotifyFailed, Silenced, Transition
from monitor.model.incident import IncidentId, Phase, Severity
from monitor.model.instant import Instant

FIRING = frozenset({Phase.OPENED, Phase.GROWN, Phase.FLAPPING})
TOLD_PHASES = FIRING | {Phase.RESOLVED}
KEPT = 2_000  # promises that are remembered
KEPT_STANDINGS = 1_000  # incidents whose standing is remembered


@dataclass(slots=True)
class Item:
    """One promise to tell. `seq` is that of the fact that made it: a transition, or a silence whose end is told of."""

    transition: Transition
    seq: int
    due: Instant  # the time of the fact, or the end of the silence
    held: bool = False  # waits for the end of a silence
    number: int = 1  # of the notice within the episode, counted from 1; part of its key
    taken: dict[str, Instant] = field(default_factory=dict)  # channel -> when it took it
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
    silent_until: float = 0.0  # seconds since the epoch
    parent: str = ""  # the incident that this one is part of
    current: Transition | None = None  # the latest that fires
    heard: list[str] = field(default_factory=list)  # channels that took a notice of this episode
    shown: dict[str, int] = field(default_factory=dict)  # channel -> seq of the item that it took last


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

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Transition() as fact:
                self._transition(entry.seq, fact)
            case Acknowledged() as fact:
                if standing := self.standings.get(fact.incident):
                    standing.acknowledged = True
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
                for held in self._held(fact.incident, fact.at):
                    held.superseded = True
                self._promise(Item(fact, seq, fact.at, heard=list(standing.heard)), standing)
            case Phase.ACKNOWLEDGED:
                standing.acknowledged = True
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
        rises = fact.severity is Severity.PAGE and standing.severity is Severity.TICKET
        standing.is_open, standing.current = True, fact
        if standing.parent:
            for item in self._held(fact.incident, fact.at):
                item.superseded = True
        if standing.parent or (standing.acknowledged and not rises):
            return  # its parent speaks for it; or a person has it in hand
        if rises:
            standing.severity = Severity.PAGE
        if fact.at.utc < standing.silent_until:
            self._hold(seq, fact, standing, fact.at.plus(standing.silent_until - fact.at.utc), fact.at)
        else:
            self._promise(Item(fact, seq, fact.at), standing)

    def _silenced(self, seq: int, fact: Silenced) -> None:
        standing = self.standings.setdefault(fact.incident, Standing())
        standing.silent_until = fact.until
        if standing.is_open and standing.current is not None and not standing.parent:
            for item in self.of(fact.incident):
                item.superseded |= item.fires  # the end of this silence tells it
            self._hold(seq, standing.current, standing, fact.at.plus(max(0.0, fact.until - fact.at.utc)), fact.at)
        self._forget_standings()

    def _hold(self, seq: int, fact: Transition, standing: Standing, due: Instant, now: Instant) -> None:
        """A promise for the end of the silence: what the incident has become by then."""
        held = self._held(fact.incident, now)
        if held:
            held[-1].transition = fact
        else:
            self._promise(Item(fact, seq, due, held=True), standing)

    def _held(self, incident: IncidentId, now: Instant) -> list[Item]:
        return [item for item in self.of(incident) if item.held and not item.superseded and not item.is_due(now)]

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
        item.failed.pop(fact.channel, None)
        standing = self.standings.get(fact.incident)
        if standing is not None and item.episode == standing.episode:
            standing.shown[fact.channel] = item.seq
            if item.fires and fact.channel not in standing.heard:
                standing.heard.append(fact.channel)
