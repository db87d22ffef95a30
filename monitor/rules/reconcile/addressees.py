"""To whom the copy of a mail in a journal mailbox went: as its header says, and as its envelope did where the copy shows that.

The envelope shows in the fields that mail servers add (X-Original-To, Delivered-To, ...), and in a journal report (Exchange, Google
Workspace): a message about the message, which lists the recipients and has the mail itself attached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from monitor.rules import mime

MOST = 100  # addresses of one mail that are looked at
_MAX_FIELD = 16 * 1024
_MAX_FIELDS = 32 * 1024  # characters of all fields that name whom it is to, and as many of those of its envelope

_ENVELOPE_FIELDS = ("x-original-to", "x-envelope-to", "envelope-to", "delivered-to", "x-delivered-to", "x-rcpt-to", "x-forwarded-to")
_QUOTED_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
_GROUP = re.compile(r"(?:\A|(?<=[<>,;:@]))[^<>,;:@]{0,200}:(?!//)")
_ADDRESS = re.compile(r"<([^<>\s]{1,320})>|([^\s<>(),;:\"@]{1,64}@[^\s<>(),;:\"@]{1,253})")
_SENDER_LINE = re.compile(r"^Sender:", re.MULTILINE | re.IGNORECASE)
_ID_LINE = re.compile(r"^Message-Id:", re.MULTILINE | re.IGNORECASE)
_RECIPIENT_LINE = re.compile(r"^(?:Recipient|To|Cc|Bcc)\s*:(.{0,400})$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Journaled:
    """A mail that a journal report bears."""

    raw: bytes
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Addressees:
    """Addresses in the order in which they stand, each once, in lower case; the journal mailbox itself is none. `envelope` is empty where
    the copy shows none."""

    to: tuple[str, ...]
    envelope: tuple[str, ...]


def journaled(message: mime.Message) -> Journaled | None:
    """What the journal report bears; None: it is none."""
    inner = next((part for part in message.parts if part.kind == "message/rfc822"), None)
    cover = next((part for part in message.parts if part.kind == "text/plain"), None)
    if inner is None or cover is None:
        return None
    said = mime.decode(message.content(cover)[:_MAX_FIELD], cover.parameters.get("charset", ""))
    marked = any(True for _ in message.headers.all("x-ms-journal-report"))
    if not (_SENDER_LINE.search(said) and (marked or _ID_LINE.search(said))):
        return None
    lines = islice(_RECIPIENT_LINE.finditer(said), MOST)
    return Journaled(message.content(inner), tuple(dict.fromkeys(one for line in lines for one in addresses(line[1])[:1])))


def addressees(headers: mime.Headers, own: str, reported: tuple[str, ...] = ()) -> Addressees:
    """Of a mail with these headers in the journal mailbox `own`; `reported`: the recipients of its journal report."""
    own = own.lower()
    field = "resent-to" if headers.first("resent-to") else "to"
    to = [one for value in _bounded(headers.all(field)) for one in addresses(value)]
    shown = [one for value in _bounded(headers.all(*_ENVELOPE_FIELDS)) for one in addresses(value)]
    envelope = reported or tuple(dict.fromkeys(shown))
    return Addressees(
        tuple(one for one in dict.fromkeys(to) if one != own)[:MOST], tuple(one for one in envelope if one != own)[:MOST]
    )  # fmt: skip


def _bounded(values: Iterable[str]) -> Iterator[str]:
    left = _MAX_FIELDS
    for value in islice(values, MOST):
        yield value[:left]
        left -= min(len(value), _MAX_FIELD)
        if left <= 0:
            return


def addresses(value: str) -> list[str]:
    """The addresses in a field (RFC 5322 section 3.4), in lower case, without what names them."""
    bare = _COMMENT.sub(" ", _QUOTED_STRING.sub(" ", mime.unfold(value[:_MAX_FIELD])))
    pieces = islice(re.split(r"[,;]", _GROUP.sub(" ", bare)), MOST)
    return [found.lower() for piece in pieces if "@" in piece and (found := _last(piece))]


def _last(piece: str) -> str:
    """The one in angle brackets, whatever stands before it; else the only one."""
    angled = bare = ""
    for match in _ADDRESS.finditer(piece):
        angled, bare = match[1] or angled, bare or match[2] or ""
    return angled if "@" in angled else bare
