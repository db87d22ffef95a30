"""Parsing IMAP commands (RFC 3501 section 9): tokens, sets, dates, FETCH attributes.

Everything that a client may send wrongly raises SyntaxFault, which the session answers with BAD.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

MAX_NESTING = 32
MAX_SET_PARTS = 10_000

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SECTION = re.compile(r"BODY(?P<peek>\.PEEK)?\[(?P<section>[^\]]*)\](?:<(?P<first>\d{1,10})\.(?P<count>\d{1,10})>)?\Z", re.I)
_FIELDS = re.compile(r"(?P<kind>HEADER\.FIELDS(?:\.NOT)?) \((?P<names>[^()]*)\)\Z", re.I)
_DATE_TIME = re.compile(r" ?(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\Z")


class SyntaxFault(Exception):
    """The client's line does not follow the grammar."""


class Atom(str):
    """A bare word; a quoted string or a literal is `bytes`, a parenthesised list is `list`."""

    __slots__ = ()


Token = Atom | bytes | list["Token"]


def tokenize(parts: Sequence[bytes | tuple[bytes]]) -> list[Token]:
    """Split a command; a part is a stretch of line, or a 1-tuple that holds a literal."""
    root: list[Token] = []
    stack = [root]
    for part in parts:
        if isinstance(part, tuple):
            stack[-1].append(part[0])
        else:
            _scan(part, stack)
    if len(stack) != 1:
        raise SyntaxFault("unbalanced parentheses")
    return root


def _scan(line: bytes, stack: list[list[Token]]) -> None:
    at, end = 0, len(line)
    while at < end:
        char = line[at : at + 1]
        if char == b" ":
            at += 1
        elif char == b"(":
            if len(stack) > MAX_NESTING:
                raise SyntaxFault("lists nested too deeply")
            inner: list[Token] = []
            stack[-1].append(inner)
            stack.append(inner)
            at += 1
        elif char == b")":
            if len(stack) == 1:
                raise SyntaxFault("unbalanced parentheses")
            stack.pop()
            at += 1
        elif char == b'"':
            text, at = _quoted(line, at + 1)
            stack[-1].append(text)
        else:
            word, at = _atom(line, at)
            stack[-1].append(Atom(word))


def _quoted(line: bytes, at: int) -> tuple[bytes, int]:
    text = bytearray()
    while at < len(line):
        char = line[at : at + 1]
        if char == b'"':
            return bytes(text), at + 1
        if char == b"\\":
            at += 1
            char = line[at : at + 1]
            if char not in (b'"', b"\\"):
                raise SyntaxFault("bad escape in a quoted string")
        text += char
        at += 1
    raise SyntaxFault("unterminated quoted string")


def _atom(line: bytes, start: int) -> tuple[str, int]:
    """A word; a bracketed section such as BODY[HEADER.FIELDS (TO)] belongs to it, spaces and parentheses included."""
    at = start
    while at < len(line):
        char = line[at : at + 1]
        if char == b"[" and (close := line.find(b"]", at)) > 0:
            at = close + 1
        elif char in b' ()"':
            break
        else:
            at += 1
    try:
        return line[start:at].decode("ascii"), at
    except UnicodeDecodeError as error:
        raise SyntaxFault("non-ASCII octets outside a string") from error


def text_of(token: Token) -> bytes:
    """The octets of an astring (RFC 3501: atom, quoted string or literal)."""
    if isinstance(token, list):
        raise SyntaxFault("a string is expected, not a list")
    return token.encode("ascii") if isinstance(token, Atom) else token


def word_of(token: Token) -> str:
    """An atom in upper case."""
    if not isinstance(token, Atom):
        raise SyntaxFault("an atom is expected")
    return token.upper()


def words_of(token: Token) -> list[str]:
    """The atoms of a list, as written; a single atom counts as a list of one."""
    items = token if isinstance(token, list) else [token]
    words: list[str] = []
    for item in items:
        if not isinstance(item, Atom):
            raise SyntaxFault("a list of atoms is expected")
        words.append(str(item))
    return words


