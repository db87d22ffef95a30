"""kill -9 at any instant: every portion whose taking was answered is there with its position, none twice, none by half."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitor.edge.ledger import SqliteLedger
from tests.edge.ledger.cases import windows
from tests.edge.ledger.taker import SIZE

ROOT = Path(__file__).parents[3]
KILLS = 8


@pytest.mark.timeout(240)  # starts of an interpreter, on a machine that may be busy
async def test_sigkill_at_random_instants(tmp_path: Path) -> None:
    draw, path, acknowledged = random.Random(2026), tmp_path / "ledger.sqlite3", 0
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.edge.ledger.taker", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert process.stdout
        try:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 0.08))
        finally:
            process.kill()
            out, _ = process.communicate()
        acknowledged = max([acknowledged, *(int(line) for line in out.decode().split("\n")[:-1])])
        ledger = SqliteLedger(path)
        position = int((await ledger.reached("ledger"))[0] or 0)
        standing = await ledger.reconcile(windows(None, None), 1.0)
        shop = await ledger.sources()
        await ledger.close()
        assert position >= acknowledged
        assert standing.refunds == position * SIZE == (shop[0].records if shop else 0)
    assert acknowledged > KILLS


def test_nothing_is_left_of_a_store_without_a_file(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, signal
from monitor.edge.ledger import SqliteLedger
from tests.fakes.ledger import refunds
from tests.edge.ledger.taker import portion
async def main():
    ledger = SqliteLedger(None)
    for number in range(200):
        await ledger.take(refunds(*portion(number)))
    assert os.listdir({str(tmp_path)!r}) == []
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    places = {"TMPDIR": str(tmp_path), "SQLITE_TMPDIR": str(tmp_path), "PATH": ""}
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=places, capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr.decode()
    assert list(tmp_path.iterdir()) == []
