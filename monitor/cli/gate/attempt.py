"""From the question to the answer: begin, follow, ask again where that is wanted, and leave nothing running that nobody waits for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Protocol

from monitor.cli import UsageError, remark
from monitor.cli.gate.asked import Question
from monitor.cli.gate.progress import Watching
from monitor.edge import clock
from monitor.edge.daemon import TIMEOUT, DaemonError
from monitor.model.gate import Because
from monitor.model.verdict import Verdict
from monitor.surface.gate import exit_code
from monitor.surface.gate.safe import LONGEST_REASON, safe

GRACE = 30.0  # seconds beyond the attempt's own end: a daemon that starts anew decides then
HOLD = 30.0  # seconds between a gate that is inconclusive and asking again
LOOK = 25.0  # seconds that one look may wait for news
LINE = 10.0  # the same where a plain line is printed now and then
PACE, LATER_PACE = 0.1, 1.0  # seconds between two looks; more and more where the other side does not let us wait
ANSWER = TIMEOUT  # seconds for the answer itself
FAREWELL = 2.0  # seconds to cancel what we began
SOON = 1.0
TOGETHER = 1.0  # seconds in which two signals are one: `timeout` of coreutils sends its own to us and to our group
HELD_TIMES = 2  # the policy's timeout, for an attempt and another one

Document = dict[str, object]


class Stopped(BaseException):
    """A signal asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopping:
    """While it is entered, SIGINT and SIGTERM raise Stopped, once; another one, more than TOGETHER later, ends the process as it stands."""

    def __init__(self) -> None:
        self._held = False
        self._came, self._at = 0, 0.0
        self._raised = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, was in self._before.items():
            signal.signal(number, was)

    def heed(self) -> None:
        """Raise once more what was raised in vain: within a finalizer (a connection that is being closed) Python drops every exception."""
        if self._came:
            self._raise()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal waits for the end of the body, at most FAREWELL: who is stopped after a question and before its answer does not know
        what there is to cancel."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came and not self._raised:
            self._raise()

    def _stop(self, number: int, _: object) -> None:
        now = clock.monotonic()
        if self._came:
            if now - self._at < TOGETHER:
                return
            os._exit(128 + number)
        self._came, self._at = number, now
        if not self._held:
            self._raise()
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._raise)
        signal.setitimer(signal.ITIMER_REAL, FAREWELL)

    def _raise(self, *_: object) -> NoReturn:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._raised = True
        raise Stopped(self._came)


class Source(Protocol):
    """Who runs the gate. Raises UsageError where it refuses, DaemonError where it does not answer."""

    @property
    def goes_on(self) -> bool:
        """Without us too."""

    def begin(self, question: Question) -> tuple[Document, bool]:
        """The gate, and whether an attempt began with this question."""

    def look(self, gate: str, wait: float = 0.0, within: float = TIMEOUT) -> Document:
        """How it stands, after news of it or `wait` seconds; `within`: for the answer itself."""

    def cancel(self, gate: str, by: str, reason: str, within: float = TIMEOUT) -> Document:
        """Ask for its end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`code`: to exit with. `note`: a line on stderr beside the report."""

    document: Document
    code: int
    note: str = ""


