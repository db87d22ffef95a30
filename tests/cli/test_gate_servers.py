"""`mailcanary gate run` against servers that break, are busy, are strangers, or lie: never a verdict that nobody gave, never for ever."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.gate import attempt, remote
from monitor.edge import daemon as edge
from monitor.edge.clock import SystemClock
from monitor.edge.daemon import Daemon, DaemonError
from monitor.surface.gate import unanswered
from tests.acceptance.conftest import until
from tests.cli.conftest import Outcome
from tests.ports import free_port

Command = Callable[..., Outcome]
Answer = Callable[["Script"], None]
GATE = "gate-0123456789ab"
RUN = ("gate", "run", "--deploy", "d-1", "--by", "ci")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bound a fraction of what it is."""
    for name in ("GITHUB_ACTIONS", "MAILCANARY_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(remote, "UNANSWERED", 0.5)
    monkeypatch.setattr(remote, "BUSY", 3.0)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(attempt, "GRACE", 0.5)
    monkeypatch.setattr(attempt, "PACE", 0.01)
    monkeypatch.setattr(attempt, "LATER_PACE", 0.05)


# --- a server that does as it is told ---------------------------------------------------------------------------------


@dataclass
class Fake:
    """What it answers, in this order; the last one for ever. `heard`: method and path of each request."""

    answers: list[Answer] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # of each POST
    url: str = ""


class Script(http.server.BaseHTTPRequestHandler):
    fake: Fake

    def do_GET(self) -> None:
        self.fake.heard.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            self.fake.keys.append(self.headers.get("Idempotency-Key", ""))
        answer = self.fake.answers.pop(0) if len(self.fake.answers) > 1 else self.fake.answers[0]
        with contextlib.suppress(OSError):
            answer(self)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def says(status: int, body: object = "", **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda script: script.say(status, text.encode(), **headers)


def refuses(status: int, why: str, **headers: str) -> Answer:
    return says(status, {"error": "no", "reason": why}, **headers)


def gate(verdict: str = "pending", status: int = 200, **other: Any) -> Answer:
    state = "running" if verdict == "pending" else "decided"
    document = unanswered("told by a fake", SystemClock().now(), "prod", "d-1")
    shown = {**document, "id": GATE, "state": state, "verdict": verdict, "found": verdict, "requested_by": "ci", **other}
    shown["policy"] = {**document["policy"], "timeout_s": 600.0, **other.get("policy", {})}  # type: ignore[dict-item]
    return says(status, shown)


def drops(script: Script) -> None:
    script.connection.shutdown(socket.SHUT_RDWR)


def drips(script: Script) -> None:
    """A byte at a time: no single read ever takes long."""
    script.send_response(200)
    script.end_headers()
    for _ in range(200):
        script.wfile.write(b" ")
        script.wfile.flush()
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Callable[..., Fake]]:
    running: list[http.server.ThreadingHTTPServer] = []

    def start(*answers: Answer) -> Fake:
        fake = Fake(list(answers))
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Script,), {"fake": fake}))
        site.daemon_threads, site.block_on_close = True, False
        threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(site)
        fake.url = f"http://127.0.0.1:{site.server_port}"
        return fake

    yield start
    for site in running:
        site.shutdown()
        site.server_close()


def last(outcome: Outcome) -> str:
    assert "Traceback" not in outcome.err
    return outcome.out.splitlines()[-1]


# --- before there is a gate -------------------------------------------------------------------------------------------


def test_nobody_there_is_exit_4_and_the_files_say_so(mailcanary: Command, tmp_path: Path) -> None:
    words = ("--json", tmp_path / "g.json", "--junit", tmp_path / "g.xml")
    outcome = mailcanary(*RUN, "--server", f"http://127.0.0.1:{free_port()}", *words)
    assert outcome.code == 4 and "no answer" in outcome.line and last(outcome).startswith("GATE ERROR - ")
    assert json.loads((tmp_path / "g.json").read_text())["verdict"] == "error" and "<error" in (tmp_path / "g.xml").read_text()


