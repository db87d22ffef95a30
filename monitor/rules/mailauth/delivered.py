"""A delivered message, raw -> what its proof needs of it."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model.mailauth import ArcSet, DeliveredMail
from monitor.rules import mime
from monitor.rules.mailauth import arc, authors, dkim
from monitor.rules.mailauth.dkim import canonical
from monitor.rules.mailauth.dkim.canonical import Field
from monitor.rules.mailauth.form import faults
from monitor.rules.mailauth.receiver import Receiver, arc_said, read_receiver
from monitor.rules.mailauth.trace import own_hops

MAX_RAW = mime.MAX_RAW  # bytes that are looked at
COUNTED = (
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "reply-to",
    "sender",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "dkim-signature",
    "received",
)


def read_proof(raw: bytes, truncated: bool, trusted: Sequence[str]) -> DeliveredMail:
    """Reads the message exactly as its bytes stand. Never raises; bounded in time and memory. `trusted`: authserv-ids.

    Some IMAP servers store and give lines that end with a bare LF. Where no CRLF is in the whole message, CRLF is put back before hashing,
    and the faults say so.
    """
    truncated = truncated or len(raw) > MAX_RAW
    data = bytes(raw[:MAX_RAW])
    if truncated:
        data = data.removesuffix(b"\r")
    stripped = b"\n" in data and b"\r\n" not in data
    if stripped:
        data = data.replace(b"\n", b"\r\n")
    parts = canonical.split(data)
    header_cut = truncated and not parts.whole
    content = dkim.Content(parts.fields, parts.body, truncated, header_cut)
    signatures, ignored = dkim.parse_signatures(content)
    sets: tuple[ArcSet, ...] = ()
    arc_fault = ""
    if not header_cut:
        sets, arc_fault = arc.read_sets(content)
    # What counts fields takes a bare LF for a line end, as mail clients do.
    headers, _ = mime.parse_headers(text := data.replace(b"\r\n", b"\n"), 0, len(text))
    counts = dict.fromkeys(COUNTED, 0)
    for name, _ in headers.fields:
        if name in counts:
            counts[name] += 1
    receiver = read_receiver(tuple((name, mime.unfold(value)) for name, value in headers.fields), trusted)
    envelope = next(headers.all("return-path"), None)
    domains = authors.domains(headers)
    handed = _handed_over(data, parts.fields, receiver)
    return DeliveredMail(
        author_domains=domains,
        reply_domains=tuple(dict.fromkeys(authors.domains(headers, "reply-to"))),
        envelope_domain=authors.envelope_domain(envelope or ""),
        envelope_said=envelope is not None,
        fields=tuple(counts.items()),
        signatures=signatures,
        signatures_ignored=ignored,
        arc=sets,
        arc_fault=arc_fault,
        hops=receiver.hops,
        border=receiver.border,
        said=receiver.said.auth,
        arc_said=arc_said(sets, trusted),
        said_address=receiver.said.address,
        said_envelope=receiver.said.envelope,
        untrusted=receiver.said.untrusted,
        unparsed=receiver.said.unparsed,
        hints=receiver.hints,
        faults=faults(
            data[handed:],
            headers,
            parts.body,
            parts.header_size - handed,
            addresses=len(domains),
            stripped=stripped,
            header_cut=header_cut,
        ),
        dated=authors.dated(headers.first("date")),
        truncated=truncated,
        header_cut=header_cut,
    )


def _handed_over(data: bytes, fields: Sequence[Field], receiver: Receiver) -> int:
    """Where that begins which the sender handed over: below the Received field of the border; what stands above is the receiver's own."""
    hops = receiver.hops
    left = hops.index(receiver.border) + 1 if receiver.border in hops else own_hops(hops)
    at = data.find(fields[0].raw) if left and fields else 0
    for field in fields if left else ():
        at += len(field.raw) + len(b"\r\n")
        left -= field.name == "received"
        if not left:
            return at
    return 0
