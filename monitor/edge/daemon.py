"""A client for our own daemon's HTTP surface, for the commands that act on it. The standard library's: a health check starts fast."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT = 10.0
MAX_ANSWER = 1024 * 1024
UNAUTHORIZED = 401


class DaemonError(Exception):
    """The daemon could not be asked, or said no."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused  # it answered, with an error of the caller's


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the library would take the token along to another host."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Daemon:
    """`server` is the base URL; `token` may be empty where the daemon listens on loopback."""

    server: str
    token: str = ""

    def get(self, path: str) -> str:
        return self._ask(urllib.request.Request(self._url(path)))  # noqa: S310 - checked in _url

    def document(self, path: str) -> dict[str, object]:
        """The JSON object that stands there."""
        return self._object(path, self.get(path))

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        request = urllib.request.Request(self._url(path), json.dumps(dict(body)).encode(), {"Content-Type": "application/json"})  # noqa: S310
        return self._object(path, self._ask(request))

    def _object(self, path: str, text: str) -> dict[str, object]:
        answer = json.loads(text)
        if not isinstance(answer, dict):
            raise DaemonError(f"{self.server}{path}: unexpected answer")
        return answer

    def _url(self, path: str) -> str:
        if not self.server.startswith(("http://", "https://")):
            raise DaemonError(f"--server {self.server!r}: give a URL like http://127.0.0.1:9464", refused=True)
        return self.server.rstrip("/") + path

    def _ask(self, request: urllib.request.Request) -> str:
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())  # the token goes to the daemon and nowhere else
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return str(answer.read(MAX_ANSWER).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            said = error.read(MAX_ANSWER).decode("utf-8", "replace")
            mend = "; give it with --token-file FILE, or in $MAILCANARY_TOKEN" if error.code == UNAUTHORIZED else ""
            raise DaemonError(f"{self.server}: {error.code} {_reason(said)}{mend}", refused=400 <= error.code < 500) from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            raise DaemonError(f"{self.server}: no answer ({why}); is `mailcanary run` up, and is --server right?") from None


def _reason(body: str) -> str:
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, KeyError, TypeError):
        return body.strip()[:300]
