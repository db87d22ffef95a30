"""Bytes from the server to whole responses, bounded and without recursion; and our commands to bytes (RFC 3501 sections 4.3, 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aioimaplib.aioimaplib import quoted

MAX_LINE = 1024 * 1024  # a SEARCH answer with 130,000 UIDs
MAX_LITERAL = 640 * 1024  # the largest piece of a message that we ask for, and some air
MAX_RESPONSE = 2 * 1024 * 1024
MAX_PARTS = 4096
MAX_RESPONSES = 20_000  # to one command, noise included: two million empty lines would hold up the loop for seconds

_LITERAL = re.compile(rb"(?:^|[ (\[])~?\{([0-9]{1,19})\+?\}\Z")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
# Only these carry strings. Trap 10: the human text after OK, NO, BAD, BYE may end in {12} and starts no literal.
_BEARS_LITERAL = re.compile(
    rb"\* (?:[0-9]{1,10} FETCH|LIST|LSUB|XLIST|STATUS|ID|NAMESPACE|QUOTA|QUOTAROOT|ACL|LISTRIGHTS|MYRIGHTS|METADATA|ESEARCH) ",
    re.IGNORECASE,
)
_QUOTABLE = re.compile(rb"[\x20-\x7e]*\Z")

Response = list[bytes]
"""One whole response: text, literal, text, ... in turns; the first and the last are text, CRLF taken off."""


class Malformed(Exception):
    """The server breaks the protocol or a bound of ours. The connection must be dropped."""


class Stream:
    """Cuts what arrives into responses. Replaces aioimaplib's recursive _handle_responses (trap 3), which also takes any text
    ending in {n} for a literal (10) and counts parentheses inside strings (9)."""

    __slots__ = ("_buffer", "_need", "_parts", "_scanned", "_size", "room")

    def __init__(self) -> None:
        self.room = MAX_RESPONSES  # renewed for each command
        self._buffer = bytearray()
        self._parts: Response = []
        self._size = 0  # bytes in _parts
        self._need: int | None = None  # size of the literal that comes next
        self._scanned = 0  # _buffer[:_scanned] holds no CRLF

    def feed(self, data: bytes) -> list[Response]:
        """The responses that are whole now; raises Malformed at a bound."""
        buffer = self._buffer
        buffer += data
        whole: list[Response] = []
        start = 0
        while True:
            if self._need is not None:
                end = start + self._need
                if len(buffer) < end:
                    break
                self._keep(bytes(memoryview(buffer)[start:end]))
                self._need = None
                start = self._scanned = end
            at = buffer.find(b"\r\n", self._scanned)
            if at < 0:
                if len(buffer) - start > MAX_LINE:
                    raise Malformed(f"a line of more than {MAX_LINE} bytes")
                self._scanned = max(start, len(buffer) - 1)  # a CR may wait for its LF
                break
            line = bytes(memoryview(buffer)[start:at])
            start = self._scanned = at + 2
            self._keep(line)
            if line.endswith(b"}"):
                self._need = self._announced(line)
            if self._need is None:
                whole.append(self._parts)
                self._parts = []
                self._size = 0
                self.room -= 1
                if self.room < 0:
                    raise Malformed(f"more than {MAX_RESPONSES} responses to one command")
        if start:
            del buffer[:start]
            self._scanned = max(0, self._scanned - start)
        return whole

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_RESPONSE or len(self._parts) > MAX_PARTS:
            raise Malformed(f"a response of more than {MAX_RESPONSE} bytes or {MAX_PARTS} parts")

    def _announced(self, line: bytes) -> int | None:
        """The size of the literal that this line announces, None when it only looks so."""
        match = _LITERAL.search(line)
        if match is None or not _BEARS_LITERAL.match(self._parts[0]) or b'"' in _QUOTED.sub(b"", line):
            return None
        size = int(match[1])
        if size > MAX_LITERAL:
            raise Malformed(f"a literal of {size} bytes, more than the {MAX_LITERAL} we ever ask for")
        return size


class Literal(bytes):
    """An argument that is sent as a literal (RFC 3501 section 4.3)."""

    __slots__ = ()


def string(value: bytes) -> bytes:
    """The argument as a quoted string where its bytes allow it, as a Literal otherwise (trap 14: users need it as well)."""
    if _QUOTABLE.match(value):
        return b'"%s"' % escaped(value.decode("ascii")).encode("ascii")
    return Literal(value)


def escaped(text: str) -> str:
    """The text as it stands between the quotes of a quoted string."""
    return str(quoted(text))[1:-1]


def turns(arguments: Iterable[bytes]) -> list[bytes]:
    """A command as the pieces that are sent, each after the server's continuation of the one before."""
    pieces: list[bytes] = []
    line = bytearray()
    for index, argument in enumerate(arguments):
        if index:
            line += b" "
        if isinstance(argument, Literal):
            line += b"{%d}\r\n" % len(argument)
            pieces.append(bytes(line))
            line = bytearray(argument)
        else:
            if b"\r" in argument or b"\n" in argument or b"\0" in argument:
                raise ValueError("an argument would split the command line")
            line += argument
    pieces.append(bytes(line) + b"\r\n")
    return pieces
