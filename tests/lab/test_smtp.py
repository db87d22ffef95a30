"""The relay's listeners against aiosmtplib, and the faults at submission."""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable

import aiosmtplib
import pytest

from monitor.lab.faults import Fault, Scope
from monitor.lab.world import Lab, LabSpec

SENDER = "bounces+tok1@shop.test"
SEED = "seed1@aurora.test"


def inbox(lab: Lab, address: str = SEED):
    return lab.store.resolve(address).folders["INBOX"].messages


def client(lab: Lab, name: str = "plain", **options) -> aiosmtplib.SMTP:
    port = lab.smtp.listeners[name].port
    options = {"start_tls": False, "timeout": 10, "local_hostname": "probe.test"} | options
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=port, **options)


async def send(lab: Lab, raw: bytes, to: str | list[str] = SEED, name: str = "plain", **options) -> str:
    async with client(lab, name, **options) as smtp:
        _, reply = await smtp.sendmail(SENDER, [to] if isinstance(to, str) else to, raw)
    return reply


async def refusal(lab: Lab, raw: bytes) -> aiosmtplib.SMTPResponseException:
    with pytest.raises((aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException)) as caught:
        await send(lab, raw)
    error = caught.value
    return error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error


@pytest.mark.asyncio
async def test_plain_delivery_is_exact_traced_and_booked(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = letter(body="..leading dot\r\n£ 8-bit")
    reply = await send(lab, raw, ["seed1+tag@aurora.test", "seed2@cumulus.test"])
    assert reply.startswith("2.0.0 queued as 1AB")
    (message,) = inbox(lab)
    assert message.raw.endswith(raw)
    head = message.header.decode()
    assert head.startswith("Return-Path: <bounces+tok1@shop.test>\r\nDelivered-To: seed1+tag@aurora.test\r\n")
    assert "Authentication-Results: mx.aurora.test;\r\n\tspf=pass smtp.mailfrom=bounces+tok1@shop.test" in head
    assert "dkim=pass header.d=shop.test" in head and "dmarc=pass header.from=shop.test" in head
    assert "Received: from probe.test" in head
    assert "Authentication-Results: mx.cumulus.test 1;" in inbox(lab, "seed2@cumulus.test")[0].header.decode()
    one, two = lab.relay.accepted
    assert (one.recipient, two.recipient) == ("seed1+tag@aurora.test", "seed2@cumulus.test")
    assert one.queue_id == two.queue_id and one.message_id == "<one@shop.test>" and one.fate == "delivered"
    assert one.sha256 == hashlib.sha256(raw).hexdigest()
    assert (lab.relay.messages_accepted, lab.relay.recipients_accepted) == (1, 2)


@pytest.mark.asyncio
async def test_separate_results_and_unknown_author(lab: Lab, letter: Callable[..., bytes]) -> None:
    await send(lab, letter().replace(b"refunds@shop.test", b"x@evil.example"), "seed1@borealis.test")
    head = inbox(lab, "seed1@borealis.test")[0].header.decode()
    assert head.count("Authentication-Results: mx.borealis.test;") == 3
    assert "dkim=none;" in head and "dmarc=none header.from=evil.example;" in head


@pytest.mark.asyncio
async def test_starttls_is_required_and_tls_is_implicit(lab: Lab, client_tls: ssl.SSLContext, letter: Callable[..., bytes]) -> None:
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await send(lab, letter(), name="starttls")
    assert caught.value.code == 530
    await send(lab, letter(), name="starttls", start_tls=True, tls_context=client_tls)
    await send(lab, letter(), name="tls", use_tls=True, start_tls=None, tls_context=client_tls)
    assert [entry.path for entry in lab.relay.accepted] == ["starttls", "tls"]


@pytest.mark.asyncio
async def test_auth(letter: Callable[..., bytes]) -> None:
    async with Lab(LabSpec(smtp_credentials=("shop", "s3cret"))) as lab:
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await send(lab, letter())
        assert caught.value.code == 530
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(lab, letter(), username="shop", password="wrong")
        await send(lab, letter(), username="shop", password="s3cret")
        async with client(lab) as smtp:
            await smtp.ehlo()
            await smtp.auth_login("shop", "s3cret")
        await lab.switch_on(Fault.AUTH_REFUSED)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
            await send(lab, letter(), username="shop", password="s3cret")
        assert refused.value.code == 535
        await lab.switch_off(Fault.AUTH_REFUSED)
        await send(lab, letter(), username="shop", password="s3cret")
        assert len(inbox(lab)) == 2


@pytest.mark.asyncio
async def test_unknown_user_and_no_open_relay(lab: Lab, letter: Callable[..., bytes]) -> None:
    for address, code in (("nobody@aurora.test", 550), ("customer@real.example", 554)):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await send(lab, letter(), address)
        assert caught.value.recipients[0].code == code
    assert lab.relay.recipients_accepted == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("fault", "code"), [(Fault.REFUSE, 554), (Fault.REFUSE_MAIL_FROM, 553), (Fault.GREYLIST, 450)])
