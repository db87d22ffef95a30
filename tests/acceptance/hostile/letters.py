"""Hostile mail, as bytes. Everything here may be sent to a seed mailbox by anyone."""

from __future__ import annotations

import re

TOKEN_FIELD = re.compile(rb"^X-Mailcanary-Token: *([a-z2-7]{40})", re.IGNORECASE | re.MULTILINE)
MIB = 1 << 20


def letter(*fields: str, body: bytes = b"hello\r\n", subject: str = "hello") -> bytes:
    head = ["From: Mallory <mallory@elsewhere.test>", "To: you", f"Subject: {subject}", *fields]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def refund(subject: str = "Your refund", body: bytes = b"We have refunded EUR 99.00 to you.\r\n") -> bytes:
    """Refund mail that is nobody's probe."""
    return letter(subject=subject, body=body)


def token_of(raw: bytes) -> str:
    found = TOKEN_FIELD.search(raw)
    assert found is not None
    return found[1].decode()


def marked(token: str, *, body: bytes = b"hello\r\n") -> bytes:
    return letter(f"X-Mailcanary-Token: {token}", f"Message-ID: <{token}@elsewhere.test>", body=body)


def forged(token: str) -> str:
    """The same token with another signature."""
    return token[:-6] + ("a" if token[-6] != "a" else "b") + token[-5:]


def resent_by_a_stranger(raw: bytes) -> bytes:
    """Our own message with our token, a link of theirs, their Message-ID, and the receiver's word that it is not authenticated."""
    head, _, body = raw.partition(b"\r\n\r\n")
    host = re.search(rb"^Authentication-Results: *([^;\s]+)", head, re.IGNORECASE | re.MULTILINE)
    assert host is not None, head
    fields = [
        field for field in re.split(rb"\r\n(?![ \t])", head) if not field.lower().startswith((b"authentication-results:", b"message-id:"))
    ]
    results = b"Authentication-Results: " + host[1] + b"; spf=fail smtp.mailfrom=evil.test; dkim=none; dmarc=fail header.from=evil.test"
    return (
        b"\r\n".join([results, b"Message-ID: <other@evil.test>", *fields])
        + b"\r\n\r\n"
        + body.replace(b"</body>", b"<p>click here</p></body>", 1).replace(
            b"\r\n--", b"\r\nNow log in at http://evil.test/ at once!\r\n--", 2
        )
    )


def report(raw: bytes) -> bytes:
    """A delivery status notification (RFC 3464) by nobody in particular that returns our message."""
    return (
        b"From: Mailer Daemon <mailer-daemon@evil.test>\r\nTo: you\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nYour mail was not delivered: EUR 10.00\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; evil.test\r\n\r\n"
        b"Final-Recipient: rfc822; seed1@aurora.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 \x1b]0;owned\x07 no such user\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + raw + b"\r\n--b--\r\n"
    )


def autoreply(raw: bytes) -> bytes:
    quoted = b"".join(b"> " + line + b"\r\n" for line in raw.splitlines())
    return (
        b"From: Somebody <away@elsewhere.test>\r\nTo: you\r\nSubject: Re: Your refund\r\nAuto-Submitted: auto-replied\r\n"
        b"In-Reply-To: <" + token_of(raw).encode() + b"@shop.test>\r\n\r\nI am on holiday.\r\n\r\n" + quoted
    )


def forward(raw: bytes) -> bytes:
    return (
        b"From: Somebody <fwd@elsewhere.test>\r\nTo: you\r\nSubject: Fwd: look at this\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="f"\r\n\r\n--f\r\nContent-Type: text/plain\r\n\r\nfyi\r\n'
        b"--f\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + raw + b"\r\n--f--\r\n"
    )


def huge(size: int = 40 * MIB) -> bytes:
    line = b"A" * 76 + b"\r\n"
    return letter("MIME-Version: 1.0", "Content-Type: text/plain", body=line * (size // len(line)))


def many_parts(count: int = 10_000) -> bytes:
    body = b"".join(b"--x\r\nContent-Type: text/plain\r\n\r\nEUR %d.00 refund\r\n" % number for number in range(count))
    return letter("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="x"', body=body + b"--x--\r\n")


def nested(depth: int = 2_000) -> bytes:
    body = b"".join(b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (number, number) for number in range(depth))
    return letter("MIME-Version: 1.0", "Content-Type: message/rfc822", body=body)


def oddities(token: str) -> list[bytes]:
    """Mail that breaks readers, or that tries to smuggle a token where it does not belong. None is refund mail."""
    half = len(token) // 2
    return [
        b"",
        b"\r\n",
        b"no headers at all, only words\r\n",
        b"\0" * 4096,
        letter(body=b"a\0b\0c" * 1000),
        letter(body=b"bare\rcarriage\rreturns\nand\nline\nfeeds\r\r\n\n\r"),
        b"From: x\rX-Mailcanary-Token: " + token.encode() + b"\r\n\r\nbare CR before a field\r\n",
        b"Subject: " + b"=?utf-8?q?" * 5000 + b"\r\n\r\n",
        letter("X: " + "y" * 200_000),
        b"".join(b"X-%d: y\r\n" % number for number in range(50_000)) + b"\r\n",
        letter(subject=f"=?utf-8?q?X-Mailcanary-Token:_{token}?="),
        letter(subject=f"=?utf-8?q?{token[:half]}?=\r\n =?utf-8?q?{token[half:]}?="),
        letter(f"X-Other: {token[:half]}\r\n {token[half:]}"),
        letter("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=", body=b"--\r\n--\r\n--"),
        letter("MIME-Version: 1.0", "Content-Type: text/html; charset=\x1b[31m", body=b"<" * 300_000),
        letter("MIME-Version: 1.0", "Content-Type: text/html", body=b"<div>" * 60_000),
        letter("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"!!!!" * 50_000),
        bytes(range(256)) * 500,
        nested(),
        many_parts(),
    ]
