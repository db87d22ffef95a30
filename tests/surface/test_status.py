"""The state as one JSON document: what was judged last, who is blind, and nobody's address."""

from __future__ import annotations

import json
from pathlib import Path

from monitor.model.facts import ProbePlanned
from monitor.model.mail import BlindCause
from monitor.model.submission import Declined, Reply, Step
from monitor.ports import MailboxError
from monitor.surface.status import status
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual


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
