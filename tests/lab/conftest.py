"""A lab per test, and a raw IMAP client that sends and reads exact lines."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from monitor.lab.world import Lab, LabSpec

DEADLINE = 10.0


class RawImap:
    """Sends octets, reads lines; no client logic that could forgive a wrong server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._tags = 0

    async def line(self) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readline()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, command: bytes) -> tuple[bytes, list[bytes]]:
        """The tagged answer without its tag, and the lines before it (literals are read as lines, too)."""
        self._tags += 1
        tag = b"r%d" % self._tags
        self.send(tag + b" " + command + b"\r\n")
        lines: list[bytes] = []
        while True:
            line = await self.line()
            if line.startswith(tag + b" "):
                return line[len(tag) + 1 :].rstrip(b"\r\n"), lines
            if not line:
                raise ConnectionResetError(lines)
            lines.append(line)

    async def login(self, address: str, password: str = "lab password") -> None:
        assert (await self.line()).startswith(b"* OK")
        answer, _ = await self.ask(f'LOGIN "{address}" "{password}"'.encode())
        assert answer.startswith(b"OK"), answer


RawConnect = Callable[[int], Awaitable[RawImap]]


@pytest_asyncio.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(LabSpec(extra_accounts=("tripwire@aurora.test",))) as running:
        yield running


@pytest_asyncio.fixture
async def raw_imap() -> AsyncIterator[RawConnect]:
    opened: list[RawImap] = []

    async def connect(port: int) -> RawImap:
        client = RawImap(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.writer.close()
    for client in opened:
        try:
            await client.writer.wait_closed()
        except OSError:
            continue


@pytest.fixture
def client_tls(lab: Lab) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=lab.description.ca_file)


@pytest.fixture
def letter() -> Callable[..., bytes]:
    """Builds a small message with CRLF line ends."""

    def build(subject: str = "Your refund", body: str = "We have refunded £49.90.", **headers: str) -> bytes:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return (
            f"From: Shop <refunds@shop.test>\r\nTo: seed1@aurora.test\r\nSubject: {subject}\r\n"
            f"Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@shop.test>\r\n{extra}"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
            f"\r\n{body}\r\n"
        ).encode()

    return build
