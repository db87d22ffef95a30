"""The blameless report of one incident: one JSON document, and every other form made from it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from monitor.surface.incident_report.document import SCHEMA, incident_report
from monitor.surface.incident_report.markdown import markdown

if TYPE_CHECKING:
    from monitor.surface.incident_report.webpage import html

__all__ = ["SCHEMA", "html", "incident_report", "markdown"]


def __getattr__(name: str) -> Any:
    """What makes a page loads jinja2, which the daemon does without here."""
    if name == "html":
        return import_module(f"{__name__}.webpage").html
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
