"""DMARC (RFC 9989, and RFC 7489 as a shadow): whose policy applies to a domain, and does a message meet it."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc.record import Record

__all__ = ["Discovery", "Record", "discover", "organizational", "shadow_discover"]


@dataclass(frozen=True, slots=True)
class Discovery:
    """The policy that applies to `domain`. `record` None: there is none. `pending` and `temperror`: it could not be found out."""

    domain: str
    record: Record | None
    at: str  # the name below which it stands: example.com for _dmarc.example.com
    organizational: str
    walked: tuple[str, ...]  # the names that were asked, in order
    unknown: str = ""  # why it could not be found out; empty when it could
    fault: str = ""  # why what stands there is no record


def discover(lookup: Lookup, domain: str) -> Discovery:
    """The tree walk (RFC 9989 section 4.10)."""
    raise NotImplementedError


def shadow_discover(lookup: Lookup, domain: str, suffixes: SuffixList) -> Discovery:
    """The author domain, else the organizational domain by the public suffix list (RFC 7489 section 6.6.3)."""
    raise NotImplementedError


def organizational(lookup: Lookup, domain: str) -> str:
    """The organizational domain by the tree walk (section 4.10.2); `domain` itself while nothing is known of it."""
    raise NotImplementedError
