"""Servers that are silent, endless, confused or somebody else: one clear error in bounded time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from monitor.edge.imap.stream import MAX_LITERAL
from monitor.edge.tls import TlsContexts
from monitor.model.mail import BlindCause, Mark
from monitor.model.policy import LoginMethod, Security
from monitor.ports import MailboxError
from tests.edge.conftest import Authority
from tests.edge.imap.accounts import mailbox, policy
from tests.edge.imap.scripted import Peer, serving
from tests.edge.imap.test_traps import INBOX, LONG, message
from tests.edge.mailbox_contract import now


async def flood(peer: Peer, piece: bytes) -> None:
    """Send without end, as fast as the client takes it."""
    with contextlib.suppress(ConnectionError):
        while True:
            peer.raw(piece)
            await peer.writer.drain()


async def refused(port: int, **options: object) -> MailboxError:
    with pytest.raises(MailboxError) as caught:
        await mailbox(policy(port, **options), timeout=0.3).open()  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("security", list(Security))
async def test_a_server_that_never_answers(security: Security) -> None:
    async with serving(lambda peer: peer.gone()) as port:
        error = await refused(port, security=security)
    assert error.cause is BlindCause.TIMEOUT and "0.3 s" in error.detail


async def test_a_server_that_falls_silent_at_each_step() -> None:
    step = 0

    async def script(peer: Peer) -> None:
        steps = [
            lambda: peer.send(b"* OK hello"),
            lambda: peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1"),
            lambda: peer.answer(b"LOGIN"),
        ]
        for act in steps[:step]:
            if (waiting := act()) is not None:
                await waiting
        await peer.gone()

    async with serving(script) as port:
        for silent in ("greeting", "CAPABILITY", "LOGIN", "CAPABILITY"):
            error = await refused(port)
            assert error.cause is BlindCause.TIMEOUT and silent in error.detail
            step += 1


@pytest.mark.parametrize(
    "piece",
    [
        b"x" * 65536,
        b"* OK " + b"y" * 100_000 + b"\r\n",
        b"* SEARCH 1\r\n",
        b"* 1 FETCH (BODY[] {0}\r\n",
        b"\r\n" * 1000,
        b"* 1 FETCH (BODY[]<0> {5}\r\n",
    ],
)
@pytest.mark.parametrize("when", ["greeting", "search", "idle"])
async def test_a_server_without_end(piece: bytes, when: str) -> None:
    async def script(peer: Peer) -> None:
        if when != "greeting":
            await peer.welcome()
            await peer.examine()
            await (peer.begin_idle() if when == "idle" else peer.hear(b"UID SEARCH"))
        await flood(peer, piece)

    async with serving(script) as port:
        box = mailbox(policy(port))
        with pytest.raises(MailboxError) as caught:
            await box.open()
            await (box.idle(LONG) if when == "idle" else box.look(INBOX, None, now()))
        assert caught.value.cause is BlindCause.PROTOCOL


@pytest.mark.parametrize("size", [MAX_LITERAL + 1, 40_000_000, 10**18])
async def test_a_giant_literal_is_refused_before_it_comes(size: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.hear(b"UID FETCH 7:*")
        peer.send(b"* 1 FETCH (UID 7 BODY[] {%d}" % size)
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError, match=str(size)) as caught:
            await box.look(INBOX, Mark(5, 7), now())
        assert caught.value.cause is BlindCause.PROTOCOL


@pytest.mark.parametrize("hello", [b"220 mx.test ESMTP", b"HTTP/1.1 400 Bad Request", b"", b"* ", b"\x16\x03\x01"])
async def test_a_server_that_is_no_imap_server(hello: bytes) -> None:
    async def script(peer: Peer) -> None:
        peer.send(hello)
        await peer.gone()

    async with serving(script) as port:
        error = await refused(port)
    assert error.cause is BlindCause.PROTOCOL and error.mend


async def test_a_tagged_answer_that_is_none() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        tag = await peer.hear(b"EXAMINE")
        peer.send(tag + b" MAYBE")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.look(INBOX, None, now())
        assert caught.value.cause is BlindCause.PROTOCOL


async def test_a_message_cannot_speak_for_the_server() -> None:
    fake = b"x\r\nA1 OK done\r\n* BYE\r\n* 99 EXISTS\r\n)\r\n* 1 FETCH (UID 8 BODY[] {3}\r\nabc)\r\n{12}\r\n"

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID FETCH 7:*", message(7, fake))
        await peer.end_idle(await peer.begin_idle())
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 7), now())
        assert [(copy.uid, copy.raw) for copy in look.copies] == [(7, fake)]
        assert await box.idle(0.05) is False
        await box.close()


async def test_too_many_folders_are_refused_rather_than_left_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(folders=tuple(b'* LIST () "/" f%d' % number for number in range(600)))
        await peer.gone()

    async with serving(script) as port:
        error = await refused(port)
    assert error.cause is BlindCause.MISCONFIGURED and "601" in error.detail


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["198.51.100.7", "imap.example.org", "localhost.example.org", "::ffff:198.51.100.7"])
async def test_plain_to_another_host_is_refused_without_a_connection(host: str) -> None:
    with pytest.raises(MailboxError) as caught:
        await mailbox(policy(143, host=host)).open()
    assert caught.value.cause is BlindCause.MISCONFIGURED and "starttls" in caught.value.mend


async def test_starttls_upgrades_and_forgets_what_was_said_before(authority: Authority) -> None:
    context = authority.server("localhost", "127.0.0.1")

    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED X-FORGED] hello")
        tag = await peer.hear(b"STARTTLS")
        # A man in the middle slips answers in before the handshake: they must count for nothing.
        peer.send(tag + b" OK begin", b"* CAPABILITY IMAP4rev1 LOGINDISABLED FORGED", b"* BYE forged", tag + b" BAD forged")
        await peer.writer.start_tls(context)
        await peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
        await peer.answer(b"LOGIN", status=b"OK [CAPABILITY IMAP4rev1] in")
        await peer.answer(b"LIST")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port, Security.STARTTLS, ca_file=authority.ca_file))
        await box.open()
        await box.close()


@pytest.mark.parametrize(
    ("hello", "answer"),
    [
        (b"* OK [CAPABILITY IMAP4rev1] hello", b""),
        (b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] in", b""),
        (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello", b"NO not now"),
    ],
)
async def test_without_starttls_no_password_goes_out(hello: bytes, answer: bytes, authority: Authority) -> None:
    heard: list[bytes] = []

    async def script(peer: Peer) -> None:
        peer.send(hello)
        if answer:
            await peer.answer(b"STARTTLS", status=answer)
        await peer.gone()
        heard.extend(peer.heard)

    async with serving(script) as port:
        error = await refused(port, security=Security.STARTTLS, ca_file=authority.ca_file)
        await asyncio.sleep(0.05)
    assert error.cause is BlindCause.TLS and error.mend
    assert not any(b"LOGIN" in line for line in heard)


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
@pytest.mark.parametrize("fault", ["name", "authority", "expired"])
async def test_a_certificate_that_does_not_verify(security: Security, fault: str, authority: Authority) -> None:
    import datetime

    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    context = (
        authority.server("other.test") if fault == "name" else authority.server(**({"not_after": long_ago} if fault == "expired" else {}))
    )

    async def script(peer: Peer) -> None:
        if security is Security.STARTTLS:
            peer.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello")
            await peer.answer(b"STARTTLS")
            with contextlib.suppress(OSError):
                await peer.writer.start_tls(context)
        with contextlib.suppress(OSError):
            await peer.gone()

    ca_file = None if fault == "authority" else authority.ca_file
    async with serving(script, context if security is Security.TLS else None) as port:
        error = await refused(port, security=security, ca_file=ca_file)
    words = {"name": "127.0.0.1", "authority": "issuer", "expired": "expired"}
    assert error.cause is BlindCause.TLS and words[fault] in error.detail and error.mend


async def test_tls_to_a_port_that_speaks_none() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK hello, in clear")
        await peer.gone()

    async with serving(script) as port:
        error = await refused(port, security=Security.TLS)
    assert error.cause is BlindCause.TLS and "starttls" in error.mend


async def test_a_ca_file_that_is_missing(tmp_path: object) -> None:
    error = await refused(993, security=Security.TLS, ca_file=f"{tmp_path}/none.pem")
    assert error.cause is BlindCause.MISCONFIGURED and "none.pem" in error.detail and error.mend


async def test_nobody_listens() -> None:
    async with serving(lambda peer: peer.gone()) as port:
        pass
    assert (await refused(port)).cause is BlindCause.UNREACHABLE
    error = await refused(143, host="no-such-host.invalid", security=Security.TLS)
    assert error.cause in (BlindCause.UNREACHABLE, BlindCause.TIMEOUT)
    assert (await refused(143, host="a" * 70 + ".test", security=Security.TLS)).cause in (BlindCause.MISCONFIGURED, BlindCause.UNREACHABLE)


async def test_cancelled_in_the_middle_of_open(authority: Authority) -> None:
    for tls in (None, authority.server()):
        async with serving(lambda peer: peer.gone(), tls) as port:
            box = mailbox(policy(port, Security.TLS if tls else Security.PLAIN, ca_file=authority.ca_file))
            opening = asyncio.ensure_future(box.open())
            await asyncio.sleep(0.05)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            with pytest.raises(MailboxError):
                await box.idle(1)
            await box.close()


# --- login ----------------------------------------------------------------------------------------------------------


async def test_authenticate_without_initial_response() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello")
        tag = await peer.hear(b"AUTHENTICATE PLAIN")
        assert peer.heard[-1].endswith(b"PLAIN")
        peer.send(b"+ ")
        assert await peer.line() == b"AHNlZWRAYm94LnRlc3QAc2VjcmV0"
        peer.send(tag + b" OK in")
        await peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
        await peer.answer(b"LIST")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port, login=LoginMethod.PLAIN))
        await box.open()
        await box.close()


@pytest.mark.parametrize(("capabilities", "login"), [(b"IMAP4rev1 LOGINDISABLED", LoginMethod.LOGIN), (b"IMAP4rev1", LoginMethod.PLAIN)])
async def test_a_login_method_that_is_not_offered(capabilities: bytes, login: LoginMethod) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY " + capabilities + b"] hello")
        await peer.gone()

    async with serving(script) as port:
        error = await refused(port, login=login)
    assert error.cause is BlindCause.AUTH_REFUSED and "login" in error.mend


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (b"NO [AUTHENTICATIONFAILED] wrong", BlindCause.AUTH_REFUSED),
        (b"BAD wrong", BlindCause.AUTH_REFUSED),
        (b"NO [UNAVAILABLE] backend down", BlindCause.UNREACHABLE),
    ],
)
async def test_refused_logins(status: bytes, cause: BlindCause) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1] hello")
        await peer.answer(b"LOGIN", b"* BYE too many tries", status=status)  # BYE comes first: the reason must win
        await peer.gone()

    async with serving(script) as port:
        error = await refused(port)
    assert error.cause is cause and status.rpartition(b" ")[2].decode() in error.detail


async def test_a_server_of_another_protocol_version() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP2bis] hello")
        await peer.gone()

    async with serving(script) as port:
        assert (await refused(port)).cause is BlindCause.PROTOCOL


def test_contexts_are_shared_and_read_again_when_the_file_changes(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> None:
    import asyncio.sslproto
    from pathlib import Path

    contexts = TlsContexts()
    assert contexts.get(None) is contexts.get(None)
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_bytes(Path(authority.ca_file).read_bytes())
    first = contexts.get(str(file))
    assert contexts.get(str(file)) is first and first.verify_mode is ssl.CERT_REQUIRED and first.check_hostname
    assert first.minimum_version >= ssl.TLSVersion.TLSv1_2
    file.write_bytes(Path(authority.ca_file).read_bytes() * 2)
    assert contexts.get(str(file)) is not first
    assert asyncio.sslproto.SSLProtocol.max_size == 16 * 1024


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", "directory"])
def test_a_ca_file_that_cannot_be_used(content: bytes | str | None, tmp_path_factory: pytest.TempPathFactory) -> None:
    from monitor.edge.tls import TlsFileError

    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    if content == "directory":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    with pytest.raises(TlsFileError) as caught:
        TlsContexts().get(str(file))
    assert "ca.pem" in caught.value.detail and caught.value.mend
