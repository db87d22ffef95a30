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
@settings(max_examples=80, deadline=None, derandomize=True)
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
