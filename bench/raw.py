"""The raw limit: the least code that submits a message, waits in IDLE and fetches it. No deadlines, no proofs, no journal.

`python -m bench.raw idle DESCRIPTION.json N` holds N TLS connections on IDLE, for the memory and CPU of doing just that.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any


class RawImap:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, host: str, port: int, user: str, password: str, context: ssl.SSLContext | None = None) -> RawImap:
        imap = cls(*await asyncio.open_connection(host, port, ssl=context))
        await imap.reader.readline()
        await imap.command(f'LOGIN "{user}" "{password}"')
        await imap.command("EXAMINE INBOX")
        return imap

    async def command(self, text: str) -> bytes:
        self.writer.write(f"a {text}\r\n".encode())
        answer = b""
        while True:
            line = await self.reader.readline()
            answer += line
            if line.startswith(b"a "):
                return answer
            if line.endswith(b"}\r\n"):
                answer += await self.reader.readexactly(int(line[line.rindex(b"{") + 1 : -3]))

    async def idle(self) -> None:
        self.writer.write(b"a IDLE\r\n")
        await self.reader.readline()

    async def append(self, message: bytes) -> float:
        """Append a message to INBOX; returns when its last byte was written."""
        self.writer.write(b"a APPEND INBOX {%d}\r\n" % len(message))
        await self.reader.readline()
        at = time.monotonic()
        self.writer.write(message + b"\r\n")
        while not (await self.reader.readline()).startswith(b"a "):
            pass
        return at

    async def arrived(self) -> float:
        """Wait for EXISTS, leave IDLE, fetch the message; returns when it was there."""
        while b"EXISTS" not in (line := await self.reader.readline()):
            pass
        number = line.split()[1].decode()
        self.writer.write(b"DONE\r\n")
        while not (await self.reader.readline()).startswith(b"a "):
            pass
        await self.command(f"FETCH {number} (UID INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.65536>)")
        return time.monotonic()


class RawSmtp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, host: str, port: int) -> RawSmtp:
        smtp = cls(*await asyncio.open_connection(host, port))
        await smtp.reply()
        await smtp.say(b"EHLO bench.test")
        return smtp

    async def reply(self) -> None:
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        if line[:1] not in b"23":
            raise ConnectionError(f"the relay said {line!r}")

    async def say(self, line: bytes) -> None:
        self.writer.write(line + b"\r\n")
        await self.reply()

    async def submit(self, sender: str, recipient: str, message: bytes) -> None:
        await self.say(f"MAIL FROM:<{sender}>".encode())
        await self.say(f"RCPT TO:<{recipient}>".encode())
        await self.say(b"DATA")
        await self.say(message + b"\r\n.")


def accounts(description: dict[str, Any]) -> list[tuple[int, dict[str, str]]]:
    """(TLS port, account) of every seed."""
    return [(imap["tls"], account) for imap in description["providers"] for account in imap["accounts"]]


async def hold_idle(description: dict[str, Any], count: int) -> None:
    context = ssl.create_default_context(cafile=description["ca_file"])
    for port, account in accounts(description)[:count]:
        imap = await RawImap.connect("127.0.0.1", port, account["address"], account["password"], context)
        await imap.idle()
        _held.append(imap)
    print("ready", flush=True)
    await asyncio.Event().wait()


_held: list[RawImap] = []

if __name__ == "__main__":
    asyncio.run(hold_idle(json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3])))
