"""Ports for servers that a test starts in a moment."""

from __future__ import annotations

import contextlib
import random
import socket

HOST = "127.0.0.1"


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Below the range from which the kernel gives out ports by itself: nobody else takes one before the server does."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randint(15_000, 32_000)
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind((HOST, port))
                ports.append(port)
        return ports
