"""DNS-02: each server that the parent lists answers for the zone, over UDP and over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.rules.inspect.authority import Server, Zone, public, unreachable
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone.catalogue import CHECKS

_LAME = (DnsFailure.REFUSED, DnsFailure.SERVFAIL)


class _State(IntEnum):
    """Of one address, or of one server; the greater one counts."""

    NO_WAY = 0  # we cannot get there
    ANSWERS = 1
    UNKNOWN = 2
    LAME = 3


def judge(scene: Scene, zone: Zone) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DNS_02]
    if zone.undelegated:
        yield check.failed(zone.name, f"the servers of {zone.parent} delegate it to nobody", mend=f"register name servers for {zone.name}")
        return
    if zone.unknown or not zone.servers:
        yield check.unknown(zone.name, zone.unknown or f"the servers of {zone.parent} list none")
        return
    judged = [(server, *_server(scene, zone, server)) for server in zone.servers]
    # A server with no way to it but IPv6 that we do not have says nothing as long as another one can be asked.
    asked = any(state is not _State.NO_WAY for _, state, _ in judged)
    all_lame = all(state is _State.LAME for _, state, _ in judged)
    for server, state, why in judged:
        about = f"{zone.name} at {server.name}"
        if state is _State.ANSWERS:
            yield check.passed(about, why)
        elif state is _State.LAME:
            gravity = Gravity.CRITICAL if all_lame else Gravity.ERROR
            mend = f"make {server.name} serve {zone.name}, or take it out of the delegation"
            yield check.failed(about, f"lame: {why}", mend=mend, gravity=gravity)
        elif state is _State.NO_WAY and asked:
            yield check.skipped(about, why)
        else:
            yield check.unknown(about, why)


def _server(scene: Scene, zone: Zone, server: Server) -> tuple[_State, str]:
    if server.unknown:
        return _State.UNKNOWN, server.unknown
    if not server.addresses:
        return _State.LAME, f"{server.name} has no address"
    addresses = [address for address in server.addresses if scene.subject.private_addresses or public(address)]
    if not addresses:
        return _State.LAME, f"{server.addresses[0]} cannot be reached from outside"
    states = [_address(scene, zone, address) for address in addresses]
    return max(states, key=lambda state: state[0])


def _address(scene: Scene, zone: Zone, address: str) -> tuple[_State, str]:
    over_udp = scene.lookup.ask(zone.name, RecordType.SOA, address)
    over_tcp = scene.lookup.ask(zone.name, RecordType.SOA, address, tcp=True)
    if ":" in address and unreachable(over_udp) and unreachable(over_tcp):
        return _State.NO_WAY, f"{address}: we have no way to it"
    states = [_answer(over_udp, f"{address} over UDP"), _answer(over_tcp, f"{address} over TCP")]
    return max(states, key=lambda state: state[0])


def _answer(answer: Answer, where: str) -> tuple[_State, str]:
    if answer.failure in _LAME:
        return _State.LAME, f"{where} says {answer.failure.value}" if answer.failure else where
    if answer.failed:
        return _State.UNKNOWN, f"{where}: {answer.detail}"
    if not answer.authoritative:
        return _State.LAME, f"{where} answers without authority"
    if not answer.found:
        return _State.LAME, f"{where} knows no SOA of it ({answer.outcome.value})"
    return _State.ANSWERS, f"{where} answers with authority"