@pytest.mark.parametrize(
    "words", [("status",), ("status", GATE), ("explain", "--deploy", "d"), ("wait", GATE), ("cancel", GATE, "--reason", "r")]
)
def test_nobody_there_for_the_others(mailcanary: Command, words: tuple[str, ...]) -> None:
    outcome = mailcanary("gate", *words, "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and "no answer" in outcome.line


STRANGE: dict[str, Answer] = {
    "a web page": says(200, "<html>hello</html>"),
    "JSON of something else": says(200, {"ok": True}),
    "JSON that is no object": says(201, "[]"),
    "JSON nested beyond reason": says(200, "[" * 100_000),
    "a gate without a verdict": says(201, {"schema": "mailcanary.gate/v1", "id": GATE}),
    "another version's": says(201, {"schema": "mailcanary.gate/v2", "verdict": "pass"}),
    "elsewhere": says(302, "", Location="http://127.0.0.1:1/"),
    "nothing": says(200, ""),
    "a fault": says(500, "<html>\r\noops\n\x1b[2J[/red]"),
    "noise": lambda script: script.wfile.write(b"\x16\x03\x01\x00" * 50) and None,
    "a hang-up": drops,
}


AGAIN = ("elsewhere", "a fault", "a hang-up")  # it may be a daemon on its way up


@pytest.mark.parametrize("name", STRANGE)
def test_a_stranger_is_exit_4(mailcanary: Command, server: Callable[..., Fake], name: str) -> None:
    fake = server(STRANGE[name])
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 4 and outcome.line and last(outcome).startswith("GATE ERROR - ")
    assert len(fake.heard) == 1 or name in AGAIN, "it will not become a mailcanary"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_exit_2_with_its_reason_and_is_not_asked_again(mailcanary: Command, server: Callable[..., Fake], status: int) -> None:
    fake = server(refuses(status, "for this reason"))
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 2 and f"{status} for this reason" in outcome.line and len(fake.heard) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_later_is_asked_again_when_it_says(mailcanary: Command, server: Callable[..., Fake], status: int) -> None:
    fake = server(refuses(status, "later", Retry_After="1"), gate(status=201), gate("pass"))
    before = time.monotonic()
    assert mailcanary(*RUN, "--server", fake.url).code == 0
    assert time.monotonic() - before >= 1.0 and fake.heard[0] == fake.heard[1] == "POST /v1/gates"


def test_later_for_ever_is_exit_4(mailcanary: Command, server: Callable[..., Fake]) -> None:
    fake = server(refuses(503, "the journal cannot be written", Retry_After="1"))
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 4 and "503 the journal cannot be written" in outcome.line and 2 <= len(fake.heard) <= 4


@pytest.mark.parametrize("retry_after", ["99999999", "9" * 400, "-1", "tomorrow", "\u0661"])
def test_a_mad_retry_after_is_bounded(
    mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch, retry_after: str
) -> None:
    monkeypatch.setattr(remote, "BUSY", 0.3)
    fake = server(lambda script: script.say(429, b"{}", Retry_After=retry_after.encode().decode("latin-1")))
    assert mailcanary(*RUN, "--server", fake.url).code == 4


def test_no_other_request_before_the_environment_fits(mailcanary: Command, server: Callable[..., Fake]) -> None:
    fake = server(says(200, {"environment": "staging"}))
    outcome = mailcanary(*RUN, "--environment", "prod", "--server", fake.url)
    assert outcome.code == 2 and "is of staging; nothing was sent" in outcome.line and fake.heard == ["GET /v1/status"]


def test_a_daemon_that_starts_anew_is_waited_for_with_the_first_question_too(mailcanary: Command, server: Callable[..., Fake]) -> None:
    there = says(200, {"environment": "prod"})
    fake = server(drops, refuses(503, "loading"), there, drops, gate(status=201), gate("pass"))
    assert mailcanary(*RUN, "--environment", "prod", "--server", fake.url).code == 0
    assert mailcanary("gate", "wait", GATE, "--server", server(drops, refuses(503, "loading"), gate("fail")).url).code == 1
    by_deploy = server(drops, there, drops, gate("fail"))
    assert mailcanary("gate", "wait", "--deploy", "d-1", "--server", by_deploy.url).code == 1


@pytest.mark.parametrize("action", ["status", "explain"])
def test_people_are_told_at_once_that_it_is_away(mailcanary: Command, server: Callable[..., Fake], action: str) -> None:
    fake = server(drops)
    assert mailcanary("gate", action, GATE, "--server", fake.url).code == 4 and len(fake.heard) == 1


def test_patience_lasts_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(remote.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(remote.clock, "pause", pause)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.5)
    patience = remote.Patience()
    with pytest.raises(DaemonError, match="away"):
        for _ in range(20):
            patience.wait(DaemonError("away"), 10.0)
    assert sum(slept) == 10.0 and max(slept) < 10.0, "the last try begins when it ends"


# --- on the way -------------------------------------------------------------------------------------------------------


TROUBLE: dict[str, Answer] = {
    "drops": drops,
    "proxy": says(502, "<html>\n\x1b[2Jbad gateway [/]"),
    "page": says(200, "<html>starting"),
    "busy": refuses(429, "too many", Retry_After="0"),
    "loading": refuses(503, "loading"),
}


@pytest.mark.parametrize("name", TROUBLE)
@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3)])
def test_trouble_on_the_way_changes_no_verdict(
    mailcanary: Command, server: Callable[..., Fake], name: str, verdict: str, code: int
) -> None:
    trouble = TROUBLE[name]
    outcome = mailcanary(*RUN, "--server", server(gate(status=201), gate(), trouble, trouble, gate(), trouble, gate(verdict)).url)
    assert outcome.code == code and last(outcome).startswith(f"GATE {verdict.upper()} {GATE}") and "asking again" in outcome.err


