"""How fast gates may probe: no burst to a mailbox, a share of the daily budget, and each running gate its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from monitor.model.gate import GateId
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.views.budget import utc_day
from monitor.views.gates import KEPT_BURST, Gates, GateState


class Room:
    """What may be asked for now. Used up by `take`."""

    def __init__(self, gates: Gates, policy: Policy, now: Instant) -> None:
        self._gates = gates
        self._policy = policy
        self._now = now
        self._day = utc_day(now)
        self._burst = min(policy.gates.burst, KEPT_BURST)
        self._taken: Counter[PathName | MailboxName] = Counter()
        self._full: set[MailboxName] = set()
        self._recent: dict[MailboxName, list[float]] = {}  # ages of the probes within the window

    def take(self, route: Route) -> bool:
        """One probe on this route, if there is room for it."""
        if route not in self._policy.routes or self.exhausted(route):
            return False
        if len(self._ages(route.mailbox)) + self._taken[route.mailbox] >= self._burst:
            self._full.add(route.mailbox)
            return False
        self._taken.update((route.path, route.mailbox))
        return True

    def exhausted(self, route: Route) -> bool:
        """The day's share for gates is used up on its path or mailbox. A route that is gone has no budget, and never is."""
        path, box = self._policy.paths.get(route.path), self._policy.mailboxes.get(route.mailbox)
        if path is None or box is None:
            return False
        by_path, by_mailbox = self._gates.budget.spent(self._day, route.path, route.mailbox)
        used = ((by_path + self._taken[route.path], path.daily_budget), (by_mailbox + self._taken[route.mailbox], box.daily_budget))
        return any(probes >= whole(self._policy.gates.daily_share, budget) for probes, budget in used)

    def opens(self) -> float | None:
        """Seconds until there is room again at the first of the mailboxes that were refused for their burst; None if none was."""
        window = self._policy.gates.window
        ages = [age for name in self._full for age in self._ages(name)]
        return min((window - age for age in ages), default=window if self._full else None)

    def _ages(self, mailbox: MailboxName) -> list[float]:
        """Negative after a clock stepped back: of a moment ahead."""
        if mailbox not in self._recent:
            window = self._policy.gates.window
            ages = [self._now.seconds_since(at) for at in self._gates.bursts.get(mailbox, ())]
            self._recent[mailbox] = [age for age in ages if -window < age < window]
        return self._recent[mailbox]


def whole(share: float, budget: int) -> int:
    """Whole probes: never more than the share. A rounding error of the share takes none away."""
    return int(share * budget + 1e-9)


def in_turn(states: Sequence[GateState]) -> list[GateState]:
    """Who has waited longest for a probe comes first: where room comes free one probe at a time, a gate that needs hundreds must not have
    all of it, nor may new gates always come before it."""
    return sorted(states, key=lambda state: max(_waiting_since(state)))


def share(needs: Mapping[GateId, Sequence[Route]], room: Room) -> dict[GateId, list[Route]]:
    """What each gate gets of what it needs, in its order: one probe each in turn, so that none keeps another waiting."""
    queues = {gate: list(reversed(routes)) for gate, routes in needs.items()}
    given: dict[GateId, list[Route]] = {gate: [] for gate in needs}
    while any(queues.values()):
        for gate, queue in queues.items():
            while queue:
                route = queue.pop()
                if room.take(route):
                    given[gate].append(route)
                    break
    return {gate: routes for gate, routes in given.items() if routes}


def _waiting_since(state: GateState) -> tuple[float, float]:
    """UTC, by which instants of several processes can be ordered."""
    return state.request.at.utc, state.asked_at.utc if state.asked_at else 0.0
