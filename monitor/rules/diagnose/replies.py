"""What the words of a peer point at: enhanced status codes (RFC 3463, RFC 7372, RFC 7505), and the few phrases that servers share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from monitor.model.incident import Layer

_CODE = re.compile(r"(?<![\d.])[45]\.(\d{1,3}\.\d{1,3})(?!\d|\.\d)")  # one that ends a sentence is one too

_MAILBOX = frozenset({"1.1", "1.6", "2.1", "2.2"})  # no such mailbox, moved, disabled, full
_DNS = frozenset(
    {
        "1.2",  # no such domain
        "1.8",  # the sender's domain does not resolve
        "4.3",  # directory server failure
        "4.4",  # no route
        "4.6",  # routing loop
        "7.25",  # reverse DNS
        "7.27",  # the sender's domain has a null MX
    }
)
_AUTHENTICATION = frozenset({"7.5", "7.20", "7.21", "7.22", "7.23", "7.24", "7.26", "7.509", "7.515"})  # DKIM, SPF, DMARC; large providers

_PHRASES: tuple[tuple[re.Pattern[str], Layer], ...] = (
    (re.compile(r"\b(nxdomain|servfail|does not resolve|name or service not known|no address associated)\b", re.I), Layer.DNS),
    (re.compile(r"\b(host|domain|name|mx)( name| record)?s? (is |was |service )?(not found|unknown|lookup fail|error)", re.I), Layer.DNS),
    (re.compile(r"\b(spf|dkim|dmarc)\b((?!\bpass).){0,40}\b(fail|not pass|none|missing|invalid)", re.I), Layer.AUTHENTICATION),
    (re.compile(r"\b(spf|dkim|dmarc)( |=|: ?)(policy|reject)", re.I), Layer.AUTHENTICATION),
    (re.compile(r"\b(unauthenticated|not authenticated) (e-?mail|mail|message|sender|domain)", re.I), Layer.AUTHENTICATION),
)


def points_at(said: str) -> Layer | None:
    """The layer that one reply names, or None: most replies only say no."""
    for detail in _CODE.findall(said):
        if detail in _AUTHENTICATION:
            return Layer.AUTHENTICATION
        if detail in _DNS:
            return Layer.DNS
        if detail in _MAILBOX:
            return Layer.MAILBOX
    return next((layer for pattern, layer in _PHRASES if pattern.search(said)), None)


def agreed(replies: Iterable[str]) -> Layer | None:
    """The layer that more than half of the replies name."""
    heard = [points_at(said) for said in replies if said]
    named = Counter(layer for layer in heard if layer is not None)
    if not named:
        return None
    layer, count = named.most_common(1)[0]
    return layer if 2 * count > len(heard) else None
