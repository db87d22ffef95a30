"""kill -9 at any instant: every acknowledged fact is there, none twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.edge.journal import SqliteJournal
from monitor.model.facts import Resumed
from monitor.views.world import World

ROOT = Path(__file__).parents[3]
KILLS = 30


def spawn(directory: Path, life: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.edge.journal.appender", str(directory), life]
    return subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, cwd=ROOT)


def first_line(process: subprocess.Popen[bytes]) -> str:
    line = b""
    assert process.stdout
    while not line.endswith(b"\n"):
        byte = process.stdout.read(1)
        assert byte, "the appender died"
        line += byte
    return line.decode().strip()


@pytest.mark.timeout(240)  # 30 starts of an interpreter, on a machine that may be busy
async def test_sigkill_at_random_instants(tmp_path: Path) -> None:
    draw = random.Random(2026)
    acked: dict[int, str] = {}
    place = 0
    for number in range(KILLS):
        process = spawn(tmp_path, f"life{number}")
        try:
            assert first_line(process) == "ready"
            time.sleep(draw.uniform(0.0, 0.06))
        finally:
            process.kill()
            out, _ = process.communicate()
        for line in out.decode().split("\n")[:-1]:  # the last line may be torn
            seq, name = line.split(" ")
            assert int(seq) not in acked
            acked[int(seq)] = name
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        assert world.seq == journal.last >= max(acked, default=0)
        assert journal.last >= place
        place = journal.last
        await journal.close()
    journal = SqliteJournal(tmp_path)
    entries = []
    while page := await journal.read(entries[-1].seq if entries else 0, 1000):
        entries.extend(page)
    await journal.close()
    stored = {entry.seq: entry.fact.by for entry in entries if isinstance(entry.fact, Resumed)}
    assert len(acked) > KILLS
    assert acked.items() <= stored.items()
    assert len(set(stored.values())) == len(stored), "a fact stands there twice"
    assert list(stored) == list(range(1, len(stored) + 1)), "a gap"


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    owner = spawn(tmp_path, "owner")
    try:
        assert first_line(owner) == "ready"
        second = spawn(tmp_path, "second")
        assert second.communicate()[0].decode() == (
            f"refused {tmp_path}: another mailcanary runs on this journal; stop it, or give this one its own state_dir\n"
        )
        assert second.returncode == 0
    finally:
        owner.kill()
        owner.communicate()
    heir = spawn(tmp_path, "heir")
    try:
        assert first_line(heir) == "ready", "a killed owner leaves no lock"
    finally:
        heir.kill()
        heir.communicate()
