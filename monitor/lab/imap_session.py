"""One IMAP4rev1 session (RFC 3501): reading commands, authentication, IDLE, and the faults that hit a session.

Also RFC 2177 (IDLE), 2342, 2971 (ID), 3691 (UNSELECT), 4315, 4959 (SASL-IR), 6154, 6851 (MOVE), 7888 (LITERAL+).
"""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from monitor.lab.faults import Fault, FaultBoard, FaultState
from monitor.lab.imap_answers import MALFORMED
from monitor.lab.imap_mailbox import HOLDS_NUMBERS, MailboxCommands
from monitor.lab.imap_syntax import SyntaxFault, Token, text_of, tokenize, word_of
from monitor.lab.imap_view import Refused
from monitor.lab.providers import Provider
from monitor.lab.store import Account, MailStore, UnknownMailbox
from monitor.lab.wire import Disconnected, LineTooLong, Wire

MAX_LINE = 64 * 1024
MAX_LITERAL = 64 * 1024
MAX_APPEND = 64 << 20
MAX_PARTS = 200  # literals in one command
LOGIN_SECONDS = 60.0
SESSION_SECONDS = 1800.0  # RFC 3501 section 5.4: at least 30 minutes
LITERAL_SECONDS = 60.0
HANG_CHECK_SECONDS = 1.0  # how often a hung session looks whether its peer has gone

_TAG = re.compile(rb"[!#$&',-\[\]-z|}~]{1,64}\Z")  # RFC 3501: ASTRING-CHAR but "+"
_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")

_log = logging.getLogger(__name__)


class Logout(Exception):
    """The session ends in good order."""


@dataclass(slots=True, eq=False)
class Site:
    """What all sessions of one provider share. `switched` ends at the next switch of a fault, and is then replaced."""

    provider: Provider
    store: MailStore
    faults: FaultBoard
    tls: ssl.SSLContext | None
    announcement_delay: float = 0.0
    switched: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def find(self, fault: Fault, account: Account | None) -> FaultState | None:
        """The state of a fault for a session, or None."""
        return self.faults.find(fault, self.provider.domain, account.address if account else None)

    def hit(self, fault: Fault, account: Account) -> FaultState | None:
        """Like find, and uses up one of the fault's times."""
        return self.faults.hit(fault, self.provider.domain, account.address)


