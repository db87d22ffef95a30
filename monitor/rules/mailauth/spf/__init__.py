"""SPF (RFC 7208): what check_host() says, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup

__all__ = ["Evaluation", "Node", "check_host"]


@dataclass(frozen=True, slots=True)
class Node:
    """One term, or the record at the root, with what it cost. `lookups` and `voids` are those of the whole branch."""

    term: str  # as it stands in the record; the domain at the root
    domain: str  # whose record it stands in
    lookups: int = 0
    voids: int = 0
    result: str = ""  # match, no match, or what a nested evaluation said
    fault: str = ""  # why it is no valid term, or why it could not be evaluated
    record: str = ""  # the SPF record found: at the root, at an include and at a redirect
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`why`: one line; `lookups` counts the DNS terms of the whole tree, whether reached or not (section 4.6.4); `spent` those that this
    evaluation reached."""

    result: AuthResult
    why: str
    domain: str
    tree: Node
    lookups: int = 0
    spent: int = 0
    voids: int = 0
    explanation: str = ""  # of exp=, when it fails
    matched: str = ""  # the term that decided
    seconds: float = 0.0  # of the queries one after another, as a receiver without our parallelism spends at most
    faults: tuple[str, ...] = field(default_factory=tuple)


def check_host(lookup: Lookup, address: str, domain: str, sender: str, helo: str, now: float, receiver: str = "unknown") -> Evaluation:
    """check_host() of section 4. While the lookup is not complete the result is provisional."""
    raise NotImplementedError
