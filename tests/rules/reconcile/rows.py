"""What the tests of rows have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.model.address import Address
from monitor.model.ledger import Table
from monitor.model.sources import Match
from monitor.rules.reconcile.known import Known

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def known(match: Match = Match.REFUND) -> Known:
    return Known(
        key=b"k" * 32,
        match=match,
        seeds=frozenset({Address.parse("seed@box.test")}),
        holding=frozenset({Address.parse("held@box.test")}),
        providers={"example.com": "example"},
        numbers=frozenset({"RF-12345678"}),
    )


def table(columns: str, *rows: Sequence[object]) -> Table:
    return Table(tuple(columns.split()), rows, range(2, len(rows) + 2))
