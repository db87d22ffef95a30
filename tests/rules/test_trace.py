"""Received fields of many servers, and where the receiver took a message from outside."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.mailauth import Hop
from monitor.rules.mailauth.receiver import read_receiver
from monitor.rules.mailauth.trace import MAX_HOPS, border, canonical, is_public, own_hops, parse_received

NOON = 1_795_348_800.0
DATE = "Sun, 22 Nov 2026 12:00:00 +0000"
MTA, IP, MX = "mta1.shop.example", "192.0.2.10", "mx.box.example"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            f"from mail.shop.example (mta1.shop.example [{IP}])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t"
            " key-exchange X25519)\n\t(No client certificate requested)\n\tby mx.box.example (Postfix) with ESMTPS id 4X\n\t"
            f"for <a@box.example>; {DATE} (UTC)",
            Hop(MX, "mail.shop.example", MTA, IP, "ESMTPS", True, NOON),
            id="Postfix, TLS",
        ),
        pytest.param(
            f"from {MTA} (unknown [{IP}]) by {MX} (Postfix) with ESMTP id 4X for <a@box.example>; {DATE}",
            Hop(MX, MTA, "", IP, "ESMTP", False, NOON),
            id="Postfix, in clear",
        ),
        pytest.param(
            f"from {MTA} ({MTA} [IPv6:2001:db8::10]) by {MX} (Postfix) with ESMTPS id 4X; {DATE}",
            Hop(MX, MTA, MTA, "2001:db8::10", "ESMTPS", True, NOON),
            id="Postfix, IPv6",
        ),
        pytest.param(
            f"from localhost (localhost [127.0.0.1]) by {MX} (Postfix) with ESMTP id 4X; {DATE}",
            Hop(MX, "localhost", "localhost", "127.0.0.1", "ESMTP", False, NOON),
            id="Postfix, filter",
        ),
        pytest.param(
            f"by {MX} (Postfix, from userid 33) id 4X; {DATE}",
            Hop(MX, at=NOON),
            id="Postfix, local",
        ),
        pytest.param(
            f"from mta1.shop.example ([{IP}] helo=mail.shop.example) by {MX} with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.97)"
            f" (envelope-from <b@shop.example>) id 1r-00; {DATE}",
            Hop(MX, "mail.shop.example", MTA, IP, "ESMTPS", True, NOON),
            id="Exim",
        ),
        pytest.param(
            f"from mta1.shop.example ([{IP}]:4711) by {MX} with esmtp (Exim 4.97) id 1r-00; {DATE}",
            Hop(MX, MTA, "", IP, "ESMTP", False, NOON),
            id="Exim, the name is the greeting, port",
        ),
        pytest.param(
            f"from [{IP}] (port=4711 helo=mail.shop.example) by {MX} with esmtpsa (TLS1.2:ECDHE:256) (Exim 4.92) id 1r-00; {DATE}",
            Hop(MX, "mail.shop.example", "", IP, "ESMTPSA", True, NOON),
            id="Exim, no reverse name",
        ),
        pytest.param(
            f"from [{IP}] (helo=[198.51.100.7]) by {MX} with smtp (Exim 4.97) id 1r-00; {DATE}",
            Hop(MX, "[198.51.100.7]", "", IP, "SMTP", False, NOON),
            id="Exim, literal",
        ),
        pytest.param(
            f"from mail.shop.example ({MTA} [{IP}] (may be forged)) by {MX} (8.17.1/8.17.1) with ESMTPS id x"
            f" (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO) for <a@box.example>; {DATE}",
            Hop(MX, "mail.shop.example", MTA, IP, "ESMTPS", True, NOON),
            id="Sendmail",
        ),
        pytest.param(
            f"from mail.shop.example ({IP}) by AM1.mail.protection.outlook.com (10.167.1.1) with Microsoft SMTP Server (version=TLS1_3,"
            f" cipher=TLS_AES_256_GCM_SHA384) id 15.20.1 via Frontend Transport; {DATE}",
            Hop("am1.mail.protection.outlook.com", "mail.shop.example", "", IP, "SMTP", True, NOON),
            id="Exchange Online",
        ),
        pytest.param(
            "from A.prod.outlook.com ([fe80::1%4]) by B.prod.outlook.com ([fe80::2%5]) with mapi id 15.20.1; " + DATE,
            Hop("b.prod.outlook.com", "a.prod.outlook.com", "", "fe80::1", "MAPI", None, NOON),
            id="Exchange, inside",
        ),
        pytest.param(
            f"from A.prod.outlook.com (2603:10a6::5) by B.prod.outlook.com with HTTPS; {DATE}",
            Hop("b.prod.outlook.com", "a.prod.outlook.com", "", "2603:10a6::5", "HTTPS", True, NOON),
            id="Exchange Online, inside",
        ),
        pytest.param(
            f"from {MTA} ({MTA}. [{IP}]) by mx.google.com with ESMTPS id x-1 for <a@box.example> (version=TLS1_3"
            " cipher=TLS_AES_256_GCM_SHA384 bits=256/256); Sun, 22 Nov 2026 04:00:00 -0800 (PST)",
            Hop("mx.google.com", MTA, MTA, IP, "ESMTPS", True, NOON),
            id="Gmail",
        ),
        pytest.param(
            "by 2002:a05:7300:a58c:b0:1:2:3 with SMTP id x; Sun, 22 Nov 2026 04:00:00 -0800 (PST)",
            Hop("2002:a05:7300:a58c:b0:1:2:3", protocol="SMTP", tls=False, at=NOON),
            id="Gmail, inside",
        ),
        pytest.param(
            f"from unknown (HELO {MTA}) ({IP}) by {MX} with SMTP; 22 Nov 2026 12:00:00 -0000",
            Hop(MX, MTA, "", IP, "SMTP", False, NOON),
            id="qmail",
        ),
        pytest.param(
            f"from {MTA} (HELO mail.shop.example) (ident@{IP}) by {MX} with (AES256-SHA encrypted) SMTP; 22 Nov 2026 12:00:00 -0000",
            Hop(MX, "mail.shop.example", MTA, IP, "SMTP", True, NOON),
            id="netqmail, TLS",
        ),
        pytest.param("(qmail 4711 invoked from network); 22 Nov 2026 12:00:00 -0000", Hop(at=NOON), id="qmail, inside"),
        pytest.param(
            f"from {IP} (EHLO {MTA}) by 10.197.37.7 with SMTPs (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256); {DATE}",
            Hop("10.197.37.7", MTA, "", IP, "SMTPS", True, NOON),
            id="Yahoo",
        ),
        pytest.param(
            f"from 127.0.0.1  (EHLO {MTA}) ({IP}) by mta1.mail.ne1.yahoo.com with SMTP; {DATE}",
            Hop("mta1.mail.ne1.yahoo.com", MTA, "", IP, "SMTP", False, NOON),
            id="Yahoo, old",
        ),
        pytest.param(
            f"from {MX} by imap.box.example with LMTP id abc (envelope-from <b@shop.example>) for <a@box.example>; {DATE}",
            Hop("imap.box.example", MX, protocol="LMTP", tls=False, at=NOON),
            id="Dovecot LMTP",
        ),
        pytest.param(
            f"from {MX} ([10.0.0.1]) by imap.box.example with LMTPS id abc; {DATE}",
            Hop("imap.box.example", MX, "", "10.0.0.1", "LMTPS", True, NOON),
            id="Dovecot LMTPS",
        ),
        pytest.param(
            f"from {MTA} ([{IP}]) by mx-ha.gmx.net (mxgmx105 [212.227.15.9]) with ESMTPS (Nemesis) id 1M for <a@box.example>; {DATE}",
            Hop("mx-ha.gmx.net", MTA, "", IP, "ESMTPS", True, NOON),
            id="GMX",
        ),
        pytest.param(
            f"from {MTA} ({IP}) by out.esp.example id h1 for <a@box.example>; {DATE} (envelope-from <b@shop.example>)",
            Hop("out.esp.example", MTA, "", IP, "", None, NOON),
            id="PowerMTA",
        ),
        pytest.param(
            f"from ip-10-0-0-7 ([{IP}]) by email-smtp.example with SMTP (SimpleEmailService-d-X) id 0100; {DATE}",
            Hop("email-smtp.example", "ip-10-0-0-7", "", IP, "SMTP", False, NOON),
            id="Amazon SES",
        ),
        pytest.param(
            f"from {MTA} ({MTA} [{IP}]) by relay.gateway.example with ESMTP with STARTTLS (version=TLSv1.2, bits=256) id x; {DATE}",
            Hop("relay.gateway.example", MTA, MTA, IP, "ESMTP", True, NOON),
            id="Mimecast",
        ),
        pytest.param(
            f"from {MTA} ({MTA} [{IP}])\n\tby {MX} (OpenSMTPD) with ESMTPS id abc (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO); {DATE}",
            Hop(MX, MTA, MTA, IP, "ESMTPS", True, NOON),
            id="OpenSMTPD",
        ),
        pytest.param(
            f"from {MTA} ({MTA} [{IP}])\n\tby {MX} ([198.51.100.1]) via tcp with ESMTPS id abc (TLS1.3 TLS_AES_128_GCM_SHA256); {DATE}",
            Hop(MX, MTA, MTA, IP, "ESMTPS", True, NOON),
            id="mox",
        ),
        pytest.param(
            f"from {MTA} ({MTA} [{IP}]) (using TLSv1_3 with cipher TLS13_AES_256) by {MX} (Stalwart SMTP) with UTF8SMTPSA id abc; {DATE}",
            Hop(MX, MTA, MTA, IP, "UTF8SMTPSA", True, NOON),
            id="Stalwart",
        ),
        pytest.param(f"FROM {MTA} ([{IP}]) BY {MX} WITH ESMTP ID x; {DATE}", Hop(MX, MTA, "", IP, "ESMTP", False, NOON), id="upper case"),
        pytest.param(
            "from by (by [192.0.2.1]) by with with esmtp; x", Hop("with", "by", "by", "192.0.2.1", "ESMTP", False), id="keywords as names"
        ),
        pytest.param(f"from {MTA} ({MTA} [{IP} by {MX} with ESMTP; {DATE}", Hop(helo=MTA), id="never closed"),
        pytest.param(f"from {MTA} ([{IP}])) by {MX}; Sun, 99 Nov 2026 12:00:00", Hop(MX, MTA, "", IP), id="closed twice, no date"),
        pytest.param("", Hop(), id="empty"),
        pytest.param("from", Hop(), id="a word alone"),
        pytest.param(
            f"from TLSv1.3 (TLSv1.3 [{IP}]) by {MX} with ESMTP", Hop(MX, "tlsv1.3", "tlsv1.3", IP, "ESMTP", False), id="TLS as a name"
        ),
    ],
)
def test_parse(value: str, expected: Hop) -> None:
    assert parse_received(value) == expected


def hop(by: str, helo: str = "", address: str = "", protocol: str = "ESMTPS", name: str = "") -> Hop:
    return Hop(by, helo, name, address, protocol, True)


OUTSIDE = hop(MX, MTA, IP)
LMTP = hop("imap.box.example", MX, "10.0.0.1", "LMTP")
FILTER = hop(MX, "localhost", "127.0.0.1")
BELOW = hop(MTA, "app", "198.51.100.5", "ESMTPSA")
OUTLOOK = [
    hop("b.prod.outlook.com", "a.prod.outlook.com", "2603:10a6::5", "HTTPS"),
    hop("c.outlook.office365.com", "d.prod.outlook.com", "2603:10a6::6"),
    hop("am1.mail.protection.outlook.com", MTA, IP, "SMTP"),
    BELOW,
]
FASTMAIL = [
    hop("compute1.internal", "mailmx.nyi.internal", "10.202.2.1", "LMTPA"),
    hop("mailmx.nyi.internal", "mx1", "10.202.2.2", "ESMTP"),
    hop("mx1.messagingengine.com", MTA, IP),
    BELOW,
]


@pytest.mark.parametrize(
    ("hops", "address", "expected", "own"),
    [
        pytest.param([], "", None, 0, id="no trace"),
        pytest.param([OUTSIDE, BELOW], "", OUTSIDE, 1, id="direct"),
        pytest.param([LMTP, OUTSIDE, BELOW], "", OUTSIDE, 2, id="LMTP above"),
        pytest.param([LMTP, FILTER, OUTSIDE, BELOW], "", OUTSIDE, 3, id="filter above"),
        pytest.param([hop("imap.box.example", MX, "192.0.2.25", "LMTP"), OUTSIDE, BELOW], "", OUTSIDE, 2, id="own public host above"),
        pytest.param([OUTSIDE, hop(MX, "evil.example", "192.0.2.66")], "", OUTSIDE, 1, id="a forged one of the receiver below"),
        pytest.param([FILTER, BELOW], "", FILTER, 1, id="loopback when there is nothing better"),
        pytest.param([FILTER, hop(MX, "app", "10.0.0.5"), BELOW], "", hop(MX, "app", "10.0.0.5"), 2, id="private before loopback"),
        pytest.param(
            [hop("2002:a05::1", protocol="SMTP"), hop("mx.google.com", MTA, IP), BELOW], "", hop("mx.google.com", MTA, IP), 2, id="Gmail"
        ),
        pytest.param(OUTLOOK, "", OUTLOOK[2], 3, id="Outlook"),
        pytest.param(OUTLOOK, IP, OUTLOOK[2], 3, id="Outlook, by what its results say"),
        pytest.param(FASTMAIL, "", FASTMAIL[2], 3, id="Fastmail, whose inside has other names"),
        pytest.param(
            [hop("mx.box.co.uk", "mx.shop.co.uk", "192.0.2.10"), BELOW],
            "",
            hop("mx.box.co.uk", "mx.shop.co.uk", "192.0.2.10"),
            1,
            id="co.uk",
        ),
        pytest.param([hop(MX, MTA, "127.0.0.1"), hop(MTA, "app", "10.0.0.7", "ESMTP")], "", hop(MX, MTA, "127.0.0.1"), 1, id="a lab"),
        pytest.param([OUTSIDE, BELOW], "198.51.100.5", BELOW, 1, id="the results name a hop further down"),
        pytest.param([OUTSIDE, BELOW], "198.51.100.99", OUTSIDE, 1, id="the results name nobody's address"),
        pytest.param([hop("mx.shop.example", MTA, IP), BELOW], "", hop("mx.shop.example", MTA, IP), 1, id="to ourselves"),
        pytest.param([hop("localhost", "x", ""), OUTSIDE], "", OUTSIDE, 2, id="fetched by a local program"),
    ],
)
def test_border(hops: list[Hop], address: str, expected: Hop | None, own: int) -> None:
    assert border(hops, address) == expected
    assert own_hops(hops) == own


R = ("received", f"from {MTA} ({MTA} [{IP}]) by {MX} (Postfix) with ESMTPS id x; {DATE}")
R2 = ("received", f"from app ([10.1.1.1]) by {MTA} (Postfix) with ESMTPSA id x; {DATE}")
AR = ("authentication-results", f"{MX}; spf=pass smtp.mailfrom=shop.example")
FORGED = ("authentication-results", f"{MX}; dkim=pass header.d=shop.example; dmarc=pass header.from=shop.example")


@pytest.mark.parametrize(
    ("fields", "spf", "dkim", "untrusted"),
    [
        pytest.param([AR, R, R2], "pass", "absent", (), id="above the border"),
        pytest.param([R, AR, R2], "pass", "absent", (), id="a milter's, below the border's own field"),
        pytest.param([AR, R, R2, FORGED], "pass", "absent", (MX,), id="below what the sender's side wrote"),
        pytest.param([R, R2, FORGED], "absent", "absent", (MX,), id="only a forged one"),
        pytest.param([FORGED], "absent", "pass", (), id="no trace at all"),
        pytest.param([R, FORGED], "absent", "pass", (), id="sent directly"),
    ],
)
def test_position_decides_what_is_trusted(fields: list[tuple[str, str]], spf: str, dkim: str, untrusted: tuple[str, ...]) -> None:
    receiver = read_receiver([*fields, ("subject", "x")], [MX])
    assert (receiver.said.auth.spf.value, receiver.said.auth.dkim.value) == (spf, dkim)
    assert receiver.said.untrusted == untrusted


def test_everything_is_bounded() -> None:
    receiver = read_receiver([R] * 200 + [AR] * 200 + [("x-spam-flag", "YES")] * 200, [MX])
    assert len(receiver.hops) == MAX_HOPS and len(receiver.hints) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("IPv6:2001:DB8::0001", "2001:db8::1"),
        ("[ipv6:::1]", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.1;", "192.0.2.1"),
        ("192.0.2", ""),
        ("192.0.2.256", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_canonical(text: str, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize("address", ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "9.9.9.9", "2620:fe::fe"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "fe80::1",
        "fc00::1",
        "224.0.0.1",
        "0.0.0.0",
        "",
        "x",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


SHREDS = [
    "from",
    "by",
    "with",
    "id",
    "for",
    ";",
    "(",
    ")",
    "[",
    "]",
    " ",
    "\n\t",
    "192.0.2.1",
    "::",
    "helo=",
    "HELO ",
    "TLS",
    "ESMTPS",
    DATE,
    "=",
    "@",
    "é",
    "%",
]
heaps = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(SHREDS), max_size=40).map(" ".join),
    st.lists(st.sampled_from(SHREDS), max_size=40).map("".join),
)


@pytest.mark.hostile
@given(heaps)
@settings(max_examples=250, deadline=None, derandomize=True)
def test_any_text(value: str) -> None:
    found = parse_received(value)
    assert found.address == canonical(found.address)
    assert max(map(len, (found.by, found.helo, found.name, found.protocol))) <= 255


@pytest.mark.hostile
@given(st.lists(heaps, max_size=8), st.text(max_size=20))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_chain(values: list[str], address: str) -> None:
    hops = [parse_received(value) for value in values]
    assert 0 <= own_hops(hops) <= len(hops)
    found = border(hops, address)
    assert found is None or found in hops
    names = ["received", "authentication-results", "x-spam-status", "x-forefront-antispam-report"]
    read_receiver([(names[position % 4], value) for position, value in enumerate(values)], ["*", "mx"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["(", ")", "()", "((a", "from ", "by ", ";", "[", "[1", "helo=", "helo", " ", "a", "a.", "1.", "=", "\\(", "é", "(HELO ", "x@", ":"],
)
def test_no_piece_explodes(piece: str) -> None:
    value = piece * (1_000_000 // len(piece))
    parse_received(value)
    read_receiver([("received", value), ("received", f"from x ({value}) by y; {value}"), ("authentication-results", value)] * 30, ["*"])
