"""Where a secret is found; never the secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SecretSource(StrEnum):
    ENV = "env"
    FILE = "file"
    COMMAND = "command"  # an access token that a program prints; `name` is its command line (shell words, no shell)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found; never the secret."""

    source: SecretSource
    name: str

    def __str__(self) -> str:
        return f"{{{self.source.value}: {self.name}}}"
