"""The fake keeps the same contract as the real mailbox; what the stages are shown here is what they meet outside."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

import pytest

from tests.edge.mailbox_contract import MailboxContract
from tests.fakes.mailbox import FakeAccount, FakeMailbox


class FakeWorld:
    junk, odd, special_use = "Junk", "Käufe & Co", True

    def __init__(self) -> None:
        self.account = FakeAccount(time.time, ("INBOX", "Junk", self.odd))

    def mailbox(self, password: str | None = None) -> FakeMailbox:
        return FakeMailbox(self.account, password)

    async def deliver(self, folder: str, raw: bytes, flags: Iterable[str] = (), internaldate: datetime | None = None) -> None:
        self.account.deliver(raw, folder, flags, internaldate.timestamp() if internaldate else None)

    async def flags(self, folder: str) -> dict[int, set[str]]:
        return {message.uid: message.flags for message in self.account.folders[folder].messages}

    async def renew_uidvalidity(self, folder: str) -> None:
        self.account.renew_uidvalidity(folder)

    async def remove_folder(self, folder: str) -> None:
        del self.account.folders[folder]

    async def cut(self) -> None:
        self.account.cut()


class TestFakeMailbox(MailboxContract):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld()
