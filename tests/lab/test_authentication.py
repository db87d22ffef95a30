"""The lab's mail is signed and its zones are in order, so that a healthy lab is healthy under inspection; and each fault shows."""

import ipaddress
import re
from collections.abc import Callable

import dkim
import pytest
import spf

from monitor.lab.dns import Trouble
from monitor.lab.faults import Fault, Scope
from monitor.lab.receiver import RELAY_HOST, Receiver
from monitor.lab.signing import key_record, sign, verify
from monitor.lab.world import Lab

SENDER = "bounces+tok1@shop.test"
SEED = "seed1@aurora.test"
KEY = "lab1._domainkey.shop.test"
PATH = ("smtp", "plain")


def delivered(lab: Lab, raw: bytes, to: str = SEED, **options: str) -> bytes:
    assert lab.relay.accept(SENDER, [to], raw, PATH, "probe.test (127.0.0.1)", **options).startswith("250 ")
    return lab.store.resolve(to).folders["INBOX"].messages[-1].raw


def said(raw: bytes) -> tuple[str, ...]:
    head = raw.partition(b"\r\n\r\n")[0].decode()
    return tuple(found[1] if (found := re.search(rf"\b{method}=(\w+)", head)) else "" for method in ("spf", "dkim", "dmarc"))


def verifies(lab: Lab, raw: bytes) -> bool:
    """By somebody else's verifier."""
    keys = {name: (lab.dns.look(name.rstrip("."), "TXT") or ("",))[0] for name in (KEY, KEY + ".")}
    return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: keys.get(name.decode(), "").encode() or None))


@pytest.mark.asyncio
async def test_what_the_relay_signs_others_verify(lab: Lab, letter: Callable[..., bytes]) -> None:
    for body in ("We have refunded £49.90.", "", "  trailing \t\r\n\r\n\r\n", "\r\n\r\n", "..dots\r\n tabs\t\tand  blanks "):
        raw = delivered(lab, letter(subject="A  folded\r\n\tsubject ", body=body))
        assert raw.count(b"DKIM-Signature:") == 1 and b"d=shop.test; s=lab1" in raw
        assert verifies(lab, raw) and said(raw) == ("pass", "pass", "pass")
        for name in ("from", "to", "subject", "date"):  # once more than it is there
            assert re.split(r"[=:;\s]+", raw.partition(b"bh=")[0].rpartition(b" h=")[2].decode()).count(name) == 2
    doubled = delivered(lab, b"To: other@aurora.test\r\n" + letter())
    assert verifies(lab, doubled) and said(doubled)[1] == "pass"


@pytest.mark.asyncio
async def test_only_our_authors_are_signed(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = delivered(lab, letter().replace(b"refunds@shop.test", b"x@evil.example"))
    assert b"DKIM-Signature" not in raw and said(raw) == ("pass", "none", "none")
    assert b"d=shop.test" in delivered(lab, letter().replace(b"refunds@shop.test", b"x@news.shop.test"))


@pytest.mark.asyncio
async def test_the_border_is_written_as_receivers_write_it(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = delivered(lab, letter())
    assert b"Received: from relay.shop.test (relay.shop.test [127.0.0.1])\r\n\tby mx.aurora.test with ESMTPS id 1AB" in raw
    assert b"version=TLS1_3" in raw and raw.index(b"Authentication-Results") < raw.index(b"Received:")
    lab.dns.drop_record("1.0.0.127.in-addr.arpa", "PTR")
    assert b"(unknown [127.0.0.1])" in delivered(lab, letter())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "verdicts"),
    [
        (Fault.UNSIGNED, ("pass", "none", "pass")),
        (Fault.ALTER_BODY, ("pass", "fail", "pass")),
        (Fault.ALTER_AMOUNT, ("pass", "pass", "pass")),  # before it is signed
        (Fault.STRIP_HEADER_CARRIERS, ("pass", "pass", "pass")),
        (Fault.KEY_GONE, ("pass", "permerror", "pass")),
        (Fault.AUTHENTICATION_FAIL, ("softfail", "fail", "fail")),
        (Fault.DNS_SERVFAIL, ("pass", "pass", "pass")),  # the receivers have resolvers of their own
        (Fault.DNS_DOWN, ("pass", "pass", "pass")),
    ],
)
async def test_faults_of_authentication_come_and_go(
    lab: Lab, letter: Callable[..., bytes], fault: Fault, verdicts: tuple[str, ...]
) -> None:
    for to in (SEED, "seed1@borealis.test", "seed1@cumulus.test"):
        await lab.switch_on(fault)
        raw = delivered(lab, letter(), to)
        assert said(raw) == verdicts
        if fault is not Fault.AUTHENTICATION_FAIL:
            assert verifies(lab, raw) == (verdicts[1] == "pass")
        await lab.switch_off(fault)
        assert said(delivered(lab, letter(), to)) == ("pass", "pass", "pass")


