"""What people read of a gate: the report, the explanation, the log, and the gates in the status and the rows of deploys."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from monitor.model.facts import Entry, Fact, GateCancelled, GateDecided, GateOverridden, GateProbing, GateRequested
from monitor.model.gate import GATE_VERDICT, Because, GateId
from monitor.model.policy import Policy
from monitor.surface.deploys import deploy_rows
from monitor.surface.gate import final_line, print_explained, print_gate, unanswered
from monitor.surface.log import Level, Log, LogFormat, describe
from monitor.surface.status import status
from tests.surface import gate_stories as so


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.shop(tmp_path_factory.mktemp("policy"))


def told(rules: Policy, name: str) -> dict[str, Any]:
    story = so.Story(rules)
    so.STORIES[name](story)
    document: dict[str, Any] = json.loads(json.dumps(story.document()))
    return document


def drawn(draw: Any, document: dict[str, Any], width: int = 120, **more: Any) -> str:
    paper = io.StringIO()
    draw(document, Console(file=paper, width=width, **more))
    return "\n".join(row.rstrip() for row in paper.getvalue().split("\n"))


def words(text: str) -> str:
    return " ".join(text.split())


# --- the report -----------------------------------------------------------------------------------------------------------


def test_a_fail_as_it_stands_in_a_log(rules: Policy) -> None:
    assert drawn(print_gate, told(rules, "lost"), 80) == (
        """\
GATE FAIL  gate-0123456789ab, deploy d-512 (checkout v512), in test, policy
quick
why       losses: gmail: 6 of 8 probes lost (fails at 2); control 0 of 4
class    verdict       probes    good  adverse  open  aside  control  loss ≤
gmail    fail          ██xxxxxx  2     6        0     0      -        -
outlook  inconclusive  █░░░░░░░  2/10  0        0     0      -        -
how       8 probes of gmail resolved, 6 adverse: fails at 2; no probe in the
          control arm
          2 probes of outlook resolved, 0 adverse: undecided, passes at 10 with
          at most 0, fails at 2
worst     probe 00000000000c on app/gmail-1, sent 14:02:10Z, missing: in none of
          7 folders 480 s later
next      roll back v512, or mend it and deploy anew under a new id; `mailcanary
          gate explain gate-0123456789ab` shows the probes
