"""One IMAP connection: what was asked, what came back, what was announced. Fails fast, in one place, and never comes back to life."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import deque
from dataclasses import replace
from typing import cast

from aioimaplib.aioimaplib import IMAP4ClientProtocol

from monitor.edge.imap import answers
from monitor.edge.imap.exchange import ANNOUNCED, NUDGED, Announced, Exchange, Nudged, Reply
from monitor.edge.imap.stream import MAX_RESPONSES, Malformed, Response, Stream, turns
from monitor.model.mail import BlindCause
from monitor.ports import MailboxError

# Trap 17: its debug log shows passwords and tokens, and formats every read even when nobody listens.
for _name in ("aioimaplib", "aioimaplib.aioimaplib"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_ANSWER = 4 * 1024 * 1024  # bytes between the sending of a command and its completion

_UNTAGGED = re.compile(rb"\* (?:([0-9]{1,10}) )?([A-Za-z][A-Za-z0-9.-]*)(?: (.*))?\Z", re.DOTALL)
_STATUS = re.compile(rb"(OK|NO|BAD)(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_KEPT_CODES = frozenset({b"UIDVALIDITY", b"UIDNEXT"})
_LOST = "the server closed the connection"


class Connection(IMAP4ClientProtocol):  # type: ignore[misc]  # aioimaplib has no types
    """aioimaplib's protocol with its state machine replaced. One command at a time (trap 6), one owner.

    Overridden: data_received, because the library's recurses and guesses (3, 8, 9, 10) and raises inside the loop (5, 7, 13);
    connection_lost, because the library leaves waiters waiting (1, 2); execute, login, idle and the like are not used at all: they
    keep dead commands (4), stale pushes (16) and the library's own idea of state (15). What remains: tags, transport, quoting.
    """

    def __init__(self, where: str, timeout: float) -> None:
        super().__init__(asyncio.get_running_loop())
        self.transport: asyncio.Transport | None = None
        self.where = where
        self.timeout = timeout
        self.capabilities: frozenset[str] = frozenset()
        self.selected: bytes | None = None  # wire name of the folder that is open
        self.exists = 0
        self.arrived = 0  # announced since someone last set it to 0
        self.changed = False  # the same for any change
        self.failure: MailboxError | None = None
        self.hidden: tuple[str, ...] = ()  # never to be repeated in an error, while a login is under way
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self._stream = Stream()
        self._deaf = False
        self._exchange: Exchange | None = Exchange(b"", "greeting")
        self._allowance = MAX_ANSWER
        self._recent = 0
        self._bye = ""

    # --- what the loop calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, d: bytes) -> None:
        if self._deaf or self.failure is not None:
            return
        self._allowance -= len(d)
        try:
            if self._allowance < 0:
                raise Malformed(f"more than {MAX_ANSWER} bytes in answer to one command")  # noqa: TRY301 - one way out for all bounds
            for response in self._stream.feed(d):
                self._take(response)
                if self._deaf or self.failure is not None:
                    self._stream = Stream()
                    return
        except Malformed as error:
            self.drop(self.error(BlindCause.PROTOCOL, f"the server sent {error}", "look at what the server sends; the watch tries again"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        why = f"{_LOST}: {self.words(str(exc))}" if exc is not None else _LOST
        self.drop(self.error(BlindCause.CLOSED, f"{why}; its BYE: {self._bye}" if self._bye else why))

    # --- errors -------------------------------------------------------------------------------------------------

    def error(self, cause: BlindCause, detail: str, mend: str = "") -> MailboxError:
        return MailboxError(cause, f"{self.where}: {detail}", mend)

    def words(self, text: bytes | str) -> str:
        return answers.words(text, *self.hidden)

    def refused(self, reply: Reply, what: str, cause: BlindCause = BlindCause.PROTOCOL, mend: str = "") -> MailboxError:
        return self.error(cause, f"{what} refused: {self.words(reply.said)}", mend)

    def drop(self, error: MailboxError | None = None) -> None:
        """End the connection at once; whoever waits gets the error. Idempotent: the first reason stays."""
        if self.failure is None:
            self.failure = error or self.error(BlindCause.CLOSED, "the connection was given up")
            if self._exchange is not None:
                self._exchange.put(self.failure)
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    # --- reading ------------------------------------------------------------------------------------------------

    def _take(self, response: Response) -> None:
        exchange = self._exchange
        line = response[0]
        if exchange is not None and exchange.verb == "greeting":
            self._greet(line, exchange)
        elif line.startswith(b"* "):
            self._untagged(response, exchange)
        elif exchange is None:
            return
        elif line.startswith(b"+"):
            exchange.put(line[1:].lstrip(b" "))
        elif line.startswith(exchange.tag + b" "):
            self._complete(line[len(exchange.tag) + 1 :], exchange)
        # What is neither is noise: skipped, and paid for from the allowance.

    def _greet(self, line: bytes, exchange: Exchange) -> None:
        """Trap 13: the library turns a greeting BYE into an orphan exception and a timeout."""
        match = _UNTAGGED.match(line)
        kind = match[2].upper() if match else b""
        code, argument, text = answers.code(match[3] or b"" if match else b"")
        if kind == b"BYE":
            reason = self.words(text) or "no reason given"
            self.drop(self.error(BlindCause.CLOSED, f"the server turns us away: {reason}", "the watch tries again, ever more slowly"))
        elif kind in (b"OK", b"PREAUTH"):
            if code == b"CAPABILITY":
                self.capabilities = answers.capabilities(argument)
            exchange.put(Reply(kind.decode(), code, text, (), {}))
        else:
            self.drop(
                self.error(BlindCause.PROTOCOL, f"no IMAP greeting but: {self.words(line)}", "check host and port: is this an IMAP server?")
            )

    def _untagged(self, response: Response, exchange: Exchange | None) -> None:
        match = _UNTAGGED.match(response[0])
        if match is None:
            return  # noise; trap 7: no decoding here that could fail
        number, kind, text = match[1], match[2].upper(), match[3] or b""
        if number is not None:
            self._count(int(number), kind, exchange)
        elif kind == b"BYE":
            self._bye = self.words(answers.code(text)[2]) or "no reason given"
            if exchange is None or not exchange.patient:
                self.drop(self.error(BlindCause.CLOSED, f"the server said BYE: {self._bye}"))
        elif kind == b"CAPABILITY":
            self.capabilities = answers.capabilities(text)
        elif kind == b"OK" and exchange is not None:
            code, argument, _ = answers.code(text)
            if code in _KEPT_CODES:
                exchange.codes[code] = argument
        if exchange is not None and kind in exchange.collect:
            exchange.responses.append(response)

    def _count(self, number: int, kind: bytes, exchange: Exchange | None) -> None:
        """Message counts. Trap: the library drops EXISTS and EXPUNGE that come during another command."""
        if kind == b"EXISTS":
            if number > self.exists:
                self.arrived += number - self.exists
                self._announce(exchange)
            self.exists = number
        elif kind == b"EXPUNGE":
            self.exists = max(0, self.exists - 1)
            self._announce(exchange)
        elif kind == b"RECENT":
            if number > self._recent:
                self._announce(exchange)
            self._recent = number

    def _announce(self, exchange: Exchange | None) -> None:
        self.changed = True
        if exchange is not None and exchange.verb == "IDLE":
            exchange.put(ANNOUNCED)

    def _complete(self, rest: bytes, exchange: Exchange) -> None:
        match = _STATUS.match(rest)
        if match is None:
            raise Malformed(f"a tagged response that says neither OK, NO nor BAD: {self.words(rest)}")
        code, argument, text = answers.code(match[2] or b"")
        if code == b"CAPABILITY":
            self.capabilities = answers.capabilities(argument)
        status = match[1].upper().decode()
        self._deaf = exchange.secures and status == "OK"
        if exchange.selects:  # from here on, and not from when the owner wakes up, a count is news
            self.arrived = 0
            self.changed = False
        exchange.put(Reply(status, code, text, tuple(exchange.responses), exchange.codes))

    # --- asking -------------------------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange) -> Exchange:
        if self.failure is not None:
            raise MailboxError(self.failure.cause, self.failure.detail, self.failure.mend)
        if self._exchange is not None:
            raise self.error(BlindCause.PROTOCOL, f"{exchange.verb} while {self._exchange.verb} is under way: a bug of ours")
        self._exchange = exchange
        self._allowance = MAX_ANSWER
        self._stream.room = MAX_RESPONSES
        return exchange

    def _tag(self) -> bytes:
        tag: str = self.new_tag()
        return tag.encode("ascii")

    def _write(self, data: bytes) -> None:
        if self.transport is not None:  # else the failure is already in the queue
            self.transport.write(data)

    def _silent(self, verb: str) -> MailboxError:
        """Trap 5: what comes after a timeout would meet the wrong command, so nothing may come."""
        error = self.error(BlindCause.TIMEOUT, f"no complete answer to {verb} within {self.timeout:g} s", "the watch tries again")
        self.drop(error)
        return error

    async def greeting(self) -> Reply:
        """Wait for the server's first word: OK or PREAUTH; BYE raises with its text."""
        exchange = self._exchange
        assert exchange is not None  # noqa: S101 - set in __init__, once
        try:
            async with asyncio.timeout(self.timeout):
                return await exchange.reply()
        except TimeoutError:
            raise self._silent("the connection (no greeting)") from None
        finally:
            self._exchange = None

    async def run(
        self,
        verb: str,
        *arguments: bytes,
        collect: frozenset[bytes] = frozenset(),
        answers_to_go_ahead: tuple[bytes, ...] = (),
        selects: bool = False,
        patient: bool = False,
        secures: bool = False,
        resigned: bytes = b"*",
    ) -> Reply:
        """One command to its tagged completion, within the timeout. On anything else the connection is gone. `resigned` answers a
        challenge that we have no answer to."""
        exchange = self._begin(Exchange(self._tag(), verb, collect, selects, patient, secures))
        pieces = deque(turns((exchange.tag, verb.encode("ascii"), *arguments)))
        pieces.extend(answer + b"\r\n" for answer in answers_to_go_ahead)
        challenges: list[bytes] = []
        try:
            async with asyncio.timeout(self.timeout):
                self._write(pieces.popleft())
                while not isinstance(event := await exchange.event(), Reply):
                    if not isinstance(event, bytes):
                        continue
                    if pieces:
                        self._write(pieces.popleft())
                    elif patient and not challenges:
                        # Trap 12: a refusal may come as one more challenge and wait for an answer; * gives up (RFC 3501 section 6.2.2).
                        challenges.append(event)
                        self._write(resigned + b"\r\n")
        except TimeoutError:
            raise self._silent(verb) from None
        except BaseException:
            self.drop()
            raise
        else:
            return replace(event, challenges=tuple(challenges)) if challenges else event
        finally:
            self._exchange = None

    def nudge(self) -> None:
        """End a running IDLE."""
        if self._exchange is not None and self._exchange.verb == "IDLE":
            self._exchange.put(NUDGED)

    async def idle(self, seconds: float) -> bool | None:
        """IDLE (RFC 2177) until something is announced (True) or the time is over (False). None: this server does not hold IDLE."""
        exchange = self._begin(Exchange(self._tag(), "IDLE"))
        over: Reply | None = None
        nudged = False
        try:
            async with asyncio.timeout(self.timeout):
                self._write(exchange.tag + b" IDLE\r\n")
                event = await exchange.event()
                while isinstance(event, Announced | Nudged):
                    nudged = nudged or isinstance(event, Nudged)
                    event = await exchange.event()
            if isinstance(event, Reply):
                return None
            try:
                async with asyncio.timeout(seconds):
                    while not self.changed and not nudged and over is None:
                        event = await exchange.event()
                        nudged = isinstance(event, Nudged)
                        over = event if isinstance(event, Reply) else None
            except TimeoutError:
                pass
            if over is None:
                async with asyncio.timeout(self.timeout):
                    self._write(b"DONE\r\n")
                    over = await exchange.reply()
                return self.changed
            return True if self.changed else None
        except TimeoutError:
            raise self._silent("IDLE") from None
        except BaseException:
            self.drop()
            raise
        finally:
            self._exchange = None

    async def upgrade(self, context: ssl.SSLContext, host: str) -> None:
        """The TLS handshake after STARTTLS (RFC 3501 section 6.2.1). What was learnt before it is forgotten."""
        async with asyncio.timeout(self.timeout):
            transport = await self.loop.start_tls(self.transport, self, context, server_hostname=host)
        if transport is None:
            raise ConnectionResetError(_LOST)
        self.transport = transport
        self.capabilities = frozenset()
        self._deaf = False
