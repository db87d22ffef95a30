"""The corpus of SPF: tests/corpus_spf/*.yml in the form of the RFC 7208 test suite, every case of every scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Evaluation, check_host

CORPUS = Path(__file__).parent.parent.parent / "corpus_spf"
DEFAULT = "DEFAULT"  # how the suite writes that the receiver's own text is used


@dataclass(frozen=True)
class Zone:
    """`zonedata` of a scenario: records by name and type; a name that times out does so for all types that do not stand before it."""

    records: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: dict[str, list[Any]]) -> Zone:
        return cls({str(name).lower(): _records(entries) for name, entries in data.items()})

    def answer(self, question: Question) -> Answer:
        name, chain = question.name, list[str]()
        while alias := next((text for kind, text in self.records.get(name, ()) if kind == "CNAME"), ""):
            if alias in chain:
                return Answer(question, Outcome.FAILED, failure=DnsFailure.SERVFAIL, detail="aliases in a circle")
            name = alias
            chain.append(name)
        entries = self.records.get(name)
        if entries is None:
            return Answer(question, Outcome.NXDOMAIN)
        found: list[str] = []
        for kind, text in entries:
            if kind == "TIMEOUT" and not found:
                return Answer(question, Outcome.FAILED, failure=DnsFailure.TIMEOUT, detail="no answer in time")
            if kind == question.rtype.value:
                found.append(text)
        return Answer(question, Outcome.FOUND if found else Outcome.NODATA, tuple(found), 300, tuple(chain))


def _records(entries: list[Any]) -> list[tuple[str, str]]:
    """SPF stands for TXT too unless there is a TXT; NONE is no record."""
    pairs = [(kind, value) for entry in entries if isinstance(entry, dict) for kind, value in entry.items()]
    has_txt = any(kind == "TXT" for kind, _ in pairs)
    records: list[tuple[str, str]] = []
    for entry in entries:
        if entry == "TIMEOUT":
            records.append(("TIMEOUT", ""))
            continue
        for kind, value in entry.items():
            if value != "NONE":
                records.append((kind, _text(kind, value)))
                if kind == "SPF" and not has_txt:
                    records.append(("TXT", _text("TXT", value)))
    return sorted(records, key=lambda record: record[0] == "TIMEOUT")


def _text(kind: str, value: Any) -> str:
    match kind:
        case "MX":
            return f"{value[0]} {str(value[1]).lower().rstrip('.') or '.'}"
        case "PTR" | "CNAME":
            return str(value).lower().rstrip(".")
        case "AAAA":
            return str(IPv6Address(value))
        case _:
            return "".join(value) if isinstance(value, list) else str(value)


def evaluated(zone: Zone, address: str, sender: str, helo: str) -> tuple[Evaluation, int, int]:
    """The evaluation, the rounds that it took, and how many questions were asked."""
    answers: dict[Question, Answer] = {}
    domain = sender.rpartition("@")[2] if sender else helo
    for rounds in range(60):
        lookup = Lookup(answers)
        evaluation = check_host(lookup, address, domain, sender or f"postmaster@{helo}", helo, 1_700_000_000.0)
        if lookup.complete:
            return evaluation, rounds, len(answers)
        answers |= {question: zone.answer(question) for question in lookup.wanted}
    raise AssertionError("the evaluation never stops asking")


def cases() -> Iterator[Any]:
    for path in sorted(CORPUS.glob("*.yml")):
        for scenario in yaml.safe_load_all(path.read_text("utf-8")):
            zone = Zone.of(scenario["zonedata"])
            for name, case in scenario["tests"].items():
                yield pytest.param(zone, case, id=f"{path.stem}: {scenario['description']}: {name}")


@pytest.mark.parametrize(("zone", "case"), [*cases()])
def test_case(zone: Zone, case: dict[str, Any]) -> None:
    evaluation, _, _ = evaluated(zone, str(case["host"]), str(case["mailfrom"]), str(case["helo"]))
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert evaluation.result.value in wanted, evaluation.why
    if "explanation" in case:
        assert (evaluation.explanation or DEFAULT) == case["explanation"]
