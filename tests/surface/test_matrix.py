"""The matrix of routes: last verdicts, and the times of the latest arrivals as bars."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from monitor.model.facts import Judged
from monitor.surface.matrix import BARS, KEPT, Matrix, sparkline
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual


@pytest.mark.parametrize(
    ("times", "bars"),
    [
        ([], ""),
        ([1.0], "█"),
        ([0.0], "▁"),
        ([0.0, 0.0], "▁▁"),
        ([0.0, 0.5, 1.0], "▁▄█"),
        ([None], "x"),
        ([1.0, None, 0.25, None], "█x▂x"),
        ([1e-9, 1e9], "▁█"),
    ],
)
def test_sparkline(times: list[float | None], bars: str) -> None:
    assert sparkline(times) == bars


def test_sparkline_never_leaves_its_bars() -> None:
    for top in (0.1, 1.0, 3.3, 1e6):
        assert set(sparkline([top * share / 97 for share in range(98)])) == set(BARS)


def shown(matrix: Matrix) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=200, highlight=False).print(matrix.table())
    return out.getvalue().splitlines()


@virtual
async def test_the_table_follows_the_verdicts(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, holding=True))
    matrix = Matrix(house.desk)
    house.journal.fold_into(matrix.note)
    head, *lines = shown(matrix)
    assert "via relay" in head and len(lines) == 2, "the holding store has no route"
    assert all("waiting" in line for line in lines) and "seed-1 (provider-1)" in lines[0]
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(30)
        lines = shown(matrix)[1:]
        assert all("█" in line and "pass 1000 ms" in line for line in lines)
        holding = next(account for name, account in house.accounts.items() if name == "holding")
        house.post.into = lambda mail: (holding, "INBOX")
        await house.probe(seed(1))
        await house.sleep(30)
    lines = shown(matrix)[1:]
    assert "█x" in lines[0] and "misrouted -> holding" in lines[0] and "pass" in lines[1]
    assert len(house.facts(Judged)) == 3


@virtual
async def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    matrix = Matrix(house.desk)
    house.journal.fold_into(matrix.note)
    async with house.running():
        await house.sleep(10)
        for _ in range(KEPT + 5):
            await house.probe()
            await house.sleep(20)
    assert sum(shown(matrix)[1].count(bar) for bar in BARS) == KEPT
