"""An audit drawn: text, JUnit, Markdown. Golden texts lie in audit_texts; `python -m tests.surface.test_audit_forms` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.rules.mailauth.spf import Node
from monitor.surface.audit.junit import junit
from monitor.surface.audit.markdown import LONGEST, markdown
from tests.surface.audited import ESC, PTR, SPF, broken, document, sound, subject, text

GOLDEN = Path(__file__).parent / "audit_texts"
NOTE = "learned nothing: no daemon answers"
DRAWN = {
    "broken-80.txt": lambda: text(document(broken()), 80),
    "broken-120.txt": lambda: text(document(broken()), 120),
    "sound-everything-80.txt": lambda: text(document(sound()), 80, everything=True),
    "several-80.txt": lambda: text(document(broken(), sound("b.test"), broken("c.test", blind="timeout"), notes=[NOTE]), 80),
    "several-120.txt": lambda: text(document(broken(), sound("b.test"), broken("c.test", blind="timeout"), notes=[NOTE]), 120),
    "broken.md": lambda: markdown(document(broken())),
    "several.md": lambda: markdown(document(broken(), sound("b.test"))),
}


@pytest.mark.parametrize("name", DRAWN)
def test_golden(name: str) -> None:
    assert DRAWN[name]() == (GOLDEN / name).read_text()


def test_no_golden_text_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == DRAWN.keys()


def test_providers_lead_and_records_are_never_broken() -> None:
    lines = text(document(broken()), 40).splitlines()
    assert lines[0].startswith("shop.test FAIL")
    assert next(line.strip() for line in lines if line.startswith("  ") and "/" in line) == "Gmail: 9/10, blocked by IP-02"
    assert 'shop.test. 3600 IN TXT "v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.10 ~all"' in lines
    assert all(len(line) <= 40 for line in lines if "IN TXT" not in line)


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = document(broken())
    assert "\x1b" not in text(whole)
    assert "\x1b[1;31m" in text(whole, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in text(whole, force_terminal=True)


def test_everything_shows_what_passed() -> None:
    assert "✓ IP-02" not in text(document(broken())) and "✓ IP-02" in text(document(sound()), everything=True)


def test_a_domain_without_a_finding_is_only_in_the_table() -> None:
    drawn = text(document(broken(), sound("b.test")))
    assert drawn.count("b.test") == 1 and "b.test" in "".join(drawn.splitlines()[2:4])


def test_budget_of_spf() -> None:
    over = Node("shop.test", "shop.test", lookups=12, voids=3, children=(Node("a:[bold]x", "shop.test", 1, 0, "", "no valid term"),))
    drawn = text(document(sound(tree=over)))
    assert "SPF of shop.test: 12 of 10 lookups, 3 of 2 void" in drawn and "a:[bold]x  1  no valid term" in drawn


def test_long_lists_are_cut_and_say_so() -> None:
    many = tuple(PTR.failed(f"192.0.2.{n}", "has no PTR record") for n in range(40))
    dark = tuple(SPF.unknown(f"198.51.100.{n}", "timeout") for n in range(40))
    drawn = text(document(broken(results=many + dark)))
    assert "    and 28 more" in drawn and "  and 10 more" in drawn and drawn.count("192.0.2.") < 20


# ---- hostile ---------------------------------------------------------------------------------------------------------

HOSTILE = [
    ESC,
    "[red]x[/red]",
    "::error::x",
    "##[error]x",
    "\u202egnp",
    "\r\nX-Evil: 1",
    "\x00",
    "`" * 8,
    "<script>x</script>",
    "]]>",
    "\ud800",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_a_hostile_record_steers_nothing(words: str) -> None:
    said = f"v=spf1 {words} -all"
    tree = Node(said, "shop.test", record=said, children=(Node(said, said, 1, 1, said, said),))
    result = SPF.failed(words, said, said, said, said)
    whole = document(broken(results=(result,), tree=tree, subject=subject(egress=(words,)), whence=words), notes=[words])
    forms = (text(whole, 100), text(whole, 20), text(whole, everything=True), markdown(whole), junit(whole))
    for form in forms:
        form.encode()
        assert all(char.isprintable() or char == "\n" for char in form)
        assert not re.search(r"^(::error|##\[)", form, re.M) and "##[error]" not in form
    outside = re.sub(r"^(`{3,})dns\n.*?\n\1$", "", markdown(whole), flags=re.M | re.S)
    assert "<script>" not in outside and "```" not in outside
    parsed(whole)


def test_a_record_of_backticks_does_not_leave_its_block() -> None:
    whole = document(broken(results=(SPF.failed("x", "y", publish="````"),)))
    assert "\n`````dns\n````\n`````\n" in markdown(whole)


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_text_can_be_drawn(said: str) -> None:
    result = CheckResult(CheckId.SPF_01, Status.FAIL, said, Gravity.CRITICAL, said, said, said, said)
    whole = document(broken(results=(result,), tree=Node(said, said, record=said, children=(Node(said, said),))))
    for form in (text(whole, 60), markdown(whole)):
        assert all(char.isprintable() or char == "\n" for char in form)
    parsed(whole)


def test_a_huge_zone_stays_within_bounds() -> None:
    many = tuple(SPF.failed(f"192.0.{n // 256}.{n % 256}", "x" * 60_000, "y" * 60_000, "z" * 60_000, "p" * 3000) for n in range(300))
    whole = document(broken(results=many))
    assert len(markdown(whole).encode()) < LONGEST + 200 and len(text(whole)) < 100_000 and len(junit(whole)) < 3_000_000


# ---- JUnit -----------------------------------------------------------------------------------------------------------


def parsed(whole: dict[str, Any]) -> dict[str, Any]:
    """Suite -> case -> outcomes."""
    suites = junitparser.JUnitXml.fromstring(junit(whole).encode())
    return {suite.name: {case.name: [type(each).__name__ for each in case.result] for case in suite} for suite in suites}


def test_junit() -> None:
    assert parsed(document(broken())) == {
        "shop.test": {
            "SPF-07 192.0.2.10": ["Failure"],
            "IP-02 192.0.2.10": ["Failure"],
            "DNS-07 shop.test": [],
            "DKIM-K1 s1._domainkey.shop.test": ["Error"],
        }
    }
    strict = parsed(document(broken(), strict=True))["shop.test"]
    assert strict["DNS-07 shop.test"] == ["Failure"]
    skipped = parsed(document(sound(results=(SPF.skipped("shop.test", "no address is known"), PTR.passed("x", "y")))))
    assert skipped == {"shop.test": {"SPF-07 shop.test": ["Skipped"], "IP-02 x": []}}


def test_junit_of_what_was_not_seen() -> None:
    blind = parsed(document(broken(blind="timeout", results=()), wanted=3))
    assert blind == {"shop.test": {"seen": ["Error"]}, "not audited": {"interrupted": ["Error"]}}
    dark = document(wanted=2, blind="cannot see: timeout", notes=["no daemon answers"])
    assert parsed(dark) == {"not audited": {"seen": ["Error"]}}
    assert "cannot see: timeout" in junit(dark) and "<system-out>no daemon answers</system-out>" in junit(dark)
    assert parsed(document(broken(fault="bug", results=())))["shop.test"] == {"seen": ["Error"]}


def test_junit_names_are_unique() -> None:
    long = "x" * 500
    found = parsed(document(broken(results=(SPF.failed(long + "a", "1"), SPF.failed(long + "b", "2")))))
    assert len(found["shop.test"]) == 2


def test_junit_counts() -> None:
    suites = junitparser.JUnitXml.fromstring(junit(document(broken(), sound("b.test"))).encode())
    assert (suites.tests, suites.failures, suites.errors, suites.skipped) == (8, 2, 1, 0)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, draw in DRAWN.items():
        (GOLDEN / name).write_text(draw())
