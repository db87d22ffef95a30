"""The contract, on the store with and without a file, and on the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.edge.ledger import SqliteLedger
from monitor.ports import Ledger
from tests.edge.ledger.contract import LedgerContract
from tests.fakes.ledger import FakeLedger


class TestFile(LedgerContract):
    @pytest.fixture
    async def ledger(self, tmp_path: Path) -> AsyncIterator[Ledger]:
        ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
        yield ledger
        await ledger.close()


class TestTemporary(LedgerContract):
    @pytest.fixture
    async def ledger(self) -> AsyncIterator[Ledger]:
        ledger = SqliteLedger(None)
        yield ledger
        await ledger.close()


class TestFake(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return FakeLedger()
