"""One lab for the suite; each test has seed mailboxes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import LabProcess, lab_process
from tests.acceptance.ground import Ground, ground

_taken = iter(range(1000))


@pytest.fixture(scope="session")
def reload_lab() -> Iterator[LabProcess]:
    with lab_process("--mailboxes", "24") as lab:
        yield lab


@pytest.fixture
def site(reload_lab: LabProcess, tmp_path: Path) -> Ground:
    """Three seeds at three providers."""
    number = next(_taken)
    addresses = [provider["accounts"][number]["address"] for provider in reload_lab.description["providers"]]
    return ground(reload_lab, tmp_path, addresses)
