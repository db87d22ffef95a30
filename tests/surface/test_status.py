"""The state as one JSON document: what was judged last, who is blind, and nobody's address."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.model.channels import NotifyRoute
from monitor.model.facts import ProbePlanned, Reconciled, SourceBlind, Stray
from monitor.model.incident import IncidentId
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Side, Standing, Volume
from monitor.model.mail import UNSAID, BlindCause
from monitor.model.submission import Declined, Reply, Step
from monitor.ports import MailboxError
from monitor.surface.metrics import Vitals
from monitor.surface.status import MOST_INCIDENTS, MOST_STRAYS, status
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface.books import with_ledger


@virtual
async def test_verdicts_and_mailboxes(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, holding=True))
    async with house.running():
        await house.sleep(10)
        await house.probe(seed(1))
        await house.sleep(0.5)
        assert status(house.desk)["probes_in_flight"] == 1
        await house.sleep(30)
        house.accounts[seed(2)].fail(MailboxError(BlindCause.AUTH_REFUSED, "NO login of seed2@box.test refused", "set the password"))
        await house.sleep(30)
    told = json.loads(json.dumps(status(house.desk)))
    first, second = told["routes"]
    assert (first["verdict"], first["reason"], round(first["transit_seconds"], 3)) == ("pass", "pass", 1.0)
    assert first["explanation"] == "arrived in INBOX 1.0 s after it was accepted" and first["judged_at"].endswith("Z")
    assert second["verdict"] is None and second["judged_at"] is None
    boxes = {box["mailbox"]: box for box in told["mailboxes"]}
    assert {name: box["state"] for name, box in boxes.items()} == {"seed-1": "watching", "seed-2": "blind", "holding": "watching"}
    assert boxes["seed-2"]["why"] == "auth_refused: NO login of ***@box.test refused" and boxes["seed-2"]["mend"] == "set the password"
    assert boxes["holding"]["role"] == "holding" and boxes["seed-1"]["why"] == ""
    assert told["probes_in_flight"] == 0 and told["paused"] is None and told["journal_writable"] is True


@virtual
async def test_a_relay_that_quotes_the_recipient_does_not_put_it_here(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[Declined(Step.RCPT_TO, Reply(550, "<seed1@box.test>: no such user", "5.1.1"))])
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(10)
    told = json.dumps(status(house.desk))
    assert "550 5.1.1 <***@box.test>: no such user" in told and "seed1@" not in told
    (plan,) = house.facts(ProbePlanned)
    assert plan.story.refund_number not in told and plan.token not in told


@virtual
async def test_incidents_channels_deploys_and_the_configuration(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path)))
    at = house.clock.now()
    await house.journal.append(
        [
            so.opened(at),
            so.suspected(at, IncidentId("INC-2")),
            so.opened(at, IncidentId("INC-3")),
            so.resolved(at, IncidentId("INC-3")),
            so.notified(at, 1),
            so.failed(at.plus(1), 3, "chat", incident=IncidentId("INC-3")),
            *(so.deployed(at, f"d-{number}") for number in range(7)),
        ]
    )
    told = json.loads(json.dumps(status(house.desk, Vitals(reload_ok=False, reloaded_at=at.utc, heartbeat_at=at.utc + 1))))
    assert (told["incidents"]["open"], told["incidents"]["suspected"]) == (1, 1)
    first, second = told["incidents"]["list"]
    assert (first["id"], first["state"], second["id"], second["state"]) == ("INC-1", "open", "INC-2", "suspected")
    assert first.items() >= {"severity": "page", "symptom": "delivery_stalled", "scope": "path:relay", "since": at.plus(-100).iso()}.items()
    assert told["channels"] == [
        {"channel": "pager", "told_of": ["pages"], "last_success_at": at.iso(), "failing_since": None},
        {"channel": "chat", "told_of": ["tickets"], "last_success_at": None, "failing_since": at.plus(1).iso()},
    ]
    assert told["notifications_pending"] == 2, "INC-3 opened and was resolved, and nobody has heard"
    assert [deploy["deploy"] for deploy in told["deploys"]] == [f"d-{number}" for number in (6, 5, 4, 3, 2)]
    hashed = house.policy.policy_hash
    assert told["configuration"] == {"hash": hashed, "read_at": at.iso(), "last_reload_successful": False}
    assert told["heartbeat_at"] == at.plus(1).iso() and told["stuck"] == []


@virtual
async def test_a_channel_that_only_a_route_names_is_not_unused(tmp_path: Path) -> None:
    rules, routes = so.with_channels(policy(tmp_path), ("pager", "spare")), (NotifyRoute(("chat", "pager")), NotifyRoute(("chat",)))
    house = House(replace(rules, notify=replace(rules.notify, pages=("pager",), routes=routes)))
    assert {row["channel"]: row["told_of"] for row in status(house.desk)["channels"]} == {  # type: ignore[attr-defined]
        "pager": ["pages", "routes"], "spare": [], "chat": ["tickets", "routes"],
    }  # fmt: skip


@virtual
async def test_the_list_of_incidents_is_bounded_and_the_counts_are_not(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    at = house.clock.now()
    await house.journal.append([so.opened(at, IncidentId(f"INC-{number}")) for number in range(1, MOST_INCIDENTS + 11)])
    told = json.loads(json.dumps(status(house.desk)))["incidents"]
    assert told["open"] == MOST_INCIDENTS + 10 and len(told["list"]) == MOST_INCIDENTS
    assert told["list"][0]["id"] == f"INC-{MOST_INCIDENTS + 10}"


@virtual
async def test_a_green_route_that_nobody_looked_at_for_long_is_stale(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))

    def route(number: int) -> Any:
        return json.loads(json.dumps(status(house.desk)))["routes"][number - 1]

    async with house.running():
        await house.sleep(10)
        await house.probe(seed(1))
        await house.sleep(30)
        assert route(1)["verdict"] == "pass" and route(1)["stale"] is False and route(1)["last_evidence_at"] == route(1)["judged_at"]
        assert route(2)["last_evidence_at"] is None and route(2)["stale"] is False, "the daemon has not said when it began"
        await house.sleep(3600)
        assert route(1)["verdict"] == "pass" and route(1)["stale"] is True


@virtual
async def test_a_stage_without_progress_is_named(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.desk.reading["judge"] = house.clock.now()
    await house.sleep(3600)
    assert status(house.desk)["stuck"] == ["judge"]


@virtual
async def test_strays_the_newest_first_and_nobodys_address(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    at = house.clock.now()
    for number in range(MOST_STRAYS + 5):
        why = f"refund mail {number} of someone@shop.test"
        await house.journal.append([Stray(at.plus(number), seed(1), "Junk\x1b", f"digest {number}", "<id@x>", UNSAID, why)])
    told = json.loads(json.dumps(status(house.desk)))["strays"]
    assert len(told) == MOST_STRAYS and told[0]["why"] == f"refund mail {MOST_STRAYS + 4} of ***@shop.test"
    assert (told[0]["mailbox"], told[0]["folder"], told[0]["at"]) == ("seed-1", "Junk\\x1b", at.plus(MOST_STRAYS + 4).iso())


@virtual
async def test_the_ledger_in_a_line_or_two(tmp_path: Path) -> None:
    """None where there is none; nothing known is not nothing wrong."""
    house = House(policy(tmp_path))
    assert status(house.desk)["ledger"] is None
    house.desk.policy = with_ledger(house.desk.policy)
    empty = status(house.desk)["ledger"]
    assert isinstance(empty, dict) and (empty["reconciled_at"], empty["refunds_until"], empty["volumes"]) == (None, None, [])
    at = house.clock.now()
    classes = (ClassStanding(DifferenceClass.SPURIOUS, 14, 15),)
    standing = Standing(classes=classes, refunds_until=at.utc, confirmations_until=at.utc - 1.0, oldest_unconfirmed=None)
    volume = Volume(Flow.FLOOD, Side.CONFIRMATIONS, at.utc - 600.0, at.utc, 90, 20.0, "refunds")
    await house.journal.append([Reconciled(at, standing, (volume,)), SourceBlind(at, "mailer", Side.CONFIRMATIONS, "no", "")])
    told = json.loads(json.dumps(status(house.desk)))["ledger"]
    assert told["open"] == {"missing": 0, "spurious": 14, "mismatched": 0, "duplicate": 0} and told["blind"] == ["mailer"]
    assert (told["reconciled_at"], told["refunds_until"]) == (at.iso(), at.iso()) and told["oldest_unconfirmed"] is None
    assert len(told["volumes"]) == 1 and "90" in told["volumes"][0]
