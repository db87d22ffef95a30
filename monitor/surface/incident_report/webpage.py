"""The report as one page of HTML that needs nothing else: no script, nothing fetched, made to be printed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitor.rules.plain import one_line, plain
from monitor.surface.incident_report.detection import gap
from monitor.surface.incident_report.phrases import length, when, where

Document = Mapping[str, Any]
TEMPLATES = Path(__file__).with_name("templates")


def html(report: Document) -> str:
    """Of a document of schema `mailcanary.incident-report/v1`. Every text is escaped."""
    return _environment().get_template("report.html").render(report=report)


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    made.filters |= {"when": when, "length": length, "where": where, "gap": gap}
    made.finalize = _shown
    return made


def _shown(value: object) -> object:
    """The document may come from another host: what it says is on one line, and masked once more."""
    return plain(one_line(value)) if type(value) is str else value
