"""A real Alertmanager on loopback with the routing that we ship, in seconds instead of minutes, and a catcher of what it sends."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.ports import free_port

HOST = "127.0.0.1"
PATIENCE = 30.0  # for anything that must happen at all; never a measure
SHIPPED = Path(__file__).resolve().parents[2] / "config" / "alertmanager.yaml"
QUICK = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "2h"}  # whoever is told twice was told of something new

_BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
AMTOOL = shutil.which("amtool")


def absent() -> str | None:
    """Why there is no Alertmanager to test with."""
    lacking = [name for name, found in (("prometheus-alertmanager", _BINARY), ("amtool", AMTOOL)) if found is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class Told:
    """One notification as a receiver got it."""

    receiver: str
    status: str  # of the group
    alerts: tuple[Mapping[str, Any], ...]

    def of(self, status: str) -> list[Mapping[str, Any]]:
        return [alert for alert in self.alerts if alert["status"] == status]


class Catcher:
    """Takes the notifications of all receivers."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._came = threading.Condition()
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with catcher._came:
                    catcher.told.append(Told(payload["receiver"], payload["status"], tuple(payload["alerts"])))
                    catcher._came.notify_all()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="catcher")
        self._thread.start()

    def of(self, incident: str) -> list[Told]:
        """In the order in which they came."""
        with self._came:
            return [told for told in self.told if any(alert["labels"].get("incident") == incident for alert in told.alerts)]

    def wait(self, incident: str, enough: Callable[[list[Told]], bool]) -> list[Told]:
        """What was told of this incident, as soon as it is enough."""
        deadline = time.monotonic() + PATIENCE
        while not enough(found := self.of(incident)):
            left = deadline - time.monotonic()
            assert left > 0, f"{incident}: within {PATIENCE:g} s there came only {found}"
            with self._came:
                self._came.wait(min(left, 0.5))
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class RealAlertmanager:
    """`stop` and `start` restart it on the same port; what it knew of alerts is then gone."""

    def __init__(self, directory: Path, catcher: Catcher) -> None:
        self._directory = directory
        self._config = directory / "alertmanager.yaml"
        self._config.write_text(yaml.safe_dump(hurried(yaml.safe_load(SHIPPED.read_text()), catcher.port)))
        self.url = f"http://{HOST}:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert _BINARY is not None
        log = (self._directory / "log").open("ab")
        self._process = subprocess.Popen(
            [
                _BINARY, f"--config.file={self._config}", f"--storage.path={self._directory / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}", "--cluster.listen-address=", "--log.level=debug",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            assert self._process.poll() is None and time.monotonic() < deadline, (self._directory / "log").read_text()[-3000:]
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def active(self, incident: str) -> list[dict[str, Any]]:
        """The alerts of this incident that fire now."""
        alerts: list[dict[str, Any]] = json.loads(self.ask("GET", "/api/v2/alerts")[1])
        return [alert for alert in alerts if alert["labels"].get("incident") == incident]

    def silence(self, incident: str) -> str:
        matcher = {"name": "incident", "value": incident, "isRegex": False, "isEqual": True}
        now = time.time()
        body = {"matchers": [matcher], "startsAt": stamp(now - 1), "endsAt": stamp(now + 600), "createdBy": "test", "comment": "test"}
        return str(json.loads(self.ask("POST", "/api/v2/silences", body)[1])["silenceID"])

    def unsilence(self, silence: str) -> None:
        self.ask("DELETE", f"/api/v2/silence/{silence}")

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def _ready(self) -> bool:
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False


def hurried(config: dict[str, Any], port: int) -> dict[str, Any]:
    """The shipped configuration with other timers (where nothing is waited for, nothing is) and the catcher behind every receiver."""

    def hurry(route: dict[str, Any]) -> dict[str, Any]:
        quick = {name: value if route[name] != "0s" else "0s" for name, value in QUICK.items() if name in route}
        return route | quick | ({"routes": [hurry(below) for below in route["routes"]]} if "routes" in route else {})

    for receiver in config["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = f"http://{HOST}:{port}/{receiver['name']}"
    return config | {"route": hurry(config["route"])}


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
