"""Connections: TLS in all its failures, reuse, what makes one be thrown away, and how many there are."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from monitor.edge.smtp import Limits, SmtpSubmitter
from monitor.edge.smtp.opening import is_loopback
from monitor.edge.tls import TlsContexts
from monitor.model.policy import Security
from monitor.model.submission import Declined, Misconfigured, Outcome, Postponed, Step, Taken, Unanswered, Unreached
from tests.edge.conftest import Authority
from tests.fakes.paths import SEED, SEEDS, StubSecrets, mail, smtp_policy
from tests.fakes.relay import Act, Peer, Play, ScriptedRelay, drop, hold

LONG = 30.0
AT_ONCE = Limits(check_after=0.0)  # every reuse is proved


def submitter_for(relay: ScriptedRelay, limits: Limits | None = None, **policy: object) -> SmtpSubmitter:
    return SmtpSubmitter(smtp_policy(relay.port, **policy), SEEDS, StubSecrets(), TlsContexts().get, limits)  # type: ignore[arg-type]


def upgrade(context: ssl.SSLContext, before: bytes = b"220 2.0.0 go\r\n") -> Act:
    async def act(peer: Peer) -> None:
        await peer.say(before)
        await peer.secure(context)

    return act


OFFERS: Play = {"EHLO": b"250-relay.test\r\n250 STARTTLS\r\n"}
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


class TestTls:
    """Both kinds of TLS meet the same certificates."""

    @pytest.fixture(params=[Security.TLS, Security.STARTTLS])
    def security(self, request: pytest.FixtureRequest) -> Security:
        kind: Security = request.param
        return kind

    async def attempt(self, security: Security, context: ssl.SSLContext, ca_file: str | None) -> Outcome:
        implicit = security is Security.TLS
        play: Play = {} if implicit else OFFERS | {"STARTTLS": upgrade(context)}
        async with ScriptedRelay(play, tls=context if implicit else None) as relay:
            submitter = submitter_for(relay, security=security, ca_file=ca_file)
            outcome = await submitter.submit(mail(), LONG)
            await submitter.close()
            if not isinstance(outcome, Taken):
                assert not any("MAIL" in verbs for verbs in relay.heard)
        return outcome

    async def test_trusted(self, security: Security, authority: Authority) -> None:
        assert isinstance(await self.attempt(security, authority.server(), authority.ca_file), Taken)

    async def test_expired(self, security: Security, authority: Authority) -> None:
        context = authority.server("127.0.0.1", not_before=YESTERDAY - datetime.timedelta(days=9), not_after=YESTERDAY)
        outcome = await self.attempt(security, context, authority.ca_file)
        assert isinstance(outcome, Unreached)
        assert outcome.step is Step.TLS
        assert "certificate has expired" in outcome.detail

    async def test_other_name(self, security: Security, authority: Authority) -> None:
        outcome = await self.attempt(security, authority.server("elsewhere.test"), authority.ca_file)
        assert isinstance(outcome, Unreached)
        assert outcome.step is Step.TLS
        assert "mismatch" in outcome.detail

    async def test_untrusted(self, security: Security, authority: Authority, tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        outcome = await self.attempt(security, authority.server(), str(other))
        assert isinstance(outcome, Unreached)
        assert outcome.step is Step.TLS
        assert "certificate refused" in outcome.detail

    @pytest.mark.parametrize("content", [None, "no certificate"])
    async def test_bad_ca_file(self, security: Security, authority: Authority, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        outcome = await self.attempt(security, authority.server(), str(file))
        assert isinstance(outcome, Misconfigured)
        assert outcome.step is Step.TLS
        assert str(file) in outcome.detail
        assert "ca_file" in outcome.mend

    async def test_any_source_of_contexts_may_fail_with_oserror(self, security: Security) -> None:
        def unreadable(_: str | None) -> ssl.SSLContext:
            raise PermissionError(13, "Permission denied")

        outcome = await SmtpSubmitter(smtp_policy(25, security), SEEDS, StubSecrets(), unreadable).submit(mail(), LONG)
        assert isinstance(outcome, Misconfigured)
        assert "Permission denied" in outcome.detail


async def test_implicit_tls_to_a_plain_port(authority: Authority) -> None:
    async with ScriptedRelay() as relay:
        outcome = await submitter_for(relay, security=Security.TLS, ca_file=authority.ca_file).submit(mail(), LONG)
    assert isinstance(outcome, Unreached)
    assert outcome.step is Step.TLS
    assert "TLS failed" in outcome.detail


STARTTLS_ROWS: dict[str, tuple[Play, type[Outcome], str]] = {
    "not offered": ({}, Unreached, "offers no STARTTLS"),
    "only HELO": ({"EHLO": b"502 no\r\n"}, Unreached, "offers no STARTTLS"),
    "454": (OFFERS | {"STARTTLS": b"454 4.7.0 TLS not available\r\n"}, Postponed, "454 4.7.0 TLS not available"),
    "501": (OFFERS | {"STARTTLS": b"501 5.5.4 no\r\n"}, Declined, "501 5.5.4 no"),
    "drop": (OFFERS | {"STARTTLS": drop}, Unreached, "closed the connection"),
    "no TLS after 220": (OFFERS | {"STARTTLS": b"220 go\r\n"}, Unreached, "TLS failed"),
}


@pytest.mark.parametrize("row", STARTTLS_ROWS)
async def test_starttls(row: str) -> None:
    play, kind, words = STARTTLS_ROWS[row]
    if row == "no TLS after 220":
        play = play | {"STARTTLS": plain_after_220}
    async with ScriptedRelay(play) as relay:
        outcome = await submitter_for(relay, security=Security.STARTTLS, username="shop").submit(mail(), LONG)
    assert type(outcome) is kind
    assert getattr(outcome, "step", None) is Step.TLS
    assert words in (str(outcome.reply) if isinstance(outcome, Declined | Postponed) else outcome.detail)  # type: ignore[union-attr]
    assert not {"AUTH", "MAIL"} & set(relay.heard[0])


async def plain_after_220(peer: Peer) -> None:
    await peer.say(b"220 go\r\n")
    await peer.reader.read(1)  # the client's hello
    await peer.say(b"250 welcome in plain text\r\n")


async def test_starttls_injection(authority: Authority) -> None:
    """What a man in the middle adds to the 220 is thrown away, and so is what EHLO offered in plain text (RFC 3207 section 4.2)."""

    async def secured(peer: Peer) -> None:
        await peer.say(b"220 go\r\n250-evil.test\r\n250 AUTH PLAIN\r\n")
        await peer.secure(authority.server())

    greetings: list[bytes] = [b"250-relay.test\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", b"250 relay.test\r\n"]

    async def greet(peer: Peer) -> None:
        await peer.say(greetings.pop(0))

    async with ScriptedRelay({"EHLO": greet, "STARTTLS": secured}) as relay:
        submitter = submitter_for(relay, security=Security.STARTTLS, ca_file=authority.ca_file, username="shop")
        outcome = await submitter.submit(mail(), LONG)
    assert relay.heard == [["EHLO", "STARTTLS", "EHLO"]]
    assert isinstance(outcome, Misconfigured)
    assert "no AUTH" in outcome.detail


async def play_through(relay: ScriptedRelay, *kinds: type[Outcome], limits: Limits | None = None) -> None:
    """One submission after the other, each after the relay saw the last connection go, if it went."""
    submitter = submitter_for(relay, limits)
    for kind in kinds:
        outcome = await submitter.submit(mail(), LONG)
        assert type(outcome) is kind
        if relay.peers[-1].writer.is_closing():
            await relay.peers[-1].gone.wait()
    await submitter.close()


TRANSACTION = ["MAIL", "RCPT", "DATA"]


async def test_reuse() -> None:
    async with ScriptedRelay() as relay:
        await play_through(relay, Taken, Taken)
    assert relay.heard == [["EHLO", *TRANSACTION, *TRANSACTION, "QUIT"]]


async def test_an_idle_connection_is_proved_first() -> None:
    async with ScriptedRelay() as relay:
        await play_through(relay, Taken, Taken, limits=AT_ONCE)
    assert relay.heard == [["EHLO", *TRANSACTION, "RSET", *TRANSACTION, "QUIT"]]


async def test_a_refused_transaction_is_reset_before_the_next() -> None:
    async with ScriptedRelay({"RCPT": b"550 5.1.1 no\r\n"}) as relay:
        await play_through(relay, Declined, Declined)
    assert relay.heard == [["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "QUIT"]]


@pytest.mark.parametrize(
    "answer", [drop, b"421 4.4.2 idle for too long\r\n", b"502 5.5.2 what?\r\n", b"what?\r\n", b"250 a\r\n250 b\r\n", hold]
)
async def test_a_connection_dead_before_mail_is_reopened_once(answer: Act) -> None:
    async with ScriptedRelay({"RSET": answer}, {}) as relay:
        await play_through(relay, Taken, Taken, limits=Limits(check_after=0.0, check_for=0.2))
    assert relay.heard[1] == ["EHLO", *TRANSACTION, "QUIT"]
    assert len(relay.messages) == 2


async def test_a_connection_closed_while_idle_is_replaced_unasked() -> None:
    async with ScriptedRelay({"end": dismissing}, {}) as relay:
        submitter = submitter_for(relay)
        assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await relay.peers[0].gone.wait()
        assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await submitter.close()
    assert len(relay.peers) == 2


async def dismissing(peer: Peer) -> None:
    await peer.say(b"250 2.0.0 Ok\r\n421 4.3.2 restarting\r\n")
    peer.drop()


@pytest.mark.parametrize("answer", [drop, b"421 4.7.0 enough\r\n"])
async def test_a_kept_connection_that_ends_at_mail_is_reopened(answer: Act) -> None:
    """It may die between the proof and MAIL; nothing was handed over."""
    async with ScriptedRelay({"MAIL": second_time(b"250 ok\r\n", answer)}, {}) as relay:
        await play_through(relay, Taken, Taken)
    assert len(relay.messages) == 2
    assert len(relay.peers) == 2


async def test_reopened_only_once() -> None:
    async with ScriptedRelay({"RSET": drop}, {"MAIL": drop}) as relay:
        await play_through(relay, Taken, Unreached, limits=AT_ONCE)
    assert len(relay.peers) == 2


@pytest.mark.parametrize("answer", [drop, b"421 4.7.0 enough\r\n"])
async def test_a_new_connection_that_ends_at_mail_is_news(answer: Act) -> None:
    async with ScriptedRelay({"MAIL": answer}, {}) as relay:
        await play_through(relay, Unreached if answer is drop else Postponed)
    assert len(relay.peers) == 1


async def test_421_ends_the_connection_at_any_step() -> None:
    async with ScriptedRelay({"end": b"421 4.3.0 shutting down\r\n"}, {}) as relay:
        await play_through(relay, Postponed, Taken)
    assert relay.heard[0] == ["EHLO", *TRANSACTION]
    assert len(relay.peers) == 2


async def test_a_lost_reply_is_never_resent_on_a_kept_connection() -> None:
    async with ScriptedRelay({"end": second_time(b"250 ok\r\n", drop)}, {}) as relay:
        await play_through(relay, Taken, Unanswered)
    assert len(relay.peers) == 1
    assert len(relay.messages) == 2


def second_time(first: bytes, then: Act) -> Act:
    seen: list[Peer] = []

    async def act(peer: Peer) -> None:
        seen.append(peer)
        if len(seen) == 1:
            await peer.say(first)
        elif isinstance(then, bytes):
            await peer.say(then)
            peer.drop()
        else:
            await then(peer)

    return act


async def test_an_unfinished_exchange_is_never_read_by_the_next() -> None:
    """libraries.md section 3: after a cancellation the library would take the late 250 for the answer to the next command."""
    asked = asyncio.Event()

    async def silent(peer: Peer) -> None:
        asked.set()
        await hold(peer)

    async with ScriptedRelay({"MAIL": silent}, {}) as relay:
        submitter = submitter_for(relay)
        attempt = asyncio.create_task(submitter.submit(mail(), LONG))
        await asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await relay.peers[0].gone.wait()
        assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await submitter.close()
    assert relay.heard[1] == ["EHLO", *TRANSACTION, "QUIT"]


async def test_no_more_connections_than_the_pool_has() -> None:
    full = asyncio.Event()
    go = asyncio.Event()
    waiting = 0

    async def gather_up(peer: Peer) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            full.set()
        await go.wait()
        await peer.say(b"250 2.0.0 Ok\r\n")

    async with ScriptedRelay({"end": gather_up}) as relay:
        submitter = submitter_for(relay, Limits(connections=2))
        attempts = [asyncio.create_task(submitter.submit(mail(), LONG)) for _ in range(5)]
        await full.wait()
        assert len(relay.peers) == 2
        go.set()
        assert {type(outcome) for outcome in await asyncio.gather(*attempts)} == {Taken}
        await submitter.close()
    assert len(relay.peers) == 2
    assert len(relay.messages) == 5


async def test_a_full_pool_counts_against_the_deadline() -> None:
    async with ScriptedRelay({"end": hold}) as relay:
        submitter = submitter_for(relay, Limits(connections=1))
        first = asyncio.create_task(submitter.submit(mail(), LONG))
        await relay.came.wait()
        outcome = await submitter.submit(mail(), 0.2)
        assert isinstance(outcome, Unreached)
        assert outcome.step is Step.CONNECT
        first.cancel()
        await asyncio.wait([first])
    assert len(relay.peers) == 1


@pytest.mark.parametrize("limits", [Limits(messages=2), Limits(idle=0.0)])
async def test_a_connection_ends_with_quit(limits: Limits) -> None:
    async with ScriptedRelay() as relay:
        submitter = submitter_for(relay, limits)
        for _ in range(limits.messages if limits.messages < 100 else 1):
            assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await relay.peers[0].gone.wait()
        assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await submitter.close()
    assert relay.heard[0][-1] == "QUIT"
    assert len(relay.peers) == 2


async def test_an_idle_connection_ends_by_itself() -> None:
    async with ScriptedRelay() as relay:
        submitter = submitter_for(relay, Limits(idle=0.05))
        assert isinstance(await submitter.submit(mail(), LONG), Taken)
        await relay.peers[0].gone.wait()  # no close() here
        await submitter.close()
    assert relay.heard[0][-1] == "QUIT"


async def test_close_does_not_wait_for_a_relay_that_ignores_quit() -> None:
    async with ScriptedRelay({"QUIT": hold}) as relay:
        submitter = submitter_for(relay)
        await submitter.submit(mail(), LONG)
        await submitter.close()
        await relay.peers[0].gone.wait()


async def test_closed_while_submitting() -> None:
    go = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await go.wait()
        await peer.say(b"250 ok\r\n")

    async with ScriptedRelay({"RCPT": wait}) as relay:
        submitter = submitter_for(relay)
        attempt = asyncio.create_task(submitter.submit(mail(SEED), LONG))
        await relay.came.wait()
        await submitter.close()
        go.set()
        assert isinstance(await attempt, Taken)
        await relay.peers[0].gone.wait()


@pytest.mark.parametrize(
    ("peername", "loopback"),
    [
        (("127.0.0.1", 25), True),
        (("127.8.9.1", 25), True),
        (("::1", 25, 0, 0), True),
        (("fe80::1%eth0", 25, 0, 2), False),
        (("10.0.0.1", 25), False),
        (("192.0.2.1", 25), False),
        (("localhost", 25), False),
        ("/run/relay", False),
        (None, False),
        ((), False),
    ],
)
def test_loopback(peername: object, loopback: bool) -> None:
    assert is_loopback(peername) is loopback


_: Callable[[str | None], ssl.SSLContext] = TlsContexts().get  # the type that the submitters take
