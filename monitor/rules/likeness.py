"""Does a sender dress up as one of our domains? Homographs (Unicode TS 39), typing errors, our name inside another, our name beside
another address. A likeness proves nothing: refund mail that has one is shown to people, and pages nobody."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from monitor.model.address import Address, AddressError
from monitor.rules import mime
from monitor.rules.mailauth import authors

DISTINCT = 6  # letters of a name that is hardly met by chance; a shorter one (shop) stands in too many others
SHORTEST = 3  # letters of a name that is looked for at all
MAX_TO = 4096  # characters of To
MOST_TO = 50  # addresses in it
MAX_SHOWN = 300  # characters of a display name that are looked at

_TWINS = {  # letters of other alphabets, and digits and marks, that are taken for a Latin letter
    ord(twin): plain
    for plain, twins in {
        "a": "\u0430\u03b1\u0251",
        "b": "\u0432\u03b2\u044c",
        "c": "\u0441\u03f2",
        "d": "\u0501",
        "e": "\u0435\u0454\u03b53",
        "g": "\u0261",
        "h": "\u043d\u04bb",
        "j": "\u0458",
        "k": "\u043a\u03ba",
        "l": "i1|!\u0456\u03b9\u0131\u0142\u04cf",
        "m": "\u043c",
        "n": "\u03b7",
        "o": "0\u043e\u03bf\u00f8\u03c3",
        "p": "\u0440\u03c1",
        "q": "\u051b",
        "s": "5$\u0455",
        "t": "\u0442\u03c4",
        "u": "\u03c5",
        "v": "\u03bd\u0475",
        "w": "\u051d\u03c9",
        "x": "\u0445\u03c7",
        "y": "\u0443\u04af",
    }.items()
    for twin in twins
}
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_ANGLED = re.compile(r"<([^<>]*)>")
_PARTS = re.compile(r"[.\-_]")
_WORDS = re.compile(r"[^\W_]+")
_COUNTRY = 2  # letters of a country's domain
_REGISTRY = 3  # most letters of a second level that is a registry's: co.uk, com.br


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a message says that it is from, and to: the first author domain and the domains to answer to, in A-labels, the display name, and
    the addresses in the topmost To, which is the one that anybody can add, without their tags."""

    author: str = ""
    shown: str = ""
    replies: tuple[str, ...] = ()
    to: frozenset[Address] = frozenset()


def read_sender(raw: bytes) -> Sender:
    """Of a message as it lies in a mailbox. Never raises; bounded."""
    headers, _ = mime.parse_headers(data := raw[: mime.MAX_RAW].replace(b"\r\n", b"\n"), 0, len(data))
    named = mime.decode_words(mime.unfold(next(headers.all("from"), "")))
    return Sender(
        next(iter(authors.domains(headers)), ""),
        named.rpartition("<")[0][:MAX_SHOWN],
        tuple(dict.fromkeys(authors.domains(headers, "reply-to"))),
        frozenset(_addresses(mime.unfold(next(headers.all("to"), "")))),
    )


def _addresses(value: str) -> Iterator[Address]:
    """Of one To field: what stands in angles, else alone. Quoted names, which may look like addresses, are no part of it."""
    for part in _QUOTED.sub(" ", value[:MAX_TO]).split(",")[:MOST_TO]:
        angled = _ANGLED.search(part)
        try:
            yield Address.parse(angled[1] if angled else part).base
        except AddressError:
            continue


def likeness(sender: Sender, ours: Sequence[str]) -> str:
    """How the sender looks like one of `ours` without being it, in plain words; empty: it does not. What lies in the same organization
    as one of ours looks like nobody but itself."""
    domains = [domain.lower().rstrip(".") for domain in ours]
    if not sender.author or any(registrable(sender.author) == registrable(domain) for domain in domains):
        return ""
    return next((why for domain in domains if domain and (why := _like(sender, domain))), "")


def registrable(domain: str) -> str:
    """The name that somebody has bought, as far as it can be told without a list of public suffixes."""
    labels = domain.lower().rstrip(".").split(".")
    under_registry = len(labels) > 2 and len(labels[-1]) == _COUNTRY and len(labels[-2]) <= _REGISTRY
    return ".".join(labels[-3 if under_registry else -2 :])


def _like(sender: Sender, domain: str) -> str:
    author, brand = sender.author, registrable(domain).partition(".")[0]
    if how := _disguise(author, domain, brand):
        return f"its author domain {author} {how} {domain}"
    shown = folded(sender.shown)
    if folded(domain) in shown:
        return f"its display name names {domain}, its author is at {author}"
    words = set(map(folded, _WORDS.findall(sender.shown)))
    named = folded(brand) in words or (folded(brand) in shown.replace(" ", "") and len(brand) >= DISTINCT)
    if named and len(brand) >= DISTINCT:
        return f"its display name is ours, its author is at {author}"
    if named and len(brand) >= SHORTEST and folded(brand) in folded(registrable(author)):
        return f"its display name is ours, and its author domain {author} contains our name"
    for reply in sender.replies:
        if registrable(reply) == registrable(domain):
            return f"answers go to {reply}, its author is at {author}"
        if how := _disguise(reply, domain, brand):
            return f"answers go to {reply}, which {how} {domain}"
    return ""


def _disguise(name: str, domain: str, brand: str) -> str:
    """What a domain that is not ours does to look like it."""
    ours, theirs = registrable(domain), registrable(name)
    if folded(_unicode(theirs)) == folded(ours):
        return "is spelled to be taken for"
    parts, own = _PARTS.split(folded(_unicode(name))), _PARTS.split(folded(ours))
    if _holds(parts, own) or "".join(own) in parts:
        return "contains"
    if len(brand) < DISTINCT:
        return ""
    wanted = folded(brand)
    if any(wanted in part for part in parts):
        return "bears the name of"
    return "is one letter off" if any(_one_off(part, wanted) for part in parts) else ""


def folded(text: str) -> str:
    """As a hurried eye reads it: without case and accents, every letter as its plainest twin."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    plain = plain.translate(_TWINS)
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain


def _unicode(domain: str) -> str:
    return ".".join(map(_label, domain.split(".")))


def _label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


def _holds(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    size = len(wanted)
    return any(list(parts[at : at + size]) == list(wanted) for at in range(len(parts) - size + 1))


def _one_off(one: str, other: str) -> bool:
    """One letter more, less, other, or two of them swapped (Damerau)."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    head = _common(one, other)
    tail = _common(one[head:][::-1], other[head:][::-1])
    left, right = one[head : len(one) - tail], other[head : len(other) - tail]
    return max(len(left), len(right)) <= 1 or (len(left) == len(right) == 2 and left == right[::-1])


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
