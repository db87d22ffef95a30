"""The ledger store: refunds, confirmations and their differences in one SQLite file, which does the joins."""

from __future__ import annotations

from monitor.edge.ledger.answers import Undecided
from monitor.edge.ledger.store import SqliteLedger

__all__ = ["SqliteLedger", "Undecided"]
