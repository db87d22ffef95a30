"""What responses mean: status, capabilities, LIST, SEARCH, FETCH (RFC 3501 section 7, RFC 9051). Pure and tolerant.

Only literals are trusted for content of mail (traps 8, 9); what cannot be read raises Malformed, so that nothing is lost silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from monitor.edge.imap import utf7
from monitor.edge.imap.stream import Malformed, Response
from monitor.model.mail import Folder

MAX_UID = 0xFFFFFFFF
MAX_NESTING = 64
MAX_WORDS = 200

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # English whatever the locale

_CODE = re.compile(rb"\[([A-Za-z0-9-]+)(?: ([^\]]*))?\] ?(.*)", re.DOTALL)
_DATE = re.compile(r" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\s*\Z")
_TOKEN = re.compile(rb' *(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|~?\{[0-9]+\+?\}\Z|(?P<atom>[^ ()"]+))', re.DOTALL)
_ATTRIBUTE = re.compile(rb" *([A-Za-z0-9.-]+)(?:\[([^\]]*)\])?(?:<([0-9]{1,10})>)?(?= |\Z)")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LIST = re.compile(rb'\* (?:LIST|LSUB|XLIST) \(([^()]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.*)\Z', re.IGNORECASE | re.DOTALL)
_LIST_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)" ?(.*)\Z', re.DOTALL)
_ESEARCH_ALL = re.compile(rb" ALL ([0-9:,]+)", re.IGNORECASE)


def words(text: bytes | str, *secrets: str) -> str:
    """The server's words, fit for a log line or a page: one line, bounded, without our secrets (a server may echo the command)."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    for secret in secrets:
        if secret:
            plain = plain.replace(secret, "***")
    plain = _UNPRINTABLE.sub(" ", plain).strip()
    return plain if len(plain) <= MAX_WORDS else plain[:MAX_WORDS] + "..."


def code(text: bytes) -> tuple[bytes, bytes, bytes]:
    """The response code, its argument and the human text of a status (RFC 3501 section 7.1)."""
    match = _CODE.match(text)
    return (match[1].upper(), match[2] or b"", match[3]) if match else (b"", b"", text)


def capabilities(text: bytes) -> frozenset[str]:
    """CAPABILITY data, in upper case. Trap 11: aioimaplib keeps brackets and prose among them."""
    return frozenset(text.decode("ascii", "replace").upper().split())


# --- LIST -----------------------------------------------------------------------------------------------------------


def folder(response: Response, utf8: bool = False) -> Folder | None:
    """A LIST response; None for a folder that cannot be selected. `utf8`: the server speaks IMAP4rev2 only (RFC 9051 section 5.1)."""
    match = _LIST.match(response[0])
    if match is None:
        raise Malformed(f"a LIST response that cannot be read: {words(response[0])}")
    attributes = frozenset(match[1].decode("ascii", "replace").lower().split())
    if attributes & {"\\noselect", "\\nonexistent"}:  # the second implies the first (RFC 5258 section 3)
        return None
    wire = _list_name(match[2], response)
    if not wire or b"\0" in wire:
        raise Malformed("a LIST response without a folder name")
    if wire.upper() == b"INBOX":
        return Folder("INBOX", "INBOX", attributes)
    return Folder(_name(wire, utf8), wire.decode("latin-1"), attributes)


def _list_name(rest: bytes, response: Response) -> bytes:
    if len(response) > 1:
        return response[1]
    if rest.startswith(b'"'):
        match = _LIST_NAME.match(rest)
        if match is None:
            raise Malformed(f"a folder name whose quotes do not close: {words(rest)}")
        return _ESCAPED.sub(rb"\1", match[1])
    atom, _, extended = rest.partition(b" ")
    return atom if not extended or extended.startswith(b"(") else rest  # some servers forget to quote a name with spaces


def _name(wire: bytes, utf8: bool) -> str:
    """The readable name; the wire spelling stands in for a name that is not encoded as it should be."""
    try:
        return wire.decode("utf-8") if utf8 else utf7.decode(wire.decode("ascii"))
    except ValueError:
        return wire.decode("utf-8", "replace")


def wire(folder: Folder) -> bytes:
    """The bytes that name the folder to the server: what LIST gave."""
    try:
        return folder.wire.encode("latin-1")
    except UnicodeEncodeError:
        return utf7.encode(folder.wire).encode("ascii")


# --- SEARCH ---------------------------------------------------------------------------------------------------------


def search_date(when: datetime) -> bytes:
    """A date for SEARCH: 2-Feb-2026 (RFC 3501 section 9, date)."""
    return f"{when.day}-{MONTHS[when.month - 1]}-{when.year:04d}".encode("ascii")


def uids(responses: Iterable[Response]) -> list[int]:
    """The UIDs of all SEARCH and ESEARCH responses, ascending. Digits only: no response at all means no hit (trap 19)."""
    found: set[int] = set()
    for response in responses:
        head, _, rest = response[0][2:].partition(b" ")
        if head.upper() == b"ESEARCH":
            match = _ESEARCH_ALL.search(b" " + rest)
            if match:
                found.update(_numbers(match[1]))
        else:
            found.update(int(word) for word in rest.split() if word.isdigit() and len(word) <= 10)
    return sorted(uid for uid in found if 0 < uid <= MAX_UID)


