"""The faults of a mailbox provider, seen from a raw IMAP client."""

import asyncio

import pytest

from monitor.lab.faults import Fault, Scope
from monitor.lab.imap_answers import MALFORMED
from monitor.lab.world import Lab

SEED = "seed1@aurora.test"


def port(lab: Lab, domain: str = "aurora.test") -> int:
    return lab.imap[domain].listeners["plain"].port


def deliver(lab: Lab, address: str = SEED) -> None:
    lab.store.append(lab.store.resolve(address).folders["INBOX"], b"Subject: x\r\n\r\nbody\r\n")


async def idle(lab: Lab, raw_imap, address: str = SEED):
    client = await raw_imap(port(lab, address.partition("@")[2]))
    await client.login(address)
    await client.ask(b"SELECT INBOX")
    client.send(b"i IDLE\r\n")
    assert await client.line() == b"+ idling\r\n"
    return client


@pytest.mark.asyncio
async def test_down_cuts_sessions_and_comes_back_on_its_port(lab: Lab, raw_imap) -> None:
    cut = await idle(lab, raw_imap)
    spared = await idle(lab, raw_imap, "seed1@cumulus.test")
    await lab.switch_on(Fault.IMAP_DOWN, Scope(provider="aurora.test"))
    with pytest.raises((ConnectionResetError, AssertionError)):
        assert await cut.line()
    with pytest.raises(ConnectionRefusedError):
        await raw_imap(port(lab))
    deliver(lab, "seed1@cumulus.test")
    assert await spared.line() == b"* 1 EXISTS\r\n"
    await lab.switch_off(Fault.IMAP_DOWN)
    await (await raw_imap(port(lab))).login(SEED)


@pytest.mark.asyncio
async def test_down_for_one_mailbox(lab: Lab, raw_imap) -> None:
    await lab.switch_on(Fault.IMAP_DOWN, Scope(mailbox=SEED))
    client = await raw_imap(port(lab))
    await client.line()
    assert (await client.ask(b'LOGIN seed1@aurora.test "lab password"'))[0].startswith(b"NO [UNAVAILABLE]")
    assert (await client.ask(b'LOGIN seed2@aurora.test "lab password"'))[0].startswith(b"OK")


@pytest.mark.asyncio
async def test_hang_answers_nothing_until_it_ends(lab: Lab, raw_imap) -> None:
    idling = await idle(lab, raw_imap)
    await lab.switch_on(Fault.IMAP_HANG, Scope(provider="aurora.test"))
    client = await raw_imap(port(lab))
    deliver(lab)
    for waiting in (client, idling):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.reader.readline(), 0.1)
    other = await raw_imap(port(lab, "borealis.test"))
    await other.login("seed1@borealis.test")
    await lab.switch_off(Fault.IMAP_HANG)
    await client.login(SEED)
    assert await idling.line() == b"* 1 EXISTS\r\n"


@pytest.mark.asyncio
async def test_bye_during_idle(lab: Lab, raw_imap) -> None:
    client = await idle(lab, raw_imap)
    await lab.switch_on(Fault.IMAP_BYE)
    assert (await client.line()).startswith(b"* BYE") and await client.line() == b""
    again = await raw_imap(port(lab))
    await again.login(SEED)
    await again.ask(b"SELECT INBOX")
    again.send(b"i IDLE\r\n")
    assert await again.line() == b"+ idling\r\n"
    assert (await again.line()).startswith(b"* BYE")
    await lab.switch_off(Fault.IMAP_BYE)
    healthy = await idle(lab, raw_imap)
    deliver(lab)
    assert await healthy.line() == b"* 1 EXISTS\r\n"


@pytest.mark.asyncio
async def test_malformed_lines_during_idle_and_before_answers(lab: Lab, raw_imap) -> None:
    client = await idle(lab, raw_imap)
    await lab.switch_on(Fault.IMAP_MALFORMED)
    assert [await client.line() for _ in MALFORMED] == list(MALFORMED)
    client.send(b"DONE\r\n")
    assert [await client.line() for _ in MALFORMED] == list(MALFORMED)
    assert (await client.line()).startswith(b"i OK")
    await lab.switch_off(Fault.IMAP_MALFORMED)
    assert await client.ask(b"NOOP") == (b"OK NOOP completed", [])


@pytest.mark.asyncio
async def test_auth_refused(lab: Lab, raw_imap) -> None:
    await lab.switch_on(Fault.IMAP_AUTH_REFUSED, Scope(mailbox=SEED), times=1)
    client = await raw_imap(port(lab))
    await client.line()
    assert (await client.ask(b'LOGIN seed1@aurora.test "lab password"'))[0].startswith(b"NO [AUTHENTICATIONFAILED]")
    assert (await client.ask(b'LOGIN seed1@aurora.test "lab password"'))[0].startswith(b"OK")


@pytest.mark.asyncio
async def test_no_push(lab: Lab, raw_imap) -> None:
    client = await idle(lab, raw_imap)
    await lab.switch_on(Fault.IMAP_NO_PUSH)
    deliver(lab)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.readline(), 0.1)
    client.send(b"DONE\r\n")
    assert await client.line() == b"* 1 EXISTS\r\n"  # known to the server all the time
    assert (await client.line()).startswith(b"i OK")
    await lab.switch_off(Fault.IMAP_NO_PUSH)
    client.send(b"j IDLE\r\n")
    await client.line()
    deliver(lab)
    assert await client.line() == b"* 2 EXISTS\r\n"


@pytest.mark.asyncio
async def test_uidvalidity_changes_once(lab: Lab, raw_imap) -> None:
    folder = lab.store.resolve(SEED).folders["INBOX"]
    for _ in range(3):
        deliver(lab)
    lab.store.expunge(folder, folder.messages[:1])
    client = await idle(lab, raw_imap)
    before = folder.uidvalidity
    await lab.switch_on(Fault.UIDVALIDITY_CHANGE, Scope(mailbox=SEED))
    assert lab.faults.active == []
    assert (await client.line()).startswith(b"* BYE")
    assert folder.uidvalidity != before and [message.uid for message in folder.messages] == [1, 2]
    again = await raw_imap(port(lab))
    await again.login(SEED)
    _, lines = await again.ask(b"EXAMINE INBOX")
    assert b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % folder.uidvalidity in lines
