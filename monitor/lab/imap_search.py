"""SEARCH: turns search keys (RFC 3501 section 6.4.4) into a predicate over messages."""

import email.header
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from monitor.lab.imap_syntax import Atom, NumberSet, SyntaxFault, Token, number_set, parse_date, text_of, word_of
from monitor.lab.store import StoredMessage


class UnknownCharset(Exception):
    """Only US-ASCII and UTF-8 are known: NO [BADCHARSET]."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message with its place in the session's view, as the predicates see it."""

    number: int
    message: StoredMessage
    last_number: int
    last_uid: int


Predicate = Callable[[Candidate], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}
_HEADERS = {"SUBJECT": b"subject", "FROM": b"from", "TO": b"to", "CC": b"cc", "BCC": b"bcc"}


def compile_search(tokens: list[Token]) -> Predicate:
    """Compile the arguments of SEARCH; raises SyntaxFault or UnknownCharset."""
    left = list(tokens)
    if left and isinstance(left[0], Atom) and left[0].upper() == "CHARSET":
        if len(left) < 2:
            raise SyntaxFault("CHARSET needs a name")
        if text_of(left[1]).upper() not in (b"US-ASCII", b"ASCII", b"UTF-8"):
            raise UnknownCharset
        del left[:2]
    if not left:
        raise SyntaxFault("SEARCH needs a key")
    return _all_of(left)


def _all_of(tokens: list[Token]) -> Predicate:
    left = list(reversed(tokens))
    keys: list[Predicate] = []
    while left:
        keys.append(_key(left))
    return lambda at: all(key(at) for key in keys)


def _take(left: list[Token]) -> Token:
    if not left:
        raise SyntaxFault("a search key lacks its argument")
    return left.pop()


def _key(left: list[Token], depth: int = 0) -> Predicate:
    """Take one key with its arguments from the end of `left`, which is reversed."""
    if depth > 64:
        raise SyntaxFault("search keys nested too deeply")
    token = _take(left)
    if isinstance(token, list):
        if not token:
            raise SyntaxFault("an empty list of search keys")
        return _all_of(token)
    word = word_of(token)
    if word == "NOT":
        inner = _key(left, depth + 1)
        return lambda at: not inner(at)
    if word == "OR":
        one, two = _key(left, depth + 1), _key(left, depth + 1)
        return lambda at: one(at) or two(at)
    if word == "UID":
        uids = number_set(_take(left))
        return lambda at: uids.holds(at.message.uid, at.last_uid)
    if word[:1].isdigit() or word[:1] == "*":
        return _numbered(number_set(token))
    return _flag_key(word, left) or _date_key(word, left) or _content_key(word, left)


def _numbered(numbers: NumberSet) -> Predicate:
    return lambda at: numbers.holds(at.number, at.last_number)


def _flag_key(word: str, left: list[Token]) -> Predicate | None:
    if word in ("ALL", "OLD"):  # the lab keeps no \Recent: everything is old
        return lambda at: True
    if word in ("RECENT", "NEW"):
        return lambda at: False
    if word in _FLAGS:
        flag = _FLAGS[word]
        return lambda at: flag in at.message.flags
    if word.startswith("UN") and word[2:] in _FLAGS:
        flag = _FLAGS[word[2:]]
        return lambda at: flag not in at.message.flags
    if word in ("KEYWORD", "UNKEYWORD"):
        flag, wanted = text_of(_take(left)).decode("latin-1"), word == "KEYWORD"
        return lambda at: (flag in at.message.flags) is wanted
    return None


def _date_key(word: str, left: list[Token]) -> Predicate | None:
    sent = word.startswith("SENT")
    kind = word.removeprefix("SENT")
    if kind not in ("SINCE", "BEFORE", "ON"):
        return None
    day = parse_date(_take(left))

    def matches(at: Candidate) -> bool:
        when = _sent(at.message) if sent else at.message.internaldate
        if when is None:
            return False
        if kind == "ON":
            return when.date() == day
        return when.date() >= day if kind == "SINCE" else when.date() < day

    return matches


def _sent(message: StoredMessage) -> datetime | None:
    for text in _fields(message, b"date"):
        try:
            return parsedate_to_datetime(text.decode("latin-1").strip())
        except ValueError:
            return None
    return None


def _content_key(word: str, left: list[Token]) -> Predicate:
    if word in ("LARGER", "SMALLER"):
        digits = text_of(_take(left))
        if not digits.isdigit() or len(digits) > 12:
            raise SyntaxFault("a size is expected")
        size = int(digits)
        return lambda at: len(at.message.raw) > size if word == "LARGER" else len(at.message.raw) < size
    if word in ("TEXT", "BODY"):
        needle, whole = text_of(_take(left)).lower(), word == "TEXT"
        return lambda at: needle in (at.message.raw if whole else at.message.raw[len(at.message.header) :]).lower()
    if word == "HEADER":
        name, needle = text_of(_take(left)).lower(), text_of(_take(left)).lower()
    elif word in _HEADERS:
        name, needle = _HEADERS[word], text_of(_take(left)).lower()
    else:
        raise SyntaxFault(f"unknown search key {word[:40]}")
    return lambda at: any(needle in text.lower() or needle in _decoded(text) for text in _fields(at.message, name))


def _fields(message: StoredMessage, name: bytes) -> list[bytes]:
    """The bodies of all fields of a name, unfolded (RFC 5322 section 2.2.3)."""
    return [
        field.partition(b":")[2].replace(b"\r", b"").replace(b"\n", b"").strip()
        for found, field in message.header_fields()
        if found.lower() == name
    ]


def _decoded(text: bytes) -> bytes:
    """Encoded words decoded (RFC 2047), lower case, as UTF-8."""
    if b"=?" not in text:
        return b""
    try:
        return str(email.header.make_header(email.header.decode_header(text.decode("latin-1")))).lower().encode()
    except (ValueError, LookupError, UnicodeError):
        return b""
