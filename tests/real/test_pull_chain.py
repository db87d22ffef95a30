"""The whole chain: `mailcanary run` on the lab -> Prometheus -> Alertmanager -> a receiver, with the rules and the routing that we ship, a
minute of them made a third of a second. Its parts are killed one after the other, and nobody is told that a trouble is over that stands.

One story in order: each test leaves the world as the next one expects it. The clock of the story are the beats of the watchdog, about one a
second, as the receiver gets them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.lab.control import LabClient
from tests.acceptance.conftest import Daemon, LabProcess, lab_process, tree_for, write_tree
from tests.ports import free_port
from tests.real import alertmanager, prometheus
from tests.real.alertmanager import RealAlertmanager, Told, hurried
from tests.real.prometheus import HOST, PULL_ONLY, RULES, Prometheus

WHY_NOT = prometheus.absent() or alertmanager.absent()
pytestmark = [pytest.mark.skipif(WHY_NOT is not None, reason=f"real chain: {WHY_NOT}"), pytest.mark.timeout(180)]

MINUTE = 0.3  # seconds of one minute of the rules
KEPT = 15 * MINUTE  # keep_firing_for
PATIENCE = 60.0  # for anything that must happen at all; never a measure
SHIPPED = {
    rule["alert"]: rule
    for name in PULL_ONLY
    for group in yaml.safe_load((RULES / name).read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


class Receiver:
    """Where Alertmanager tells people. `stop` and `start`: the same port, refused in between."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.told.append(Told(payload["receiver"], payload["status"], tuple(payload["alerts"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="receiver")
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)
            self._server = None

    @property
    def beats(self) -> int:
        return sum(told.receiver == "deadman" for told in self.told)

    def of(self, alert: str, status: str, receiver: str = "pager") -> list[dict[str, Any]]:
        told = [told for told in self.told if told.receiver == receiver]
        return [dict(one) for each in told for one in each.of(status) if one["labels"]["alertname"] == alert]


@dataclass
class Chain:
    receiver: Receiver
    alertmanager: RealAlertmanager
    prometheus: Prometheus
    lab: LabProcess
    run: Callable[[], Daemon]
    daemon: Daemon

    def until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}; told: {self.receiver.told[-5:]}"
            time.sleep(0.05)

    def pass_time(self, seconds: float) -> None:
        """The watchdog beats at most once a second, so that so many beats take so long at least; the chain is whole meanwhile."""
        before = self.receiver.beats
        self.until(lambda: self.receiver.beats >= before + seconds, f"{seconds:g} beats of the watchdog")

    def over(self, alert: str) -> int:
        """Of an instance: a Prometheus that has just begun may say for a moment that there is none, and that ends by itself."""
        return sum("instance" in one["labels"] for one in self.receiver.of(alert, "resolved"))

    def start_daemon(self) -> None:
        self.daemon = self.run()
        self.daemon.ready()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    at = tmp_path_factory.mktemp("chain")
    receiver = Receiver()
    with lab_process("--mailboxes", "1") as lab:
        address = lab.description["providers"][0]["accounts"][0]["address"]
        tree = tree_for(lab.description, at, [address], ["bare-smtp"])
        tree["schedule"] = {"every": "1s", "jitter": "0%"}
        tree["deadlines"] = {"overdue_floor": "1s", "late": "2s", "missing": "3s", "give_up": "10m", "watch_until": "10m"}
        port = free_port()
        tree["listen"] = {"host": HOST, "port": port}
        config = write_tree(tree, at)
        (at / "am").mkdir()
        daemon = Daemon(config, port, at / "log")
        daemon.ready()
        told = quick_alertmanager(at / "am", receiver)
        scraped = Prometheus(at, free_port(), port, PULL_ONLY, told.url.removeprefix("http://"), MINUTE)
        chain = Chain(receiver, told, scraped, lab, lambda: Daemon(config, port, at / "log"), daemon)
        try:
            yield chain
        finally:
            chain.daemon.kill()
            scraped.close()
            told.stop()
            receiver.stop()


def quick_alertmanager(at: Path, receiver: Receiver) -> RealAlertmanager:
    """With the shipped routing in seconds; the watchdog is told of each second, as it is each minute there."""

    class Quick(RealAlertmanager):
        def start(self) -> None:
            config = hurried(yaml.safe_load(alertmanager.SHIPPED.read_text()), receiver.port)
            (watchdog,) = [route for route in config["route"]["routes"] if route["receiver"] == "deadman"]
            watchdog["repeat_interval"] = "500ms"
            self._config.write_text(yaml.safe_dump(config))
            super().start()

    return Quick(at, receiver)  # type: ignore[arg-type]


