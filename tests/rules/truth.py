"""A shop whose true state is known: what is sent, and when the verdicts come, as the daemon would have it; then what is decided."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from monitor.edge.journal.codec import decode_view, encode
from monitor.model.facts import Transition
from monitor.model.incident import Phase, Severity
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import ProbeId, Purpose, Route
from monitor.model.verdict import Reason
from monitor.views.world import World
from tests.rules.incidents import M, Play
from tests.views.life import NOON

EVERY = 5 * M
TRANSIT = 2.0
KEPT = 30 * M  # seconds after its verdict that a probe is closed
UNSEEN = frozenset({Reason.MISSING, Reason.DEFERRED})

Fault = Callable[[Route, float], Reason]
Work = Callable[[], None]


class Truth:
    """`fault`: what becomes of a probe that is sent on a route at a time, in seconds. The routes take turns; confirm probes go out a second
    after they are asked for; whatever wakes the rule wakes it."""

    def __init__(self, fault: Fault, policy: Policy | None = None, transit: Callable[[Route], float] = lambda _: TRANSIT) -> None:
        self.play = Play(policy)
        self._transit = transit
        self._fault, self._order = fault, count()
        self._due: list[tuple[float, int, Work]] = []
        self._seen = self._wake = 0
        routes = sorted(self.play.policy.routes)
        for number, route in enumerate(routes):
            self._at(5 + number * EVERY / len(routes), lambda route=route: self._scheduled(route))  # type: ignore[misc]
        self.now = 0.0

    def live(self, until: float) -> Truth:
        while self._due and self._due[0][0] <= until:
            self.now, _, work = heapq.heappop(self._due)
            work()
        self.now = until
        return self

    def restart(self) -> None:
        self.play.world = decode_view(encode(self.play.world), World)
        self.play.process += "+"

    def pages(self) -> list[Transition]:
        """Whatever rang: an opening, a ticket that became a page; without the parts of another one."""
        page, firing = Severity.PAGE, (Phase.OPENED, Phase.GROWN)
        return [fact for fact in self.play.said if fact.severity is page and fact.phase in firing and fact.parent is None]

    def told(self) -> list[tuple[Severity, str]]:
        """The severity and scope of each opening, in their order."""
        return [(fact.severity, str(fact.scope)) for fact in self.play.opened()]

    def _at(self, t: float, work: Work) -> None:
        heapq.heappush(self._due, (t, next(self._order), work))

    def _scheduled(self, route: Route) -> None:
        self._send(route, Purpose.SCHEDULED)
        self._at(self.now + EVERY, lambda: self._scheduled(route))

    def _send(self, route: Route, purpose: Purpose) -> None:
        reason, deadlines = self._fault(route, self.now), self.play.policy.routes[route].deadlines
        probe = self.play.send(route, self.now, purpose)
        if reason is not Reason.REJECTED:
            self.play.accept(probe, self.now + 0.1)
        after = (
            deadlines.missing_after + 5
            if reason in UNSEEN
            else deadlines.late_after + 20
            if reason is Reason.LATE
            else self._transit(route)
        )
        self._at(self.now + after, lambda: self._judge(probe, route, reason))

    def _judge(self, probe: ProbeId, route: Route, reason: Reason) -> None:
        self.play.verdict(probe, reason, self.now)
        self._at(self.now + KEPT, lambda: self.play.close(probe, self.now))
        self._ask(route)

    def _ask(self, *touched: Route) -> None:
        if touched:
            self.play.ask(self.now, touched)
        self.play.ask(self.now)
        for fact in self.play.said[self._seen :]:
            for number, route in enumerate(fact.confirm):
                self._at(self.now + 1 + number / 20, lambda route=route: self._send(route, Purpose.CONFIRM))  # type: ignore[misc]
        self._seen = len(self.play.said)
        self._wake += 1
        if self.play.wake is not None:
            self._at(self.now + max(0.5, self.play.wake), lambda wake=self._wake: self._woken(wake))  # type: ignore[misc]

    def _woken(self, wake: int) -> None:
        if wake == self._wake:  # a later look has not set it anew
            self._ask()


class SetBack(Play):
    """Its clock is three hours ahead until it is set back, at a restart."""

    ahead, began = 180 * M, 0.0

    def at(self, t: float) -> Instant:
        return Instant(NOON + t + self.ahead, t - self.began, self.process)

    def set_back(self, t: float) -> None:
        self.ahead, self.began, self.process = 0.0, t - 1, "two"
