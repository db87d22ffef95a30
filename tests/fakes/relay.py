"""A relay that plays a script: for all that a real SMTP server would never do to us in a test."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType


class Peer:
    """One connection, seen from the relay. `heard` are the lines of the dialogue, `data` the content."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[str] = []
        self.data: list[bytes] = []
        self.gone = asyncio.Event()

    async def say(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    def drop(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()

    async def secure(self, context: ssl.SSLContext) -> None:
        plain = self.writer.transport
        try:
            await self.writer.start_tls(context)
        except AttributeError:  # 3.11, when the client leaves right after the handshake: the new transport is None
            self.writer._transport = plain  # type: ignore[attr-defined]
            raise ConnectionError("the client went away after the handshake") from None

    async def content(self) -> bytes:
        """All up to and with the final dot."""
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            line = await self.reader.readline()
            if not line:
                raise ConnectionError("the client went away in the middle")
            content += line
        return content


Act = bytes | Callable[[Peer], Awaitable[None]]
Play = dict[str, Act]

GREETING: Play = {
    "connect": b"220 relay.test ESMTP\r\n",
    "EHLO": b"250-relay.test\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n",
    "HELO": b"250 relay.test\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 go ahead\r\n",
    "end": b"250 2.0.0 Ok: queued as 4XyZ12\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}


async def drop(peer: Peer) -> None:
    peer.drop()


async def reset(peer: Peer) -> None:
    peer.reset()


async def hold(peer: Peer) -> None:
    """No answer, until the client goes away."""
    while await peer.reader.read(65536):
        pass


def then_drop(text: bytes) -> Act:
    async def act(peer: Peer) -> None:
        await peer.say(text)
        peer.drop()

    return act


class ScriptedRelay:
    """The nth connection plays the nth play (what it leaves out comes from GREETING); the last one stays.

    "connect" is played at once, "end" after the content, every other act when its command comes; no act at all means 502.
    """

    def __init__(self, *plays: Play, tls: ssl.SSLContext | None = None) -> None:
        self.plays = plays or ({},)
        self.tls = tls
        self.peers: list[Peer] = []
        self.came = asyncio.Event()
        self.failures: list[BaseException] = []

    async def __aenter__(self) -> ScriptedRelay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, limit=2**20)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for peer in self.peers:
            peer.reset()
        await asyncio.gather(*(peer.gone.wait() for peer in self.peers))
        await self._server.wait_closed()
        assert not self.failures

    @property
    def heard(self) -> list[list[str]]:
        """The verbs of each connection."""
        return [[line.partition(" ")[0].upper() for line in peer.heard] for peer in self.peers]

    @property
    def messages(self) -> list[bytes]:
        return [content for peer in self.peers for content in peer.data]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        play = GREETING | self.plays[min(len(self.peers), len(self.plays) - 1)]
        self.peers.append(peer)
        self.came.set()
        try:
            await self._act(peer, play["connect"])
            await self._talk(peer, play)
        except (ConnectionError, ssl.SSLError):
            pass
        except Exception as failure:
            self.failures.append(failure)
        finally:
            peer.writer.close()
            peer.gone.set()

    async def _talk(self, peer: Peer, play: Play) -> None:
        while line := (await peer.reader.readline()).decode("latin-1").rstrip("\r\n"):
            peer.heard.append(line)
            verb = re.split("[ :]", line)[0].upper()
            act = play.get(verb, b"502 5.5.2 no such command\r\n")
            await self._act(peer, act)
            if verb == "DATA" and isinstance(act, bytes) and act.startswith(b"354"):
                peer.data.append(await peer.content())
                await self._act(peer, play["end"])
            if peer.writer.is_closing() or verb == "QUIT":
                return

    async def _act(self, peer: Peer, act: Act) -> None:
        if isinstance(act, bytes):
            await peer.say(act)
        else:
            await act(peer)
