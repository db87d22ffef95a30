"""Teams and the hundred other places that apprise knows (optional extra `apprise`): ports.Channel.

The library blocks, so each notice has a thread; one whose deadline is over is ended, wherever it is, so that a peer who never stops talking
fills no memory. What the library logs may quote its URL, which is a secret: of its log only the status of an answer is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from functools import cache

from monitor.edge.channels.exchange import NotSent
from monitor.edge.channels.layout import fit
from monitor.edge.reply import clean
from monitor.model.channels import MAILING, AppriseChannel
from monitor.model.incident import Severity
from monitor.model.notice import Call, Notice, NotTold, Telling, Told
from monitor.ports import SecretError, Secrets

INSTALL = "pip install 'mailcanary[apprise]'"
AT_ONCE = 8  # threads of one channel; those that hang count until they have ended
LONGEST_TEXT = 20_000  # characters that are handed over; the library cuts to what the place takes
SOCKET_WAIT = 4.0  # seconds to connect, and between two pieces of an answer

_LATER = frozenset({408, 425, 429})
_STATUS = re.compile(r"\berror[=:] ?([1-5]\d\d)\b")
_status: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("status", default=None)


def is_installed() -> bool:
    """The optional extra is there."""
    return importlib.util.find_spec("apprise") is not None


class Apprise:
    def __init__(self, policy: AppriseChannel, secrets: Secrets) -> None:
        self._policy = policy
        self._secrets = secrets
        self._running = 0

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        ref = self._policy.url
        if not is_installed():
            return NotTold("apprise is not installed", transient=False, mend=INSTALL)
        try:
            url = self._url()
        except NotSent as failure:
            return failure.outcome
        if self._running >= AT_ONCE:
            return NotTold(f"{ref}: {AT_ONCE} earlier notices are still under way", transient=True)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Telling] = loop.create_future()

        def ended(told: Telling) -> None:
            self._running -= 1
            if not outcome.done():
                outcome.set_result(told)

        self._running += 1
        call = _Call(url, str(ref), notice, _Once(loop, ended))
        call.begin()
        try:
            async with asyncio.timeout(deadline):
                return await outcome
        except TimeoutError:
            return NotTold(f"{ref} did not answer within {deadline:g} s", transient=True)
        finally:
            call.end()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _url(self) -> str:
        ref = self._policy.url
        try:
            url = self._secrets.read(ref).strip()
        except SecretError as error:
            raise NotSent(clean(str(error)), f"make the secret {ref} readable") from None
        if url.partition("://")[0].lower() in MAILING:
            mend = "name a place that is told without e-mail, which may be what is broken"
            raise NotSent(f"secret {ref} would send e-mail", mend, transient=False)
        return url


class _Ended(BaseException):
    """Raised inside a thread that nobody waits for any more. No Exception: the library would take it for a failed attempt."""


class _Once:
    """Hands an outcome over to the event loop, once, however often it is called; a loop that is gone wants none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, then: Callable[[Telling], None]) -> None:
        self._loop = loop
        self._then = then
        self._done = False  # used within the loop only

    def __call__(self, told: Telling) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hand_over, told)

    def _hand_over(self, told: Telling) -> None:
        if not self._done:
            self._done = True
            self._then(told)


class _Call:
    """One notice in a thread of its own."""

    def __init__(self, url: str, name: str, notice: Notice, done: _Once) -> None:
        self._url = url
        self._name = name
        self._notice = notice
        self._done = done
        self._lock = threading.Lock()
        self._thread: int | None = None  # while it may be ended

    def begin(self) -> None:
        threading.Thread(target=self._run, name="apprise", daemon=True).start()

    def end(self) -> None:
        """To be called once."""
        with self._lock:
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(_Ended))

    def _run(self) -> None:
        told: Telling = NotTold(f"{self._name}: ended before it was told", transient=True)
        with contextlib.suppress(_Ended):
            told = self._say()
        try:
            self._done(told)
        except _Ended:  # it may come as late as here
            self._done(told)

    def _say(self) -> Telling:
        try:
            with self._lock:
                self._thread = threading.get_ident()
            return _send(self._url, self._name, self._notice)
        except Exception as failure:  # nothing that a peer provokes in the library may escape; its text may quote the URL
            return NotTold(f"{self._name}: {type(failure).__name__} in the library apprise", transient=True)
        finally:
            with self._lock:
                self._thread = None


def _send(url: str, name: str, notice: Notice) -> Telling:
    """Blocks. The library is slow to load: here, where nothing waits for it but this notice."""
    import apprise  # noqa: PLC0415 - an optional extra

    _hush()
    heard: list[int] = []
    token = _status.set(heard)
    try:
        # Without a time limit of its own the library works in this thread, which can be ended.
        asset = apprise.AppriseAsset(async_mode=False, http_redirects=False, secure_logging=True, storage_mode="memory", service_timeout=0)
        place = apprise.Apprise.instantiate(url, asset=asset)
        if place is None:
            mend = "put one URL that apprise takes into the secret; the command `apprise` tries it"
            return NotTold(f"secret {name} is no URL that apprise knows", transient=False, mend=mend)
        place.socket_connect_timeout = place.socket_read_timeout = SOCKET_WAIT
        place.overflow_mode = apprise.OverflowMode.TRUNCATE
        known = apprise.Apprise(asset=asset)
        known.add(place)
        took = known.notify(
            title=fit(notice.title)[:LONGEST_TEXT],
            body=fit(notice.text)[:LONGEST_TEXT] or " ",  # what is empty is refused
            notify_type=_kind(notice),
            body_format=apprise.NotifyFormat.TEXT,
        )
    finally:
        _status.reset(token)
    if took:
        return Told(f"{clean(str(place.service_name))} took it")
    if not heard:
        return NotTold(f"{name} was not reached, or gave no answer", transient=True)
    mend = f"check the secret {name}" if 400 <= heard[-1] < 500 and heard[-1] not in _LATER else ""
    return NotTold(f"{name} answered {heard[-1]}", transient=True, mend=mend)  # what it means is the library's secret: tried again


def _kind(notice: Notice) -> str:
    match notice.call:
        case Call.FIRE:
            return "failure" if notice.severity is Severity.PAGE else "warning"
        case Call.RESOLVE:
            return "success"
        case Call.TEST:
            return "info"


@cache
def _hush() -> None:
    """Nothing of what the library and those below it log goes anywhere: it may quote the URL."""
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [_Ear()]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    for below in ("requests", "urllib3", "paho"):
        logging.getLogger(below).setLevel(logging.ERROR)


class _Ear(logging.Handler):
    """Keeps the status of the answer that the library complains of."""

    def emit(self, record: logging.LogRecord) -> None:
        heard, found = _status.get(), _STATUS.search(record.getMessage())
        if heard is not None and found is not None:
            heard.append(int(found[1]))
