"""How many probes were sent on one UTC day, per path and per mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from monitor.model.instant import Instant
from monitor.model.probe import MailboxName, PathName, Route


def utc_day(at: Instant) -> str:
    return datetime.fromtimestamp(at.utc, UTC).strftime("%Y-%m-%d")


@dataclass(slots=True)
class Budget:
    day: str = ""
    paths: dict[PathName, int] = field(default_factory=dict)
    mailboxes: dict[MailboxName, int] = field(default_factory=dict)

    def spent(self, day: str, path: PathName, mailbox: MailboxName) -> tuple[int, int]:
        """Probes of `day` on this path and to this mailbox."""
        return (0, 0) if self._is_over(day) else (self.paths.get(path, 0), self.mailboxes.get(mailbox, 0))

    def spend(self, at: Instant, route: Route) -> None:
        day = utc_day(at)
        if self._is_over(day):
            self.day, self.paths, self.mailboxes = day, {}, {}
        self.paths[route.path] = self.paths.get(route.path, 0) + 1
        self.mailboxes[route.mailbox] = self.mailboxes.get(route.mailbox, 0) + 1

    def _is_over(self, day: str) -> bool:
        """`day` begins a new budget. A clock that steps back over midnight does not give the budget away a second time; one that
        had been days ahead, and was set right, does not withhold it until then."""
        return day > self.day or date.fromisoformat(day) + timedelta(days=1) < date.fromisoformat(self.day)
