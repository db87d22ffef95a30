"""Every form that is made from the document: the last line, Argo's body, JUnit, GitHub's commands, outputs and summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from monitor.model.policy import Policy
from monitor.model.verdict import Reason
from monitor.surface.gate import argo_body, final_line, github_commands, github_outputs, junit, summary_markdown, unanswered
from monitor.surface.gate.lines import LONGEST_BODY
from monitor.surface.gate.summary import LONGEST_SUMMARY, escaped
from tests.surface import gate_stories as so
from tests.surface.gate_runner import Runner, outputs

TOKEN = "5f2c9a7e4b1d40c8a6e3"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.shop(tmp_path_factory.mktemp("policy"))


def told(rules: Policy, name: str) -> dict[str, Any]:
    story = so.Story(rules)
    so.STORIES[name](story)
    document: dict[str, Any] = json.loads(json.dumps(story.document()))
    return document


def parsed(tmp_path: Path, document: dict[str, Any]) -> TestSuite:
    """As a reader of the file gets it."""
    file = tmp_path / "gate.xml"
    file.write_text(junit(document), encoding="utf-8")
    suites = list(JUnitXml.fromfile(str(file)))
    assert [suite.name for suite in suites] == ["gate"]
    suite: TestSuite = suites[0]
    return suite


def kinds(case: TestCase) -> list[type]:
    return [type(result) for result in case.result]


# --- the line at the end ------------------------------------------------------------------------------------------------

LINES = {
    "lost": f"GATE FAIL {so.GATE} gmail: 6 of 8 probes lost (fails at 2); control 0 of 4",
    "unobserved": f"GATE INCONCLUSIVE {so.GATE} because of unobserved",
    "own_fault": f"GATE ERROR {so.GATE} because of own_fault",
    "overridden": f"GATE PASS {so.GATE} found fail: gmail: 6 of 8 probes lost (fails at 2); control 0 of 4 "
    "(override by ana until 2026-09-22T16:02:14.099Z: known false alarm)",
    "override_over": f"GATE FAIL {so.GATE} gmail: 6 of 8 probes lost (fails at 2); control 0 of 4",
    "advisory": f"GATE PASS {so.GATE} found fail: because of losses (advisory until 2026-09-22T16:02:10.500Z)",
}


@pytest.mark.parametrize("name", LINES)
def test_the_last_line(rules: Policy, name: str) -> None:
    assert final_line(told(rules, name)) == LINES[name]


@pytest.mark.parametrize("name", so.STORIES)
def test_the_last_line_begins_with_the_effective_verdict(rules: Policy, name: str) -> None:
    document = told(rules, name)
    assert final_line(document).startswith(f"GATE {document['verdict'].upper()} {so.GATE} ")


# --- Argo Rollouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", so.STORIES)
def test_argo_gets_every_key_typed_and_never_null(rules: Policy, name: str) -> None:
    document = told(rules, name)
    body = argo_body(document)
    assert {key: type(value) for key, value in body.items()} == {
        "verdict": str, "reason": str, "gate": str, "sent": int, "ok": int, "lost": int, "pending": int
    }  # fmt: skip
    assert body["verdict"] == ("inconclusive" if document["verdict"] == "error" else document["verdict"])
    assert len(json.dumps(body).encode()) <= LONGEST_BODY
    if document["override"]:
        assert "(override by ana" in str(body["reason"])


def test_argo_gets_the_sums(rules: Policy) -> None:
    body = argo_body(told(rules, "lost"))
    assert (body["sent"], body["ok"], body["lost"], body["pending"]) == (10, 4, 6, 0)
    assert argo_body(told(rules, "running"))["pending"] == 1


def test_argo_gets_at_most_a_kibibyte_whatever_the_letters(rules: Policy) -> None:
    for letter in "a", "ü", "猫", "\U0001f600":
        body = argo_body({**told(rules, "overridden"), "reason": letter * 300})
        assert len(json.dumps(body).encode()) <= LONGEST_BODY and str(body["reason"]).startswith(letter * 60)


# --- JUnit ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", so.STORIES)
def test_one_case_for_the_verdict_and_one_for_each_check_and_route(rules: Policy, tmp_path: Path, name: str) -> None:
    document = told(rules, name)
    suite = parsed(tmp_path, document)
    cases = list(suite)
    names = [case.name for case in cases]
    assert names == ["verdict", *(f"{row['name']} {row['route']}" for row in document["checks"])]
    assert len(set(names)) == len(names) == 1 + 7 * 4 and {case.classname for case in cases} == {"gate"}
    assert suite.skipped == 0 and "skipped>" not in junit(document), "a skipped case is shown as green"
    assert (suite.tests, suite.failures, suite.errors) == (
        len(cases), sum(Failure in kinds(case) for case in cases), sum(Error in kinds(case) for case in cases)
    )  # fmt: skip
    expected = {"pass": [], "fail": [Failure]}.get(document["verdict"], [Error])
    assert kinds(cases[0]) == expected, "whatever is neither pass nor fail is an error"
    if document["verdict"] != "pass":
        assert suite.failures + suite.errors > 0
    for case, row in zip(cases[1:], document["checks"], strict=True):
        wanted = [] if document["verdict"] == "pass" else {"pass": [], "fail": [Failure]}.get(row["verdict"], [Error])
        assert kinds(case) == wanted, case.name


def test_a_failure_has_its_evidence_in_the_body(rules: Policy, tmp_path: Path) -> None:
    document = told(rules, "lost")
    cases = {case.name: case for case in parsed(tmp_path, document)}
    (failure,) = cases["loss app/gmail-1"].result
    assert failure.message == "3 of 4 probes missing, 4 resolved; gmail fails at 2 adverse probes"
    assert failure.text.count("in none of 7 folders 480 s later") == 4 and "000000000005 sent 2026-09-22T14:02:1" in failure.text
    (whole,) = cases["verdict"].result
    assert "8 probes of gmail resolved, 6 adverse: fails at 2" in whole.text and "worst: probe 00000000000c" in whole.text
    assert "next: roll back v512" in whole.text
    assert kinds(cases["content app/gmail-1"]) == [], "what arrived was right"


def test_what_was_excused_passes_and_says_what_was_found(rules: Policy, tmp_path: Path) -> None:
    document = told(rules, "overridden")
    cases = {case.name: case for case in parsed(tmp_path, document)}
    assert all(not kinds(case) for case in cases.values())
    assert "found fail" in cases["verdict"].system_out and "(override by ana until" in cases["verdict"].system_out
    assert cases["loss app/gmail-1"].system_out.startswith("fail, excused (override by ana")
    assert "in none of 7 folders" in cases["loss app/gmail-1"].system_out


def test_a_pass_has_no_failed_tests_where_something_was_not_seen(rules: Policy, tmp_path: Path) -> None:
    document = told(rules, "passed")
    unresolved = {**document["checks"][0], "verdict": "inconclusive"}
    cases = parsed(tmp_path, {**document, "checks": [unresolved, *document["checks"][1:]]})
    assert all(not kinds(case) for case in cases)
    assert next(case.system_out for case in cases if case.system_out).startswith("inconclusive, and the gate passes without it")


def test_the_time_is_that_of_the_attempt(rules: Policy, tmp_path: Path) -> None:
    story = so.Story(rules)
    so.fresh(story)
    story.wait(12.5)
    story.decided(so.Because.CANCELLED)
    assert next(iter(parsed(tmp_path, story.document()))).time == 12.5
    document = {**story.document(), "decided_at": "2020-01-01T00:00:00.000Z"}
    assert next(iter(parsed(tmp_path, document))).time == 0.0, "a clock that was set back"


def test_no_gate_answered_is_an_error_in_a_file_that_is_there(tmp_path: Path) -> None:
    suite = parsed(tmp_path, unanswered("cannot reach http://canary.test", so.START))
    assert (suite.tests, suite.errors, suite.failures) == (1, 1, 0)
    assert "cannot reach http://canary.test" in next(iter(suite)).result[0].message


# --- GitHub -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", so.STORIES)
def test_outputs(rules: Policy, name: str) -> None:
    document = told(rules, name)
    found = outputs(github_outputs(document))
    assert list(found) == ["verdict", "gate_id", "report_url", "reason"]
    assert found["verdict"] == document["verdict"] and found["gate_id"] == so.GATE
    assert found["report_url"] == f"https://canary.test/v1/gates/{so.GATE}" and found["reason"].startswith(document["reason"])
    assert ("override by ana" in found["reason"]) is (name == "overridden")


KINDS = {"passed": "notice", "lost": "error", "unobserved": "error", "own_fault": "error", "running": "warning", "overridden": "warning"}


@pytest.mark.parametrize("name", KINDS)
def test_one_annotation_tells_the_verdict(rules: Policy, name: str) -> None:
    runner = Runner().read(github_commands(told(rules, name), TOKEN))
    first = runner.commands[0]
    assert first.name == KINDS[name] and first.properties["title"].startswith("mailcanary gate ")
    assert len(runner.of("error")) == (KINDS[name] == "error") and len(runner.commands) <= 10
    if name == "overridden":
        assert first.properties["title"] == "mailcanary gate PASS (found fail)" and "(override by ana" in first.data


def test_failed_checks_are_warnings_and_the_words_of_peers_are_not_obeyed(rules: Policy) -> None:
    runner = Runner().read(github_commands(told(rules, "lost"), TOKEN))
    assert [command.properties["title"] for command in runner.of("warning")] == ["loss on app/gmail-1", "loss on app/gmail-2"]
    assert runner.log[0] == f"::stop-commands::{TOKEN}" and runner.log[-2] == f"::{TOKEN}::"
    assert sum("in none of 7 folders" in line for line in runner.log) == 7


def test_at_most_ten_annotations(rules: Policy) -> None:
    document = told(rules, "lost")
    document["checks"] = [{**document["checks"][0], "route": f"app/gmail-{number}"} for number in range(300)]
    document["unseen"] = [f"thing {number}" for number in range(20)]
    runner = Runner().read(github_commands(document, TOKEN))
    assert len(runner.of("error")) == 1 and len(runner.commands) == 10


def test_what_is_escaped_is_what_the_runner_reads(rules: Policy) -> None:
    document = {**told(rules, "lost"), "reason": "100 % of a,b: c%0Ad%25", "unseen": []}
    document["checks"] = [{**document["checks"][0], "verdict": "fail", "route": "app/a,b: 5%"}]
    runner = Runner().read(github_commands(document, TOKEN))
    assert runner.commands[0].data.startswith("100 % of a,b: c%0Ad%25; next: ")
    assert runner.of("warning")[0].properties["title"] == "loss on app/a,b: 5%"


def test_an_address_in_the_document_of_somebody_else_is_masked_first(rules: Policy) -> None:
    document = {**told(rules, "lost"), "reason": "550 <seed+tag@box.test>: unknown"}
    text = github_commands(document, TOKEN)
    runner = Runner().read(text)
    assert [command.name for command in runner.commands][:2] == ["add-mask", "error"] and runner.masks == ["seed+tag@box.test"]
    assert "seed+tag" not in "".join(command.data for command in runner.commands[1:]) + "".join(runner.log)
    assert Runner().read(github_commands(told(rules, "lost"), TOKEN)).masks == [], "there is none in ours"


def test_the_summary_says_it_all(rules: Policy) -> None:
    text = summary_markdown(told(rules, "lost"))
    assert text.startswith("## ❌ Gate FAIL\n\ngate-0123456789ab, deploy d-512 (checkout v512), in test, policy quick\n")
    for said in (
        "**Why:** gmail: 6 of 8 probes lost",
        "| gmail | fail | 2 | 6 |",
        "| loss | app/gmail-1 | 3 of 4 probes missing, 4 resolved |",
        "- 8 probes of gmail resolved, 6 adverse: fails at 2",
        "**Worst example:** probe 00000000000c on app/gmail-1, sent 14:02:10Z, missing: in none of 7 folders",
        "**Next:** roll back v512",
        "Runbook: <https://docs.test/runbooks/gate-hold>",
        "| canary | app/gmail-1 | 4 | 1 | 3 |",
    ):
        assert said in text, said


def test_the_summary_of_an_override_names_who_answers_for_it(rules: Policy) -> None:
    text = summary_markdown(told(rules, "overridden"))
    assert text.startswith("## ✅ Gate PASS, found fail\n")
    assert "**(override by ana until 2026-09-22T16:02:14.099Z: known false alarm)**" in text


def test_the_summary_stays_small(rules: Policy) -> None:
    document = told(rules, "lost")
    document["checks"] = [{**document["checks"][0], "route": f"app/{'x' * 200}-{number}", "observed": "[" * 300} for number in range(2_000)]
    document["classes"] = [{**document["classes"][0], "class": f"{'y' * 90}{number}"} for number in range(300)]
    text = summary_markdown(document)
    assert len(text.encode()) <= LONGEST_SUMMARY and "**Why:**" in text and "**Next:** roll back" in text


MARKDOWN = ["**b**", "[x](http://evil.test)", "<img src=x>", "`code`", "a|b", "# h", "@team", "http://x.test", "www.x.test", "~~s~~", "$x$"]


@pytest.mark.parametrize("text", [*MARKDOWN, "&lt;", "![i](//e.test)", "\\[x]"])
def test_nothing_in_a_text_is_markdown(text: str) -> None:
    shown = escaped(text)
    assert not set('*[]<>`|#@~$_!\\"') & set(shown.replace("&#", ""))
    assert "://" not in shown and "www.x" not in shown


# --- checks -------------------------------------------------------------------------------------------------------------------

FAILED = {
    "lost": {("loss", "app/gmail-1"), ("loss", "app/gmail-2")},
    "wrong_amount": {("content", "app/gmail-1")},
    "refused": {("submission", f"app/{box}") for box in so.BOXES},
    "tripped": set(),
    "passed": set(),
    "running": set(),
    "unobserved": set(),
    "broken_baseline": set(),
}


@pytest.mark.parametrize("name", FAILED)
def test_which_checks_fail(rules: Policy, name: str) -> None:
    document = told(rules, name)
    assert {(row["name"], row["route"]) for row in document["checks"] if row["verdict"] == "fail"} == FAILED[name]
    others = {row["verdict"] for row in document["checks"]} - {"fail"}
    expected = {"passed": {"pass"}, "running": {"pending"}, "lost": {"pass", "inconclusive"}, "wrong_amount": {"pass", "inconclusive"}}
    assert others == expected.get(name, {"inconclusive"})


@pytest.mark.parametrize(
    ("reason", "check"),
    [
        (Reason.MISSING, "loss"), (Reason.BOUNCED, "loss"), (Reason.MISROUTED, "loss"), (Reason.STALLED, "loss"),
        (Reason.ALTERED, "content"), (Reason.SPAM, "placement"), (Reason.MISFILED, "placement"), (Reason.DUPLICATE, "duplicate"),
        (Reason.UNAUTHENTICATED, "authentication"), (Reason.LATE, "lateness"), (Reason.REJECTED, "submission"),
    ],
)  # fmt: skip
def test_each_reason_fails_its_check(rules: Policy, reason: Reason, check: str) -> None:
    story = so.Story(rules)
    story.asked(boxes=so.BOXES[:1])
    for number in range(7):
        story.probe(so.canary("gmail-1"), reason, f"{number} <seed1@box.test> {so.REFUND.refund_number}")
    story.decided(so.Because.LOSSES, classes=(so.tally("gmail", so.Because.LOSSES, good=0, adverse=7),))
    rows = {row["name"]: row for row in story.document()["checks"]}
    assert [name for name, row in rows.items() if row["verdict"] == "fail"] == [check]
    row = rows[check]
    assert row["observed"] == f"7 of 7 probes {reason.value.replace('_', ' ')}, 7 resolved"
    assert len(row["evidence"]) == 5 and row["evidence"][0]["reply"] == "0 <***@box.test> RF-***"
    assert row["evidence"][0]["probe_id"] == "000000000001" and row["evidence"][0]["message_id_hash"] == "e28043474204"
    assert row["reason"].startswith("first 000000000001 sent 14:02:10Z: 0 <***@box.test>")


def test_one_adverse_probe_of_a_class_that_passes_fails_no_check(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked(boxes=so.BOXES[:1])
    story.probe(so.canary("gmail-1"), Reason.SPAM)
    story.round(29, boxes=so.BOXES[:1])
    story.decided(so.Because.CLEAN, classes=(so.tally("gmail", so.Because.CLEAN, good=29, adverse=1),))
    rows = {row["name"]: row for row in story.document()["checks"]}
    assert {row["verdict"] for row in rows.values()} == {"pass"}
    assert rows["placement"]["observed"] == "1 of 30 probes spam, 30 resolved" and len(rows["placement"]["evidence"]) == 1


@pytest.mark.parametrize(
    "address", ["john@éxample.test", '"john doe"@x.test', "john@[10.1.2.3]", "john%40x.test", "b+john=gmail.com@x.test"]
)
def test_every_kind_of_address_of_another_server_is_masked(rules: Policy, address: str) -> None:
    story = so.Story(rules)
    so.lost(story)
    document = {**story.document(), "reason": f"550 <{address}>: no such user"}
    commands = github_commands(document, "5f2c9a7e4b1d40c8a6e3")
    assert address in Runner().read(commands).masks and "john" not in "".join(commands.split("\n")[1:])
