"""How a notice is fitted into what a receiver takes: lengths, times and links."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from monitor.model.notice import Notice

MOST_LINES = 40  # of a notice that are laid out
LONGEST_KEY = 255

ELLIPSIS = "…"


def cut(text: str, most: int, written: Callable[[str], str] = str) -> str:
    """The beginning of the text that, as it is `written` there, has at most `most` characters. Counted as UTF-16 counts them: those who
    check lengths seldom agree, and that is the most that any of them finds. `written` turns one character into what stands for it."""
    kept: list[str] = []
    room, last = most, 0  # last: how much of what is kept leaves room for the ellipsis
    for char in fit(text):
        form = written(char)
        room -= _size(form)
        if room < 0:
            return "".join(kept[:last]) + (ELLIPSIS if most > 0 else "")
        kept.append(form)
        if room >= len(ELLIPSIS):
            last = len(kept)
    return "".join(kept)


def fit(text: str) -> str:
    """Without lone surrogates, which no JSON reader has to take, and without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def lines_of(notice: Notice) -> tuple[tuple[str, str], ...]:
    """What the notice says, as (name, words). Without lines of its own: its text."""
    return notice.lines[:MOST_LINES] or (("Notice", notice.text),)


def key_of(notice: Notice) -> str:
    """The dedup key, short enough for everybody."""
    key = fit(notice.dedup_key)
    if len(key.encode("utf-16-le")) <= 2 * LONGEST_KEY:
        return key
    return f"{cut(key, LONGEST_KEY - 17)}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def utc(at: datetime) -> str:
    """RFC 3339, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_link(text: str) -> bool:
    """An http or https URL that every reader takes for one."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isascii() and not any(char.isspace() for char in text)
    except ValueError:
        return False


def _size(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)
