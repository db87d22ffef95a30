"""Sessions of browsers: a token is shown once, and a random number stands for it from then on. In memory only: a restart ends them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from monitor.model.instant import Instant
from monitor.ports import Entropy

LASTS = 12 * 3600.0  # seconds
MOST_SESSIONS = 256  # the oldest goes first
SIZE = 32  # bytes of a session's number


@dataclass(frozen=True, slots=True)
class _Session:
    proof: bytes  # of the token that was shown
    until: Instant


@dataclass(slots=True)
class Sessions:
    """Neither a token nor the number of a session is kept, only their digests."""

    entropy: Entropy
    _known: dict[bytes, _Session] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, token: str, now: Instant) -> str:
        shown = self.entropy.token(SIZE).hex()
        self._known[_digest(shown)] = _Session(_digest(token), now.plus(LASTS))
        while len(self._known) > MOST_SESSIONS:
            del self._known[next(iter(self._known))]
        return shown

    def stands_for(self, shown: str, token: str, now: Instant) -> bool:
        """Whether this session was begun with this token, and is not over. A token that was changed since ends it."""
        session = self._known.get(_digest(shown))
        return session is not None and not now.reached(session.until) and hmac.compare_digest(session.proof, _digest(token))

    def end(self, shown: str) -> bool:
        """Whether there was such a session."""
        return self._known.pop(_digest(shown), None) is not None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
