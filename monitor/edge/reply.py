"""What a peer said, made safe to store and show, and the few things that we read out of it. Pure."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable

from monitor.model.pointer import text_at
from monitor.model.submission import Reply

MAX_TEXT = 500
SHORTEST_LINE = 4  # of a secret of several lines: shorter ones stand in any text
MAX_ID = 200

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")
_QUEUE_IDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bqueued as[ :]+<?([\w.+=/@:-]{3,128})",  # Postfix, Haraka, many services
        r"\bid[=:]\s*<?([\w.+=/@:-]{3,128})",  # Exim: OK id=1qRs2T-000abc-3D
        r"<([\w.+=/@:-]{3,128})>.*\bqueued mail for delivery",  # Exchange: <id> [InternalId=...] Queued mail for delivery
        r"\A([\w.-]{6,128}) message accepted for delivery",  # Sendmail
        r"\Aok:?\s+([0-9a-f]{16}[0-9a-f-]{4,})\Z",  # Amazon SES
        r"\Aok\s+\d+\s+([\w.-]{6,128}) - gsmtp",  # Google
    )
)


def clean(text: str, hidden: Iterable[str] = (), limit: int = MAX_TEXT) -> str:
    """One line without control, format and surrogate characters and without the `hidden` secrets, cut at `limit` characters."""
    # Bytes that were no UTF-8 arrive as lone surrogates, which neither SQLite nor JSON can encode.
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for secret in hidden:
        text = text.replace(secret, "***")
    kept = "".join(" " if unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" else char for char in text)
    return " ".join(kept.split())[:limit]


def shapes(*secrets: str) -> tuple[str, ...]:
    """The forms in which a peer may echo secrets: as they are, folded on one line, line by line, and in Base64."""
    forms = {secret for secret in secrets if secret}
    lines = {line.strip() for secret in forms for line in secret.splitlines()} - forms
    forms |= {line for line in lines if len(line) >= SHORTEST_LINE} | {" ".join(secret.split()) for secret in forms}
    forms |= {base64.b64encode(form.encode("utf-8", "surrogateescape")).decode() for form in forms}
    return tuple(sorted(forms, key=len, reverse=True))


def smtp_reply(code: int, message: str, hidden: Iterable[str] = ()) -> Reply:
    """A reply with its enhanced status code taken from the text (RFC 3463); in a multi-line reply each line bears it (RFC 2034)."""
    lines = message.split("\n")
    found = _ENHANCED.match(lines[0].strip())
    enhanced = found[1] if found and found[1][0] == str(code)[0] else ""
    if enhanced:
        lines = [line.strip().removeprefix(enhanced) for line in lines]
    return Reply(code=code, text=clean(" ".join(lines), hidden), enhanced=enhanced)


def queue_id(text: str) -> str:
    """The name that the relay gave the message, "" when it tells none that we know how to read."""
    for pattern in _QUEUE_IDS:
        if found := pattern.search(text):
            return found[1].rstrip(".,;:")
    return ""


def json_document(body: bytes) -> object:
    """The parsed body, None when it is no JSON (`null` says nothing either)."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document


def at_pointer(document: object, pointer: str) -> str:
    """The text or number at a JSON pointer (RFC 6901), on one line and of at most MAX_ID characters; "" when there is none."""
    return clean(text_at(document, pointer), limit=MAX_ID)
