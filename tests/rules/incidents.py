"""A world told in verdicts, and the incidents that the rule makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

from monitor.model.facts import KIND_OF, Accepted, Attempted, Closed, Entry, Fact, Judged, Looked, ProbePlanned, Sighted, Transition
from monitor.model.incident import Phase
from monitor.model.instant import Instant
from monitor.model.mail import Carrier, Field, Placement
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Reply
from monitor.model.verdict import Reason
from monitor.rules.incident import Decision, Layout, decide
from monitor.views.world import World
from tests.stages.house import RELAY, policy, seed
from tests.stages.test_incident import APP, two_paths
from tests.views.life import NOON, planned

M = 60.0


@cache
def rules(seeds: int = 6, paths: int = 2) -> Policy:
    """Defaults; seed-n is at provider-(n mod 3)."""
    with tempfile.TemporaryDirectory() as directory:
        return two_paths(Path(directory), seeds) if paths == 2 else policy(Path(directory), seeds)


def relay(number: int) -> Route:
    return Route(RELAY, seed(number))


def app(number: int) -> Route:
    return Route(APP, seed(number))


class Play:
    """Times are seconds after noon; `ask` folds what it is told, so the world is as the daemon's would be."""

    def __init__(self, of: Policy | None = None) -> None:
        self.policy = of or rules()
        self.layout = Layout.of(self.policy)
        self.world = World()
        self.said: list[Transition] = []
        self.wake: float | None = None
        self._number = count(1)
        self._plan = planned()
        self.process = "one"

    def at(self, t: float) -> Instant:
        return Instant(NOON + t, t, self.process)

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.world.fold(Entry(self.world.seq + 1, KIND_OF[type(fact)], fact))

    def decided(self, t: float, touched: Collection[Route] | None = None) -> Decision:
        return decide(self.world, self.layout, self.policy, self.at(t), touched)

    def ask(self, t: float, touched: Collection[Route] | None = None) -> list[Phase]:
        """What is decided at `t`, and folded."""
        decision = self.decided(t, touched)
        self.wake = decision.wake
        self.tell(*decision.transitions)
        self.said += decision.transitions
        return [fact.phase for fact in decision.transitions]

    def send(self, route: Route, t: float, purpose: Purpose = Purpose.SCHEDULED) -> ProbeId:
        probe = ProbeId(f"{next(self._number):012x}")
        plan: ProbePlanned = replace(
            self._plan, at=self.at(t), probe=probe, route=route, purpose=purpose, deadlines=self.policy.routes[route].deadlines
        )
        self.tell(plan, Attempted(self.at(t), probe, 1))
        return probe

    def accept(self, probe: ProbeId, t: float) -> None:
        self.tell(Accepted(self.at(t), probe, 1, Reply(250, "ok")))

    def verdict(self, probe: ProbeId, reason: Reason, t: float, money: bool = False) -> None:
        state = self.world.probes[probe]
        if money:
            here = (state.plan.route.mailbox, "INBOX", Placement.INBOX)
            self.tell(Sighted(self.at(t), probe, *here, 1, 1, None, "", "", (Carrier.HEADER,), altered=(Field.AMOUNT,)))
        revision = 0 if state.judged is None else state.judged.revision + 1
        route, purpose = state.plan.route, state.plan.purpose
        self.tell(Judged(self.at(t), probe, route, purpose, revision, reason.verdict, reason, "", (), transit_seconds=1.0))

    def probe(self, route: Route, t: float, reason: Reason = Reason.PASS, after: float = 2.0, money: bool = False) -> ProbeId:
        """Sent at `t`, judged `after` seconds later."""
        probe = self.send(route, t)
        self.accept(probe, t + 0.1)
        self.verdict(probe, reason, t + after, money)
        return probe

    def lost(self, route: Route, t: float) -> ProbeId:
        """Sent and taken; nothing is seen yet."""
        probe = self.send(route, t)
        self.accept(probe, t + 0.1)
        return probe

    def look(self, mailbox: MailboxName, t: float) -> None:
        self.tell(Looked(self.at(t), mailbox, self.at(t), 3))

    def look_everywhere(self, t: float) -> None:
        for mailbox in self.layout.of_mailbox:
            self.look(mailbox, t)

    def close(self, probe: ProbeId, t: float) -> None:
        self.tell(Closed(self.at(t), probe))

    def passes(self, t: float, times: int = 1, every: float = 5 * M, paths: Collection[PathName] = (RELAY, APP)) -> float:
        """Good probes on all routes of these paths, `times` rounds; returns the time after them."""
        for _ in range(times):
            for route in self.policy.routes:
                if route.path in paths:
                    self.probe(route, t)
            t += every
        return t

    def opened(self) -> list[Transition]:
        return [fact for fact in self.said if fact.phase is Phase.OPENED]
