"""Whether a message keeps to the format (RFC 5322, RFC 2045), as far as receivers refuse or punish what does not."""

from __future__ import annotations

import re

from monitor.rules import mime
from monitor.rules.mailauth import authors
from monitor.rules.mime import Headers

LONGEST_LINE = 998  # octets without CRLF (RFC 5322 section 2.1.1)
LONGEST_HEADER = 32 * 1024  # bytes
BARE_LF_STORED = "the mailbox gives its lines without CR; CRLF was put back before hashing"

_MESSAGE_ID = re.compile(r"<[^\s<>@]{1,500}@[^\s<>@]{1,500}>")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")


def faults(
    data: bytes, headers: Headers, body: bytes, header_size: int, *, addresses: int, stripped: bool, header_cut: bool
) -> tuple[str, ...]:
    """In plain words, without anything that the message says. `data`: what the sender handed over, without what the receiver wrote on top
    of it; `header_size`: the bytes of its header; `addresses`: how many there are in From; `stripped`: it had bare LF and CRLF was put
    back. What would stand in a part that was not read is not missed."""
    found = [BARE_LF_STORED] if stripped else []
    found += _lines(data, header_size)
    if not header_cut:
        found += _fields(headers, addresses)
        if _EIGHT_BIT.search(body) and not headers.first("mime-version"):
            found.append("the body has 8-bit characters without MIME-Version")
        kind, parameters = mime.content_type(headers.first("content-type"))
        if kind.startswith("multipart/") and not parameters.get("boundary"):
            found.append("the multipart has no boundary")
    return tuple(found)


def _lines(data: bytes, header_size: int) -> list[str]:
    found = []
    ends = data.count(b"\r\n")
    if max(map(len, data.split(b"\r\n"))) > LONGEST_LINE:
        found.append(f"a line is longer than {LONGEST_LINE} octets")
    if data.count(b"\n") > ends:
        found.append("a line ends with a bare LF")
    if data.count(b"\r") > ends:
        found.append("there is a bare CR")
    if b"\0" in data:
        found.append("there are NUL octets")
    if header_size > LONGEST_HEADER:
        found.append(f"the header block is larger than {LONGEST_HEADER // 1024} KiB")
    return found


def _fields(headers: Headers, addresses: int) -> list[str]:
    found = []
    date = headers.first("date")
    if not date:
        found.append("there is no Date")
    elif authors.dated(date) is None:
        found.append("Date is no date")
    senders = sum(1 for _ in headers.all("from"))
    if senders != 1:
        found.append(f"there are {senders} From fields" if senders else "there is no From")
    elif addresses != 1:
        found.append(f"From has {addresses} addresses" if addresses else "From has no address")
    identity = headers.first("message-id")
    if not identity:
        found.append("there is no Message-ID")
    elif not _MESSAGE_ID.fullmatch(identity):
        found.append("Message-ID is not of the form <left@right>")
    return found
