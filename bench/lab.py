"""The lab in its own process, and a configuration for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from monitor.edge.secret import SystemSecrets
from monitor.lab.configuration import configuration, write_configuration
from monitor.model.policy import Policy
from monitor.settings import load

PASSWORD = "lab password"


@dataclass(frozen=True, slots=True)
class OtherLab:
    description: dict[str, Any]
    process: psutil.Process
    directory: Path

    def written(self, tree: dict[str, Any]) -> Path:
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        tree = {**tree, "state_dir": str(directory / "state")}
        return write_configuration(tree, directory, PASSWORD.ljust(16, "."))

    def tree(self, security: str = "plain") -> dict[str, Any]:
        (self.directory / "password").write_text(PASSWORD)
        tree = configuration(self.description, Path("secret"), self.directory / "state", security)
        for box in tree["mailboxes"].values():
            box["imap"]["password"] = {"file": str(self.directory / "password")}
        return tree

    def policy(self, tree: dict[str, Any]) -> Policy:
        return load(self.written(tree), SystemSecrets()).policy


@contextlib.asynccontextmanager
async def other_lab(mailboxes_per_provider: int = 2) -> AsyncIterator[OtherLab]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "monitor.lab",
        "--mailboxes",
        str(mailboxes_per_provider),
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    assert process.stdout is not None
    with tempfile.TemporaryDirectory(prefix="mailcanary-bench-") as directory:
        try:
            description = json.loads(await process.stdout.readline())
            yield OtherLab(description, psutil.Process(process.pid), Path(directory))
        finally:
            process.terminate()
            await process.wait()