def _numbers(sequence: bytes) -> Iterator[int]:
    room = 200_000  # 1:4294967295 must not fill our memory
    for part in sequence.split(b","):
        low, _, high = part.partition(b":")
        if not low.isdigit() or (high and not high.isdigit()):
            continue
        first, last = int(low), int(high or low)
        first, last = min(first, last), max(first, last)
        room -= last - first + 1
        if room < 0:
            raise Malformed("a search that hits more than 200,000 messages")
        yield from range(first, last + 1)


# --- FETCH ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Fetched:
    """The attributes of one FETCH response; what the server did not send is None. `body` NIL counts as empty."""

    uid: int | None = None
    size: int | None = None
    internaldate: float | None = None
    body: bytes | None = None
    origin: int | None = None  # the octet at which body begins, None when the server says nothing of a part

    def add(self, other: Fetched) -> None:
        """Take over what another response says of the same message."""
        self.size = self.size if other.size is None else other.size
        self.internaldate = self.internaldate if other.internaldate is None else other.internaldate
        if other.body is not None:
            self.body, self.origin = other.body, other.origin

    @property
    def exists(self) -> bool:
        """Whether more than an unsolicited UID or FLAGS came: then the message is there."""
        return self.size is not None or self.body is not None or self.internaldate is not None


def fetched(response: Response) -> Fetched:
    """A FETCH response: attributes in any order, unknown ones skipped; raises Malformed."""
    tokens = _Tokens(response, len(b"* ") + response[0][2:].upper().index(b"FETCH") + len(b"FETCH"))
    if tokens.next() is not _Sign.OPEN:
        raise Malformed(f"a FETCH response without its list: {words(response[0])}")
    result = Fetched()
    while True:
        attribute = tokens.attribute()
        if attribute is None:
            return result
        name, section, origin = attribute
        value = tokens.next()
        if value is _Sign.OPEN:
            tokens.skip_list()
        elif value is _Sign.CLOSE or value is None:
            raise Malformed(f"a FETCH response whose {words(name)} has no value")
        elif name == b"BODY" and section == b"":
            result.body = b"" if value is _Sign.NIL else value
            result.origin = origin
        elif value is _Sign.NIL:
            continue
        elif name == b"UID":
            result.uid = _number(value, MAX_UID)
        elif name == b"RFC822.SIZE":
            result.size = _number(value, 1 << 62)
        elif name == b"INTERNALDATE":
            result.internaldate = timestamp(value)


def timestamp(text: bytes) -> float | None:
    """INTERNALDATE as seconds since the epoch; None when it is no date. The server's own clock: a hint only."""
    match = _DATE.match(text.decode("ascii", "replace"))
    if match is None or match[2].title() not in MONTHS:
        return None
    day, month, year, hour, minute, second = int(match[1]), MONTHS.index(match[2].title()) + 1, *map(int, match.group(3, 4, 5, 6))
    offset = timedelta(hours=int(match[8]), minutes=int(match[9])) * (-1 if match[7] == "-" else 1)
    try:
        return (datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - offset).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: bytes, most: int) -> int:
    if not value.isdigit() or len(value) > 19 or int(value) > most:
        raise Malformed(f"a number that is none: {words(value)}")
    return int(value)


class _Sign(Enum):
    """A token that is no string; a body that consists of "(" or "NIL" is another thing."""

    OPEN = "("
    CLOSE = ")"
    NIL = "NIL"


class _Tokens:
    """Walks over text and literals of a response, without recursion."""

    __slots__ = ("_at", "_part", "_response")

    def __init__(self, response: Response, at: int) -> None:
        self._response = response
        self._part = 0
        self._at = at

    def next(self) -> bytes | _Sign | None:
        """The next token: a sign or a string; None at the end."""
        text = self._response[self._part]
        match = _TOKEN.match(text, self._at)
        if match is None:
            if text[self._at :].strip():
                raise Malformed(f"a response that cannot be read here: {words(text[self._at :])}")
            return None
        self._at = match.end()
        if match["open"]:
            return _Sign.OPEN
        if match["close"]:
            return _Sign.CLOSE
        if match["quoted"] is not None:
            return _ESCAPED.sub(rb"\1", match["quoted"])
        if match["atom"] is not None:
            return _Sign.NIL if match["atom"].upper() == b"NIL" else match["atom"]
        if self._part + 2 >= len(self._response):
            raise Malformed("a literal that was announced where none can be")
        literal = self._response[self._part + 1]
        self._part += 2
        self._at = 0
        return literal

    def attribute(self) -> tuple[bytes, bytes | None, int | None] | None:
        """Name, section and origin of the next attribute; None at the end of the list."""
        text = self._response[self._part]
        match = _ATTRIBUTE.match(text, self._at)
        if match is None:
            if self.next() is _Sign.CLOSE:
                return None
            raise Malformed(f"a FETCH response that cannot be read: {words(text)}")
        self._at = match.end()
        return match[1].upper(), match[2], None if match[3] is None else int(match[3])

    def skip_list(self) -> None:
        """Pass over a parenthesised list of which the first ( was read. Strings in it are tokens, so trap 9 (":)") cannot happen."""
        depth = 1
        while depth:
            token = self.next()
            if token is None or depth > MAX_NESTING:
                raise Malformed("a list that does not end")
            depth += (token is _Sign.OPEN) - (token is _Sign.CLOSE)
