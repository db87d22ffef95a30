"""The mailbox contract against a real Dovecot: as it is, and without IDLE, UIDPLUS and SPECIAL-USE."""

from __future__ import annotations

import asyncio
import imaplib
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

import pytest
import trustme

from monitor.edge.imap import ImapMailbox
from monitor.edge.imap.utf7 import encode
from monitor.model.mail import BlindCause
from monitor.model.policy import LoginMethod, Security
from monitor.ports import Mailbox, MailboxError
from tests.edge.imap.accounts import mailbox, policy
from tests.edge.mailbox_contract import MailboxContract, letter, now, subjects
from tests.real import dovecot as real
from tests.real.dovecot import Dovecot

PASSWORD = 'se"cret \\ pässword'
ODD = 'Käufe & "Rechnungen"'
_T = TypeVar("_T")
_numbers = count(1)

pytestmark = pytest.mark.skipif(real.absent() is not None, reason=str(real.absent()))


class DovecotWorld:
    junk = "Junk"
    odd = ODD

    def __init__(self, server: Dovecot, ca_file: str, special_use: bool) -> None:
        self.server = server
        self.ca_file = ca_file
        self.special_use = special_use
        self.user = f"seed{next(_numbers)}@box.test"
        server.add_user(self.user, PASSWORD)

    def mailbox(
        self, password: str | None = None, security: Security = Security.TLS, login: LoginMethod = LoginMethod.LOGIN
    ) -> ImapMailbox:
        port = self.server.imaps if security is Security.TLS else self.server.imap
        return mailbox(policy(port, security, login, self.user, self.ca_file), password or PASSWORD)

    async def other(self, work: Callable[[imaplib.IMAP4], _T]) -> _T:
        """Another client: the standard library's."""

        def session() -> _T:
            with imaplib.IMAP4("127.0.0.1", self.server.imap) as client:
                client.authenticate("PLAIN", lambda _: f"\0{self.user}\0{PASSWORD}".encode())
                return work(client)

        return await asyncio.to_thread(session)

    async def deliver(self, folder: str, raw: bytes, flags: Iterable[str] = (), internaldate: datetime | None = None) -> None:
        when = internaldate or datetime.now(UTC)

        def append(client: imaplib.IMAP4) -> None:
            client.create(quoted(folder))
            kind, said = client.append(quoted(folder), f"({' '.join(flags)})", imaplib.Time2Internaldate(when), raw)
            assert kind == "OK", said

        await self.other(append)

    async def flags(self, folder: str) -> dict[int, set[str]]:
        def fetch(client: imaplib.IMAP4) -> dict[int, set[str]]:
            client.select(quoted(folder), readonly=True)
            _, lines = client.uid("FETCH", "1:*", "(FLAGS)")
            found = {}
            for line in lines:
                if line is not None:
                    uid = re.search(rb"UID (\d+)", line)
                    flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                    assert uid and flags
                    found[int(uid[1])] = set(flags[1].decode().lower().split()) - {"\\recent"}
            return found

        return await self.other(fetch)

    async def renew_uidvalidity(self, folder: str) -> None:
        await asyncio.to_thread(self.server.doveadm, "mailbox", "update", "-u", self.user, "--uid-validity", "4000000000", folder)

    async def remove_folder(self, folder: str) -> None:
        await self.other(lambda client: client.delete(quoted(folder)))

    async def cut(self) -> None:
        await asyncio.to_thread(self.server.doveadm, "kick", self.user)


def quoted(folder: str) -> str:
    return '"' + encode(folder).replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    ca, at = trustme.CA(), tmp_path_factory.mktemp("tls")
    issued = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(str(at / "ca.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(at / "server.pem"))
    return str(at / "ca.pem"), str(at / "server.pem"), str(at / "server.pem")


@pytest.fixture(scope="module")
def server(certificate: tuple[str, str, str]) -> Iterator[Dovecot]:
    with Dovecot({}, certificate[1:]) as running:
        yield running


@pytest.fixture(scope="module")
def bare_server(certificate: tuple[str, str, str]) -> Iterator[Dovecot]:
    with Dovecot({}, certificate[1:], mail_format="sdbox", extra="imap_capability = IMAP4rev1\n") as running:
        yield running


async def furnished(world: DovecotWorld) -> DovecotWorld:
    await world.other(lambda client: client.create(quoted(ODD)))
    return world


class TestDovecot(MailboxContract):
    @pytest.fixture
    async def world(self, server: Dovecot, certificate: tuple[str, str, str]) -> AsyncIterator[DovecotWorld]:
        yield await furnished(DovecotWorld(server, certificate[0], special_use=True))


class TestBareDovecot(MailboxContract):
    """No IDLE, UIDPLUS, LIST-EXTENDED, SPECIAL-USE, LITERAL+: NOOP, careful EXPUNGE."""

    @pytest.fixture
    async def world(self, bare_server: Dovecot, certificate: tuple[str, str, str]) -> AsyncIterator[DovecotWorld]:
        yield await furnished(DovecotWorld(bare_server, certificate[0], special_use=False))


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("login", [LoginMethod.LOGIN, LoginMethod.PLAIN])  # XOAUTH2 wants an authorization server
async def test_every_security_with_every_login(
    server: Dovecot, certificate: tuple[str, str, str], security: Security, login: LoginMethod
) -> None:
    world = DovecotWorld(server, certificate[0], special_use=True)
    box: Mailbox = world.mailbox(security=security, login=login)
    folders = await box.open()
    await world.deliver("INBOX", letter("through"))
    assert subjects((await box.look(folders[0], None, now())).copies) == ["through"]
    await box.close()
    with pytest.raises(MailboxError) as caught:
        await world.mailbox("wrong", security, login).open()
    assert caught.value.cause is BlindCause.AUTH_REFUSED and "AUTHENTICATIONFAILED" in caught.value.detail


async def test_a_certificate_of_an_unknown_authority(server: Dovecot) -> None:
    world = DovecotWorld(server, "", special_use=True)
    world.ca_file = ssl.get_default_verify_paths().cafile or world.ca_file
    box = mailbox(policy(server.imaps, Security.TLS, username=world.user), PASSWORD)
    with pytest.raises(MailboxError) as caught:
        await box.open()
    assert caught.value.cause is BlindCause.TLS and "certificate" in caught.value.detail and caught.value.mend


async def test_a_server_that_is_stopped_during_idle_and_started_again(certificate: tuple[str, str, str]) -> None:
    with Dovecot({}, certificate[1:]) as server:
        world = DovecotWorld(server, certificate[0], special_use=True)
        box = world.mailbox()
        inbox = (await box.open())[0]
        mark = (await box.look(inbox, None, now())).mark
        waiting = asyncio.ensure_future(box.idle(30.0))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.stop)
        with pytest.raises(MailboxError) as caught:
            await waiting
        assert caught.value.cause is BlindCause.CLOSED
        with pytest.raises(MailboxError) as caught:
            await box.open()
        assert caught.value.cause is BlindCause.UNREACHABLE
        await asyncio.to_thread(server.start)
        await world.deliver("INBOX", letter("after"))
        await box.open()
        assert subjects((await box.look(inbox, mark, now())).copies) == ["after"]
        await box.close()
