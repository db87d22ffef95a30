"""`mailcanary notify test`: each channel is told, and the exit code says whether all of them took it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Outcome
from tests.stages.house import SECRETS, policy

HOOK_SECRET = "the-secret-of-the-hook"


class Receiver:
    """/ok/... takes what comes, everything else refuses it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append((self.path, body))
                self.send_response(200 if self.path.startswith("/ok") else 401)
                self.end_headers()
                self.wfile.write(f"you sent {self.path} \x1b[31m".encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join(10)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The configuration with these channels."""
    for name, value in {**SECRETS, "HOOK": HOOK_SECRET}.items():
        monkeypatch.setenv(name, value)

    def write(**channels: Any) -> Path:
        policy(tmp_path)  # writes it
        file = tmp_path / "mailcanary.yaml"
        file.write_text(json.dumps(json.loads(file.read_text()) | ({"notify": {"channels": channels}} if channels else {})))
        return file

    return write


def test_all_take_it(mailcanary: Callable[..., Outcome], configured: Callable[..., Path], receiver: Receiver) -> None:
    file = configured(
        hook={"kind": "webhook", "url": f"{receiver.url}/ok/hook", "secret": {"env": "HOOK"}},
        am={"kind": "alertmanager", "urls": [f"{receiver.url}/ok/am"]},
    )
    outcome = mailcanary("notify", "test", "-c", file)
    assert outcome.code == 0, outcome
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [["channel", "result"], ["hook", "told"], ["am", "told"]]
    bodies = dict(receiver.got)
    notice = bodies["/ok/hook"]
    assert (notice["call"], notice["severity"]) == ("test", "ticket") and notice["title"].startswith("[TEST][test]")
    (alert,) = bodies["/ok/am/api/v2/alerts"]
    assert alert["labels"]["alertname"] == "MailcanaryTest"
    assert len(receiver.got) == 2 and "\x1b" not in outcome.out


def test_one_does_not(mailcanary: Callable[..., Outcome], configured: Callable[..., Path], receiver: Receiver) -> None:
    file = configured(
        bad={"kind": "webhook", "url": f"{receiver.url}/no", "secret": {"env": "HOOK"}},
        away={"kind": "webhook", "url": "http://127.0.0.1:1/"},
        good={"kind": "webhook", "url": f"{receiver.url}/ok"},
    )
    outcome = mailcanary("notify", "test", "-c", file, "--format", "json")
    assert outcome.code == 1
    told = json.loads(outcome.out)
    assert told["schema"] == "mailcanary.notify-test/v1" and told["ok"] is False
    rows = {row["channel"]: row for row in told["channels"]}
    assert {name: row["told"] for name, row in rows.items()} == {"bad": False, "away": False, "good": True}
    assert "check the secret {env: HOOK}" in rows["bad"]["answer"] and "cannot connect" in rows["away"]["answer"]
    assert HOOK_SECRET not in outcome.out and all(row["seconds"] >= 0 for row in rows.values())
    text = mailcanary("notify", "test", "-c", file, "--channel", "bad").out
    assert "NOT TOLD" in text and "good" not in text
    assert mailcanary("notify", "test", "-c", file, "--channel", "good").code == 0


def test_nothing_to_try(mailcanary: Callable[..., Outcome], configured: Callable[..., Path]) -> None:
    outcome = mailcanary("notify", "test", "-c", configured())
    assert outcome.code == 2 and "notify.channels" in outcome.err and "Traceback" not in outcome.err


def test_no_such_channel(mailcanary: Callable[..., Outcome], configured: Callable[..., Path], receiver: Receiver) -> None:
    file = configured(hook={"kind": "webhook", "url": f"{receiver.url}/ok"})
    outcome = mailcanary("notify", "test", "-c", file, "--channel", "hok")
    assert outcome.code == 2 and "there are: hook" in outcome.err and receiver.got == []
