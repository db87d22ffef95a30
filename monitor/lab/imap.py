"""The lab's IMAP server: a provider's listeners, its open sessions, and the faults that take it down."""

import asyncio
import ssl

from monitor.lab.faults import Fault, FaultBoard
from monitor.lab.imap_session import Session, Site
from monitor.lab.providers import Provider
from monitor.lab.store import MailStore
from monitor.lab.wire import Listener, Wire

MAX_SESSIONS = 20_000


class ImapServer:
    """One provider's IMAP service on three ports: plain, STARTTLS demanded, implicit TLS."""

    def __init__(
        self,
        provider: Provider,
        store: MailStore,
        faults: FaultBoard,
        tls: ssl.SSLContext | None,
        announcement_delay: float = 0.0,
    ) -> None:
        self.provider = provider
        self.listeners = {"plain": Listener(lambda: self._connection(require_tls=False))}
        if tls is not None:
            self.listeners["starttls"] = Listener(lambda: self._connection(require_tls=True))
            self.listeners["tls"] = Listener(lambda: self._connection(require_tls=False), tls)
        self._site = Site(provider, store, faults, tls, announcement_delay)
        self._sessions: dict[asyncio.Task[None], Session] = {}
        faults.subscribe(self._on_fault_switched)

    async def start(self) -> None:
        """Listen."""
        for listener in self.listeners.values():
            await listener.start()

    async def apply_faults(self) -> None:
        """Go down or come back as the faults demand."""
        down = self._site.faults.find(Fault.IMAP_DOWN, self.provider.domain)
        for listener in self.listeners.values():
            if down is not None:
                listener.stop()
            else:
                await listener.start()

    async def close(self) -> None:
        """Stop listening and end all sessions."""
        for listener in self.listeners.values():
            listener.close()
        tasks = list(self._sessions)
        for task, session in list(self._sessions.items()):
            session.wire.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connection(self, *, require_tls: bool) -> Wire:
        def serve(wire: Wire) -> None:
            if len(self._sessions) >= MAX_SESSIONS:
                wire.write(b"* BYE [LIMIT] too many connections\r\n")
                wire.close()
                return
            session = Session(self._site, wire, require_tls=require_tls)
            task = asyncio.get_running_loop().create_task(session.run(), name=f"lab imap {self.provider.domain}")
            self._sessions[task] = session
            task.add_done_callback(lambda done: self._sessions.pop(done, None))

        return Wire(serve)

    def _on_fault_switched(self, fault: Fault) -> None:
        waiting, self._site.switched = self._site.switched, asyncio.get_running_loop().create_future()
        if not waiting.done():
            waiting.set_result(None)
        for session in list(self._sessions.values()):
            session.on_fault_switched()
