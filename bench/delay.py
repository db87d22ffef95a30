"""`python -m bench.delay PORT MILLISECONDS`: a DNS proxy on loopback, UDP and TCP, that lets every answer wait. Prints its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import cast

HOST = "127.0.0.1"


class Delay(asyncio.DatagramProtocol):
    """One socket towards the server for each query, so that answers find their asker."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._front: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._front = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._pass(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back, contextlib.suppress(OSError):
            back.setblocking(False)
            back.connect((HOST, self._port))
            await loop.sock_sendall(back, data)
            async with asyncio.timeout(5):
                answer, _ = await asyncio.gather(loop.sock_recv(back, 65535), asyncio.sleep(self._seconds))
            if self._front is not None:
                self._front.sendto(answer, addr)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            back_reader, back = await asyncio.open_connection(HOST, self._port)
            while True:
                for source, sink in ((reader, back), (back_reader, writer)):
                    (size,) = struct.unpack("!H", await source.readexactly(2))
                    sink.write(struct.pack("!H", size) + await source.readexactly(size))
                    await asyncio.sleep(self._seconds / 2)
        writer.close()


async def serve(port: int, seconds: float) -> None:
    delay = Delay(port, seconds)
    server = await asyncio.start_server(delay.stream, HOST, 0)
    here = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: delay, local_addr=(HOST, here))
    print(here, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
