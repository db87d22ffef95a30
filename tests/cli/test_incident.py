"""`mailcanary incident`: what a person on call reads and says, and the exit code that a script sees."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monitor.model.facts import Acknowledged, Noted, ResolveAsked, Silenced
from monitor.model.incident import IncidentId
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port
from tests.surface import happenings as so

Command = Callable[..., Outcome]
ACTS: dict[str, tuple[str, ...]] = {
    "ack": (),
    "silence": ("--for", "2h", "--reason", "known"),
    "resolve": ("--reason", "rolled back"),
    "note": ("the shop rolls back",),
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


@pytest.fixture
def incident(mailcanary: Command, daemon: Served) -> Command:
    return lambda *argv: mailcanary("incident", *argv, "--server", daemon.url)


def test_no_open_incident_says_how_fresh_that_is(incident: Command) -> None:
    outcome = incident("list")
    assert (outcome.code, outcome.out) == (0, "no open incident\nno evidence yet: no probe was judged\n") and not outcome.err


def test_list(incident: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now), so.suspected(daemon.now, IncidentId("INC-2")))
    shown = incident("list")
    assert shown.code == 0 and "INC-1" in shown.out and "INC-2" not in shown.out and "Refund confirmations overdue" in shown.out
    assert "INC-2" in incident("list", "--state", "suspected").out and "no resolved incident" in incident("list", "--state", "resolved").out
    document = json.loads(incident("list", "--state", "all", "--format", "json").out)
    assert document["schema"] == "mailcanary.incidents/v1" and [row["id"] for row in document["incidents"]] == ["INC-2", "INC-1"]
    assert incident("list", "--state", "broken").code == 2


@pytest.mark.parametrize("name", ["INC-1", "inc-1", "1", " INC-1 "])
def test_show(incident: Command, daemon: Served, name: str) -> None:
    daemon.happen(so.opened(daemon.now))
    shown = incident("show", name)
    assert shown.code == 0 and shown.out.startswith("INC-1 PAGE Refund confirmations overdue") and "\x1b" not in shown.out
    for part in ("application: the app path fails", "began 3m41s after (bracketed)", "roll back checkout-api v512", "timeline, UTC"):
        assert part in shown.out
    document = json.loads(incident("show", name, "--format", "json").out)
    assert document["schema"] == "mailcanary.incident/v1" and document["diagnosis"]["layer"] == "application"


def test_what_is_said_becomes_a_fact(incident: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    said = {act: incident(act, "1", *more, "--by", "ann") for act, more in ACTS.items()}
    assert {outcome.code for outcome in said.values()} == {0}
    assert said["ack"].out == "INC-1 is acknowledged by ann; nobody is told again unless it becomes graver or wider\n"
    assert said["silence"].out.startswith("INC-1 is silent until 20") and said["silence"].out.count("\n") == 1
    assert said["resolve"].out == "INC-1 is being resolved; fresh bad evidence opens it again\n"
    assert said["note"].out == "INC-1: noted\n"
    _, ack, silence, resolve, note = daemon.facts()
    assert isinstance(ack, Acknowledged) and (ack.by, ack.text) == ("ann", "")
    assert isinstance(silence, Silenced) and silence.until == pytest.approx(silence.at.utc + 7200) and silence.reason == "known"
    assert isinstance(resolve, ResolveAsked) and resolve.reason == "rolled back"
    assert isinstance(note, Noted) and note.text == "the shop rolls back"
    assert (
        json.loads(incident("ack", "1", "--by", "bob", "--text", "mine now", "--format", "json").out)["acknowledged"]["text"] == "mine now"
    )


def test_who_is_the_user_by_default(incident: Command, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "carol")
    daemon.happen(so.opened(daemon.now))
    assert "acknowledged by carol" in incident("ack", "INC-1").out


@pytest.mark.parametrize("act", ["show", *ACTS])
def test_an_unknown_one_is_a_call_that_cannot_be(incident: Command, daemon: Served, act: str) -> None:
    daemon.happen(so.opened(daemon.now))
    outcome = incident(act, "INC-9", *ACTS.get(act, ()))
    assert outcome.code == 2 and not outcome.out and "no incident INC-9 is known; there are INC-1" in outcome.line


@pytest.mark.parametrize("act", ["ack", "silence", "resolve"])
def test_a_resolved_one_says_what_to_do(incident: Command, daemon: Served, act: str) -> None:
    daemon.happen(so.opened(daemon.now), so.resolved(daemon.now))
    outcome = incident(act, "INC-1", *ACTS[act])
    assert outcome.code == 2 and "409 INC-1 was resolved at" in outcome.line and "a note can still be added" in outcome.line


@pytest.mark.parametrize(
    "argv",
    [
        ("silence", "1", "--reason", "r", "--for", "25h"),
        ("silence", "1", "--reason", "r", "--for", "tomorrow"),
        ("silence", "1", "--reason", " ", "--for", "2h"),
        ("resolve", "1", "--reason", ""),
        ("note", "1", ""),
        ("note", "1", "x" * 501),
        ("ack", "1", "--by", ""),
        ("show", " "),
        ("show", "../status"),
        ("show", "INC-1/ack"),
        ("show", "INC-1?format=json"),
        ("show", "INC-1#here"),
        ("show", "INC-1\nHost: elsewhere"),
    ],
)
def test_what_cannot_be_said(incident: Command, daemon: Served, argv: tuple[str, ...]) -> None:
    daemon.happen(so.opened(daemon.now))
    outcome = incident(*argv)
    assert outcome.code == 2 and outcome.line and len(daemon.facts()) == 1


@pytest.mark.parametrize(
    "argv", [(), ("shw",), ("show",), ("silence", "1"), ("silence", "1", "--for", "2h"), ("resolve", "1"), ("note", "1")]
)
def test_a_call_that_cannot_be_read(mailcanary: Command, argv: tuple[str, ...]) -> None:
    outcome = mailcanary("incident", *argv)
    assert outcome.code == 2 and "usage: mailcanary incident" in outcome.err and not outcome.out


@pytest.mark.parametrize("act", ["list", "show", *ACTS])
def test_no_daemon_there(mailcanary: Command, act: str) -> None:
    words = [] if act == "list" else ["1", *ACTS.get(act, ())]
    outcome = mailcanary("incident", act, *words, "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and not outcome.out and "is `mailcanary run` up" in outcome.line


def test_the_token_of_the_role(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, open_to="0.0.0.0") as daemon:
        daemon.happen(so.opened(daemon.now))
        refused = mailcanary("incident", "ack", "1", "--server", daemon.url)
        assert refused.code == 2 and "listen.tokens.oncall" in refused.line
        (tmp_path / "token").write_text(SECRETS["ONCALL"] + "\n")
        assert mailcanary("incident", "ack", "1", "--server", daemon.url, "--token-file", tmp_path / "token").code == 0
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["READ"])
        assert mailcanary("incident", "list", "--server", daemon.url).code == 0
        gone = mailcanary("incident", "list", "--server", daemon.url, "--token-file", tmp_path / "nowhere")
        assert gone.code == 2 and "nowhere" in gone.line


def test_colours_only_where_they_are_wanted(incident: Command, daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.happen(so.opened(daemon.now))
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, incident("show", "1").out.splitlines())) <= 60
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in incident("show", "1").out


@contextlib.contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything so; its URL, and what Authorization it was shown."""
    shown: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", shown
        finally:
            server.shutdown()
            thread.join(10)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"hello", b'{"schema": "mailcanary.incidents/v2"}'])
def test_something_else_there(mailcanary: Command, body: bytes) -> None:
    with answering(200, body) as (url, _):
        outcome = mailcanary("incident", "list", "--server", url)
    assert outcome.code == 4 and ("unexpected answer" in outcome.line or "no mailcanary" in outcome.line)


def test_the_token_is_not_taken_along_to_another_place(mailcanary: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCANARY_TOKEN", "a token")
    with answering(200, b"{}") as (elsewhere, stolen), answering(302, Location=elsewhere) as (url, shown):
        outcome = mailcanary("incident", "list", "--server", url)
    assert outcome.code == 4 and "302" in outcome.line and stolen == [] and shown == ["Bearer a token"]
