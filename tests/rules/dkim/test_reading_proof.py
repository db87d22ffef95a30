"""Reading a delivered message: what is counted, whose it is, what is missing, and how hostile ones end."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import DnsFailure
from monitor.model.mailauth import BodyHash, DeliveredMail, SignatureState
from monitor.rules import mime
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import arc, dkim
from monitor.rules.mailauth.delivered import COUNTED, MAX_RAW, read_proof
from monitor.rules.mailauth.dkim.signature import MOST_SIGNATURES
from monitor.rules.mailauth.dkim.tags import MOST
from tests.rules.dkim.signing import MESSAGE, ed25519, rsa, seal, sign
from tests.rules.inspect.worlds import NOW, Dns, World

BUDGET = 5.0  # seconds of CPU for one hostile message; they take a few hundredths
DNS = Dns({"s1._domainkey.shop.test TXT": [rsa().record()], "e1._domainkey.shop.test TXT": [ed25519().record()]})
TRUSTED = ("mx.box.test",)


def read(raw: bytes, truncated: bool = False) -> DeliveredMail:
    return read_proof(raw, truncated, TRUSTED)


def states(mail: DeliveredMail, dns: Dns = DNS) -> list[SignatureState]:
    return World(dns).asked(lambda lookup: [dkim.verify(one, lookup, NOW).state for one in mail.signatures])


def with_from(value: bytes) -> DeliveredMail:
    return read(MESSAGE.replace(b"From: Shop <refunds@shop.test>", b"From:" + value))


@pytest.mark.parametrize(
    "value, domains",
    [
        (b" refunds@shop.test", ("shop.test",)),
        (b" Shop <refunds@SHOP.Test.>", ("shop.test",)),
        (b' "a@b.example, <c@d.example>" <refunds@shop.test>', ("shop.test",)),
        (b" refunds@shop.test (see x@y.example)", ("shop.test",)),
        (b" (the shop (x@y.example)) refunds@shop.test", ("shop.test",)),
        (b" a@one.test, B <b@two.test>", ("one.test", "two.test")),
        (b" Shop\r\n\t<refunds@shop.test>", ("shop.test",)),
        (" Süd <x@süd.test>".encode(), ("xn--sd-xka.test",)),
        (" Süß <x@süß.test>".encode(), ("süß.test",)),  # never süss.test
        (b" group: a@one.test, b@two.test;", ("one.test", "two.test")),
        (b" nobody", ()),
        (b"", ()),
        (b" <>", ()),
        (b' "unclosed <x@shop.test>', ()),
    ],
)
def test_author_domains(value: bytes, domains: tuple[str, ...]) -> None:
    found = with_from(value).author_domains
    assert found == domains


@pytest.mark.parametrize(
    "field, said, domain",
    [
        (b"", False, ""),
        (b"Return-Path: <>\r\n", True, ""),
        (b"Return-Path: <bounce+x@Mail.Shop.test>\r\n", True, "mail.shop.test"),
        (b"Return-Path: bounce@shop.test\r\nReturn-Path: <below@evil.test>\r\n", True, "shop.test"),
    ],
)
def test_envelope(field: bytes, said: bool, domain: str) -> None:
    mail = read(field + MESSAGE)
    assert (mail.envelope_said, mail.envelope_domain) == (said, domain)


def test_fields_are_counted() -> None:
    counts = dict(read(b"List-Unsubscribe: <https://x.test>\r\nSUBJECT : two\r\n" + sign()).fields)
    assert set(counts) == set(COUNTED)
    assert (counts["subject"], counts["from"], counts["dkim-signature"], counts["received"], counts["cc"]) == (2, 1, 1, 1, 0)
    assert counts["list-unsubscribe"] == 1


def test_field_behind_a_bare_lf_is_counted_as_a_reader_would_see_it() -> None:
    hidden = MESSAGE.replace(b"Subject: Your", b"X-A: b\nFrom: evil@example.com\r\nSubject: Your")
    assert dict(read(hidden).fields)["from"] == 2
    assert "a line ends with a bare LF" in read(hidden).faults


def test_date_and_receiver() -> None:
    results = b"Authentication-Results: mx.box.test; dkim=pass header.d=shop.test; spf=pass smtp.mailfrom=shop.test\r\n"
    mail = read(results + MESSAGE)
    assert mail.dated == NOW
    assert (mail.said.dkim.value, mail.said.spf.value, mail.said.authserv_id) == ("pass", "pass", "mx.box.test")
    assert mail.hops[0].address == "192.0.2.10"
    assert mail.border is not None and mail.border.address == "192.0.2.10"


@pytest.mark.parametrize(
    "date", [b"soon", b"1 Jan 99999999999 00:00:00 +9999", b"Mon, 99 Foo 2026", b"\xff\xff", b"Sun, 22 Nov 2026 12:00:00 +0000 " * 50]
)
def test_odd_dates(date: bytes) -> None:
    mail = read(MESSAGE.replace(b"Date: Sun, 22 Nov 2026 12:00:00 +0000", b"Date: " + date))
    assert mail.dated is None or isinstance(mail.dated, float)


def test_lone_lf_verifies_and_is_told() -> None:
    raw = sign(sign(form="simple/simple"), ed25519(), selector="e1")
    mail = read(raw.replace(b"\r\n", b"\n"))
    assert states(mail) == [SignatureState.PASS, SignatureState.PASS]
    assert any("CRLF was put back" in fault for fault in mail.faults)


def test_mixed_line_ends_are_hashed_as_they_stand() -> None:
    raw = sign().replace(b"The shop\r\n", b"The shop\n")
    assert states(read(raw)) == [SignatureState.BODY_ALTERED]


def test_truncation_is_said_and_never_a_failure() -> None:
    raw = sign()
    for cut in range(0, len(raw), 7):
        mail = read(raw[:cut], truncated=True)
        assert mail.truncated and mail.header_cut == (b"\r\n\r\n" not in raw[:cut].removesuffix(b"\r"))
        assert all(state in (SignatureState.UNREAD, SignatureState.MALFORMED) for state in states(mail))
        assert not mail.faults


def test_longer_than_the_bound_is_truncated() -> None:
    mail = read(sign() + b"x\r\n" * (MAX_RAW // 3))
    assert mail.truncated and mail.signatures[0].body is BodyHash.UNREAD


def test_everything_survives_the_journal() -> None:
    mail = read(seal(sign(sign(forced={"l": "9" * 70, "t": "9" * 70}), ed25519(), selector="e1")))
    assert msgspec.json.decode(msgspec.json.encode(mail), type=DeliveredMail) == mail
    assert {one.length for one in mail.signatures} == {None, MOST}


def test_no_address_of_a_person_is_kept() -> None:
    mail = read(b"Return-Path: <someone@shop.test>\r\n" + sign(forced={"i": "someone@shop.test"}))
    assert b"someone" not in msgspec.json.encode(mail) and b"refunds@" not in msgspec.json.encode(mail)
    assert b"seed@" not in msgspec.json.encode(mail)


def test_one_reading_stays_small() -> None:
    assert len(msgspec.json.encode(read(sign(sign(), ed25519(), selector="e1")))) < 4096


# --- hostile ---------------------------------------------------------------------------------------------------------

HUGE = MAX_RAW - 2000
HEAD, _, _ = MESSAGE.partition(b"\r\n\r\n")
HOSTILE: dict[str, Callable[[], bytes]] = {
    "spaces in the body": lambda: sign() + b" " * HUGE,
    "spaces and tabs by turns": lambda: sign() + b" \t" * (HUGE // 2),
    "blank lines": lambda: sign() + b"\r\n" * (HUGE // 2),
    "spaces before line ends": lambda: sign() + b"  \r\n" * (HUGE // 4),
    "bare CRs": lambda: sign() + b"\r" * HUGE,
    "a folded field": lambda: b"X: a" + b"\r\n " * (HUGE // 3) + b"\r\n" + sign(),
    "a field of spaces": lambda: b"X:" + b" " * HUGE + b"\r\n" + sign(),
    "many fields": lambda: b"A: b\r\n" * (HUGE // 6) + b"\r\n",
    "1,000 signatures": lambda: b"".join([sign()[: sign().index(b"Received:")]] * 400) + MESSAGE,
    "bare signature fields": lambda: b"DKIM-Signature: v=1\r\n" * 1000 + MESSAGE,
    "a signature of semicolons": lambda: b"DKIM-Signature: " + b";" * HUGE + b"\r\n" + MESSAGE,
    "a signature of colons": lambda: b"DKIM-Signature: v=1; a=rsa-sha256; h=" + b":" * 15_000 + b"; b=aa\r\n" + MESSAGE,
    "h= of one name": lambda: (
        b"DKIM-Signature: v=1; a=rsa-sha256; bh=aaaa; d=a.test; s=s; h=" + b"from:" * 3000 + b"from; b=aaaa\r\n" + MESSAGE
    ),
    "spaces around b": lambda: b"DKIM-Signature: " + b"; \t" * 4000 + b"b" + b" " * 4000 + b"\r\n" + MESSAGE,
    "50 large ARC sets": lambda: (
        b"".join(
            b"ARC-Authentication-Results: i=%d; %s\r\nARC-Message-Signature: i=%d; b=%s\r\nARC-Seal: i=%d; cv=pass; b=%s\r\n"
            % (n, b"x" * 3000, n, b"A" * 3000, n, b"A" * 3000)
            for n in range(1, 51)
        )
        + MESSAGE
    ),
    "ARC fields": lambda: b"ARC-Seal: i=1; cv=none\r\n" * 1000 + MESSAGE,
    "ARC instances of spaces": lambda: (b"ARC-Seal: " + b";i " * 5000 + b"\r\n") * 30 + MESSAGE,
    "NULs": lambda: b"\0" * HUGE,
    "From of quotes": lambda: (b'From: "' + b'\\"' * 2000 + b"\r\n") * 100 + MESSAGE,
    "From of parentheses": lambda: (b"From: " + b"(" * 4000 + b"\r\n") * 100 + MESSAGE,
    "From of words": lambda: (b"From: " + b"a" * 4000 + b"\r\n") * 100 + MESSAGE,
    "From of angles": lambda: (b"From: " + b"<" * 4000 + b"\r\n") * 100 + MESSAGE,
    "Message-ID of signs": lambda: b"Message-ID: " + b"<a@" * 5000 + b"\r\n" + MESSAGE,
    "no colon": lambda: b"a" * HUGE,
    "names that end in spaces": lambda: b"a" + b" " * HUGE,
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    raw = HOSTILE[name]()
    began = time.process_time()
    mail = read(raw)
    World(DNS).asked(lambda lookup: (states(mail), arc.verify_chain(mail, lookup, NOW)))
    assert time.process_time() - began < BUDGET
    assert len(mail.signatures) <= MOST_SIGNATURES and len(mail.arc) <= arc.MOST_SETS
    assert len(msgspec.json.encode(mail)) < 200_000


def test_signatures_beyond_the_bound_are_counted() -> None:
    raw = sign()
    field = raw[: raw.index(b"Received:")]
    mail = read(field * 30 + MESSAGE)
    assert (len(mail.signatures), mail.signatures_ignored) == (MOST_SIGNATURES, 20)
    assert set(states(mail)) == {SignatureState.PASS}


PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b";", b":", b"=", b"@", b"<", b">", b'"', b"(", b"\xff", b"\r\n\r\n"),
    *(b"DKIM-Signature: ", b"v=1;", b"a=rsa-sha256;", b"b=", b"bh=", b"h=from:to;", b"d=shop.test;", b"s=s1;", b"i==40;", b"l=9;", b"x=1;"),
    *(b"ARC-Seal: ", b"ARC-Message-Signature: ", b"ARC-Authentication-Results: ", b"i=1;", b"cv=none;", b"From: ", b"Date: ", b"AAAA"),
    *(b"Received: from x ([192.0.2.1])", b"Authentication-Results: mx.box.test; dkim=pass", b"Return-Path: "),
]


@pytest.mark.hostile
@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join) | st.binary(max_size=500), st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_heap_of_fragments(raw: bytes, truncated: bool) -> None:
    mail = read_proof(raw, truncated, TRUSTED)
    lookup = Lookup({})
    for one in mail.signatures:
        dkim.verify(one, lookup, NOW)
    arc.verify_chain(mail, lookup, NOW)
    assert msgspec.json.decode(msgspec.json.encode(mail), type=DeliveredMail) == mail


@pytest.mark.hostile
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=3))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_no_altered_octet_of_what_is_signed_passes(at: int, octets: bytes) -> None:
    """Whatever is overwritten: either the canonical form is the same, or the signature fails."""
    raw = sign(pair=ed25519(), form="simple/simple", selector="e1")
    at %= len(raw)
    altered = raw[:at] + octets + raw[at + len(octets) :]
    mail = read(altered)
    start, end = raw.index(b"From:"), raw.index(b"The shop")
    if altered != raw and start <= at and at + len(octets) <= end:
        assert SignatureState.PASS not in states(mail)


def test_unknown_dns_never_fails_a_signature() -> None:
    for failure in DnsFailure:
        dark = Dns(fails={"s1._domainkey.shop.test TXT": failure})
        if failure is not DnsFailure.PENDING:
            assert states(read(sign()), dark) == [SignatureState.TEMPERROR]


def test_bound_is_that_of_the_watcher() -> None:
    assert MAX_RAW == mime.MAX_RAW


def test_where_replies_go() -> None:
    raw = MESSAGE.replace(b"Subject:", b"Reply-To: Help <help@HELP.test>, x@other.test, y@other.test\r\nSubject:", 1)
    assert read(raw).reply_domains == ("help.test", "other.test")
