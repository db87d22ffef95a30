"""The document of an audit: verdicts, counts, order, bounds, the published schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile, ProviderAnswer, Status
from monitor.model.verdict import Verdict
from monitor.rules.mailauth.spf import Node
from monitor.surface.audit.document import (
    LONGEST_PUBLISH,
    MOST_NODES,
    MOST_RESULTS,
    Origin,
    domain_document,
    ordered,
    tree_document,
    verdict_of,
)
from monitor.surface.audit.findings import final_line, tally, whence
from tests.surface import list_checks
from tests.surface.audited import ANSWERS, CATALOGUE, ESC, KEY, PTR, SPF, TTL, bad, broken, document, good, sound, subject

SCHEMA = json.loads((Path(__file__).parents[2] / "config" / "audit.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def valid(whole: dict[str, Any]) -> dict[str, Any]:
    VALIDATOR.validate(whole)
    json.dumps(whole, allow_nan=False)
    return whole


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for each in node.values():
            yield from strings(each)
    elif isinstance(node, list):
        for each in node:
            yield from strings(each)


def result(status: Status, gravity: Gravity) -> CheckResult:
    return CheckResult(CheckId.SPF_07, status, "x", gravity, "saw")


LIGHT = (Gravity.WARNING, Gravity.INFO)
VERDICTS = [
    *((status, gravity, Verdict.FAIL, 1) for status, gravity in product((Status.FAIL, Status.WARN), (Gravity.CRITICAL, Gravity.ERROR))),
    *((status, gravity, Verdict.PASS, 0) for status, gravity in product((Status.FAIL, Status.WARN), LIGHT)),
    *((Status.UNKNOWN, gravity, Verdict.INCONCLUSIVE, 3) for gravity in (Gravity.CRITICAL, Gravity.ERROR)),
    *((Status.UNKNOWN, gravity, Verdict.PASS, 0) for gravity in LIGHT),
    *((status, Gravity.INFO, Verdict.PASS, 0) for status in (Status.PASS, Status.INFO, Status.SKIP)),
]


@pytest.mark.parametrize(("status", "gravity", "verdict", "code"), VERDICTS)
def test_verdict(status: Status, gravity: Gravity, verdict: Verdict, code: int) -> None:
    """Beside a check that passed."""
    assert verdict_of([*good(), result(status, gravity)]) is verdict and verdict.exit_code == code


@pytest.mark.parametrize(
    ("results", "strict", "verdict"),
    [
        ((), False, Verdict.INCONCLUSIVE),
        ((SPF.skipped("x", "no address is known"),), False, Verdict.INCONCLUSIVE),
        ((TTL.unknown("x", "timeout"),), False, Verdict.INCONCLUSIVE),
        ((*good(), TTL.warned("x", "60 s")), False, Verdict.PASS),
        ((*good(), TTL.warned("x", "60 s")), True, Verdict.FAIL),
        ((*good(), TTL.unknown("x", "timeout")), True, Verdict.PASS),
        ((KEY.unknown("x", "timeout"), SPF.failed("y", "softfail")), False, Verdict.FAIL),
        ((SPF.failed("y", "softfail"), KEY.unknown("x", "timeout")), False, Verdict.FAIL),
    ],
)
def test_verdict_of_several(results: tuple[CheckResult, ...], strict: bool, verdict: Verdict) -> None:
    assert verdict_of(results, strict) is verdict


def test_worst_first_and_a_check_stays_together() -> None:
    second = SPF.failed("192.0.2.11", "softfail")
    order = [(one.check, one.status) for one in ordered((*good(), *bad(), second))]
    assert order[:4] == [
        (CheckId.SPF_07, Status.FAIL),
        (CheckId.SPF_07, Status.FAIL),
        (CheckId.IP_02, Status.FAIL),
        (CheckId.DNS_07, Status.WARN),
    ]
    assert order[4] == (CheckId.DKIM_K1, Status.UNKNOWN) and order[-1][1] is Status.PASS


def test_whole_document_fits_the_schema() -> None:
    whole = valid(document(broken(), sound("b.test"), broken("c.test", blind="timeout", results=()), notes=["x"]))
    assert whole["verdict"] == "fail" and [row["verdict"] for row in whole["domains"]] == ["pass", "inconclusive", "fail"]
    assert whole["counts"] == {
        "critical": 1, "error": 1, "warning": 1, "info": 1, "unknown": 1, "grave_unknown": 1, "pass": 3, "skip": 0,
    }  # fmt: skip
    assert whole["questions"] == {"asked": 93, "failed": 4}
    row = whole["domains"][2]
    assert row["results"][0]["why"] == SPF.why and row["results"][0]["title"] == SPF.title
    assert next(each for each in whole["domains"][0]["results"] if each["status"] == "pass")["why"] == ""
    assert [answer["line"] for answer in row["answers"]] == [
        "Gmail: 9/10, blocked by IP-02",
        "Yahoo: 7/8, cannot tell: DKIM-K1",
        "Apple: 6/6",
    ]


def test_schema_refuses_what_is_no_document() -> None:
    whole = document(broken())
    for spoiled in ({**whole, "verdict": "good"}, {**whole, "more": 1}, {key: whole[key] for key in whole if key != "counts"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, SCHEMA)


@pytest.mark.parametrize(
    ("audited", "verdict", "says"),
    [
        (sound(), "pass", "nothing wrong was found, 1 info; not tested: delivered mail"),
        (sound(results=()), "inconclusive", "nothing could be tested"),
        (broken(blind="timeout"), "inconclusive", "cannot see: timeout"),
        (broken(fault="KeyError('x')"), "error", "a fault of our own: KeyError('x')"),
        (
            broken(gone=True),
            "fail",
            "the domain does not exist; 1 critical, 1 error, 1 warning; 1 could not be seen; not tested: delivered mail",
        ),
    ],
)
def test_one_domain(audited: Any, verdict: str, says: str) -> None:
    row = domain_document(audited, CATALOGUE)
    assert row["verdict"] == verdict and tally(row) == says


def test_interrupted_is_no_pass() -> None:
    assert document(sound(), wanted=2)["verdict"] == "inconclusive"
    assert document(broken(), wanted=2)["verdict"] == "fail"
    assert valid(document(wanted=3))["verdict"] == "inconclusive"
    assert final_line(document(sound(), wanted=2)) == "AUDIT INCONCLUSIVE 1 of 2 domains: 1 pass; 1 info; not tested: delivered mail"
    assert (
        final_line(document(sound(), broken("b.test")))
        == "AUDIT FAIL 2 domains: 1 fail, 1 pass; 1 critical, 1 error, 1 warning, 1 info; not tested: delivered mail"
    )


def test_an_answer_with_both() -> None:
    answer = ProviderAnswer(Profile.OUTLOOK, 3, 7, (CheckId.SPF_07, CheckId.IP_02), (CheckId.DKIM_K1,))
    (row,) = domain_document(sound(answers=(answer,)), CATALOGUE)["answers"]
    assert row["line"] == "Outlook: 3/7, blocked by SPF-07, IP-02; cannot tell: DKIM-K1" and row["blocked_by"] == ["SPF-07", "IP-02"]


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        (Origin.FLAGS, "192.0.2.10, from the command line"),
        (Origin.CONFIGURATION, "192.0.2.10, from the configuration (x)"),
        (Origin.DAEMON, "192.0.2.10, learned from delivered probes (x)"),
        (Origin.JOURNAL, "192.0.2.10, learned from delivered probes (x)"),
        (Origin.UNKNOWN, "not known: give them with --egress, or as inspect.domains.NAME.egress (x)"),
    ],
)
def test_where_addresses_came_from(origin: Origin, says: str) -> None:
    assert whence(domain_document(sound(origin=origin, whence="x"), CATALOGUE)) == says


def test_tree_is_bounded_and_says_so() -> None:
    wide = Node("shop.test", "shop.test", lookups=900, children=tuple(Node(f"a:{n}.test", "shop.test", 1) for n in range(900)))
    drawn = tree_document(wide)
    assert len(drawn["children"]) == MOST_NODES - 1 and drawn["hidden"] == 900 - len(drawn["children"]) and drawn["lookups"] == 900
    deep = Node("end", "x")
    for n in range(60):
        deep = Node(f"include:{n}.test", "x", children=(deep,))
    valid(document(sound(tree=deep)))


def test_a_hostile_zone_stays_within_bounds() -> None:
    huge = f"v=spf1 {ESC} secret@shop.test " + "x" * 60_000
    hostile = SPF.failed(ESC + "y" * 3000, huge, huge, huge, huge)
    many = tuple(PTR.failed(f"192.0.2.{n}", "none") for n in range(MOST_RESULTS + 50))
    whole = valid(document(broken(results=(hostile, *many), subject=subject(egress=(ESC,) * 3), blind="", whence=ESC)))
    dumped = "".join(strings(whole))
    assert dumped.isprintable() and "secret@" not in dumped
    assert len(whole["domains"][0]["results"]) == MOST_RESULTS and len(dumped) < 2_000_000
    assert whole["domains"][0]["results"][0]["publish"] == ""


def test_what_is_to_be_published_is_exact_or_not_there() -> None:
    line = '_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@shop.test"'
    for publish, kept in ((line, line), ("x" * (LONGEST_PUBLISH + 1), ""), (line + " ##vso[task.complete]", "")):
        row = domain_document(sound(results=(replace(bad()[1], publish=publish),)), CATALOGUE)
        assert row["results"][0]["publish"] == kept


@given(st.text(max_size=300), st.text(max_size=300), st.sampled_from(list(Status)), st.sampled_from(list(Gravity)))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_text_makes_a_valid_document(about: str, saw: str, status: Status, gravity: Gravity) -> None:
    one = CheckResult(CheckId.SPF_01, status, about, gravity, saw, saw, saw, saw)
    whole = valid(document(broken(results=(one,), answers=ANSWERS)))
    assert "".join(strings(whole)).isprintable()


def test_the_page_lists_every_check() -> None:
    """Otherwise: python -m tests.surface.list_checks"""
    assert list_checks.printed(list_checks.PAGE.read_text()) == list_checks.table()