@dataclass(slots=True)
class Attempt:
    """`timeout`: seconds to wait for the decision; None: as long as the policy gives an attempt, or, when held,
    HELD_TIMES as long. `hold`: ask again while inconclusive."""

    source: Source
    watching: Watching
    stopping: Stopping
    by: str
    timeout: float | None
    hold: bool = False
    document: Document | None = None  # the last that was heard
    ours: bool = False  # it began with our question

    def run(self, question: Question, wait: bool) -> Ending:
        """Begin, and follow it to its decision. Raises UsageError and DaemonError where nothing began, StoppedEarly."""
        try:
            self._begin(question)
            if not wait:
                return Ending(self._heard, 0 if _running(self._heard) else exit_code(self._heard))
            return self._held(question)
        except Stopped as stopped:
            return self._stopped(stopped.number)

    def wait(self, document: Document) -> Ending:
        """Follow a gate that there is."""
        self.document = document
        try:
            return self._follow(clock.monotonic())
        except Stopped as stopped:
            return self._stopped(stopped.number)

    def _begin(self, question: Question) -> None:
        with self.stopping.held():
            self.document, self.ours = self.source.begin(question)

    def _held(self, question: Question) -> Ending:
        since = clock.monotonic()
        ending = self._follow(since)
        while self._ask_again(ending, since):
            self.stopping.heed()
            try:
                self._begin(question)
            except (UsageError, DaemonError) as error:
                return Ending(ending.document, ending.code, f"{error}; it was not asked again")
            ending = self._follow(since)
        return ending

    def _follow(self, since: float) -> Ending:
        """Look at it until it is decided, or our time is over. An answer that does not come is asked for again until then."""
        gate, limit, pause = str(self._heard["id"]), self._seconds(), PACE
        grace = 0.0 if self.timeout is not None else GRACE + HOLD if self.hold else GRACE  # an attempt that was asked for anew ends too
        self.watching.heard(self._heard)
        while _running(self._heard):
            self.stopping.heed()
            if (left := since + limit - clock.monotonic()) + grace <= 0:
                return self._undecided(limit)
            clock.pause(pause)
            asked = clock.monotonic()
            try:
                self.document = self._look(gate, min(LOOK if self.watching.live else LINE, max(SOON, left)), since + limit + GRACE)
            except DaemonError as error:
                return self._lost(str(error))
            self.watching.heard(self._heard)
            pause = min(2 * pause, LATER_PACE) if clock.monotonic() - asked < SOON / 2 else PACE
        return Ending(self._heard, exit_code(self._heard))

    def _look(self, gate: str, wait: float, until: float) -> Document:
        """Again and again, until then, where no answer comes: the connection breaks, the daemon starts anew. Raises DaemonError."""
        pause = PACE
        while True:
            self.stopping.heed()
            try:
                return self.source.look(gate, wait, ANSWER)
            except UsageError as error:  # it was there a moment ago
                raise DaemonError(str(error)) from None
            except DaemonError as error:
                self.watching.note(f"gate {gate}: {error}; asking again")
                pause = min(2 * pause, GRACE / 3) if error.retry_after is None else min(max(PACE, error.retry_after), GRACE)
                if clock.monotonic() + pause >= until:
                    raise
                clock.pause(pause)
                wait = SOON

    @property
    def _heard(self) -> Document:
        assert self.document is not None  # noqa: S101
        return self.document

    def _seconds(self) -> float:
        """To wait, since the call began."""
        if self.timeout is not None:
            return self.timeout
        policy = self._heard["policy"]
        told = policy.get("timeout_s") if isinstance(policy, dict) else None
        return float(told) * (HELD_TIMES if self.hold else 1) if isinstance(told, int | float) else 0.0

    def _ask_again(self, ending: Ending, since: float) -> bool:
        """An inconclusive one, after a while, within our time. What a person cancelled stays cancelled."""
        document = ending.document
        if not self.hold or _running(document) or document["verdict"] != Verdict.INCONCLUSIVE.value:
            return False
        if document["because"] == Because.CANCELLED.value or clock.monotonic() + HOLD - since >= self._seconds():
            return False
        self.watching.note(f"gate {document['id']}: inconclusive ({document['reason']}); asking again in {HOLD:g} s")
        clock.pause(HOLD)
        return True

    def _undecided(self, limit: float) -> Ending:
        """Our time is over, the gate's is not."""
        gate = str(self._heard["id"])
        if not self.source.goes_on:
            return Ending(document := self._cancelled(f"not decided within {limit:g} s"), exit_code(document))
        return Ending(self._heard, exit_code(self._heard), f"gate {gate}: not decided within {limit:g} s; {_later(gate)}")

    def _lost(self, why: str) -> Ending:
        gate = str(self._heard["id"])
        why = f"{why}; last heard: {self._heard['verdict']}" + (f"; {_later(gate)}" if self.source.goes_on else "")
        found = {**self._heard, "verdict": Verdict.ERROR.value, "reason": safe(why, LONGEST_REASON)}
        return Ending(found, Verdict.ERROR.exit_code, why)

    def _stopped(self, number: int) -> Ending:
        """Cancel what we began; what others began, or wait for, goes on."""
        code, name = 128 + number, signal.Signals(number).name
        if self.document is None:
            why = f"{name} before the gate had answered; `mailcanary gate status --deploy` says whether it began"
            raise StoppedEarly(code, why)
        if not _running(self.document):
            return Ending(self._heard, code)
        gate = str(self.document["id"])
        if self.source.goes_on and not self.ours:
            return Ending(self._heard, code, f"gate {gate}: {name}; as far as we know it was begun by another call, and {_later(gate)}")
        return Ending(self._cancelled(f"{name} to the call that began it"), code)

    def _cancelled(self, reason: str) -> Document:
        """Within FAREWELL; the last that was heard of it when that fails."""
        gate, until = str(self._heard["id"]), clock.monotonic() + FAREWELL
        try:
            self.document = self.source.cancel(gate, self.by, reason, FAREWELL)
            while _running(self._heard) and (left := until - clock.monotonic()) > 0:
                self.document = self.source.look(gate, within=left)
                clock.pause(PACE / 4)
        except (DaemonError, UsageError) as error:
            remark(f"gate {gate}: {error}; it may not be cancelled: `mailcanary gate cancel {gate}`")
        return self._heard


class StoppedEarly(Exception):
    """A signal came before there was a gate."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def _running(document: Document) -> bool:
    return document["state"] == "running"


def _later(gate: str) -> str:
    return f"the gate goes on in the daemon: `mailcanary gate wait {gate}` asks for its decision"
