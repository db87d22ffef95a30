"""A real Prometheus on loopback that scrapes one daemon every second, with the rules that we ship, in seconds instead of minutes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

HOST = "127.0.0.1"
PATIENCE = 60.0  # for anything that must happen at all; never a measure
RULES = Path(__file__).resolve().parents[2] / "config" / "prometheus"
PUSHED = ("recording.rules.yaml", "alerts.rules.yaml", "symptoms.rules.yaml")  # what is loaded beside pushed incidents
PULL_ONLY = ("recording.rules.yaml", "alerts.rules.yaml", "pull-only.rules.yaml")  # what is loaded instead of them
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


def absent() -> str | None:
    """Why there is no Prometheus to test with."""
    lacking = [name for name, found in (("prometheus", PROMETHEUS), ("promtool", PROMTOOL)) if found is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROMTOOL), *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)


def quickened(rules: str, minute: float = 1.0) -> str:
    """The same rules, each minute of `for` and `keep_firing_for` made so many seconds. No expression changes."""

    def quick(found: re.Match[str]) -> str:
        return f"{found[1]}{round(int(found[2]) * (60 if found[3] == 'h' else 1) * minute * 1000)}ms"

    return re.sub(r"(?m)^(\s+(?:for|keep_firing_for): )(\d+)([mh])$", quick, rules)


class Prometheus:
    """`kill` and `start` restart it on the same port and data. `rules`: the files that are loaded, as the shipped configuration does."""

    def __init__(
        self, directory: Path, port: int, target: int, rules: Sequence[str] = PUSHED, alertmanager: str = "", minute: float = 1.0
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self._directory, self._minute = directory, minute
        for name in rules:
            (directory / name).write_text(quickened((RULES / name).read_text(), minute).replace("interval: 30s", "interval: 1s"))
        config = yaml.safe_load((RULES / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = list(rules)
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{HOST}:{target}"]
        if alertmanager:
            config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
        else:
            del config["alerting"]
        (directory / "prometheus.yaml").write_text(json.dumps(config))
        self._log = (directory / "prometheus.log").open("ab")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={self._directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--query.lookback-delta=10s",
                f"--rules.alert.for-grace-period={round(self._minute * 1000)}ms",
                "--rules.alert.resend-delay=4s",  # Alertmanager keeps an alert for four of these; a restart takes 5 s to find it again
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.until(lambda: bool(self._get("/api/v1/status/buildinfo")), "Prometheus answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it starts
                return None
            raise AssertionError(f"{path}: {error.read().decode()}") from None
        except (urllib.error.URLError, OSError):
            return None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; AssertionError where Prometheus does not accept it."""
        found = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert found is not None, "Prometheus does not answer"
        return list(found["result"])

    def firing(self) -> set[str]:
        return {sample["metric"]["alertname"] for sample in self.query('ALERTS{alertstate="firing"}')}

    def until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
            time.sleep(0.1)
