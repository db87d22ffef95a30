"""The lab's authoritative DNS server on dnspython's wire format, over UDP and TCP (RFC 1035)."""

import asyncio
import struct
from enum import Enum
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone

MAX_CONNECTIONS = 200
MAX_UDP = 1232
QUERY_SECONDS = 10.0
DKIM_KEY = (  # 2048-bit RSA, made for the lab; its private part was never kept
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1FZ94noBhsv3yIHuzkHS/oWWUy8Uc4waEVdeHWt3ZZTxGzdZ0n/dMG/oRD2ZKnds"
    "BYPj6xTwwFhCGg3lThbqRoxPxZbtIoQvLKwMNXgl1DNqZzUqAc8weBk3X+Mj23HObj2UywipMeUc/0GM+IILvpgQ3xvwubumt1jfhX2ghSo+"
    "vbD+F5FY9K6nQ6PGpmYKjisdIcI44n7uLAebzeoTaoBMMNuouM8v/RBTpljrh1H8BhHO8pCWsX2fEqAyar0hnanHPrNKoi9TQkpaDRk68Wrg"
    "s9l1gdGcZiPipBdezuVqB6nQq2iNTDC0CaSCOsVHJhcpyD2XpO0ec1xpSIBGRwIDAQAB"
)


class Trouble(Enum):
    """What can be wrong with one name."""

    DROP = "drop"  # no answer at all
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TRUNCATE = "tc"  # UDP answers are cut: the client has to come back over TCP


class DnsServer:
    """Zones by origin, replaceable live; `troubles` by lower-case name without a final dot."""

    def __init__(self) -> None:
        self.port = 0
        self.queries = 0
        self.troubles: dict[str, Trouble] = {}
        self._zones: dict[dns.name.Name, dns.zone.Zone] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def set_zone(self, origin: str, text: str) -> None:
        """Load or replace a zone; raises ValueError for text that is no zone."""
        name = dns.name.from_text(origin)
        head = f"$TTL 60\n@ SOA ns.{name} hostmaster.{name} 1 60 60 60 60\n@ NS ns.{name}\nns A 127.0.0.1\n"
        try:
            self._zones[name] = dns.zone.from_text(head + text, origin=name, relativize=False)
        except dns.exception.DNSException as error:
            raise ValueError(f"not a zone: {error}") from error

    async def start(self) -> None:
        """Listen on the same port for UDP and TCP."""
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        self.port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=("127.0.0.1", self.port))

    async def close(self) -> None:
        """Stop."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The answer to one query, or None for silence."""
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        self.queries += 1
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=True)
        trouble = self.troubles.get(question.name.to_text(omit_final_dot=True).lower())
        if trouble is Trouble.DROP:
            return None
        if trouble is Trouble.SERVFAIL:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif trouble is Trouble.REFUSED:
            response.set_rcode(dns.rcode.REFUSED)
        elif trouble is Trouble.TRUNCATE and udp:
            response.flags |= dns.flags.TC
        else:
            self._resolve(question.name, question.rdtype, response)
        try:
            return response.to_wire(max_size=min(max(query.payload, 512), MAX_UDP) if udp else 65535)
        except dns.exception.TooBig:
            response = dns.message.make_response(query, recursion_available=True)
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, response: dns.message.Message) -> None:
        """Records, else NODATA when the name or one below it exists (RFC 8020), else NXDOMAIN."""
        zones = [origin for origin in self._zones if name.is_subdomain(origin)]
        if not zones:
            response.set_rcode(dns.rcode.REFUSED)
            return
        origin = max(zones, key=len)
        zone = self._zones[origin]
        response.flags |= dns.flags.AA
        for _ in range(8):  # CNAMEs inside the zone
            found = zone.get_rrset(name, rdtype)
            if found is not None:
                response.answer.append(found)
                return
            alias = zone.get_rrset(name, dns.rdatatype.CNAME)
            if alias is None:
                break
            response.answer.append(alias)
            name = alias[0].target
        if not any(existing.is_subdomain(name) for existing in zone.nodes):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = zone.get_rrset(origin, dns.rdatatype.SOA)
        if soa is not None:
            response.authority.append(soa)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while len(self._connections) <= MAX_CONNECTIONS:
                async with asyncio.timeout(QUERY_SECONDS):
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    answer = self.answer(await reader.readexactly(size), udp=False)
                    if answer is not None:
                        writer.write(struct.pack("!H", len(answer)) + answer)
                        await writer.drain()
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):  # TimeoutError is an OSError
            pass
        finally:
            self._connections.discard(task)
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, udp=True)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


def default_zones(providers: tuple[str, ...], shop: str) -> dict[str, str]:
    """Zones of the lab's domains: MX, SPF, DKIM, DMARC, as a shop in good order has them."""
    mail = '@ A 127.0.0.1\n@ MX 10 mx\nmx A 127.0.0.1\nimap A 127.0.0.1\n@ TXT "v=spf1 mx -all"\n'
    zones = {domain: mail + f'_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@{domain}"\n' for domain in providers}
    key = " ".join(f'"{part}"' for part in ("v=DKIM1; k=rsa; p=", DKIM_KEY[:200], DKIM_KEY[200:]))
    zones[shop] = mail.replace("v=spf1 mx", "v=spf1 ip4:127.0.0.1 mx") + (
        f"lab1._domainkey TXT {key}\n"
        f'_dmarc TXT "v=DMARC1; p=reject; adkim=s; aspf=r; rua=mailto:dmarc@{shop}"\n'
        f'_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@{shop}"\n'
        'store A 127.0.0.1\nstore MX 10 mx\nstore TXT "v=spf1 ip4:127.0.0.1 -all"\n'
    )
    zones["lab.test"] = "relay A 127.0.0.1\n"
    return zones
