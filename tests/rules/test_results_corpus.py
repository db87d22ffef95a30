"""The corpus of Authentication-Results: tests/corpus_results/NAME.txt, the fields as a message bears them, against NAME.expect.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import authres as oracle
import pytest

from monitor.model.mail import AuthResult
from monitor.rules.mailauth.authres import parse
from monitor.rules.mailauth.receiver import Receiver, read_receiver

CASES = sorted((Path(__file__).parent.parent / "corpus_results").glob("*.txt"))
ENOUGH = 0.95  # of the triples are right, whatever a newcomer adds
FEWEST = 120


def fields(text: str) -> list[tuple[str, str]]:
    """(name in lower case, unfolded value)."""
    found = [line.partition(":") for line in re.sub(r"\n(?=[ \t])", "", text).splitlines() if line]
    return [(name.lower(), value.strip()) for name, _, value in found]


def read(case: Path) -> tuple[Receiver, dict[str, Any]]:
    expected = json.loads(case.with_suffix(".expect.json").read_text(encoding="utf-8"))
    return read_receiver(fields(case.read_text(encoding="utf-8")), expected["trusted"]), expected


def triple(receiver: Receiver) -> tuple[str, str, str]:
    auth = receiver.said.auth
    return auth.spf.value, auth.dkim.value, auth.dmarc.value


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    receiver, expected = read(case)
    said = receiver.said
    assert triple(receiver) == (expected["spf"], expected["dkim"], expected["dmarc"])
    assert said.auth.authserv_id == (expected["by"] if said.auth.authserv_id else "")
    assert said.address == expected.get("address", said.address)
    assert said.envelope == expected.get("envelope", said.envelope)
    if "border" in expected:
        assert receiver.border is not None
        assert (receiver.border.address, receiver.border.helo) == (expected["border"], expected["helo"])
        assert receiver.border.tls is expected["tls"]


def test_the_share_of_right_triples() -> None:
    found = [read(case) for case in CASES]
    right = sum(triple(receiver) == (expected["spf"], expected["dkim"], expected["dmarc"]) for receiver, expected in found)
    print(f"{right} of {len(found)} triples are right")
    assert len(found) >= FEWEST
    assert right / len(found) >= ENOUGH


def test_the_oracle_agrees_where_it_can_read() -> None:
    """The authres package has no tolerance: it reads three of four."""
    agreed = 0
    for value in (value for case in CASES for _, value in fields(case.read_text(encoding="utf-8"))):
        try:
            theirs = oracle.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
        except Exception:
            continue  # it raises exceptions of many kinds
        ours = parse(value)
        assert ours.authserv_id.lower() == theirs.authserv_id, value
        theirs_read = [(result.method, result.result) for result in theirs.results]
        if not {result for _, result in theirs_read} <= {result.value for result in AuthResult}:
            continue  # words that it passes on and that we translate
        assert [(method, result.value) for method, result, _ in ours.results] == theirs_read, value
        agreed += 1
    print(f"the oracle could read {agreed}")
    assert agreed >= 120
