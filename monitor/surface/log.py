"""Log lines: what a person wants to read of the facts. JSON, or text on a terminal. No address, no refund number, no secret."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TextIO

from monitor.model.facts import (
    ClockJumped,
    Deferred,
    Entry,
    Fact,
    Foreign,
    ForeignKind,
    Judged,
    Paused,
    Resumed,
    Started,
    Stray,
    SubmitError,
    SubmitUnknown,
    WatchBlind,
    WatchRestored,
)
from monitor.model.verdict import Verdict
from monitor.surface.plain import plain


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Line = tuple[Level, str, str, dict[str, str]]  # level, event, message, fields


class Log:
    """Writes one line per notable fact to `out`; `say` is for what is no fact."""

    def __init__(self, form: LogFormat, environment: str, now: Callable[[], str], out: TextIO = sys.stderr) -> None:
        self._form = form
        self._environment = environment
        self._now = now
        self._out = out

    def tell(self, entry: Entry) -> None:
        if entry.fact is not None and (line := describe(entry.fact)) is not None:
            self._write(entry.fact.at.iso(), line)

    def say(self, level: Level, event: str, message: str) -> None:
        self._write(self._now(), (level, event, message, {}))

    def _write(self, at: str, line: Line) -> None:
        level, event, message, fields = line
        message = plain(message)
        if self._form is LogFormat.JSON:
            record = {"ts": at, "level": level.value, "event": event, "msg": message, "service": "mailcanary"}
            text = json.dumps({**record, "environment": self._environment, **fields})
        else:
            text = f"{at} {level.value:<7} {message}"
        with contextlib.suppress(OSError, ValueError):  # a log that nobody takes any more (EPIPE, a full disk, closed) stops no watch
            print(text, file=self._out, flush=True)


def describe(fact: Fact) -> Line | None:
    """The line about a fact; None where it is routine."""
    match fact:
        case Judged():
            level = {Verdict.PASS: Level.INFO, Verdict.FAIL: Level.ERROR, Verdict.ERROR: Level.ERROR}.get(fact.verdict, Level.WARNING)
            revision = f" (revision {fact.revision})" if fact.revision else ""
            text = f"{fact.route}: {fact.verdict.value.upper()} {fact.reason.value}{revision}: {fact.explanation}"
            return level, "judged", text, {"route": str(fact.route), "probe_id": fact.probe, "result": fact.reason.value}
        case WatchBlind():
            text = f"{fact.mailbox}: blind, {fact.cause.value}: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.WARNING, "watch_blind", text, {"mailbox": fact.mailbox}
        case WatchRestored():
            return Level.INFO, "watch_restored", f"{fact.mailbox}: watching {fact.folders} folders", {"mailbox": fact.mailbox}
        case Deferred():
            again = f"again in {fact.retry_in:.0f} s" if fact.retry_in is not None else "giving up"
            return Level.INFO, "deferred", f"probe {fact.probe}: deferred ({fact.reply}), {again}", {"probe_id": fact.probe}
        case SubmitError():
            text = f"probe {fact.probe}: {fact.fault.value}: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.WARNING, "submit_error", text, {"probe_id": fact.probe}
        case SubmitUnknown():
            return Level.WARNING, "submit_unknown", f"probe {fact.probe}: {fact.detail}", {"probe_id": fact.probe}
        case Stray():
            return Level.WARNING, "stray", f"{fact.mailbox}: stray refund mail in {fact.folder!r}: {fact.why}", {"mailbox": fact.mailbox}
        case Foreign(kind=ForeignKind.ENVIRONMENT | ForeignKind.FORGED):
            text = f"{fact.mailbox}: a token of kind {fact.kind.value} in {fact.folder!r}"
            return Level.WARNING, "foreign", text, {"mailbox": fact.mailbox}
        case ClockJumped():
            return Level.WARNING, "clock_jumped", f"the clock stepped by {fact.seconds:+.1f} s", {}
        case Paused():
            return Level.WARNING, "paused", f"submission paused by {fact.by}: {fact.reason}", {}
        case Resumed():
            return Level.INFO, "resumed", f"submission resumed by {fact.by}", {}
        case Started():
            return Level.INFO, "started", f"mailcanary {fact.version} started", {}
        case _:
            return None
