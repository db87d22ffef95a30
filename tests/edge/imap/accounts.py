"""Policies, secrets and clocks for the mailbox tests."""

from __future__ import annotations

import asyncio

from monitor.edge.clock import SystemClock
from monitor.edge.imap import ImapMailbox
from monitor.edge.tls import TlsContexts
from monitor.model.address import Address
from monitor.model.policy import FolderNames, LoginMethod, MailboxPolicy, Role, Security, WatchPolicy
from monitor.model.probe import MailboxName
from monitor.model.secret import SecretRef, SecretSource

REF = SecretRef(SecretSource.ENV, "SEED_PASSWORD")


class OneSecret:
    def __init__(self, value: str) -> None:
        self.value = value

    def read(self, ref: SecretRef) -> str:
        assert ref == REF
        return self.value


class QuickClock(SystemClock):
    """Sleeps are short, so that polling needs no patience."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.02))


def watch(command_timeout: float = 10.0, poll_every: float = 60.0) -> WatchPolicy:
    return WatchPolicy(
        sweep_after=5.0,
        poll_every=poll_every,
        idle_renew=240.0,
        command_timeout=command_timeout,
        reconnect_min=1.0,
        reconnect_max=60.0,
    )


def policy(
    port: int,
    security: Security = Security.PLAIN,
    login: LoginMethod = LoginMethod.LOGIN,
    username: str = "seed@box.test",
    ca_file: str | None = None,
    host: str = "127.0.0.1",
) -> MailboxPolicy:
    return MailboxPolicy(
        name=MailboxName("seed"),
        role=Role.SEED,
        provider="box",
        address=Address.parse("seed@box.test"),
        host=host,
        port=port,
        security=security,
        ca_file=ca_file,
        username=username,
        password=REF,
        login=login,
        folders=FolderNames(),
        authserv_ids=(),
        plus_tags=True,
        clean_up=True,
        clean_up_after=3600.0,
        daily_budget=100,
    )


def mailbox(account: MailboxPolicy, password: str = "secret", timeout: float = 10.0, clock: SystemClock | None = None) -> ImapMailbox:
    return ImapMailbox(account, watch(timeout), OneSecret(password), TlsContexts().get, clock or QuickClock())
