"""Every id of the list has a check in the catalogue, and a table row with a passing, a failing and an unknown world."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from monitor.model.checks import CheckId
from monitor.rules.inspect import FAMILIES, catalogue
from tests.rules.inspect.worlds import Row, holds

HERE = Path(__file__).parent


@cache
def tables() -> tuple[ModuleType, ...]:
    """The test modules beside this one."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        if path.name == Path(__file__).name:
            continue
        spec = importlib.util.spec_from_file_location(f"table_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "ROWS"):
            found.append(module)
    return tuple(found)


def rows() -> dict[CheckId, Row]:
    found: dict[CheckId, Row] = {}
    for module in tables():
        doubled = found.keys() & module.ROWS.keys()
        assert not doubled, f"{module.__name__}: rows of {sorted(doubled)} stand in another table too"
        found |= module.ROWS
    return found


def test_every_id_has_a_check_and_a_row() -> None:
    assert set(catalogue()) == set(CheckId)
    assert set(rows()) == set(CheckId)


@pytest.mark.parametrize("check", CheckId)
def test_row(check: CheckId) -> None:
    """Whichever family yields the id: in each of the three worlds all that the families say of it is what the row promises."""
    row = rows()[check]
    families = [family for family in FAMILIES if check in __import__(family.__module__, fromlist=["CHECKS"]).CHECKS]
    assert len(families) == 1, f"{check} belongs to {len(families)} families"
    holds(row, check, families[0])
