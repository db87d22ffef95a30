"""The corpus of rows: each case says what is taken, what is refused and how to mend it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.model.ledger import Confirmation, Outcome, Refund, Side, Table, money
from monitor.model.sources import Layout, Match, RefundStatus
from monitor.rules.reconcile.figures import shown
from monitor.rules.reconcile.rows import confirmations_of_rows, refunds_of_rows
from tests.rules.reconcile.rows import NOW, known

CORPUS = Path(__file__).parents[2] / "corpus_ledger"
CASES = sorted(path.name.removesuffix(".expect.json") for path in CORPUS.glob("*.expect.json"))


def cut(path: Path, delimiter: str) -> Table:
    """The way the file sources cut: undecodable bytes are kept as surrogates."""
    reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8", "surrogateescape"), newline=""), delimiter=delimiter or ",")
    header, *rows = list(reader)
    return Table(tuple(header), rows, range(2, len(rows) + 2))


def layout_of(said: dict[str, Any]) -> Layout:
    statuses = {word: RefundStatus(status) for word, status in said.get("statuses", {}).items()}
    return Layout(**{**said, "statuses": statuses})


def when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")


def told(record: Refund | Confirmation) -> list[object]:
    amount = None if record.amount is None else shown(money(record.amount, record.currency))
    line: list[object] = [record.line, record.key, amount, when(record.at)]
    match record:
        case Refund(reversed_at=float() as undone):
            line.append(when(undone))
        case Confirmation(outcome=outcome) if outcome != Outcome.SENT.value:
            line.append(outcome)
    return line


def test_there_is_a_corpus() -> None:
    assert len(CASES) >= 15


@pytest.mark.parametrize("name", CASES)
def test_the_corpus(name: str) -> None:
    expected = json.loads((CORPUS / f"{name}.expect.json").read_text("utf-8"))
    layout = layout_of(expected.get("layout", {}))
    read = refunds_of_rows if Side(expected["side"]) is Side.REFUNDS else confirmations_of_rows
    records, faults, dropped = read(
        cut(CORPUS / f"{name}.csv", layout.delimiter), layout, known(Match(expected.get("match", "refund"))), NOW
    )
    assert [told(record) for record in records] == expected["records"]
    assert [fault.line for fault in faults] == [line for line, _, _ in expected["faults"]]
    for fault, (_, what, mend) in zip(faults, expected["faults"], strict=True):
        assert what in fault.what
        assert mend in fault.mend
        assert "@" not in fault.what + fault.mend
    assert dropped == expected.get("dropped", 0)
