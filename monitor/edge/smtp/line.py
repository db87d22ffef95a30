"""One connection to a relay: commands, replies, and what went wrong, in our own words."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

import aiosmtplib

from monitor.edge.reply import clean, smtp_reply
from monitor.model.submission import Declined, MailSubmission, Outcome, Postponed, Reply, Step, Unanswered, Unreached

_PIECE = 32 * 1024
_FAREWELL = 1.0
_GARBLED = -1  # the library's code for a line that is no reply

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class Course:
    """How far one attempt has come."""

    step: Step = Step.CONNECT
    ended: bool = False  # the final dot was handed to the transport: the relay may have the whole message

    def lost(self, detail: str) -> Outcome:
        """Without the end of data nothing was taken (RFC 5321 section 4.1.1.4); after it only the reply can tell (section 6.1)."""
        return Unanswered(Step.DATA, clean(detail)) if self.ended else Unreached(self.step, clean(detail))

    @property
    def asked(self) -> str:
        return "the end of the message" if self.ended else self.step.value


class Ended(Exception):
    """The attempt has its outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class Garbled(Exception):
    """The peer does not speak SMTP, or answers what nobody asked; its later words mean nothing."""


class Line:
    """One connection, used by one attempt at a time. `hidden`: what must not show when the peer echoes it."""

    def __init__(self, client: aiosmtplib.SMTP, hidden: tuple[str, ...] = ()) -> None:
        self.client = client
        self.hidden = hidden
        self.messages = 0
        self.idle_since = 0.0
        self.expiry: asyncio.TimerHandle | None = None
        self.in_transaction = False  # MAIL FROM was said, and neither the end of data nor RSET came after it

    @property
    def alive(self) -> bool:
        return self.client.is_connected

    async def ask(self, call: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """One call of the library, sure that what it reads is the answer to what it says."""
        if self.client.protocol is not None and self.client.protocol._buffer:
            raise Garbled("the relay sent a reply that nobody asked for")
        try:
            return await call(*args, **kwargs)
        except aiosmtplib.SMTPResponseException as failure:
            if failure.code == _GARBLED:
                said = failure.message.removeprefix("Malformed SMTP response line: ")
                raise Garbled(f"the relay's answer is not SMTP: {clean(said, self.hidden)}") from None
            raise

    async def say(self, *words: bytes, step: Step, positive: int = 2) -> Reply:
        """One command and its reply; any but a `positive` reply (its first digit) ends the attempt."""
        answer = await self.ask(self.client.execute_command, *words)
        return self._accept(answer, step, positive)

    async def greet(self, step: Step) -> None:
        """EHLO, and HELO for a server that knows no EHLO (RFC 5321 section 3.2)."""
        try:
            await self.ask(self.client.ehlo)
        except aiosmtplib.SMTPHeloError as refusal:
            if refusal.code // 100 != 5 or not self.alive:
                raise refused(step, smtp_reply(refusal.code, refusal.message)) from None
        else:
            return
        try:
            await self.ask(self.client.helo)
        except aiosmtplib.SMTPHeloError as refusal:
            raise refused(step, smtp_reply(refusal.code, refusal.message)) from None

    async def begin(self, submission: MailSubmission) -> None:
        """MAIL. SIZE lets the relay refuse before it has read all (RFC 1870); BODY declares 8-bit content (RFC 6152)."""
        options = []
        if self.client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(submission.message))
        if self.client.supports_extension("8bitmime") and not submission.message.isascii():
            options.append(b"BODY=8BITMIME")
        self.in_transaction = True
        await self.say(b"MAIL", b"FROM:<%s>" % str(submission.envelope_sender).encode("ascii"), *options, step=Step.MAIL_FROM)

    async def hand_over(self, message: bytes, course: Course) -> Reply:
        """The content after 354, dot-stuffed, and its end (RFC 5321 section 4.5.2). Not the library's data(): that hides whether the
        end went out."""
        stuffed = stuff(message)
        pieces = [stuffed[at : at + _PIECE] for at in range(0, len(stuffed), _PIECE)]
        self.messages += 1
        answer = await self.ask(self._send, pieces, course)
        if not course.ended:
            # A reply before the end of data: a refusal is a refusal, anything else is nonsense. What the relay would make of the
            # rest is unknown, so the connection is of no more use.
            self.discard()
            raise refused(Step.DATA, smtp_reply(answer.code, answer.message, self.hidden))
        reply = self._accept(answer, Step.DATA, 2)
        self.in_transaction = False
        return reply

    async def _send(self, pieces: list[bytes], course: Course) -> aiosmtplib.SMTPResponse:
        protocol = self.client.protocol
        if protocol is None or protocol._response_waiter is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol._response_pending = True  # as the library's own execute_data_command does: else an early reply would be dropped
        early = protocol._response_waiter
        for piece in pieces[:-1]:
            with suppress(ConnectionError):  # then `early` knows, and better
                protocol.write(piece)
                await protocol._drain_helper()
            if early.done():
                return await protocol.read_response()
        # The last piece bears the final dot. From here on the relay may have it all, even if this very write fails.
        course.ended = True
        protocol.write(pieces[-1])
        return await protocol.read_response()

    def _accept(self, answer: aiosmtplib.SMTPResponse, step: Step, positive: int) -> Reply:
        reply = smtp_reply(answer.code, answer.message, self.hidden)
        if reply.code // 100 == positive:
            return reply
        if reply.code == 421:  # the relay is closing (RFC 5321 section 3.8)
            self.client.close()
        raise refused(step, reply)

    def discard(self) -> None:
        """Drop the connection now. abort, not close: close would still send what waits in the buffer."""
        if self.expiry is not None:
            self.expiry.cancel()
        if self.client.transport is not None:
            cast(asyncio.Transport, self.client.transport).abort()
        self.client.close()

    async def farewell(self) -> None:
        """QUIT (RFC 5321 section 4.1.1.10), briefly, and drop. Not client.quit(): its TLS shutdown outlives us, and a loop that ends in the
        midst of it cannot be closed."""
        try:
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL):
                    await self.client.execute_command(b"QUIT")
        finally:
            self.discard()


def refused(step: Step, reply: Reply) -> Exception:
    """4yz or 5yz as the outcome that it is; any other code is a surprise here."""
    match reply.code // 100:
        case 4:
            return Ended(Postponed(step, reply))
        case 5:
            return Ended(Declined(step, reply))
        case _:
            return Garbled(f"unexpected reply to {step.value}: {reply}")


def stuff(message: bytes) -> bytes:
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


def told(failure: BaseException) -> str:
    """The failure in plain words; what lies beneath says more than the library's wrapper."""
    cause = failure.__cause__ if isinstance(failure, aiosmtplib.SMTPException) and isinstance(failure.__cause__, OSError) else failure
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate refused: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or 'handshake error'}"
    if isinstance(cause, socket.gaierror):
        return f"the host name does not resolve: {cause.strerror}"
    if isinstance(cause, aiosmtplib.SMTPServerDisconnected | ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return "the relay closed the connection"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, Garbled | OSError):
        return str(cause) or type(cause).__name__
    return f"{type(cause).__name__} in the SMTP dialogue"  # without its text: it may quote what we said
