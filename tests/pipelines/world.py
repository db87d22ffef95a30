"""A lab with its shop and `mailcanary run` beside it, in processes: what a pipeline meets. And a runner for its scripts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.lab.configuration import configuration
from tests.acceptance.conftest import PASSWORD, SIGNING_KEY, Daemon, LabProcess, daemon, lab_process, until, write_tree
from tests.ports import free_port

ROLLBACK_TOKEN = "rollbackToken"
STRANGER = "never.bought@aurora.test"
FIXED = "v3"

DEPLOY_TOOL = """#!/bin/sh
# Stands in for the shop's deploy tool: canary VERSION, promote VERSION, rollback VERSION.
echo "$@" >> deployed
case "$1" in
  canary) exec curl -fsS -X POST -H 'Content-Type: application/json' -d "{\\"version\\": \\"$2\\"}" "$LAB/deploy" > /dev/null ;;
  rollback) exec curl -fsS -X POST -H 'Content-Type: application/json' -d '{"version": "v1"}' "$LAB/deploy" > /dev/null ;;
esac
"""
COMMAND = f'#!/bin/sh\nexec {sys.executable} -m monitor "$@"\n'


@dataclass
class World:
    lab: LabProcess
    running: Daemon
    config: Path
    port: int
    directory: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(self, version: str) -> None:
        self.lab.steer(lambda client: client.deploy(version))

    async def live(self, version: str) -> None:
        """As `deploy`, beside an event loop."""
        await asyncio.to_thread(self.deploy, version)

    def known_to_be_good(self) -> None:
        """Every route has passed: what is broken later was not broken before."""
        until(lambda: all(self._passed().values()), "every route passes")

    def _passed(self) -> dict[str, float]:
        samples = self.running.metrics().items()
        return {name: n for name, n in samples if name.startswith("mailcanary_probe_results_total{") and 'result="pass"' in name}

    def get(self, path: str) -> Any:
        return json.loads(self.running.get(path))

    def restart(self) -> None:
        self.running.kill()
        self.running = Daemon(self.config, self.port, self.directory / "again.log")
        self.running.ready()


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    with lab_process("--stranger", STRANGER) as lab:
        tree = configuration(lab.description, directory / "secret", directory / "state", "plain", free_port())
        (directory / "key").write_text(SIGNING_KEY)
        (directory / "rollback").write_text(ROLLBACK_TOKEN)
        tree |= {
            "signing": {"keys": [{"number": 1, "secret": {"file": str(directory / "key")}}]},
            "schedule": {"every": "2s", "jitter": "0%"},
            "deadlines": {"overdue_floor": "1s", "late": "2s", "missing": "3s", "give_up": "5s", "watch_until": "20s"},
            "gates": {"burst": 200},
            "drain": "1s",
        }
        tree["listen"]["tokens"] = {"rollback": {"file": str(directory / "rollback")}}
        config = write_tree(tree, directory)
        assert (directory / "secret").read_text().strip() == PASSWORD
        with daemon(config, tree["listen"]["port"], directory / "log") as running:
            here = World(lab, running, config, tree["listen"]["port"], directory)
            try:
                here.known_to_be_good()
                yield here
            finally:
                if here.running is not running:
                    here.running.kill()


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Runner:
    """A machine on which a pipeline runs: a shell, a deploy tool, our command, and what the tool puts into the environment."""

    world: World
    home: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        for name, text in (("deploy.sh", DEPLOY_TOOL), ("mailcanary", COMMAND)):
            (self.home / name).write_text(text)
            (self.home / name).chmod(0o755)

    @property
    def deployed(self) -> list[str]:
        file = self.home / "deployed"
        return file.read_text().splitlines() if file.exists() else []

    async def run(self, script: str, **more: str) -> Ran:
        """As the tools do: `bash -e`."""
        process = await self.start("bash", "-e", "-c", script, **more)
        try:
            out, err = await asyncio.wait_for(process.communicate(), 50)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *words: str, **more: str) -> asyncio.subprocess.Process:
        inherited = {name: os.environ[name] for name in ("HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
        environment = {
            **inherited,
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "LAB": self.world.lab.description["control_url"],
            "MAILCANARY_SERVER": self.world.url,
            **self.environment,
            **more,
        }
        return await asyncio.create_subprocess_exec(
            *words,
            cwd=self.home,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


def outputs(text: str) -> dict[str, str]:
    """$GITHUB_OUTPUT as the runner reads it: NAME=VALUE, or NAME<<DELIMITER and lines until it."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        if multi := re.fullmatch(r"(\w+)<<(\S+)", line):
            value = []
            for each in lines:
                if each == multi[2]:
                    break
                value.append(each)
            found[multi[1]] = "\n".join(value)
        else:
            name, _, value_ = line.partition("=")
            found[name] = value_
    return found
