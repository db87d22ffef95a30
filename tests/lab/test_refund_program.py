"""The lab's program for a command path, against the toy shop."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from monitor.edge.command import CommandSubmitter
from monitor.lab.faults import Fault
from monitor.lab.world import Lab
from monitor.model.address import Address, SeedList
from monitor.model.policy import CommandPath
from monitor.model.submission import Declined, Misconfigured, Outcome, Postponed, Taken, Unreached
from monitor.rules import compose
from tests.corpus import world
from tests.fakes.paths import StubSecrets

SEED = Address.parse("seed1@aurora.test")
INPUT = {
    "key": "{{ probe_id }}",
    "synthetic": True,
    "refund": {
        "number": "{{ refund_number }}",
        "order": "{{ order_number }}",
        "amount": "{{ amount_value }}",
        "currency": "{{ currency }}",
    },
    "customer": {"name": "{{ customer_name }}", "email": "{{ recipient }}", "locale": "{{ locale }}"},
    "carriers": {"header": "{{ token }}"},
}


async def probe(url: str, body: object = INPUT) -> Outcome:
    via = CommandPath((sys.executable, "-m", "monitor.lab.refund", url), {}, body, "/refund_id", "/version", False)
    path = replace(world.smtp_path(), via=via)
    plan = replace(world.planned(), recipient=SEED)
    return await CommandSubmitter(path, SeedList.of([SEED]), StubSecrets()).submit(compose.command_submission(plan, via), 30.0)


@pytest.mark.asyncio
async def test_it_mails_and_says_who_served_it(lab: Lab) -> None:
    lab.deploy("v5")
    outcome = await probe(lab.description.shop_url)
    assert isinstance(outcome, Taken) and (outcome.app_refund_id, outcome.served_version) == ("rf_00000001", "v5")
    (message,) = lab.store.resolve(str(SEED)).folders["INBOX"].messages
    assert world.planned().token.encode() in message.raw
    assert await probe(lab.description.shop_url) == outcome, "the same key mails once"
    assert len(lab.store.resolve(str(SEED)).folders["INBOX"].messages) == 1


@pytest.mark.asyncio
async def test_its_exit_codes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    url = lab.description.shop_url
    assert isinstance(await probe(url, {"no": "key"}), Misconfigured)
    refused = await probe(url, {**INPUT, "synthetic": False})
    assert isinstance(refused, Declined) and "synthetic must be true" in refused.reply.text
    assert isinstance(await probe("http://127.0.0.1:1/"), Unreached)
    monkeypatch.setattr("monitor.lab.shop.MAX_RETRIES", 0)
    await lab.switch_on(Fault.GREYLIST, seconds=3600)
    assert isinstance(await probe(url), Postponed)
