"""Incidents of which reports are made. `python -m tests.surface.report_stories` writes the files below incident_reports/ anew."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from monitor.model.facts import Acknowledged, Fact, Noted, Reconciled, Silenced
from monitor.model.incident import DeployPhase, IncidentId, Opening, Phase, Scope, ScopeKind, Severity, Tally
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Impact, Standing
from monitor.model.money import Money
from monitor.model.verdict import Symptom
from monitor.surface.incident_report import html, incident_report, markdown
from tests.stages.house import House, policy
from tests.surface import happenings as so
from tests.surface.books import with_ledger

FOLDER = Path(__file__).with_name("incident_reports")
CHILD, CAUSE = IncidentId("INC-2"), IncidentId("INC-3")
SPOILT = Impact(0.0, 0.0, 9, 8, 4, 5, (Money(Decimal("259.00"), "EUR"), Money(Decimal("12.00"), "USD")), provider="")


def standing(missing: int) -> Standing:
    return Standing(refunds=20, confirmations=20 - missing, classes=(ClassStanding(DifferenceClass.MISSING, missing, missing),))


def whole(at: Instant) -> Sequence[Fact]:
    """Suspected, opened, told, taken in hand, grown, silenced, relapsed, over; with a part, a possible cause, deploys and a ledger."""
    began = at.plus(60)

    def step(after: float, phase: Phase, **more: Any) -> Fact:
        return so.transition(at.plus(after), phase, **({"since": began, "cause": CAUSE} | more))

    grown = (Tally("relay", "gmail", 9, 12), Tally("relay", "outlook", 4, 4))
    return (
        Reconciled(at.plus(-600), standing(1)),
        so.deployed(at.plus(-161), "d-1", DeployPhase.FINISH, service="checkout-api", version="v512", by="ana"),
        so.transition(at.plus(30), Phase.OPENED, CAUSE, symptom=Symptom.AUTH_DKIM, scope=Scope(ScopeKind.DOMAIN, "shop.test"), routes=()),
        so.suspected(at.plus(100), since=began),
        replace(so.opened(at.plus(160)), since=began, cause=CAUSE),
        so.notified(at.plus(162), 5),
        so.failed(at.plus(163), 5, "chat", None),
        so.transition(at.plus(170), Phase.OPENED, CHILD, parent=so.INC, scope=Scope(ScopeKind.MAILBOX, "seed-1"), since=began),
        Acknowledged(at.plus(300), so.INC, "ana", "ana rolls it back"),
        step(300, Phase.ACKNOWLEDGED, by="ana", note="ana rolls it back"),
        step(400, Phase.GROWN, tallies=grown, impact=SPOILT, opening=Opening.STALLED, deploys=so.opened(at).deploys),
        so.notified(at.plus(401), 11),
        Silenced(at.plus(500), so.INC, "ben", "ben knows", at.plus(800).utc),
        so.deployed(at.plus(600), "d-1", DeployPhase.ROLLBACK, service="checkout-api", version="v511", by="ana"),
        step(900, Phase.RECOVERING),
        step(950, Phase.RELAPSED),
        step(1200, Phase.RECOVERING),
        step(1900, Phase.RESOLVED, tallies=grown, impact=replace(SPOILT, confirmed=7, owed=2)),
        so.notified(at.plus(1901), 18),
        Noted(at.plus(2000), so.INC, "cleo", "cleo found the wrong template; ana agrees"),
        Reconciled(at.plus(2100), standing(2)),
    )


def bare(at: Instant) -> Sequence[Fact]:
    """Opened and nothing else: no diagnosis, no deploy, nobody told."""
    return (so.transition(at, Phase.OPENED, since=at.plus(-30), severity=Severity.TICKET, symptom=Symptom.MAILBOX_BLIND, routes=()),)


STORIES: Mapping[str, Any] = {"whole": whole, "bare": bare}


async def reported(directory: Path, facts: Any, incident: IncidentId = so.INC, now: float = 2400.0, ledger: bool = True) -> dict[str, Any]:
    """The document, as a reader of its JSON has it."""
    rules = so.with_channels(policy(directory, seeds=2))
    house = House(with_ledger(rules) if ledger else rules)
    at = Instant(1_790_000_000.0, house.clock.now().mono, house.clock.process)
    for fact in facts(at):
        await house.journal.append([fact])
    house.desk.clock = Stopped(at.plus(now))
    report = incident_report(house.desk, house.world.incidents.known[incident], replace(SPOILT, confirmed=8, owed=1) if ledger else None)
    return json.loads(json.dumps(report, allow_nan=False))


class Stopped:
    def __init__(self, at: Instant) -> None:
        self._at = at

    def now(self) -> Instant:
        return self._at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


async def forms(directory: Path, name: str) -> dict[str, str]:
    report = await reported(directory, STORIES[name], ledger=name == "whole")
    return {
        f"{name}.json": json.dumps(report, indent=1, ensure_ascii=False) + "\n",
        f"{name}.md": markdown(report),
        f"{name}.html": html(report),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for story in STORIES:
        with tempfile.TemporaryDirectory() as place:
            for file, text in asyncio.run(forms(Path(place), story)).items():
                (FOLDER / file).write_text(text)
