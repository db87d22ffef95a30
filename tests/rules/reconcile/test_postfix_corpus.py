"""The corpus of Postfix logs: tests/corpus_postfix/NAME.log against NAME.expect.json."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.model.address import Address
from monitor.model.ledger import Confirmation, Lines, Outcome, RowFault
from monitor.model.sources import Match, PostfixSource
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.postfix import confirmations_of_log

CASES = sorted((Path(__file__).parents[2] / "corpus_postfix").glob("*.log"))
SOURCE = {"pattern": "/var/log/mail.log", "number": r"refund\.(RF-\d+)@", "within": "message_id", "time_zone": "UTC"}


def known_of(expect: dict[str, Any]) -> Known:
    return Known(
        key=b"k" * 32,
        match=Match.REFUND,
        seeds=frozenset(Address.parse(seed) for seed in expect.get("seeds", ())),
        holding=frozenset(Address.parse(holding) for holding in expect.get("holding", ())),
        providers={"customer.example": "customers"},
        numbers=frozenset(expect.get("numbers", ())),
    )


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def wanted(confirmation: dict[str, Any], known: Known) -> tuple[object, ...]:
    to = confirmation["to"]
    at = seconds(confirmation["at"])
    outcome, resend = confirmation["outcome"], confirmation.get("resend", False)
    return (confirmation["number"], None, "", at, known.recipient(to), known.provider(to), outcome, resend, confirmation["line"])


def got(record: Confirmation) -> tuple[object, ...]:
    assert Outcome(record.outcome)
    return (record.key, *record[2:])


def read(lines: list[str], expect: dict[str, Any], cut: int | None = None) -> tuple[list[Confirmation], list[RowFault], int]:
    source, known = PostfixSource(**SOURCE | expect.get("source", {})), known_of(expect)
    now = seconds(expect.get("now", "2024-05-01T12:00:00Z"))
    records, faults, dropped, memory = confirmations_of_log(Lines(lines[:cut]), source, known, "", now)
    if cut is not None:
        more = confirmations_of_log(Lines(lines[cut:], cut + 1), source, known, memory, now)
        records, faults, dropped, memory = records + more[0], faults + more[1], dropped + more[2], more[3]
    assert not any(confirmation["to"] in memory for confirmation in expect["confirmations"]), "no address is remembered"
    return records, faults, dropped


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    expect = json.loads(case.with_suffix(".expect.json").read_text(encoding="utf-8"))
    lines = case.read_text(encoding="utf-8").splitlines()
    records, faults, dropped = read(lines, expect)
    known = known_of(expect)
    assert [got(record) for record in records] == [wanted(confirmation, known) for confirmation in expect["confirmations"]]
    assert len({record.identity for record in records}) == len(records)
    assert [(fault.line, fault.what[: len(want["what"])]) for fault, want in zip(faults, expect.get("faults", ()), strict=True)] == [
        (want["line"], want["what"]) for want in expect.get("faults", ())
    ]
    assert dropped == expect.get("dropped", 0)
    for cut in range(len(lines) + 1):
        assert read(lines, expect, cut) == (records, faults, dropped), f"cut before line {cut + 1}"


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 12
