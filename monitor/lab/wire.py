"""A lean line-and-literal connection, and a listener that can go down and come back on its port.

asyncio streams cost a reader, a writer and two tasks a connection; the lab holds 5,000 idle ones in one process.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import cast

HIGH_WATER = 256 * 1024  # unread bytes at which we stop reading from the socket
MAX_UNSENT = 4 << 20  # unsent bytes at which a peer that does not read is cut off during pushes
DRAIN_SECONDS = 60.0
TLS_SECONDS = 15.0


class Disconnected(Exception):
    """The peer is gone, or was too slow for a deadline."""


class LineTooLong(Exception):
    """The peer sent more than the bound without a line end."""


class Wire(asyncio.Protocol):
    """One connection. Owned by one task, which `serve` starts; pushes from callbacks may only write."""

    def __init__(self, serve: Callable[["Wire"], None]) -> None:
        self._serve = serve
        self._buffer = bytearray()
        self.lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._reading = True
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = cast(asyncio.Transport, transport)
        self._serve(self)

    def data_received(self, data: bytes) -> None:
        """Buffer, and wake the reader."""
        self._buffer += data
        if len(self._buffer) > HIGH_WATER and self._reading and self._transport is not None:
            self._transport.pause_reading()
            self._reading = False
        self._wake()

    def eof_received(self) -> bool:
        """A half-close is a close: no mail client reads on after it stopped writing."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whoever waits."""
        self.lost = True
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The peer has caught up, or is gone."""
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    async def read_line(self, limit: int, seconds: float) -> bytes:
        """One line without its line end; raises LineTooLong or Disconnected."""
        scanned = 0
        async with _deadline(seconds):
            while (end := self._buffer.find(b"\n", scanned)) < 0:
                if len(self._buffer) > limit:
                    raise LineTooLong(limit)
                scanned = len(self._buffer)
                await self._more()
        if end > limit:
            raise LineTooLong(limit)
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    async def read_exactly(self, count: int, seconds: float) -> bytes:
        """A literal of `count` octets, taken away while it comes so that the buffer stays small."""
        data = bytearray()
        async with _deadline(seconds):
            while True:
                take = min(count - len(data), len(self._buffer))
                data += self._buffer[:take]
                del self._buffer[:take]
                if len(data) == count:
                    return bytes(data)
                await self._more()

    async def skip(self, count: int, seconds: float) -> None:
        """Read and forget `count` octets."""
        async with _deadline(seconds):
            while count:
                take = min(count, len(self._buffer))
                del self._buffer[:take]
                count -= take
                if count:
                    await self._more()

    async def _more(self) -> None:
        if self.lost:
            raise Disconnected("connection lost")
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; a peer that lets too much pile up is cut off."""
        if self.lost or self._transport is None:
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()
            return
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written."""
        if self._drained is not None:
            async with _deadline(DRAIN_SECONDS):
                await self._drained
        if self.lost:
            raise Disconnected("connection lost")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Upgrade; what the peer sent before the handshake is dropped (RFC 9051 section 11.1, command injection)."""
        assert self._transport is not None
        self._buffer.clear()
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, context, server_side=True, ssl_handshake_timeout=TLS_SECONDS)
        except (OSError, ssl.SSLError) as error:
            raise Disconnected("TLS handshake failed") from error
        if upgraded is None:
            raise Disconnected("connection lost during the TLS handshake")
        self._transport = upgraded

    def close(self) -> None:
        """Close after what is still to be sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


@contextlib.asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Disconnected("deadline passed") from error


class Listener:
    """A listening socket on 127.0.0.1 that keeps its port while it is down, so that it can come back there."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None) -> None:
        self._factory = factory
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self.port = 0

    @property
    def up(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def start(self) -> None:
        """Listen, the first time on a port that the system chooses."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                self._factory, "127.0.0.1", self.port, ssl=self._tls, backlog=1024
            )
            self.port = self._server.sockets[0].getsockname()[1]
        self._drop_placeholder()

    def stop(self) -> None:
        """Refuse connections; a bound socket that does not listen holds the port."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._placeholder = socket.socket()
            self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # taken in between: then there is nothing to hold
                self._placeholder.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._drop_placeholder()

    def _drop_placeholder(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
