"""What happens to a message on its way: trace fields of honest hops, alterations of faulty ones, and DSNs."""

import base64
import quopri
import re
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import format_datetime

from monitor.lab.providers import AuthStyle, Provider
from monitor.lab.receiver import RELAY_ADDRESS, RELAY_HOST, Receiver, Verdicts, author_domain

MAX_HEADER = 256 * 1024

_SIGN = r"(?:€|£|\$|EUR|GBP|USD|CHF|&euro;|&pound;|&#8364;|&#163;)"
_GAP = r"(?:\s|&nbsp;|&#160;)?"
_MONEY = re.compile(rf"{_SIGN}{_GAP}\d[\d.,']*\d|\d[\d.,']*\d{_GAP}{_SIGN}")


def header_value(raw: bytes, name: bytes) -> str:
    """The first field of a name, unfolded, or an empty string."""
    head = raw[:MAX_HEADER].partition(b"\r\n\r\n")[0]
    found = re.search(rb"^" + re.escape(name) + rb":[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", head, re.I | re.M)
    return re.sub(rb"\r?\n[ \t]+", b" ", found[1]).decode("utf-8", "replace").strip() if found else ""


def received(source: str, queue_id: str, recipient: str, when: datetime) -> bytes:
    """The relay's trace field (RFC 5321 section 4.4)."""
    return (
        f"Received: from {source} by {RELAY_HOST} (mailcanary lab)\r\n"
        f"\twith ESMTP id {queue_id} for <{recipient}>;\r\n\t{format_datetime(when)}\r\n"
    ).encode("utf-8", "replace")


def delivery_trace(
    provider: Provider, receiver: Receiver, raw: bytes, mail_from: str, address: str, queue_id: str, when: datetime, *, fail: bool
) -> bytes:
    """What the receiver puts on top: Return-Path, Delivered-To, Authentication-Results (RFC 8601), Received. `fail`: it says so whatever
    the zones say."""
    author = author_domain(header_value(raw, b"From"))
    verdicts = Verdicts("softfail", "fail", "fail", author, "lab1") if fail else receiver.verdicts(raw, mail_from, author)
    return (
        f"Return-Path: <{mail_from}>\r\nDelivered-To: {address}\r\n{_results(provider, mail_from, author, verdicts)}"
        f"Received: from {RELAY_HOST} ({receiver.relay_name()} [{RELAY_ADDRESS}])\r\n"
        f"\tby {provider.authserv_id} with ESMTPS id {queue_id}\r\n"
        f"\t(version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256)\r\n\tfor <{address}>; {format_datetime(when)}\r\n"
    ).encode("utf-8", "replace")


def _results(provider: Provider, mail_from: str, author: str, verdicts: Verdicts) -> str:
    name = provider.authserv_id
    spf_text = f"spf={verdicts.spf} smtp.mailfrom={mail_from or 'postmaster@' + RELAY_HOST}"
    dkim_text = f"dkim={verdicts.dkim}"
    if verdicts.signer:
        dkim_text += f" header.d={verdicts.signer} header.s={verdicts.selector}"
    dmarc_text = f"dmarc={verdicts.dmarc} header.from={author}"
    if provider.auth_style is AuthStyle.SEPARATE:
        return "".join(f"Authentication-Results: {name}; {text};\r\n" for text in (spf_text, dkim_text, dmarc_text))
    if provider.auth_style is AuthStyle.COMMENTED:
        policy = dmarc_text.replace(" ", f" (p={verdicts.policy.upper()} sp=NONE dis=NONE) ", 1)
        return (
            f"Authentication-Results: {name} 1;\r\n"
            f'       {dkim_text} header.b="x;y/z";\r\n'
            f"       {policy};\r\n"
            f"       {spf_text.replace(' ', f' ({name}: 127.0.0.1; p=50%) ', 1)}\r\n"
        )
    return f"Authentication-Results: {name};\r\n\t{spf_text};\r\n\t{dkim_text};\r\n\t{dmarc_text}\r\n"


def add_footer(raw: bytes) -> bytes:
    """What a gateway appends that scans mail: below the last boundary nobody sees it, and no signature survives it."""
    return raw + b"\r\n-- \r\nScanned by a gateway.\r\n"


def alter_amounts(raw: bytes) -> bytes:
    """Change the first digit of each money amount in the text parts, as a faulty template or currency job would."""
    message = BytesParser(policy=compat32).parsebytes(raw)
    for part in message.walk():
        if part.get_content_maintype() == "text":
            _alter_part(part)
    return message.as_bytes(policy=compat32.clone(linesep="\r\n"))


def _alter_part(part: Message) -> None:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return
    charset = part.get_content_charset("utf-8")
    try:
        altered = _MONEY.sub(_other_amount, payload.decode(charset)).encode(charset)
    except (UnicodeError, LookupError):
        return
    coding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if coding == "base64":
        altered = base64.encodebytes(altered)
    elif coding == "quoted-printable":
        altered = quopri.encodestring(altered)
    part.set_payload(altered.decode("ascii", "surrogateescape"))


def _other_amount(found: re.Match[str]) -> str:
    return re.sub(r"(?<![#\d])\d", lambda digit: str(int(digit[0]) % 9 + 1), found[0], count=1)


def strip_carriers(raw: bytes, queue_id: str) -> bytes:
    """Remove X- fields and give the message another Message-ID, as some gateways do."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    kept: list[bytes] = []
    dropping = False
    for line in head.split(b"\r\n"):
        if not line.startswith((b" ", b"\t")):
            name = line.partition(b":")[0].strip().lower()
            dropping = name.startswith(b"x-") or name == b"message-id"
        if not dropping:
            kept.append(line)
    kept.append(f"Message-ID: <{queue_id}.rewritten@{RELAY_HOST}>".encode("ascii"))
    return b"\r\n".join(kept) + gap + body


def bounce(raw: bytes, mail_from: str, recipient: str, queue_id: str, when: datetime) -> bytes:
    """A DSN (RFC 3464) in a multipart/report (RFC 6522), with the header of what could not be delivered."""
    boundary = f"dsn-{queue_id}"
    head = raw[:MAX_HEADER].partition(b"\r\n\r\n")[0] + b"\r\n"
    date = format_datetime(when)
    top = (
        f"From: Mail Delivery System <MAILER-DAEMON@{RELAY_HOST}>\r\nTo: <{mail_from}>\r\n"
        f"Subject: Undelivered Mail Returned to Sender\r\nDate: {date}\r\nMessage-ID: <{queue_id}.dsn@{RELAY_HOST}>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"Your message to <{recipient}> could not be delivered: 550 5.1.1 mailbox unavailable\r\n\r\n"
        f"--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {RELAY_HOST}\r\nX-Queue-ID: {queue_id}\r\nArrival-Date: {date}\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 mailbox unavailable\r\n\r\n"
        f"--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    )
    return top.encode("utf-8", "replace") + head + f"\r\n--{boundary}--\r\n".encode("ascii")
