"""A connection to a mail server that we only look at: lines, bounded, and TLS in the middle of it."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

MAX_LINE = 8 * 1024
MAX_READ = 64 * 1024  # bytes in one look
SHOWN = 500  # characters of a reply that are kept


class Stopped(Exception):
    """The look ends here. `transient`: it says nothing about the server (a timeout, a 4xx, no way to it)."""

    def __init__(self, failed: str, *, transient: bool = False, reply: str = "") -> None:
        super().__init__(failed)
        self.failed = failed
        self.transient = transient
        self.reply = reply[:SHOWN]


class Line:
    """Raises Stopped, ssl.SSLError during a handshake, and nothing else but TimeoutError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._read = 0

    @classmethod
    async def to(cls, address: str, port: int) -> Line:
        try:
            return cls(*await asyncio.open_connection(address, port, limit=MAX_LINE))
        except ConnectionRefusedError:
            raise Stopped("the connection is refused") from None
        except TimeoutError:
            raise Stopped("no connection: timed out", transient=True) from None
        except OSError as error:  # no route, no IPv6 here, no such name: nothing that the server did
            raise Stopped(f"no connection: {error.strerror or error}", transient=True) from None

    @property
    def our_address(self) -> str:
        """As an address literal (RFC 5321 section 4.1.3), since we have no name to give."""
        address = str(self._writer.get_extra_info("sockname", ("127.0.0.1",))[0])
        return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"

    def send(self, text: str) -> None:
        self._writer.write(text.encode("ascii") + b"\r\n")

    async def line(self) -> str:
        """The next line without its end, bytes as Latin-1."""
        try:
            data = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            said = error.partial.decode("latin-1")
            raise Stopped("the server closed the connection", transient=True, reply=said) from None
        except asyncio.LimitOverrunError:
            raise Stopped(f"the server sent a line of more than {MAX_LINE} bytes") from None
        except ssl.SSLError:
            raise Stopped("the server broke TLS off", transient=True) from None
        except TimeoutError:
            raise
        except OSError:
            raise Stopped("the connection was lost", transient=True) from None
        self._read += len(data)
        if self._read > MAX_READ:
            raise Stopped(f"the server sent more than {MAX_READ} bytes")
        return data.rstrip(b"\r\n").decode("latin-1")

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """The handshake; raises ssl.SSLError, Stopped."""
        try:
            await self._writer.start_tls(context, server_hostname=host)
        except (ssl.SSLError, TimeoutError):
            raise
        except OSError as error:
            raise Stopped(f"the connection was lost in the TLS handshake: {error.strerror or error}", transient=True) from None

    @property
    def tls(self) -> ssl.SSLObject:
        """After encrypt()."""
        return cast("ssl.SSLObject", self._writer.get_extra_info("ssl_object"))

    def abort(self) -> None:
        self._writer.transport.abort()