class Session:
    """One connection."""

    def __init__(self, site: Site, wire: Wire, *, require_tls: bool) -> None:
        self.site = site
        self.wire = wire
        self.account: Account | None = None
        self.mailbox: MailboxCommands | None = None
        self.idling = False
        self._require_tls = require_tls
        self._push_timer: asyncio.TimerHandle | None = None

    # -- the life of a connection ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Greet and serve until either side ends it; whatever the client sends, only its own session suffers."""
        try:
            await self._while_hung()
            self.wire.write(b"* OK [CAPABILITY " + self._capabilities() + b"] lab ready\r\n")
            while True:
                await self._serve_one()
        except (Disconnected, Logout):
            pass
        except LineTooLong:
            self.wire.write(b"* BYE [TOOBIG] line too long\r\n")
        finally:
            self._stop_push_timer()
            if self.mailbox is not None:
                self.mailbox.leave()
            self.wire.close()

    async def _serve_one(self) -> None:
        seconds = SESSION_SECONDS if self.account else LOGIN_SECONDS
        line = await self.wire.read_line(MAX_LINE, seconds)
        tag, _, rest = line.partition(b" ")
        if not _TAG.match(tag):
            self.wire.write(b"* BAD a tag is expected\r\n")
            return
        name = ""
        try:
            args = tokenize([part async for part in self._parts(rest)])
            name, args = _command_name(args)
            await self._while_hung()
            answer = "OK " + await self._execute(name, args)
        except Refused as refusal:
            answer = f"NO {refusal}"
        except SyntaxFault as fault:
            answer = f"BAD {fault}"
        except (Disconnected, Logout, LineTooLong):
            raise
        except Exception:  # a bug of the lab must not look like a broken provider without a trace
            _log.exception("IMAP command failed")
            answer = "BAD internal error of the lab"
        self._announce(may_expunge=name not in HOLDS_NUMBERS)
        self._write_malformed()
        self.wire.write(tag + b" " + answer.encode("ascii", "replace") + b"\r\n")
        await self.wire.drain()
        if name == "LOGOUT" and answer.startswith("OK"):
            raise Logout
        if name == "STARTTLS" and answer.startswith("OK"):
            assert self.site.tls is not None
            await self.wire.start_tls(self.site.tls)

    async def _parts(self, line: bytes) -> AsyncIterator[bytes | tuple[bytes]]:
        """The stretches of a command between its literals; asks for each literal unless it is non-synchronising."""
        limit = MAX_APPEND if self.account and line[:6].upper() == b"APPEND" else MAX_LITERAL
        for _ in range(MAX_PARTS):
            found = _LITERAL.search(line)
            if found is None:
                yield line
                return
            yield line[: found.start()]
            size, eager = int(found[1]), bool(found[2])
            if size > limit:
                if eager and size > MAX_APPEND:
                    raise LineTooLong(size)
                if eager:
                    await self.wire.skip(size, LITERAL_SECONDS)
                    await self.wire.read_line(MAX_LINE, LITERAL_SECONDS)
                raise Refused("[TOOBIG] Literal too large")
            if not eager:
                self.wire.write(b"+ OK\r\n")
            yield (await self.wire.read_exactly(size, LITERAL_SECONDS),)
            line = await self.wire.read_line(MAX_LINE, LITERAL_SECONDS)
        raise LineTooLong(MAX_PARTS)  # not BAD: what follows would be read as commands

    async def _execute(self, name: str, args: list[Token]) -> str:
        if name == "CAPABILITY":
            self.wire.write(b"* CAPABILITY " + self._capabilities() + b"\r\n")
            return "CAPABILITY completed"
        if name == "NOOP":
            return "NOOP completed"
        if name == "ID":
            self.wire.write(b'* ID ("name" "mailcanary-lab")\r\n')
            return "ID completed"
        if name == "LOGOUT":
            self.wire.write(b"* BYE logging out\r\n")
            return "LOGOUT completed"
        if self.mailbox is None:
            return await self._execute_unauthenticated(name, args)
        if name in ("LOGIN", "AUTHENTICATE", "STARTTLS"):
            raise SyntaxFault("already authenticated")
        if name == "IDLE":
            return await self._idle()
        answer = self.mailbox.find(name)(args)
        while True:
            try:
                chunk = next(answer)
            except StopIteration as done:
                return str(done.value)
            self.wire.write(chunk)
            await self.wire.drain()

    async def _execute_unauthenticated(self, name: str, args: list[Token]) -> str:
        if name == "STARTTLS":
            if self.wire.encrypted or self.site.tls is None:
                raise SyntaxFault("TLS is on already or not offered")
            return "begin TLS negotiation now"
        if name == "LOGIN":
            if len(args) != 2:
                raise SyntaxFault("LOGIN needs a user and a password")
            self._authenticate(text_of(args[0]), text_of(args[1]))
        elif name == "AUTHENTICATE":
            await self._sasl(args)
        else:
            raise SyntaxFault("unknown command, or not authenticated")
        return "[CAPABILITY " + self._capabilities().decode("ascii") + "] logged in"

    # -- authentication ----------------------------------------------------------------------------------------------

    def _authenticate(self, user: bytes, secret: bytes) -> None:
        if self._require_tls and not self.wire.encrypted:
            raise Refused("[PRIVACYREQUIRED] TLS first")
        site = self.site
        try:
            account = site.store.resolve(user.decode("utf-8"))
        except (UnicodeDecodeError, UnknownMailbox):
            account = None
        if (
            account is None
            or account.provider is not site.provider
            or not hmac.compare_digest(account.password.encode(), secret)
            or site.hit(Fault.IMAP_AUTH_REFUSED, account)
        ):
            raise Refused("[AUTHENTICATIONFAILED] Invalid credentials")
        if site.find(Fault.IMAP_DOWN, account):
            raise Refused("[UNAVAILABLE] Mailbox is being moved")
        self.account = account
        self.mailbox = MailboxCommands(site.store, account, self._on_change)

    async def _sasl(self, args: list[Token]) -> None:
        """AUTHENTICATE PLAIN (RFC 4616) and XOAUTH2 (Google's), with and without an initial response (RFC 4959)."""
        if not 1 <= len(args) <= 2:
            raise SyntaxFault("AUTHENTICATE needs a mechanism")
        mechanism = word_of(args[0])
        if mechanism not in ("PLAIN", "XOAUTH2"):
            raise Refused("[CANNOT] Unknown mechanism")
        first = text_of(args[1]) if len(args) == 2 else await self._challenge(b"")
        try:
            response = b"" if first == b"=" else base64.b64decode(first, validate=True)
        except binascii.Error as error:
            raise SyntaxFault("broken base64") from error
        if mechanism == "PLAIN":
            fields = response.split(b"\0")
            if len(fields) != 3:
                raise SyntaxFault("broken PLAIN response")
            self._authenticate(fields[1], fields[2])
            return
        pairs = dict(pair.partition(b"=")[::2] for pair in response.split(b"\x01") if pair)
        scheme, _, token = pairs.get(b"auth", b"").partition(b" ")
        try:
            self._authenticate(pairs.get(b"user", b""), token if scheme.lower() == b"bearer" else b"")
        except Refused:
            reason = {"status": "400", "schemes": "Bearer", "scope": "https://mail.test/"}
            await self._challenge(base64.b64encode(json.dumps(reason).encode()))
            raise

    async def _challenge(self, text: bytes) -> bytes:
        self.wire.write(b"+ " + text + b"\r\n")
        answer: bytes = await self.wire.read_line(MAX_LINE, LOGIN_SECONDS)
        if answer == b"*":
            raise SyntaxFault("authentication cancelled")
        return answer

    def _capabilities(self) -> bytes:
        words = ["IMAP4rev1", "LITERAL+", "SASL-IR", "ID"]
        if self.account is not None:
            words += ["IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN"]
            words += ["LIST-EXTENDED", "SPECIAL-USE"] if self.site.provider.special_use else []
        else:
            open_text = not self._require_tls or self.wire.encrypted
            words += [] if self.wire.encrypted or self.site.tls is None else ["STARTTLS"]
            words += ["AUTH=PLAIN", "AUTH=XOAUTH2"] if open_text else ["LOGINDISABLED"]
        return " ".join(words).encode("ascii")

    # -- pushes and faults -------------------------------------------------------------------------------------------

    async def _idle(self) -> str:
        """RFC 2177. Pushes are written by the listener's callback, so a waiting session costs no second task."""
        self.wire.write(b"+ idling\r\n")
        self.idling = True
        try:
            self.on_fault_switched()
            self._push()
            line = await self.wire.read_line(MAX_LINE, SESSION_SECONDS)
        finally:
            self.idling = False
            self._stop_push_timer()
        if line.strip().upper() != b"DONE":
            raise SyntaxFault("DONE is expected")
        return "IDLE completed"

    def _on_change(self) -> None:
        if not self.idling or self._push_timer is not None:
            return
        if self.site.announcement_delay:
            loop = asyncio.get_running_loop()
            self._push_timer = loop.call_later(self.site.announcement_delay, self._push)
        else:
            self._push()

    def _push(self) -> None:
        self._stop_push_timer()
        if not self._hit(Fault.IMAP_NO_PUSH) and not self._hit(Fault.IMAP_HANG):
            self._announce(may_expunge=True)

    def _announce(self, *, may_expunge: bool) -> None:
        selected = self.mailbox.selected if self.mailbox is not None else None
        if selected is None:
            return
        if selected.stale:
            self.end("mailbox was rebuilt")
        elif news := selected.news(may_expunge=may_expunge):
            self.wire.write(news)

    def on_fault_switched(self) -> None:
        """Act on a fault that hits an open session."""
        if self._hit(Fault.IMAP_DOWN):
            self.wire.abort()
        elif self.idling and self._hit(Fault.IMAP_BYE):
            self.end("server is going down for maintenance")
        elif self.idling:
            self._write_malformed()
            self._on_change()

    def end(self, reason: str) -> None:
        """Say BYE and close (RFC 3501 section 7.1.5)."""
        self.wire.write(f"* BYE {reason}\r\n".encode("ascii"))
        self.wire.close()

    def _write_malformed(self) -> None:
        if self._hit(Fault.IMAP_MALFORMED):
            for line in MALFORMED:
                self.wire.write(line)

    def _hit(self, fault: Fault) -> FaultState | None:
        return self.site.find(fault, self.account)

    async def _while_hung(self) -> None:
        while self._hit(Fault.IMAP_HANG):
            await asyncio.wait([self.site.switched], timeout=HANG_CHECK_SECONDS)
            if self.wire.lost:
                raise Disconnected("peer gave up")

    def _stop_push_timer(self) -> None:
        if self._push_timer is not None:
            self._push_timer.cancel()
            self._push_timer = None


def _command_name(args: list[Token]) -> tuple[str, list[Token]]:
    if not args:
        raise SyntaxFault("a command is expected")
    name = word_of(args[0])
    if name == "UID":
        if len(args) < 2:
            raise SyntaxFault("UID needs a command")
        return "UID " + word_of(args[1]), args[2:]
    return name, args[1:]
