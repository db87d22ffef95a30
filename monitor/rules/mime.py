"""A tolerant, bounded MIME walk (RFC 5322, 2045 to 2047) over the beginning of a hostile message.

`email.parser` recurses per nesting level (RecursionError at a few hundred) and has no bound on parts or headers; this walk has an explicit
stack and never raises. It reads offsets of one buffer, so memory is the buffer and the decoded text.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_RAW = 512 * 1024
MAX_DECODED = 256 * 1024  # bytes of decoded text in the whole message
MAX_PARTS = 200
MAX_DEPTH = 20
MAX_HEADERS = 1000
MAX_VALUE = 16 * 1024
_MAX_DELIMITERS = 2000

_HEADER = re.compile(rb"([!-9;-~]{1,128})[ \t]*:")
_FOLD = re.compile(r"\n[ \t]*")
_PARAMETER = re.compile(r";\s*([A-Za-z0-9_-]{1,40})(\*[0-9]{0,2}\*?)?\s*=\s*(\"(?:[^\"\\]|\\.)*+\"?|[^\s;]*)")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\n]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t\n]+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))

# names a mail may choose a decoder by, without punctuation; a look-up of arbitrary names would import modules and fill a cache for ever
_CHARSETS = (
    {f"iso8859{n}": f"iso8859-{n}" for n in (*range(2, 12), 13, 14, 15, 16)}
    | {f"{prefix}125{n}": f"cp125{n}" for n in range(9) for prefix in ("windows", "cp")}
    | dict.fromkeys(("iso88591", "latin1", "l1"), "cp1252")
    | dict.fromkeys(("utf8", "utf8mb4"), "utf-8")
    | dict.fromkeys(("gb2312", "gbk", "gb18030", "xgbk"), "gb18030")
    | dict.fromkeys(("shiftjis", "sjis", "xsjis", "windows31j", "cp932"), "cp932")
    | dict.fromkeys(("euckr", "ksc56011987", "ksc5601", "cp949"), "cp949")
    | {"koi8r": "koi8-r", "koi8u": "koi8-u", "big5": "big5", "eucjp": "euc_jp", "iso2022jp": "iso2022_jp", "utf7": "utf-7"}
    | {"utf16": "utf-16", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "macintosh": "mac_roman"}
)


@dataclass(frozen=True, slots=True)
class Headers:
    """(name in lower case, value with its folds) in order, as text; duplicates are kept."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, *names: str) -> Iterator[str]:
        """The values of these fields in order, folds kept: a token may have been folded in the middle."""
        return (value for name, value in self.fields if name in names)

    def first(self, name: str) -> str:
        """The first value of this field, unfolded; empty if there is none."""
        return unfold(next(self.all(name), ""))


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf: anything but a multipart that could be taken apart. Messages within the message are leaves too."""

    kind: str  # text/plain
    parameters: dict[str, str]
    headers: Headers
    start: int
    end: int
    attached: bool


@dataclass(frozen=True, slots=True)
class Message:
    data: bytes
    headers: Headers
    body: int  # where the header block ends
    kind: str
    parameters: dict[str, str]
    parts: tuple[Part, ...]
    cut: bool  # a bound was hit: there is more than this

    def content(self, part: Part) -> bytes:
        """The decoded content of a leaf (RFC 2045 section 6). Whatever is broken decodes to as much as is whole."""
        data = self.data[part.start : part.end]
        match part.headers.first("content-transfer-encoding").strip().lower():
            case "base64":
                return _base64(data)
            case "quoted-printable":
                return binascii.a2b_qp(data)
            case _:
                return data


def parse(raw: bytes) -> Message:
    cut = len(raw) >= MAX_RAW
    data = bytes(raw[:MAX_RAW]).replace(b"\r\n", b"\n").replace(b"\r\n", b"\n")  # a relay may have made CR CR LF of it
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return _walk(data, cut)


def parse_headers(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The header block and where the body begins. A line that is no header field ends the block, as it does for Postfix.

    A bare CR is a space here, not a line end: what a relay took for text must not become a header field.
    """
    fields: list[list[bytes]] = []
    at = start
    while at < end:
        stop = data.find(b"\n", at, end)
        stop = end if stop < 0 else stop
        line = data[at : min(stop, at + MAX_VALUE)].replace(b"\0", b"")
        if not line.strip(b"\r"):
            at = stop + 1
            break
        if line[:1] in b" \t":
            if fields and len(fields[-1][1]) < MAX_VALUE:
                fields[-1][1] += b"\n" + line
        elif field := _HEADER.match(line):
            if len(fields) == MAX_HEADERS:
                blank = data.find(b"\n\n", at, end)
                at = end if blank < 0 else blank + 2
                break
            fields.append([field[1], line[field.end() :]])
        elif not (at == start and line.startswith((b"From ", b">From "))):
            break
        at = stop + 1
    return Headers(tuple((name.decode("ascii").lower(), _header_text(value)) for name, value in fields)), min(at, end)


