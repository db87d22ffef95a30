"""The pool of connections and one attempt on one of them."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, replace

import aiosmtplib

from monitor.edge.dkim import DkimSigner
from monitor.edge.reply import clean, queue_id
from monitor.edge.smtp.line import Course, Ended, Garbled, Line, told
from monitor.edge.smtp.opening import Opener, TlsSource
from monitor.model.address import NotASeed, SeedList
from monitor.model.policy import PathPolicy, SmtpPath
from monitor.model.submission import MailSubmission, Misconfigured, Outcome, Postponed, Reply, Step, Submission, Taken
from monitor.ports import SecretError, Secrets, Signer


@dataclass(frozen=True, slots=True)
class Limits:
    """How connections are shared and kept."""

    connections: int = 4
    check_after: float = 10.0  # idle for this long: RSET must prove that it lives
    check_for: float = 5.0  # how long it may take to prove it
    idle: float = 60.0  # then QUIT: a relay logs its own timeout as an error of ours
    messages: int = 100


class _Stale(Exception):
    """A kept connection turned out to be dead before the relay had heard of this message."""


class SmtpSubmitter:
    """ports.Submitter for one relay."""

    def __init__(self, policy: PathPolicy, seeds: SeedList, secrets: Secrets, tls: TlsSource, limits: Limits | None = None) -> None:
        if not isinstance(policy.via, SmtpPath):
            raise TypeError(f"path {policy.name} is no smtp path")
        self._opener = Opener(policy.via, secrets, tls)
        self._signer: Signer | None = DkimSigner(policy.via.dkim, secrets) if policy.via.dkim else None
        self._seeds = seeds
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(self._limits.connections)
        self._idle: list[Line] = []
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        if not isinstance(submission, MailSubmission):
            raise TypeError("an smtp path takes finished messages")
        self._seeds.admit(submission.recipient)
        if fault := _fault_of(submission):
            return fault
        course = Course()
        try:
            async with asyncio.timeout(deadline), self._slots:
                return await self._attempt(replace(submission, message=await self._signed(submission.message)), course)
        except Ended as end:
            return end.outcome
        except NotASeed:
            raise
        except Exception as failure:  # nothing that the peer provokes in the library may escape (ports.Submitter)
            late = type(failure) is TimeoutError
            why = f"no answer to {course.asked} within {deadline:g} s" if late else told(failure)
            return course.lost(f"{self._opener.where}: {why}")

    async def reach(self, deadline: float) -> Outcome:
        course = Course()
        try:
            async with asyncio.timeout(deadline):
                await self._signed(b"From: nobody\r\n\r\n")
                self._keep(await self._opener.open(course))
        except Ended as end:
            return end.outcome
        except Exception as failure:  # as in submit
            why = f"no answer within {deadline:g} s" if type(failure) is TimeoutError else told(failure)
            return course.lost(f"{self._opener.where}: {why}")
        return Taken(Reply(250, f"{self._opener.where} answers and takes mail from us"))

    async def close(self) -> None:
        """Say QUIT on the idle connections. A running submission ends in its own time and closes its own."""
        self._closed = True
        while self._idle:
            self._dismiss(self._idle.pop())
        while self._farewells:
            await asyncio.wait(self._farewells)

    async def _signed(self, message: bytes) -> bytes:
        """The last thing that is done to a message before the wire."""
        if self._signer is None:
            return message
        try:
            return await asyncio.to_thread(self._signer.sign, message)
        except SecretError as error:
            mend = "make the key of dkim of this path readable, a private RSA key in PEM"
            raise Ended(Misconfigured(Step.DATA, clean(str(error)), mend)) from None

    async def _attempt(self, submission: MailSubmission, course: Course) -> Outcome:
        line = self._kept()
        if line is not None:
            with suppress(_Stale):
                return await self._use(line, submission, course, reused=True)
        # Once: a new connection that fails is news.
        return await self._use(await self._opener.open(course), submission, course, reused=False)

    async def _use(self, line: Line, submission: MailSubmission, course: Course, reused: bool) -> Outcome:
        in_step = False
        try:
            outcome = await self._deliver(line, submission, course, reused)
            in_step = True
            return outcome
        except Ended:
            in_step = True  # a refusal is an answer like any other
            raise
        finally:
            if in_step and line.alive:
                self._keep(line)
            else:
                line.discard()

    async def _deliver(self, line: Line, submission: MailSubmission, course: Course, reused: bool) -> Outcome:
        """One message to one recipient (RFC 5321 section 3.3)."""
        try:
            if reused:
                await self._prove(line, course)
            course.step = Step.MAIL_FROM
            await line.begin(submission)
        except (aiosmtplib.SMTPServerDisconnected, OSError, Garbled) as failure:
            if reused:
                raise _Stale from failure
            raise
        except Ended as end:
            # 421: the relay has given up on this connection, not on the message.
            if reused and isinstance(end.outcome, Postponed) and end.outcome.reply.code == 421:
                raise _Stale from end
            raise
        recipient = self._seeds.admit(submission.recipient)  # here again, where it cannot be walked around
        course.step = Step.RCPT_TO
        await line.say(b"RCPT", b"TO:<%s>" % str(recipient).encode("ascii"), step=Step.RCPT_TO)
        course.step = Step.DATA
        await line.say(b"DATA", step=Step.DATA, positive=3)
        reply = await line.hand_over(submission.message, course)
        return Taken(reply=reply, queue_id=queue_id(reply.text))

    async def _prove(self, line: Line, course: Course) -> None:
        """RSET rather than NOOP: it also ends a transaction that was refused half way."""
        course.step = Step.CONNECT
        idle = asyncio.get_running_loop().time() - line.idle_since
        if not line.in_transaction and idle < self._limits.check_after:
            return
        try:
            async with asyncio.timeout(self._limits.check_for):
                await line.say(b"RSET", step=Step.CONNECT)
        except Ended as end:
            raise _Stale from end
        line.in_transaction = False

    def _kept(self) -> Line | None:
        """The one used last, so that those no longer needed come to their end."""
        while self._idle:
            line = self._idle.pop()
            if line.expiry is not None:
                line.expiry.cancel()
            if line.alive:
                return line
            line.discard()
        return None

    def _keep(self, line: Line) -> None:
        if self._closed or line.messages >= self._limits.messages or self._limits.idle <= 0:
            self._dismiss(line)
            return
        loop = asyncio.get_running_loop()
        line.idle_since = loop.time()
        line.expiry = loop.call_later(self._limits.idle, self._expire, line)
        self._idle.append(line)

    def _expire(self, line: Line) -> None:
        if line in self._idle:
            self._idle.remove(line)
            self._dismiss(line)

    def _dismiss(self, line: Line) -> None:
        task = asyncio.create_task(line.farewell())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


def _fault_of(submission: MailSubmission) -> Misconfigured | None:
    """What must never reach the wire. A bare CR or LF would be changed on the way, which breaks signatures, or end the data early."""
    if re.search(rb"(?<!\r)\n|\r(?!\n)", submission.message):
        return Misconfigured(Step.DATA, "the message has a bare CR or LF", "mend the template; lines end in CRLF")
    for address in (submission.envelope_sender, submission.recipient):
        if re.search(r"[^!-~]|[<>]", str(address)):
            return Misconfigured(Step.MAIL_FROM, "an envelope address is not plain ASCII", "mend the address in the configuration")
    return None
