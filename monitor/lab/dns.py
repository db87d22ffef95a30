"""The lab's authoritative DNS server on dnspython's wire format, over UDP and TCP (RFC 1035)."""

import asyncio
import itertools
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
from dns.rdatatype import RdataType

from monitor.lab.signing import SELECTOR

MAX_CONNECTIONS = 200
MAX_UDP = 1232
MAX_ALIASES = 8
MAX_REMEMBERED = 1_000  # answers of look()
START_TRIES = 20
HOST = "127.0.0.1"
QUERY_SECONDS = 10.0
TTL = 3600


class Trouble(Enum):
    """What can be wrong with one name."""

    DROP = "drop"  # no answer at all
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TRUNCATE = "tc"  # UDP answers are cut: the client has to come back over TCP
    NO_TCP = "no_tcp"  # they are cut, and TCP gives nothing
    BOGUS = "bogus"  # SERVFAIL to who wants it checked, as a validating resolver does (RFC 4035 section 3.2.2)


@dataclass(slots=True)
class _Found:
    """What the zones say of one question. `zone`: the origin of the last one looked into; None: not ours."""

    aliases: list[dns.rrset.RRset] = field(default_factory=list)
    records: dns.rrset.RRset | None = None
    zone: dns.zone.Zone | None = None
    exists: bool = False
    referral: dns.rrset.RRset | None = None


class DnsServer:
    """Zones by origin, replaceable live. `troubles` by lower-case name without a final dot; `trouble` of all names together; `authentic`:
    answers bear AD, as those of a validating resolver for signed zones."""

    def __init__(self) -> None:
        self.port = 0
        self.queries = 0
        self.troubles: dict[str, Trouble] = {}
        self.trouble: Trouble | None = None
        self.authentic = False
        self._zones: dict[dns.name.Name, dns.zone.Zone] = {}
        self._serials = itertools.count(1)
        self._originals: dict[tuple[dns.name.Name, RdataType], dns.rdataset.Rdataset | None] = {}
        self._looked: dict[tuple[str, str], tuple[str, ...]] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def set_zone(self, origin: str, text: str) -> None:
        """Load or replace a zone; raises ValueError for text that is no zone."""
        name = dns.name.from_text(origin)
        dot = "" if name == dns.name.root else name
        timers = f"{next(self._serials)} 14400 3600 1209600 3600"
        head = f"$TTL {TTL}\n@ SOA ns.{dot} hostmaster.{dot} {timers}\n@ NS ns.{dot}\nns A 127.0.0.1\n"
        try:
            self._zones[name] = dns.zone.from_text(head + text, origin=name, relativize=False)
        except dns.exception.DNSException as error:
            raise ValueError(f"not a zone: {error}") from error
        self._looked.clear()
        for key in [key for key in self._originals if self._zone_of(key[0]) is self._zones[name]]:
            del self._originals[key]

    def drop_record(self, name: str, rtype: str) -> None:
        """The records of this type are gone, until they are restored. Raises ValueError for a name that is in none of our zones."""
        self._change(name, rtype, None)

    def replace_record(self, name: str, rtype: str, *records: str, ttl: int = TTL) -> None:
        """Other records stand there, as in a zone file, until they are restored. Raises ValueError."""
        try:
            self._change(name, rtype, dns.rdataset.from_text_list("IN", rtype, ttl, list(records)))
        except dns.exception.DNSException as error:
            raise ValueError(f"not a record: {error}") from error

    def restore_records(self, name: str = "") -> None:
        """What was dropped or replaced, at this name or at all, is again as the zones have it."""
        self._looked.clear()
        only = dns.name.from_text(name) if name else None
        for owner, rdtype in [key for key in self._originals if only in (None, key[0])]:
            original = self._originals.pop((owner, rdtype))
            zone = self._zone_of(owner)
            assert zone is not None
            zone.delete_rdataset(owner, rdtype)
            if original is not None:
                zone.replace_rdataset(owner, original)

    def _change(self, name: str, rtype: str, records: dns.rdataset.Rdataset | None) -> None:
        owner, rdtype = dns.name.from_text(name), dns.rdatatype.from_text(rtype)
        zone = self._zone_of(owner)
        if zone is None:
            raise ValueError(f"no zone holds {name}")
        self._looked.clear()
        self._originals.setdefault((owner, rdtype), zone.get_rdataset(owner, rdtype))
        zone.delete_rdataset(owner, rdtype)
        if records is not None:
            zone.replace_rdataset(owner, records)

    def look(self, name: str, rtype: str) -> tuple[str, ...] | None:
        """What somebody else's resolver finds, TXT joined, names in lower case without the final dot; None when the name is in trouble."""
        if self.troubles.get(name.lower()) in (Trouble.DROP, Trouble.SERVFAIL, Trouble.REFUSED, Trouble.BOGUS, Trouble.NO_TCP):
            return None
        if (name, rtype) not in self._looked:
            if len(self._looked) >= MAX_REMEMBERED:
                self._looked.clear()
            self._looked[name, rtype] = self._looked_up(name, rtype)
        return self._looked[name, rtype]

    def _looked_up(self, name: str, rtype: str) -> tuple[str, ...]:
        try:
            found = self._find(dns.name.from_text(name), dns.rdatatype.from_text(rtype)).records
        except dns.exception.DNSException:  # a hostile name
            return ()
        if found is None:
            return ()
        if found.rdtype is dns.rdatatype.TXT:
            return tuple(b"".join(record.strings).decode("latin-1") for record in found)
        return tuple(record.to_text().lower().rstrip(".") for record in found)

    async def start(self) -> None:
        """Listen on the same port for UDP and TCP; one that is free for TCP may be somebody's for UDP."""
        loop = asyncio.get_running_loop()
        for left in reversed(range(START_TRIES)):
            self._tcp = await asyncio.start_server(self._serve_tcp, HOST, 0)
            self.port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(HOST, self.port))
            except OSError:
                self._tcp.close()
                if not left:
                    raise
            else:
                return

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
        trouble = self.trouble or self.troubles.get(question.name.to_text(omit_final_dot=True).lower())
        if trouble is Trouble.DROP or (trouble is Trouble.NO_TCP and not udp):
            return None
        if trouble is Trouble.SERVFAIL or (trouble is Trouble.BOGUS and not query.flags & dns.flags.CD):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif trouble is Trouble.REFUSED:
            response.set_rcode(dns.rcode.REFUSED)
        elif trouble in (Trouble.TRUNCATE, Trouble.NO_TCP) and udp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, self._find(question.name, question.rdtype))
        try:
            return response.to_wire(max_size=min(max(query.payload, 512), MAX_UDP) if udp else 65535)
        except dns.exception.TooBig:
            response = dns.message.make_response(query, recursion_available=True)
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        while name not in self._zones:
            if name == dns.name.root:
                return None
            name = name.parent()
        return self._zones[name]

    def _find(self, name: dns.name.Name, rdtype: RdataType) -> _Found:
        """Follows CNAMEs through all our zones; stops where a zone delegates a part of itself that we do not hold."""
        found = _Found()
        for _ in range(MAX_ALIASES):
            found.zone = zone = self._zone_of(name)
            if zone is None:
                found.exists = True
                return found
            found.referral = _delegation(zone, name)
            if found.referral is not None:
                return found
            found.records = zone.get_rrset(name, rdtype)
            alias = None if found.records is not None else zone.get_rrset(name, dns.rdatatype.CNAME)
            if alias is None:
                # The name exists when one below it does (RFC 8020).
                found.exists = found.records is not None or any(existing.is_subdomain(name) for existing in zone.nodes)
                return found
            found.aliases.append(alias)
            name = alias[0].target
        found.exists = True  # a loop, or as good as one
        return found

    def _fill(self, response: dns.message.Message, found: _Found) -> None:
        """Records, else NODATA, else NXDOMAIN; REFUSED for what is not ours."""
        if found.zone is None and not found.aliases:
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.answer.extend(found.aliases)
        if found.zone is None:  # an alias for a name of others
            return
        if found.referral is not None:
            response.authority.append(found.referral)
            return
        response.flags |= dns.flags.AA | (dns.flags.AD if self.authentic else 0)
        if found.records is not None:
            response.answer.append(found.records)
            return
        if not found.exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        assert found.zone.origin is not None
        soa = found.zone.get_rrset(found.zone.origin, dns.rdatatype.SOA)
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
                    if answer is None:
                        break
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


