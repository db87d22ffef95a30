"""What every Channel owes, whatever it speaks (ports.Channel): one answer for each thing that a peer may do, and no secret in any."""

from __future__ import annotations

import asyncio
import email.utils
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from monitor.edge.channels import Apprise
from monitor.model.notice import NotTold, Telling, Told
from monitor.ports import Channel
from tests.edge.channels.contract.receiver import (
    SECRET,
    TOKEN,
    Answer,
    Receiver,
    begun,
    echo,
    endless,
    hang,
    notice,
    raw,
    reset,
    status,
    torn,
)
from tests.edge.conftest import Authority

LONG = 20.0
SHORT = 0.3
NOW = 1_790_000_700.0
IN_A_MINUTE = email.utils.formatdate(NOW + 60, usegmt=True)

Make = Callable[[str, str | None], Channel]  # base URL and CA file -> the channel


@dataclass(frozen=True)
class Row:
    answer: Answer
    told: bool
    transient: bool = False
    retry_after: float | None = None
    deadline: float = LONG


TOLD = {
    "200": Row(status(200, "ok"), True),
    "200, something else": Row(status(200, "<html>log in here</html>"), True),
    "201": Row(status(201), True),
    "202": Row(status(202), True),
    "204": Row(status(204, ""), True),
    "200, huge body": Row(endless(200), True),
    "200, the body never ends": Row(begun(200), True),
    "200, reset in the body": Row(torn(200), True),
    "200, echo": Row(echo(200), True),
}
NOT_TOLD = {
    "301": Row(status(301, "", Location="/elsewhere"), False),
    "307": Row(status(307, "", Location="/elsewhere"), False),
    "400": Row(status(400, "bad\x00 \x1b[31mnotice\u202e"), False),
    "401": Row(status(401), False),
    "403": Row(status(403), False),
    "404": Row(status(404), False),
    "408": Row(status(408), False, transient=True),
    "413": Row(status(413), False),
    "415": Row(status(415), False),
    "422": Row(status(422), False),
    "425": Row(status(425), False, transient=True),
    "429": Row(status(429, Retry_After="17"), False, transient=True, retry_after=17.0),
    "429, a date": Row(status(429, Retry_After=IN_A_MINUTE), False, transient=True, retry_after=60.0),
    "429, far too long": Row(status(429, Retry_After="9" * 50), False, transient=True, retry_after=900.0),
    "429, in the past": Row(status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), False, transient=True, retry_after=0.0),
    "429, garbage": Row(status(429, Retry_After="-1e9 soon"), False, transient=True),
    "500": Row(status(500, "Traceback " * 1_000), False, transient=True),
    "502": Row(status(502), False, transient=True),
    "503": Row(status(503, Retry_After="5"), False, transient=True, retry_after=5.0),
    "500, huge body": Row(endless(500), False, transient=True),
    "500, reset in the body": Row(torn(500), False, transient=True),
    "400, echo": Row(echo(400), False),
    "500, echo": Row(echo(500), False, transient=True),
    "hangs past the deadline": Row(hang, False, transient=True, deadline=SHORT),
    "reset": Row(reset, False, transient=True),
    "reset mid-answer": Row(raw(b"HTTP/1.1 200 OK\r\nContent-"), False, transient=True),
    "garbage": Row(raw(b"\x16\x03\x01 220 mail.test ESMTP\r\n"), False, transient=True),
    "endless headers": Row(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), False, transient=True),
}
ROWS = TOLD | NOT_TOLD


def but(*names: str, **fields: object) -> dict[str, Row]:
    """These rows, with other fields."""
    return {name: replace(ROWS[name], **fields) for name in names}  # type: ignore[arg-type]


def safe(outcome: Telling, *secrets: str) -> None:
    """Bounded, one line, and nothing in it that is secret."""
    text = repr(outcome)
    for secret in (SECRET, SECRET.removeprefix("whsec_"), TOKEN, *secrets):
        assert secret not in text, text
    words = outcome.receipt if isinstance(outcome, Told) else outcome.detail
    assert len(words) <= 600 and words.isprintable(), words


