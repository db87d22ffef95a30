"""What is wrong with a configuration: one line a fault, with the place and the mend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_SECRET = re.compile(r"passw|passp|secret|credential|authorization|cookie|api-?key", re.IGNORECASE)
_LONGEST_KEY = 64
_HIDING = {("tokens",), ("headers",), ("environment",), ("grafana",)}  # sections whose values are secrets, or may be


def one_line(text: str) -> str:
    """The text without anything that could break a line or a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def show(path: KeyPath) -> str:
    """`mailboxes.gmail-1.imap.port`; nothing below a key that holds a secret is shown, because a stray brace makes its value a key."""
    shown: list[str] = []
    for above, part in zip((None, *path), path, strict=False):
        if isinstance(part, str) and str(above).startswith("url"):
            break  # `urls` holds a list: a key below it is a URL in braces
        text = one_line(str(part))
        shown.append(text if len(text) <= _LONGEST_KEY else text[:_LONGEST_KEY] + "...")
        if holds_secret(path[: len(shown)]):
            break
    return ".".join(shown)


def holds_secret(path: KeyPath) -> bool:
    """Is the value at this path a secret, by the name of its key?"""
    if not path:
        return False
    return bool(_SECRET.search(str(path[-1]))) or path[-1] == "url" or path[-2:-1] in _HIDING


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it stands, which key, what is wrong and how to mend it. Never a value of a secret."""

    where: str  # config.yaml:11, or config.yaml:11:3 for syntax
    key: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.key}: {self.what}" if self.key else f"{self.where}: {self.what}"
        return one_line(f"{head}; {self.mend}" if self.mend else head)


class SettingsError(Exception):
    """The configuration cannot be used; `str()` is one line a fault, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
