"""The corpus of DNS replies: tests/corpus_dns/NAME.hex against NAME.expect.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.edge.dns.reply import read
from monitor.model.dns import Question, RecordType

CASES = sorted((Path(__file__).parent.parent / "corpus_dns").glob("*.hex"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    expected = json.loads(case.with_suffix(".expect.json").read_text())
    question = Question(expected.pop("name"), RecordType(expected.pop("type")))
    answer, _ = read(question, bytes.fromhex("".join(case.read_text().split())), "resolver", truncated=False)
    failure = answer.failure.value if answer.failure else None
    seen = {"outcome": answer.outcome.value, "records": list(answer.records), "chain": list(answer.chain), "ttl": answer.ttl}
    assert seen | {"authentic": answer.authentic, "failure": failure} == expected


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 15
