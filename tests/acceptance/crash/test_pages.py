"""SIGKILL at every commit and every write to a channel while people are told: no page is lost, and what is told twice has the same key."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.conftest import read_journal
from tests.acceptance.crash.nursery import KILLED, Nursery
from tests.acceptance.crash.pages_child import PHASES
from tests.stages.house import SECRETS
from tests.stages.house import policy as bare_policy

pytestmark = [pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
AT_ONCE = 6
WORDS = [("fire", 1), ("fire", 2), ("resolve", 3)]  # (call, number) of the incident's life

Kill = tuple[str, str, int]


@dataclass
class Pager:
    """The people: a receiver that can be told to refuse its first request, and what it took, in order, by the state it belongs to."""

    refuse_first: bool = False
    taken: list[dict[str, object]] = field(default_factory=list)
    _asked: int = 0

    def __post_init__(self) -> None:
        pager, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    pager._asked += 1
                    refused = pager.refuse_first and pager._asked == 1
                    if not refused:
                        pager.taken += body if isinstance(body, list) else [body]
                self.send_response(503 if refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Case:
    """One journal, and two receivers of its own."""

    numbers = itertools.count(1)

    def __init__(self, directory: Path, nursery: Nursery, refuse_first: bool) -> None:
        self.directory = directory / f"{next(self.numbers):03}"
        self.directory.mkdir()
        self.hook, self.am = Pager(refuse_first), Pager()
        self._nursery = nursery
        self._config = self.directory / "case.json"
        told = {
            "state": str(self.directory / "state"),
            "hook": self.hook.url,
            "am": self.am.url,
            "bare": str(directory / "mailcanary.yaml"),
        }
        self._config.write_text(json.dumps(told))
        self.trace = self.directory / "trace"

    def live(self, kill: Kill | None = None) -> int:
        return self._nursery.live(self._config, self.trace, kill)

    def last_words(self) -> str:
        log = Path(f"{self.trace}.log")
        return log.read_text()[-2000:] if log.exists() else ""

    def sites(self) -> Counter[str]:
        return Counter(line.split(" ", 1)[0] for line in self.trace.read_text().splitlines())

    def faults(self, kills: int) -> Iterator[str]:
        """What is wrong with what people were told, and with what was written down of it."""
        told = [(notice["call"], int(str(notice["key"]).split("-")[3])) for notice in self.hook.taken]
        if list(dict.fromkeys(told)) != WORDS:
            yield f"the webhook heard {told}"
        keys = [str(notice["key"]) for notice in self.hook.taken]
        if len(set(keys)) != len(WORDS):
            yield f"told again under another key: {keys}"
        if len(keys) - len(set(keys)) > kills:
            yield f"told more than twice: {keys}"
        fired = [alert["labels"]["notice"] for alert in self.am.taken if _fires(alert)]  # type: ignore[index]
        if list(dict.fromkeys(fired)) != ["1", "2"]:
            yield f"the Alertmanager heard {fired}"
        if _fires(self.am.taken[-1]):
            yield "the Alertmanager did not hear that it is over"
        rows = read_journal(self.directory / "state")
        promised = [row.seq for row in rows if row.kind == "transition"]
        notified = Counter((row.body["about"], row.body["channel"]) for row in rows if row.kind == "notified" and row.body["attempt"])
        if notified != Counter(itertools.product(promised, ("hook", "am"))) or len(promised) != len(WORDS):
            yield f"promised {promised}, written down {notified}"

    def close(self) -> None:
        self.hook.close()
        self.am.close()


def _fires(alert: dict[str, object]) -> bool:
    """An incident that began a minute ago lives for four more; what is over ends when it is said."""
    began, ends = (datetime.fromisoformat(str(alert[name])) for name in ("startsAt", "endsAt"))
    return (ends - began).total_seconds() > 240.0


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        words = [sys.executable, "-m", "tests.acceptance.crash.pages_child"]
        process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running = Nursery(process)
    yield running
    running.close()


@pytest.mark.parametrize("refuse_first", [False, True], ids=["taken at once", "refused at first"])
def test_no_page_is_lost(nursery: Nursery, tmp_path: Path, refuse_first: bool, capsys: pytest.CaptureFixture[str]) -> None:
    bare_policy(tmp_path)  # writes mailcanary.yaml
    model = Case(tmp_path, nursery, refuse_first)
    assert model.live() == 0, model.last_words()
    sites = model.sites()
    assert list(model.faults(0)) == []
    model.close()
    batches = len(WORDS) + len(PHASES)  # each promise waits for its own; what was told of one shares as few as the writer's pace allows
    assert sites["commit"] >= batches and sites["hook"] >= len(WORDS) + refuse_first and sites["am"] >= len(WORDS), sites
    kills: list[Kill] = [
        (when, kind, number) for kind in ("commit", "hook", "am") for number in range(1, sites[kind] + 1) for when in ("before", "after")
    ]
    placed: Counter[str] = Counter()

    def one(kill: Kill) -> list[str]:
        case = Case(tmp_path, nursery, refuse_first)
        try:
            status = case.live(kill)
            if status == KILLED:
                placed[f"{kill[0]} {kill[1]}"] += 1
            elif status != 0:
                return [f"{kill}: ended with {status}: {case.last_words()}"]
            last = case.live()
            wrong = [*case.faults(1)] if last == 0 else [f"ended with {last} after the restart: {case.last_words()}"]
        finally:
            case.close()
        return [f"{case.directory.name} {kill}: {what}" for what in wrong]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [what for found in pool.map(one, kills) for what in found]
    with capsys.disabled():
        print(f"\nkills while people are told: {dict(placed)}")
    assert not wrong, "\n".join(wrong)
    assert placed.total() >= len(kills) * 0.8, "batches differ, but most sites are reached"
