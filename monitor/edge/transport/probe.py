"""ports.TransportProbe: one look at each server, as far as it lets us."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.edge.reply import clean
from monitor.edge.tls import TlsFileError
from monitor.edge.transport.certificate import Strictness, Verifiers, certificate, next_try
from monitor.edge.transport.dialogue import Dialogue, ImapDialogue, SmtpDialogue
from monitor.edge.transport.line import Line, Stopped
from monitor.model.instant import Instant
from monitor.model.transport import Endpoint, Reached, ServerKind, TransportSeen
from monitor.ports import Clock

MOST_AT_ONCE = 20
CONNECT_SECONDS = 5.0
LOST_FOR = 600.0  # seconds for which an address that nobody answered at is not tried again
MOST_LOST = 1_000  # such addresses
GREETING_SECONDS = 30.0  # some servers wait before they greet, to see who cannot
INJECTION_SECONDS = 10.0
MAX_WHY = 200
_IMPLICIT = frozenset({ServerKind.SUBMISSIONS, ServerKind.IMAPS})
_IMAP = frozenset({ServerKind.IMAP, ServerKind.IMAPS})
_WORDS = {
    Reached.NOTHING: "no connection",
    Reached.CONNECTED: "no greeting",
    Reached.GREETED: "no answer to the first command",
    Reached.ANSWERED: "no TLS",
    Reached.ENCRYPTED: "no answer inside TLS",
    Reached.AGAIN: "no answer to the last commands",
}


@dataclass(slots=True)
class _Look:
    """One look in progress. `why`: for which reason a stricter handshake was refused."""

    seen: TransportSeen
    strictness: Strictness = Strictness.FULL
    why: str = ""
    lines: list[Line] = field(default_factory=list)
    done: bool = False  # all is seen, but whether a command from before TLS is obeyed

    @property
    def endpoint(self) -> Endpoint:
        return self.seen.endpoint

    def note(self, reached: Reached) -> None:
        self.seen = replace(self.seen, reached=reached)

    def stop(self, failed: str, *, transient: bool, reply: str = "") -> None:
        if not self.done:
            self.seen = replace(self.seen, failed=failed, transient=transient, reply=reply)

    def dialogue(self, line: Line) -> Dialogue:
        self.lines.append(line)
        return ImapDialogue(line) if self.endpoint.kind in _IMAP else SmtpDialogue(line)

    def close(self) -> None:
        for line in self.lines:
            line.abort()


class MailServerProbe:
    """`timeout`: seconds for one server: one connection when it is healthy, up to two more when its chain is not trusted. Whether it obeys
    what came before TLS is tried afterwards, on another connection, and spoils nothing."""

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self._verifiers = Verifiers()
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._lost: dict[tuple[str, int], Instant] = {}  # addresses and ports where no connection came about, and since when

    async def look(self, endpoints: Sequence[Endpoint], deadline: float) -> Mapping[Endpoint, TransportSeen]:
        looks = {endpoint: _Look(TransportSeen(endpoint, Reached.NOTHING)) for endpoint in endpoints}
        if not looks:
            return {}
        tasks = [asyncio.get_running_loop().create_task(self._examined(look), name="look at a mail server") for look in looks.values()]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, deadline))
        finally:
            late = [(task, look) for task, look in zip(tasks, looks.values(), strict=True) if not task.done()]
            for task, _ in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for _, look in late:
            look.stop(f"{_WORDS[look.seen.reached]} within the {deadline:.0f} s for all servers together", transient=True)
        now = self._clock.now().utc
        return {endpoint: replace(look.seen, at=now) for endpoint, look in looks.items()}

    async def _examined(self, look: _Look) -> None:
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._seen(look)
                look.done = True
                await self._tested(look)
            except TimeoutError:
                look.stop(f"{_WORDS[look.seen.reached]} within {self._timeout:.0f} s", transient=True)
            except Stopped as stop:
                look.stop(stop.failed, transient=stop.transient, reply=stop.reply)
            except ssl.SSLError as error:
                look.stop(f"the TLS handshake failed: {error.reason or error}", transient=False)
            except TlsFileError as error:  # ours, not theirs
                look.stop(str(error), transient=True)
            except (UnicodeError, ValueError) as error:  # a name that cannot be looked up or sent as SNI
                look.stop(f"{look.endpoint.host!r} cannot be connected to: {error}", transient=False)
            except Exception as error:  # nothing that a peer provokes may end the look without a reason (ports.TransportProbe)
                look.stop(f"the look broke off: {type(error).__name__}: {clean(str(error), limit=MAX_WHY)}", transient=True)
            finally:
                look.close()

    async def _seen(self, look: _Look) -> None:
        """The look itself, from the start again with less strictness when the chain is refused."""
        while True:
            try:
                return await self._passed(look)
            except ssl.SSLCertVerificationError as error:
                look.why = look.why or error.verify_message
                look.strictness = next_try(look.strictness, error)

    async def _connected(self, endpoint: Endpoint) -> Line:
        """A new connection; raises Stopped. Where nobody answered it is not tried again for a while: all names that share an address, and
        all domains behind a blocked port, would wait for it in turn."""
        place, now = (endpoint.address or endpoint.host, endpoint.port), self._clock.now()
        nobody = Stopped(f"no connection within {CONNECT_SECONDS:.0f} s", transient=True)
        if (lost := self._lost.get(place)) is not None and now.seconds_since(lost) < LOST_FOR:
            raise nobody
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Line.to(*place)
        except TimeoutError:
            self._lost.pop(place, None)
            self._lost[place] = now
            if len(self._lost) > MOST_LOST:
                del self._lost[next(iter(self._lost))]
            raise nobody from None

    async def _passed(self, look: _Look) -> None:
        implicit = look.endpoint.kind in _IMPLICIT
        dialogue = look.dialogue(await self._connected(look.endpoint))
        look.note(Reached.CONNECTED)
        if implicit:
            await self._encrypted(look, dialogue)
        await _greeted(dialogue)
        if not implicit:
            look.note(Reached.GREETED)
            offers = await dialogue.capabilities()
            look.note(Reached.ANSWERED)
            look.seen = replace(look.seen, offers_tls=offers.tls, plain_auth=offers.plain_auth)
            if offers.tls:
                await dialogue.start_tls()
                await self._encrypted(look, dialogue)
        if look.seen.reached is Reached.ENCRYPTED:
            await dialogue.capabilities()
            look.note(Reached.AGAIN)
        if look.endpoint.recipients:
            received = await dialogue.received(look.endpoint.recipients)
            look.seen = replace(look.seen, refused=received.refused, deferred=received.deferred)

    async def _encrypted(self, look: _Look, dialogue: Dialogue) -> None:
        endpoint = look.endpoint
        await dialogue.line.encrypt(self._verifiers.context(look.strictness, endpoint.ca_file), endpoint.host)
        tls = dialogue.line.tls
        shown = certificate(tls.getpeercert(binary_form=True) or b"", look.strictness, look.why, self._clock.now().utc)
        look.seen = replace(look.seen, reached=Reached.ENCRYPTED, version=tls.version() or "", certificate=shown)

    async def _tested(self, look: _Look) -> None:
        """Whether a command that came before TLS is obeyed inside it (RFC 3207 section 5). On a connection of its own; a server that
        refuses the attempt, or breaks off, is safe."""
        if not look.seen.offers_tls or look.seen.reached is not Reached.AGAIN:
            return
        obeyed: bool | None = None
        try:
            async with asyncio.timeout(INJECTION_SECONDS):
                dialogue = look.dialogue(await self._connected(look.endpoint))
                await _greeted(dialogue)
                await dialogue.capabilities()
                obeyed = await self._obeyed(look, dialogue)
        except (TimeoutError, Stopped):
            pass  # not tried
        look.seen = replace(look.seen, injected=obeyed)

    async def _obeyed(self, look: _Look, dialogue: Dialogue) -> bool:
        try:
            await dialogue.injected()
            await dialogue.line.encrypt(self._verifiers.context(Strictness.NONE, None), look.endpoint.host)
            return await dialogue.obeyed()
        except (Stopped, ssl.SSLError):
            return False


async def _greeted(dialogue: Dialogue) -> None:
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            await dialogue.greeting()
    except TimeoutError:
        raise Stopped(f"no greeting within {GREETING_SECONDS:.0f} s", transient=True) from None
