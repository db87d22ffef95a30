"""The encodings of files: UTF-8, and UTF-16 where a byte order mark says so. Pure.

Everything is cut as UTF-8. How far a file was read counts in its own bytes, so lengths must be led back exactly: lone surrogates of UTF-16
pass through, and bytes that are no UTF-8 stay as they are until a row is decoded.
"""

from __future__ import annotations

UTF8 = "utf-8"
_MARKS = ((b"\xef\xbb\xbf", UTF8), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def encoding_of(head: bytes) -> tuple[str, int]:
    """(codec, length of the byte order mark) of a file that begins so."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec, len(mark)
    return UTF8, 0


def as_utf8(raw: bytes, codec: str) -> bytes:
    """Half a unit at the end is left out."""
    if codec == UTF8:
        return raw
    return raw[: len(raw) // 2 * 2].decode(codec, "surrogatepass").encode(UTF8, "surrogatepass")


def length_in(codec: str, data: bytes) -> int:
    """How many bytes of a file in `codec` have become `data`."""
    if codec == UTF8:
        return len(data)
    return len(data.decode(UTF8, "surrogatepass").encode(codec, "surrogatepass"))


def decoded(data: bytes) -> str:
    """Bytes that are no UTF-8 become lone surrogates: which row they spoil is for the rows to say."""
    return data.decode(UTF8, "surrogateescape")


def encoded_length(text: str) -> int:
    """Of decoded text, in bytes."""
    return len(text) if text.isascii() else len(text.encode(UTF8, "surrogateescape"))
