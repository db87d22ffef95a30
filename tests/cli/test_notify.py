"""`mailcanary notify test`: each channel is told, and the exit code says whether all of them took it. `notify log`: who was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Outcome
from tests.cli.daemons import Served, served
from tests.stages.house import SECRETS, policy
from tests.surface import happenings as so

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


# ---- who was told ------------------------------------------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        site.desk.policy = so.with_channels(site.desk.policy)
        yield site


def test_the_log(mailcanary: Callable[..., Outcome], daemon: Served) -> None:
    empty = mailcanary("notify", "log", "--server", daemon.url)
    assert (empty.code, empty.out) == (0, "nobody was told of anything, and nothing waits to be told\n")
    daemon.happen(so.opened(daemon.now), so.failed(daemon.now, 1, "pager", None))
    shown = mailcanary("notify", "log", "--server", daemon.url)
    assert shown.code == 0 and [line.split()[2:6] for line in shown.out.splitlines()[1:2]] == [["INC-1", "opened", "pager", "given_up"]]
    document = json.loads(
        mailcanary("notify", "log", "--incident", "1", "--channel", "pager", "--format", "json", "--server", daemon.url).out
    )
    assert document["schema"] == "mailcanary.notifications/v1" and [row["state"] for row in document["notifications"]] == ["given_up"]
    unknown = mailcanary("notify", "log", "--incident", "7", "--server", daemon.url)
    assert unknown.code == 2 and not unknown.out and "no incident INC-7 is known; there are INC-1" in unknown.err


def test_the_log_refuses_what_it_cannot_show(mailcanary: Callable[..., Outcome], daemon: Served) -> None:
    for arguments, why in ((("--channel", "pagr"), "there are: pager, chat"), (("--limit", "0"), "from 1 to 1000")):
        outcome = mailcanary("notify", "log", *arguments, "--server", daemon.url)
        assert outcome.code == 2 and why in outcome.err and not outcome.out
    assert mailcanary("notify", "log", "--server", "http://127.0.0.1:1").code == 4


def test_check_config_says_who_is_told(mailcanary: Callable[..., Outcome], configured: Callable[..., Path]) -> None:
    file = configured(
        chat={"kind": "webhook", "url": "https://hooks.example.com/a"}, pager={"kind": "webhook", "url": "https://b.example.com"}
    )
    tree = json.loads(file.read_text())
    tickets = {"symptoms": ["dns", "auth_spf"], "severity": "ticket", "scopes": ["domain"], "channels": ["chat"]}
    routes = [tickets, {"symptoms": ["dns"], "channels": ["pager", "chat"]}]
    tree["notify"] |= {"pages": ["pager"], "tickets": [], "fallback": ["chat"], "routes": routes}
    file.write_text(json.dumps(tree))
    assert mailcanary("check-config", "-c", file).out.splitlines()[:-1] == [
        "told of tickets of dns, auth_spf at domain: chat",
        "told of pages and tickets of dns: pager, chat",
        "told of other pages: pager",
        "told of other tickets: nobody",
        "told of pages that another channel has not taken for 120 s: chat",
    ]
    file = configured()
    assert "told of" not in mailcanary("check-config", "-c", file).out
