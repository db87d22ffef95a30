"""Who answers for a zone: its cut, its parent, the servers that the parent lists, their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.rules.lookup import Lookup

_MOST_LABELS = 10
_MOST_SERVERS = 8
_MOST_ADDRESSES = 4  # of one server
_MOST_ASKED = 3  # servers of the parent

# Not ipaddress.is_private: that covers the documentation networks of RFC 5737 too.
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"),
        *("::/127", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
)


@dataclass(frozen=True, slots=True)
class Server:
    """One name server that the parent lists. `unknown`: why its addresses are not known; empty with none: it has none."""

    name: str
    addresses: tuple[str, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """`unknown`: why its servers could not be found; `undelegated`: the parent's servers say with authority that there is no such zone;
    `private`: servers with private addresses are asked too."""

    name: str
    parent: str = ""
    servers: tuple[Server, ...] = ()
    unknown: str = ""
    undelegated: bool = False
    private: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that may be asked, server by server: a stranger's zone must not send us into a network of our own."""
        found = dict.fromkeys(address for server in self.servers for address in server.addresses)
        return tuple(address for address in found if self.private or public(address))


def zone_of(lookup: Lookup, domain: str, private: bool = False) -> Zone:
    """The zone that the domain lies in, as its parent delegates it. A zone whose servers give no answer at all is found too: from above.
    `private`: servers with private addresses are asked."""
    labels = domain.split(".")
    names = [".".join(labels[at:]) for at in range(max(0, len(labels) - _MOST_LABELS), len(labels))] + ["."]
    answers = [lookup.ask(name, RecordType.SOA) for name in names]
    lowest = next((at for at, answer in enumerate(answers) if answer.found and not answer.chain), None)
    if lowest is None:
        return Zone(domain, unknown=f"no zone was found above it: {_why(answers)}")
    silent = [at for at in range(lowest) if answers[at].failed]
    if silent:
        zone = _below(lookup, names, answers, silent[-1], private)
        if not zone.undelegated:
            return zone
    return _below(lookup, names, answers, lowest, private)


def _below(lookup: Lookup, names: list[str], answers: list[Answer], cut: int, private: bool) -> Zone:
    parent = next((at for at in range(cut + 1, len(names)) if answers[at].found and not answers[at].chain), None)
    if parent is None:
        return Zone(names[cut], unknown=f"the zone above {names[cut]} was not found: {_why(answers[cut + 1 :])}")
    return _delegation(lookup, names[cut], names[parent], private)


@lru_cache(maxsize=4096)  # the same ones are asked about in each pass
def public(address: str) -> bool:
    """Reachable from anywhere: not private, loopback, link-local, multicast or unspecified."""
    parsed = ip_address(address)
    return not any(parsed.version == network.version and parsed in network for network in _NOT_PUBLIC)


def addresses_of(lookup: Lookup, host: str) -> tuple[Answer, Answer]:
    """Of IPv4 and of IPv6."""
    return lookup.ask(host, RecordType.A), lookup.ask(host, RecordType.AAAA)


def _delegation(lookup: Lookup, zone: str, parent: str, private: bool) -> Zone:
    listed = lookup.ask(parent, RecordType.NS)
    if not listed.found:
        return Zone(zone, parent, unknown=f"the name servers of {parent}: {listed.detail or listed.outcome.value}")
    found = [addresses_of(lookup, host) for host in listed.records[:_MOST_SERVERS]]
    above = tuple(dict.fromkeys(address for kind in (0, 1) for pair in found for address in pair[kind].records))
    above = tuple(address for address in above if private or public(address))[:_MOST_ASKED]
    if not above:
        return Zone(zone, parent, unknown=f"no address of the name servers of {parent} is known")
    referrals = [lookup.ask(zone, RecordType.NS, address) for address in above]
    referral = next((answer for answer in referrals if answer.found), None)
    if referral is None:
        denied = next((answer for answer in referrals if answer.void and answer.authoritative), None)
        return Zone(zone, parent, unknown=f"the servers of {parent} do not say: {_why(referrals)}", undelegated=denied is not None)
    servers = tuple(_server(lookup, name, above) for name in referral.records[:_MOST_SERVERS])
    return Zone(zone, parent, servers, private=private)


def _server(lookup: Lookup, name: str, above: tuple[str, ...]) -> Server:
    answers = addresses_of(lookup, name)
    addresses = tuple(address for answer in answers for address in answer.records)
    failed = next((answer for answer in answers if answer.failed), None)
    if not addresses and failed is not None and not failed.pending:
        # A server below the very zone that does not answer: its glue is with the parent.
        glue = [lookup.ask(name, kind, address) for address in above for kind in (RecordType.A, RecordType.AAAA)]
        addresses = tuple(dict.fromkeys(address for answer in glue for address in answer.records))
    unknown = f"its addresses: {failed.detail}" if failed is not None and not addresses else ""
    return Server(name, addresses[:_MOST_ADDRESSES], unknown)


def unreachable(answer: Answer) -> bool:
    """We have no way there: says nothing of the server."""
    return answer.failure is DnsFailure.UNREACHABLE


def _why(answers: list[Answer]) -> str:
    failed = next((answer for answer in answers if answer.failed), None)
    return f"{failed.question}: {failed.detail}" if failed else "there is none"
