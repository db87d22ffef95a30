"""The two schemes that the open peers use, as honest small loops, at a thirtieth of their usual times.

Neither has a way through the shop's application, so both submit by bare SMTP; both look at INBOX only, as they do by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import smtplib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

SHRINK = 30.0  # five minutes become ten seconds


@dataclass(frozen=True, slots=True)
class Seat:
    """One seed mailbox and the relay, for a client without a library of ours."""

    relay: int
    imap: int
    address: str
    password: str


def seats(description: dict[str, Any]) -> list[Seat]:
    relay = description["relay"]["plain"]
    return [
        Seat(relay, imap["plain"], account["address"], account["password"])
        for imap in description["providers"]
        for account in imap["accounts"]
    ]


@dataclass
class Alarms:
    """When a peer first raised an alarm after `since`."""

    since: float = float("inf")
    first: float | None = None

    def arm(self) -> None:
        self.since, self.first = time.monotonic(), None

    def ring(self) -> None:
        if self.first is None and time.monotonic() >= self.since:
            self.first = time.monotonic() - self.since


@dataclass
class SendThenPoll:
    """Every interval: submit, wait, log in and search INBOX, so often; not found is critical, and so is whatever goes wrong on the way.

    Its usual times: every 5 minutes, 5 s before the first search, 10 searches 5 s apart. A pager is told at the first critical result,
    which is kinder than the three in a row that schedulers ask for by default.
    """

    interval: float = 300.0 / SHRINK
    wait: float = 5.0 / SHRINK
    searches: int = 10
    alarms: Alarms = field(default_factory=Alarms)

    async def run(self, seat: Seat, delay: float) -> None:
        await asyncio.sleep(delay)
        while True:
            began = time.monotonic()
            if not await asyncio.to_thread(self._round, seat):
                self.alarms.ring()
            await asyncio.sleep(max(0.0, self.interval - (time.monotonic() - began)))

    def _round(self, seat: Seat) -> bool:
        name = uuid.uuid4().hex
        try:
            _submit(seat, name)
            for _ in range(self.searches):
                time.sleep(self.wait)
                if _in_inbox(seat, name):
                    return True
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error):
            return False
        return False


@dataclass
class Exporter:
    """Submits every interval; another loop looks every second what has come; a probe that is out for longer than the timeout sets its
    success gauge to 0, which a scrape every 15 s turns into an alert. Usual times: every 5 minutes, timeout 60 s. A submission that
    fails only counts up; mail that cannot be looked for is mail that has not come.
    """

    interval: float = 300.0 / SHRINK
    timeout: float = 60.0 / SHRINK
    look: float = 1.0 / SHRINK
    scrape: float = 15.0 / SHRINK
    alarms: Alarms = field(default_factory=Alarms)

    async def run(self, seat: Seat, delay: float) -> None:
        await asyncio.sleep(delay)
        while True:
            began = time.monotonic()
            name = uuid.uuid4().hex
            try:
                await asyncio.to_thread(_submit, seat, name)
            except (OSError, smtplib.SMTPException):
                pass  # the counter of failed submissions: no alert rule comes with it
            else:
                if not await self._comes(seat, name):
                    await asyncio.sleep(self.scrape / 2)
                    self.alarms.ring()
            await asyncio.sleep(max(0.0, self.interval - (time.monotonic() - began)))

    async def _comes(self, seat: Seat, name: str) -> bool:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                if await asyncio.to_thread(_in_inbox, seat, name):
                    return True
            await asyncio.sleep(self.look)
        return False


Peer = SendThenPoll | Exporter


@contextlib.asynccontextmanager
async def at_work(peer: Peer, where: list[Seat]) -> AsyncIterator[None]:
    """The peer on all its mailboxes, staggered over one interval."""
    tasks = [asyncio.create_task(peer.run(seat, peer.interval * number / len(where))) for number, seat in enumerate(where)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _submit(seat: Seat, name: str) -> None:
    text = f"From: check@shop.test\r\nTo: {seat.address}\r\nSubject: {name}\r\nMessage-ID: <{name}@shop.test>\r\n\r\ncheck\r\n"
    with smtplib.SMTP("127.0.0.1", seat.relay, timeout=2) as relay:
        relay.sendmail("check@shop.test", [seat.address], text)


def _in_inbox(seat: Seat, name: str) -> bool:
    with imaplib.IMAP4("127.0.0.1", seat.imap, timeout=2) as imap:
        imap.login(seat.address, seat.password)
        imap.select("INBOX", readonly=True)
        found = imap.search(None, "SUBJECT", name)[1]
        return bool(found and found[0])
