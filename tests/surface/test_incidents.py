"""Incidents as JSON: the list with the worth of its silence, and the whole story of one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Acknowledged, Fact, Judged, Noted, Paused, ResolveAsked, Silenced, Started
from monitor.model.incident import DeployPhase, Diagnosis, IncidentId, Layer, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.probe import PathName, ProbeId, Purpose, Route
from monitor.model.verdict import Reason
from monitor.surface.incidents import MOST_TOLD, Shown, incident_list, incident_story
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface.happenings import HOSTILE, INC

ROUTE = Route(PathName("relay"), seed(1))


def judged(at: Instant, reason: Reason = Reason.PASS, route: Route = ROUTE) -> Judged:
    return Judged(at, ProbeId("0" * 12), route, Purpose.SCHEDULED, 0, reason.verdict, reason, "why", ())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(so.with_channels(policy(tmp_path, seeds=2)))


async def happen(house: House, *facts: Fact) -> None:
    await house.journal.append(facts)


def listed(house: House, shown: Shown = Shown.OPEN) -> Any:
    return json.loads(json.dumps(incident_list(house.desk, shown)))


def story(house: House, incident: IncidentId = INC) -> Any:
    return json.loads(json.dumps(incident_story(house.desk, house.world.incidents.known[incident])))


@virtual
async def test_newest_first_by_state(house: House) -> None:
    now = house.clock.now()
    await happen(
        house,
        *(so.opened(now, IncidentId(f"INC-{number}")) for number in (1, 2, 3)),
        so.suspected(now, IncidentId("INC-4")),
        so.resolved(now.plus(1), IncidentId("INC-2")),
    )
    wanted = {
        Shown.OPEN: ["INC-3", "INC-1"],
        Shown.SUSPECTED: ["INC-4"],
        Shown.RESOLVED: ["INC-2"],
        Shown.ALL: ["INC-4", "INC-3", "INC-2", "INC-1"],
    }
    for shown, ids in wanted.items():
        answer = listed(house, shown)
        assert [row["id"] for row in answer["incidents"]] == ids and answer["state"] == shown.value
        assert answer["counts"] == {"open": 2, "suspected": 1, "resolved": 1}
    states = {row["id"]: row["state"] for row in listed(house, Shown.ALL)["incidents"]}
    assert states == {"INC-4": "suspected", "INC-3": "open", "INC-2": "resolved", "INC-1": "open"}


@virtual
async def test_the_whole_story(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.suspected(at), so.opened(at.plus(30)), so.notified(at.plus(31), 2), so.failed(at.plus(32), 2, "chat"))
    await house.sleep(60)
    told = story(house)
    assert told["schema"] == "mailcanary.incident/v1" and told["id"] == "INC-1" and told["state"] == "open"
    assert (told["severity"], told["symptom"], told["scope"]) == ("page", "delivery_stalled", "path:relay")
    assert told["title"] == "Refund confirmations overdue, none arriving" and told["summary"] == so.DIAGNOSIS.summary
    assert (told["since"], told["opened_at"], told["opening"]) == (at.plus(-70).iso(), at.plus(30).iso(), "stalled")
    assert told["last_good"] == at.plus(-310).iso() and told["seconds"] == 130.0
    assert told["diagnosis"]["layer"] == "application" and told["diagnosis"]["next_step"] == "roll back checkout-api v512"
    assert told["tallies"][0] == {"path": "relay", "provider": "gmail", "bad": 6, "sent": 8}
    (deploy,) = told["deploys"]
    assert (deploy["link"], deploy["seconds_after"]) == ("bracketed", 221.0)
    assert "began 3m41s after" in deploy["text"] and "caused" not in deploy["text"]
    assert [step["what"] for step in told["steps"]] == ["suspected", "opened"]
    (notification,) = told["notifications"]
    assert notification["of"] == "opened" and notification["taken"] == [{"channel": "pager", "at": at.plus(31).iso()}]
    (failure,) = notification["failed"]
    assert (failure["channel"], failure["attempt"], failure["given_up"]) == ("chat", 2, False)
    assert (failure["detail"], failure["mend"]) == ("503 from pager.test", "is it up?")
    assert told["dedup_key"] == "mailcanary/test/delivery_stalled/path:relay" and told["runbook"].endswith("/delivery-stalled.md")
    assert told["acknowledged"] is told["silenced"] is told["resolve_asked"] is told["hushed"] is None


@virtual
async def test_the_story_of_what_pages_names_its_parts_the_first_to_begin_first(house: House) -> None:
    at = house.clock.now()
    box = Scope(ScopeKind.MAILBOX, "seed-1")
    part, early, ended = (IncidentId(f"INC-{number}") for number in (2, 3, 4))
    await happen(
        house,
        so.opened(at),
        so.opened(at, part, parent=INC, scope=box),
        so.opened(at, early, parent=INC, since=at.plus(-500), severity=Severity.TICKET),
        so.opened(at, ended, parent=INC, since=at.plus(-50)),
        so.resolved(at.plus(1), ended, parent=INC),
        so.opened(at, IncidentId("INC-5"), scope=box),
    )
    assert [(row["id"], row["state"]) for row in story(house)["parts"]] == [("INC-3", "open"), ("INC-2", "open"), ("INC-4", "resolved")]
    assert story(house)["parts"][1] | {"id": ""} == {
        "id": "",
        "state": "open",
        "title": "Refund confirmations overdue, none arriving",
        "scope": "mailbox:seed-1",
        "since": at.plus(-100).iso(),
    }


@virtual
async def test_what_people_did_and_later_transitions_do_not_hide_the_diagnosis(house: House) -> None:
    at = house.clock.now()
    await happen(
        house,
        so.opened(at),
        Acknowledged(at.plus(1), INC, "ann", "on it"),
        so.transition(at.plus(1), Phase.ACKNOWLEDGED, by="ann"),
        Noted(at.plus(2), INC, "bob", "the shop rolls back"),
        Silenced(at.plus(3), INC, "ann", "known", at.plus(3600).utc),
        so.transition(at.plus(4), Phase.RECOVERING),
        ResolveAsked(at.plus(5), INC, "ann", "rolled back"),
    )
    await house.sleep(6)
    told = story(house)
    assert told["diagnosis"]["summary"] == so.DIAGNOSIS.summary and told["tallies"] and told["deploys"] and told["last_good"]
    assert told["acknowledged"] == {"at": at.plus(1).iso(), "by": "ann", "text": "on it"} and told["acknowledged_by"] == "ann"
    assert told["silenced"]["until"] == told["silenced_until"] == at.plus(3600).iso() and "silenced until" in told["hushed"]
    assert told["resolve_asked"]["text"] == "rolled back" and told["recovering"] is True
    assert [(step["what"], step["by"]) for step in told["steps"]] == [
        ("opened", ""), ("acknowledged", "ann"), ("noted", "bob"),
        ("silenced", "ann"), ("recovering", ""), ("resolve asked", "ann"),
    ]  # fmt: skip
    await house.sleep(3600)
    assert story(house)["silenced_until"] is None and story(house)["hushed"] is None, "the silence is over, and still told of"
    assert story(house)["silenced"]["by"] == "ann"


@virtual
async def test_each_acknowledgement_is_told_once(house: House) -> None:
    at = house.clock.now()
    for n, (by, text) in enumerate([("ann", ""), ("ann", ""), ("ann", "still on it"), ("bob", "")]):
        await happen(house, *([so.opened(at)] if n == 0 else []), Acknowledged(at.plus(n), INC, by, text))
        await happen(house, so.transition(at.plus(n), Phase.ACKNOWLEDGED, by=by, note=text))
    steps = [(step["by"], step["text"]) for step in story(house)["steps"] if step["what"] == "acknowledged"]
    assert steps == [("ann", ""), ("ann", "still on it"), ("bob", "")]


@virtual
async def test_a_resolved_one_ends_where_it_was_resolved(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), so.resolved(at.plus(200), since=at.plus(-100)))
    await house.sleep(1000)
    told = story(house)
    assert told["state"] == "resolved" and told["resolved_at"] == at.plus(200).iso() and told["seconds"] == 300.0


@virtual
async def test_a_suspicion_has_neither_opening_nor_diagnosis(house: House) -> None:
    await happen(house, so.suspected(house.clock.now(), severity=Severity.TICKET))
    told = story(house)
    assert told["state"] == "suspected" and told["opened_at"] is told["opening"] is told["diagnosis"] is None
    assert told["summary"] == "" and told["deploys"] == told["tallies"] == told["notifications"] == []


@virtual
async def test_what_peers_and_people_said_is_masked_and_stays_on_its_line(house: House) -> None:
    at = house.clock.now()
    diagnosis = Diagnosis(Layer.RELAY, HOSTILE, (HOSTILE,), (HOSTILE,), (HOSTILE,), HOSTILE)
    await happen(
        house,
        so.opened(at, diagnosis=diagnosis, note=HOSTILE),
        Acknowledged(at, INC, HOSTILE, HOSTILE),
        Silenced(at, INC, HOSTILE, HOSTILE, at.plus(60).utc),
        ResolveAsked(at, INC, HOSTILE, HOSTILE),
        Noted(at, INC, HOSTILE, HOSTILE),
        replace(so.failed(at, 1), detail=HOSTILE, mend=HOSTILE),
    )

    def strings(value: Any) -> Sequence[str]:
        if isinstance(value, dict):
            return [text for each in value.values() for text in strings(each)]
        if isinstance(value, list):
            return [text for each in value for text in strings(each)]
        return [value] if isinstance(value, str) else []

    found = strings(story(house)) + strings(listed(house))
    assert all(text.isprintable() and "seed+tag" not in text and "87654321" not in text for text in found)
    assert sum("***@box.test" in text for text in found) >= 14


@virtual
async def test_only_what_no_channel_took_is_superseded(house: House) -> None:
    """What a silence took over after it was told was told."""
    at = house.clock.now()
    await house.journal.append([so.opened(at), so.notified(at, 1), Silenced(at, so.INC, "ann", "known", at.utc + 60), so.resolved(at)])
    assert [item["superseded"] for item in story(house)["notifications"]] == [False, True, False]


@virtual
async def test_the_latest_notifications_are_shown(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), *(so.transition(at.plus(n), Phase.GROWN) for n in range(1, MOST_TOLD + 20)))
    told = story(house)["notifications"]
    assert len(told) == MOST_TOLD and told[-1]["at"] == at.plus(MOST_TOLD + 19).iso()


# ---- freshness -------------------------------------------------------------------------------------------------------


@virtual
async def test_no_incident_and_no_evidence_are_not_the_same(house: House) -> None:
    assert listed(house)["evidence"] == {
        "last_at": None, "age_seconds": None, "routes": 2, "fresh": 0, "stale": [], "paused": False,
        "unknown": ["relay/seed-1", "relay/seed-2"],
    }  # fmt: skip
    await happen(house, judged(house.clock.now()))
    await house.sleep(12)
    fresh = listed(house)["evidence"]
    assert (fresh["age_seconds"], fresh["fresh"], fresh["unknown"]) == (12.0, 1, ["relay/seed-2"])
    await happen(house, judged(house.clock.now(), Reason.MAILBOX_BLIND), Paused(house.clock.now(), "ann", ""))
    fresh = listed(house)["evidence"]
    assert fresh["fresh"] == 0 and fresh["paused"] is True, "a blind mailbox is no evidence"


@pytest.mark.parametrize("before", [True, False])
def test_a_route_is_stale_after_three_intervals_and_its_deadline(house: House, before: bool) -> None:
    """Whether it was ever judged, or not since the daemon was started."""

    @virtual
    async def story() -> None:
        every = house.policy.routes[ROUTE].every
        missing = house.policy.routes[ROUTE].deadlines.missing_after
        now = house.clock.now()
        await happen(house, Started(now, "0.1", "h"), *([judged(now)] if before else []))
        await house.sleep(3 * every + missing - 1)
        assert listed(house)["evidence"]["stale"] == []
        await house.sleep(2)
        assert "relay/seed-1" in listed(house)["evidence"]["stale"]

    story()


@virtual
async def test_a_deploy_is_worded_by_what_is_marked_until_now(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), so.deployed(at.plus(9), "d-1", DeployPhase.ROLLBACK))
    (deploy,) = story(house)["deploys"]
    assert f", rolled back {at.plus(9).when:%H:%M:%S}Z; began 3m41s after (bracketed)" in deploy["text"]


@virtual
async def test_what_was_done_is_not_asked_for_again(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at))
    assert story(house)["to_do"].startswith("roll back checkout-api v512")
    await happen(house, so.deployed(at.plus(9), "d-1", DeployPhase.ROLLBACK))
    assert story(house)["to_do"] == f"checkout-api v512 was rolled back at {at.plus(9).when:%H:%M:%S}Z: watch the next probes"
    await happen(house, so.resolved(at.plus(600)))
    assert story(house)["to_do"] == "nothing: it is over; `mailcanary incident report INC-1` tells of it"
