"""The only source of randomness."""

from __future__ import annotations

import random
import secrets


class SystemEntropy:
    """ports.Entropy on the kernel's generator: probe ids and tokens must not be guessable, and jitter is drawn too rarely to matter."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
