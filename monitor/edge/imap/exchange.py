"""One command and what comes of it, as events in a queue between the loop's callbacks and the owner task."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from monitor.edge.imap.stream import Response
from monitor.ports import MailboxError


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command ended, and the untagged responses that it asked for."""

    status: str
    code: bytes
    text: bytes
    responses: tuple[Response, ...]
    codes: dict[bytes, bytes]
    challenges: tuple[bytes, ...] = ()  # continuations that we gave up on

    @property
    def ok(self) -> bool:
        return self.status == "OK"

    @property
    def said(self) -> bytes:
        """The server's words."""
        return (b"[" + self.code + b"] " if self.code else b"") + self.text or self.status.encode()


class Announced:
    """An event in IDLE: something changed."""


class Nudged:
    """An event in IDLE: our own side wants the connection back."""


ANNOUNCED = Announced()
NUDGED = Nudged()
Event = Reply | bytes | Announced | Nudged | MailboxError


@dataclass(slots=True, eq=False)
class Exchange:
    """The one command that is under way. Events queue up, so none is lost between two awaits."""

    tag: bytes
    verb: str
    collect: frozenset[bytes] = frozenset()
    selects: bool = False  # the counts that it brings are the folder's size, no news
    patient: bool = False  # BYE comes before the reason (LOGIN, LOGOUT)
    secures: bool = False  # STARTTLS: nothing after its OK is the server's
    responses: list[Response] = field(default_factory=list)
    codes: dict[bytes, bytes] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=deque)
    waiter: asyncio.Future[None] | None = None

    def put(self, event: Event) -> None:
        self.events.append(event)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def event(self) -> Reply | bytes | Announced | Nudged:
        while not self.events:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        event = self.events.popleft()
        if isinstance(event, MailboxError):
            raise event
        return event

    async def reply(self) -> Reply:
        while not isinstance(event := await self.event(), Reply):
            pass
        return event
