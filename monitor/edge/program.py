"""Running somebody's program: without a shell, in a process group of its own, bounded in time and in what is read of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_OUT = 64 * 1024  # of stdout that are kept; the rest is read and dropped, so that the program can end
MAX_ERR = 8 * 1024  # of the end of stderr
REAP = 2.0  # seconds that a killed program has to be gone

_PIECE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended. `code`: its exit code, minus the signal that killed it, None when we did at the deadline."""

    code: int | None
    out: bytes
    out_cut: bool
    err: bytes
    err_cut: bool

    @property
    def last_words(self) -> str:
        """The last line of stderr that says something; none when its beginning was lost, for half a secret cannot be masked."""
        lines = self.err.decode("utf-8", "replace").splitlines()
        whole = lines[1:] if self.err_cut else lines
        return next((line.strip() for line in reversed(whole) if line.strip()), "")


async def run(argv: Sequence[str], environment: Mapping[str, str], given: bytes, deadline: float) -> Ran:
    """Run `argv` with exactly this environment (its PATH finds the program) and `given` on stdin, for at most `deadline` seconds; then,
    or when we are cancelled, its process group is killed. Raises OSError or ValueError when it cannot be started."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment), start_new_session=True
    )
    out, err = _Head(), _Tail()
    assert process.stdin and process.stdout and process.stderr  # noqa: S101 - pipes were asked for
    tasks = [
        asyncio.ensure_future(work)
        for work in (_give(process.stdin, given), out.read(process.stdout), err.read(process.stderr), process.wait())
    ]
    try:
        await asyncio.wait(tasks, timeout=deadline)
        code = process.returncode  # known although the pipes are open, when a descendant of the program holds them
    finally:
        for task in tasks:
            task.cancel()
        await _end(process)
        await asyncio.gather(*tasks, return_exceptions=True)
    return Ran(code, bytes(out.kept), out.cut, bytes(err.kept), err.cut)


class _Head:
    """The first MAX_OUT bytes of a stream."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.cut = False

    async def read(self, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(_PIECE):
            self.cut = self.cut or len(self.kept) + len(piece) > MAX_OUT
            self.kept += piece[: MAX_OUT - len(self.kept)]


class _Tail:
    """The last MAX_ERR bytes of a stream."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.cut = False

    async def read(self, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(_PIECE):
            self.kept += piece
            if len(self.kept) > MAX_ERR:
                self.cut = True
                del self.kept[:-MAX_ERR]


async def _give(stream: asyncio.StreamWriter, given: bytes) -> None:
    """A program need not read its input: its exit code says what it made of it."""
    with contextlib.suppress(ConnectionError):
        stream.write(given)
        await stream.drain()
    stream.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone at this very moment; or it changed its user
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP):
                await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # closes pipes that a descendant holds open; there is no public way
