"""Whatever was journalled: each document fits its schema, all of it can be drawn, logged and scraped, and nothing says more than it may."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from monitor.desk import Desk
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import (
    KIND_OF,
    Acknowledged,
    DeployMarked,
    Entry,
    Fact,
    Noted,
    Notified,
    NotifyFailed,
    ResolveAsked,
    Silenced,
    SilenceEnded,
    SilencePlanned,
    Transition,
    Tripped,
)
from monitor.model.incident import DeployPhase, IncidentId, SilenceId
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.surface.deploys import deploy_row, deploys
from monitor.surface.incidents import Shown, incident_list, incident_story
from monitor.surface.log import Log, LogFormat
from monitor.surface.metrics import Metrics, Vitals
from monitor.surface.silences import silence_list
from monitor.surface.status import status
from monitor.surface.story import print_incident, print_incidents
from monitor.views.world import World
from tests.stages.house import policy
from tests.surface import happenings as so
from tests.views import facts as at_random  # registers how facts are drawn

NAMES = st.sampled_from([IncidentId("INC-1"), IncidentId("INC-2")])
SILENCES, UTC = st.sampled_from([SilenceId("SIL-1"), SilenceId("SIL-2")]), st.floats(1e9, 2e9)
ABOUT, EPISODES = st.integers(1, 12), st.integers(0, 3)
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(Transition, incident=NAMES, episode=EPISODES, parent=st.none() | NAMES),
    st.builds(Transition, incident=NAMES, episode=EPISODES, parent=st.none()),
    st.builds(Acknowledged, incident=NAMES),
    st.builds(Silenced, incident=NAMES, until=st.floats(1e9, 2e9)),
    st.builds(ResolveAsked, incident=NAMES),
    st.builds(Noted, incident=NAMES, text=st.just(so.HOSTILE) | at_random.TEXTS),
    st.builds(Notified, incident=NAMES, channel=st.sampled_from(["pager", "chat", "gone"]), about=ABOUT),
    st.builds(NotifyFailed, incident=NAMES, channel=st.sampled_from(["pager", "chat", "gone"]), about=ABOUT),
    st.builds(DeployMarked, deploy=st.sampled_from(["d-1", "d-2", so.HOSTILE]), phase=st.sampled_from(DeployPhase)),
    st.builds(Tripped),
    st.builds(SilencePlanned, silence=SILENCES, begins=UTC, until=UTC, reason=st.just(so.HOSTILE) | at_random.TEXTS),
    st.builds(SilenceEnded, silence=SILENCES, reason=st.just(so.HOSTILE) | at_random.TEXTS),
)
DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "config" / "openapi.yaml").read_text())
SCHEMAS = {
    name: jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})
    for name in DOCUMENT["components"]["schemas"]
}


class Stopped:
    """A clock that shows one time."""

    def now(self) -> Instant:
        return Instant(1.5e9, 5e6, "first")

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.with_channels(policy(tmp_path_factory.mktemp("policy"), seeds=2))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(history=st.lists(FACTS, max_size=12))
def test_any_history(rules: Policy, history: Sequence[Fact]) -> None:
    world = World()
    desk = Desk(MemoryJournal(world.fold), world, Stopped(), SystemEntropy(), rules)
    metrics = Metrics(rules, world, Vitals())
    lines = io.StringIO()
    log = Log(LogFormat.TEXT, "test", lambda: "now", lines)
    for seq, fact in enumerate(history, 1):
        entry = Entry(seq, KIND_OF[type(fact)], fact)
        for take in (world.fold, metrics.count, log.tell):
            take(entry)

    stories = [incident_story(desk, state) for state in world.incidents.known.values()]
    lists = [incident_list(desk, shown) for shown in Shown]
    silent = silence_list(desk, [*world.incidents.silences.values()])
    marked = {
        "schema": "mailcanary.deploys/v1",
        "environment": "test",
        "deploys": [deploy_row(each) for each in deploys(world.incidents.deploys)],
    }
    alone = (("Status", status(desk)), ("Deploys", marked), ("Silences", silent))
    for name, documents in (("Incident", stories), ("Incidents", lists), *((name, [each]) for name, each in alone)):
        for document in documents:
            SCHEMAS[name].validate(json.loads(json.dumps(document, allow_nan=False)))
            assert all(text.isprintable() and "seed+tag" not in text and "87654321" not in text for text in texts(document))
    known = [row["id"] for document in lists[:3] for row in document["incidents"]]  # type: ignore[attr-defined]
    assert sorted(known) == sorted(world.incidents.known), "each is in one state"

    paper = io.StringIO()
    console = Console(file=paper, width=100)
    for story in stories:
        print_incident(story, console)
    for document in lists:
        print_incidents(document, console)
    told = paper.getvalue() + lines.getvalue()
    assert all(char.isprintable() or char == "\n" for char in told) and "seed+tag" not in told and "87654321" not in told

    page = metrics.expose("", desk.clock.now())[0].decode()
    assert "seed+tag" not in page and "@" not in page.replace("***@", "")
    series = Metrics(rules, World(), Vitals()).expose("")[0].decode().count("\n")
    assert page.count("\n") <= series + 3 * 3 + 1 + len([fact for fact in history if isinstance(fact, Tripped)]), "facts make no series"


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def test_the_check_finds_what_is_wrong(rules: Policy) -> None:
    world = World()
    desk = Desk(MemoryJournal(world.fold), world, Stopped(), SystemEntropy(), rules)
    world.fold(Entry(1, "transition", so.opened(desk.clock.now())))
    story = incident_story(desk, world.incidents.known[so.INC])
    SCHEMAS["Incident"].validate(story)
    for spoiled in ({**story, "state": "broken"}, {key: each for key, each in story.items() if key != "hushed"}, {**story, "steps": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            SCHEMAS["Incident"].validate(spoiled)
