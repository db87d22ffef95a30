"""Where the answer of a gate goes: stdout, files, and the files of GitHub Actions. A place that takes nothing is a remark, no verdict."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from monitor.cli import remark, tell
from monitor.cli.files import unwritten, written
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
            written("--json", Path(self.json), f"{_json(document)}\n")
        if self.junit is not None:
            written("--junit", Path(self.junit), junit(document))
        commands = ""
        if self.github:
            for name, make in ((SUMMARY, summary_markdown), (OUTPUT, github_outputs)):
                if place := os.environ.get(name):
                    _appended(f"${name}", Path(place), make(document))
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


def _appended(name: str, path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        remark(unwritten(name, error))