async def test_refusals_come_and_go(lab: Lab, letter: Callable[..., bytes], fault: Fault, code: int) -> None:
    await lab.switch_on(fault, seconds=3600)
    assert (await refusal(lab, letter())).code == code
    assert (await refusal(lab, letter())).code == code
    await lab.switch_off(fault)
    await send(lab, letter())
    assert len(inbox(lab)) == 1


@pytest.mark.asyncio
async def test_greylist_accepts_a_triplet_that_is_old_enough(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.GREYLIST, seconds=0)
    assert (await refusal(lab, letter())).code == 450
    await send(lab, letter())
    assert len(inbox(lab)) == 1


@pytest.mark.asyncio
async def test_scopes_by_provider_mailbox_and_path(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.REFUSE, Scope(provider="borealis.test"))
    await lab.switch_on(Fault.REFUSE, Scope(mailbox="seed2@aurora.test"))
    await lab.switch_on(Fault.REFUSE, Scope(path="shop"))
    async with client(lab) as smtp:
        errors, _ = await smtp.sendmail(SENDER, [SEED, "seed2@aurora.test", "seed1@borealis.test", "seed1@cumulus.test"], letter())
    assert set(errors) == {"seed2@aurora.test", "seed1@borealis.test"}
    assert lab.relay.recipient_refusal(SENDER, SEED, ("shop",)) is not None


@pytest.mark.asyncio
@pytest.mark.parametrize(("fault", "delivered"), [(Fault.DROP_AFTER_DATA, 1), (Fault.DROP_AFTER_DATA_LOST, 0)])
async def test_connection_lost_after_the_final_dot(lab: Lab, letter: Callable[..., bytes], fault: Fault, delivered: int) -> None:
    await lab.switch_on(fault, times=1)
    smtp = client(lab)
    await smtp.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.sendmail(SENDER, [SEED], letter())
    smtp.close()
    assert len(inbox(lab)) == lab.relay.recipients_accepted == delivered
    assert lab.faults.active == []
    await send(lab, letter())
    assert len(inbox(lab)) == delivered + 1


@pytest.mark.asyncio
async def test_drop_after_data_in_scope_only(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.DROP_AFTER_DATA, Scope(mailbox=SEED))
    await send(lab, letter(), "seed2@aurora.test")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(lab, letter())


@pytest.mark.asyncio
async def test_a_full_mailbox_defers(lab: Lab, letter: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.lab.store.MAX_MESSAGES_PER_FOLDER", 1)
    await send(lab, letter())
    assert (await refusal(lab, letter())).code == 452
    monkeypatch.setattr("monitor.lab.store.MAX_STORE_BYTES", lab.store.bytes_kept + 100)
    with pytest.raises(aiosmtplib.SMTPResponseException, match="storage"):
        await send(lab, letter(), "seed2@aurora.test")
    assert lab.relay.recipients_accepted == 1


@pytest.mark.asyncio
async def test_refuse_connect_keeps_the_port(lab: Lab, letter: Callable[..., bytes]) -> None:
    port = lab.smtp.listeners["plain"].port
    await lab.switch_on(Fault.REFUSE_CONNECT, Scope(path="plain"))
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(lab, letter())
    assert lab.smtp.listeners["tls"].up
    await lab.switch_off(Fault.REFUSE_CONNECT)
    assert lab.smtp.listeners["plain"].port == port
    await send(lab, letter())


@pytest.mark.asyncio
async def test_slow_replies_trickle(lab: Lab, letter: Callable[..., bytes]) -> None:
    await lab.switch_on(Fault.SLOW_SMTP, seconds=0.002)
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.smtp.listeners["plain"].port)
    began = time.monotonic()
    pieces = [await reader.read(64)]
    while not pieces[-1].endswith(b"\n"):
        pieces.append(await reader.read(64))
    assert len(pieces) > 5 and time.monotonic() - began >= 0.04
    await lab.switch_off(Fault.SLOW_SMTP)
    writer.write(b"QUIT\r\n")
    assert (await reader.readline()).startswith(b"221")
    writer.close()
    await writer.wait_closed()
