"""Log lines about the ledger: which source, what it said, and no recipient."""

from __future__ import annotations

import pytest

from monitor.model.facts import Fact, LedgerPurged, Reconciled, SourceBlind, SourceRestored
from monitor.model.instant import Instant
from monitor.model.ledger import Purge, Purged, Side, Standing
from monitor.surface.log import Level, describe
from monitor.views.ledger import STORE

NOW = Instant(1e9, 1.0, "one")
BLIND = SourceBlind(NOW, "shop-db", Side.REFUNDS, "no answer", "see whether it runs")


@pytest.mark.parametrize(
    ("fact", "level", "event", "text"),
    [
        (BLIND, Level.WARNING, "source_blind", "source shop-db of the ledger: cannot be read: no answer; see whether it runs"),
        (
            SourceBlind(NOW, STORE, Side.REFUNDS, "ledger.sqlite3: full", ""),
            Level.WARNING,
            "source_blind",
            "the ledger store: cannot be read: ledger.sqlite3: full",
        ),
        (SourceRestored(NOW, "shop-db", Side.REFUNDS), Level.INFO, "source_restored", "source shop-db of the ledger: is read again"),
        (
            LedgerPurged(NOW, "ana", Purge(before=1.0), Purged(3, 2, 1)),
            Level.INFO,
            "ledger_purged",
            "the ledger store forgot what it had of before a day, asked by ana: 3 refunds, 2 confirmations, 1 differences",
        ),
        (
            LedgerPurged(NOW, "ana", Purge(recipient=b"123456789012"), Purged(3, 2, 1)),
            Level.INFO,
            "ledger_purged",
            "the ledger store forgot what it had of one recipient, asked by ana: 3 refunds, 2 confirmations, 1 differences",
        ),
    ],
)
def test_lines(fact: Fact, level: Level, event: str, text: str) -> None:
    line = describe(fact)
    assert line is not None
    assert line[:3] == (level, event, text)
    assert "123456789012" not in str(line)


def test_a_comparison_is_routine() -> None:
    assert describe(Reconciled(NOW, Standing())) is None
