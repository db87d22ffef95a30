"""An IMAP server that follows a script: each test says, line by line, what the server hears and what it answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

CAPABILITIES = b"IMAP4rev1 IDLE UIDPLUS SASL-IR AUTH=PLAIN"


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[bytes] = []

    def send(self, *lines: bytes) -> None:
        """Lines, in one packet."""
        self.raw(b"".join(line + b"\r\n" for line in lines))

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError(f"the client went away after {self.heard[-3:]}")
        self.heard.append(line[:-2])
        return line[:-2]

    async def hear(self, command: bytes) -> bytes:
        """The tag of the next command, which must begin like this."""
        tag, _, rest = (await self.line()).partition(b" ")
        assert rest.startswith(command), f"expected {command!r}, heard {rest!r}"
        return tag

    async def answer(self, command: bytes, *untagged: bytes, status: bytes = b"OK done") -> None:
        tag = await self.hear(command)
        self.send(*untagged, tag + b" " + status)

    async def welcome(self, capabilities: bytes = CAPABILITIES, folders: tuple[bytes, ...] = (b'* LIST () "/" INBOX',)) -> None:
        """Greeting, login and LIST."""
        self.send(b"* OK [CAPABILITY " + capabilities + b"] hello")
        await self.answer(b"LOGIN", status=b"OK [CAPABILITY " + capabilities + b"] in")
        await self.answer(b"LIST", *folders)

    async def examine(self, uidnext: int | None = 8, exists: int = 3, uidvalidity: int = 5, name: bytes = b'"INBOX"') -> None:
        codes = [b"* OK [UIDVALIDITY %d] v" % uidvalidity] + ([] if uidnext is None else [b"* OK [UIDNEXT %d] n" % uidnext])
        await self.answer(b"EXAMINE " + name, b"* %d EXISTS" % exists, b"* 0 RECENT", *codes, status=b"OK [READ-ONLY] examined")

    async def begin_idle(self) -> bytes:
        tag = await self.hear(b"IDLE")
        self.send(b"+ idling")
        return tag

    async def end_idle(self, tag: bytes) -> None:
        assert await self.line() == b"DONE"
        self.send(tag + b" OK idle over")

    async def bye(self) -> None:
        """The client's own end: LOGOUT or the end of the stream."""
        try:
            await self.answer(b"LOGOUT", b"* BYE")
        except ConnectionResetError:
            return

    async def gone(self) -> None:
        """Returns when the client has closed; whatever it still says is kept in `heard`."""
        while data := await self.reader.read(65536):
            self.heard.append(data)

    def close(self) -> None:
        self.writer.close()


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serves each connection by the script; at the end the first failed assertion of a script is raised."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            failures.append(AssertionError(f"the script was cut short: {error}"))
        except Exception as error:
            failures.append(error)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
    if failures:
        raise failures[0]
