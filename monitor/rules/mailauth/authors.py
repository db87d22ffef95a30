"""Who wrote a message and when, as its header says it."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from itertools import islice

from monitor.rules import mime
from monitor.rules.mime import Headers

MOST_AUTHORS = 20
DEEPEST = 20  # comments within comments
_MAX_FIELD = 4096
_DEVIATING = frozenset("\u00df\u03c2\u200c\u200d")  # sharp s, final sigma, zero width (non-)joiner
_COMMENT_OR_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)')
_QUOTED_LOCAL = re.compile(r'(?<![^\s<,;])"(?:[^"\\]|\\.)*"@')
_ANGLED = re.compile(r"<([^<>]*)>")
_BARE = re.compile(r"(?<![^\s<>(),;:\"@])[^\s<>(),;:\"@]{1,200}@[^\s<>(),;:\"@]{1,253}")


def domains(headers: Headers, field: str = "from") -> tuple[str, ...]:
    """The domains of the addresses in all fields of this name, in order, as A-labels in lower case. What is no address is left out."""
    found: list[str] = []
    for value in islice(headers.all(field), MOST_AUTHORS):
        parts = _blanked(mime.unfold(value)[:_MAX_FIELD]).split(",")[:MOST_AUTHORS]
        found += map(domain_of, parts)
    return tuple(domain for domain in found if domain)[:MOST_AUTHORS]


def domain_of(mailbox: str) -> str:
    """Of one address with or without a name; empty when there is none."""
    angled = _ANGLED.search(mailbox)
    bare = None if angled else _BARE.search(mailbox)
    address = angled[1] if angled else bare[0] if bare else ""
    return ascii_domain(address.rpartition("@")[2].strip()) if "@" in address else ""


def envelope_domain(value: str) -> str:
    """Of a Return-Path; empty for the null one."""
    return domain_of(_blanked(mime.unfold(value)[:_MAX_FIELD]))


def ascii_domain(name: str) -> str:
    """In A-labels and lower case (RFC 5890). What cannot be put so stays as it is, and so does a name with a character that RFC 3490, which
    the codec follows, makes another domain of (RFC 5894 section 7.2)."""
    name = name.lower().rstrip(".")
    if name.isascii() or not _DEVIATING.isdisjoint(name):
        return name[:253]
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return name[:253]


def dated(value: str) -> float | None:
    """Date as seconds since the epoch, in UTC where it names no zone (RFC 5322 section 3.3); None where it is missing or no date."""
    try:
        parsed = parsedate_tz(value[:200])
        return float(mktime_tz((*parsed[:9], parsed[9] or 0))) if parsed is not None else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _blanked(value: str) -> str:
    """Without comments, which may be nested (RFC 5322 section 3.2.2), and quoted text; a quoted local part stays one."""
    value = _QUOTED_LOCAL.sub("quoted@", value)
    for _ in range(DEEPEST):
        bare = _COMMENT_OR_QUOTED.sub(" ", value)
        if bare == value:
            break
        value = bare
    return value
