"""A question that is cancelled while its socket is being opened leaves no socket behind, on the event loop that the daemon runs on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CANCELLED = """
import asyncio, contextlib, socket, sys
from monitor.cli.run import run_loop
from monitor.edge.dns import exchange
from monitor.edge.dns.exchange import Sockets
from monitor.edge.dns.query import Query

silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))
server = exchange.Server("127.0.0.1", silent.getsockname()[1])

async def cancelled():
    for steps in range(8):
        sockets = Sockets()
        for ask in (sockets.ask, exchange.ask_once):
            asking = asyncio.ensure_future(ask(server, Query(b"a question", b""), 5.0))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
        sockets.close()

run_loop(cancelled())
silent.close()
print("closed")
"""


def test_an_opening_that_is_cancelled_leaves_nothing_open() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", CANCELLED],
        check=True,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "closed\n" and "unclosed" not in done.stderr, done
