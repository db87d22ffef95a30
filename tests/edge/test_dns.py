"""DnsResolver where a dictionary cannot follow: several resolvers, forgers, broken servers, the cache, bounds."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.clock import SystemClock
from monitor.edge.dns import DnsResolver, exchange
from monitor.edge.dns import resolver as module
from monitor.edge.dns.cache import Cache
from monitor.edge.dns.query import query, wire_name
from monitor.edge.dns.reply import read
from monitor.lab.dns import DnsServer, Trouble
from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType
from monitor.model.instant import Instant

A, MX, NS, SOA, TXT, DS, DNSKEY, CNAME, PTR = (RecordType[name] for name in ["A", "MX", "NS", "SOA", "TXT", "DS", "DNSKEY", "CNAME", "PTR"])
Q = Question("a.zone.test", A)
Reply = Callable[[dns.message.Message], "list[bytes] | None"]
HOST = "127.0.0.1"


class Clock(SystemClock):
    """Stands where it is put, so that TTLs pass without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def now(self) -> Instant:
        return super().now().plus(self.ahead)


class Scripted(asyncio.DatagramProtocol):
    """A server on UDP and TCP that does what a function says."""

    def __init__(self, says: Reply) -> None:
        self.says = says
        self.queries: list[dns.message.Message] = []
        self.ports: set[int] = set()
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.ports.add(addr[1])
        for reply in self.answered(data):
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]

    def answered(self, data: bytes) -> list[bytes]:
        asked = dns.message.from_wire(data)
        self.queries.append(asked)
        return self.says(asked) or []


@asynccontextmanager
async def scripted(says: Reply) -> AsyncIterator[Scripted]:
    server = Scripted(says)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            for reply in server.answered(await reader.readexactly(size)):
                writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    for _ in range(20):  # a port that is free for TCP may be somebody's for UDP
        tcp = await asyncio.start_server(connected, HOST, 0)
        server.port = tcp.sockets[0].getsockname()[1]
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=(HOST, server.port))
        except OSError:
            tcp.close()
        else:
            break
    try:
        yield server
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()


def with_records(*records: str, aa: bool = False, authority: tuple[str, ...] = (), rcode: str = "NOERROR", ad: bool = False) -> Reply:
    """Answers any question with these, each as `name ttl type text`."""

    def says(asked: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(asked, recursion_available=True)
        reply.set_rcode(dns.rcode.from_text(rcode))
        reply.flags |= (dns.flags.AA if aa else 0) | (dns.flags.AD if ad else 0)
        for section, texts in ((reply.answer, records), (reply.authority, authority)):
            for text in texts:
                name, ttl, rtype, rest = text.split(" ", 3)
                section.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, rest))
        return [reply.to_wire()]

    return says


GOOD = with_records("a.zone.test. 300 A 192.0.2.1")
SERVFAIL = with_records(rcode="SERVFAIL")
SILENCE: Reply = lambda asked: None  # noqa: E731


