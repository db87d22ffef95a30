"""One telling of a recorded past: the facts in order, and what the judge, and if asked the incident stage, make of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from monitor.model.facts import (
    KIND_OF,
    Acknowledged,
    Closed,
    Entry,
    Fact,
    Judged,
    Looked,
    Noted,
    Notified,
    NotifyFailed,
    ProbePlanned,
    ResolveAsked,
    Silenced,
    Transition,
    WatchBlind,
    WatchRestored,
)
from monitor.model.instant import Instant
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName, ProbeId
from monitor.model.verdict import Reason
from monitor.rules import judge
from monitor.rules.replay.deciding import Deciding
from monitor.views.world import World

Replan = Callable[[ProbePlanned], ProbePlanned]
# what the recorded run made of its evidence, and what people said to that
_CONCLUSIONS = (Judged, Closed, Transition, Notified, NotifyFailed, Acknowledged, Silenced, ResolveAsked, Noted)


@dataclass(frozen=True, slots=True)
class Course:
    """The verdicts on one probe: the first (revision 0) and the last, with its explanation. None: still open."""

    first: Reason | None = None
    last: Reason | None = None
    explanation: str = ""

    def with_next(self, reason: Reason, explanation: str) -> Course:
        return Course(self.first or reason, reason, explanation)


_OPEN = Course()


OPEN = Course()


class Strand:
    """The judge of a past that is told again: at the instants of the facts, and at the deadlines between them."""

    def __init__(self, policy: Policy, replan: Replan, with_incidents: bool = False) -> None:
        boxes = policy.mailboxes.items()
        self._holding = frozenset(name for name, box in boxes if box.role is Role.HOLDING)
        self._replan = replan
        self._timers: list[tuple[float, ProbeId]] = []  # (monotonic instant of the process that speaks, probe)
        self._touched: dict[ProbeId, None] = {}  # since the last ruling, at one and the same instant
        self._now: Instant | None = None
        self.world = World()
        self.deciding = Deciding(policy, self.world) if with_incidents else None
        self.courses: dict[ProbeId, Course] = {}

    def take(self, entry: Entry) -> None:
        """The next fact."""
        fact = entry.fact
        if fact is None:
            return
        self._advance(fact.at)
        if isinstance(fact, Closed):
            self._rule_on(fact.probe, fact.at)
            self._fold(fact, entry.seq)
        elif not isinstance(fact, _CONCLUSIONS):
            self._fold(self._replan(fact) if isinstance(fact, ProbePlanned) else fact, entry.seq)
            self._touched.update(dict.fromkeys(self._concerned(fact)))

    def end(self) -> None:
        """There are no more facts; what was to come is not known."""
        self._settle()

    def _advance(self, at: Instant) -> None:
        before = self._now
        if before is None or before.process != at.process:
            self._settle()
            self._now = at
            self._timers = []
            self._touched = dict.fromkeys(self.world.probes)  # a new process looks at all that it inherits
            self._decide(at, afresh=True)
        elif at.mono > before.mono:  # facts of one instant were committed together: the judge saw all of them or none
            self._settle()
            while (due := self._next_due()) <= at.mono:
                now = Instant(at.utc - (at.mono - due), due, at.process)  # due to the bit, or it would never come
                if self._timers and self._timers[0][0] == due:
                    self._rule_on(heapq.heappop(self._timers)[1], now)
                self._decide(now)
            self._now = at

    def _next_due(self) -> float:
        """Monotonic: when the judge or the incident stage wakes although nothing happens."""
        timer = self._timers[0][0] if self._timers else inf
        return min(timer, self.deciding.due) if self.deciding else timer

    def _fold(self, fact: Fact, seq: int) -> None:
        self.world.fold(Entry(seq, KIND_OF[type(fact)], fact))
        if self.deciding is not None:
            self.deciding.saw(fact)

    def _decide(self, now: Instant, afresh: bool = False) -> None:
        if self.deciding is not None:
            self.deciding.decide(now, afresh)

    def _settle(self) -> None:
        touched, self._touched = self._touched, {}
        for probe in touched:
            assert self._now is not None  # noqa: S101 - a fact touched it
            self._rule_on(probe, self._now)
        if self._now is not None:
            self._decide(self._now)

    def _concerned(self, fact: Fact) -> list[ProbeId]:
        world = self.world
        match fact:
            case WatchRestored() | WatchBlind():
                held = fact.mailbox in self._holding
                return [probe for probe, state in world.probes.items() if held or state.plan.route.mailbox == fact.mailbox]
            case Looked():
                return [state.plan.probe for state in world.probes_to(fact.mailbox) if state.hunted]
            case _:
                probe = getattr(fact, "probe", None)
                return [] if probe is None else [probe]

    def _rule_on(self, probe: ProbeId, now: Instant) -> None:
        """As the judge does it (stages/judge)."""
        world = self.world
        state = world.probes.get(probe)
        if state is None:
            return
        own = state.plan.route.mailbox
        ruling = judge.judge(state, world.mailbox(own), now, world.jumps, self._holding)
        unattended = judge.unattended(state, [world.mailbox(name) for name in self._finders(own)], now)
        if ruling is not None and unattended and ruling.rests_on_absence(state):
            return
        if ruling is not None and judge.is_news(state, ruling):
            self.courses[probe] = self.courses.get(probe, OPEN).with_next(ruling.reason, ruling.explanation)
            self._fold(judge.judged(state, ruling, now), world.seq)
        if ruling is not None and not unattended and now.reached(judge.watch_end(state)):
            self._fold(Closed(now, probe), world.seq)
            return
        upcoming = [at.mono if at.process == now.process else now.mono - now.seconds_since(at) for at in judge.wake_at(state)]
        if future := [due for due in upcoming if due > now.mono]:
            heapq.heappush(self._timers, (min(future), probe))

    def _finders(self, own: MailboxName) -> list[MailboxName]:
        return [own, *(self._holding - {own})]
