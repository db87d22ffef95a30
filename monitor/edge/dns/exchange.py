"""One query to one server and its reply, over UDP or TCP."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple, cast

from monitor.edge.dns.query import Query
from monitor.model.dns import DnsFailure

PORTS = 8  # sockets to one resolver, so that a forger has to guess the port besides the id (RFC 5452 section 4.5)
QUERIES_PER_PORT = 500  # after which another port is taken


class Server(NamedTuple):
    """Whom to ask."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class NoReply(Exception):
    """Nothing came back that could be read."""

    def __init__(self, failure: DnsFailure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail


class _Socket(asyncio.DatagramProtocol):
    """A connected UDP socket that many queries share: the kernel drops what other addresses send, we what bears another id or question."""

    def __init__(self) -> None:
        self.sent = 0
        self.waiting: dict[int, tuple[Query, asyncio.Future[bytes]]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._retired = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        if self._retired:
            self.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        query, future = self.waiting.get(int.from_bytes(data[:2], "big"), (None, None))
        if query is not None and future is not None and not future.done() and query.answered_by(data):
            future.set_result(data)

    def error_received(self, error: Exception) -> None:
        """An ICMP message: the port is closed, the host is not there. It says so of all that wait here."""
        for _, future in self.waiting.values():
            if not future.done():
                future.set_exception(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.error_received(error or ConnectionAbortedError("the socket was closed"))

    async def ask(self, query: Query) -> bytes:
        """Wait for the reply, without a deadline of its own; raises OSError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionAbortedError("the socket was closed")
        ident = secrets.randbelow(1 << 16)
        while ident in self.waiting:
            ident = secrets.randbelow(1 << 16)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting[ident] = (query, future)
        self.sent += 1
        try:
            self._transport.sendto(ident.to_bytes(2, "big") + query.body)
            return await future
        finally:
            del self.waiting[ident]
            if self._retired and not self.waiting:
                self.close()

    def retire(self) -> None:
        """Close when the last one that waits has its reply."""
        self._retired = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Sockets:
    """The UDP sockets to our resolvers, a few to each."""

    def __init__(self) -> None:
        self._open: dict[Server, list[_Socket]] = {}
        self._opening = asyncio.Lock()

    async def ask(self, server: Server, query: Query, seconds: float) -> bytes:
        """The reply of a resolver; raises NoReply."""
        try:
            async with asyncio.timeout(seconds):
                return await (await self._taken(server)).ask(query)
        except OSError as error:
            raise _no_reply(error, server, seconds) from None

    async def _taken(self, server: Server) -> _Socket:
        sockets = self._open.setdefault(server, [])
        for worn in [socket for socket in sockets if socket.sent >= QUERIES_PER_PORT]:
            sockets.remove(worn)
            worn.retire()
        if len(sockets) < PORTS:
            async with self._opening:
                if len(sockets) < PORTS:
                    sockets.append(await _opened(server))
        return sockets[secrets.randbelow(len(sockets))]

    def close(self) -> None:
        for sockets in self._open.values():
            for socket in sockets:
                socket.close()
        self._open.clear()


async def ask_once(server: Server, query: Query, seconds: float) -> bytes:
    """The reply of a server that is asked now and then, over a socket of its own; raises NoReply."""
    socket: _Socket | None = None
    try:
        async with asyncio.timeout(seconds):
            socket = await _opened(server)
            return await socket.ask(query)
    except OSError as error:
        raise _no_reply(error, server, seconds) from None
    finally:
        if socket is not None:
            socket.close()


async def ask_over_tcp(server: Server, query: Query, seconds: float) -> bytes:
    """The reply over a connection of its own (RFC 7766); raises NoReply."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            ident = secrets.token_bytes(2)
            writer.write((len(query.body) + 2).to_bytes(2, "big") + ident + query.body)
            reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    except asyncio.IncompleteReadError:
        raise NoReply(DnsFailure.UNREACHABLE, f"{server} closed the connection without an answer") from None
    except OSError as error:
        raise _no_reply(error, server, seconds) from None
    finally:
        if writer is not None:
            writer.transport.abort()
    if reply[:2] != ident or not query.answered_by(reply):
        raise NoReply(DnsFailure.MALFORMED, f"{server} answered another question over TCP")
    return reply


async def _opened(server: Server) -> _Socket:
    socket = _Socket()
    try:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: socket, remote_addr=(server.address, server.port))
    except BaseException:
        socket.retire()  # on uvloop an opening that is cancelled goes on, and nobody else would close it
        raise
    return socket


def _no_reply(error: OSError, server: Server, seconds: float) -> NoReply:
    if isinstance(error, TimeoutError):
        return NoReply(DnsFailure.TIMEOUT, f"{server} gave no answer within {seconds:.1f} s")
    return NoReply(DnsFailure.UNREACHABLE, f"{server} cannot be reached: {error.strerror or error}")
