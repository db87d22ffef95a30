"""Where the answer of a gate goes: stdout, files, and the files of GitHub Actions. A place that takes nothing is a remark, no verdict."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.cli import remark, tell
from monitor.cli.paper import drawn
from monitor.surface.gate import final_line, github_commands, github_outputs, junit, print_gate, summary_markdown

Document = dict[str, object]

SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"


@dataclass(frozen=True, slots=True)
class Outputs:
    form: str  # of stdout: text or json
    json: str | None
    junit: str | None
    github: bool

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Outputs:
        asked: bool | None = arguments.github
        github = os.environ.get("GITHUB_ACTIONS") == "true" if asked is None else asked
        return cls(arguments.format, arguments.json, arguments.junit, github)

    def publish(self, document: Document, whole: bool = True) -> None:
        """Every form of it. Without `whole` stdout gets the last line only: there is nothing to report."""
        if self.json is not None:
            _written(f"--json {self.json}", Path(self.json), f"{_json(document)}\n", _replaced)
        if self.junit is not None:
            _written(f"--junit {self.junit}", Path(self.junit), junit(document), _replaced)
        commands = ""
        if self.github:
            for name, make in ((SUMMARY, summary_markdown), (OUTPUT, github_outputs)):
                if place := os.environ.get(name):
                    _written(f"${name}", Path(place), make(document), _appended)
            commands = github_commands(document, secrets.token_hex(16)).rstrip("\n")
        if self.form == "json":
            if commands:  # the runner reads both streams, and stdout is one document
                remark(commands)
            tell(_json(document))
            return
        report = drawn(lambda console: print_gate(document, console)).rstrip("\n") if whole else ""
        tell("\n".join(part for part in (report, commands, final_line(document)) if part))


def _json(document: Document) -> str:
    return json.dumps(document, indent=2)


def _written(name: str, path: Path, text: str, write: Callable[[Path, str], None]) -> None:
    try:
        write(path, text)
    except OSError as error:
        remark(f"{name}: {error.strerror or error}; it was not written, which changes no verdict")


def _replaced(path: Path, text: str) -> None:
    """Whole or not at all: whoever reads it meanwhile finds the old one. A device or a pipe is written to."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        Path(name).chmod(0o644)  # another user may collect it, and there is no secret in it
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _appended(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
