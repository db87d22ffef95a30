"""Text that a peer or a person had a hand in, made fit for notices, log lines, the status and a terminal."""

from __future__ import annotations

import re
from collections.abc import Set

# Between the parts of an address, also of one in a URL; of any domain (RFC 6532), or of a literal ([192.0.2.1]).
_AT = re.compile(r"(?:[@\uff20]|%(?:25){0,9}40)(?=[^\s<>(),;:@\"'\]])")
_ENDS = frozenset("<>()[],;:@\uff20")  # no local part has them, unless it is quoted
_ENDS_IN_URL = _ENDS | frozenset("/?&#=")
_OPENS = "\"'="  # before a local part more likely than the first letter of it
_QUOTED = 320  # characters in which the other quote is looked for
_REFUND_NUMBER = re.compile(r"(?<![^\W_])rf[-_]?\d[\d_-]{3,}", re.I)  # as rules/story makes them, and as shops write the like


def one_line(text: str) -> str:
    """With control characters escaped, so that nobody writes a line of their own or steers a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii") for char in text)


def plain(text: str) -> str:
    """Peers quote the recipient ("550 <seed@box.test>: unknown"): the domain stays, the local part does not."""
    shown = one_line(_REFUND_NUMBER.sub("RF-***", text))  # what is escaped before a number would be one word with it
    return _REFUND_NUMBER.sub("RF-***", _masked(shown))  # what is escaped may be part of an address


def _masked(text: str) -> str:
    parts: list[str] = []
    done = 0
    for found in _AT.finditer(text):
        end = found.start()
        start = _local(text, done, end, _ENDS_IN_URL if text[end] == "%" else _ENDS)
        if start < end:
            parts += [text[done:start], "***"] if start > done or not done else []
            done = end
    return "".join([*parts, text[done:]])


def _local(text: str, floor: int, end: int, ends: Set[str]) -> int:
    """Where the local part that ends here begins; `end` where there is none. It may have quotes and = in it, and may be quoted."""
    start = end
    if text.endswith('"', floor, end):
        opening = text.rfind('"', max(floor, end - _QUOTED), end - 1)
        while opening > floor and text[opening - 1] == "\\":
            opening = text.rfind('"', max(floor, end - _QUOTED), opening)
        start = opening if opening >= 0 else end
    while start > floor and text[start - 1] not in ends and not text[start - 1].isspace():
        start -= 1
    while start < end and text[start] in _OPENS and (text[start] != '"' or not text.endswith('"', start + 1, end)):
        start += 1
    return start
