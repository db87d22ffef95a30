"""How fast gates may probe: no burst to a mailbox, a share of the daily budget, and each running gate its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from monitor.model.gate import GateId
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.views.gates import Gates


class Room:
    """What may be asked for now. Used up by `take`."""

    def __init__(self, gates: Gates, policy: Policy, now: Instant) -> None:
        self._gates = gates
        self._policy = policy
        self._day = int(now.utc // 86_400)
        self._taken: Counter[PathName | MailboxName] = Counter()
        window = policy.gates.window
        self._recent = {name: sum(0 <= now.seconds_since(at) < window for at in burst) for name, burst in gates.bursts.items()}

    def take(self, route: Route) -> bool:
        """One probe on this route, if there is room for it."""
        box = self._policy.mailboxes.get(route.mailbox)
        if box is None or route not in self._policy.routes or self.exhausted(route):
            return False
        if self._recent.get(route.mailbox, 0) + self._taken[route.mailbox] >= self._policy.gates.burst:
            return False
        self._taken.update((route.path, route.mailbox))
        return True

    def exhausted(self, route: Route) -> bool:
        """The day's share for gates is used up on its path or mailbox."""
        by_path, by_mailbox = self._gates.budget.spent(self._day, route.path, route.mailbox)
        share = self._policy.gates.daily_share
        path, box = self._policy.paths[route.path], self._policy.mailboxes[route.mailbox]
        return (
            by_path + self._taken[route.path] >= share * path.daily_budget
            or by_mailbox + self._taken[route.mailbox] >= share * box.daily_budget
        )


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
