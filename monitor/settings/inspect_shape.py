"""The section `inspect:` of the file."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any

from monitor.model.address import Address
from monitor.model.checks import Profile
from monitor.settings.addresses import DomainName, MailAddress
from monitor.settings.scalars import Choice, Flag, Port, Scalar, Span, a_text, refuse
from monitor.settings.section import Section, optional

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"


@dataclass(frozen=True)
class IpAddress(Scalar):
    """An IP address, made canonical."""

    def parse(self, value: object) -> object:
        try:
            return str(ipaddress.ip_address(a_text(value, "an IP address", '"192.0.2.1"')))
        except ValueError:
            refuse("is no IP address", "write one like 192.0.2.1 or 2001:db8::1; of a network, each address")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9A-Fa-f.:]{2,45}$"}


@dataclass(frozen=True)
class ResolverScalar(Scalar):
    """A DNS server: its address, with a port behind it if that is not 53."""

    def parse(self, value: object) -> object:
        text = a_text(value, "the address of a DNS server", '"192.0.2.53"')
        mend = "write 192.0.2.53, 192.0.2.53:5353, 2001:db8::53 or [2001:db8::53]:5353; a name would have to be resolved itself"
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            pass
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f.:]+)\]|([0-9.]+)):([0-9]{1,5})", text)
        try:
            address = ipaddress.ip_address(found[1] or found[2]) if found else None
        except ValueError:
            address = None
        if found is None or address is None or (address.version == 6) is not bool(found[1]):
            refuse("is no address of a DNS server", mend)
        if not 1 <= int(found[3]) <= 65535:
            refuse("has a port that there is not", mend)
        return f"[{address}]:{int(found[3])}" if address.version == 6 else f"{address}:{int(found[3])}"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^(\[[0-9A-Fa-f.:]+\]:[0-9]{1,5}|[0-9.]+(:[0-9]{1,5})?|[0-9A-Fa-f.:]+)$"}


@dataclass(frozen=True)
class SelectorScalar(Scalar):
    """A DKIM selector: what stands before ._domainkey."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a selector", 'it in quotes: "2026"')
        if "_domainkey" in text.lower():
            refuse("is a whole name", "write only what stands before ._domainkey")
        if len(text) > 200 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", text):
            refuse("is no selector", "write what stands in s= of the DKIM-Signature: letters, digits, - and _")
        return text.lower()

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^{_LABEL}(\.{_LABEL})*$", "maxLength": 200}


Ip = Annotated[str, IpAddress()]
ResolverAddress = Annotated[str, ResolverScalar()]
SelectorName = Annotated[str, SelectorScalar()]


class InspectedDomainShape(Section):
    """One sending domain. What is left out is learned from delivered probes."""

    egress: tuple[Ip, ...] = optional("IP addresses that its mail leaves from.", ())
    selectors: tuple[SelectorName, ...] = optional("DKIM selectors in use: s= of its signatures.", ())
    retired: tuple[SelectorName, ...] = optional("Selectors that no longer sign; their keys should be revoked.", ())
    envelope: tuple[DomainName, ...] = optional("Domains of the envelope sender (Return-Path).", ())
    helo: tuple[DomainName, ...] = optional("Names that the sending hosts give in EHLO.", ())
    profiles: tuple[Annotated[Profile, Choice(Profile)], ...] = optional(
        "Whose demands it has to meet; protected: nobody else can send in its name.", ("gmail", "yahoo", "outlook", "apple"), least=1
    )
    recipients: tuple[Annotated[Address, MailAddress()], ...] = optional(
        "Addresses of ours at which its MX hosts are asked by RCPT TO whether they would take mail; no message is sent. Default: none.", ()
    )


class InspectShape(Section):
    """The zones of the sending domains, and the proof that delivered probes bear."""

    enabled: Flag = optional("false: nothing is inspected.", True)
    every: Annotated[float, Span("1s", "1d")] = optional("Between two inspections of a domain.", "15m")
    resolvers: tuple[ResolverAddress, ...] = optional("DNS servers to ask: address or address:port. Default: the system's.", ())
    timeout: Annotated[float, Span("100ms", "30s")] = optional("Of one question to the DNS, all resolvers together.", "5s")
    port: Port = optional("Port of authoritative DNS servers; only a lab has another.", 53)
    transport: Flag = optional("Connect to the MX hosts and look at their TLS; nothing is sent.", True)
    smtp_port: Port = optional("Port of MX hosts; only a lab has another.", 25)
    private_addresses: Flag = optional("Private and loopback addresses are no fault: a lab, or a relay inside the company.", False)
    domains: dict[DomainName, InspectedDomainShape] = optional(
        "What is known of sending domains, by name; others may be added. Default: sending_domains, with what is learned.", {}
    )