def _delegation(zone: dns.zone.Zone, name: dns.name.Name) -> dns.rrset.RRset | None:
    """The NS records at a zone cut above the name, or at it."""
    origin = zone.origin
    assert origin is not None
    for depth in range(len(origin) + 1, len(name) + 1):
        found = zone.get_rrset(name.split(depth)[1], dns.rdatatype.NS)
        if found is not None:
            return found
    return None


def default_zones(providers: tuple[str, ...], sending: tuple[str, ...], relay: str, key: str) -> dict[str, str]:
    """Zones of a whole small world in good order: the root, the domains' parents, each domain with MX, SPF, DKIM and DMARC, and the way
    back from the only address there is. `relay`: the name of the host that sends; `key`: the record of its DKIM key."""
    mail = f'@ A {HOST}\n@ MX 10 mx\nmx A {HOST}\nmx TXT "v=spf1 -all"\nimap A {HOST}\n'
    zones = {"127.in-addr.arpa": f"1.0.0 PTR {relay}.\n"}
    for domain in providers:
        zones[domain] = mail + f'@ TXT "v=spf1 mx -all"\n_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@{domain}"\n'
    chunks = " ".join(f'"{key[at : at + 200]}"' for at in range(0, len(key), 200))
    for domain in sending:
        zones[domain] = mail + (
            f'@ TXT "v=spf1 ip4:{HOST} mx -all"\n{SELECTOR}._domainkey TXT {chunks}\n'
            f'_dmarc TXT "v=DMARC1; p=reject; adkim=s; aspf=r; rua=mailto:dmarc@{domain}"\n'
            f'_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@{domain}"\n'
            f'store A {HOST}\nstore MX 10 mx\nstore TXT "v=spf1 ip4:{HOST} -all"\n'
            f'relay A {HOST}\nrelay TXT "v=spf1 ip4:{HOST} -all"\n'
        )
    for domain in tuple(zones):
        zones.setdefault(domain.rpartition(".")[2], "")
    for domain in tuple(zones):
        parent = domain.partition(".")[2]
        if parent in zones:
            label = domain.partition(".")[0]
            zones[parent] += f"{label} NS ns.{domain}.\nns.{label} A {HOST}\n"
    zones["."] = "".join(f"{top} NS ns.{top}.\nns.{top} A {HOST}\n" for top in sorted({domain.rpartition(".")[2] for domain in zones}))
    return zones
