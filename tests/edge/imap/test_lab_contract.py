"""The mailbox contract against the lab's IMAP server, at providers with and without special use; and the lab's IMAP faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

import pytest

from monitor.edge.imap import ImapMailbox
from monitor.lab import Fault, Lab, LabSpec, Scope
from monitor.lab.store import Folder as StoredFolder
from monitor.model.mail import BlindCause
from monitor.model.policy import LoginMethod, Security
from monitor.ports import MailboxError
from tests.edge.imap.accounts import mailbox, policy
from tests.edge.mailbox_contract import MailboxContract, everything, letter, now, subjects

ODD = "Käufe & “Rechnungen”"


class LabWorld:
    odd = ODD

    def __init__(self, lab: Lab, domain: str) -> None:
        self.lab = lab
        self.account = lab.store.resolve(f"seed1@{domain}")
        self.account.folders[ODD] = StoredFolder(ODD, (), uidvalidity=77)
        self.provider = self.account.provider
        self.junk = self.provider.junk
        self.special_use = self.provider.special_use

    def mailbox(
        self,
        password: str | None = None,
        security: Security = Security.TLS,
        login: LoginMethod = LoginMethod.PLAIN,
        timeout: float = 10.0,
    ) -> ImapMailbox:
        port = self.lab.imap[self.provider.domain].listeners[security.value].port
        account = policy(port, security, login, self.account.address, self.lab.description.ca_file)
        return mailbox(account, password or self.lab.spec.password, timeout)

    def stored(self, folder: str) -> StoredFolder:
        found = self.account.folder(folder)
        assert found is not None
        return found

    async def deliver(self, folder: str, raw: bytes, flags: Iterable[str] = (), internaldate: datetime | None = None) -> None:
        self.lab.store.append(self.stored(folder), raw, flags=flags, internaldate=internaldate)

    async def flags(self, folder: str) -> dict[int, set[str]]:
        return {message.uid: {flag.lower() for flag in message.flags} - {"\\recent"} for message in self.stored(folder).messages}

    async def renew_uidvalidity(self, folder: str) -> None:
        self.lab.store.renew_uidvalidity(self.stored(folder))

    async def remove_folder(self, folder: str) -> None:
        del self.account.folders[folder]

    async def cut(self) -> None:
        await self.lab.switch_on(Fault.IMAP_BYE, Scope(mailbox=self.account.address))
        await self.lab.switch_off(Fault.IMAP_BYE)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(LabSpec(mailboxes_per_provider=1)) as running:
        yield running


class TestLabMailbox(MailboxContract):
    @pytest.fixture
    async def world(self, lab: Lab) -> LabWorld:
        return LabWorld(lab, "aurora.test")


class TestLabMailboxWithoutSpecialUse(MailboxContract):
    @pytest.fixture
    async def world(self, lab: Lab) -> LabWorld:
        return LabWorld(lab, "borealis.test")


@pytest.fixture
async def world(lab: Lab) -> LabWorld:
    return LabWorld(lab, "cumulus.test")


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("login", list(LoginMethod))
async def test_every_security_with_every_login(world: LabWorld, security: Security, login: LoginMethod) -> None:
    box = world.mailbox(None, security, login)
    folders = await box.open()
    assert {"Entwürfe", "Gelöschte Elemente", "Rechnungen & Käufe"} <= {folder.name for folder in folders}
    assert "Public" not in {folder.name for folder in folders}
    await box.close()


async def test_broken_lines_hide_no_mail(world: LabWorld) -> None:
    await world.lab.switch_on(Fault.IMAP_MALFORMED)
    box = world.mailbox()
    inbox = (await box.open())[0]
    mark = (await box.look(inbox, None, now())).mark
    waiting = asyncio.ensure_future(box.idle(20.0))
    await asyncio.sleep(0.05)
    await world.deliver("INBOX", letter("through the noise"))
    assert await waiting
    _, copies = await everything(box, inbox, mark, now())
    assert subjects(copies) == ["through the noise"]
    assert (await box.remove(inbox, copies[0].uidvalidity, [copies[0].uid])) == (copies[0].uid,)
    await box.close()


async def test_a_server_that_hangs(world: LabWorld) -> None:
    box = world.mailbox(timeout=0.3)
    inbox = (await box.open())[0]
    await world.lab.switch_on(Fault.IMAP_HANG)
    with pytest.raises(MailboxError) as caught:
        await box.look(inbox, None, now())
    assert caught.value.cause is BlindCause.TIMEOUT
    with pytest.raises(MailboxError) as caught:
        await box.open()
    assert caught.value.cause is BlindCause.TIMEOUT
    await world.lab.switch_off(Fault.IMAP_HANG)
    await box.open()
    await box.close()


async def test_a_provider_that_is_down_and_a_mailbox_that_is(world: LabWorld) -> None:
    box = world.mailbox()
    await world.lab.switch_on(Fault.IMAP_DOWN, Scope(mailbox=world.account.address))
    with pytest.raises(MailboxError) as caught:
        await box.open()
    assert caught.value.cause is BlindCause.UNREACHABLE and "UNAVAILABLE" in caught.value.detail
    await world.lab.clear_faults()
    await world.lab.switch_on(Fault.IMAP_DOWN)
    with pytest.raises(MailboxError) as caught:
        await box.open()
    assert caught.value.cause is BlindCause.UNREACHABLE
