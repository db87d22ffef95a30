"""`mailcanary run`: the daemon."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from monitor.app import App, assembled
from monitor.cli import UsageError
from monitor.cli.configured import policy_of
from monitor.edge.journal import JournalError
from monitor.edge.ownership import OwnershipError
from monitor.model.policy import Policy
from monitor.ports import JournalUnwritable
from monitor.surface.api import BACKLOG, Api, Connections
from monitor.surface.log import Level, Log, LogFormat

T = TypeVar("T")

KEPT_OPEN = 75.0  # seconds that a connection stays after an answer
FAREWELL = 3.0  # seconds for answers under way at the end, twice at most: an orchestrator kills after ten


def call(arguments: argparse.Namespace) -> int:
    notes: list[str] = []
    early = _Early()
    policy = policy_of(arguments, notes.append)
    form = arguments.log_format
    if form == "auto":
        form = "text" if sys.stderr.isatty() else "json"
    try:
        return run_loop(_serve(policy, LogFormat(form), notes, partial(policy_of, arguments), early))
    except (JournalError, JournalUnwritable, OwnershipError) as error:
        print(error, file=sys.stderr)
        return 4


class _Early:
    """A SIGHUP that comes before the daemon can take it must neither end it nor be forgotten: the file may have been read before."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGHUP, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop where it is installed (a fifth of the memory for TLS), else on asyncio."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def _serve(
    policy: Policy, form: LogFormat, notes: Sequence[str], read: Callable[[Callable[[str], None]], Policy], early: _Early
) -> int:
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if stop.is_set():  # the second one: what is committed is committed, and a start takes up the rest
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    if early.asked:
        again.set()
    async with assembled(policy, exclusive=False) as app:
        log = Log(form, policy.environment, lambda: app.edges.clock.now().iso())
        logging.basicConfig(handlers=[Libraries(log)], level=logging.WARNING)
        app.journal.fold_into(log.tell)
        for note in notes:
            log.say(Level.WARNING, "configuration", note)

        async def reload() -> None:
            while True:
                await again.wait()
                again.clear()
                await _reload(app, log, read)

        try:
            async with serving(app), app.running(reload, schedule=True):
                log.say(Level.INFO, "listening", f"listening on {policy.listen.host}:{policy.listen.port}")
                await stop.wait()
                log.say(Level.INFO, "stopping", "stopping: submissions under way may end, probes in flight stay in flight")
        except ExceptionGroup as errors:
            log.say(Level.ERROR, "internal", f"stopped by a fault of our own: {errors.exceptions[0]!r}")
            return 4
    return 0


async def _reload(app: App, log: Log, read: Callable[[Callable[[str], None]], Policy]) -> None:
    """Read the configuration again, beside the event loop; whatever is wrong with it changes nothing and is said, a line a fault."""
    notes: list[str] = []
    try:
        policy = await asyncio.to_thread(read, notes.append)
    except UsageError as error:
        faults = str(error).splitlines()
        for fault in faults:
            log.say(Level.ERROR, "configuration", fault)
        more = f", and {len(faults) - 1} more faults" if len(faults) > 1 else ""
        await app.refuse(f"{faults[0]}{more}")
        return
    for note in notes:
        log.say(Level.WARNING, "configuration", note)
    if (why := await app.reload(policy)) and not app.desk.writable:
        log.say(Level.ERROR, "reload_refused", f"the configuration was not taken: {why}")


class Libraries(logging.Handler):
    """What edges and libraries log becomes a line of ours, in our form: whoever parses stderr finds nothing else there."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info[1] if record.exc_info else None
        ours = not record.name.startswith("aiohttp")  # what it refuses, a peer has sent: no fault of ours, and there may be a token in it
        error = "" if raised is None else f": {raised!r}" if ours else f": {type(raised).__name__}"
        level = Level.ERROR if ours and record.levelno >= logging.ERROR else Level.WARNING
        self._log.say(level, "library", f"{record.name}: {record.getMessage()}{error}")


@contextlib.asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """The HTTP surface while the body runs; yields its base URL. Raises UsageError when the address is taken."""
    listen = app.desk.policy.listen
    stage = app.reconcile
    api = Api(
        app.desk, app.metrics, app.edges.secrets, app.alive, lambda: True, ledger=app.ledger, nudge=stage.nudge, read_now=stage.read_now
    )
    connections, application = Connections(), api.application()
    application.middlewares.insert(0, connections.watch)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, keepalive_timeout=KEPT_OPEN, shutdown_timeout=FAREWELL)
    await runner.setup()
    try:
        assert runner.server is not None  # noqa: S101 - it was set up
        try:
            door = connections.door(runner.server)
            listener = await asyncio.get_running_loop().create_server(door, listen.host, listen.port, backlog=BACKLOG)
        except OSError as error:
            raise UsageError(f"listen: {listen.host}:{listen.port}: {error.strerror}; choose another listen.port") from None
        try:
            yield f"http://{listen.host}:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
    finally:
        await runner.cleanup()
