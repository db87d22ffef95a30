"""The document of a gate: config/gate.schema.json against the code, and what it says in every state."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monitor.model.gate import Because, Control
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.verdict import Reason, Verdict
from monitor.surface.gate import argo_body, exit_code, gate_row, junit, unanswered
from monitor.surface.gate.arms import NAMES, SINCE, quantile
from monitor.surface.gate.checks import CHECK_OF, Check
from monitor.surface.gate.classes import WHY
from monitor.surface.gate.standing import PENDING
from tests.surface import gate_stories as so

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "config" / "gate.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.shop(tmp_path_factory.mktemp("policy"))


def told(rules: Policy, name: str) -> dict[str, Any]:
    """As a reader gets it."""
    story = so.Story(rules)
    so.STORIES[name](story)
    document: dict[str, Any] = json.loads(json.dumps(story.document(), allow_nan=False))
    return document


def faults(document: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_a_strict_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    objects = [each for each in schemas(SCHEMA) if each.get("type") == "object"]
    assert len(objects) == 19
    for described in objects:
        assert described["additionalProperties"] is False
        assert described["required"] == list(described["properties"])


def test_the_same_words_as_in_the_code() -> None:
    words = SCHEMA["$defs"]
    assert set(words["verdict"]["enum"]) == {*Verdict, PENDING}
    assert words["because"]["enum"] == ["", *Because]
    assert words["check"]["properties"]["name"]["enum"] == list(Check)
    assert words["policy"]["properties"]["control"]["enum"] == list(Control)
    assert list(words["row"]["properties"]) == ["route", "sent", *NAMES, SINCE, "p50_s", "p95_s"]
    assert set(WHY) == set(Because) and set(CHECK_OF.values()) == set(Check)


STATES = {
    # story: state, verdict, found, because, exit code
    "fresh": ("running", "pending", "pending", "", 3),
    "running": ("running", "pending", "pending", "", 3),
    "passed": ("decided", "pass", "pass", "clean", 0),
    "lost": ("decided", "fail", "fail", "losses", 1),
    "wrong_amount": ("decided", "fail", "fail", "wrong_amount", 1),
    "refused": ("decided", "fail", "fail", "refused", 1),
    "tripped": ("decided", "fail", "fail", "tripped", 1),
    "unobserved": ("decided", "inconclusive", "inconclusive", "unobserved", 3),
    "broken_baseline": ("decided", "inconclusive", "inconclusive", "baseline_broken", 3),
    "called_off": ("decided", "inconclusive", "inconclusive", "cancelled", 3),
    "own_fault": ("decided", "error", "error", "own_fault", 4),
    "overridden": ("decided", "pass", "fail", "losses", 0),
    "override_over": ("decided", "fail", "fail", "losses", 1),
    "advisory": ("decided", "pass", "fail", "losses", 0),
    "second_attempt": ("running", "pending", "pending", "", 3),
    "deep": ("running", "pending", "pending", "", 3),
}


def test_every_story_is_in_the_table() -> None:
    assert set(STATES) == set(so.STORIES)


@pytest.mark.parametrize("name", so.STORIES)
def test_every_state_fits_the_schema_and_says_what_it_is(rules: Policy, name: str) -> None:
    document = told(rules, name)
    assert faults(document) == []
    state, verdict, found, because, code = STATES[name]
    assert (document["state"], document["verdict"], document["found"], document["because"]) == (state, verdict, found, because)
    assert exit_code(document) == code
    assert (document["decided_at"] is None) is (state == "running")
    for row in document["classes"]:
        assert row["sent"] == row["good"] + row["adverse"] + row["pending"] + row["aside"]
        counts = {sign: row["sequence"].count(sign) for sign in "·x?-"}
        if name != "broken_baseline":  # made up
            assert (counts["·"], counts["x"], counts["?"]) == (row["good"], row["adverse"], row["pending"])
    for arm in document["arms"].values():
        for row in arm:
            assert row["sent"] == sum(row[column] for column in NAMES) > 0


@pytest.mark.parametrize("name", ["fresh", "passed", "lost", "overridden", "advisory"])
def test_the_schema_rejects_damage(rules: Policy, name: str) -> None:
    """Each key taken out, each made null or of another type, one too many: in every object of the document."""
    document = told(rules, name)
    damaged = 0
    for path, value in places(document):
        for change in ("gone", "other type", "extra"):
            broken = copy.deepcopy(document)
            holder = at(broken, path[:-1])
            if change == "extra":
                if not isinstance(value, dict):
                    continue
                at(broken, path)["surprise"] = 1
            elif change == "gone":
                if isinstance(holder, list):
                    continue
                del holder[path[-1]]
            else:
                holder[path[-1]] = [["no"]]
            assert not VALIDATOR.is_valid(broken), (path, change)
            damaged += 1
    assert damaged > 50


def test_null_only_where_the_schema_says_so(rules: Policy) -> None:
    """R8: always there, typed, never null but for a few."""
    nulls = {path[-1] for name in so.STORIES for path, value in places(told(rules, name)) if value is None}
    allowed = {
        "decided_at", "deadline_s", "sequential", "from", "to", "llr", "p_value", "p50_s", "p95_s", "last_good", "last_bad", "example",
        "advisory", "override",
    }  # fmt: skip
    assert nulls == allowed
    for name in ("passed", "lost"):
        document = told(rules, name)
        for path, value in places(document):
            if value is not None and path[-1] not in allowed:
                broken = copy.deepcopy(document)
                at(broken, path[:-1])[path[-1]] = None
                assert not VALIDATOR.is_valid(broken), path


def test_what_a_decided_gate_shows_is_its_decision_even_when_more_is_known_later(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked()
    story.round(1)
    probe = story.taken(so.canary("gmail-1"))
    story.scheduled(so.beside("gmail-1"), Reason.PASS)
    story.cancelled()
    story.decided(Because.CANCELLED)
    before = story.document()
    story.wait()
    story.judged(probe, so.canary("gmail-1"), Reason.MISSING)
    story.scheduled(so.beside("gmail-1"), Reason.MISSING)
    after = story.document()
    for each in (before, after):
        assert each["verdict"] == "inconclusive" and [row["pending"] for row in each["classes"]] == [1, 0]
        assert each["classes"][0]["sequence"] == "··?" and each["classes"][0]["arithmetic"].endswith("; 1 not waited for")
        assert (each["arms"]["canary"][0]["missing"], each["arms"]["canary"][0]["pending"]) == (0, 1)
        assert each["arms"]["control"][0]["sent"] == each["classes"][0]["control"]["good"] == 1
        assert argo_body(each)["pending"] == 0, "nobody waits for them"
    assert [each["arms"]["canary"][0]["judged_since"] for each in (before, after)] == [0, 1]
    assert [row for row in after["checks"] if row not in before["checks"]] == []


def test_what_is_revised_after_the_decision_is_still_evidence_for_it(rules: Policy) -> None:
    """Missing when it was decided, late since: no probe that was pending."""
    story = so.Story(rules)
    story.asked()
    first = [story.probe(so.canary("gmail-1"), Reason.MISSING) for _ in range(2)]
    open_ = story.taken(so.canary("gmail-1"))
    story.decided(Because.LOSSES)
    story.wait()
    story.judged(open_, so.canary("gmail-1"), Reason.PASS)
    for probe in first:
        story.sighted(probe, so.canary("gmail-1"))
        story.judged(probe, so.canary("gmail-1"), Reason.LATE)
    document = story.document()
    assert document["classes"][0]["sequence"] == "xx?"
    (row,) = document["arms"]["canary"]
    assert (row["late"], row["pending"], row["judged_since"], row["delivered"]) == (2, 1, 1, 0)
    assert [row["name"] for row in document["checks"] if row["verdict"] == "fail"] == ["lateness"]


def test_a_pass_that_is_taken_back_is_a_fail_in_every_place(rules: Policy) -> None:
    story = so.Story(rules)
    so.passed(story)
    assert story.document()["verdict"] == "pass"
    for trial in [each for each in story.state.trials.values() if each.route.path == so.CANARY][:4]:
        story.judged(trial.probe, trial.route, Reason.SPAM)
    story.decided(Because.LOSSES, reason="4 probes in spam")
    document = story.document()
    assert faults(document) == [] and (document["verdict"], document["found"], document["state"]) == ("fail", "fail", "decided")
    assert [(row["attempt"], row["verdict"], row["reason"]) for row in document["attempts"]] == [(1, "fail", "4 probes in spam")]
    assert sum(row["adverse"] for row in document["classes"]) == 4 == sum(row["sequence"].count("x") for row in document["classes"])
    assert {row["name"] for row in document["checks"] if row["verdict"] == "fail"} <= {"placement"}
    assert document["next_step"].startswith("roll back")


def test_the_name_of_a_mail_that_the_application_made_is_not_told(rules: Policy) -> None:
    story = so.Story(rules)
    so.lost(story)
    known = story.document()["checks"][0]["evidence"][0]["message_id_hash"]
    assert len(known) == 12
    for trial in story.state.trials.values():
        trial.message_id = ""
    document = json.loads(json.dumps(story.document()))
    assert faults(document) == [] and document["checks"][0]["evidence"][0]["message_id_hash"] == ""
    assert "Message-ID" not in junit(document)


def test_an_amount_that_is_wrong_is_evidence_before_its_verdict(rules: Policy) -> None:
    document = told(rules, "wrong_amount")
    gmail = document["classes"][0]
    assert (gmail["adverse"], gmail["pending"], gmail["sequence"]) == (1, 0, "x")
    assert document["example"] is None or "202" not in document["example"]["said"]


def test_the_override_that_is_over_is_told_of_and_holds_nothing_open(rules: Policy) -> None:
    document = told(rules, "override_over")
    assert document["override"] is None and document["next_step"].startswith("the override by ana ended at 2026-09-22T14:03:")
    in_force = told(rules, "overridden")
    assert in_force["override"] == {
        "by": "ana",
        "reason": "known false alarm",
        "at": in_force["override"]["at"],
        "until": in_force["override"]["until"],
    }
    assert "goes on by override" in in_force["next_step"]


def test_an_override_outlasts_another_attempt_and_ends_by_the_clock(rules: Policy) -> None:
    story = so.Story(rules)
    so.called_off(story)
    story.overridden(100.0)
    story.wait(50)
    story.asked(attempt=2)
    assert (story.document()["verdict"], story.document()["found"], story.document()["state"]) == ("pass", "pending", "running")
    story.wait(49.6)
    assert story.document()["verdict"] == "pass"
    story.wait(0.5)
    assert story.document()["verdict"] == "pending" and story.document()["override"] is None


def test_an_advisory_gate_blocks_nothing_until_its_time_is_over(rules: Policy) -> None:
    story = so.Story(rules)
    so.advisory(story)
    document = story.document()
    assert document["advisory"] == {"until": Instant(so.START.utc + 7_200, 0, "").iso()} and document["verdict"] == "pass"
    assert document["next_step"].startswith("advisory until ")
    story.wait(7_200)
    document = story.document()
    assert document["advisory"] is None and (document["verdict"], exit_code(document)) == ("fail", 1)
    running = so.Story(rules)
    running.asked(advisory_until=so.START.utc + 7_200)
    assert running.document()["verdict"] == "pending", "it is decided first"


def test_attempts_are_listed_and_evidence_is_pooled(rules: Policy) -> None:
    document = told(rules, "second_attempt")
    assert [(row["attempt"], row["by"], row["verdict"], row["because"]) for row in document["attempts"]] == [
        (1, "ci-1", "inconclusive", "too_few"),
        (2, "ci-2", "pending", ""),
    ]
    assert document["attempt"] == 2 and [row["good"] for row in document["classes"]] == [4, 4]


def test_scheduled_probes_since_the_deploy_began_stand_in_the_control_arm(rules: Policy) -> None:
    story = so.Story(rules)
    told_by = (("app", "v511", Reason.PASS), ("app", "v512", Reason.PASS), ("app", "", Reason.MISSING), ("relay", "", Reason.MISSING))
    for path, version, reason in told_by:
        story.scheduled(so.Route(so.PathName(path), so.BOXES[0]), reason, version, before=True)
    story.asked()
    for path, version, reason in told_by:
        story.scheduled(so.Route(so.PathName(path), so.BOXES[0]), reason, version)
    document = story.document()
    assert document["arms"]["canary"] == []
    assert [(row["route"], row["sent"], row["delivered"], row["missing"]) for row in document["arms"]["control"]] == [
        ("app/gmail-1", 1, 1, 0),
        ("relay/gmail-1", 1, 0, 1),
    ]
    assert document["classes"][0]["control"] == {"good": 1, "bad": 1}, "as the rule counts"


@pytest.mark.parametrize(
    ("seconds", "median", "high"), [([], None, None), ([2.0], 2.0, 2.0), ([3.0, 1.0, 2.0], 2.0, 3.0), (list(range(1, 21)), 10, 19)]
)
def test_quantiles_by_nearest_rank(seconds: list[float], median: float | None, high: float | None) -> None:
    assert (quantile(seconds, 0.5), quantile(seconds, 0.95)) == (median, high)


def test_more_that_was_not_seen_than_anybody_reads(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked()
    story.decided(Because.TOO_FEW, unseen=tuple(f"thing {number}" for number in range(25)))
    assert story.document()["unseen"][-2:] == ["thing 18", "and 6 more"] and len(story.document()["unseen"]) == 20


def test_the_numbers_of_all_classes(rules: Policy) -> None:
    stats = told(rules, "passed")["stats"]
    assert stats["loss_upper95"] == pytest.approx(0.2589, abs=1e-3) and stats["llr"] is None and stats["p_value"] == 1.0
    assert "were losses independent; a burst's are not quite" in stats["assumption"]
    assert told(rules, "fresh")["stats"]["loss_upper95"] == 1.0 and told(rules, "fresh")["stats"]["p_value"] is None
    deep = told(rules, "deep")
    assert deep["stats"]["llr"] == max(row["llr"] for row in deep["classes"]) > 0
    assert "log likelihood ratio" in deep["classes"][1]["arithmetic"] and "cut off at 300" in deep["classes"][1]["arithmetic"]


def test_the_smallest_p_value_is_corrected_for_the_number_of_classes(rules: Policy) -> None:
    story = so.Story(rules)
    story.asked()
    classes = (
        so.tally("gmail", Because.LOSSES, good=7, adverse=3, control_good=20),
        so.tally("outlook", None, good=10, control_good=20),
        so.tally("gmx", None, good=10, control_good=0),
    )
    story.decided(Because.LOSSES, classes=classes)
    assert story.document()["stats"]["p_value"] == pytest.approx(2 * 120 / 4_060, abs=1e-4), "3 of 10 beside 0 of 20; two are compared"


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (so.tally("gmail", Because.CLEAN), "10 probes of gmail, 0 adverse: passes with at most 0 of 10; a loss up to 25.9 %"),
        (so.tally("gmail", None, good=7, pending=3), "0 adverse: undecided, passes at 10 with at most 0, fails at 2; 3 not waited"),
        (so.tally("gmail", Because.LOSSES, good=1, adverse=2), "3 probes of gmail resolved, 2 adverse: fails at 2; control arm 0 of 3 bad"),
        (so.tally("gmail", Because.LOSSES, good=1, adverse=2, control_good=0), "fails at 2; no probe in the control arm"),
        (so.tally("gmail", Because.BASELINE_BROKEN, good=0, adverse=1), "1 probe of gmail resolved, 1 adverse, which would fail at 2"),
        (so.tally("gmail", Because.BLIND, good=0), "gmail: nobody can look into its mailboxes; 0 probes resolved, 0 adverse"),
    ],
)  # fmt: skip
def test_the_arithmetic_in_words(rules: Policy, tally: Any, said: str) -> None:
    story = so.Story(rules)
    story.asked()
    story.decided(Because.TOO_FEW, classes=(tally,))
    assert said in story.document()["classes"][0]["arithmetic"]


@pytest.mark.parametrize("because", Because)
def test_every_end_has_a_next_step(rules: Policy, because: Because) -> None:
    story = so.Story(rules)
    story.asked()
    story.decided(because)
    document = story.document()
    assert faults(document) == [] and document["because"] == because
    step = document["next_step"]
    assert step == "nothing to do" if because is Because.CLEAN else step not in ("", "ask again")


def test_where_people_read_on(rules: Policy, tmp_path: Path) -> None:
    document = told(rules, "lost")
    assert document["runbook_url"] == "https://docs.test/runbooks/gate-hold"
    assert document["report_url"] == f"https://canary.test/v1/gates/{so.GATE}"
    bare = so.Story(so.house_policy(tmp_path))
    bare.asked()
    assert (bare.document()["runbook_url"], bare.document()["report_url"]) == ("docs/runbooks/gate-hold.md", "")


@pytest.mark.parametrize("verdict", Verdict)
def test_a_question_that_no_gate_answered_is_no_pass(verdict: Verdict) -> None:
    document = json.loads(json.dumps(unanswered("no server at http://x.test: seed@box.test", so.START, "prod", "d-1", verdict=verdict)))
    assert faults(document) == []
    assert document["verdict"] == (Verdict.ERROR if verdict is Verdict.PASS else verdict) and exit_code(document) != 0
    assert document["reason"] == "no server at http://x.test: ***@box.test" and document["id"] == ""


@pytest.mark.parametrize("word", ["ok", "PASS", "", "passed", "promoted"])
def test_a_verdict_that_we_do_not_know_is_inconclusive(rules: Policy, word: str) -> None:
    """R2: of a newer server, or of something that is no server of ours."""
    assert exit_code({**told(rules, "passed"), "verdict": word}) == 3


def test_a_row_of_a_list(rules: Policy) -> None:
    story = so.Story(rules)
    so.overridden(story)
    row = gate_row(story.state, story.now)
    assert (row["id"], row["deploy"], row["verdict"], row["found"], row["because"]) == (so.GATE, "d-512", "pass", "fail", "losses")
    assert row["reason"] == "gmail: 6 of 8 probes lost (fails at 2); control 0 of 4" and row["decided_at"] is not None
    until = story.document()["override"]["until"]
    assert row["override"] == {"by": "ana", "until": until} and row["advisory"] is None
    dry = so.Story(rules)
    so.advisory(dry)
    assert gate_row(dry.state, dry.now)["advisory"] == dry.document()["advisory"] is not None


# --- walking ------------------------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place below the top; of a list the first item."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "type" in value or "$ref" in value or "enum" in value:
            yield value
        for each in value.values():
            yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)
