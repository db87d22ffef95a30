"""MailServerProbe against real servers on loopback: good ones, and each way of being bad."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.clock import SystemClock
from monitor.edge.transport import MailServerProbe, probe
from monitor.edge.transport.certificate import Strictness, certificate
from monitor.edge.transport.dialogue import ImapDialogue, SmtpDialogue
from monitor.edge.transport.line import MAX_LINE, Line, Stopped
from monitor.model.instant import Instant
from monitor.model.transport import Endpoint, Reached, ServerKind, TransportSeen
from tests.edge.conftest import Authority

HOST = "127.0.0.1"
NAME = "mx.shop.test"
NOW = datetime.datetime.now(datetime.UTC)


@dataclass
class MailServer:
    """SMTP or IMAP as far as a look goes. `replies`: command -> what it is answered; None: silence. `keeps`: what came before TLS is obeyed
    inside it."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    imap: bool = False
    greeting: str | None = "220 mx.shop.test ESMTP"
    offers: tuple[str, ...] = ("SIZE 1000", "STARTTLS")
    replies: dict[str, str | None] = field(default_factory=dict)
    keeps: bool = False
    breaks_tls: bool = False
    said: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            if self.implicit and self.tls:
                await writer.start_tls(self.tls)
            if self.greeting is not None:
                writer.write(self.greeting.encode("latin-1") + b"\r\n")
            while line := (await reader.readline()).decode("latin-1").rstrip():
                self.said.append(line)
                if not await self.answer(line, reader, writer):
                    break
        writer.close()

    async def answer(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        tag, _, rest = line.partition(" ")
        command = rest if self.imap else line
        verb = command.split(" ")[0].upper()
        reply = self.replies.get(command, self.replies.get(verb, self.usual(verb)))
        if reply is not None:
            writer.write((reply.replace("TAG", tag) + "\r\n").encode("latin-1"))
        if verb == "STARTTLS" and self.tls and reply and ("220" in reply or " OK" in reply):
            if self.breaks_tls:
                return False
            if not self.keeps:
                reader._buffer.clear()  # type: ignore[attr-defined]
            await writer.start_tls(self.tls)
        return verb not in ("QUIT", "LOGOUT")

    def usual(self, verb: str) -> str:
        if self.imap:
            said = f"* CAPABILITY IMAP4rev1 {' '.join(self.offers)}\r\n" if verb == "CAPABILITY" else ""
            return f"{said}TAG OK done"
        if verb == "EHLO":
            lines = ["mx.shop.test", *self.offers]
            return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        return {"STARTTLS": "220 go ahead", "QUIT": "221 bye"}.get(verb, "250 ok")


class StoppedClock(SystemClock):
    """Goes on only when it is told to."""

    mono = 0.0

    def now(self) -> Instant:
        return Instant(1_000_000.0 + self.mono, self.mono, "one")


@asynccontextmanager
async def serving(server: MailServer) -> AsyncIterator[MailServer]:
    listener = await asyncio.start_server(server.serve, HOST, 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()


async def looked(
    server: MailServer, authority: Authority, kind: ServerKind = ServerKind.MX, timeout: float = 5.0, **more: object
) -> TransportSeen:
    async with serving(server):
        endpoint = Endpoint(kind, NAME, server.port, HOST, authority.ca_file, **more)  # type: ignore[arg-type]
        return (await MailServerProbe(timeout, SystemClock()).look([endpoint], 20.0))[endpoint]


# -- good ones --------------------------------------------------------------------------------------------------------------------


async def test_a_healthy_mx_is_seen_whole(authority: Authority) -> None:
    server = MailServer(authority.server(NAME, "*.Example.test"))
    seen = await looked(server, authority)
    assert (seen.reached, seen.failed, seen.offers_tls, seen.plain_auth, seen.injected) == (Reached.AGAIN, "", True, (), False)
    assert seen.version in ("TLSv1.2", "TLSv1.3") and seen.at > 0 and not seen.pending
    shown = seen.certificate
    assert shown is not None and shown.trusted and not shown.self_signed and not shown.why_untrusted
    assert shown.names == ("*.example.test", NAME) and shown.not_before < seen.at < shown.not_after and "trustme" in shown.issuer
    assert server.connections == 2 and server.said[:3] == ["EHLO [127.0.0.1]", "STARTTLS", "EHLO [127.0.0.1]"]
    assert not any(line.upper().startswith(("MAIL", "RCPT", "DATA", "AUTH", "LOGIN")) for line in server.said)


@pytest.mark.parametrize("kind", [ServerKind.SUBMISSIONS, ServerKind.IMAPS])
async def test_implicit_tls(authority: Authority, kind: ServerKind) -> None:
    imap = kind is ServerKind.IMAPS
    greeting = "* OK ready" if imap else "220 mx"
    server = MailServer(authority.server(NAME), implicit=True, imap=imap, greeting=greeting, offers=("AUTH=PLAIN", "AUTH PLAIN LOGIN"))
    seen = await looked(server, authority, kind)
    assert (seen.reached, seen.offers_tls, seen.plain_auth, seen.injected) == (Reached.AGAIN, None, (), None)
    assert seen.certificate is not None and seen.certificate.trusted and server.connections == 1


@pytest.mark.parametrize(
    ("offers", "plain"),
    [
        (("STARTTLS", "LOGINDISABLED"), ()),
        (("STARTTLS", "AUTH=PLAIN"), ("PLAIN", "LOGIN")),
        (("starttls", "logindisabled", "auth=plain"), ("PLAIN",)),
    ],
)
async def test_imap_with_starttls(authority: Authority, offers: tuple[str, ...], plain: tuple[str, ...]) -> None:
    seen = await looked(MailServer(authority.server(NAME), imap=True, greeting="* OK hi", offers=offers), authority, ServerKind.IMAP)
    assert (seen.reached, seen.plain_auth, seen.injected, seen.offers_tls) == (Reached.AGAIN, plain, False, True)


@pytest.mark.parametrize(
    ("offers", "plain"),
    [
        (("STARTTLS", "AUTH PLAIN LOGIN XOAUTH2"), ("PLAIN", "LOGIN")),
        (("AUTH=LOGIN", "STARTTLS"), ("LOGIN",)),
        (("STARTTLS", "AUTH CRAM-MD5"), ()),
    ],
)
async def test_passwords_before_tls(authority: Authority, offers: tuple[str, ...], plain: tuple[str, ...]) -> None:
    seen = await looked(MailServer(authority.server(NAME), offers=offers), authority, ServerKind.SUBMISSION)
    assert seen.plain_auth == plain and seen.reached is Reached.AGAIN


# -- TLS that is not as it should be ----------------------------------------------------------------------------------------------


async def test_no_starttls(authority: Authority) -> None:
    seen = await looked(MailServer(offers=("SIZE 1000",)), authority)
    assert (seen.reached, seen.offers_tls, seen.certificate, seen.failed, seen.injected) == (Reached.ANSWERED, False, None, "", None)


async def test_the_name_is_a_fact_of_its_own(authority: Authority) -> None:
    server = MailServer(authority.server("other.test"))
    seen = await looked(server, authority)
    assert seen.certificate is not None and seen.certificate.trusted and seen.certificate.names == ("other.test",)
    assert server.connections == 2


async def test_expired_of_a_good_chain_is_expired_and_trusted(authority: Authority) -> None:
    for more in (
        {"not_before": NOW - datetime.timedelta(days=9), "not_after": NOW - datetime.timedelta(days=1)},
        {"not_before": NOW + datetime.timedelta(days=1), "not_after": NOW + datetime.timedelta(days=9)},
    ):
        seen = await looked(MailServer(authority.server(NAME, **more)), authority)
        assert seen.reached is Reached.AGAIN and seen.certificate is not None
        assert seen.certificate.trusted and not seen.certificate.not_before <= seen.at <= seen.certificate.not_after


async def test_expired_of_nobody_is_not_trusted(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME, not_after=NOW - datetime.timedelta(days=1)).configure_cert(context)
    seen = await looked(MailServer(context), authority)
    assert seen.certificate is not None and not seen.certificate.trusted and seen.certificate.not_after < seen.at


async def test_an_authority_that_nobody_knows(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME).configure_cert(context)
    server = MailServer(context)
    seen = await looked(server, authority)
    assert (seen.reached, seen.failed) == (Reached.AGAIN, "") and seen.certificate is not None
    assert not seen.certificate.trusted and "local issuer" in seen.certificate.why_untrusted and server.connections == 3


async def test_self_signed(authority: Authority) -> None:
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as chain:
        context.load_cert_chain(chain, key)
    seen = await looked(MailServer(context), authority)
    assert seen.certificate is not None and seen.certificate.self_signed and not seen.certificate.trusted
    assert seen.certificate.why_untrusted and seen.certificate.names == ()


async def test_tls_that_breaks(authority: Authority) -> None:
    seen = await looked(MailServer(authority.server(NAME), breaks_tls=True), authority)
    assert seen.reached is Reached.ANSWERED and seen.failed and seen.offers_tls and seen.certificate is None
    old = authority.server(NAME)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES256-SHA")
    seen = await looked(MailServer(old), authority)
    assert seen.reached in (Reached.ANSWERED, Reached.AGAIN)


@pytest.mark.parametrize(("reply", "transient"), [("454 not now", True), ("502 no", False)])
async def test_starttls_refused(authority: Authority, reply: str, transient: bool) -> None:
    seen = await looked(MailServer(authority.server(NAME), replies={"STARTTLS": reply}), authority)
    assert (seen.reached, seen.transient, seen.reply) == (Reached.ANSWERED, transient, reply) and "STARTTLS is answered" in seen.failed


@pytest.mark.parametrize("imap", [False, True])
async def test_a_command_from_before_tls_is_obeyed(authority: Authority, imap: bool) -> None:
    server = MailServer(authority.server(NAME), keeps=True, imap=imap, greeting="* OK" if imap else "220 mx")
    seen = await looked(server, authority, ServerKind.IMAP if imap else ServerKind.MX)
    assert seen.injected is True and seen.reached is Reached.AGAIN and not seen.failed


async def test_the_try_to_inject_spoils_nothing(authority: Authority) -> None:
    class Guarded(MailServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.greeting = "220 mx" if not self.connections else "421 too many"
            await super().serve(reader, writer)

    seen = await looked(Guarded(authority.server(NAME)), authority)
    assert (seen.reached, seen.failed, seen.injected) == (Reached.AGAIN, "", None)
    refusing = MailServer(authority.server(NAME))
    count = 0

    def third(verb: str) -> str:
        nonlocal count
        count += verb == "STARTTLS"
        return "554 pipelining" if count == 2 and verb == "STARTTLS" else MailServer.usual(refusing, verb)

    refusing.usual = third  # type: ignore[method-assign]
    assert (await looked(refusing, authority)).injected is False


# -- servers that do not answer as they should ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("greeting", "failed", "transient"),
    [
        ("421 busy", "greets with 421", True),
        ("554 no", "greets with 554", False),
        ("SSH-2.0-OpenSSH_9.2", "does not speak SMTP", False),
        ("\x16\x03\x01\xff\xfe", "does not speak SMTP", False),
        ("220" + "x" * 10_000, "a line of more than", False),
        ("220-x\r\n" * 300, "a reply of more than 200 lines", False),
        ("220-" + "x" * 8_000 + "\r\n" + ("220-" + "x" * 8_000 + "\r\n") * 9, "more than 65536 bytes", False),
    ],
)
async def test_greetings(authority: Authority, greeting: str, failed: str, transient: bool) -> None:
    seen = await looked(MailServer(greeting=greeting), authority)
    assert (seen.reached, seen.transient) == (Reached.CONNECTED, transient) and failed in seen.failed
    assert len(seen.reply) <= 510 and seen.reply.isprintable()


@pytest.mark.parametrize(("greeting", "transient"), [("* BYE busy", True), ("220 smtp", False)])
async def test_imap_greetings(authority: Authority, greeting: str, transient: bool) -> None:
    seen = await looked(MailServer(imap=True, greeting=greeting), authority, ServerKind.IMAP)
    assert (seen.reached, seen.transient, seen.reply) == (Reached.CONNECTED, transient, greeting)


async def test_silence_is_unknown_and_ends(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await looked(MailServer(greeting=None), authority, timeout=0.1)
    assert (seen.reached, seen.transient, seen.failed) == (Reached.CONNECTED, True, "no greeting within 0 s")
    monkeypatch.setattr(probe, "GREETING_SECONDS", 0.1)
    seen = await looked(MailServer(greeting=None), authority)
    assert (seen.transient, seen.failed) == (True, "no greeting within 0 s")
    monkeypatch.undo()
    seen = await looked(MailServer(replies={"EHLO": None}), authority, timeout=1.0)
    assert (seen.reached, seen.transient) == (Reached.GREETED, True)
    monkeypatch.setattr(probe, "INJECTION_SECONDS", 0.2)

    class Hanging(MailServer):
        async def answer(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            return line == "QUIT" or await super().answer(line, reader, writer)

    seen = await looked(Hanging(authority.server(NAME)), authority)
    assert (seen.reached, seen.injected, seen.failed) == (Reached.AGAIN, None, "")


async def test_the_deadline_of_all_together(authority: Authority) -> None:
    async with serving(MailServer(greeting=None)) as server:
        endpoints = [Endpoint(ServerKind.MX, f"mx{number}.shop.test", server.port, HOST) for number in range(30)]
        seen = await MailServerProbe(60.0, SystemClock()).look(endpoints, 0.2)
        assert list(seen) == endpoints and all(look.transient and look.failed for look in seen.values())
        assert server.connections <= probe.MOST_AT_ONCE
        assert sum(look.reached is Reached.CONNECTED for look in seen.values()) == probe.MOST_AT_ONCE


@contextlib.contextmanager
def dropping() -> Iterator[int]:
    """A port on which nobody answers, as behind a firewall: its queue is full, and what comes is dropped."""
    with contextlib.ExitStack() as open_, socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(2):
            client = open_.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        yield full.getsockname()[1]


async def test_a_blocked_port_costs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def to(address: str, port: int) -> Line:
        tried.append(address)
        return await reach(address, port)

    reach = Line.to
    monkeypatch.setattr(Line, "to", to)
    monkeypatch.setattr(probe, "CONNECT_SECONDS", 0.1)
    clock = StoppedClock()
    made = MailServerProbe(5.0, clock)
    with dropping() as port:
        endpoint = Endpoint(ServerKind.MX, NAME, port, HOST)
        seen = (await made.look([endpoint], 20.0))[endpoint]
        assert (seen.reached, seen.failed, seen.transient) == (Reached.NOTHING, "no connection within 0 s", True)
        again = replace(endpoint, host="other.test")  # another name of the same address
        assert (await made.look([again], 20.0))[again].failed == seen.failed and tried == [HOST]
        clock.mono += probe.LOST_FOR + 1
        assert (await made.look([endpoint], 20.0))[endpoint].failed == seen.failed and tried == [HOST] * 2
    monkeypatch.undo()
    async with serving(MailServer()) as server:
        well = Endpoint(ServerKind.MX, NAME, server.port, HOST)
        assert (await made.look([well], 20.0))[well].reached is not Reached.NOTHING, "another port is another matter"


async def test_what_is_remembered_of_lost_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def to(address: str, port: int) -> Line:
        tried.append(address)
        raise TimeoutError

    tried: list[str] = []
    monkeypatch.setattr(Line, "to", to)
    monkeypatch.setattr(probe, "MOST_LOST", 3)
    made = MailServerProbe(5.0, StoppedClock())
    endpoints = [Endpoint(ServerKind.MX, NAME, 25, f"192.0.2.{number}") for number in range(5)]
    for _ in range(2):
        for endpoint in endpoints[-3:]:
            await made.look([endpoint], 20.0)
    assert len(tried) == 3
    for endpoint in endpoints:
        await made.look([endpoint], 20.0)
    assert len(tried) == 3 + 2 + 3  # the oldest were forgotten


async def test_nobody_there(authority: Authority) -> None:
    async with serving(MailServer()) as server:
        port = server.port
    made = MailServerProbe(5.0, SystemClock())
    refused = Endpoint(ServerKind.MX, NAME, port, HOST)
    nowhere = Endpoint(ServerKind.MX, "no such host.invalid", port)
    no_name = Endpoint(ServerKind.MX, "a" * 70 + ".test", port)
    seen = await made.look([refused, nowhere, no_name], 20.0)
    assert (seen[refused].reached, seen[refused].failed, seen[refused].transient) == (Reached.NOTHING, "the connection is refused", False)
    assert seen[nowhere].failed and seen[no_name].failed and seen[nowhere].reached is Reached.NOTHING
    assert dict(await made.look([], 1.0)) == {}


async def test_closed_in_the_middle(authority: Authority) -> None:
    class Closing(MailServer):
        async def answer(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            return False

    seen = await looked(Closing(), authority)
    assert (seen.reached, seen.failed, seen.transient) == (Reached.GREETED, "the server closed the connection", True)


async def test_our_own_fault_is_unknown(authority: Authority) -> None:
    async with serving(MailServer(authority.server(NAME))) as server:
        endpoint = Endpoint(ServerKind.MX, NAME, server.port, HOST, "/nonexistent/ca.pem")
        seen = (await MailServerProbe(5.0, SystemClock()).look([endpoint], 20.0))[endpoint]
    assert seen.transient and "CA file" in seen.failed and seen.reached is Reached.ANSWERED


# -- recipients -------------------------------------------------------------------------------------------------------------------


async def test_recipients_are_asked_about_and_nothing_is_sent(authority: Authority) -> None:
    replies = {"RCPT TO:<no@shop.test>": "550 5.1.1 unknown", "RCPT TO:<later@shop.test>": "450 4.2.0 greylisted"}
    server = MailServer(authority.server(NAME), replies=dict(replies))
    recipients = ("abuse@shop.test", "no@shop.test", "later@shop.test", "evil@shop.test>\r\nDATA", "m\u00fcller@shop.test")
    seen = await looked(server, authority, recipients=recipients)
    assert seen.refused == (("no@shop.test", "550 5.1.1 unknown"),) and seen.reached is Reached.AGAIN
    assert [recipient for recipient, _ in seen.deferred] == ["evil@shop.test>\r\nDATA", "m\u00fcller@shop.test", "later@shop.test"]
    asked = [line for line in server.said if line.startswith(("MAIL", "RCPT", "DATA", "RSET"))]
    assert asked == ["MAIL FROM:<>", "RCPT TO:<abuse@shop.test>", "RCPT TO:<no@shop.test>", "RCPT TO:<later@shop.test>", "RSET"]
    for reply, refused in (("550 no null sender", 1), ("451 later", 0)):
        seen = await looked(MailServer(authority.server(NAME), replies={"MAIL": reply}), authority, recipients=("a@shop.test",))
        assert (len(seen.refused), len(seen.deferred)) == (refused, 1 - refused)


# -- certificates -----------------------------------------------------------------------------------------------------------------


@pytest.mark.hostile
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_no_certificate_makes_the_reader_raise(data: st.DataObject) -> None:
    der = bytearray(DER)
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(der) - 1))
        der[at : at + 1] = data.draw(st.binary(max_size=2))
    shown = certificate(bytes(der), Strictness.NONE, "why", 0.0)
    assert shown is None or not shown.trusted


DER = ssl.PEM_cert_to_DER_cert(trustme.CA().issue_cert(NAME).cert_chain_pems[0].bytes().decode())


def test_trust_and_time() -> None:
    good = certificate(DER, Strictness.FULL, "", NOW.timestamp())
    assert good is not None and good.trusted
    for strictness, now, trusted in (
        (Strictness.TIMELESS, good.not_after + 1, True),  # expired itself
        (Strictness.TIMELESS, NOW.timestamp(), False),  # somebody above it is
        (Strictness.NONE, NOW.timestamp(), False),
    ):
        shown = certificate(DER, strictness, "certificate has expired", now)
        assert shown == replace(good, trusted=trusted, why_untrusted="" if trusted else "certificate has expired")


def test_a_certificate_of_no_known_version_cannot_be_read() -> None:
    version = bytes.fromhex("a003020102")
    assert DER.count(version) == 1
    assert certificate(DER.replace(version, bytes.fromhex("a003020109")), Strictness.NONE, "why", 0.0) is None


async def test_what_nobody_expected_is_a_reason_and_unknown(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*arguments: object) -> None:
        raise LookupError("no such\nthing")

    monkeypatch.setattr(probe, "certificate", breaks)
    seen = await looked(MailServer(authority.server(NAME)), authority)
    assert (seen.reached, seen.transient, seen.failed) == (Reached.ANSWERED, True, "the look broke off: LookupError: no such thing")


# -- hostile words ----------------------------------------------------------------------------------------------------------------


class Deaf:
    """A writer that nobody reads."""

    def write(self, data: bytes) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


WORDS = st.sampled_from(
    [b"220", b"250", b"-", b" ", b"\r\n", b"\n", b"* ", b"OK", b"look1 ", b"CAPABILITY ", b"AUTH", b"=", b"\xff", b"STARTTLS", b"* BYE"]
)


@pytest.mark.hostile
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(WORDS | st.binary(max_size=8), max_size=40), st.sampled_from([SmtpDialogue, ImapDialogue]))
def test_whatever_a_server_says_the_look_ends_in_order(words: list[bytes], kind: type[SmtpDialogue | ImapDialogue]) -> None:
    async def look() -> None:
        reader = asyncio.StreamReader(limit=MAX_LINE)
        reader.feed_data(b"".join(words))
        reader.feed_eof()
        dialogue = kind(Line(reader, Deaf()))  # type: ignore[arg-type]
        asked = functools.partial(dialogue.received, ("a@shop.test",))
        for step in (dialogue.greeting, dialogue.capabilities, dialogue.start_tls, asked, dialogue.obeyed):
            with contextlib.suppress(Stopped):
                await step()

    asyncio.run(look())
