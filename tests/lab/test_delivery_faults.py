"""The faults between acceptance and the mailbox: each shows its effect, and goes when it is switched off."""

import asyncio
import email
import email.policy
from collections.abc import Callable
from decimal import Decimal

import pytest

from monitor.lab.faults import Fault, FaultState, Scope
from monitor.lab.shop_mail import Refund, compose
from monitor.lab.tamper import alter_amounts, header_value
from monitor.lab.world import Lab

SENDER = "bounces+tok1@shop.test"
SEED = "seed1@aurora.test"


def submit(lab: Lab, raw: bytes, to: str = SEED) -> None:
    assert lab.relay.accept(SENDER, [to], raw, ("smtp", "plain"), "test").startswith("250 ")


def counts(lab: Lab, address: str = SEED) -> dict[str, int]:
    return {f.name: len(f.messages) for f in lab.store.resolve(address).folders.values() if f.messages}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "params", "during", "after"),
    [
        (Fault.ACCEPT_AND_DROP, {}, {}, {"INBOX": 1}),
        (Fault.HOLD_QUEUE, {}, {}, {"INBOX": 2}),
        (Fault.JUNK, {}, {"Junk": 1}, {"Junk": 1, "INBOX": 1}),
        (Fault.OTHER_FOLDER, {}, {"Archive": 1}, {"Archive": 1, "INBOX": 1}),
        (Fault.OTHER_FOLDER, {"folder": "Trash"}, {"Trash": 1}, {"Trash": 1, "INBOX": 1}),
        (Fault.DUPLICATE, {"copies": 3}, {"INBOX": 3}, {"INBOX": 4}),
        (Fault.MISROUTE, {"to": "seed2@cumulus.test"}, {}, {"INBOX": 1}),
        (Fault.CLONE_BOUNCE, {}, {}, {"INBOX": 1}),
    ],
)
async def test_where_the_mail_goes(
    lab: Lab,
    letter: Callable[..., bytes],
    fault: Fault,
    params: dict[str, object],
    during: dict[str, int],
    after: dict[str, int],
) -> None:
    await lab.switch_on(fault, Scope(provider="aurora.test"), **params)
    submit(lab, letter())
    assert counts(lab) == during
    submit(lab, letter(), "seed1@borealis.test")
    assert counts(lab, "seed1@borealis.test") == {"INBOX": 1}  # out of scope
    await lab.switch_off(fault)
    submit(lab, letter())
    assert counts(lab) == after


@pytest.mark.asyncio
async def test_release_delivers_what_is_held_while_the_fault_stays(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.HOLD_QUEUE)
    submit(lab, letter())
    assert lab.relay.held == 1 and lab.relay.accepted[0].fate == "held"
    assert lab.relay.release() == 1 and counts(lab) == {"INBOX": 1}
    submit(lab, letter())
    assert lab.relay.held == 1


@pytest.mark.asyncio
async def test_delay(lab: Lab, letter: Callable[..., bytes]) -> None:
    arrived = asyncio.Event()
    lab.store.resolve(SEED).folders["INBOX"].listeners.add(arrived.set)
    await lab.switch_on(Fault.DELAY, seconds=0.05)
    submit(lab, letter())
    assert counts(lab) == {}
    await asyncio.wait_for(arrived.wait(), 10)
    arrived.clear()
    await lab.switch_off(Fault.DELAY)
    submit(lab, letter())
    assert arrived.is_set()


@pytest.mark.asyncio
async def test_authentication_fail(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.AUTHENTICATION_FAIL)
    submit(lab, letter())
    await lab.switch_off(Fault.AUTHENTICATION_FAIL)
    submit(lab, letter())
    bad, good = (message.header for message in lab.store.resolve(SEED).folders["INBOX"].messages)
    assert b"spf=softfail" in bad and b"dkim=fail" in bad and b"dmarc=fail" in bad
    assert b"spf=pass" in good and b"dkim=pass" in good and b"dmarc=pass" in good


@pytest.mark.asyncio
async def test_header_carriers_are_stripped(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = letter(X_Mailcanary_Token="abc\r\n folded", X_Other="y")
    await lab.switch_on(Fault.STRIP_HEADER_CARRIERS)
    submit(lab, raw)
    await lab.switch_off(Fault.STRIP_HEADER_CARRIERS)
    submit(lab, raw)
    stripped, whole = (message.raw for message in lab.store.resolve(SEED).folders["INBOX"].messages)
    assert b"X-" not in stripped and b"folded" not in stripped and b"<one@shop.test>" not in stripped
    assert header_value(stripped, b"message-id").startswith("<1AB") and stripped.endswith(raw.partition(b"\r\n\r\n")[2])
    assert whole.endswith(raw)


@pytest.mark.asyncio
async def test_bounce_is_a_readable_dsn_to_the_variable_sender(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.CLONE_BOUNCE)
    submit(lab, letter())
    (report,) = lab.store.resolve(lab.bounces).folders["INBOX"].messages
    message = email.message_from_bytes(report.raw, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report" and message["Delivered-To"] == SENDER
    assert message["Return-Path"] == "<>"
    status = message.get_payload(1).get_payload()
    assert status[1]["Action"] == "failed" and status[1]["Status"] == "5.1.1" and SEED in status[1]["Final-Recipient"]
    assert "<one@shop.test>" in message.get_payload(2).get_payload()


@pytest.mark.parametrize(
    ("locale", "currency", "before", "after"),
    [
        ("en-GB", "GBP", "£1,249.90", "£2,249.90"),
        ("en-US", "USD", "$1,249.90", "$2,249.90"),
        ("de-DE", "EUR", "1.249,90\u00a0€", "2.249,90\u00a0€"),
    ],
)
def test_amounts_are_altered_in_both_parts(locale: str, currency: str, before: str, after: str) -> None:
    refund = Refund("R-1", "O-1", Decimal("1249.9"), currency, "Ann", SEED, locale)
    raw = compose(refund, "<x@shop.test>", "shop.test", SEED)
    for content, shown in ((raw, before), (alter_amounts(raw), after)):
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert all(shown in part.get_content() for part in message.iter_parts())
        assert message["Message-ID"] == "<x@shop.test>"


def test_amounts_in_base64_and_as_entities() -> None:
    head = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = head + b"NDkuOTAmbmJzcDsmZXVybzs=\r\n"
    assert email.message_from_bytes(alter_amounts(raw)).get_payload(decode=True) == b"59.90&nbsp;&euro;"


@pytest.mark.asyncio
async def test_alter_amount_comes_and_goes(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.ALTER_AMOUNT)
    submit(lab, letter())
    await lab.switch_off(Fault.ALTER_AMOUNT)
    submit(lab, letter())
    altered, whole = (m.raw.decode() for m in lab.store.resolve(SEED).folders["INBOX"].messages)
    assert "£59.90" in altered and "49.90" not in altered and "£49.90" in whole


def test_parameters_are_checked() -> None:
    for wrong in ({"seconds": -1.0}, {"copies": 1}, {"times": 0}):
        with pytest.raises(ValueError, match="must be"):
            FaultState(Fault.DELAY, **wrong)
    with pytest.raises(ValueError, match="'to'"):
        FaultState(Fault.MISROUTE)
