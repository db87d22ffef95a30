"""One lab for the suite; each test has seed mailboxes of its own. And a dead-man switch: a server on loopback that notes what it hears."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.conftest import LabProcess, lab_process
from tests.acceptance.ground import Ground, ground

_taken = iter(range(1000))


@pytest.fixture(scope="session")
def selfwatch_lab() -> Iterator[LabProcess]:
    with lab_process("--mailboxes", "24") as lab:
        yield lab


@pytest.fixture
def site(selfwatch_lab: LabProcess, tmp_path: Path) -> Ground:
    """Two seeds at two providers."""
    number = next(_taken)
    addresses = [provider["accounts"][number]["address"] for provider in selfwatch_lab.description["providers"][:2]]
    return ground(selfwatch_lab, tmp_path, addresses)


@dataclass
class Heard:
    """What came to the switch, in order: (well, detail)."""

    url: str = ""
    words: list[tuple[bool, str]] = field(default_factory=list)

    @property
    def well(self) -> int:
        return sum(well for well, _ in self.words)

    @property
    def failures(self) -> list[str]:
        return [detail for well, detail in self.words if not well]


@pytest.fixture
def switch() -> Iterator[Heard]:
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._note("")

        def do_POST(self) -> None:
            self._note(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())

        def _note(self, detail: str) -> None:
            heard.words.append((not self.path.endswith("/fail"), detail))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    heard.url = f"http://127.0.0.1:{server.server_address[1]}/beat"
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
