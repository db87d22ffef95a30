"""Zones that are all right, for the tests of facets and drift."""

from __future__ import annotations

from dataclasses import replace

from monitor.model.inspection import Selector, Subject
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns

KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC199HwS4+AxUt2tolsEFLYR/9egiYa0H2RcmJPk/ZEFq1LlSwHHpsooy04y5IOOCzQY/uYH3lvaMfskApP33Tmpbt39YWE4k2g"
    "FMjeGsC181g//EWMWob5iItyIXqFSjVdtPRe6wE0E+tPn5GwBZwbX5h1vcBUWY6R194fXfLAxQIDAQAB"
)
KEY_2048 = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuomENkMExOprQW2OozvN3V3jhAI0wllpS4c8rUP3eOVfcskNmxN3f7W6bhxVg/66Lzlg4GkdhjXjrvL04yktgAvMIYudexSl"
    "/WRSnuB8GJSidHS1d12epeP2WP+kLkGmtAf54X/1lL3UHlyiGlwO0mxTctZj96s4yKA441wfgVAJdRNBzT3T7TrcIp3DQygW0w0w0jJV2ltOMpDhO8vX1YK1HxAthpQx8yyeSPF5V6yb"
    "uo7Mtg9pfMwfPiafl481HJHW4Aleci+rodYbrl1Y9b23aYqXQD3yQ026ZN5iUhUFMnn08+65s541m3asvh9dbfHHmG7I7Tlsismck6KYuQIDAQAB"
)
SUBJECT = Subject(DOMAIN, NOW, egress=("192.0.2.10",), helo=("mail.shop.test",), selectors=(Selector(DOMAIN, "s1"),))
GOOD = Dns(
    {
        "shop.test TXT": ["v=spf1 ip4:192.0.2.10 include:esp.test -all", "other"],
        "esp.test TXT": ["v=spf1 ip4:198.51.100.0/24 -all"],
        "shop.test MX": ["10 mx.shop.test", "20 mx.esp.test"],
        "mx.shop.test A": ["192.0.2.20"],
        "mx.esp.test A": ["198.51.100.5"],
        "mail.shop.test A": ["192.0.2.10"],
        "10.2.0.192.in-addr.arpa PTR": ["mail.shop.test"],
        "shop.test NS": ["ns1.shop.test", "ns2.shop.test"],
        "shop.test SOA": ["ns1.shop.test host.shop.test 7 7200 3600 1209600 3600"],
        "s1._domainkey.shop.test TXT": [f"v=DKIM1; k=rsa; p={KEY}"],
        "_dmarc.shop.test TXT": ["v=DMARC1; p=reject; rua=mailto:d@shop.test"],
    }
)

SOA = "ns1.shop.test h.shop.test 1 7200 3600 1209600 3600"
NS1, NS2 = "192.0.2.2", "192.0.2.3"
THERE = GOOD.but(  # its servers can be asked
    **{
        "test SOA": [SOA],
        "test NS": ["ns.test"],
        "ns.test A": ["192.0.2.1"],
        "ns1.shop.test A": [NS1],
        "ns2.shop.test A": [NS2],
    }
)


def says(ours: Dns, **servers: Dns) -> Dns:
    """`ours`: what our resolver says; ns1, ns2: what they say."""
    return replace(ours, servers={{"ns1": NS1, "ns2": NS2}[name]: dns.records for name, dns in servers.items()})