@pytest.mark.parametrize("trouble", [drops, refuses(404, "no gate is known"), refuses(401, "another token")], ids=["drops", "404", "401"])
def test_lost_on_the_way_is_exit_4_and_says_how_to_ask_again(
    mailcanary: Command, server: Callable[..., Fake], tmp_path: Path, trouble: Answer
) -> None:
    fake = server(gate(status=201, policy={"timeout_s": 0.3}), trouble)
    outcome = mailcanary(*RUN, "--server", fake.url, "--json", tmp_path / "g.json")
    assert outcome.code == 4 and last(outcome).startswith(f"GATE ERROR {GATE}")
    assert f"last heard: pending; the gate goes on in the daemon: `mailcanary gate wait {GATE}`" in outcome.err
    written = json.loads((tmp_path / "g.json").read_text())
    assert (written["verdict"], written["id"]) == ("error", GATE)


def test_an_answer_that_drips_has_a_deadline(mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "ANSWER", 0.3)
    monkeypatch.setattr(attempt, "SOON", 0.3)
    fake = server(gate(status=201, policy={"timeout_s": 0.3}), drips)
    before = time.monotonic()
    outcome = mailcanary(*RUN, "--server", fake.url, "--timeout", "300ms")
    assert outcome.code == 4 and "not within" in outcome.err and time.monotonic() - before < 8, "it would take ten seconds"


def test_every_request_has_its_deadline(server: Callable[..., Fake]) -> None:
    silent = server(lambda _: time.sleep(5))
    for fake in (silent, server(drips)):
        with pytest.raises(DaemonError, match=r"no answer \(not within 0.2 s\)"):
            Daemon(fake.url).get("/", 0.2)


def test_the_token_goes_nowhere_else(mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = server(gate("pass", status=201))
    monkeypatch.setenv("MAILCANARY_TOKEN", "a secret")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.url)
    outcome = mailcanary(*RUN, "--server", server(says(307, "", Location=f"{elsewhere.url}/v1/gates")).url)
    assert outcome.code == 4 and elsewhere.heard == [] and "a secret" not in outcome.out + outcome.err


def test_an_answer_is_read_so_far_and_no_further(server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "MAX_ANSWER", 100)
    assert len(Daemon(server(says(200, "x" * 1_000)).url).get("/")) == 100


def test_a_word_from_a_newer_server_never_passes(mailcanary: Command, server: Callable[..., Fake]) -> None:
    outcome = mailcanary(*RUN, "--server", server(gate("splendid", status=201)).url)
    assert outcome.code == 3 and last(outcome).startswith("GATE INCONCLUSIVE")


def interrupts(script: Script) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    gate()(script)


def test_a_gate_whose_first_answer_was_lost_is_still_ours(mailcanary: Command, server: Callable[..., Fake]) -> None:
    fake = server(drops, gate(status=201), interrupts, gate("inconclusive"))
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 130 and fake.heard[-1] == f"POST /v1/gates/{GATE}/cancel"
    assert len(set(fake.keys[:2])) == 1 and len(fake.keys[0]) == 32, "the daemon knows the second try by its key"


def test_somebody_of_our_name_is_not_us(mailcanary: Command, server: Callable[..., Fake]) -> None:
    """Two jobs are both "unknown"; ours was away when it asked first, and then joined the other's attempt."""
    fake = server(drops, gate(status=200), interrupts, gate("inconclusive"))
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 130 and not any("cancel" in each for each in fake.heard) and last(outcome).startswith("GATE PENDING")
    assert "as far as we know it was begun by another call" in outcome.err


def test_each_question_has_a_key_of_its_own(mailcanary: Command, server: Callable[..., Fake]) -> None:
    fake = server(gate("pass", status=201))
    mailcanary(*RUN, "--server", fake.url)
    mailcanary(*RUN, "--server", fake.url)
    assert len(set(fake.keys)) == 2, "asked with an old key one would hear an old answer"


