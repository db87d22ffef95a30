"""Incidents as people read them: everything is there, in plain words, and nothing that came from outside is markup or steers a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from monitor.model.facts import Acknowledged, Fact, Noted, Paused, Silenced
from monitor.model.incident import DeployPhase, IncidentId, Phase, Severity
from monitor.model.ledger import Impact
from monitor.model.money import Money
from monitor.model.verdict import Reason
from monitor.surface.incidents import Shown, incident_list, incident_story
from monitor.surface.story import evidence, print_incident, print_incidents
from tests.stages.house import House, policy
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface.happenings import HOSTILE, INC
from tests.surface.test_incidents import judged


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(so.with_channels(policy(tmp_path, seeds=2)))


async def happen(house: House, *facts: Fact) -> None:
    await house.journal.append(facts)


def paper(draw: Callable[[Console], None], terminal: bool = False, width: int = 200) -> str:
    out = io.StringIO()
    draw(Console(file=out, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None, highlight=False))
    return out.getvalue()


def story(house: House, **how: Any) -> str:
    return paper(lambda console: print_incident(incident_story(house.desk, house.world.incidents.known[INC]), console), **how)


def listing(house: House, shown: Shown = Shown.OPEN, **how: Any) -> str:
    return paper(lambda console: print_incidents(incident_list(house.desk, shown), console), **how)


@virtual
async def test_parts_are_named(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), *(so.opened(at, IncidentId(f"INC-{number}"), parent=INC) for number in (2, 3)))
    lines = [" ".join(line.split()) for line in story(house).splitlines()]
    first = lines.index("parts INC-2 open, Refund confirmations overdue, none arriving: path:relay")
    assert lines[first + 1].startswith("INC-3 open, ")


@virtual
async def test_the_whole_story(house: House) -> None:
    at = house.clock.now()
    await happen(
        house,
        so.suspected(at.plus(1)),
        so.opened(at.plus(30)),
        so.notified(at.plus(31), 2),
        so.failed(at.plus(33), 2, "chat", None),
        Acknowledged(at.plus(40), INC, "ann", "on it"),
        Noted(at.plus(41), INC, "bob", "the shop rolls back"),
        judged(at.plus(50)),
    )
    await house.sleep(62)
    lines = story(house).splitlines()
    assert lines[0] == "INC-1 PAGE Refund confirmations overdue, none arriving: path:relay"
    whole = " ".join(" ".join(line.split()) for line in lines)
    for part in (
        "state open, acknowledged by ann",
        "since 2026-09-20 23:58:50Z (2m12s)",
        "last good 2026-09-20 23:54:50Z",
        "opened 00:00:30Z, stalled",
        "diagnosis application: the app path fails at every provider, the bare path does not",
        "shows app fails: gmail 6/8, outlook 2/2 bare-smtp arrives: 10/10",
        'said "250 2.0.0 Ok: queued as 4XyZ"',
        "changed deploy 512 of checkout-api",
        "deploys checkout-api v512 by ana finished 23:55:09Z; began 3m41s after (bracketed)",
        "routes relay/seed-1, relay/seed-2",
        "next step roll back checkout-api v512",
        "runbook docs/runbooks/delivery-stalled.md",
        "path provider bad sent relay gmail 6 8 relay outlook 2 2",
        "00:00:01Z suspected -",
        "00:00:40Z acknowledged ann on it",
        "00:00:41Z noted bob the shop rolls back",
        "opened 00:00:30Z pager 00:00:31Z taken",
        "opened 00:00:30Z chat 00:00:33Z given up: 503 from pager.test; is it up?",
        "last evidence 12.0 s ago, 1 of 2 routes fresh; nothing is known of relay/seed-2",
    ):
        assert part in whole, part
    assert "caused" not in whole


@virtual
async def test_what_is_not_there_is_said(house: House) -> None:
    await happen(house, so.opened(house.clock.now(), diagnosis=None, deploys=(), tallies=(), routes=(), opening=None, last_good=None))
    whole = " ".join(story(house).split())
    for part in ("diagnosis none yet", "deploys none in the two hours before", "routes none", "no evidence yet: no probe was judged"):
        assert part in whole, part
    assert "tally" not in whole and "next step" not in whole


@virtual
async def test_a_possible_cause_and_evidence_that_grows_old_are_said(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), so.transition(at, Phase.GROWN, cause=IncidentId("INC-9")))
    await house.sleep(86_400)
    whole = " ".join(story(house).split())
    assert "cause possible: INC-9" in whole and "stale none of its routes has fresh evidence" in whole


@virtual
async def test_silence_and_its_end(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), Silenced(at, INC, "ann", "known", at.plus(3600).utc))
    whole = " ".join(story(house).split())
    assert "silenced until 01:00:00Z" in whole and "nobody is told: silenced until" in whole
    assert "overtaken" in whole and "waits until 01:00:00Z" in whole


@virtual
async def test_who_has_not_been_told(house: House, tmp_path: Path) -> None:
    await happen(house, so.opened(house.clock.now()))
    assert "opened 00:00:00Z - - not yet" in " ".join(story(house).split())
    nobody = House(policy(tmp_path))
    await happen(nobody, so.opened(house.clock.now()))
    assert "opened 00:00:00Z - - no channel is configured for it" in " ".join(story(nobody).split())


@virtual
async def test_recovering_flapping_resolved(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), so.transition(at, Phase.FLAPPING), so.transition(at, Phase.RECOVERING, parent=IncidentId("INC-7")))
    assert "open, recovering, flapping, part of INC-7" in listing(house)
    assert "nobody is told: part of INC-7" in story(house)
    await happen(house, so.resolved(at.plus(20), since=at.plus(-100)))
    await house.sleep(30)
    assert "resolved" in listing(house, Shown.RESOLVED) and "no open incident" in listing(house)
    assert "(2m00s)" in story(house) and "to 00:00:20Z" in story(house)


@virtual
async def test_the_list(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), so.opened(at, IncidentId("INC-2"), severity=Severity.TICKET, diagnosis=None), judged(at))
    lines = listing(house).splitlines()
    assert lines[0].split() == ["id", "severity", "state", "since", "where", "what"]
    assert lines[1].split()[:3] == ["INC-2", "ticket", "open"] and lines[2].split()[:3] == ["INC-1", "page", "open"]
    assert lines[2].endswith("Refund confirmations overdue, none arriving: the app path fails at every provider, the bare path does not")
    assert "last evidence 0 ms ago" in lines[-1]


@virtual
async def test_no_incident_without_evidence_does_not_look_healthy(house: House) -> None:
    assert listing(house).splitlines() == ["no open incident", "no evidence yet: no probe was judged"]
    await happen(house, so.suspected(house.clock.now()))
    assert "no open incident\n1 suspected: `mailcanary incident list --state suspected`\n" in listing(house)
    assert "mailcanary incident list" not in listing(house, Shown.SUSPECTED)
    await happen(house, so.transition(house.clock.now(), Phase.CLEARED))
    routes = list(house.policy.routes)
    await happen(house, *(judged(house.clock.now(), route=route) for route in routes))
    assert listing(house).splitlines() == ["no open incident", "last evidence 0 ms ago, 2 of 2 routes fresh"]
    await happen(house, judged(house.clock.now(), Reason.MAILBOX_BLIND, routes[0]), Paused(house.clock.now(), "ann", ""))
    await house.sleep(7200)
    await happen(house, judged(house.clock.now(), Reason.MAILBOX_BLIND, routes[0]))
    told = listing(house)
    assert "0 of 2 routes fresh" in told and "submission is paused" in told
    assert "STALE, no verdict for too long: relay/seed-2" in told and "nothing is known of relay/seed-1" in told
    assert "\x1b[33m" in listing(house, terminal=True), "and stands out"


def test_many_routes_are_counted() -> None:
    fresh = {
        "last_at": "x",
        "age_seconds": 1.0,
        "routes": 99,
        "fresh": 1,
        "paused": False,
        "stale": [f"a/{n}" for n in range(98)],
        "unknown": [],
    }
    assert evidence(fresh).plain.endswith("a/5 and 92 more")


@virtual
async def test_nothing_from_outside_is_markup_or_steers_the_terminal(house: House) -> None:
    at = house.clock.now()
    await happen(house, so.opened(at), Acknowledged(at, INC, HOSTILE, HOSTILE), so.deployed(at, HOSTILE, DeployPhase.FINISH))
    document = incident_story(house.desk, house.world.incidents.known[INC])
    rows = incident_list(house.desk, Shown.OPEN)

    def spoiled(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: each if key in ("state", "severity", "at", "age_seconds", "seconds") else spoiled(each) for key, each in value.items()
            }
        if isinstance(value, list):
            return [spoiled(each) for each in value]
        return HOSTILE if isinstance(value, str) else value

    for text in (
        paper(lambda console: print_incident(spoiled(document), console)),
        paper(lambda console: print_incidents(spoiled(rows), console)),
    ):
        assert "[bold]all is well[/]" in text, "as it was written"
        assert all(char.isprintable() or char == "\n" for char in text)
        assert not any(line.startswith("[bold]all") for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_any_width(house: House, width: int) -> None:
    @virtual
    async def drawn() -> None:
        at = house.clock.now()
        await happen(house, so.opened(at), so.notified(at, 1))
        for text in (story(house, width=width), listing(house, width=width)):
            assert max(map(len, text.splitlines())) <= width and "INC-1" in text

    drawn()


IMPACT = Impact(1.0, 2.0, refunds=31, customers=30, confirmed=8, owed=23, owed_money=(Money(Decimal("1204.50"), "EUR"),))


@virtual
async def test_what_it_did_to_real_refunds(house: House) -> None:
    """As people were told, and as it stands now; where there is no ledger, not a word."""
    at = house.clock.now()
    await happen(house, so.opened(at, IncidentId("INC-2")), so.opened(at, impact=IMPACT))
    state = house.world.incidents.known[INC]
    now = replace(IMPACT, confirmed=31, owed=0, owed_money=())
    told = paper(lambda console: print_incident(incident_story(house.desk, state, now), console))
    assert "impact      31 real refunds of 30 customers since, 23 unconfirmed (1204.50 EUR still owed)" in told
    assert "impact now  31 real refunds of 30 customers since, all confirmed" in told
    assert "impact now" not in story(house)
    other = paper(lambda console: print_incident(incident_story(house.desk, house.world.incidents.known[IncidentId("INC-2")]), console))
    assert "impact" not in other and "real refunds" not in other
    older = {key: value for key, value in incident_story(house.desk, state).items() if not key.startswith("impact")}
    assert "real refunds" not in paper(lambda console: print_incident(older, console))  # of a daemon that knows no ledger
