"""How often one client may ask, token buckets in a table of bounded size; and how much may be pushed at once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

MOST_PUSHED = 5_000  # refunds or confirmations in one request
PUSHED_BYTES = 4 * 1024 * 1024  # of that request
MOST_PUSHES = 8  # that are taken in at a time: what their bodies take is bounded by it
MOST_CLIENTS = 1024  # buckets kept; whoever has been silent longest is forgotten first, and begins again with a full one


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` requests at once, `per_second` from then on."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Per client address and role."""

    reads: Rate = Rate(50.0, 300)
    acts: Rate = Rate(10.0, 120)
    failures: Rate = Rate(0.5, 20)  # of authentication


RATES = Rates()


class Buckets:
    def __init__(self, rate: Rate, most: int = MOST_CLIENTS) -> None:
        self._rate = rate
        self._most = most
        self._levels: dict[Hashable, tuple[float, float]] = {}  # what is left, and when that was

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, client: Hashable, now: float) -> float:
        """One request at `now`, seconds on a clock that never steps. 0.0: go on; else nothing was taken, ask again in so many seconds."""
        left, at = self._levels.pop(client, (float(self._rate.burst), now))
        left = min(float(self._rate.burst), left + max(0.0, now - at) * self._rate.per_second)
        wait = 0.0 if left >= 1.0 else (1.0 - left) / self._rate.per_second
        self._levels[client] = (left if wait else left - 1.0, now)
        while len(self._levels) > self._most:
            del self._levels[next(iter(self._levels))]
        return wait
