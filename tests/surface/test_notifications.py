"""/v1/notifications: each notice for each channel, what became of it, and what may be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rich.console import Console

from monitor.model.channels import NotifyRoute
from monitor.model.facts import Fact, Notified, NotifyFailed, Silenced
from monitor.model.incident import IncidentId, Phase, Severity
from monitor.model.policy import Access
from monitor.surface.deliveries import State, deliveries
from monitor.surface.delivery_table import print_deliveries
from tests.surface import happenings as so
from tests.surface.premises import SECRETS, Site, rules, served

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "config" / "openapi.yaml").read_text())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(so.with_channels(rules(tmp_path), ("pager", "phone"))) as one:
        yield one


async def rows(site: Site, *facts: Fact, query: str = "") -> list[dict[str, Any]]:
    await site.happen(*facts)
    status, answer = await site.ask("GET", f"/v1/notifications{query}")
    assert status == 200, answer
    jsonschema.validate(answer, {"$ref": "#/components/schemas/Notifications", "components": DOCUMENT["components"]})
    found: list[dict[str, Any]] = answer["notifications"]
    return found


def states(found: list[dict[str, Any]]) -> dict[tuple[str, str | None], str]:
    return {(row["of"], row["channel"]): row["state"] for row in found}


async def test_nothing_yet(site: Site) -> None:
    assert await rows(site) == []


async def test_what_waits_was_told_fails_and_was_given_up(site: Site) -> None:
    now = site.desk.clock.now()
    assert states(await rows(site, so.opened(now))) == {("opened", "pager"): "waiting", ("opened", "phone"): "waiting"}
    found = await rows(site, Notified(now, so.INC, "pager", 1, 3, "ok"), so.failed(now, 1, "phone", 60.0))
    told = {row["channel"]: row for row in found}
    assert (told["pager"]["state"], told["pager"]["attempts"], told["pager"]["told_at"], told["pager"]["failure"]) == (
        "told",
        3,
        now.iso(),
        None,
    )
    assert (told["phone"]["state"], told["phone"]["told_at"]) == ("failing", None)
    assert told["phone"]["failure"]["retry_seconds"] == 60.0 and told["phone"]["attempts"] == 2
    found = await rows(site, NotifyFailed(now, so.INC, "phone", 1, 9, "404 <x@y.test>", "put a key there", None))
    gone = next(row for row in found if row["channel"] == "phone")
    assert (gone["state"], gone["attempts"], gone["failure"]["retry_seconds"]) == ("given_up", 9, None)
    assert gone["failure"]["mend"] == "put a key there" and "x@y.test" not in gone["failure"]["detail"]


async def test_what_a_silence_holds_and_what_something_newer_took_over(site: Site) -> None:
    now = site.desk.clock.now()
    found = await rows(site, so.opened(now), so.notified(now, 1), Silenced(now, so.INC, "ann", "known", now.utc + 3600.0))
    assert [(row["notice"], row["channel"], row["state"]) for row in found] == [
        (2, "phone", "held"),
        (2, "pager", "held"),
        (1, "pager", "told"),
    ]
    found = await rows(site, so.resolved(now.plus(1.0)))
    assert {(row["notice"], row["channel"], row["state"]) for row in found} == {
        (3, "pager", "waiting"),
        (2, None, "superseded"),
        (1, "pager", "told"),
    }


async def test_what_nobody_is_to_hear_of_says_so(site: Site) -> None:
    site.desk.policy = replace(site.desk.policy, notify=replace(site.desk.policy.notify, routes=(NotifyRoute(()),)))
    (row,) = await rows(site, so.opened(site.desk.clock.now()))
    assert (row["channel"], row["state"]) == (None, "nobody")


async def test_the_latest_first_and_only_what_was_asked_for(site: Site) -> None:
    now = site.desk.clock.now()
    other = IncidentId("INC-2")
    facts = (so.opened(now), so.notified(now, 1), so.opened(now.plus(1.0), other, severity=Severity.TICKET))
    found = await rows(site, *facts)
    assert [(row["incident"], row["channel"]) for row in found] == [("INC-2", "chat"), ("INC-1", "phone"), ("INC-1", "pager")]
    assert [row["channel"] for row in await rows(site, query="?incident=INC-2")] == ["chat"]
    assert [row["incident"] for row in await rows(site, query="?channel=pager")] == ["INC-1"]
    assert await rows(site, query="?incident=INC-2&channel=pager") == []
    assert len(await rows(site, query="?limit=1")) == 1
    _, answer = await site.ask("GET", "/v1/notifications?limit=1")
    assert answer["total"] == 3


async def test_an_incident_that_nobody_knows_is_no_silence_about_one(site: Site) -> None:
    now = site.desk.clock.now()
    status, answer = await site.ask("GET", "/v1/notifications?incident=INC-9")
    assert status == 404 and answer["reason"] == "no incident INC-9 is known; there is none"
    await site.happen(so.opened(now), so.suspected(now, IncidentId("INC-3")))
    status, answer = await site.ask("GET", "/v1/notifications?incident=INC-9%1b")
    assert status == 404 and answer["reason"] == r"no incident INC-9\x1b is known; there are INC-3, INC-1"
    assert await rows(site, query="?incident=INC-3") == [], "nobody was told of a suspicion"


async def test_an_incident_that_is_forgotten_and_what_was_told_is_not(site: Site) -> None:
    now = site.desk.clock.now()
    await site.happen(so.opened(now), so.notified(now, 1))
    del site.desk.world.incidents.known[so.INC]
    assert [row["state"] for row in await rows(site, query="?incident=INC-1&channel=pager")] == ["told"]


async def test_a_channel_that_is_gone_may_be_asked_for(site: Site) -> None:
    now = site.desk.clock.now()
    await site.happen(so.opened(now), so.notified(now, 1, "phone"))
    site.desk.policy = so.with_channels(site.desk.policy)
    assert [row["state"] for row in await rows(site, query="?channel=phone")] == ["told"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("channel=pagr", "channel: pagr is no name in notify.channels; there are: pager, phone, chat"),
        ("limit=0", "limit: write a number from 1 to 1000"),
        ("limit=1001", "limit: write"),
        ("limit=x", "limit: write"),
        ("limit=٣", "limit: write"),
        ("limit=" + "9" * 5_000, "limit: write"),
        ("since=1d", "since: unknown; write incident, channel, limit"),
    ],
)
async def test_what_cannot_be_asked(site: Site, query: str, why: str) -> None:
    status, answer = await site.ask("GET", f"/v1/notifications?{query}")
    assert status == 400 and why in answer["reason"]


async def test_it_is_for_those_who_may_read(tmp_path: Path) -> None:
    async with served(rules(tmp_path, "0.0.0.0")) as site:
        assert (await site.ask("GET", "/v1/notifications"))[0] == 401
        assert (await site.ask("GET", "/v1/notifications", SECRETS[Access.READ.name]))[0] == 200


async def test_as_text_nothing_that_was_said_does_anything(site: Site) -> None:
    now = site.desk.clock.now()
    failure = NotifyFailed(now, so.INC, "pager", 1, 2, so.HOSTILE, "mend \x1b[2J it", 61.0)
    await site.happen(so.opened(now), failure, so.notified(now, 1, "phone"))
    console = Console(width=200, record=True, force_terminal=False)
    with console.capture() as shown:
        print_deliveries(deliveries(site.desk), console)
    text = shown.get()
    assert "\x1b" not in text and "on attempt 2: " in text and "again in 61 s" in text and "seed+tag" not in text
    assert State.FAILING.value in text and State.TOLD.value in text and Phase.OPENED.value in text
