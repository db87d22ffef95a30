"""Reads secrets where the configuration says that they are: the environment, a file, or what a program prints.

A program may take seconds, and `Secrets.read` is a plain call. So whoever reads a secret on the event loop calls `fetch`: it runs the
program in a thread, at most WORKERS at a time, and all else at once. Nothing is kept between two calls: the program knows best how long
its token lives.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from monitor.edge import program
from monitor.edge.reply import clean
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import SecretError, Secrets

MAX_BYTES = 64 * 1024
RUN_FOR = 10.0  # seconds that a program has to print a secret
FETCH_FOR = 30.0  # the same with the wait for a worker
WORKERS = 4
_MAX_PRINTED = 100  # words of a failed program's stdout that are looked for in its error line
_TOKEN_LIKE = 20  # characters of a word that is not shown

_workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="mailcanary-secret")  # makes no thread before it is needed


async def fetch(secrets: Secrets, ref: SecretRef) -> str:
    """secrets.read(ref) without holding up the event loop, within FETCH_FOR seconds. Raises SecretError."""
    if ref.source is not SecretSource.COMMAND:
        return secrets.read(ref)
    try:
        async with asyncio.timeout(FETCH_FOR):
            return await asyncio.wrap_future(_workers.submit(secrets.read, ref))
    except TimeoutError:
        raise SecretError(f"secret {ref} was not there within {FETCH_FOR:g} s: too many programs are asked at a time") from None


class SystemSecrets:
    """ports.Secrets. Reads anew at each call: a rotated secret needs no restart. No error carries any part of a value."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def read(self, ref: SecretRef) -> str:
        match ref.source:
            case SecretSource.ENV:
                text = _without_newline(self._from_environment(ref))
            case SecretSource.FILE:
                text = _without_newline(_from_file(ref))
            case SecretSource.COMMAND:
                text = self._from_program(ref)
        if not text:
            raise SecretError(f"secret {ref} is empty; put the value there")
        return text

    def _from_environment(self, ref: SecretRef) -> str:
        value = self._environ.get(ref.name)
        if value is None:
            raise SecretError(f"secret {ref}: the environment variable {ref.name} is not set; set it for the mailcanary process")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise SecretError(f"secret {ref}: the value is not UTF-8 text; set it as plain text")
        return value

    def _from_program(self, ref: SecretRef) -> str:
        """The first line that it prints; not from its error stream, of which only the last line is shown, masked."""
        try:
            argv = shlex.split(ref.name)
        except ValueError as error:
            raise SecretError(f"secret {ref} is no command line: {error}; mend its quotes") from None
        if not argv:
            raise SecretError(f"secret {ref} names no program; write its command line")
        ran = _ran(argv, self._environ, ref)
        if ran.code is None:
            raise SecretError(f"secret {ref}: the program did not end within {RUN_FOR:g} s; make it faster")
        if ran.code != 0:
            how = f"ended with exit code {ran.code}" if ran.code > 0 else f"was killed by signal {-ran.code}"
            raise SecretError(f"secret {ref}: the program {how}: {_said(ran)}; run it by hand as uid {os.getuid()}")
        if ran.out_cut:
            raise SecretError(f"secret {ref}: the program prints more than {program.MAX_OUT} bytes; is it the right one?")
        try:
            return ran.out.partition(b"\n")[0].removesuffix(b"\r").decode()
        except UnicodeDecodeError:  # "from None": the exception holds the bytes
            raise SecretError(f"secret {ref}: the program prints what is no UTF-8 text; print the token in plain") from None


def _ran(argv: list[str], environ: Mapping[str, str], ref: SecretRef) -> program.Ran:
    """In a loop and a thread of its own, whether or not there is a loop in this thread."""
    ended: list[program.Ran | OSError | ValueError] = []

    def work() -> None:
        try:
            ended.append(asyncio.run(program.run(argv, environ, b"", RUN_FOR)))
        except (OSError, ValueError) as error:
            ended.append(error)

    thread = threading.Thread(target=work, name="mailcanary-secret-program", daemon=True)
    thread.start()
    thread.join(RUN_FOR + 2 * program.REAP)
    match ended:
        case [program.Ran() as ran]:
            return ran
        case [OSError(strerror=why)]:
            raise SecretError(f"secret {ref}: cannot run {argv[0]}: {why}; name a program that uid {os.getuid()} may run")
        case [ValueError()]:
            raise SecretError(f"secret {ref}: this is no command line; mend it")
        case _:
            raise SecretError(f"secret {ref}: the program could not be ended; look what it waits for")


def _said(ran: program.Ran) -> str:
    """Its last words without anything that it printed on stdout, or that is long enough to be a token."""
    printed = [word for word in ran.out.decode("utf-8", "replace").split()[:_MAX_PRINTED] if len(word) > 3]
    words = (word if len(word) < _TOKEN_LIKE else "***" for word in clean(ran.last_words, printed, 2_000).split())
    return " ".join(words)[:200] or "it says nothing on stderr"


def _from_file(ref: SecretRef) -> str:
    try:
        data = _bytes_of(Path(ref.name), ref)
    except OSError as error:
        raise SecretError(
            f"secret {ref}: cannot read the file: {error.strerror or type(error).__name__}; mount it and let uid {os.getuid()} read it"
        ) from None
    except ValueError:  # a NUL in the path
        raise SecretError(f"secret {ref}: this is no file name; mend it") from None
    if len(data) > MAX_BYTES:
        raise SecretError(f"secret {ref}: the file is larger than {MAX_BYTES} bytes; is it the right one?")
    try:
        return data.decode()
    except UnicodeDecodeError:  # "from None": the exception holds the bytes
        raise SecretError(f"secret {ref}: the file is not UTF-8 text; write it as plain text") from None


def _bytes_of(path: Path, ref: SecretRef) -> bytes:
    # O_NONBLOCK: a FIFO without a writer must not hang the event loop. Symbolic links are followed: Kubernetes mounts secrets so.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SecretError(f"secret {ref} is no regular file; name a file, it is read again at each connection")
        return file.read(MAX_BYTES + 1)


def _without_newline(text: str) -> str:
    """Without the one newline that editors and `echo` add."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