def test_a_signal_before_the_answer_waits_for_it_and_cancels(mailcanary: Command, server: Callable[..., Fake]) -> None:
    def stop(script: Script) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        gate(status=201)(script)

    fake = server(stop, gate("inconclusive"))
    outcome = mailcanary(*RUN, "--server", fake.url)
    assert outcome.code == 143 and fake.heard == ["POST /v1/gates", f"POST /v1/gates/{GATE}/cancel"]
    assert last(outcome).startswith(f"GATE INCONCLUSIVE {GATE}")


def test_a_signal_before_an_answer_that_never_comes(
    mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "FAREWELL", 0.2)
    monkeypatch.setattr(edge, "TIMEOUT", 10.0)

    def stop(_: Script) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    before = time.monotonic()
    outcome = mailcanary(*RUN, "--server", server(stop).url)
    assert outcome.code == 130 and time.monotonic() - before < 4
    assert "before the gate had answered" in outcome.line and last(outcome).startswith("GATE ERROR - ")


def test_a_cancel_that_is_not_heard_is_said(mailcanary: Command, server: Callable[..., Fake]) -> None:
    def stop(script: Script) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        drops(script)

    outcome = mailcanary(*RUN, "--server", server(gate(status=201), stop, drops).url)
    assert outcome.code == 130 and f"it may not be cancelled: `mailcanary gate cancel {GATE}`" in outcome.err
    assert last(outcome).startswith(f"GATE PENDING {GATE}")


def test_two_signals_at_once_are_one(server: Callable[..., Fake], process: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """`timeout` of coreutils sends one to us and one to our group."""
    fake = server(gate(status=201), gate())
    running = process(*RUN, "--server", fake.url, "--json", tmp_path / "g.json", "--junit", tmp_path / "g.xml")
    until(lambda: len(fake.heard) > 1, "it waits")
    fake.answers[:] = [gate("inconclusive", because="cancelled")]
    for _ in range(2):
        running.send_signal(signal.SIGTERM)
        time.sleep(0.005)
    out, err = running.communicate(timeout=30)  # the second may come when all is done, and what a shell sees is 143 too
    assert running.returncode in (143, -signal.SIGTERM) and f"POST /v1/gates/{GATE}/cancel" in fake.heard, (out, err)
    assert out.splitlines()[-1].startswith(f"GATE INCONCLUSIVE {GATE}") and "<testsuite" in (tmp_path / "g.xml").read_text()
    assert json.loads((tmp_path / "g.json").read_text())["because"] == "cancelled"


def test_a_later_signal_ends_it_as_it_stands(server: Callable[..., Fake], process: Callable[..., subprocess.Popen[str]]) -> None:
    fake = server(gate(status=201), lambda _: time.sleep(60))
    running = process(*RUN, "--server", fake.url)
    until(lambda: len(fake.heard) > 1, "it waits")
    running.send_signal(signal.SIGINT)
    until(lambda: any("cancel" in each for each in fake.heard), "it cancels")
    before = time.monotonic()
    while running.poll() is None and time.monotonic() - before < 20:
        running.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 130 and "GATE" not in out


def test_a_signal_waits_until_the_answer_is_written(mailcanary: Command, server: Callable[..., Fake], tmp_path: Path) -> None:
    places, read = (tmp_path / "g.json", tmp_path / "g.xml"), []
    for place in places:
        os.mkfifo(place)

    def reader() -> None:
        with places[0].open() as first:  # it writes
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
            read.append(first.read())
        second, deadline = os.open(places[1], os.O_RDONLY | os.O_NONBLOCK), time.monotonic() + 5
        text = b""
        while not text and time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                text = os.read(second, 100_000)
            time.sleep(0.01)
        os.close(second)
        read.append(text.decode())

    thread = threading.Thread(target=reader)
    thread.start()
    outcome = mailcanary(*RUN, "--server", server(gate("fail", status=201)).url, "--json", places[0], "--junit", places[1])
    thread.join(10)
    assert outcome.code == 143 and last(outcome).startswith(f"GATE FAIL {GATE}")
    assert json.loads(read[0])["verdict"] == "fail" and "<testsuite" in read[1]


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["ascii", "latin-1", "cp1252", "cp437:strict"])
def test_a_stdout_of_few_letters_changes_no_verdict(
    server: Callable[..., Fake], process: Callable[..., subprocess.Popen[str]], letters: str
) -> None:
    fake = server(gate("fail", status=201, reason="verlor 3 \u2264 4 \u0416"))
    running = process(*RUN, "--server", fake.url, env={**os.environ, "PYTHONIOENCODING": letters}, text=False)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 1 and b"Traceback" not in err, err
    assert out.splitlines()[-1] == f"GATE FAIL {GATE} verlor 3 ".encode() + "\u2264 4 \u0416".encode(
        letters.removesuffix(":strict"), "replace"
    )