def test_all_is_well_and_the_watchdog_says_so(chain: Chain) -> None:
    chain.pass_time(3)
    (one, *_) = chain.receiver.of("MailcanaryWatchdog", "firing", "deadman")
    assert one["annotations"]["runbook_url"] == SHIPPED["MailcanaryWatchdog"]["annotations"]["runbook_url"]
    assert not chain.receiver.of("MailcanaryWatchdog", "firing"), "it wakes nobody"


def test_a_page_arrives_with_its_runbook(chain: Chain) -> None:
    """Nothing is judged any more: the mailbox is not to be looked into."""
    chain.lab.steer(lambda client: client.switch_on("imap_down"))
    chain.until(lambda: bool(chain.receiver.of("MailcanaryNoFreshResults", "firing")), "the page that nothing is fresh")
    page = chain.receiver.of("MailcanaryNoFreshResults", "firing")[0]
    assert page["annotations"]["runbook_url"].endswith("/no-fresh-results") and page["labels"]["severity"] == "page"
    assert page["labels"]["route"] in page["annotations"]["summary"]


def test_the_exporter_dies_while_the_receiver_is_away(chain: Chain) -> None:
    """The page that it is down comes when the receiver is back; what fired goes on for as long as nothing can be scraped, and after it."""
    chain.receiver.stop()
    beats = chain.receiver.beats
    chain.daemon.kill()
    chain.until(lambda: "MailcanaryMonitorDown" in chain.prometheus.firing(), "it is down")
    assert chain.receiver.beats == beats, "nobody beats where nobody takes it"
    chain.receiver.start()
    chain.until(lambda: bool(chain.receiver.of("MailcanaryMonitorDown", "firing")), "the page that it is down")
    (page, *_) = chain.receiver.of("MailcanaryMonitorDown", "firing")
    assert page["annotations"]["runbook_url"].endswith("/monitor-down")
    over = chain.over("MailcanaryMonitorDown")  # a busy machine may have missed scrapes before
    chain.pass_time(KEPT + 3)
    assert {"MailcanaryNoFreshResults", "MailcanaryMonitorDown"} <= chain.prometheus.firing()
    assert (chain.over("MailcanaryNoFreshResults"), chain.over("MailcanaryMonitorDown")) == (0, over)


def test_prometheus_dies_and_comes_back_while_all_is_down(chain: Chain) -> None:
    over = chain.over("MailcanaryMonitorDown")
    chain.prometheus.kill()
    chain.prometheus.start()
    chain.until(lambda: {"MailcanaryNoFreshResults", "MailcanaryMonitorDown"} <= chain.prometheus.firing(), "both fire again")
    chain.pass_time(4)
    assert (chain.over("MailcanaryNoFreshResults"), chain.over("MailcanaryMonitorDown")) == (0, over)


def test_the_exporter_comes_back_and_knows_nothing_new(chain: Chain) -> None:
    over = chain.over("MailcanaryMonitorDown")
    chain.start_daemon()
    chain.until(lambda: chain.over("MailcanaryMonitorDown") > over, "it is up again, and that is told")
    chain.pass_time(4)
    assert "MailcanaryNoFreshResults" in chain.prometheus.firing() and chain.over("MailcanaryNoFreshResults") == 0


def test_alertmanager_dies_and_comes_back(chain: Chain) -> None:
    """It had all in memory; Prometheus tells it again."""
    chain.alertmanager.stop()
    beats = chain.receiver.beats
    chain.alertmanager.start()
    chain.until(lambda: chain.receiver.beats >= beats + 2, "the watchdog beats again")
    alerts = chain.alertmanager.ask
    chain.until(lambda: "MailcanaryNoFreshResults" in alerts("GET", "/api/v2/alerts")[1], "it is told that nothing is fresh")
    assert chain.over("MailcanaryNoFreshResults") == 0


def test_it_is_over_when_it_is_over(chain: Chain) -> None:
    chain.lab.steer(repaired)
    chain.until(lambda: chain.over("MailcanaryNoFreshResults") > 0, "fresh verdicts, and that is told")
    assert chain.receiver.of("MailcanaryWatchdog", "resolved", "deadman") == []


def test_the_watchdog_falls_silent_when_prometheus_stays_away(chain: Chain) -> None:
    """Alertmanager forgets it when it is not told again; whoever waits for the beat outside notices."""
    chain.prometheus.kill()
    alerts = chain.alertmanager.ask
    chain.until(lambda: "MailcanaryWatchdog" not in alerts("GET", "/api/v2/alerts")[1], "its life is over")
    beats = chain.receiver.beats
    chain.prometheus.start()
    chain.until(lambda: chain.receiver.beats >= beats + 3, "the watchdog beats again")
    assert chain.receiver.of("MailcanaryWatchdog", "resolved", "deadman") == [], "silence is what tells"


async def repaired(client: LabClient) -> None:
    await client.switch_off("imap_down")
