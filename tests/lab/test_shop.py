"""The toy shop against an HTTP client: rendering, idempotency, versions, and what it refuses."""

import asyncio
import copy
import email
import email.policy
import re
from typing import Any

import aiohttp
import pytest

from monitor.lab.faults import Fault, Scope
from monitor.lab.shop import RETRY_SECONDS
from monitor.lab.world import Lab

SEED = "seed1@aurora.test"
BODY: dict[str, Any] = {
    "synthetic": True,
    "refund": {"amount": "1249.90", "currency": "GBP", "number": "R-1001", "order": "O-77"},
    "customer": {"name": "Ann Müller", "email": SEED, "locale": "en-GB"},
    "carriers": {"header": "tok.123", "marker": "mark-456"},
}


async def post(lab: Lab, body: Any, key: str | None = "k1") -> tuple[int, dict[str, Any], Any]:
    headers = {"Idempotency-Key": key} if key else {}
    async with (
        aiohttp.ClientSession() as http,
        http.post(lab.description.shop_url, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(), answer.headers


def mails(lab: Lab, address: str = SEED) -> list[Any]:
    messages = lab.store.resolve(address).folders["INBOX"].messages
    return [email.message_from_bytes(message.raw, policy=email.policy.default) for message in messages]


def with_(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    *parents, last = path.split(".")
    at = body
    for parent in parents:
        at = at[parent]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return body


@pytest.mark.asyncio
async def test_v1_mails_the_customer_with_all_fields_and_carriers(lab: Lab) -> None:
    status, body, headers = await post(lab, BODY)
    assert status == 202 and body["version"] == headers["X-App-Version"] == "v1"
    (mail,) = mails(lab)
    assert mail["Message-ID"] == body["message_id"] and mail["X-Mailcanary-Token"] == "tok.123"
    text, html = (part.get_content() for part in mail.iter_parts())
    for part in (text, html):
        for field in ("£1,249.90", "R-1001", "O-77", "Ann Müller", "mark-456"):
            assert field in part
    assert '<div style="display:none">mark-456</div>' in html
    assert lab.relay.accepted[0].path == "shop" and lab.relay.accepted[0].mail_from.startswith("bounces+")


@pytest.mark.asyncio
async def test_german(lab: Lab) -> None:
    body = with_("customer.locale", "de-DE")
    body["refund"]["currency"] = "EUR"
    await post(lab, body)
    text = next(mails(lab)[0].iter_parts()).get_content()
    assert "1.249,90\u00a0€" in text and "Erstattungsnummer: R-1001" in text


@pytest.mark.asyncio
async def test_idempotency(lab: Lab) -> None:
    first = await post(lab, BODY)
    again = await post(lab, BODY)
    assert first[:2] == again[:2] and again[2]["Idempotent-Replayed"] == "true"
    assert len(mails(lab)) == 1
    assert (await post(lab, with_("refund.amount", "1.00")))[0] == 422
    assert (await post(lab, BODY, key=None))[0] == 400
    await post(lab, BODY, key="k2")
    assert len(mails(lab)) == 2


@pytest.mark.asyncio
async def test_deploy_v2_flips_the_line_and_rollback_heals(lab: Lab) -> None:
    lab.deploy("v2")
    status, body, _ = await post(lab, BODY)
    assert status == 202 and body["version"] == "v2"
    assert mails(lab) == []
    (held,) = mails(lab, lab.holding)
    assert held["To"] == SEED and held["X-Mailcanary-Token"] == "tok.123"
    lab.deploy("v1")
    await post(lab, BODY, key="k2")
    assert len(mails(lab)) == 1
    lab.deploy("v5")
    await post(lab, BODY, key="k3")
    assert "£1,259.90" in next(mails(lab)[1].iter_parts()).get_content()
    lab.deploy("v6")
    await post(lab, BODY, key="k4")
    assert [re.findall(r"\bs=(\w+);", mail["DKIM-Signature"]) for mail in mails(lab)] == [["lab1"], ["lab1"], ["lab2"]]
    assert "dkim=permerror" in mails(lab)[2]["Authentication-Results"] and "dkim=pass" in mails(lab)[1]["Authentication-Results"]


@pytest.mark.asyncio
async def test_route_to_holding_fault(lab: Lab) -> None:
    await lab.switch_on(Fault.ROUTE_TO_HOLDING)
    await post(lab, BODY)
    await lab.switch_off(Fault.ROUTE_TO_HOLDING)
    await post(lab, BODY, key="k2")
    assert (len(mails(lab, lab.holding)), len(mails(lab))) == (1, 1)


@pytest.mark.asyncio
async def test_relay_refuses_or_defers_the_shop(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await lab.switch_on(Fault.REFUSE, Scope(path="shop"))
    status, body, _ = await post(lab, BODY)
    assert status == 502 and "554 5.7.1" in body["error"]
    await lab.switch_off(Fault.REFUSE)
    assert (await post(lab, BODY))[0] == 202  # a failure is not remembered
    monkeypatch.setattr("monitor.lab.shop.RETRY_SECONDS", RETRY_SECONDS / 100)
    inbox = lab.store.resolve(SEED).folders["INBOX"]
    for expected, fault in enumerate((Fault.GREYLIST, Fault.REFUSE_CONNECT), start=2):
        await lab.switch_on(fault, seconds=3600)
        assert (await post(lab, BODY, key=fault.value))[0] == 202
        assert len(inbox.messages) == expected - 1
        await lab.switch_off(fault)
        while len(inbox.messages) < expected:  # bounded by the test's own time limit
            await asyncio.sleep(0.005)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        [],
        with_("synthetic", False),
        with_("synthetic", "true"),
        with_("synthetic", None),
        with_("refund", []),
        with_("refund.amount", None),
        with_("refund.amount", "much"),
        with_("refund.amount", "NaN"),
        with_("refund.amount", "-1"),
        with_("refund.currency", "euro"),
        with_("customer.email", "nobody"),
        with_("customer.name", "a\r\nBcc: x@y"),
        with_("customer.locale", "xx_YY"),
        with_("carriers.header", "a\r\nb: c"),
        with_("carriers.header", 5),
    ],
)
async def test_what_it_refuses(lab: Lab, body: Any) -> None:
    status, answer, _ = await post(lab, body)
    assert status == 400 and answer["error"]
    assert lab.relay.recipients_accepted == 0
