"""A client for our own daemon's HTTP surface, for the commands that act on it. The standard library's: a health check starts fast.

Follows no redirect and no proxy of the environment: the token goes to the daemon and nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT = 10.0  # seconds for one request, from the connection to the last byte
MAX_ANSWER = 32 * 1024 * 1024  # the status of a thousand mailboxes on two paths is five
MAX_REASON = 300  # characters of a page that is not ours
CREATED, UNAUTHORIZED = 201, 401
LATER = frozenset({408, 429})  # 4xx that says nothing against the question


class DaemonError(Exception):
    """The daemon could not be asked, or said no. `status`: 0 without an answer; `retry_after`: seconds, where it said so; `said`: its whole
    answer."""

    def __init__(self, text: str, *, refused: bool = False, status: int = 0, retry_after: float | None = None, said: str = "") -> None:
        super().__init__(text)
        self.refused = refused  # it answered, with an error of the caller's
        self.status = status
        self.retry_after = retry_after
        self.said = said


@dataclass(frozen=True, slots=True)
class Daemon:
    """`server` is the base URL; `token` may be empty where the daemon listens on loopback."""

    server: str
    token: str = ""

    def get(self, path: str, timeout: float = TIMEOUT) -> str:
        return self._ask("GET", path, None, timeout)[1]

    def document(self, path: str, timeout: float = TIMEOUT) -> dict[str, object]:
        """The JSON object that stands there. Raises ValueError when it is none."""
        return _object(self.get(path, timeout))

    def post(self, path: str, body: Mapping[str, object], timeout: float = TIMEOUT) -> dict[str, object]:
        return self.posted(path, body, timeout)[1]

    def posted(self, path: str, body: Mapping[str, object], timeout: float = TIMEOUT, key: str = "") -> tuple[bool, dict[str, object]]:
        """Whether the call made something new, and the answer. `key`: the same for every try of one question. Raises ValueError where the
        answer is no JSON object."""
        status, text = self._ask("POST", path, json.dumps(dict(body)).encode(), timeout, key)
        return status == CREATED, _object(text)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float, key: str = "") -> tuple[int, str]:
        """Status and body of a success. Raises DaemonError; HTTPException when something answers that does not speak HTTP."""
        connection = self._connection(timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Idempotency-Key"] = key
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        late = threading.Event()
        wires: list[socket.socket] = []  # the connection forgets its own before the body is read

        def cut() -> None:
            late.set()
            for wire in wires:  # none yet: connecting has its own deadline
                with contextlib.suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

        deadline = threading.Timer(timeout, cut)  # the socket's own is for one read, and a peer may drip for ever
        deadline.daemon = True
        deadline.start()
        try:
            connection.connect()
            wires.append(connection.sock)
            if late.is_set():
                raise TimeoutError
            connection.request(method, urlsplit(self.server).path.rstrip("/") + path, body, headers)
            answer = connection.getresponse()
            said = answer.read(MAX_ANSWER).decode("utf-8", "replace")
            status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPException) and not isinstance(error, OSError) and not late.is_set():
                raise
            why = f"not within {timeout:g} s" if late.is_set() or isinstance(error, TimeoutError) else error
            raise self._silent(why) from None
        finally:
            deadline.cancel()
            connection.close()
        if late.is_set():
            raise self._silent(f"not within {timeout:g} s")
        if not 200 <= status < 300:
            raise self._said_no(status, said, retry_after)
        return status, said

    def _connection(self, timeout: float) -> HTTPConnection:
        try:
            parts = urlsplit(self.server)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in ("http", "https") or not host:
            raise DaemonError(f"--server {self.server!r}: give a URL like http://127.0.0.1:9464", refused=True)
        return (HTTPSConnection if parts.scheme == "https" else HTTPConnection)(host, port, timeout=timeout)

    def _silent(self, why: object) -> DaemonError:
        return DaemonError(f"{self.server}: no answer ({why}); is `mailcanary run` up, and is --server right?")

    def _said_no(self, status: int, said: str, retry_after: str) -> DaemonError:
        mend = "; give it with --token-file FILE, or in $MAILCANARY_TOKEN" if status == UNAUTHORIZED else ""
        return DaemonError(
            f"{self.server}: {status} {_reason(said)}{mend}",
            refused=400 <= status < 500 and status not in LATER,
            status=status,
            retry_after=float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else None,
            said=said,
        )


def _object(text: str) -> dict[str, object]:
    try:
        answer = json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested beyond reason") from None
    if not isinstance(answer, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - JSON of another kind is as strange as none
    return answer


def _reason(body: str) -> str:
    """On one line: it may be anybody's page."""
    try:
        said = str(json.loads(body)["reason"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = body[:MAX_REASON]
    return "".join(char if char.isprintable() else "?" for char in " ".join(said.split()))
