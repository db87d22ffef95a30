"""watch commits what the first own copy of a probe bears of its own proof, together with its sighting, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.model.facts import Delivered, Judged, Sighted
from monitor.model.mailauth import SignatureState
from monitor.model.probe import MailboxName
from monitor.model.submission import MailSubmission
from monitor.rules.mailauth import dkim
from tests.rules.dkim.signing import ed25519, sign
from tests.rules.inspect.worlds import Dns, World
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual

INSPECTED = {"inspect": {"enabled": True, "transport": False}}


def seqs(house: House, kind: type) -> list[int]:
    return [entry.seq for entry in house.entries if isinstance(entry.fact, kind)]


@virtual
async def test_first_own_copy_is_read_with_its_sighting(tmp_path: Path) -> None:
    house = House(policy(tmp_path, **INSPECTED))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        house.accounts[seed(1)].deliver(b"Received: by another hop\r\n" + mail.message, "Archive")
        await house.until(lambda: len(house.facts(Judged)) == 2)
    (fact,) = house.facts(Delivered)
    first, _ = house.facts(Sighted)
    assert (fact.probe, fact.mailbox, fact.at) == (first.probe, first.mailbox, first.at)
    assert str(fact.route.mailbox) == str(seed(1))
    assert fact.mail.author_domains == ("shop.test",) and not fact.mail.faults and not fact.mail.truncated
    assert seqs(house, Delivered) == [seqs(house, Sighted)[0] + 1]


@virtual
async def test_two_copies_in_one_look_are_read_once(tmp_path: Path) -> None:
    house = House(policy(tmp_path, **INSPECTED))
    house.post.transit = None
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(1)
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        account = house.accounts[seed(1)]
        account.deliver(mail.message, "INBOX")
        account.deliver(b"X-Copy: 2\r\n" + mail.message, "INBOX")
        await house.until(lambda: len(house.facts(Sighted)) == 2)
    assert len(house.facts(Delivered)) == 1


@virtual
async def test_second_copy_after_a_restart_is_not_read(tmp_path: Path) -> None:
    before = House(policy(tmp_path, **INSPECTED))
    async with before.running():
        await before.sleep(10)
        await before.probe()
        await before.until(lambda: before.facts(Sighted))
    mail = before.post.submissions[0]
    assert isinstance(mail, MailSubmission)
    house = await House(policy(tmp_path, **INSPECTED), before).restored()
    async with house.running():
        house.accounts[seed(1)].deliver(b"X-Copy: 2\r\n" + mail.message, "Archive")
        await house.until(lambda: len(house.facts(Sighted)) == 2)
    assert len(house.facts(Delivered)) == 1


@virtual
async def test_copy_in_a_mailbox_that_is_not_its_own_is_not_read(tmp_path: Path) -> None:
    house = House(policy(tmp_path, holding=True, **INSPECTED))
    house.post.into = lambda mail: (house.accounts[MailboxName("holding")], "INBOX")
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
    assert house.facts(Sighted) and not house.facts(Delivered)


@pytest.mark.parametrize("inspect", [{"enabled": False}])
@virtual
async def test_nothing_is_read_where_nothing_is_inspected(tmp_path: Path, inspect: dict[str, bool]) -> None:
    house = House(policy(tmp_path, inspect=inspect))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
    assert house.facts(Sighted) and not house.facts(Delivered)


@virtual
async def test_signature_of_the_relay_verifies_from_the_fact_alone(tmp_path: Path) -> None:
    """The message may be cleaned up; the journal still holds what a later inspection needs."""
    house = House(policy(tmp_path, **INSPECTED))
    account = house.accounts[seed(1)]
    deliver = account.deliver
    house.post.into = lambda mail: (account, "INBOX")
    account.deliver = lambda raw, folder="INBOX": deliver(sign(raw, ed25519()), folder)  # type: ignore[method-assign]
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
    (fact,) = house.facts(Delivered)
    now = house.clock.now().utc
    world = World(Dns({"s1._domainkey.shop.test TXT": [ed25519().record()]}))
    assert [proof.state for proof in world.asked(lambda lookup: [dkim.verify(s, lookup, now) for s in fact.mail.signatures])] == [
        SignatureState.PASS
    ]