@pytest.mark.asyncio
async def test_unsigned_for_one_provider_only(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.UNSIGNED, Scope(provider="aurora.test"))
    assert said(delivered(lab, letter()))[1] == "none"
    assert said(delivered(lab, letter(), "seed1@cumulus.test"))[1] == "pass"


@pytest.mark.asyncio
async def test_v6_signs_with_a_selector_that_is_not_published(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = delivered(lab, letter(), selector="lab2")
    assert said(raw) == ("pass", "permerror", "pass") and b"header.s=lab2" in raw
    lab.dns.replace_record("lab2._domainkey.shop.test", "TXT", '"v=DKIM1; k=rsa; p=" "' + key_record().partition("p=")[2][:200] + '"')
    assert said(delivered(lab, letter(), selector="lab2"))[1] == "permerror"  # half a key
    key = key_record()
    lab.dns.replace_record("lab2._domainkey.shop.test", "TXT", f'"{key[:200]}" "{key[200:]}"')
    assert said(delivered(lab, letter(), selector="lab2"))[1] == "pass"


@pytest.mark.asyncio
async def test_receivers_read_the_zones(lab: Lab, letter: Callable[..., bytes]) -> None:
    for changes, verdicts in (
        ({("shop.test", "TXT"): '"v=spf1 ip4:192.0.2.0/24 -all"'}, ("fail", "pass", "pass")),
        ({("shop.test", "TXT"): '"v=spf1 include:aurora.test ~all"'}, ("pass", "pass", "pass")),
        ({("shop.test", "TXT"): '"v=spf1 ?all"', (KEY, "TXT"): None}, ("neutral", "permerror", "fail")),
        ({("_dmarc.shop.test", "TXT"): '"v=DMARC1; p=none; aspf=s"', (KEY, "TXT"): None}, ("pass", "permerror", "pass")),
        ({("shop.test", "TXT"): None, ("_dmarc.shop.test", "TXT"): None}, ("none", "pass", "none")),
    ):
        for (name, rtype), record in changes.items():
            lab.dns.replace_record(name, rtype, record) if record else lab.dns.drop_record(name, rtype)
        assert said(delivered(lab, letter())) == verdicts
        lab.dns.restore_records()
    lab.dns.replace_record("shop.test", "TXT", '"v=spf1 -all"')
    below = letter().replace(b"refunds@shop.test", b"refunds@news.shop.test")
    assert said(delivered(lab, below)) == ("fail", "pass", "fail")  # adkim=s
    lab.dns.replace_record("_dmarc.shop.test", "TXT", '"v=DMARC1; p=reject"')
    assert said(delivered(lab, below)) == ("fail", "pass", "pass")
    lab.dns.restore_records()
    for name, verdicts in (
        ("shop.test", ("temperror", "pass", "pass")),
        (KEY, ("pass", "temperror", "pass")),
        ("_dmarc.shop.test", ("pass", "pass", "temperror")),
    ):
        lab.dns.troubles[name] = Trouble.SERVFAIL
        assert said(delivered(lab, letter())) == verdicts
        del lab.dns.troubles[name]
    assert said(delivered(lab, letter())) == ("pass", "pass", "pass")


def test_a_receiver_takes_any_signature(letter: Callable[..., bytes]) -> None:
    raw = letter()
    good = sign(raw, "shop.test", "lab1", 1)
    for broken in (
        b"DKIM-Signature: \r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=x\xff; s=\xfe; c=relaxed/relaxed; h=\xff; b=%%%; bh=\r\n",
        good.replace(b"rsa-sha256", b"rsa-sha1"),
        good.replace(b"b=", b"b=A"),
    ):
        results = verify(broken + good + raw, lambda name: key_record())
        assert [found.result for found in results][-1] == "pass" and results[0].result in ("permerror", "fail")
    assert [found.result for found in verify(good + raw, lambda name: None)] == ["temperror"]
    assert [found.result for found in verify(good + raw, lambda name: "v=DKIM1; p=AAAA")] == ["permerror"]


@pytest.mark.asyncio
async def test_the_zones_lead_everywhere(lab: Lab) -> None:
    """From the root down each name server has an address, and the sending address has a name that leads back."""
    look = lab.dns.look
    for zone in (".", "test", "arpa", "shop.test", "aurora.test", "127.in-addr.arpa"):
        (server,) = look(zone, "NS") or ("",)
        assert look(server, "A") == ("127.0.0.1",), zone
        assert look(zone, "SOA")
    (name,) = look(ipaddress.ip_address("127.0.0.1").reverse_pointer, "PTR") or ("",)
    assert name == RELAY_HOST == Receiver(lab.dns).relay_name() and look(name, "A") == ("127.0.0.1",)
    records = {(name, kind): look(name, kind) or () for name in ("shop.test", RELAY_HOST, "mx.shop.test") for kind in ("TXT", "MX", "A")}

    def asked(name: str, qtype: str, *rest: object) -> list[object]:
        found = records.get((name.rstrip("."), qtype), ())
        if qtype == "TXT":
            return [((name, "TXT"), (text.encode(),)) for text in found]
        if qtype == "MX":
            return [((name, "MX"), (10, text.split()[1])) for text in found]
        return [((name, qtype), text) for text in found]

    before, spf.DNSLookup = spf.DNSLookup, asked
    try:
        for sender, helo in ((SENDER, RELAY_HOST), ("", RELAY_HOST)):
            assert spf.check2("127.0.0.1", sender, helo)[0] == "pass"
        assert spf.check2("192.0.2.1", SENDER, RELAY_HOST)[0] == "fail"
    finally:
        spf.DNSLookup = before


@pytest.mark.asyncio
async def test_records_are_dropped_replaced_and_restored(lab: Lab) -> None:
    before = lab.dns.look("shop.test", "TXT")
    lab.dns.drop_record("shop.test", "TXT")
    lab.dns.drop_record("shop.test", "TXT")
    assert lab.dns.look("shop.test", "TXT") == ()
    lab.dns.replace_record("shop.test", "TXT", '"one"', '"two"')
    lab.dns.replace_record("new.shop.test", "A", "192.0.2.1")
    assert set(lab.dns.look("shop.test", "TXT") or ()) == {"one", "two"} and lab.dns.look("new.shop.test", "A") == ("192.0.2.1",)
    lab.dns.restore_records("shop.test")
    assert lab.dns.look("shop.test", "TXT") == before and lab.dns.look("new.shop.test", "A") == ("192.0.2.1",)
    lab.dns.restore_records()
    assert lab.dns.look("new.shop.test", "A") == ()
    with pytest.raises(ValueError, match="not a record"):
        lab.dns.replace_record("shop.test", "A", "nonsense")
    lab.dns.replace_record("shop.test", "TXT", '"old"')
    lab.dns.set_zone("shop.test", '@ TXT "new"\n')
    lab.dns.restore_records()
    assert lab.dns.look("shop.test", "TXT") == ("new",)
