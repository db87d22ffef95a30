"""The gate of a daemon: each question has its deadline, and is asked again, within bounds, when the daemon is away or busy."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from monitor.cli import UsageError
from monitor.cli.gate.asked import Question, named
from monitor.cli.server import Strange, ask, fits, token
from monitor.edge import clock
from monitor.edge.daemon import TIMEOUT, Daemon, DaemonError

GATE = "mailcanary.gate/v1"

UNANSWERED = 10.0  # seconds for which a daemon that does not answer may be on its way up; the last try begins then
BUSY = 60.0  # seconds for which one may say "later"
SAID_LATER = frozenset({429, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds between two tries
LONGEST_RETRY_AFTER = 30.0
BARE_ID = re.compile(r"[0-9a-f]{12}")
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
        return str(self._patiently(lambda daemon: daemon.document("/v1/status")).get("environment", ""))

    def begin(self, question: Question) -> tuple[Document, bool]:
        """Only what the daemon says to be new is ours: after an answer that was lost, the same gate may be another call's. The key lets the
        daemon know our second try for what it is."""
        body, key = question.body(), secrets.token_hex(16)
        new, document = self._patiently(lambda daemon: daemon.posted("/v1/gates", body, key=key))
        return sound(self._arguments, document), new

    def find(self) -> Document:
        """The gate that the call names, by its id or its deploy. `gate wait` has the patience of a pipeline, people have not."""
        given, ask = self._arguments.gate, self._patiently if self._arguments.action == "wait" else self._ask
        if bool(given) == bool(self._arguments.deploy):
            raise UsageError("name the gate by its id, or its deploy by --deploy; `mailcanary gate status` shows the latest")
        if given:
            return sound(self._arguments, ask(lambda daemon: daemon.document(_place(given))))
        there = str(ask(lambda daemon: daemon.document("/v1/status")).get("environment", ""))
        where = f"/v1/gates/by-deploy/{quote(there, safe='')}/{quote(named(self._arguments.deploy), safe='')}"
        return sound(self._arguments, ask(lambda daemon: daemon.document(where)))

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

    def _patiently(self, question: Callable[[Daemon], T]) -> T:
        """Asked again while the daemon is away, for UNANSWERED, or says "later", for BUSY."""
        patience = Patience()
        while True:
            try:
                return self._ask(question)
            except Strange:
                raise
            except DaemonError as error:
                patience.wait(error, BUSY if error.status in SAID_LATER else UNANSWERED)

    def _ask(self, question: Callable[[Daemon], T]) -> T:
        return ask(self._arguments, self._token, question)


class Patience:
    """The waits between tries. Raises what it was given when another try would come too late."""

    def __init__(self) -> None:
        self._since = clock.monotonic()
        self._next = FIRST_WAIT

    def wait(self, error: DaemonError, at_most: float) -> None:
        """`at_most`: seconds from the first try to the beginning of the last."""
        left = at_most - (clock.monotonic() - self._since)
        pause = min(self._next, left) if error.retry_after is None else max(FIRST_WAIT, min(error.retry_after, LONGEST_RETRY_AFTER))
        self._next = min(2 * self._next, LONGEST_WAIT)
        if left <= 0 or pause > left:
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
    return f"/v1/gates/{quote(f'gate-{name}' if BARE_ID.fullmatch(name) else name, safe='')}"
