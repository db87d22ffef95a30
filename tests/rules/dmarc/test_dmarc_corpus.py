"""The corpus of records, also beside checkdmarc's parser, which is asked without any network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dns.exception
import dns.resolver
import pytest
from checkdmarc.dmarc import DMARCError, parse_dmarc_record

from monitor.rules.mailauth.dmarc import parse

CORPUS = Path(__file__).parents[2] / "corpus_dmarc"
CASES = sorted(path.stem for path in CORPUS.glob("*.txt"))
COUNTED = ("faults", "warnings", "policies_at_fault")


def read(name: str) -> tuple[str, dict[str, Any]]:
    text = (CORPUS / f"{name}.txt").read_bytes().decode().removesuffix("\n")
    return text, json.loads((CORPUS / f"{name}.expect.json").read_text())


class NoNetwork(dns.resolver.Resolver):
    """Answers each question with a time-out: what checkdmarc says of destinations is not compared."""

    def __init__(self) -> None:
        super().__init__(configure=False)

    def resolve(self, *_: Any, **__: Any) -> Any:
        raise dns.exception.Timeout(timeout=1.0)


def test_there_are_cases_and_each_has_its_expectation() -> None:
    assert len(CASES) > 25
    assert {path.name.removesuffix(".expect.json") for path in CORPUS.glob("*.expect.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    text, expected = read(name)
    record = parse(text)
    assert (record is not None) == expected.pop("record", True)
    if record is None:
        return
    said: dict[str, Any] = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(record).items()}
    said |= {key: len(said[key]) for key in COUNTED} | {"fatal": bool(record.fatal)}
    wanted = {key: value for key, value in expected.items() if key not in ("peer", "note")}
    assert {key: said[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", [name for name in CASES if read(name)[1].get("peer", True)])
def test_peer(name: str) -> None:
    """Both take it or both refuse it; of what both take they read the same policy."""
    text, _ = read(name)
    record = parse(text)
    try:
        peer = parse_dmarc_record(text, "shop.test", resolver=NoNetwork())
    except DMARCError:
        assert record is None or record.faults or record.fatal, f"{name}: only checkdmarc refuses it"
        return
    assert record is not None
    assert not record.faults
    assert not record.fatal
    tags: Any = peer["tags"]
    assert record.policy == tags["p"]["value"]
    for tag, ours in (("sp", record.subdomain_policy), ("np", record.missing_policy)):
        if ours:
            assert tags[tag]["value"] == ours