def test_held_it_holds_after_a_timeout_too(mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt has used up the policy's timeout; without --timeout there is as much again."""
    monkeypatch.setattr(attempt, "HOLD", 0.3)

    def over(script: Script) -> None:
        time.sleep(0.8)
        gate("inconclusive", because="timeout", policy={"timeout_s": 1.0})(script)

    begun = gate(status=201, policy={"timeout_s": 1.0})
    fake = server(begun, over, begun, gate("pass"))
    assert mailcanary(*RUN, "--on-inconclusive", "hold", "--server", fake.url).code == 0
    assert sum(each == "POST /v1/gates" for each in fake.heard) == 2


def test_held_it_ends(mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "HOLD", 0.2)
    fake = server(gate("inconclusive", status=201, because="timeout", policy={"timeout_s": 0.5}))
    assert mailcanary(*RUN, "--on-inconclusive", "hold", "--server", fake.url).code == 3
    assert 2 <= len(fake.heard) <= 5, "twice the policy's timeout"


LET = {"id": GATE, "deploy": "d-1", "verdict": "pass", "found": "fail", "reason": "lost 3"}
LISTED: dict[str, tuple[dict[str, Any], str]] = {
    "an override": ({"override": {"by": "ann", "until": "T"}}, "PASS (found fail; override by ann until T)"),
    "an advisory": ({"override": None, "advisory": {"until": "T"}}, "PASS (found fail; advisory until T)"),
    "an older daemon": ({}, "PASS (found fail)"),
    "an advisory that was not needed": ({"found": "pass", "advisory": {"until": "T"}}, "PASS (advisory until T)"),
    "neither": ({"verdict": "fail", "override": None, "advisory": None}, "FAIL"),
}


@pytest.mark.parametrize("name", LISTED)
def test_the_list_says_who_lets_a_gate_pass(mailcanary: Command, server: Callable[..., Fake], name: str) -> None:
    more, shown = LISTED[name]
    fake = server(says(200, {"schema": "mailcanary.gates/v1", "gates": [{**LET, **more}]}))
    assert mailcanary("gate", "status", "--server", fake.url).out == f"{GATE}  d-1  {shown}  lost 3\n"


@pytest.mark.parametrize(
    ("asked", "place"), [("nosuch", "nosuch"), ("gate-1", "gate-1"), ("0123456789ab", GATE), (f" {GATE} ", GATE), ("a/b?c", "a%2Fb%3Fc")]
)
def test_a_gate_is_asked_for_as_it_was_named(mailcanary: Command, server: Callable[..., Fake], asked: str, place: str) -> None:
    fake = server(gate("pass"))
    mailcanary("gate", "status", asked, "--server", fake.url)
    assert fake.heard == [f"GET /v1/gates/{place}"]


OVERRIDE = ("gate", "override", GATE, "--for", "1h")
SAID: dict[str, tuple[tuple[str, ...], str]] = {
    "nobody answers for it": ((*OVERRIDE, "--reason", "r"), "--by: say who answers for the deploy"),
    "an author of spaces": ((*OVERRIDE, "--reason", "r", "--by", " "), "--by: say who answers for the deploy"),
    "no reason for an override": ((*OVERRIDE, "--reason", "  ", "--by", "ann"), "--reason: say why, in a few words"),
    "no reason for a cancel": (("gate", "cancel", GATE, "--reason", " "), "--reason: say why, in a few words"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_decision_has_an_author_and_a_reason(
    mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("USER", "LOGNAME"):
        monkeypatch.delenv(variable, raising=False)
    (words, why), fake = SAID[name], server(gate("fail"))
    outcome = mailcanary(*words, "--server", fake.url)
    assert outcome.code == 2 and why in outcome.line and fake.heard == []


def test_whoever_cancels_may_be_unknown(mailcanary: Command, server: Callable[..., Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER", raising=False)
    fake = server(gate())
    assert mailcanary("gate", "cancel", GATE, "--reason", "r", "--server", fake.url).code == 0
    assert fake.heard[1] == f"POST /v1/gates/{GATE}/cancel"