runbook   https://docs.test/runbooks/gate-hold
report    https://canary.test/v1/gates/gate-0123456789ab
"""
    )


def test_a_pass_prints_what_it_still_allows_and_what_the_bound_assumes(rules: Policy) -> None:
    text = words(drawn(print_gate, told(rules, "passed")))
    assert text.startswith("GATE PASS gate-0123456789ab, deploy d-512 (checkout v512)")
    assert "gmail pass ████████ 10/10 0 0 0 0/2 bad 25.9 %" in text
    rule, bound = "10 probes of gmail, outlook, 0 adverse: passes with at most 0 of 10", "a loss up to 25.9 % could still hide"
    assert f"{rule}; {bound} (95 %, were losses independent; a burst's are not quite)" in text


def test_an_override_stands_in_the_head(rules: Policy) -> None:
    first, second = drawn(print_gate, told(rules, "overridden")).split("\n")[:2]
    assert first.startswith("GATE PASS, found fail  gate-0123456789ab")
    assert second == "override by ana until 2026-09-22T16:02:14.099Z: known false alarm"
    assert "advisory until 2026-09-22T16:02:10.500Z" in drawn(print_gate, told(rules, "advisory"))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("draw", [print_gate, print_explained])
@pytest.mark.parametrize("name", so.STORIES)
def test_every_story_can_be_drawn_within_its_width(rules: Policy, name: str, draw: Any, width: int) -> None:
    document = told(rules, name)
    text = drawn(draw, document, width)
    assert all(len(row) <= width for row in text.split("\n"))
    shown = words(text)
    assert shown.startswith(f"GATE {document['verdict'].upper()}") and document["reason"] in shown and document["next_step"] in shown
    for row in document["classes"]:
        assert row["class"] in shown and row["arithmetic"].partition(row["class"])[2] in shown
    for line in document["unseen"]:
        assert line in shown
    assert final_line(document).isprintable()


def test_classes_of_one_arithmetic_share_a_line(rules: Policy) -> None:
    document = told(rules, "passed")
    first = document["classes"][0]
    second = {**first, "class": "elsewhere", "arithmetic": first["arithmetic"].replace(first["class"], "elsewhere")}
    other = {**first, "class": "nowhere", "arithmetic": "nowhere: something else"}
    shown = words(drawn(print_gate, {**document, "classes": [first, second, other]}, 200))
    both = first["arithmetic"].replace(first["class"], f"{first['class']}, elsewhere")
    assert both in shown and "nowhere: something else" in shown


def test_colours_only_where_the_terminal_has_them(rules: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    document = told(rules, "lost")
    assert "\x1b[1;31mGATE FAIL" in drawn(print_gate, document, force_terminal=True, color_system="standard")
    assert "\x1b" not in drawn(print_gate, document)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in drawn(print_gate, document, force_terminal=True, color_system="standard")


def test_a_question_without_an_answer_can_be_drawn() -> None:
    document = unanswered("cannot reach http://canary.test", so.START)
    assert drawn(print_gate, document).startswith("GATE ERROR\nwhy       cannot reach http://canary.test\n")
    assert final_line(document) == "GATE ERROR - cannot reach http://canary.test"
    assert "everything: no gate answered" in drawn(print_explained, document)


# --- the explanation --------------------------------------------------------------------------------------------------------


def test_explain_shows_the_sequence_in_send_order(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked(boxes=so.BOXES[:1])
    first = story.taken(so.canary("gmail-1"))
    story.round(9, boxes=so.BOXES[:1])
    story.probe(so.canary("gmail-1"), version="v511")
    story.taken(so.canary("gmail-1"))
    story.judged(first, so.canary("gmail-1"), so.Reason.MISSING)
    document = story.document()
    assert document["classes"][0]["sequence"] == "x·········-?"
    text = drawn(print_explained, document)
    assert "sequence  x········· -?\n" in text and "· good  x adverse  ? pending  - aside" in text


def test_a_long_sequence_is_bounded(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked(so.SEQUENTIAL, boxes=so.BOXES[:1])
    story.probe(so.canary("gmail-1"), so.Reason.MISSING)
    story.round(450, boxes=so.BOXES[:1])
    assert story.document()["classes"][0]["sequence"] == "·" * 400


def test_explain_shows_attempts_baseline_arms_and_policy(rules: Policy) -> None:
    text = words(drawn(print_explained, told(rules, "second_attempt"), 160))
    assert "1 ci-1 14:02:10Z 14:13:52Z inconclusive because of too_few" in text and "2 ci-2 14:14:22Z - pending" in text
    assert "app/gmail-1 3 0 14:01:10Z -" in text and "canary app/gmail-1 2 2 delivered 1.2 s 1.2 s" in text
    assert "a class passes at 10 probes with at most 0 adverse or at 30 probes with at most 1 adverse, fails at 2" in text
    deep = words(drawn(print_explained, told(rules, "deep"), 160))
    assert "sequential test of 0.50% against 5.00% loss, at most 300 probes of a class" in deep
    assert "log likelihood ratio" in deep and "p =" not in deep
    assert "p = 1: how often" in words(drawn(print_explained, told(rules, "passed"), 160))


def test_explain_shows_the_probes_of_what_failed_and_counts_what_is_open(rules: Policy) -> None:
    text = words(drawn(print_explained, told(rules, "lost"), 200))
    assert "loss app/gmail-1 fail 3 of 4 probes missing, 4 resolved; gmail fails at 2 adverse probes 000000000005 sent 14:02:1" in text
    assert "14 inconclusive: its mailbox class is not decided: the gate ended before" in text
    assert "24 inconclusive: no probe that counts was resolved on this route" in words(drawn(print_explained, told(rules, "refused"), 200))


# --- the log ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("because", Because)
def test_a_decision_in_the_log(because: Because) -> None:
    verdict = GATE_VERDICT[because]
    fact = GateDecided(so.START, so.GATE, "d-512", 1, verdict, because, "6 of 8 lost", (), ())
    level = {"pass": Level.INFO, "inconclusive": Level.WARNING}.get(verdict.value, Level.ERROR)
    assert describe(fact) == (
        level,
        "gate_decided",
        f"{so.GATE}: {verdict.value.upper()} for deploy d-512, {because.value}: 6 of 8 lost",
        {"gate_id": so.GATE, "deploy_id": "d-512", "verdict": verdict.value},
    )


def requested(**more: Any) -> GateRequested:
    whole: dict[str, Any] = {"service": "checkout", "version": "v512", "by": "ci"}
    return GateRequested(
        so.START, so.GATE, "d-512", 2, so.PLAIN, versions=("v512",), routes=(), began=so.START, until=so.START, **(whole | more)
    )


@pytest.mark.parametrize(
    ("fact", "level", "said"),
    [
        (requested(), Level.INFO, f"{so.GATE}: attempt 2 begins for deploy d-512 (checkout v512), policy quick, asked by ci"),
        (requested(service="", version="", by=""), Level.INFO, "attempt 2 begins for deploy d-512, policy quick, asked by nobody named"),
        (requested(advisory_until=so.START.utc + 60), Level.INFO, "policy quick, advisory until 2026-09-22T14:03:10.500Z, asked by ci"),
        (GateCancelled(so.START, so.GATE, "ana", "not needed"), Level.INFO, f"{so.GATE}: cancelled by ana: not needed"),
        (
            GateOverridden(so.START, so.GATE, "ana", "known", so.START.utc + 60),
            Level.WARNING,
            f"{so.GATE}: passes by override of ana until 2026-09-22T14:03:10.500Z: known",
        ),
    ],
)  # fmt: skip
def test_what_people_do_to_a_gate_in_the_log(fact: Fact, level: Level, said: str) -> None:
    line = describe(fact)
    assert line is not None and line[0] is level and line[2].endswith(said) and line[3]["gate_id"] == so.GATE


def test_nothing_of_a_gate_in_the_log_tells_an_address() -> None:
    lines = io.StringIO()
    log = Log(LogFormat.JSON, "test", lambda: "now", lines)
    text = "<seed+tag@box.test>\nRF-87654321"
    decided = GateDecided(so.START, so.GATE, text, 1, GATE_VERDICT[Because.LOSSES], Because.LOSSES, text, (), ())
    for fact in (requested(service=text, by=text), decided, GateCancelled(so.START, so.GATE, text, text)):
        log.tell(Entry(1, "kind", fact))
    assert len(lines.getvalue().splitlines()) == 3 and "seed+tag" not in lines.getvalue() and "87654321" not in lines.getvalue()
    assert describe(GateProbing(so.START, so.GATE, 1, ())) is None, "routine"


# --- the status and the deploys -------------------------------------------------------------------------------------------------


def test_the_status_counts_what_runs_holds_and_is_excused(rules: Policy) -> None:
    story = so.Story(rules)
    assert status(story.desk)["gates"] == {"running": 0, "held": 0, "overrides": 0, "latest": []}
    so.lost(story)
    line = {"id": so.GATE, "deploy": "d-512", "verdict": "fail", "found": "fail", "override": None, "advisory": None}
    line["reason"] = "gmail: 6 of 8 probes lost (fails at 2); control 0 of 4"
    assert status(story.desk)["gates"] == {"running": 0, "held": 1, "overrides": 0, "latest": [line]}
    story.overridden(60.0)
    excused = {**line, "verdict": "pass", "override": {"by": "ana", "until": story.document()["override"]["until"]}}
    assert status(story.desk)["gates"] == {"running": 0, "held": 0, "overrides": 1, "latest": [excused]}
    story.wait(61.0)
    assert status(story.desk)["gates"] == {"running": 0, "held": 1, "overrides": 0, "latest": [line]}
    story.wait(90_000)
    assert status(story.desk)["gates"]["held"] == 0, "nobody waits any more"  # type: ignore[index]


@pytest.mark.parametrize(("service", "held"), [("checkout", 0), ("stock", 1)])
def test_a_later_deploy_of_the_service_that_passes_frees_the_earlier_one(rules: Policy, service: str, held: int) -> None:
    story = so.Story(rules)
    so.lost(story)
    later = GateId("gate-ba9876543210")
    story.tell(so.replace(requested(service=service), gate=later, deploy="d-513"))
    shown: Any = status(story.desk)["gates"]
    assert (shown["running"], shown["held"]) == (1, 1) and [row["id"] for row in shown["latest"]] == [later, so.GATE]
    decided = GateDecided(story.now, later, "d-513", 2, GATE_VERDICT[Because.CLEAN], Because.CLEAN, "fine", (), ())
    story.tell(decided)
    shown = status(story.desk)["gates"]
    assert (shown["running"], shown["held"]) == (0, held)


def test_the_latest_five(rules: Policy) -> None:
    story = so.Story(rules)
    for number in range(7):
        story.tell(so.replace(requested(), gate=GateId(f"gate-{number:012x}"), deploy=f"d-{number}"))
    shown: Any = status(story.desk)["gates"]
    assert shown["running"] == 7 and [row["deploy"] for row in shown["latest"]] == ["d-6", "d-5", "d-4", "d-3", "d-2"]


def test_a_deploy_shows_its_gates(rules: Policy) -> None:
    story = so.Story(rules)
    so.lost(story)
    (row,) = deploy_rows(story.desk)
    reason = "gmail: 6 of 8 probes lost (fails at 2); control 0 of 4"
    assert row["deploy"] == "d-512" and row["gates"] == [
        {"id": so.GATE, "policy": "quick", "verdict": "fail", "found": "fail", "reason": reason, "override": None, "advisory": None}
    ]
