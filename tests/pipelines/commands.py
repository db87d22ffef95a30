"""The command lines of ours that stand in an example or a page, as their shell would hand them over."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.pipelines import argo
from tests.pipelines.expectations import EXAMPLES, ROOT

PAGE = ROOT / "docs" / "pipelines.md"
STARTS = r"^\s*(?:-\s+|run:\s*|\$\s*|script:\s*)?|\bsh\s+"
COMMAND = re.compile(rf"""(?m)(?:{STARTS})(['"]?)(mailcanary\s+(?:gate|deploy|run|check-config)\b.*)$""")


def in_text(text: str) -> list[list[str]]:
    """Every `mailcanary GROUP ...` that is a command: at the start of a line of shell, or quoted in one of Groovy; \\ goes on."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = COMMAND.findall(joined)
    return [shlex.split(_unquoted(quote, line), comments=True)[1:] for quote, line in found]


def _unquoted(quote: str, line: str) -> str:
    return line[: line.rindex(quote)] if quote else line


def in_job() -> list[str]:
    """The arguments of the Job's container; the image's entry point is our command."""
    template = argo.load((EXAMPLES / "argo-job.yaml").read_text())
    pod = template["spec"]["metrics"][0]["provider"]["job"]["spec"]["template"]["spec"]
    return [str(word) for word in pod["containers"][0]["args"]]


def everywhere() -> dict[str, list[list[str]]]:
    files: list[Path] = [*sorted(EXAMPLES.iterdir()), PAGE]
    found = {path.name: in_text(path.read_text()) for path in files}
    found["argo-job.yaml"] = [in_job()]
    return found
