"""The gate of a daemon: each question has its deadline, and is asked again, within bounds, when the daemon is away or busy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from monitor.cli import UsageError
from monitor.cli.gate.asked import Question
from monitor.cli.server import Strange, ask, fits, token
from monitor.edge import clock
from monitor.edge.daemon import TIMEOUT, Daemon, DaemonError
from monitor.surface.gate.safe import LONGEST_NAME, safe

GATE = "mailcanary.gate/v1"

UNANSWERED = 10.0  # seconds for which a daemon that does not answer may be on its way up
BUSY = 60.0  # seconds for which one may say "later"
SAID_LATER = frozenset({429, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds between two tries
LONGEST_RETRY_AFTER = 30.0
STRANGER = "this is no mailcanary of this version"

Document = dict[str, object]
T = TypeVar("T")


class Remote:
    """Raises UsageError where the daemon refuses, DaemonError where it does not answer in time."""

    goes_on = True  # when we leave, the gate does not

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._token = token(arguments)

    def environment(self) -> str:
        """The daemon's."""
        return str(self._ask(lambda daemon: daemon.document("/v1/status")).get("environment", ""))

    def begin(self, question: Question) -> tuple[Document, bool]:
        patience, lost, body, by = Patience(), False, question.body(), safe(question.by, LONGEST_NAME)
        while True:
            try:
                new, document = self._ask(lambda daemon: daemon.posted("/v1/gates", body))
                return sound(self._arguments, document), new or (lost and document["requested_by"] == by)
            except Strange:
                raise
            except DaemonError as error:
                lost = lost or not error.status  # it may have heard us
                patience.wait(error, UNANSWERED if error.status not in SAID_LATER else BUSY)

    def find(self) -> Document:
        """The gate that the call names, by its id or its deploy."""
        given = self._arguments.gate
        if bool(given) == bool(self._arguments.deploy):
            raise UsageError("name the gate by its id, or its deploy by --deploy; `mailcanary gate status` shows the latest")
        if given:
            return self.look(given)
        where = f"/v1/gates/by-deploy/{quote(self.environment(), safe='')}/{quote(self._arguments.deploy, safe='')}"
        return self._document(lambda daemon: daemon.document(where))

    def look(self, gate: str, wait: float = 0.0, within: float = TIMEOUT) -> Document:
        asked = f"?wait={wait:.0f}s" if wait >= 1 else ""
        return self._document(lambda daemon: daemon.document(f"{_place(gate)}{asked}", within + wait))

    def latest(self) -> dict[str, object]:
        return self._ask(lambda daemon: daemon.document("/v1/gates"))

    def cancel(self, gate: str, by: str, reason: str, within: float = TIMEOUT) -> Document:
        return self._document(lambda daemon: daemon.post(f"{_place(gate)}/cancel", {"by": by, "reason": reason}, within))

    def override(self, gate: str, by: str, reason: str, length: str) -> Document:
        return self._document(lambda daemon: daemon.post(f"{_place(gate)}/override", {"by": by, "reason": reason, "for": length}))

    def _document(self, question: Callable[[Daemon], dict[str, object]]) -> Document:
        return sound(self._arguments, self._ask(question))

    def _ask(self, question: Callable[[Daemon], T]) -> T:
        return ask(self._arguments, self._token, question)


class Patience:
    """The waits between tries. Raises what it was given when another try would come too late."""

    def __init__(self) -> None:
        self._since = clock.monotonic()
        self._next = FIRST_WAIT

    def wait(self, error: DaemonError, at_most: float) -> None:
        """`at_most`: seconds since the first try."""
        pause = self._next if error.retry_after is None else max(FIRST_WAIT, min(error.retry_after, LONGEST_RETRY_AFTER))
        self._next = min(2 * self._next, LONGEST_WAIT)
        if clock.monotonic() + pause - self._since > at_most:
            raise error
        clock.pause(pause)


def sound(arguments: argparse.Namespace, document: dict[str, object]) -> Document:
    """A document of a gate, as far as we rest on it."""
    fits(arguments, GATE, document)
    strings = all(isinstance(document.get(name), str) for name in ("id", "state", "verdict", "found", "because", "reason", "requested_by"))
    if not strings or not isinstance(document.get("classes"), list) or not isinstance(document.get("policy"), dict):
        raise Strange(f"{arguments.server}: {STRANGER} (its gate lacks what every gate has); is --server right?")
    return document


def _place(gate: str) -> str:
    """gate-0123456789ab may be called 0123456789ab."""
    name = gate.strip()
    return f"/v1/gates/{quote(name if name.startswith('gate-') else f'gate-{name}', safe='')}"
