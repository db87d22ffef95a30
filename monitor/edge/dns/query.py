"""One query as bytes (RFC 1035 section 4.1, RFC 6891), and whether a datagram is a reply to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.dns import Question, RecordType

MAX_UDP = 1232  # bytes of an answer that no path fragments (DNS flag day 2020)
MAX_NAME = 255  # bytes (RFC 1035 section 2.3.4)
MAX_LABEL = 63

_TYPES = {
    RecordType.A: 1,
    RecordType.NS: 2,
    RecordType.CNAME: 5,
    RecordType.SOA: 6,
    RecordType.PTR: 12,
    RecordType.MX: 15,
    RecordType.TXT: 16,
    RecordType.AAAA: 28,
    RecordType.DS: 43,
    RecordType.DNSKEY: 48,
    RecordType.SPF: 99,
}
_RECURSION = 0x0100
_AUTHENTIC = 0x0020  # we understand AD (RFC 6840 section 5.7)
_UNCHECKED = 0x0010  # CD: answer even what does not validate (RFC 4035 section 3.2.2)
_OPT = b"\0\0\x29" + MAX_UDP.to_bytes(2, "big") + b"\0\0\x80\0\0\0"  # version 0, DO: signatures, please
_HEADER = 12


@dataclass(frozen=True, slots=True)
class Query:
    """All but the id, which each sending draws anew; `asked` is the question section."""

    body: bytes
    asked: bytes

    def answered_by(self, reply: bytes) -> bool:
        """Whether a reply is about this question. A server that does not understand a query may leave the question out."""
        if len(reply) < _HEADER or not reply[2] & 0x80:
            return False
        if reply[4:6] == b"\0\0":
            return reply[3] & 0x0F != 0
        return reply[4:6] == b"\0\1" and reply[_HEADER : _HEADER + len(self.asked)].lower() == self.asked.lower()


def query(question: Question, *, unchecked: bool = False, extended: bool = True) -> Query | None:
    """The query; None for a name that no message can carry. Without EDNS when not `extended`."""
    name = wire_name(question.name)
    if name is None:
        return None
    flags = (0 if question.server else _RECURSION) | _AUTHENTIC | (_UNCHECKED if unchecked else 0)
    asked = name + _TYPES[question.rtype].to_bytes(2, "big") + b"\0\1"
    counts = b"\0\1\0\0\0\0" + (b"\0\1" if extended else b"\0\0")
    return Query(flags.to_bytes(2, "big") + counts + asked + (_OPT if extended else b""), asked)


def wire_name(name: str) -> bytes | None:
    """A name in presentation form (RFC 1035 section 5.1: \\. and \\DDD) as bytes; what is not ASCII is taken as Latin-1, as TXT records
    are. None: an empty or too long label, a name that is too long, or no such character."""
    if name == ".":
        return b"\0"
    labels = [bytearray()]
    at = 0
    while at < len(name):
        char = name[at]
        at += 1
        if char == ".":
            labels.append(bytearray())
            continue
        value = ord(char)
        if char == "\\":
            digits = name[at : at + 3]
            if len(digits) == 3 and digits.isascii() and digits.isdigit():
                value, at = int(digits), at + 3
            elif digits:
                value, at = ord(digits[0]), at + 1
        if value > 0xFF:
            return None
        labels[-1].append(value)
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        return None
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return wire if len(wire) <= MAX_NAME else None
