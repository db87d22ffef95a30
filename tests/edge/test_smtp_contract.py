"""The contract on the fake and on real aiosmtpd servers, plain, STARTTLS and implicit TLS, all with AUTH."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.model.address import Address
from monitor.model.policy import Security
from monitor.model.submission import (
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Reply,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from tests.edge.conftest import Authority
from tests.edge.submitter_contract import Mood, SubmitterContract
from tests.fakes.paths import MESSAGE, PASSWORD, SEED, SEEDS, StubSecrets, mail, smtp_policy
from tests.fakes.submitter import TAKEN, FakeSubmitter


class FakeBench:
    outcomes: ClassVar[dict[Mood, Outcome]] = {
        Mood.TAKES: TAKEN,
        Mood.POSTPONES: Postponed(Step.RCPT_TO, Reply(451, "greylisted")),
        Mood.DECLINES: Declined(Step.RCPT_TO, Reply(550, "no such user")),
        Mood.FORBIDS: Misconfigured(Step.AUTH, "535", "check RELAY_PASSWORD"),
        Mood.LOSES: Unanswered(Step.DATA, "lost"),
        Mood.SILENT: Unanswered(Step.DATA, "no answer"),
        Mood.AWAY: Unreached(Step.CONNECT, "refused"),
    }

    def __init__(self) -> None:
        self.submitter = FakeSubmitter(SEEDS)

    def submission(self, recipient: Address) -> Submission:
        return mail(recipient)

    async def mood(self, mood: Mood) -> None:
        self.submitter.outcomes[SEED.base] = [self.outcomes[mood]]

    @property
    def received(self) -> int:
        return len(self.submitter.submissions)

    touched = received


class TestFake(SubmitterContract):
    @pytest.fixture
    def bench(self) -> FakeBench:
        return FakeBench()

    async def test_a_cancelled_attempt_leaves_no_trace_on_the_next(self, bench: FakeBench) -> None:  # type: ignore[override]
        """The fake never waits."""


class Handler:
    """An aiosmtpd handler with moods."""

    def __init__(self) -> None:
        self.mood = Mood.TAKES
        self.envelopes: list[Envelope] = []
        self.sessions: set[int] = set()
        self.arrived = asyncio.Event()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.mood is Mood.POSTPONES:
            return "451 4.7.1 Greylisted, try again in 5 minutes"
        if self.mood is Mood.DECLINES:
            return "550 5.1.1 User unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        self.arrived.set()
        if self.mood is Mood.LOSES:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        if self.mood is Mood.SILENT:
            await asyncio.Event().wait()
        return f"250 2.0.0 Ok: queued as {len(self.envelopes):04X}"

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=right and self.mood is not Mood.FORBIDS, handled=False)


class AiosmtpdBench:
    def __init__(self, security: Security, authority: Authority, contexts: TlsContexts) -> None:
        self.security = security
        self.authority = authority
        self.handler = Handler()
        self.contexts = contexts
        self.connections = 0

    async def start(self) -> None:
        inner: ssl.SSLContext = self.authority.server()

        def connection() -> SMTP:
            self.connections += 1
            with warnings.catch_warnings(action="ignore"):  # aiosmtpd dislikes AUTH without TLS, and rightly so
                return self.session(inner)

        outer = inner if self.security is Security.TLS else None
        self.server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=outer)
        port = self.server.sockets[0].getsockname()[1]
        policy = smtp_policy(port, self.security, self.authority.ca_file, username="shop")
        self.submitter = SmtpSubmitter(policy, SEEDS, StubSecrets(), self.contexts.get)

    def session(self, context: ssl.SSLContext) -> SMTP:
        return SMTP(
            self.handler,
            hostname="relay.test",
            authenticator=self.handler.login,
            auth_required=True,
            auth_require_tls=self.security is Security.STARTTLS,
            tls_context=context if self.security is Security.STARTTLS else None,
            require_starttls=self.security is Security.STARTTLS,
            loop=asyncio.get_running_loop(),
        )

    def submission(self, recipient: Address) -> Submission:
        return mail(recipient)

    async def mood(self, mood: Mood) -> None:
        self.handler.mood = mood
        if mood is Mood.AWAY:
            self.server.close()
            await self.server.wait_closed()

    @property
    def received(self) -> int:
        return len(self.handler.envelopes)

    @property
    def touched(self) -> int:
        return self.connections

    async def arrival(self) -> None:
        await self.handler.arrived.wait()

    async def stop(self) -> None:
        await self.submitter.close()
        self.server.close()
        await self.server.wait_closed()


class TestAiosmtpd(SubmitterContract):
    @pytest.fixture(params=list(Security))
    async def bench(self, request: pytest.FixtureRequest, authority: Authority, contexts: TlsContexts) -> AsyncIterator[AiosmtpdBench]:
        bench = AiosmtpdBench(request.param, authority, contexts)
        await bench.start()
        yield bench
        await bench.stop()

    async def test_what_the_relay_got(self, bench: AiosmtpdBench) -> None:
        outcome = await bench.submitter.submit(bench.submission(SEED.tagged("t0k3n")), 30)
        assert outcome == Taken(Reply(250, "Ok: queued as 0001", "2.0.0"), queue_id="0001")
        [envelope] = bench.handler.envelopes
        assert envelope.mail_from == "refunds+0123456789ab@shop.test"
        assert envelope.rcpt_tos == ["Seed+t0k3n@inbox.test"]
        assert envelope.original_content == MESSAGE

    async def test_one_connection_serves_one_after_the_other(self, bench: AiosmtpdBench) -> None:
        for _ in range(3):
            assert isinstance(await bench.submitter.submit(mail(), 30), Taken)
        assert bench.connections == 1

    async def test_eight_bits_and_many_dots_arrive_as_they_are(self, bench: AiosmtpdBench) -> None:
        message = "Subject: ä\r\n\r\n.\r\n..\r\n.£10\r\n.".encode() + b"x" * 900 + b"\r\n.\r\n" * 30_000
        assert isinstance(await bench.submitter.submit(mail(message=message), 30), Taken)
        assert bench.handler.envelopes[0].original_content == message