@asynccontextmanager
async def resolving(*says: Reply, timeout: float = 3.0, clock: SystemClock | None = None, keep: float = 3600.0):
    """(resolver, servers): our resolvers in this order."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(scripted(each)) for each in says]
        made = DnsResolver(tuple(f"{HOST}:{server.port}" for server in servers), timeout, servers[0].port, clock or SystemClock(), keep)
        stack.push_async_callback(made.close)
        yield made, servers


async def asked(resolver: DnsResolver, question: Question = Q) -> Answer:
    return (await resolver.resolve([question], 10))[question]


# -- several resolvers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [SERVFAIL, SILENCE, with_records(rcode="REFUSED"), with_records(rcode="NOTIMP")])
async def test_the_next_resolver_is_asked(bad: Reply) -> None:
    async with resolving(bad, GOOD, timeout=1.2) as (resolver, (_, second)):
        answer = await asked(resolver)
        assert (answer.records, answer.resolvers_failed, answer.resolver) == (("192.0.2.1",), 1, f"{HOST}:{second.port}")


async def test_all_fail_and_servfail_says_most() -> None:
    async with resolving(SERVFAIL, SILENCE, timeout=1.2) as (resolver, _):
        answer = await asked(resolver)
        assert (answer.failure, answer.resolvers_failed) == (DnsFailure.SERVFAIL, 2)


async def test_one_that_was_silent_is_asked_last_for_a_while() -> None:
    clock = Clock()
    async with resolving(SILENCE, GOOD, clock=clock, keep=0, timeout=1.2) as (resolver, (silent, _)):
        await asked(resolver)
        before = len(silent.queries)
        await asked(resolver)
        assert len(silent.queries) == before
        clock.ahead += module.RESTS + 1
        await asked(resolver)
        assert len(silent.queries) == before + 1


async def test_a_lost_datagram_is_sent_again() -> None:
    async with resolving(lambda asked: None if len(server.queries) < 2 else GOOD(asked), timeout=1.2) as (resolver, (server,)):
        answer = await asked(resolver)
        assert answer.found and len(server.queries) == 2


async def test_nobody_listens() -> None:
    async with scripted(GOOD) as server:
        port = server.port
    resolver = DnsResolver((f"{HOST}:{port}",), 5.0, port, SystemClock())
    assert (await asked(resolver)).failure is DnsFailure.UNREACHABLE
    assert (await asked(resolver, Question("zone.test", SOA, HOST))).failure is DnsFailure.UNREACHABLE
    assert (await asked(resolver, Question("zone.test", SOA, HOST, tcp=True))).failure is DnsFailure.UNREACHABLE
    await resolver.close()


# -- DNSSEC -----------------------------------------------------------------------------------------------------------------------


async def test_the_query_asks_for_dnssec_and_ad_is_read() -> None:
    end = "20261130000000"
    records = ("a.zone.test. 300 A 192.0.2.1", f"a.zone.test. 300 RRSIG A 13 3 300 {end} 20261101000000 12345 zone.test. AAAA")
    async with resolving(with_records(*records, ad=True)) as (resolver, (server,)):
        answer = await asked(resolver)
    (sent,) = server.queries
    assert sent.flags & dns.flags.RD and sent.flags & dns.flags.AD and not sent.flags & dns.flags.CD
    assert sent.ednsflags & dns.flags.DO and sent.payload == 1232
    assert answer.authentic and answer.signed_until == 1_795_996_800.0 and answer.signed_from == 1_793_491_200.0


async def test_bogus_is_what_is_answered_unchecked_only() -> None:
    def says(query: dns.message.Message) -> list[bytes]:
        if query.flags & dns.flags.CD:
            return GOOD(query) or []
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.SERVFAIL)
        reply.use_edns(options=[dns.edns.EDEOption(7, "the signature of zone.test is over")])
        return [reply.to_wire()]

    async with resolving(says) as (resolver, _):
        answer = await asked(resolver)
        assert answer.failure is DnsFailure.BOGUS and not answer.records
        assert "signature expired: the signature of zone.test is over" in answer.detail and "told not to check" in answer.detail


async def test_what_a_resolver_adds_is_one_bounded_line() -> None:
    def says(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
        reply.use_edns(options=[dns.edns.EDEOption(15, "one\n\x1b[31mtwo\u202e three " + "x" * 600)])
        return [reply.to_wire()]

    async with resolving(says) as (resolver, _):
        detail = (await asked(resolver)).detail
    assert "one [31mtwo three xxx" in detail and detail.isprintable() and len(detail) < 300


def test_what_the_reader_stumbles_over_is_one_bounded_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*arguments: object, **more: object) -> None:
        raise struct.error("no\x1b[31m" + "x" * 600)

    monkeypatch.setattr(dns.message, "from_wire", breaks)
    answer, _ = read(Q, b"", "r", truncated=False)
    assert answer.failure is DnsFailure.MALFORMED and answer.detail.isprintable() and len(answer.detail) < 300


async def test_a_server_that_comes_back_meanwhile_is_not_bogus() -> None:
    # Both first tries and no more: the unchecked one and those after it are answered.
    async with resolving(lambda asked: SERVFAIL(asked) if len(server.queries) <= 2 else GOOD(asked)) as (resolver, (server,)):
        answer = await asked(resolver)
        assert answer.found and answer.failure is None and len(server.queries) == 4


# -- hostile and broken servers ---------------------------------------------------------------------------------------------------


async def test_forged_replies_are_ignored() -> None:
    def says(query: dns.message.Message) -> list[bytes]:
        evil = with_records("a.zone.test. 300 A 203.0.113.66")
        (wire,) = evil(query) or [b""]
        other = dns.message.make_query("b.zone.test", "A")
        other.id = query.id
        (another,) = evil(other) or [b""]
        wrong_id = bytes((wire[0] ^ 1,)) + wire[1:]
        no_reply = wire[:2] + bytes((wire[2] & 0x7F,)) + wire[3:]
        return [b"", b"x", wire[:11], wrong_id, another, no_reply, *(GOOD(query) or [])]

    async with resolving(says) as (resolver, _):
        assert (await asked(resolver)).records == ("192.0.2.1",)


async def test_what_is_malformed_is_said_so_and_never_raises() -> None:
    def cut(query: dns.message.Message) -> list[bytes]:
        return [(GOOD(query) or [b""])[0][:-14]]

    async with resolving(cut) as (resolver, _):
        answer = await asked(resolver)
        assert answer.failure is DnsFailure.MALFORMED and "cannot be read" in answer.detail
    for rcode in ("FORMERR", "NOTIMP", "YXDOMAIN", "NOTAUTH"):
        async with resolving(with_records(rcode=rcode)) as (resolver, _):
            answer = await asked(resolver)
            assert answer.failure is DnsFailure.MALFORMED and rcode in answer.detail


async def test_without_edns_when_that_is_not_understood() -> None:
    def says(query: dns.message.Message) -> list[bytes]:
        return GOOD(query) or [] if query.edns < 0 else [query.id.to_bytes(2, "big") + b"\x81\x81" + bytes(8)]

    async with resolving(says) as (resolver, _):
        assert (await asked(resolver)).found


async def test_cut_over_udp_and_nothing_over_tcp() -> None:
    server = DnsServer()
    server.set_zone("zone.test", "a A 192.0.2.1\n")
    await server.start()
    resolver = DnsResolver((f"{HOST}:{server.port}",), 1.0, server.port, SystemClock())
    try:
        server.troubles["a.zone.test"] = Trouble.TRUNCATE
        answer = await asked(resolver)
        assert answer.found and answer.truncated
        assert not (await asked(resolver, Question("a.zone.test", A, HOST, tcp=True))).truncated
        server.troubles["b.zone.test"] = Trouble.NO_TCP
        answer = await asked(resolver, Question("b.zone.test", A))
        assert answer.failure is DnsFailure.TRUNCATED and answer.truncated and "over TCP" in answer.detail
    finally:
        await resolver.close()
        await server.close()


@pytest.mark.hostile
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_no_reply_makes_the_reader_raise(data: st.DataObject) -> None:
    rtype = data.draw(st.sampled_from(list(RecordType)))
    base = query(Question("a.zone.test", rtype))
    assert base is not None
    asked = dns.message.from_wire(b"\0\1" + base.body)
    texts = ("a.zone.test. 9 CNAME b.zone.test.", 'a.zone.test. 9 TXT "x" "y"', "zone.test. 9 SOA a. b. 1 2 3 4 5", "a.zone.test. 9 MX 1 .")
    wire = bytearray((with_records(*data.draw(st.lists(st.sampled_from(texts), max_size=3, unique=True)))(asked) or [b""])[0])
    for _ in range(data.draw(st.integers(0, 12))):
        at = data.draw(st.integers(12, max(12, len(wire) - 1)))
        wire[at : at + 1] = data.draw(st.binary(max_size=3))
    answer, _ = read(Question("a.zone.test", rtype), bytes(wire), "r", truncated=False)
    assert isinstance(answer, Answer) and (answer.failure is None) != answer.failed


@pytest.mark.hostile
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=80), st.booleans())
def test_any_text_is_a_name_or_none(text: str, below: bool) -> None:
    wire = wire_name(text + ".zone.test" if below else text)
    assert wire is None or (len(wire) <= 255 and wire[-1] == 0)


@pytest.mark.hostile
@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6))
def test_a_name_of_a_reply_can_be_asked_for(labels: list[bytes]) -> None:
    name = dns.name.Name([*(label.lower() for label in labels), b""])
    assert wire_name(name.to_text(omit_final_dot=True)) == name.to_wire()


def test_a_query_is_what_others_read() -> None:
    for question in (Q, Question(".", NS), Question("x_y.zone.test", TXT, "192.0.2.1")):
        for unchecked in (False, True):
            made = query(question, unchecked=unchecked)
            assert made is not None
            message = dns.message.from_wire(b"\1\2" + made.body)
            (section,) = message.question
            assert (section.name.to_text(omit_final_dot=True), section.rdtype.name) == (question.name, question.rtype.value)
            assert bool(message.flags & dns.flags.RD) is not bool(question.server) and bool(message.flags & dns.flags.CD) is unchecked


# -- what answers say -------------------------------------------------------------------------------------------------------------


async def test_records_of_the_zone_in_canonical_form() -> None:
    server = DnsServer()
    key = "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
    server.set_zone(
        "zone.test",
        f"@ DNSKEY {key}\n"
        "sub DS 2371 13 2 1F987CC6583E92DF0890718C42A2BB4E1F987CC6583E92DF0890718C42A2BB4E\n"
        'rev PTR Mail.Zone.Test.\nold SPF "v=spf1 -all"\n',
    )
    await server.start()
    resolver = DnsResolver((f"{HOST}:{server.port}",), 1.0, server.port, SystemClock())
    try:
        for name, rtype, record in (
            ("zone.test", SOA, "ns.zone.test hostmaster.zone.test 1 14400 3600 1209600 3600"),
            ("zone.test", DNSKEY, "257 3 13 2371"),
            ("sub.zone.test", DS, "2371 13 2 1f987cc6583e92df0890718c42a2bb4e1f987cc6583e92df0890718c42a2bb4e"),
            ("rev.zone.test", PTR, "mail.zone.test"),
            ("zone.test", NS, "ns.zone.test"),
            ("old.zone.test", RecordType.SPF, "v=spf1 -all"),
        ):
            assert (await asked(resolver, Question(name, rtype))).records == (record,), name
    finally:
        await resolver.close()
        await server.close()


async def test_a_referral_is_found_and_not_authoritative() -> None:
    server = DnsServer()
    server.set_zone("test", "child NS ns.child\nns.child A 192.0.2.1\n")
    await server.start()
    resolver = DnsResolver((f"{HOST}:{server.port}",), 1.0, server.port, SystemClock())
    try:
        answer = await asked(resolver, Question("child.test", NS, HOST))
        assert answer.records == ("ns.child.test",) and not answer.authoritative and answer.ttl == 3600
        below = await asked(resolver, Question("x.child.test", A, HOST))
        assert below.outcome is Outcome.NODATA and not below.authoritative and below.detail == "referral to child.test"
        assert (await asked(resolver, Question("x.child.test", NS, HOST))).outcome is Outcome.NODATA
        assert (await asked(resolver, Question("test", NS, HOST))).authoritative
    finally:
        await resolver.close()
        await server.close()


async def test_negative_answers_bear_the_ttl_of_the_soa() -> None:
    soa = ("zone.test. 900 SOA ns.zone.test. h.zone.test. 1 2 3 4 60",)
    async with resolving(with_records(rcode="NXDOMAIN", authority=soa)) as (resolver, _):
        answer = await asked(resolver)
        assert (answer.outcome, answer.ttl) == (Outcome.NXDOMAIN, 60)


async def test_an_alias_that_the_server_left_to_us_is_followed() -> None:
    def says(query: dns.message.Message) -> list[bytes] | None:
        name = query.question[0].name.to_text()
        if name == "a.zone.test.":
            return with_records("a.zone.test. 300 CNAME b.other.test.")(query)
        return with_records("b.other.test. 60 A 192.0.2.9")(query)

    async with resolving(says) as (resolver, _):
        answer = await asked(resolver)
        assert (answer.records, answer.chain, answer.ttl) == (("192.0.2.9",), ("b.other.test",), 60) and answer.question == Q

    def loops(query: dns.message.Message) -> list[bytes] | None:
        name = query.question[0].name.to_text()
        return with_records(f"{name} 300 CNAME {'b' if name[0] == 'a' else 'a'}.zone.test.")(query)

    async with resolving(loops) as (resolver, (server,)):
        answer = await asked(resolver)
        assert (answer.outcome, answer.chain) == (Outcome.NODATA, ("b.zone.test", "a.zone.test")) and len(server.queries) == 2

    def endless(query: dns.message.Message) -> list[bytes] | None:
        name = query.question[0].name.to_text()
        return with_records(f"{name} 300 CNAME x{name}")(query)

    async with resolving(endless) as (resolver, (server,)):
        answer = await asked(resolver)
        assert not answer.found and len(answer.chain) == module.MOST_ALIASES == len(server.queries)


# -- the cache and the flights ----------------------------------------------------------------------------------------------------


async def test_answers_are_kept_for_their_ttl() -> None:
    clock = Clock()
    async with resolving(GOOD, clock=clock) as (resolver, (server,)):
        first = await asked(resolver)
        clock.ahead += 299
        assert await asked(resolver) == first and len(server.queries) == 1
        clock.ahead += 2
        await asked(resolver)
        assert len(server.queries) == 2
        direct = Question("a.zone.test", A, HOST)
        await asked(resolver, direct)
        await asked(resolver, direct)
        assert len(server.queries) == 4


async def test_but_not_longer_than_we_are_told() -> None:
    clock = Clock()
    async with resolving(GOOD, clock=clock, keep=10) as (resolver, (server,)):
        await asked(resolver)
        clock.ahead += 11
        await asked(resolver)
        assert len(server.queries) == 2


def test_the_cache_is_bounded_and_forgets_what_is_asked_least() -> None:
    cache = Cache(3600)
    for number in range(20_001):
        cache.put(Answer(Question(f"n{number}.test", A), Outcome.FOUND, ttl=60), 0)
        cache.get(Question("n0.test", A), 0)
    assert len(cache) == 20_000 and cache.get(Question("n0.test", A), 0) and cache.get(Question("n1.test", A), 0) is None
    for answer in (
        Answer(Question("f.test", A), Outcome.FAILED, failure=DnsFailure.SERVFAIL, ttl=60),
        Answer(Question("s.test", A, "192.0.2.1"), Outcome.FOUND, ttl=60),
        Answer(Question("v.test", A), Outcome.NXDOMAIN),
    ):
        cache.put(answer, 0)
        assert cache.get(answer.question, 0) is None
    cache.put(Answer(Question("zero.test", A), Outcome.FOUND, ttl=0), 0)
    assert cache.get(Question("zero.test", A), 0.9) and not cache.get(Question("zero.test", A), 1.0)


async def test_one_flight_for_one_question() -> None:
    async with resolving(GOOD) as (resolver, (server,)):
        answers = await asyncio.gather(*(resolver.resolve([Q, Q], 10) for _ in range(20)))
        assert len(server.queries) == 1 and all(answer[Q].found for answer in answers)


async def test_who_leaves_does_not_take_the_flight_away() -> None:
    go = asyncio.Event()
    async with resolving(SILENCE, timeout=20) as (resolver, (server,)):
        server.says = lambda asked: (go.set(), None)[1]
        staying = asyncio.create_task(resolver.resolve([Q], 10))
        leaving = asyncio.create_task(resolver.resolve([Q], 10))
        await go.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert len(resolver._flights) == 1
        server.says = GOOD
        hurried = await resolver.resolve([Q], 0.01)
        assert hurried[Q].failure is DnsFailure.TIMEOUT and len(resolver._flights) == 1
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        assert not resolver._flights


async def test_no_more_than_a_hundred_at_once() -> None:
    waiting: list[int] = []

    async with resolving(SILENCE, timeout=2.0) as (resolver, (server,)):

        def says(asked: dns.message.Message) -> None:
            waiting.append(asked.id)

        server.says = says
        task = asyncio.create_task(resolver.resolve([Question(f"n{number}.zone.test", A) for number in range(250)], 10))
        while len(waiting) < module.MOST_AT_ONCE:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        assert len(waiting) == module.MOST_AT_ONCE
        server.says = with_records(rcode="NXDOMAIN")
        answers = await task
        assert {answer.outcome for answer in answers.values()} == {Outcome.NXDOMAIN}


async def test_ports_are_several_and_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "QUERIES_PER_PORT", 10)
    async with resolving(with_records(rcode="NXDOMAIN")) as (resolver, (server,)):
        for part in range(4):
            answers = await resolver.resolve([Question(f"n{number}.p{part}.zone.test", A) for number in range(100)], 10)
            assert not any(answer.resolvers_failed for answer in answers.values())  # a worn port takes nobody along
        assert len(server.queries) == 400 and len(server.ports) > 2 * exchange.PORTS
        assert len({query.id for query in server.queries}) > 350
        assert sum(len(sockets) for sockets in resolver._sockets._open.values()) == exchange.PORTS


async def test_a_retired_port_waits_for_its_last_reply() -> None:
    async with scripted(SILENCE) as server:
        socket = await exchange._opened(exchange.Server(HOST, server.port))
        made = [query(Question(name, A)) for name in ("a.zone.test", "b.zone.test")]
        first, second = [asyncio.create_task(socket.ask(each)) for each in made if each is not None]
        while len(server.queries) < 2:
            await asyncio.sleep(0.001)
        socket.retire()
        for task, asked in zip((first, second), server.queries, strict=True):
            (reply,) = GOOD(asked) or [b""]
            server.transport.sendto(reply, (HOST, *server.ports))  # type: ignore[attr-defined]
            assert await asyncio.wait_for(task, 10) == reply
        with pytest.raises(ConnectionAbortedError):
            await socket.ask(made[0])  # type: ignore[arg-type]


async def test_close_ends_what_flies() -> None:
    async with resolving(SILENCE, timeout=20) as (resolver, _):
        task = asyncio.create_task(resolver.resolve([Q], 20))
        await asyncio.sleep(0.01)
        await resolver.close()
        assert (await task)[Q].failed


# -- which resolvers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "ns.example.com", "192.0.2.1:x", "192.0.2.1:0", "192.0.2.1:65536", "[::1", "::1:x", "300.1.1.1"])
def test_what_is_no_resolver(text: str) -> None:
    with pytest.raises(ValueError, match="is no resolver: write an IP address"):
        DnsResolver((text,), 1.0, 53, SystemClock())


def test_how_resolvers_are_written() -> None:
    made = DnsResolver(("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "[2001:db8::1]"), 1.0, 53, SystemClock())
    assert [str(server) for server in made._resolvers] == [
        "192.0.2.1:53",
        "192.0.2.1:5353",
        "[2001:db8::1]:53",
        "[2001:db8::1]:5353",
        "[2001:db8::1]:53",
    ]


async def test_those_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import dns.resolver

    known = dns.resolver.Resolver
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: known(filename=str(file)))
    file.write_text("search evil.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    assert [str(server) for server in module._of_the_system()] == ["192.0.2.1:53", "192.0.2.2:53"]
    monkeypatch.setattr(module, "_of_the_system", tuple)
    answer = await asked(DnsResolver((), 1.0, 53, SystemClock()))
    assert answer.failure is DnsFailure.UNREACHABLE and "inspect.resolvers" in answer.detail
