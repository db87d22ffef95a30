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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HOST = "127.0.0.1"
PATIENCE = 60.0  # for anything that must happen at all; never a measure
RULES = Path(__file__).resolve().parents[2] / "config" / "prometheus"
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


def absent() -> str | None:
    """Why there is no Prometheus to test with."""
    lacking = [name for name, found in (("prometheus", PROMETHEUS), ("promtool", PROMTOOL)) if found is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROMTOOL), *arguments], input=given, capture_output=True, text=True, timeout=60, check=False)


def quickened(rules: str) -> str:
    """The same rules, each minute of `for` and `keep_firing_for` made a second."""
    return re.sub(r"(?m)^(\s+(?:for|keep_firing_for): )(\d+)([mh])$", lambda m: f"{m[1]}{int(m[2]) * (60 if m[3] == 'h' else 1)}s", rules)


class Prometheus:
    def __init__(self, directory: Path, port: int, target: int) -> None:
        self.url = f"http://{HOST}:{port}"
        for name in ("recording.rules.yaml", "alerts.rules.yaml"):
            (directory / name).write_text(quickened((RULES / name).read_text()).replace("interval: 30s", "interval: 1s"))
        config = yaml.safe_load((RULES / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{HOST}:{target}"]
        del config["alerting"]
        (directory / "prometheus.yaml").write_text(json.dumps(config))
        self._log = (directory / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                str(PROMETHEUS),
                f"--config.file={directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={HOST}:{port}",
                "--query.lookback-delta=10s",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.until(lambda: bool(self._get("/api/v1/status/buildinfo")), "Prometheus answers")

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
