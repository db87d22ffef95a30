"""The lab's SMTP listeners (RFC 5321): aiosmtpd's protocol in our own loop, in front of the relay.

Never aiosmtpd's Controller: it runs a thread and a loop of its own, and the store belongs to ours.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import ssl
from typing import Any, AnyStr, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from monitor.lab.faults import Fault, FaultBoard
from monitor.lab.receiver import RELAY_HOST
from monitor.lab.relay import Relay
from monitor.lab.wire import Listener

MAX_MESSAGE = 64 << 20
MAX_RECIPIENTS = 100
MAX_CONNECTIONS = 2_000
SESSION_SECONDS = 300.0
REPLY_SECONDS = 60.0

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs each command at INFO; credentials with DEBUG


class _Protocol(SMTP):
    """aiosmtpd's protocol, with a registry, a cap, and replies that a fault can slow down to a trickle."""

    def __init__(self, site: "SmtpServer", paths: tuple[str, ...], **options: Any) -> None:
        self._site = site
        self._paths = paths
        super().__init__(_Reception(site, paths), **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._site.connections) >= MAX_CONNECTIONS:
            transport.close()
            return
        self._site.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._site.connections.discard(self)
        super().connection_lost(error)

    async def push(self, status: AnyStr) -> None:
        slow = self._site.faults.find(Fault.SLOW_SMTP, paths=self._paths)
        if slow is not None:
            reply = status.encode("utf-8") if isinstance(status, str) else status
            for octet in reply:
                self._writer.write(bytes([octet]))
                await asyncio.sleep(slow.seconds)
            status = status[:0]
        async with asyncio.timeout(REPLY_SECONDS):
            await super().push(status)


class _Reception:
    """aiosmtpd's hooks: each asks the faults and the relay."""

    def __init__(self, site: "SmtpServer", paths: tuple[str, ...]) -> None:
        self._site = site
        self._paths = paths

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        refusal = self._site.relay.sender_refusal(address or "", self._paths)
        if refusal is not None:
            return refusal
        envelope.mail_from = address or ""
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        refusal = self._site.relay.recipient_refusal(envelope.mail_from or "", address, self._paths)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        relay = self._site.relay
        content = envelope.original_content
        assert content is not None
        if relay.drops_after_data(Fault.DROP_AFTER_DATA_LOST, envelope.rcpt_tos, self._paths):
            self._cut(server)
            return ""
        source = f"{session.host_name} (127.0.0.1)"
        reply = relay.accept(envelope.mail_from or "", envelope.rcpt_tos, content, self._paths, source)
        if relay.drops_after_data(Fault.DROP_AFTER_DATA, envelope.rcpt_tos, self._paths):
            self._cut(server)
            return ""
        return reply

    @staticmethod
    def _cut(server: SMTP) -> None:
        cast(asyncio.Transport, server.transport).abort()

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        """Check a user and a password (RFC 4954); the failure reply is aiosmtpd's 535 5.7.8."""
        good = isinstance(data, LoginPassword) and self._site.credentials is not None
        if good and isinstance(data, LoginPassword) and self._site.credentials is not None:
            user, password = self._site.credentials
            good = hmac.compare_digest(data.login, user.encode())
            good = hmac.compare_digest(data.password, password.encode()) and good
        if not good or self._site.faults.hit(Fault.AUTH_REFUSED, paths=self._paths):
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        """Google's mechanism; the password is the access token too. A refusal tells its reason in a challenge, and waits for an answer."""
        blob = args[1].encode() if len(args) == 2 else None
        try:
            response = base64.b64decode(blob, validate=True) if blob else await server.challenge_auth("")
        except binascii.Error:
            return AuthResult(success=False, handled=False, message="501 5.5.2 broken base64")
        if not isinstance(response, bytes):
            return AuthResult(success=False, handled=True)
        pairs = dict(pair.partition(b"=")[::2] for pair in response.split(b"\x01") if pair)
        scheme, _, token = pairs.get(b"auth", b"").partition(b" ")
        data = LoginPassword(pairs.get(b"user", b""), token if scheme.lower() == b"bearer" else b"")
        assert server.session is not None and server.envelope is not None
        result = self.authenticate(server, server.session, server.envelope, "XOAUTH2", data)
        if not result.success:
            answer = await server.challenge_auth('{"status":"401","schemes":"bearer","scope":"https://mail.test/"}')
            if not isinstance(answer, bytes):
                return AuthResult(success=False, handled=True)
        return result


class SmtpServer:
    """The relay's three ports: plain, STARTTLS required (RFC 3207), implicit TLS (RFC 8314)."""

    def __init__(self, relay: Relay, faults: FaultBoard, tls: ssl.SSLContext, credentials: tuple[str, str] | None) -> None:
        self.relay = relay
        self.faults = faults
        self.credentials = credentials
        self.connections: set[_Protocol] = set()
        self._tls = tls
        self.listeners = {
            "plain": Listener(lambda: self._connection("plain")),
            "starttls": Listener(lambda: self._connection("starttls")),
            "tls": Listener(lambda: self._connection("tls"), tls),
        }

    def _connection(self, name: str) -> _Protocol:
        paths = ("smtp", name)
        starttls: dict[str, Any] = {"tls_context": self._tls, "require_starttls": True} if name == "starttls" else {}
        protocol = _Protocol(
            self,
            paths,
            data_size_limit=MAX_MESSAGE,
            enable_SMTPUTF8=True,
            hostname=RELAY_HOST,
            ident="ESMTP mailcanary lab",
            timeout=SESSION_SECONDS,
            authenticator=_Reception(self, paths).authenticate if self.credentials else None,
            auth_required=False,
            auth_require_tls=False,
            auth_exclude_mechanism=[] if self.credentials else ["PLAIN", "LOGIN", "XOAUTH2"],
            loop=asyncio.get_running_loop(),
            **starttls,
        )
        # Set late: aiosmtpd warns about AUTH without TLS, which a lab on loopback offers on purpose.
        protocol._auth_required = self.credentials is not None
        return protocol

    async def start(self) -> None:
        """Listen."""
        for listener in self.listeners.values():
            await listener.start()

    async def apply_faults(self) -> None:
        """Stop and start listeners as the faults demand."""
        for name, listener in self.listeners.items():
            if self.faults.find(Fault.REFUSE_CONNECT, paths=("smtp", name)):
                listener.stop()
            else:
                await listener.start()

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        for listener in self.listeners.values():
            listener.close()
        for protocol in list(self.connections):
            if protocol.transport is not None:
                cast(asyncio.Transport, protocol.transport).abort()
