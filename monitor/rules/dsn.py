"""Delivery status notifications: multipart/report (RFC 3462, 3464, 6533), and the free-form bounces of older mailers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from monitor.model.address import Address
from monitor.rules import mime, token

ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_MAX_BLOCKS = 50
_MAX_TEXT = 500
_PROBE_ID = 12

_STATUS = re.compile(r"\b[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")
_FAILED_CODE = re.compile(r"\b5\.[0-9]{1,3}\.[0-9]{1,3}\b|\b55[0-9][ -]")
_DELAYED = re.compile(r"delay|warning|verzögert|retardé", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TAG = re.compile(r"\+([A-Za-z0-9]{12}|[A-Za-z2-7]{40})@")
_DAEMONS = frozenset({"mailer-daemon", "postmaster", "mail-daemon"})
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_STATUS_KINDS = frozenset({"message/delivery-status", "message/global-delivery-status"})


@dataclass(frozen=True, slots=True)
class Dsn:
    """What a DSN says of one recipient, the failed one first. `action` is one of ACTIONS or "unknown"."""

    action: str
    status: str
    diagnostic: str
    recipient: str
    tokens: tuple[str, ...]  # in the returned headers and the recipients; unverified
    probes: tuple[str, ...]  # plus-tags of the address it was sent to: ids of probes, if we wrote that envelope sender


def read_dsn(message: mime.Message, author: Address | None, text: str) -> Dsn | None:
    """The DSN that this message is, or None."""
    headers = message.headers
    probes = plus_tags(headers.all("to", "delivered-to", "x-original-to", "envelope-to", "received"), _PROBE_ID)
    if message.kind == "multipart/report":
        report = next((part for part in message.parts if part.kind in _STATUS_KINDS), None)
        if report is None and message.parameters.get("report-type", "").lower() != "delivery-status":
            return None  # a read receipt, a feedback report: no DSN, yet no sighting either
        said = _worst(_blocks(message.content(report))) if report else mime.Headers()
        recipient = _typed(said.first("original-recipient") or said.first("final-recipient"))
        action = said.first("action").partition("(")[0].strip().lower()
        return Dsn(
            action if action in ACTIONS else "unknown",
            _status(said.first("status")),
            _plain(_typed(said.first("diagnostic-code"))),
            _plain(recipient),
            tuple(dict.fromkeys((*_returned(message), *plus_tags([f"{recipient} "], token.LENGTH))))[: token.MAX_FOUND],
            probes,
        )
    if not _is_free_form(headers, author):
        return None
    delayed = _DELAYED.search(headers.first("subject"))
    failed = not delayed and (_FAILED_CODE.search(text) or any(True for _ in headers.all("x-failed-recipients")))
    return Dsn(
        "failed" if failed else "delayed" if delayed else "unknown",
        _status(text),
        _plain(text),
        _plain(headers.first("x-failed-recipients")),
        tuple(dict.fromkeys((*_returned(message), *token.find(text)))),
        probes,
    )


def plus_tags(values: Iterable[str], length: int) -> tuple[str, ...]:
    """The plus-tags of this length in address fields and `for` clauses of Received, in lower case, in order; bounded."""
    found: dict[str, None] = {}
    for value in islice(values, 100):
        for tag in _TAG.findall("".join(value.split())):
            if len(tag) == length:
                found.setdefault(tag.lower())
            if len(found) == token.MAX_FOUND:
                return tuple(found)
    return tuple(found)


def _is_free_form(headers: mime.Headers, author: Address | None) -> bool:
    """A mailer's own words: from its daemon, or with Exim's field. The null return path alone proves nothing: shops use it too."""
    if any(True for _ in headers.all("x-failed-recipients")):
        return True
    return author is not None and author.local.lower() in _DAEMONS


def _blocks(content: bytes) -> Iterator[mime.Headers]:
    """The groups of fields of a delivery-status part (RFC 3464 section 2.1): one per message, then one per recipient."""
    at = 0
    for _ in range(_MAX_BLOCKS):
        while content[at : at + 1] in (b"\n", b"\r"):
            at += 1
        if at >= len(content):
            return
        headers, after = mime.parse_headers(content, at, len(content))
        if after <= at:
            return
        at = after
        yield headers


def _worst(blocks: Iterable[mime.Headers]) -> mime.Headers:
    recipients = [block for block in blocks if block.first("action")]
    failed = (block for block in recipients if block.first("action").lower().startswith("failed"))
    return next(failed, recipients[0] if recipients else mime.Headers())


def _returned(message: mime.Message) -> Iterator[str]:
    """Tokens in the headers of the message that came back."""
    for part in message.parts:
        if part.kind in _RETURNED:
            content = message.content(part)
            headers, _ = mime.parse_headers(content, 0, len(content))
            for value in headers.all("x-mailcanary-token", "message-id"):
                yield from token.find(value)
            yield from plus_tags(headers.all("to", "delivered-to"), token.LENGTH)


def _typed(value: str) -> str:
    """`rfc822; a@b` or `smtp; 550 ...` without its type (RFC 3464 section 2.1.2)."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and kind.strip().replace("-", "").isalnum() else value.strip()


def _status(text: str) -> str:
    match = _STATUS.search(text)
    return match[0] if match else ""


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:_MAX_TEXT].strip()
