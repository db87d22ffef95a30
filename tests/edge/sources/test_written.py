"""Files that are complete when they are written, as exports are: read until the newest of them was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.edge.sources.files import SETTLED
from monitor.edge.sources.following import QUIET
from monitor.model.sources import Complete
from tests.edge.sources.premises import HEAD, Premises

NIGHT = 6 * 3_600.0


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Premises]:
    made = Premises(tmp_path, "refunds-*.csv", complete=Complete.WRITTEN)
    yield made
    made.close()


def until(at: Premises) -> float | None:
    found = at.read()
    assert all(portion.read_until is None for portion in found[:-1])
    return found[-1].read_until


def changed(path: Path) -> float:
    return path.stat().st_mtime


def test_a_file_at_rest_is_complete_until_it_was_written(at: Premises) -> None:
    night = at.write("refunds-1.csv", HEAD + "R-1,1.00,EUR\n", age=NIGHT)
    assert until(at) == changed(night)
    at.clock.ahead = 40 * 3_600.0
    assert until(at) == changed(night), "the export of the next night failed"
    later = at.write("refunds-2.csv", HEAD + "R-2,1.00,EUR\n", age=NIGHT)
    assert until(at) == changed(later) > changed(night)


def test_by_default_it_is_complete_until_now(tmp_path: Path) -> None:
    at = Premises(tmp_path)
    night = at.write("refunds-1.csv", HEAD + "R-1,1.00,EUR\n", age=NIGHT)
    assert (until(at) or 0.0) > changed(night) + NIGHT - 60.0
    at.close()


def test_one_that_is_still_being_written_does_not_count_yet(at: Premises) -> None:
    fresh = at.write("refunds-2.csv", HEAD + "R-1,1.00,EUR\n", age=SETTLED - 10.0)
    assert until(at) is None
    night = at.write("refunds-1.csv", HEAD + "R-0,1.00,EUR\n", age=NIGHT)
    assert until(at) == changed(night)
    at.clock.ahead = 11.0
    assert until(at) == changed(fresh)


def test_one_with_half_a_line_at_its_end_and_what_is_younger_do_not_count(at: Premises) -> None:
    at.write("refunds-2.csv", HEAD + "R-1,1.0", age=SETTLED + 20.0)
    at.write("refunds-3.csv", HEAD + "R-2,1.00,EUR\n", age=SETTLED + 10.0)
    assert until(at) is None
    night = at.write("refunds-1.csv", HEAD + "R-0,1.00,EUR\n", age=NIGHT)
    assert until(at) == changed(night)


def test_a_last_line_without_end_counts_when_the_export_is_as_long_as_it_will_be(at: Premises) -> None:
    export = at.write("refunds-1.csv", HEAD + "R-1,1.00,EUR", age=QUIET - 10.0)
    assert at.rows() == []
    at.clock.ahead = 11.0
    assert at.rows() == [("R-1", "1.00", "EUR")]
    assert at.last is not None and at.last.read_until == changed(export)


def test_a_time_ahead_of_ours_says_nothing(at: Premises) -> None:
    ahead = at.write("refunds-2.csv", HEAD + "R-1,1.00,EUR\n")
    soon = at.clock.now().utc + 3_600.0
    os.utime(ahead, (soon, soon))
    assert until(at) is None
