"""The DNS server against dnspython's asynchronous resolver."""

import time

import dns.asyncresolver
import dns.exception
import dns.message
import dns.rcode
import dns.resolver
import pytest

from monitor.lab.dns import DnsServer, Trouble
from monitor.lab.world import Lab


def resolver(lab: Lab) -> dns.asyncresolver.Resolver:
    found = dns.asyncresolver.Resolver(configure=False)
    found.nameservers = ["127.0.0.1"]
    found.port = lab.description.dns_port
    found.timeout, found.lifetime = 2.0, 4.0
    return found


@pytest.mark.asyncio
async def test_default_zones(lab: Lab) -> None:
    ask = resolver(lab)
    assert (await ask.resolve("shop.test", "MX"))[0].exchange.to_text() == "mx.shop.test."
    for name, start in (
        ("shop.test", b"v=spf1"),
        ("_dmarc.shop.test", b"v=DMARC1; p=reject"),
        ("lab1._domainkey.shop.test", b"v=DKIM1; k=rsa; p=MIIBIj"),
        ("aurora.test", b"v=spf1"),
        ("store.shop.test", b"v=spf1"),
    ):
        assert b"".join((await ask.resolve(name, "TXT"))[0].strings).startswith(start), name


@pytest.mark.asyncio
async def test_nxdomain_nodata_empty_non_terminal_and_foreign_zone(lab: Lab) -> None:
    ask = resolver(lab)
    with pytest.raises(dns.resolver.NXDOMAIN):
        await ask.resolve("nowhere.shop.test", "TXT")
    with pytest.raises(dns.resolver.NoAnswer):
        await ask.resolve("imap.shop.test", "TXT")
    with pytest.raises(dns.resolver.NoAnswer):
        await ask.resolve("_domainkey.shop.test", "TXT")
    with pytest.raises(dns.resolver.NXDOMAIN):
        await ask.resolve("example.org", "A")  # the lab has a root of its own
    bare = DnsServer()
    bare.set_zone("shop.test", "")
    refused = dns.message.from_wire(bare.answer(dns.message.make_query("example.org", "A").to_wire(), udp=True) or b"")
    assert refused.rcode() == dns.rcode.REFUSED


@pytest.mark.asyncio
async def test_troubles_come_and_go(lab: Lab) -> None:
    ask = resolver(lab)
    for trouble in (Trouble.SERVFAIL, Trouble.REFUSED):
        lab.dns.troubles["shop.test"] = trouble
        with pytest.raises(dns.resolver.NoNameservers):
            await ask.resolve("shop.test", "TXT")
    lab.dns.troubles["shop.test"] = Trouble.DROP
    ask.lifetime = 0.2
    with pytest.raises(dns.exception.Timeout):
        await ask.resolve("shop.test", "TXT")
    del lab.dns.troubles["shop.test"]
    assert await ask.resolve("shop.test", "TXT")


@pytest.mark.asyncio
async def test_truncation_leads_to_tcp(lab: Lab) -> None:
    ask = resolver(lab)
    lab.dns.troubles["shop.test"] = Trouble.TRUNCATE
    before = lab.dns.queries
    assert await ask.resolve("shop.test", "TXT")
    assert lab.dns.queries == before + 2
    del lab.dns.troubles["shop.test"]
    lab.dns.set_zone("big.test", "".join(f'@ TXT "{number:0200d}"\n' for number in range(40)))
    assert len(await ask.resolve("big.test", "TXT")) == 40


@pytest.mark.asyncio
async def test_cname_and_live_change(lab: Lab) -> None:
    ask = resolver(lab)
    lab.dns.set_zone("new.test", 'alias CNAME real\nreal TXT "one"\n')
    assert (await ask.resolve("alias.new.test", "TXT"))[0].strings == (b"one",)
    lab.dns.set_zone("new.test", 'alias CNAME real\nreal TXT "two"\n')
    assert (await ask.resolve("alias.new.test", "TXT"))[0].strings == (b"two",)


@pytest.mark.asyncio
async def test_garbage_gets_silence(lab: Lab) -> None:
    began = time.monotonic()
    for wire in (b"", b"\0", b"\xff" * 600, bytes(12)):
        assert lab.dns.answer(wire, udp=True) is None
    assert time.monotonic() - began < 5
