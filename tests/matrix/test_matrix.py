"""The matrix: every fault is seen, the layer is right, and nobody is woken for nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from monitor.lab import Fault
from monitor.model.incident import Layer
from tests.matrix.__main__ import page
from tests.matrix.all_rows import TARGET, Matrix, play_all
from tests.matrix.play import Outcome
from tests.matrix.rows import DOUBLE, FAULTY, HEALTHY, ROWS

SEED = 4  # a change is not to fail by the luck of a draw: `python -m tests.matrix` draws
PAGE = Path(__file__).parents[2] / "docs" / "matrix.md"

pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    seed = int(os.environ.get("MATRIX_SEED", SEED))
    print(f"\nMATRIX_SEED={seed}")
    played = play_all(seed)
    print(played.text())
    return played


def test_every_fault_is_detected(matrix: Matrix) -> None:
    assert matrix.undetected == [], matrix.text()


def test_the_layer_is_right(matrix: Matrix) -> None:
    assert matrix.share_right >= TARGET, (matrix.wrong, matrix.text())


def test_nobody_is_paged_where_mail_is_well(matrix: Matrix) -> None:
    assert matrix.false_pages == [], matrix.text()


def test_nobody_is_told_under_a_planned_silence(matrix: Matrix) -> None:
    assert matrix.told_in_silence == [], matrix.text()


def test_there_are_enough_rows_of_every_layer() -> None:
    assert len(DOUBLE) >= 10
    assert len(FAULTY) - len(DOUBLE) >= 30
    assert frozenset().union(*(row.layers for row in FAULTY)) == set(Layer)
    assert len({row.other.fault for row in DOUBLE if row.other}) >= 8


def test_one_fault_of_everything_is_one_page(matrix: Matrix) -> None:
    assert matrix.paged_again == [], matrix.text()


def test_every_fault_of_the_lab_has_a_row() -> None:
    assert {row.fault for row in ROWS if row.fault is not None and row.other is None} == set(Fault)
    assert len({row.fault for row in FAULTY}) >= 20
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.why for row in ROWS)
    assert HEALTHY


def test_the_table_can_tell_right_from_wrong() -> None:
    """A matrix in which nothing was detected, or somebody was woken in a healthy row, does not pass for a good one."""
    silent = Matrix(0, tuple(Outcome(number, "", False, "") for number in range(len(ROWS))), 1.0)
    assert len(silent.undetected) == len(FAULTY)
    assert silent.share_right == 0
    assert silent.false_pages == []
    broken = Matrix(0, tuple(Outcome(number, "", False, "", error="broken") for number in range(len(ROWS))), 1.0)
    assert len(broken.false_pages) == len(HEALTHY)
    noisy = Matrix(0, tuple(Outcome(number, "", False, "", pages=2) for number in range(len(ROWS))), 1.0)
    assert len(noisy.paged_again) == len([row for row in FAULTY if row.is_wide])
    assert len(noisy.false_pages) == len(HEALTHY)
    silenced = [number for number, row in enumerate(ROWS) if row.silenced]
    assert len(silent.told_in_silence) == len(silenced)  # nothing broke: nothing is shown
    for told, wrong in ((0, []), (1, silenced)):
        quiet = Matrix(0, tuple(Outcome(number, "", False, "", opened=("page",), told=told) for number in silenced), 1.0)
        assert len(quiet.told_in_silence) == len(wrong)
    (both, *_) = (number for number, row in enumerate(ROWS) if row.other is not None)
    layer = next(iter(ROWS[both].layers))
    assert [Outcome(both, "", False, "", layer=layer, lost=lost).right for lost in ("", "nothing of it")] == [True, False]
    assert Matrix(0, tuple(Outcome(number, "", False, "", pages=1) for number in range(len(ROWS))), 1.0).paged_again == []


def test_what_is_played_a_second_time() -> None:
    """What was amiss, and nothing else: a wrong layer counts as it came."""
    wide = next(number for number, row in enumerate(ROWS) if row.is_wide)
    silenced = next(number for number, row in enumerate(ROWS) if row.silenced)
    healthy = next(number for number, row in enumerate(ROWS) if row.healthy and not row.silenced)
    assert [
        Outcome(wide, "", False, "", 1.0, pages=1).amiss,
        Outcome(wide, "", False, "", None).amiss,
        Outcome(wide, "", False, "", 1.0, pages=2).amiss,
        Outcome(wide, "", False, "", 1.0, error="TimeoutError").amiss,
        Outcome(wide, "", False, "", 1.0, ready=False).amiss,
        Outcome(silenced, "", False, "", 1.0, opened=("page",)).amiss,
        Outcome(silenced, "", False, "", 1.0, opened=("page",), told=1).amiss,
        Outcome(silenced, "", False, "").amiss,
        Outcome(healthy, "", False, "").amiss,
        Outcome(healthy, "", False, "", pages=1).amiss,
    ] == [False, True, True, True, True, False, True, True, False, True]
    assert "played" not in Matrix(0, (), 1.0).verdict()
    assert Matrix(0, (), 1.0, (wide,)).verdict().endswith(f"played a second time, alone: {ROWS[wide].name}")


def test_the_page_in_the_docs_has_every_row() -> None:
    shown = PAGE.read_text()
    assert [row.name for row in ROWS if not re.search(rf"^\| {re.escape(row.what)} \| {row.place.value}[ |]", shown, re.M)] == []
    assert shown.count("\n| ") == len(ROWS) + 1


def test_the_page_says_what_was_not_right() -> None:
    outcomes = [Outcome(number, "gmail:1", False, "") for number in range(len(ROWS))]
    written = page(Matrix(7, tuple(outcomes), 1.0))
    assert "--seed 7 " in written
    assert written.count("\n* ") == len(FAULTY)
