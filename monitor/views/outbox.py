"""What is still to be told to whom: the notification log, folded."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import Entry, Notified, NotifyFailed, Transition
from monitor.model.incident import IncidentId, Phase
from monitor.model.instant import Instant

TOLD_PHASES = frozenset({Phase.OPENED, Phase.GROWN, Phase.FLAPPING, Phase.RESOLVED})
KEPT = 2_000  # transitions whose notification is remembered


@dataclass(slots=True)
class Item:
    """One transition that somebody is to hear of."""

    transition: Transition
    seq: int
    taken: dict[str, Instant] = field(default_factory=dict)  # channel -> when it took it
    failed: dict[str, NotifyFailed] = field(default_factory=dict)  # channel -> its last failure


@dataclass(slots=True)
class ChannelState:
    last_success: Instant | None = None
    failing_since: Instant | None = None


@dataclass(slots=True)
class Outbox:
    """Items in the order of their transitions; those that are settled go first when there are too many."""

    items: dict[str, Item] = field(default_factory=dict)  # seq as text: snapshots are JSON
    channels: dict[str, ChannelState] = field(default_factory=dict)

    def item(self, seq: int) -> Item | None:
        return self.items.get(str(seq))

    def of(self, incident: IncidentId) -> list[Item]:
        return [item for item in self.items.values() if item.transition.incident == incident]

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Transition() as fact if fact.phase in TOLD_PHASES:
                self.items[str(entry.seq)] = Item(fact, entry.seq)
                while len(self.items) > KEPT:
                    del self.items[next(iter(self.items))]
            case Notified() as fact:
                channel = self.channels.setdefault(fact.channel, ChannelState())
                channel.last_success, channel.failing_since = fact.at, None
                if item := self.item(fact.about):
                    item.taken[fact.channel] = fact.at
                    item.failed.pop(fact.channel, None)
            case NotifyFailed() as fact:
                channel = self.channels.setdefault(fact.channel, ChannelState())
                channel.failing_since = channel.failing_since or fact.at
                if item := self.item(fact.about):
                    item.failed[fact.channel] = fact
            case _:
                pass
