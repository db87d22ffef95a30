"""One moment on two clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds between two instants, and whether only the UTC clock could measure them (another process was between)."""

    seconds: float
    by_utc: bool = False


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment as this process saw it.

    utc: seconds since the epoch (may step); mono: seconds on the process's monotonic clock (never steps, meaningless
    outside it); process: which process read the clocks.
    """

    utc: float
    mono: float
    process: str

    def since(self, earlier: Instant) -> Span:
        """The time from `earlier` to here: monotonic within one process, UTC across processes."""
        if self.process == earlier.process:
            return Span(self.mono - earlier.mono)
        return Span(self.utc - earlier.utc, by_utc=True)

    def seconds_since(self, earlier: Instant) -> float:
        return self.since(earlier).seconds

    def plus(self, seconds: float) -> Instant:
        return Instant(self.utc + seconds, self.mono + seconds, self.process)

    def reached(self, deadline: Instant) -> bool:
        return self.seconds_since(deadline) >= 0

    @property
    def when(self) -> datetime:
        return datetime.fromtimestamp(self.utc, UTC)

    def iso(self) -> str:
        return self.when.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
