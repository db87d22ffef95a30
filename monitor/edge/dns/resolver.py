"""ports.Resolver: our resolvers in turn, one flight per question, and what a SERVFAIL hides."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.edge.dns.cache import Cache
from monitor.edge.dns.exchange import NoReply, Server, Sockets, ask_once, ask_over_tcp
from monitor.edge.dns.query import Query, query
from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.ports import Clock

MOST_AT_ONCE = 100  # a thousand at once starve each other into timeouts
MOST_ALIASES = 8  # that we follow ourselves, when a server leaves that to us
KEEP = 2.0  # seconds; our resolvers keep to the whole TTL, and what follows a failure wants to see what is there now
RESTS = 30.0  # seconds for which a resolver that gave no answer is asked last
_NO_EDNS = frozenset({1, 4})  # FORMERR, NOTIMP (RFC 6891 section 7)


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Answer]
    wanted_by: int = 0


@dataclass(slots=True)
class _Tries:
    """What our resolvers did with one question."""

    failed: dict[Server, Answer] = field(default_factory=dict)

    def worst(self) -> Answer:
        """The failure that says most: SERVFAIL before all, then that of the last one."""
        said = [answer for answer in self.failed.values() if answer.failure is DnsFailure.SERVFAIL] or list(self.failed.values())
        return replace(said[-1], resolvers_failed=len(self.failed))


class DnsResolver:
    """`resolvers`: addresses, address:port or [v6]:port; none: the nameservers of /etc/resolv.conf. `timeout`: seconds for one question,
    all resolvers together; half as much again when a SERVFAIL has to be understood. `port`: of servers that a question names. `keep`:
    the longest that an answer is kept, in seconds. Raises ValueError for what is no address."""

    def __init__(self, resolvers: tuple[str, ...], timeout: float, port: int, clock: Clock, keep: float = KEEP) -> None:
        self._resolvers = tuple(_server(text) for text in resolvers)
        self._timeout = timeout
        self._port = port
        self._clock = clock
        self._cache = Cache(keep)
        self._flights: dict[Question, _Flight] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._sockets = Sockets()
        self._resting: dict[Server, float] = {}

    async def resolve(self, questions: Sequence[Question], deadline: float) -> Mapping[Question, Answer]:
        answers: dict[Question, Answer] = {}
        flights: dict[Question, _Flight] = {}
        mono = self._clock.now().mono
        for question in dict.fromkeys(questions):
            if (kept := self._cache.get(question, mono)) is not None:
                answers[question] = kept
            else:
                flights[question] = self._boarded(question)
        try:
            if flights:
                await asyncio.wait([flight.task for flight in flights.values()], timeout=max(0.0, deadline))
            for question, flight in flights.items():
                answers[question] = _landed(question, flight, deadline)
        finally:
            for question, flight in flights.items():
                flight.wanted_by -= 1
                if not flight.wanted_by and not flight.task.done():
                    flight.task.cancel()
                    self._forget(question, flight.task)
        return answers

    async def close(self) -> None:
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sockets.close()

    def _boarded(self, question: Question) -> _Flight:
        flight = self._flights.get(question)
        if flight is None:
            task = asyncio.get_running_loop().create_task(self._fetch(question), name=f"dns {question.rtype.value}")
            flight = self._flights[question] = _Flight(task)
            task.add_done_callback(lambda done: self._forget(question, done))
        flight.wanted_by += 1
        return flight

    def _forget(self, question: Question, task: asyncio.Task[Answer]) -> None:
        flight = self._flights.get(question)
        if flight is not None and flight.task is task:
            del self._flights[question]

    async def _fetch(self, question: Question) -> Answer:
        async with self._slots:
            began = self._clock.now()
            answer = await (self._from_server(question) if question.server else self._from_resolvers(question))
        now = self._clock.now()
        answer = replace(answer, question=question, seconds=now.seconds_since(began), at=now.utc)
        self._cache.put(answer, now.mono)
        return answer

    async def _from_server(self, question: Question) -> Answer:
        """As the server says it: no CNAME is followed beyond its reply. UDP gets a second try."""
        server = Server(question.server, self._port)
        tries = 1 if question.tcp else 2
        for _ in range(tries):
            answer, _ = await self._attempt(server, question, self._timeout / tries)
            if answer.failure is not DnsFailure.TIMEOUT:
                break
        return answer

    async def _from_resolvers(self, question: Question) -> Answer:
        """Follows CNAMEs where the resolver left them to us, and stops at a loop."""
        whole, loose = await self._asked_in_turn(question)
        while loose and len(whole.chain) < MOST_ALIASES:
            rest, loose = await self._asked_in_turn(replace(question, name=whole.chain[-1]))
            names = {question.name, *whole.chain}
            again = next((at for at, name in enumerate(rest.chain) if name in names), None)
            if again is not None:
                chain = (*whole.chain, *rest.chain[: again + 1])
                return replace(whole, outcome=Outcome.NODATA, chain=chain, detail=f"CNAME loop at {chain[-1]}")
            whole = replace(
                rest,
                chain=(*whole.chain, *rest.chain),
                ttl=min(whole.ttl, rest.ttl),
                authentic=whole.authentic and rest.authentic,
                signed_until=min(filter(None, (whole.signed_until, rest.signed_until)), default=0.0),
                resolvers_failed=max(whole.resolvers_failed, rest.resolvers_failed),
            )
        return whole

    async def _asked_in_turn(self, question: Question) -> tuple[Answer, bool]:
        order = self._order()
        if not order:
            detail = "no resolver is known: /etc/resolv.conf names none; name one in inspect.resolvers"
            return Answer(question, Outcome.FAILED, failure=DnsFailure.UNREACHABLE, detail=detail), False
        share = self._timeout / len(order)
        tries = _Tries()
        for server in order:
            answer, loose = await self._attempt(server, question, share)
            if not answer.failed:
                self._resting.pop(server, None)
                return replace(answer, resolvers_failed=len(tries.failed)), loose
            tries.failed[server] = answer
            if answer.failure in (DnsFailure.TIMEOUT, DnsFailure.UNREACHABLE):
                self._resting[server] = self._clock.now().mono + RESTS
        worst = tries.worst()
        if worst.failure is DnsFailure.SERVFAIL:
            return await self._understood(question, worst, tries, share)
        return worst, False

    async def _understood(self, question: Question, worst: Answer, tries: _Tries, share: float) -> tuple[Answer, bool]:
        """A validating resolver refuses what is bogus by SERVFAIL and gives it to those who do not want it checked (RFC 4035 section
        3.2.2). Asked once more afterwards, in case it has only just come back."""
        server = next(server for server, answer in tries.failed.items() if answer.failure is DnsFailure.SERVFAIL)
        unchecked, _ = await self._attempt(server, question, share / 2, unchecked=True)
        if unchecked.failed:
            return worst, False
        again, loose = await self._attempt(server, question, share / 2)
        if not again.failed:
            return replace(again, resolvers_failed=len(tries.failed) - 1), loose
        if again.failure is not DnsFailure.SERVFAIL:
            return worst, False
        detail = f"{worst.detail}; it answers when told not to check DNSSEC"
        return replace(worst, failure=DnsFailure.BOGUS, detail=detail), False

    async def _attempt(self, server: Server, question: Question, seconds: float, *, unchecked: bool = False) -> tuple[Answer, bool]:
        """(the answer or why there is none, whether a CNAME leads beyond it)."""
        from monitor.edge.dns.reply import read  # noqa: PLC0415 - dnspython: not before it is needed

        asked = query(question, unchecked=unchecked)
        plain = query(question, unchecked=unchecked, extended=False)
        if asked is None or plain is None:
            return Answer(question, Outcome.NXDOMAIN, detail="no valid name (RFC 1035 section 2.3.4)"), False
        try:
            wire, truncated = await self._exchanged(server, question, asked, seconds)
            if wire[3] & 0x0F in _NO_EDNS:
                wire, truncated = await self._exchanged(server, question, plain, seconds)
        except NoReply as error:
            cut = error.failure is DnsFailure.TRUNCATED
            failed = Answer(question, Outcome.FAILED, failure=error.failure, detail=error.detail, resolver=str(server), truncated=cut)
            return failed, False
        return read(question, wire, str(server), truncated=truncated)

    async def _exchanged(self, server: Server, question: Question, asked: Query, seconds: float) -> tuple[bytes, bool]:
        """(the reply, whether it did not fit into UDP); raises NoReply."""
        if question.tcp:
            return await ask_over_tcp(server, asked, seconds), False
        wire = await (ask_once(server, asked, seconds) if question.server else self._sockets.ask(server, asked, seconds))
        if not wire[2] & 0x02:
            return wire, False
        try:
            return await ask_over_tcp(server, asked, seconds), True
        except NoReply as error:
            raise NoReply(DnsFailure.TRUNCATED, f"the answer is cut over UDP, and over TCP {error.detail}") from None

    def _order(self) -> tuple[Server, ...]:
        """Whom to ask, one after the other; those that just gave no answer come last. A single one is asked twice."""
        if not self._resolvers:
            self._resolvers = _of_the_system()
        if len(self._resolvers) == 1:
            return self._resolvers * 2
        mono = self._clock.now().mono
        return tuple(sorted(self._resolvers, key=lambda server: self._resting.get(server, mono) > mono))


def _landed(question: Question, flight: _Flight, deadline: float) -> Answer:
    if flight.task.done() and not flight.task.cancelled():
        return flight.task.result()
    detail = f"no answer within the {deadline:.1f} s for all questions together"
    return Answer(question, Outcome.FAILED, failure=DnsFailure.TIMEOUT, detail=detail)


def _server(text: str) -> Server:
    """`192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`."""
    address, port = text, "53"
    if text.startswith("[") and "]" in text:
        address, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        server = Server(str(ipaddress.ip_address(address)), int(port))
    except ValueError:
        server = Server(address, 0)
    if not 0 < server.port < 1 << 16:
        raise ValueError(f"{text!r} is no resolver: write an IP address, or address:port, or [IPv6 address]:port")
    return server


def _of_the_system() -> tuple[Server, ...]:
    import dns.resolver  # noqa: PLC0415 - not before it is needed

    try:
        named = dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        return ()
    return tuple(Server(address, 53) for address in map(str, named) if "/" not in address)[:3]
