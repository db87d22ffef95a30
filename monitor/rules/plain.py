"""Text that a peer or a person had a hand in, made fit for notices, log lines, the status and a terminal."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"'@=]{1,320}@(?=[A-Za-z0-9])")
_REFUND_NUMBER = re.compile(r"(?<![^\W_])rf[-_]?\d[\d_-]{3,}", re.I)  # as rules/story makes them, and as shops write the like


def one_line(text: str) -> str:
    """With control characters escaped, so that nobody writes a line of their own or steers a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii") for char in text)


def plain(text: str) -> str:
    """Peers quote the recipient ("550 <seed@box.test>: unknown"): the domain stays, the local part does not."""
    shown = one_line(_REFUND_NUMBER.sub("RF-***", text))  # what is escaped before a number would be one word with it
    return _REFUND_NUMBER.sub("RF-***", _ADDRESS.sub("***@", shown))  # what is escaped may be part of an address
