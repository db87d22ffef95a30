"""The commands as a person calls them: in their own process, against a lab in this one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from monitor.lab import Lab, LabSpec
from monitor.lab.configuration import configuration, free_secret, write_configuration
from tests.ports import free_port

WITHIN = 40.0  # a command that takes longer hangs


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What stderr says, notes left out."""
        assert "Traceback" not in self.err, self.err
        return [line for line in self.err.splitlines() if not line.startswith("note: ")]


Call = Callable[..., Awaitable[Said]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "COLUMNS": "200"}


@pytest.fixture
def begin(environment: dict[str, str], tmp_path: Path) -> Callable[..., Awaitable[asyncio.subprocess.Process]]:
    async def start(*arguments: str, **more: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "monitor",
            *arguments,
            env=environment | more,
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )

    return start


@pytest.fixture
def call(begin: Callable[..., Awaitable[asyncio.subprocess.Process]]) -> Call:
    async def run(*arguments: str, **more: str) -> Said:
        process = await begin(*arguments, **more)
        async with asyncio.timeout(WITHIN):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())

    return run


@dataclass
class World:
    lab: Lab
    directory: Path
    tree: dict[str, Any]

    def write(self) -> str:
        """The configuration as it stands in `tree`; returns its path."""
        return str(write_configuration(self.tree, self.directory, self.lab.spec.password))

    def only(self, *mailboxes: str, path: str = "bare-smtp") -> None:
        self.tree["mailboxes"] = {name: self.tree["mailboxes"][name] for name in mailboxes}
        self.tree["paths"] = {path: self.tree["paths"][path]}


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Lab(LabSpec(password=free_secret())) as lab:
        tree = configuration(lab.description.as_json(), tmp_path / "secret", tmp_path / "state", port=free_port())
        yield World(lab, tmp_path, tree)


def document(said: Said) -> dict[str, Any]:
    """stdout is one JSON document and nothing else."""
    loaded = json.loads(said.out)
    assert isinstance(loaded, dict)
    return loaded
