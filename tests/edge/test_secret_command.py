"""Secrets that a program prints: what is taken, what is refused, and that neither the loop nor a secret is ever given away."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from pathlib import Path

import pytest

from monitor.edge import secret
from monitor.edge.secret import SystemSecrets, fetch
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import SecretError

ENVIRON = {"PATH": os.environ["PATH"], "FLAVOUR": "vanilla"}


def command(line: str) -> SecretRef:
    return SecretRef(SecretSource.COMMAND, line)


def python(code: str) -> SecretRef:
    return command(shlex.join([sys.executable, "-c", code]))


def read(ref: SecretRef) -> str:
    return SystemSecrets(ENVIRON).read(ref)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("echo token", "token"),
        ("printf token", "token"),
        ("printf 'a b\\r\\nsecond line\\n'", "a b"),
        ("""sh -c 'echo "$FLAVOUR-$0" ' "x y" """, "vanilla-x y"),
        ("echo '$FLAVOUR' ; echo more", "$FLAVOUR ; echo more"),
        ("sh -c 'echo noise >&2; echo token'", "token"),
        ("sh -c 'head -c 200000 /dev/zero >&2; echo token'", "token"),
    ],
)
def test_the_first_line_of_stdout(line: str, value: str) -> None:
    assert read(command(line)) == value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "names no program"),
        ("echo 'open", "no command line"),
        ("/nowhere/at/all x", "cannot run /nowhere/at/all: No such file"),
        ("/etc/passwd", "Permission denied"),
        ("true", "is empty"),
        ("echo", "is empty"),
        ("printf '\\377\\n'", "no UTF-8"),
        ("sh -c 'exit 3'", "exit code 3: it says nothing on stderr"),
        ("sh -c 'echo a >&2; echo log in again >&2; exit 1'", "exit code 1: log in again; run it by hand"),
        ("sh -c 'kill -9 $$'", "killed by signal 9"),
        ("head -c 70000 /dev/zero", "prints more than"),
        ("printf 'a\\0b'", None),
    ],
)
def test_what_is_no_secret(line: str, words: str | None) -> None:
    if words is None:
        assert read(command(line)) == "a\0b", "where it is used, it is refused"
        return
    with pytest.raises(SecretError, match=words) as caught:
        read(command(line))
    assert str(command(line)) in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_nul_in_the_command_line() -> None:
    with pytest.raises(SecretError, match="no command line"):
        read(command("echo a\0b"))


def test_a_failed_program_gives_no_token_away() -> None:
    code = "import sys; print('hunter2'); print('bad token hunter2 or Bearer=' + 'x' * 30 + ' \\x1b[31mred', file=sys.stderr); sys.exit(1)"
    with pytest.raises(SecretError) as caught:
        read(python(code))
    message = str(caught.value).removeprefix(f"secret {python(code)}")
    assert "bad token *** or *** [31mred" in message
    assert "hunter2" not in message and "xxx" not in message and "\x1b" not in message


def test_an_error_line_that_lost_its_beginning_is_not_shown() -> None:
    ref = python("import sys; sys.stderr.write('s3cr3t ' * 10_000); sys.exit(1)")
    with pytest.raises(SecretError) as caught:
        read(ref)
    assert "it says nothing on stderr" in str(caught.value)


def test_a_program_that_hangs_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secret, "RUN_FOR", 0.3)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(SecretError, match=r"did not end within 0\.3 s"):
        read(command(f"sh -c 'sleep 600 > {fifo} & sleep 600'"))
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "the child held the other end open until it died"
    os.close(reader)


def test_run_anew_at_each_call(tmp_path: Path) -> None:
    count = tmp_path / "count"
    ref = command(f"sh -c 'echo x >> {count}; wc -l < {count}'")
    assert [read(ref).strip(), read(ref).strip()] == ["1", "2"]


async def test_a_plain_read_works_within_a_loop_too() -> None:
    assert read(command("echo token")) == "token"


async def test_fetch_leaves_the_loop_free() -> None:
    """The program ends only when the loop has written what it waits for."""
    inward, outward = os.pipe()
    ref = command(f"sh -c 'cat /proc/{os.getpid()}/fd/{inward}'")
    fetching = asyncio.create_task(fetch(SystemSecrets(ENVIRON), ref))
    await asyncio.sleep(0)
    os.write(outward, b"token\n")
    os.close(outward)
    assert await fetching == "token"
    os.close(inward)


async def test_fetch_reads_all_else_at_once_and_in_this_thread() -> None:
    class Watching:
        def read(self, ref: SecretRef) -> str:
            return threading.current_thread().name

    here = threading.current_thread().name
    assert await fetch(Watching(), SecretRef(SecretSource.ENV, "A")) == here
    assert await fetch(Watching(), SecretRef(SecretSource.FILE, "/a")) == here
    assert (await fetch(Watching(), command("x"))).startswith("mailcanary-secret")


async def test_fetch_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    class Stuck:
        def read(self, ref: SecretRef) -> str:
            held.wait()
            return "late"

    monkeypatch.setattr(secret, "FETCH_FOR", 0.05)
    with pytest.raises(SecretError, match="was not there within"):
        await fetch(Stuck(), command("x"))
    held.set()


async def test_at_most_so_many_programs_at_a_time() -> None:
    running, most, gate = 0, 0, threading.Event()
    lock = threading.Lock()

    class Counting:
        def read(self, ref: SecretRef) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                if running == secret.WORKERS:
                    gate.set()
            gate.wait()
            with lock:
                running -= 1
            return "token"

    await asyncio.gather(*(fetch(Counting(), command("x")) for _ in range(12)))
    assert most == secret.WORKERS


async def test_errors_come_through_fetch() -> None:
    with pytest.raises(SecretError, match="exit code 1"):
        await fetch(SystemSecrets(ENVIRON), command("false"))
