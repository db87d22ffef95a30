"""Received fields (RFC 5321 section 4.4), read tolerantly: from whom, by whom, with which protocol, when.

Each mail server words them its own way; the parts that they share are the clauses (from, by, via, with, id, for), comments in parentheses,
and a date after the last semicolon. What a field does not say stays empty; nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from monitor.model.mailauth import Hop

MAX_HOPS = 50
MAX_LENGTH = 8 * 1024  # characters of one field that are read
_MAX_NAME = 255
_MAX_DATE = 100

_TOKEN = re.compile(r"[();]|[^\s();]+")
_CLAUSES = frozenset({"from", "by", "via", "with", "id", "for"})
_PROTOCOL = re.compile(r"(?:UTF8)?(?:E?SMTP|LMTP)(S?)(A?)|HTTP(S?)")
_TLS_SAID = re.compile(r"using\s+(?:TLS|SSL)|version=(?:TLS|SSL)|cipher=", re.IGNORECASE)  # beside the client's name and address too
_TLS_NAMED = re.compile(r"(?:TLS|SSL)|[\w-]{1,60}\s+encrypted", re.IGNORECASE)
_HELO = re.compile(r"(?:^|\s)(?:helo|ehlo)[=\s]\s*(\S+)", re.IGNORECASE)
_BRACKETED = re.compile(r"\[([^\[\]\s]{2,60})\]")
_ONE_HOUSE = {  # providers whose hosts bear several names
    "office365.com": "outlook.com",
    "hotmail.com": "outlook.com",
    "gmail.com": "google.com",
    "googlemail.com": "google.com",
    "me.com": "icloud.com",
    "apple.com": "icloud.com",
    "yahoodns.net": "yahoo.com",
    "aol.com": "yahoo.com",
    "web.de": "gmx.net",
    "kundenserver.de": "gmx.net",
    "protonmail.com": "protonmail.ch",
}
_OUTSIDE = 3  # the best kind of a client at the border
_DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")))


def canonical(text: str) -> str:
    """An IP address in its canonical form: without brackets, `IPv6:` and zone; one that maps IPv4 as IPv4. Empty for anything else."""
    text = text.strip("[]<>(),;\"'")[:60]
    text = text[5:] if text[:5].lower() == "ipv6:" else text
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def is_public(address: str) -> bool:
    """A mail server on the internet can have this address. Documentation addresses count as public: examples and tests live there."""
    try:
        known: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    return (known.is_global and not known.is_multicast) or any(known in network for network in _DOCUMENTATION)


def parse_received(value: str) -> Hop:
    """One field, unfolded or not."""
    clauses, date = _read(value[:MAX_LENGTH])
    origin = clauses.get("from", _Clause())
    with_ = clauses.get("with", _Clause())
    protocol = _protocol(with_.words)
    helo, name, address = _client(origin)
    by = clauses.get("by", _Clause())
    return Hop(
        by=_name(by.words[0]) if by.words else "",
        helo=helo,
        name=name,
        address=address,
        protocol=protocol,
        tls=_tls(protocol, clauses),
        at=_moment(date),
    )


def border(hops: Sequence[Hop], address: str = "") -> Hop | None:
    """The hop at which the receiver took the message from outside; `hops` topmost first, None when no hop names a client address.

    1. `address`, the client that the receiver's own trusted results name: the topmost hop that came from it.
    2. Otherwise the topmost of the best kind among the hops that the receiver itself wrote (own_hops): a public client address that is
       not the receiver's own; else a private one; else loopback; else a host of the receiver itself. So private and loopback hops
       (filters, LMTP) are passed over only for a better one of the same receiver below.
    """
    if address:
        for hop in hops:
            if hop.address == address:
                return hop
    own = hops[: own_hops(hops)]
    homes = {_home(hop.by) for hop in own}
    return max((hop for hop in own if hop.address), key=lambda hop: _kind(hop, homes), default=None)


def own_hops(hops: Sequence[Hop]) -> int:
    """How many of the topmost hops the receiver itself has written; below them anybody could have.

    They end with the one whose client is public and no host of the receiver. They end before one that is `by` a host of another
    organization (a `by` that is an address or a single label is nobody's), and before authenticated submission (RFC 3848), where the
    sender's side begins. Receivers name their inside as they like (compute1.internal, mx1.messagingengine.com): where that way finds no
    outside, a hop below one that came from a private address counts as the receiver's too, whatever its name, if that leads outside.
    """
    count, outside = _own(hops, through_private=False)
    if not outside:
        further, outside = _own(hops, through_private=True)
        count = further if outside else count
    return count


def _own(hops: Sequence[Hop], through_private: bool) -> tuple[int, bool]:
    """(how many are the receiver's, whether the last of them came from outside)."""
    homes: set[str] = set()
    inside = False
    for position, hop in enumerate(hops):
        home = _home(hop.by)
        stranger = bool(home and homes) and home not in homes and not (through_private and inside)
        if stranger or _submission(hop):
            return max(position, 1), False
        homes |= {home} - {""}
        if hop.address and _kind(hop, homes) == _OUTSIDE:
            return position + 1, True
        inside = not is_public(hop.address)
    return len(hops), False


def _kind(hop: Hop, homes: Set[str]) -> int:
    if _home(hop.name or hop.helo) in homes - {""}:
        return 0
    if is_public(hop.address):
        return _OUTSIDE
    return 1 if ip_address(hop.address).is_loopback else 2


def _submission(hop: Hop) -> bool:
    found = _PROTOCOL.fullmatch(hop.protocol)
    return bool(found and found[2]) and "LMTP" not in hop.protocol


def _home(name: str) -> str:
    """The part of a host name that tells the organization: the last two labels, or three below a registry like co.uk. A guess, good
    enough to tell a provider's inside from the world. Empty for an address or a single label."""
    labels = name.lower().strip(".").split(".")
    if len(labels) < 2 or canonical(name) or not labels[-1].strip("0123456789"):
        return ""
    registry = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    home = ".".join(labels[-3 if registry else -2 :])
    return _ONE_HOUSE.get(home, home)


@dataclass(slots=True)
class _Clause:
    words: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def _read(value: str) -> tuple[dict[str, _Clause], str]:
    """(the clauses, the date as it stands)."""
    clauses: dict[str, _Clause] = {"": _Clause()}
    current = clauses[""]
    date_from = len(value)
    for token, inside, end in _tokens(value):
        word = token.lower()
        if inside:
            current.comments.append(token)
        elif token == ";":
            date_from = end
        elif word in _CLAUSES and word not in clauses and (current.words or current is clauses[""]):
            current = clauses[word] = _Clause()
        else:
            current.words.append(token)
    return clauses, value[date_from:]


def _tokens(value: str) -> Iterator[tuple[str, bool, int]]:
    """(word, semicolon or outermost comment; whether it is a comment; where it ends). What follows an unclosed one is left out."""
    depth = opened = 0
    for found in _TOKEN.finditer(value):
        mark = found[0]
        if mark == "(":
            opened = found.end() if not depth else opened
            depth += 1
        elif mark == ")":
            depth = max(depth - 1, 0)
            if not depth and opened:
                yield value[opened : found.start()], True, found.end()
                opened = 0
        elif not depth:
            yield mark, False, found.end()


def _client(origin: _Clause) -> tuple[str, str, str]:
    """(helo, name by reverse DNS, address)."""
    said = origin.words[0] if origin.words else ""
    address = canonical(said)
    helo = name = ""
    for comment in origin.comments:
        if found := _HELO.search(comment):
            helo = _name(found[1].rstrip(")"))
            address = _address(comment[: found.start()]) or _address(comment[found.end() :]) or address
            continue
        if seen := _address(comment):
            name = _reverse(comment) or name
            address = seen
    address = address or next((seen for word in origin.words[1:] if (seen := _literal(word))), "")
    if helo:
        return helo, name or ("" if canonical(said) or said.lower() == "unknown" else _name(said)), address
    return ("" if said.lower() == "unknown" else _name(said)), name, address


def _address(comment: str) -> str:
    """`host [192.0.2.1]`, `192.0.2.1`, `ident@192.0.2.1`, `2001:db8::1`, `192.0.2.1:4711`."""
    if found := _BRACKETED.search(comment):
        return canonical(found[1])
    for word in comment.split(maxsplit=3)[:3]:
        if address := canonical(word.rpartition("@")[2]) or (canonical(word.rpartition(":")[0]) if word.count(":") == 1 else ""):
            return address
    return ""


def _literal(word: str) -> str:
    return canonical(word) if word.startswith("[") else ""


def _reverse(comment: str) -> str:
    first = comment.split(maxsplit=1)[0] if comment.strip() else ""
    if not first or first.startswith("[") or "=" in first or canonical(first.rpartition("@")[2]) or first.lower() in ("unknown", "port"):
        return ""
    return _name(first.rpartition("@")[2])


def _name(word: str) -> str:
    return word.strip("<>\"',").lower().rstrip(".")[:_MAX_NAME]


def _protocol(words: Sequence[str]) -> str:
    """The first word of the first three that is a protocol (`Microsoft SMTP Server`), else the first word."""
    spoken = [word.upper()[:_MAX_NAME] for word in words[:3]]
    return next((word for word in spoken if _PROTOCOL.fullmatch(word)), spoken[0] if spoken else "")


def _tls(protocol: str, clauses: dict[str, _Clause]) -> bool | None:
    known = _PROTOCOL.fullmatch(protocol)
    if known and (known[1] or known[3]):
        return True
    for name, clause in clauses.items():
        for comment in clause.comments:
            start = comment.strip()[:80]
            if _TLS_SAID.match(start) or (name not in ("", "from") and _TLS_NAMED.match(start)):
                return True
    said = clauses.get("with", _Clause()).words
    if any(word.lower() in ("starttls", "tls") for word in said[1:8]):
        return True
    return False if known else None


def _moment(date: str) -> float | None:
    """Seconds since the epoch; a date without a zone counts as UTC."""
    words = " ".join(token for token, inside, _ in _tokens(date[: 2 * _MAX_DATE]) if not inside)[:_MAX_DATE]
    try:
        parsed = parsedate_tz(words)
        if parsed is None:
            return None
        zone = timezone(timedelta(seconds=parsed[9])) if parsed[9] else UTC
        return datetime(*parsed[:5], min(parsed[5], 59), tzinfo=zone).timestamp()
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