@dataclass(frozen=True, slots=True)
class NumberSet:
    """A sequence-set; None stands for `*`, the largest number in use."""

    parts: tuple[tuple[int | None, int | None], ...]

    def ranges(self, largest: int) -> list[tuple[int, int]]:
        """Closed ranges, low end first; `*:4` equals `4:*` (RFC 3501 section 9)."""
        found = []
        for low, high in self.parts:
            ends = (largest if low is None else low, largest if high is None else high)
            found.append((min(ends), max(ends)))
        return found

    def holds(self, number: int, largest: int) -> bool:
        """Whether a number is in the set."""
        return any(low <= number <= high for low, high in self.ranges(largest))


def number_set(token: Token) -> NumberSet:
    """Parse `1,4:7,9:*`."""
    if not isinstance(token, Atom):
        raise SyntaxFault("a set of numbers is expected")
    pieces = token.split(",")
    if len(pieces) > MAX_SET_PARTS:
        raise SyntaxFault("too many parts in a set of numbers")
    parts = []
    for piece in pieces:
        low, colon, high = piece.partition(":")
        parts.append((_number(low), _number(high if colon else low)))
    return NumberSet(tuple(parts))


def _number(text: str) -> int | None:
    if text == "*":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) > 0):
        raise SyntaxFault("a set of numbers is expected")
    return int(text)


def parse_date(token: Token) -> date:
    """`1-Feb-1994`, quoted or not (RFC 3501, date)."""
    day, _, rest = text_of(token).decode("latin-1").partition("-")
    month, _, year = rest.partition("-")
    try:
        return date(int(year), _MONTHS.index(month.lower()) + 1, int(day))
    except ValueError as error:
        raise SyntaxFault("a date like 1-Feb-1994 is expected") from error


def parse_date_time(token: Token) -> datetime:
    """The date-time of APPEND, with its zone."""
    found = _DATE_TIME.match(text_of(token).decode("latin-1"))
    try:
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups() if found else ()
        stamp = datetime(int(year), _MONTHS.index(month.lower()) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC).timestamp()
        offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
        return datetime.fromtimestamp(stamp - offset if sign == "+" else stamp + offset, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SyntaxFault('a date-time like " 1-Feb-1994 12:00:00 +0000" is expected') from error


@dataclass(frozen=True, slots=True)
class FetchItem:
    """One attribute that FETCH asks for. section is None for all but BODY[...]."""

    name: str
    section: str | None = None
    fields: tuple[bytes, ...] = ()
    peek: bool = True
    partial: tuple[int, int] | None = None


_PLAIN = {"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE"}
_MACROS = {"FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]}
_RFC822 = {"RFC822": ("", False), "RFC822.HEADER": ("HEADER", True), "RFC822.TEXT": ("TEXT", False)}


def fetch_items(token: Token) -> list[FetchItem]:
    """Parse what FETCH asks for (RFC 3501 section 6.4.5); ENVELOPE and BODYSTRUCTURE are not offered by the lab."""
    words = words_of(token)
    if len(words) == 1:
        words = _MACROS.get(words[0].upper(), words)
    if not words:
        raise SyntaxFault("FETCH needs an attribute")
    return [_fetch_item(word) for word in words]


def _fetch_item(word: str) -> FetchItem:
    name = word.upper()
    if name in _PLAIN:
        return FetchItem(name)
    if name in _RFC822:
        section, peek = _RFC822[name]
        return FetchItem(name, section, peek=peek)
    found = _SECTION.match(word)
    if found is None:
        raise SyntaxFault(f"unknown FETCH attribute {name[:40]}")
    first, count = found["first"], found["count"]
    partial = None if first is None else (int(first), int(count))
    section = found["section"]
    fields: tuple[bytes, ...] = ()
    if (listed := _FIELDS.match(section)) is not None:
        fields = tuple(name.strip('"').encode("ascii") for name in listed["names"].split())
        section = listed["kind"]
    section = section.upper()
    if section not in ("", "HEADER", "TEXT") and not fields:
        raise SyntaxFault(f"unknown section {section[:40]}")
    shown = f"{section} ({b' '.join(fields).decode('ascii')})" if fields else section
    label = f"BODY[{shown}]" + ("" if partial is None else f"<{partial[0]}>")
    return FetchItem(label, section, fields, peek=found["peek"] is not None, partial=partial)
