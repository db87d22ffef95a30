"""The bench of the comparison, small: every fault that was made is found, and none is invented; its peer finds as many."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import books, ledger

COUNT = 6_000
SHARE = 0.005
pytestmark = [pytest.mark.timeout(60)]


def test_all_found_and_none_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    row = asyncio.run(ledger.one_shot(tmp_path, COUNT))
    assert "0 missed, 0 invented" in row.measured and row.ratio is not None
    assert f"{COUNT:,} refunds" in row.what and not list(tmp_path.glob("*.sqlite3-*"))


def test_the_peer_finds_as_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    truth = books.write(tmp_path, COUNT, SHARE)
    assert all(len(truth[kind]) == int(COUNT * SHARE) for kind in books.KINDS)
    raw = json.loads(subprocess.run([sys.executable, "-m", "bench.raw_ledger", str(tmp_path)], capture_output=True, check=True).stdout)
    assert raw["found"] == {kind: len(numbers) for kind, numbers in truth.items()}


def test_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "KEPT", 10_000)
    monkeypatch.setattr(ledger, "STREAM_SECONDS", 0.2)
    row = asyncio.run(ledger.streaming(tmp_path))
    assert row.measured.endswith("records/s") and row.ratio is None