def unfold(value: str) -> str:
    return _FOLD.sub(" ", value).strip()


def decode_words(value: str) -> str:
    """Unfold and decode encoded-words (RFC 2047); a character may be split between adjacent ones."""
    value = _BETWEEN_WORDS.sub(r"\1", value)
    out: list[str] = []
    pending, charset, at = b"", "", 0
    for word in _WORD.finditer(value):
        name = word[1].partition("*")[0]
        if pending and (word.start() != at or name != charset):
            out.append(decode(pending, charset))
            pending = b""
        out.append(value[at : word.start()])
        coded = word[3].encode("ascii", "replace")
        pending += _base64(coded) if word[2] in "bB" else binascii.a2b_qp(coded, header=True)
        charset, at = name, word.end()
    if pending:
        out.append(decode(pending, charset))
    return unfold("".join([*out, value[at:]]))


def decode(data: bytes, charset: str) -> str:
    """Text in its declared charset, as a mail client shows it; an unknown or missing one is UTF-8 if it can be, else Windows-1252."""
    codec = _CHARSETS.get(re.sub(r"[^a-z0-9]", "", charset[:60].lower()))
    if codec is not None:
        return data.decode(codec, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"  # inside the last character
        return data[: error.start].decode("utf-8") if cut else data.decode("cp1252", "replace")


def content_type(value: str, default: str = "text/plain") -> tuple[str, dict[str, str]]:
    """(type/subtype in lower case, parameters); RFC 2231 continuations are joined."""
    value = unfold(value)[:4096]
    kind = value.partition(";")[0].strip().lower()
    if not re.fullmatch(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", kind):
        kind = default
    parameters: dict[str, str] = {}
    for name, section, text in _PARAMETER.findall(value):
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"'))
        if section.endswith("*") and text.count("'") >= 2:
            text = text.split("'", 2)[2]
        continued = bool(section) and section[1:2].isdigit()
        name = name.lower()
        parameters[name] = parameters.get(name, "") + text if continued else parameters.get(name, text)
    return kind, parameters


def _walk(data: bytes, cut: bool) -> Message:
    top: tuple[Headers, int, str, dict[str, str]] | None = None
    parts: list[Part] = []
    waiting = [(0, len(data), 0, "text/plain")]
    entities = 0
    while waiting:
        start, end, depth, default = waiting.pop()
        entities += 1
        if entities > MAX_PARTS:
            cut = True
            break
        headers, body = parse_headers(data, start, end)
        kind, parameters = content_type(headers.first("content-type"), default)
        top = top or (headers, body, kind, parameters)
        if kind.startswith("multipart/"):
            boundary = parameters.get("boundary", "").rstrip().encode("utf-8", "replace")[:200]
            pieces = _split(data, body, end, boundary) if boundary and depth < MAX_DEPTH else []
            if pieces:
                inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
                cut = cut or len(pieces) > MAX_PARTS
                waiting.extend((a, b, depth + 1, inner) for a, b in reversed(pieces[: MAX_PARTS + 1]))
                continue
            cut = cut or depth >= MAX_DEPTH
            kind = "text/plain"  # nothing to take apart: clients show it as it stands
        attached = headers.first("content-disposition").lower().startswith("attachment")
        parts.append(Part(kind, parameters, headers, body, end, attached))
    headers, body, kind, parameters = top or (Headers(), 0, "text/plain", {})
    return Message(data, headers, body, kind, parameters, tuple(parts), cut)


def _split(data: bytes, start: int, end: int, boundary: bytes) -> Sequence[tuple[int, int]]:
    """The body parts of a multipart (RFC 2046 section 5.1.1); one that is not terminated goes on to the end."""
    delimiter = b"--" + boundary
    pieces: list[tuple[int, int]] = []
    opened = -1
    at = start
    for _ in range(_MAX_DELIMITERS):
        found = data.find(delimiter, at, end)
        if found < 0:
            break
        at = found + len(delimiter)
        stop = data.find(b"\n", at, min(end, at + 100))
        stop = min(end, at + 100) if stop < 0 else stop
        tail = data[at:stop].rstrip(b" \t\r")
        if (found > start and data[found - 1] != 0x0A) or tail not in (b"", b"--"):
            continue
        if opened >= 0:
            pieces.append((opened, max(opened, found - 1)))
        opened, at = min(stop + 1, end), stop
        if tail == b"--":
            return pieces
    if opened >= 0:
        pieces.append((opened, end))
    return pieces


def _base64(data: bytes) -> bytes:
    """As much as is whole (RFC 2045 section 6.8); anything outside the alphabet is ignored."""
    clean = data.translate(None, _NOT_BASE64).partition(b"=")[0]
    clean = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def _header_text(value: bytes) -> str:
    value = value.strip(b" \t\r").replace(b"\r", b" ")
    try:
        return value.decode("utf-8")  # RFC 6532
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")
