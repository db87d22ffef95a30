"""The shop's own regular expressions, looked for in one text of a mail.

They are tried in bounded text only: LONGEST characters, in lines of at most LINE. A pattern that does not match there is tried on three
lines joined by spaces, MOST_LINES times, since mail is wrapped where nobody meant it. What a pattern of many unbounded repetitions takes
within such a piece is its author's to answer for; it never sees more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

LONGEST = 64 * 1024
LINE = 1_000
MOST_LINES = 2_000
_JOINED = 3


def found(pattern: str, text: str) -> str | None:
    """What its first group matched, or all of it where it has none; None: nowhere."""
    compiled = _compiled(pattern)
    for piece in pieces(text):
        if match := compiled.search(piece):
            return ((match[1] if compiled.groups else match[0]) or "").strip()
    return None


def pieces(text: str) -> Iterator[str]:
    lines = [line for whole in text[:LONGEST].split("\n") for line in _cut(whole)]
    yield "\n".join(lines)
    for at in range(min(len(lines) - 1, MOST_LINES)):
        yield " ".join(lines[at : at + _JOINED])


def _cut(line: str) -> Iterator[str]:
    """The line in pieces that end between words where they can."""
    while len(line) > LINE:
        at = line.rfind(" ", 1, LINE)
        at = at if at > 0 else LINE
        yield line[:at]
        line = line[at:].lstrip(" ")
    yield line


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
