"""Canonicalization (RFC 6376 section 3.4) of the bytes of a message exactly as they stand, in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_FIELDS = 1000
MAX_VALUE = 16 * 1024  # bytes of a signature field

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_WHITE = re.compile(rb"[ \t]{2,}|\t")
_SIGNATURE_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field with its folds. `raw` without the final CRLF."""

    name: str  # lower case
    raw: bytes
    colon: int  # where the value begins in `raw`, the colon included

    @property
    def value(self) -> bytes:
        return self.raw[self.colon + 1 :]


@dataclass(frozen=True, slots=True)
class Split:
    """A message taken apart. `whole`: the end of the header block was seen."""

    fields: tuple[Field, ...]
    body: bytes
    whole: bool
    header_size: int


def split(data: bytes) -> Split:
    """Header fields and body. Lines end with CRLF and nothing else; a whole line that is no field ends the header block, as it does for
    Postfix; an mbox line at the top is skipped."""
    fields: list[tuple[str, int, int, int]] = []
    at, size = 0, len(data)
    while at < size:
        found = data.find(b"\r\n", at)
        stop = found if found >= 0 else size
        if stop == at:
            return Split(_fields(data, fields), data[at + 2 :], True, at)
        if data[at] in b" \t" and fields:
            name, start, _, colon = fields[-1]
            fields[-1] = (name, start, stop, colon)
        elif field := _FIELD.match(data, at, stop):
            if len(fields) == MAX_FIELDS:
                blank = data.find(b"\r\n\r\n", at)
                body = data[blank + 4 :] if blank >= 0 else b""
                return Split(_fields(data, fields), body, blank >= 0, blank if blank >= 0 else size)
            fields.append((field[1].decode("ascii").lower(), at, stop, field.end() - 1 - at))
        elif not (at == 0 and data.startswith((b"From ", b">From "))):
            return Split(_fields(data, fields), data[at:], found >= 0, at)
        at = stop + 2
    return Split(_fields(data, fields), b"", False, size)


def _fields(data: bytes, found: Iterable[tuple[str, int, int, int]]) -> tuple[Field, ...]:
    return tuple(Field(name, data[start:stop], colon) for name, start, stop, colon in found)


def relaxed_field(raw: bytes, colon: int) -> bytes:
    """Section 3.4.2, without the final CRLF."""
    name = raw[:colon].rstrip(b" \t").lower()
    return name + b":" + _WHITE.sub(b" ", raw[colon + 1 :].replace(b"\r\n", b"")).strip(b" \t")


def field(raw: bytes, colon: int, relaxed: bool) -> bytes:
    return relaxed_field(raw, colon) if relaxed else raw


def unsigned(raw: bytes, colon: int) -> bytes:
    """A signature field with its b= emptied (section 3.7)."""
    return raw[: colon + 1] + _SIGNATURE_VALUE.sub(rb"\1", raw[colon + 1 :], count=1)


def body(data: bytes, relaxed: bool) -> bytes:
    """Sections 3.4.3 and 3.4.4."""
    if relaxed:
        data = _WHITE.sub(b" ", data).replace(b" \r\n", b"\r\n")
        data = data.removesuffix(b" ")
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    end = len(data)
    while end >= 4 and data[end - 4 : end] == b"\r\n\r\n":
        end -= 2
    data = data[:end]
    if data in (b"", b"\r\n"):
        return b"" if relaxed else b"\r\n"
    return data


def selected(fields: Sequence[Field], wanted: Iterable[str]) -> list[Field]:
    """The fields that h= names, from the bottom up; a name without a field left gives none (section 5.4.2)."""
    left: dict[str, list[Field]] = {}
    for one in fields:
        left.setdefault(one.name, []).append(one)
    return [left[name].pop() for name in wanted if left.get(name)]
