"""The report of an incident: the whole story in each form, its schema, and what people outside may never read in it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.model.facts import (
    Acknowledged,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateRequested,
    Noted,
    Paused,
    Resumed,
    Silenced,
)
from monitor.model.gate import BUILT_IN, GATE_VERDICT, QUICK, Because, GateId
from monitor.model.incident import Confidence, DeployPhase, IncidentId, Opening, Phase, Scope, ScopeKind, Severity, Tally
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules.gate.wording import cut
from monitor.surface.incident_report import html, incident_report, markdown
from monitor.surface.incident_report.phrases import DETECTED, People, length, nameless
from monitor.surface.incident_report.status_page import FELT, component
from tests.stages.house import House
from tests.stages.test_incident import STAGES, opened, two_paths, week
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface import report_stories as stories

CONFIG = Path(__file__).parents[2] / "config"
SCHEMA = json.loads((CONFIG / "incident-report.schema.json").read_text())
FITS = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
TAGS = "<script>alert(1)</script><img src=x onerror=alert(1)> | [a](javascript:alert(1)) `x` **b** # h"


def made(tmp_path: Path, facts: Any, **more: Any) -> dict[str, Any]:
    report = asyncio.run(stories.reported(tmp_path, facts, **more))
    FITS.validate(report)
    return report


@pytest.mark.parametrize("name", stories.STORIES)
def test_the_story_in_each_form(tmp_path: Path, name: str) -> None:
    """Otherwise: python -m tests.surface.report_stories, and read what has changed."""
    for file, text in asyncio.run(stories.forms(tmp_path, name)).items():
        assert text == (stories.FOLDER / file).read_text(), file


def test_every_key_is_always_there(tmp_path: Path) -> None:
    first, second = (made(tmp_path, facts) for facts in stories.STORIES.values())
    assert list(first) == list(second) == SCHEMA["required"] == list(SCHEMA["properties"])
    openapi = yaml.safe_load((CONFIG / "openapi.yaml").read_text())["components"]["schemas"]["IncidentReport"]
    assert openapi["required"] == list(openapi["properties"]) == SCHEMA["required"]


def test_the_detection_gap(tmp_path: Path) -> None:
    report = made(tmp_path, stories.whole)
    gaps = {step["name"]: (step["seconds_after_began"], step["seconds_after_previous"]) for step in report["detection"]["steps"]}
    assert gaps == {
        "began": (0.0, None),
        "suspected": (40.0, 40.0),
        "opened": (100.0, 60.0),
        "told": (102.0, 2.0),
        "paged": (102.0, 0.0),
        "acknowledged": (240.0, 138.0),
        "recovering": (1140.0, 900.0),
        "resolved": (1840.0, 700.0),
    }
    assert report["detection"]["rule"] == "stalled" and set(DETECTED) == set(Opening)


def test_what_was_not_reached_has_no_time(tmp_path: Path) -> None:
    steps = {step["name"]: step["at"] for step in made(tmp_path, stories.bare)["detection"]["steps"]}
    assert [name for name, at in steps.items() if at] == ["began", "opened"]


def test_of_a_reopened_one_the_present_episode_is_measured(tmp_path: Path) -> None:
    def twice(at: Instant) -> Sequence[Fact]:
        again = at.plus(1000)
        return (
            so.suspected(at, since=at.plus(-10)),
            replace(so.opened(at.plus(5)), since=at.plus(-10)),
            so.notified(at.plus(6), 2),
            so.transition(at.plus(500), Phase.RECOVERING, since=at.plus(-10)),
            so.transition(at.plus(600), Phase.RESOLVED, since=at.plus(-10)),
            so.suspected(again, since=again.plus(-30)),
            replace(so.opened(again.plus(20), episode=2), since=again.plus(-30)),
            so.notified(again.plus(21), 7),
        )

    report = made(tmp_path, twice)
    at = {step["name"]: step["seconds_after_began"] for step in report["detection"]["steps"]}
    assert (at["suspected"], at["opened"], at["told"], at["paged"]) == (30.0, 50.0, 51.0, 51.0)
    assert at["recovering"] is None and at["resolved"] is None, "those were the first episode's"
    assert len(report["episodes"]) == 2 and "It came back: this is its episode 2." in report["summary"]
    assert report["still_open"] and "**Still open.**" in markdown(report) and "Still open." in html(report)


def test_a_ticket_is_told_and_never_paged(tmp_path: Path) -> None:
    def ticket(at: Instant) -> Sequence[Fact]:
        return (so.opened(at, severity=Severity.TICKET), so.notified(at.plus(3), 1, "chat"))

    at = {step["name"]: step["at"] for step in made(tmp_path, ticket)["detection"]["steps"]}
    assert at["told"] and at["paged"] is None


def test_timeline_is_in_order_and_bounded(tmp_path: Path) -> None:
    def busy(at: Instant) -> Sequence[Fact]:
        deploys = [so.deployed(at.plus(number), f"d-{number}") for number in range(90)]
        notes = [Noted(at.plus(100 + number), so.INC, "ann", f"note {number}") for number in range(98)]
        told = [so.transition(at.plus(300 + number), Phase.FLAPPING, since=at) for number in range(40)]
        taken = [so.notified(at.plus(301 + number), 190 + number) for number in range(40)]
        return (so.opened(at), *deploys, *notes, *told, *taken, so.transition(at.plus(900), Phase.RESOLVED, since=at))

    rows = made(tmp_path, busy)["timeline"]
    times = [row["at"] for row in rows]
    assert times == sorted(times) and len(rows) <= 200
    assert rows[0]["what"] == "last good" and rows[-1]["what"] == "resolved"


def test_deploys_and_gates_of_other_days_are_left_out(tmp_path: Path) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        return (so.deployed(at.plus(-7400), "d-0"), so.opened(at), so.resolved(at.plus(60)), so.deployed(at.plus(61), "d-9"))

    assert not [row for row in made(tmp_path, facts)["timeline"] if row["what"] == "deploy"]


def test_relations(tmp_path: Path) -> None:
    def told(incident: IncidentId) -> dict[str, str]:
        report = made(tmp_path, stories.whole, incident=incident)
        return {row["id"]: row["relation"] for row in report["related"]}

    assert told(so.INC) == {"INC-2": "part", "INC-3": "possible cause"}
    assert told(stories.CHILD) == {"INC-1": "part of"}
    assert told(stories.CAUSE) == {"INC-1": "possible consequence"}


def test_the_ledger_before_and_now(tmp_path: Path) -> None:
    report = made(tmp_path, stories.whole)
    assert (report["ledger"]["before"]["missing"], report["ledger"]["now"]["missing"]) == (1, 2)
    assert (report["impact"]["told"]["owed"], report["impact"]["now"]["owed"]) == (2, 1)
    none = made(tmp_path, stories.whole, ledger=False)
    assert none["ledger"] is None and none["impact"]["now"] is None and none["impact"]["told"], "it was told when there was one"
    bare = made(tmp_path, stories.bare, ledger=False)["impact"]
    assert (bare["measured"], bare["why"], bare["probes_text"]) == (False, "no ledger is configured", "not measured")


# --- nobody's name, address or number ---------------------------------------------------------------------------------


def test_people_are_on_call(tmp_path: Path) -> None:
    report = made(tmp_path, stories.whole)
    for text in (json.dumps(report), markdown(report), html(report)):
        assert not re.search(r"\b(ana|ben|cleo)\b", text)
    assert {row["by"] for row in report["timeline"]} == {"on-call", "mailcanary", "pipeline"}


@pytest.mark.parametrize(
    ("text", "names", "shown"),
    [
        ("ana asked Ben", {"ana", "Ben"}, "on-call asked on-call"),
        ("banana and ana-lytics", {"ana"}, "banana and on-call-lytics"),
        ("a b", {"a"}, "a b"),
        ("ana maria did", {"ana", "ana maria"}, "on-call did"),
        ("x (y)", {"(y)"}, "x on-call"),
        ("nobody", set(), "nobody"),
    ],
)
def test_nameless(text: str, names: set[str], shown: str) -> None:
    assert nameless(text, People(frozenset(names))) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("checkout fails: gmail 6/8", "checkout fails: gmail 6/8"),
        ("deploy finished: shop v2 by checkout (42.0 s before)", "deploy finished: shop v2 by on-call (42.0 s before)"),
        ("deploy finished: shop v2 by checkout-ci maria", "deploy finished: shop v2 by on-call"),
        ("deployed by checkouts, standby checkout", "deployed by checkouts, standby checkout"),
        ("ana said: by checkout", "on-call said: by on-call"),
        ("by ana lee: no", "by on-call: no"),
    ],
)
def test_what_marked_a_deploy_is_taken_out_where_it_did_something(text: str, shown: str) -> None:
    """A pipeline is called as what it deploys, which is a word of every text."""
    assert nameless(text, People(frozenset({"ana"}), frozenset({"checkout", "checkout-ci maria", "ana lee"}))) == shown


def test_a_pipeline_that_is_called_like_a_path(tmp_path: Path) -> None:
    line = "deploy finished: checkout-api v512 by app"

    def facts(at: Instant) -> Sequence[Fact]:
        said = replace(so.DIAGNOSIS, changed=(line, "deploy finished: shop v1 by ana"))
        marks = [so.deployed(at.plus(-161), name, by=name) for name in ("app", "deploy", "ana")]
        return (*marks, so.opened(at, diagnosis=said), Noted(at.plus(5), so.INC, "cleo", "the app path is well again"))

    report = made(tmp_path, facts)
    assert report["diagnosis"]["shows"][0] == "app fails: gmail 6/8, outlook 2/2"
    assert report["diagnosis"]["changed"] == ["deploy finished: checkout-api v512 by on-call", "deploy finished: shop v1 by on-call"]
    assert "noted: the app path is well again" in [row["text"] for row in report["timeline"]]


LONG = "zoe maria " + "of the night shift " * 3 + "zimmer"


@pytest.mark.parametrize("name", ["zoe", LONG, "zoe: shift 2"])
@pytest.mark.parametrize("later", [False, True])
def test_nobody_is_named_by_a_gate(tmp_path: Path, name: str, later: bool) -> None:
    """Also when another attempt was begun since, and submission goes on."""

    def facts(at: Instant) -> Sequence[Fact]:
        def asked(deploy: str, attempt: int = 1) -> Fact:
            return GateRequested(at, GateId(f"gate-{deploy}"), deploy, attempt, BUILT_IN[QUICK], "ci", (deploy,), (), at, at.plus(900))

        def ended(deploy: str, because: Because, reason: str) -> Fact:
            return GateDecided(at.plus(50), GateId(f"gate-{deploy}"), deploy, 1, GATE_VERDICT[because], because, reason, (), ())

        paused = f"submission is paused since 14:13:20Z by {cut(name, 40)}: the relay moves"
        after = (asked("d-1", 2), Resumed(at.plus(60), name)) if later else ()
        return (
            so.opened(at),
            Paused(at, name, f"{name} moves the relay"),
            asked("d-1"),
            GateCancelled(at.plus(50), GateId("gate-d-1"), name, f"{name} needs no answer"),
            ended("d-1", Because.CANCELLED, f"cancelled by {name}: {name} needs no answer"),
            asked("d-2"),
            ended("d-2", Because.UNSUBMITTED, paused),
            *after,
            so.resolved(at.plus(100)),
        )

    report = made(tmp_path, facts)
    assert {row["reason"].split(":")[0] for row in report["gates"]} >= {"cancelled by on-call"}
    for text in (json.dumps(report), markdown(report), html(report)):
        assert "zoe" not in text


def test_who_overrode_or_paused_acted_and_who_cancelled_may_be_a_pipeline(tmp_path: Path) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        gate = GateId("gate-d-1")
        return (
            so.opened(at),
            Paused(at, "paula", "the relay moves"),
            GateRequested(at, gate, "d-1", 1, BUILT_IN[QUICK], "ci", ("d-1",), (), at, at.plus(900)),
            GateCancelled(at.plus(5), gate, "app", "superseded"),
            GateDecided(
                at.plus(6), gate, "d-1", 1, GATE_VERDICT[Because.CANCELLED], Because.CANCELLED, "cancelled by app: superseded", (), ()
            ),
            GateOverridden(at.plus(7), gate, "olaf", "urgent", at.plus(900).utc),
            Noted(at.plus(8), so.INC, "cleo", "paula and olaf agree, it was cancelled by app"),
        )

    report = made(tmp_path, facts)
    (noted,) = [row["text"] for row in report["timeline"] if row["what"] == "noted"]
    assert noted == "noted: on-call and on-call agree, it was cancelled by on-call"
    assert report["diagnosis"]["shows"][0].startswith("app fails")
    assert [row["reason"] for row in report["gates"]] == ["cancelled by on-call: superseded"]


def hostile(words: str) -> Any:
    def facts(at: Instant) -> Sequence[Fact]:
        said = replace(
            so.DIAGNOSIS,
            summary=words,
            shows=(words,),
            said=(words,),
            changed=(words,),
            next_step=words,
            against=(words,),
            confidence=Confidence.LOW,
        )
        candidate = replace(so.opened(at).deploys[0], deploy=words, service=words, version=words, by=words)
        scope = Scope(ScopeKind.MAILBOX, words)
        more = {"diagnosis": said, "deploys": (candidate,), "routes": (words,), "tallies": (Tally(words, words, 1, 2),), "scope": scope}
        return (
            so.deployed(at.plus(-200), words, service=words, version=words, by=words),
            so.opened(at, note=words, by=words, **more),
            so.notified(at.plus(1), 2, words),
            so.failed(at.plus(1), 2, "chat " + words),
            so.transition(at.plus(2), Phase.OPENED, IncidentId("INC-2"), parent=so.INC, scope=scope),
            Acknowledged(at.plus(3), so.INC, words, words),
            Silenced(at.plus(4), so.INC, words, words, at.plus(9).utc),
            Noted(at.plus(5), so.INC, words, words),
            so.transition(at.plus(6), Phase.RESOLVED, note=words, by=words, diagnosis=said),
        )

    return facts


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(each)


@pytest.mark.parametrize("words", [so.HOSTILE, TAGS, "\x1b]0;x\x07" + TAGS, "x" * 5_000, "a\n\n# heading\n| b |", "{{ 7 * 7 }}{% raw %}"])
def test_hostile_words_stay_words(tmp_path: Path, words: str) -> None:
    report = made(tmp_path, hostile(words))
    assert all(text.isprintable() and "seed+tag" not in text and "87654321" not in text for text in texts(report))
    page, text = html(report), markdown(report)
    plain = Tags(html(made(tmp_path, hostile("harmless"))))
    assert Tags(page).tags == plain.tags and Tags(page).attributes == plain.attributes
    headings = [line for line in markdown(made(tmp_path, hostile("harmless"))).splitlines() if line.startswith("#")]
    assert [line for line in text.splitlines() if line.startswith("#")] == headings
    assert "<script" not in text and "](" not in text and "49" not in re.sub(r"&#\d+;|\d\d:\d\d:\d\dZ", "", text).replace("{{ 7 * 7 }}", "")
    for shown in (page, text):
        assert "seed+tag" not in shown and "87654321" not in shown and "\x1b" not in shown
    for line in text.splitlines():
        assert not line.startswith("|") or line.count("|") == header(text, line), line


def header(text: str, line: str) -> int:
    """Columns of the table that a line stands in: those of its first line."""
    lines = text.splitlines()
    place = lines.index(line)
    while place and lines[place - 1].startswith("|"):
        place -= 1
    return lines[place].count("|")


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = html(made(tmp_path, stories.whole))
    tags = Tags(page)
    assert not {"script", "link", "img", "iframe", "form"} & set(tags.tags)
    assert not [name for name in tags.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert "default-src 'none'" in page and next(tag for tag in tags.tags if re.fullmatch("h[1-6]", tag)) == "h1"


def test_a_document_of_another_host_is_escaped_too(tmp_path: Path) -> None:
    """It reaches the command as JSON: whatever stands in it."""
    report = made(tmp_path, stories.whole)
    report["summary"] = report["title"] = report["blanks"][0]["title"] = so.HOSTILE + TAGS
    report["status_page"]["updates"][0]["text"] = TAGS
    assert Tags(html(report)).tags == Tags(html(made(tmp_path, stories.whole))).tags
    assert "seed+tag" not in html(report) + markdown(report) and "<script" not in markdown(report)


# --- text for customers -----------------------------------------------------------------------------------------------


def test_status_page_has_an_update_for_each_phase_and_no_name_of_ours(tmp_path: Path) -> None:
    page = made(tmp_path, stories.whole)["status_page"]
    assert [(update["status"], update["component_status"]) for update in page["updates"]] == [
        ("investigating", "partial_outage"),
        ("identified", "partial_outage"),
        ("monitoring", "operational"),
        ("resolved", "operational"),
    ]
    times = [update["at"] for update in page["updates"]]
    assert times == sorted(times)
    said = json.dumps(page)
    assert not [
        word for word in ("gmail", "outlook", "relay", "INC-", "checkout", "v512", "application", "DKIM", "mailcanary") if word in said
    ]


def test_a_relapse_takes_monitoring_back(tmp_path: Path) -> None:
    def relapsed(at: Instant) -> Sequence[Fact]:
        return (so.opened(at), so.transition(at.plus(5), Phase.RECOVERING), so.transition(at.plus(9), Phase.RELAPSED))

    assert [update["status"] for update in made(tmp_path, relapsed)["status_page"]["updates"]] == ["investigating"]


@pytest.mark.parametrize("confidence", [None, *Confidence])
def test_a_guess_is_not_identified(tmp_path: Path, confidence: Confidence | None) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        return (so.opened(at, diagnosis=replace(so.DIAGNOSIS, confidence=confidence)), Acknowledged(at.plus(1), so.INC, "ann"))

    statuses = [update["status"] for update in made(tmp_path, facts)["status_page"]["updates"]]
    assert ("identified" in statuses) is (confidence is not Confidence.LOW)


@pytest.mark.parametrize(
    ("acknowledged", "statuses"),
    [
        (4.0, ["investigating", "identified", "monitoring", "resolved"]),
        (5.0, ["investigating", "identified", "monitoring", "resolved"]),
        (6.0, ["investigating", "monitoring", "resolved"]),
    ],
)
def test_updates_are_in_order(tmp_path: Path, acknowledged: float, statuses: list[str]) -> None:
    """Who takes it in hand when it is over has identified nothing."""

    def facts(at: Instant) -> Sequence[Fact]:
        began = at.plus(-100)
        later = [so.transition(at.plus(5), Phase.RECOVERING, since=began), Acknowledged(at.plus(acknowledged), so.INC, "ann")]
        return (so.opened(at), *sorted(later, key=lambda fact: fact.at.utc), so.resolved(at.plus(9), since=began))

    report = made(tmp_path, facts)
    updates = report["status_page"]["updates"]
    assert [update["status"] for update in updates] == statuses
    assert [update["at"] for update in updates] == sorted(update["at"] for update in updates)
    steps = {step["name"]: step for step in report["detection"]["steps"]}
    assert steps["acknowledged"]["seconds_after_began"] == 100 + acknowledged
    assert steps["recovering"]["seconds_after_previous"] == (5 - acknowledged if acknowledged <= 5 else None)


def test_of_an_acknowledgement_after_the_end_nothing_is_published(tmp_path: Path) -> None:
    """Somebody closed it: there was no recovery."""

    def facts(at: Instant) -> Sequence[Fact]:
        return (so.opened(at), so.resolved(at.plus(9)), Acknowledged(at.plus(20), so.INC, "ann"))

    assert [update["status"] for update in made(tmp_path, facts)["status_page"]["updates"]] == ["investigating", "resolved"]


ROWS = {"all": [{"bad": 9, "sent": 10}], "some": [{"bad": 3, "sent": 10}], "none": []}


@pytest.mark.parametrize(
    ("symptom", "severity", "probes", "worst"),
    [
        (Symptom.DELIVERY_STALLED, Severity.PAGE, "all", "major_outage"),
        (Symptom.DELIVERY_STALLED, Severity.PAGE, "some", "partial_outage"),
        (Symptom.DELIVERY_STALLED, Severity.PAGE, "none", "partial_outage"),
        (Symptom.DELIVERY_STALLED, Severity.TICKET, "all", "degraded_performance"),
        (Symptom.DELIVERY_LATE, Severity.PAGE, "all", "degraded_performance"),
        (Symptom.CONTENT_WRONG, Severity.PAGE, "all", "partial_outage"),
        (Symptom.SPAM_PLACEMENT, Severity.PAGE, "all", "degraded_performance"),
    ],
)
def test_component(symptom: Symptom, severity: Severity, probes: str, worst: str) -> None:
    assert component(symptom, severity, ScopeKind.PATH, ROWS[probes]) == worst


@pytest.mark.parametrize("kind", ScopeKind)
def test_an_outage_of_a_part_is_partial(kind: ScopeKind) -> None:
    worst = component(Symptom.DELIVERY_STALLED, Severity.PAGE, kind, ROWS["all"])
    assert worst == ("major_outage" if kind in (ScopeKind.ALL, ScopeKind.PATH) else "partial_outage")


def test_one_mailbox_is_no_major_outage(tmp_path: Path) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        lost = {"tallies": (Tally("relay", "gmail", 10, 10),), "symptom": Symptom.DELIVERY_MISSING}
        return (so.opened(at, scope=Scope(ScopeKind.MAILBOX, "seed-1"), **lost),)

    assert made(tmp_path, facts)["status_page"]["worst"] == "partial_outage"


def test_of_what_customers_do_not_notice_nothing_is_published(tmp_path: Path) -> None:
    assert made(tmp_path, stories.bare)["status_page"] is None
    unfelt = set(Symptom) - set(FELT)
    assert {Symptom.MAILBOX_BLIND, Symptom.MONITOR, Symptom.DNS_BLIND, Symptom.GATE_HOLD, Symptom.TRIPWIRE_LEAKED} <= unfelt


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (59, "59.0 s"), (250, "4m10s"), (3599, "59m59s"), (3600, "1h00m"), (11_100, "3h05m"), (187_200, "2d04h")],
)
def test_length(seconds: float, words: str) -> None:
    assert length(seconds) == words


# --- a house that has it ----------------------------------------------------------------------------------------------


@virtual
async def test_an_incident_of_a_house(tmp_path: Path) -> None:
    rules = so.with_channels(two_paths(tmp_path, 3))
    house = House(rules)
    await house.journal.append(week(rules))
    async with house.running(*STAGES):
        await house.sleep(700)
        post = next(iter(house.posts.values()))
        post.transit = None
        fact = await opened(house)
        post.transit = 1.0
        await house.until(lambda: house.world.incidents.known[fact.incident].resolved_at, 7200)
    report = json.loads(json.dumps(incident_report(house.desk, house.world.incidents.known[fact.incident])))
    FITS.validate(report)
    assert not report["still_open"] and report["symptom"] == "delivery_stalled"
    steps = {step["name"]: step["seconds_after_began"] for step in report["detection"]["steps"]}
    assert steps["suspected"] <= steps["opened"] <= steps["recovering"] <= steps["resolved"]
    whats = [row["what"] for row in report["timeline"]]
    assert whats.index("last good") < whats.index("began") < whats.index("opened") < whats.index("resolved")
    began, told = (next(row for row in report["timeline"] if row["what"] == what) for what in ("began", "opened"))
    assert re.fullmatch(r"fact \d+", began["shown_by"]) and re.fullmatch(r"fact \d+", told["shown_by"])
    assert report["impact"]["probes"] and report["diagnosis"]["layer"] in report["summary"]
    assert [update["status"] for update in report["status_page"]["updates"]] == ["investigating", "monitoring", "resolved"]


# --- deploys and gates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ((), "still running"),
        (((9, DeployPhase.ROLLBACK),), "rolled back 14:13:29Z"),
        (((30, DeployPhase.FINISH),), "finished 14:13:50Z"),
    ],
)
def test_candidates_are_worded_by_what_is_marked_today(tmp_path: Path, later: tuple[tuple[float, DeployPhase], ...], words: str) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        then = replace(so.opened(at).deploys[0], phase=DeployPhase.START, at=at)
        markers = [so.deployed(at.plus(seconds), "d-1", phase, service="checkout-api") for seconds, phase in later]
        return (so.opened(at, deploys=(then,)), *markers)

    report = made(tmp_path, facts)
    (told,) = [row["text"] for row in report["candidates"] if row["kind"] == "deploy"]
    assert told == f"checkout-api v512 started 14:13:20Z, {words}; began 3m41s after (bracketed)"


def test_gates_that_decided_in_this_time(tmp_path: Path) -> None:
    def facts(at: Instant) -> Sequence[Fact]:
        def gate(deploy: str, decided: float, because: Because, reason: str) -> tuple[Fact, Fact]:
            name, asked = GateId(f"gate-{deploy}"), at.plus(decided - 20)
            request = GateRequested(asked, name, deploy, 1, BUILT_IN[QUICK], "ci", (deploy,), (), asked, asked.plus(900))
            return request, GateDecided(at.plus(decided), name, deploy, 1, GATE_VERDICT[because], because, reason, (), ())

        return (
            *gate("d-0", -7400, Because.CLEAN, "two hours before it began, and more"),
            *gate("d-2", 50, Because.LOSSES, f"6 of 10 probes lost {TAGS}"),
            *gate("d-1", -300, Because.CLEAN, "30 of 30 arrived"),
            so.opened(at),
            so.resolved(at.plus(100)),
            *gate("d-3", 200, Because.CLEAN, "when it was over"),
        )

    report = made(tmp_path, facts)
    rows = [(row["gate"], row["deploy"], row["verdict"]) for row in report["gates"]]
    assert rows == [("gate-d-1", "d-1", "pass"), ("gate-d-2", "d-2", "fail")]
    assert report["gates"][1]["reason"].startswith("6 of 10 probes lost") and report["gates"][1]["at"] > report["gates"][0]["at"]
    assert "## Release gates in this time" in markdown(report) and "| gate-d-2 | d-2 | fail |" in markdown(report)
    page = html(report)
    assert "<td>gate-d-2</td><td>d-2</td><td>fail</td>" in page and "<script" not in page


def test_real_refunds_are_named_once(tmp_path: Path) -> None:
    said = made(tmp_path, stories.whole)["summary"].lower()
    assert said.count("real refund") == 1
