"""The corpus of Received fields: tests/corpus_received/NAME.txt against NAME.expect.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.model.mailauth import Hop
from monitor.rules.mailauth.trace import parse_received

CASES = sorted((Path(__file__).parent.parent / "corpus_received").glob("*.txt"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    value = case.read_text(encoding="utf-8").removeprefix("Received:").strip()
    assert parse_received(value) == Hop(**json.loads(case.with_suffix(".expect.json").read_text(encoding="utf-8")))


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 20
