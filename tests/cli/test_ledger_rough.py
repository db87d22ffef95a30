"""The comparison of two files as a process: its bounds, its end before its time, and what it leaves behind, which is nothing."""

from __future__ import annotations

import contextlib
import gzip
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

IMPATIENT = "import sys, monitor.cli.bar as b; b.PATIENCE = 0.0; "
SPILLS = "import monitor.edge.ledger.schema as s; s.CACHE_ONCE = 64; "  # KiB: what it has read goes to its temporary file at once
MAIN = "from monitor.cli import main; sys.exit(main(sys.argv[1:]))"
HEADER = "refund,amount,currency,at,recipient\n"
MIB = 1024 * 1024
pytestmark = [pytest.mark.timeout(60)]


@dataclass
class Room:
    """Places of its own for a process: temporary files, a home, a directory to work in."""

    base: Path

    def __post_init__(self) -> None:
        for name in ("tmp", "home", "work"):
            (self.base / name).mkdir()
        self.work = self.base / "work"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "COVERAGE_PROCESS_START") if name in os.environ}
        return {
            **kept,
            "TMPDIR": str(self.base / "tmp"),
            "HOME": str(self.base / "home"),
            "TERM": "xterm-256color",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *words: object, first: str = "", **pipes: int) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", first + IMPATIENT + MAIN, "ledger", "reconcile", *map(str, words)]
        places: Mapping[str, int] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes}
        environment = {**self.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.Popen(argv, cwd=self.work, env=environment, **places)

    def left(self) -> list[str]:
        """Files that nobody asked for."""
        return sorted(str(path.relative_to(self.base)) for name in ("tmp", "home") for path in (self.base / name).rglob("*"))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def rows(numbers: Sequence[int], more: str = "") -> str:
    return "".join(f"RF-{n:06d},1{n % 10}.00,EUR,2026-03-01T{10 + n % 9}:{n % 60:02d}:00Z,customer{n}@example.com{more}\n" for n in numbers)


def written(room: Room, count: int = 3_000) -> tuple[Path, Path]:
    """Refunds of which none was confirmed but the last."""
    one, other = room.work / "refunds.csv", room.work / "confirmations.csv"
    last = "RF-LAST,1.00,EUR,2026-03-01T23:00:00Z,zoe@example.com\n"
    one.write_text(HEADER + rows(range(count)) + last)
    other.write_text(HEADER + last)
    return one, other


def limited(size: int) -> str:
    """No file may become larger."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


# Of what the process itself had in memory at most: what wait4 says begins with the memory of whoever started it.
WRITE_PEAK = (
    "import atexit, pathlib; atexit.register(lambda: pathlib.Path('peak').write_text("
    "next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])); "
)


def peak(room: Room) -> int:
    """MiB."""
    return int((room.work / "peak").read_text()) // 1024


def test_it_reads_no_settings_unless_it_is_asked_to(room: Room) -> None:
    """They are a third of the time of a small comparison."""
    told = "import atexit; atexit.register(lambda: print('pydantic' in sys.modules, 'yaml' in sys.modules, file=sys.stderr)); "
    with ended(room.start(*written(room, 5), first=told)) as process:
        _, err = process.communicate()
    assert process.returncode == 1 and err == b"False False\n"


def test_a_file_that_is_much_larger_than_the_memory_it_takes(room: Room) -> None:
    """300 MB, packed; columns that nobody asked for are most of it."""
    one, other = written(room, 1)
    packed = room.work / "refunds.csv.gz"
    lump = f",{'x' * 10_000}"
    with gzip.open(packed, "wt", compresslevel=1) as file:
        file.write(HEADER.replace("\n", ",remarks\n"))
        for start in range(0, 30_000, 1_000):
            file.write(rows(range(start, start + 1_000), lump))
        file.write("RF-LAST,1.00,EUR,2026-03-01T23:00:00Z,zoe@example.com,\n")
    assert one.exists()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert room.start(packed, other, "--output", "d.csv", first=WRITE_PEAK, **quiet).wait(60) == 1
    assert peak(room) < 220
    assert (room.work / "d.csv").read_text().count("\n") == 1 + 30_000 and not room.left()


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_no_room_for_the_records(room: Room, form: str) -> None:
    with ended(room.start(*written(room, 20_000), "--format", form, first=SPILLS + limited(MIB))) as process:
        out, err = process.communicate()
    assert process.returncode == 4 and not out and b"Traceback" not in err and err.count(b"\n") == 1
    assert b"TMPDIR" in err and b"free disk space" in err and not room.left()


@pytest.mark.parametrize("name", ["d.csv", "d.json"])
def test_no_room_for_the_result(room: Room, name: str) -> None:
    """What stood there before still does."""
    output = room.work / name
    output.write_text("an older one")
    with ended(room.start(*written(room), "--output", output, first=limited(MIB // 4))) as process:
        out, err = process.communicate()
    assert process.returncode == 2 and not out and err.count(b"\n") == 1 and b"nothing was written" in err
    assert output.read_text() == "an older one"
    assert sorted(path.name for path in room.work.iterdir()) == sorted(["confirmations.csv", "refunds.csv", name])


def fed(room: Room, *words: object) -> subprocess.Popen[bytes]:
    """One that has read a part of its refunds from a pipe, and waits for more."""
    _, other = written(room)
    process = room.start("-", other, *words, first=SPILLS, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write((HEADER + rows(range(60_000))).encode())
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while len(spilled(process)) < 100_000 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(spilled(process)) >= 100_000, process.poll()
    return process


def spilled(process: subprocess.Popen[bytes]) -> bytes:
    """What is in the files of its own that have no name any more."""
    found = b""
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()).endswith("(deleted)"):
                found += entry.read_bytes()
    return found


def test_nothing_is_kept_not_even_while_it_runs(room: Room) -> None:
    with ended(fed(room, "--output", "d.json")) as process:
        kept = spilled(process)
        assert b"RF-000100" in kept and b"example.com" not in kept
        assert not room.left() and sorted(path.name for path in room.work.iterdir()) == ["confirmations.csv", "refunds.csv"]
        out, err = process.communicate()
    assert process.returncode == 1 and not err and b"example.com" not in out and not room.left()
    assert "example.com" not in (room.work / "d.json").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_in_the_middle(room: Room, number: signal.Signals) -> None:
    """While it waits for a pipe."""
    with ended(fed(room, "--output", "d.csv")) as process:
        process.send_signal(number)
        process.wait(10)
        assert process.stdout is not None and process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    assert not out and not err and not room.left()
    assert sorted(path.name for path in room.work.iterdir()) == ["confirmations.csv", "refunds.csv"]


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_a_reader_that_leaves(room: Room, form: str) -> None:
    """As `| head -1` does; it changes no verdict."""
    files = written(room)
    reading, writing = os.pipe()
    with ended(room.start(*files, "--format", form, stdout=writing)) as process:
        os.close(writing)
        os.close(reading)
        _, err = process.communicate()
    assert process.returncode == 1 and not err


def test_a_result_that_cannot_be_written(room: Room) -> None:
    with open("/dev/full", "wb") as full, ended(room.start(*written(room), "--format", "csv", stdout=full.fileno())) as process:  # noqa: PTH123
        _, err = process.communicate()
    assert process.returncode == 1 and err.count(b"\n") == 1 and b"could not be written" in err


def shown(reading: int, process: subprocess.Popen[bytes]) -> bytes:
    """What a terminal got until the process was done."""
    text = b""
    while True:
        ready, _, _ = select.select([reading], [], [], 30)
        assert ready, "nothing more, and no end"
        try:
            piece = os.read(reading, 65_536)
        except OSError:  # the other end is closed
            piece = b""
        if not piece:
            process.wait(10)
            return text
        text += piece


def test_a_bar_on_a_terminal_and_only_there(room: Room) -> None:
    files = written(room, 40_000)
    master, slave = pty.openpty()
    try:
        with ended(room.start(*files, "--format", "csv", "--output", "d.csv", stdout=subprocess.DEVNULL, stderr=slave)) as process:
            os.close(slave)
            text = shown(master, process)
        assert process.returncode == 1 and b"reading refunds" in text and b" %" in text
    finally:
        os.close(master)
    with ended(room.start(*files)) as process:
        out, err = process.communicate()
    assert not err and b"reading" not in out and b"\x1b" not in out


@pytest.mark.parametrize(("plain", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(room: Room, monkeypatch: pytest.MonkeyPatch, plain: dict[str, str], coloured: bool) -> None:
    files = written(room, 5)
    master, slave = pty.openpty()
    monkeypatch.setattr(Room, "environment", {**room.environment, **plain})
    try:
        with ended(room.start(*files, stdout=slave)) as process:
            os.close(slave)
            text = shown(master, process)
    finally:
        os.close(master)
    assert process.returncode == 1 and b"RF-000003" in text and (b"\x1b[1;31m" in text) is coloured