async def ended(channel: Apprise) -> None:
    """No thread of it is left."""
    async with asyncio.timeout(LONG):
        while channel._running:
            await asyncio.sleep(0.01)


class ChannelContract:
    """Subclasses give the fixture `make`."""

    rows: ClassVar[dict[str, Row]] = ROWS
    unreached: ClassVar[str] = "cannot connect"
    yes: ClassVar[Answer] = staticmethod(status(200, "ok"))

    @pytest.mark.parametrize("name", ROWS)
    async def test_an_answer(self, make: Make, name: str) -> None:
        row = self.rows[name]
        async with Receiver(row.answer) as receiver:
            channel = make(receiver.base, None)
            try:
                outcome = await channel.tell(notice(), row.deadline)
            finally:
                await channel.close()
        safe(outcome)
        assert isinstance(outcome, Told) is row.told, outcome
        if isinstance(outcome, NotTold):
            assert (outcome.transient, outcome.retry_after) == (row.transient, row.retry_after), outcome
            assert outcome.transient or outcome.mend
        assert len(receiver.requests) == 1, "redirects are not followed, and nothing is sent twice"

    async def test_nobody_listens(self, make: Make) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
            channel = make(f"http://127.0.0.1:{closed.getsockname()[1]}", None)
            outcome = await channel.tell(notice(), LONG)
            await channel.close()
        assert isinstance(outcome, NotTold) and outcome.transient
        assert self.unreached in outcome.detail
        safe(outcome)

    async def test_a_name_that_does_not_resolve(self, make: Make) -> None:
        channel = make("http://nowhere.invalid", None)
        outcome = await channel.tell(notice(), LONG)
        await channel.close()
        assert isinstance(outcome, NotTold) and outcome.transient
        safe(outcome)

    async def test_no_http_address(self, make: Make) -> None:
        for url in ("ftp://receiver.test", "http://", "http://x:99999", "receiver"):
            channel = make(url, None)
            outcome = await channel.tell(notice(), LONG)
            await channel.close()
            assert isinstance(outcome, NotTold) and outcome.mend, outcome
            safe(outcome)

    async def test_tls(self, make: Make, authority: Authority) -> None:
        async with Receiver(self.yes, authority.server()) as receiver:
            channel = make(receiver.base, authority.ca_file)
            assert isinstance(await channel.tell(notice(), LONG), Told)
            await channel.close()

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_a_certificate_that_proves_nothing(self, make: Make, authority: Authority, trusted: bool) -> None:
        async with Receiver(self.yes, authority.server("elsewhere.test")) as receiver:
            channel = make(receiver.base, authority.ca_file if trusted else None)
            outcome = await channel.tell(notice(), LONG)
            await channel.close()
        assert isinstance(outcome, NotTold) and outcome.transient and outcome.mend
        assert "certificate refused" in outcome.detail
        safe(outcome)
        assert not receiver.requests

    async def test_a_ca_file_that_is_gone(self, make: Make, authority: Authority) -> None:
        async with Receiver(self.yes, authority.server()) as receiver:
            channel = make(receiver.base, "/nowhere/ca.pem")
            outcome = await channel.tell(notice(), LONG)
            await channel.close()
        assert isinstance(outcome, NotTold) and outcome.mend

    async def test_one_that_hangs_does_not_keep_another_waiting(self, make: Make) -> None:
        async with Receiver(hang) as slow, Receiver(self.yes) as quick:
            channels = [make(receiver.base, None) for receiver in (slow, quick)]
            hanging = asyncio.create_task(channels[0].tell(notice(), LONG))
            assert isinstance(await channels[1].tell(notice(), LONG), Told)
            assert not hanging.done()
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            for channel in channels:
                await channel.close()

    async def test_a_second_notice_after_a_failure(self, make: Make) -> None:
        async with Receiver(reset) as receiver:
            channel = make(receiver.base, None)
            assert isinstance(await channel.tell(notice(), LONG), NotTold)
            receiver.answer = self.yes
            assert isinstance(await channel.tell(notice(), LONG), Told)
            await channel.close()

    async def test_closed_twice(self, make: Make) -> None:
        channel = make("http://127.0.0.1:1", None)
        await channel.close()
        await channel.close()
