"""Placement hints: tests/corpus_hints/NAME.txt against NAME.expect.json, and whatever else anybody may write there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.mailauth import Leaning
from monitor.rules.mailauth.hints import MAX_HINTS, placement_hints

CASES = sorted((Path(__file__).parent.parent / "corpus_hints").glob("*.txt"))
NAMES = [
    "x-forefront-antispam-report",
    "x-microsoft-antispam",
    "x-ms-exchange-organization-scl",
    "x-yahoofilteredbulk",
    "x-spam-flag",
    "x-spam-status",
    "x-spam-level",
    "x-spam",
    "x-spamd-result",
    "x-rspamd-action",
    "x-gmx-antispam",
    "x-ui-filterresults",
]


def fields(text: str) -> list[tuple[str, str]]:
    found = [line.partition(":") for line in re.sub(r"\n(?=[ \t])", "", text).split("\n") if line]
    return [(name.lower(), value.strip()) for name, _, value in found]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    expected = json.loads(case.with_suffix(".expect.json").read_text(encoding="utf-8"))
    found = placement_hints(fields(case.read_text(encoding="utf-8")))
    assert [(hint.source, hint.leaning.value) for hint in found] == [(source, leaning) for source, leaning, _ in expected]
    for hint, (_, _, words) in zip(found, expected, strict=True):
        assert words in hint.detail and hint.detail.isprintable() and len(hint.detail) <= 200


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize(
    ("value", "leaning"),
    [
        ("SFV:SPM;CAT:BULK", Leaning.SPAM),
        ("SFV:NSPM;CAT:BULK", Leaning.BULK),
        ("SCL:5", Leaning.SPAM),
        ("SCL:1", Leaning.GOOD),
        ("SCL:3", None),
    ],
)
def test_what_weighs_more(value: str, leaning: Leaning | None) -> None:
    found = placement_hints([("x-forefront-antispam-report", value)])
    assert [hint.leaning for hint in found] == ([leaning] if leaning else [])


text = st.one_of(
    st.text(max_size=120),
    st.lists(
        st.sampled_from([":", ";", "SFV", "SCL", "CAT", "BCL", "SPM", "-1", "99999999999", "Yes", "True", "[", "/", "*", "\n", " "]),
        max_size=40,
    ).map("".join),
)


@pytest.mark.hostile
@given(st.lists(st.tuples(st.sampled_from([*NAMES, "received"]), text), max_size=30))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_text(heap: list[tuple[str, str]]) -> None:
    found = placement_hints(heap)
    assert len(found) <= MAX_HINTS
    assert all(hint.detail.isprintable() and len(hint.detail) <= 2_000 for hint in found)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", [":", ";", "SCL:", "*", "[", "default: False [", "9", " ", "SFV:SPM;", "a", "@", "a@b "])
def test_no_piece_explodes(piece: str) -> None:
    value = piece * (1_000_000 // len(piece))
    placement_hints([(name, value) for name in NAMES] * 20)
