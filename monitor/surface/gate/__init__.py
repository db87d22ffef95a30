"""Gates as outsiders see them: one JSON document, and every other form made from it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from monitor.surface.gate.document import gate_document
from monitor.surface.gate.github import github_commands, github_outputs
from monitor.surface.gate.junit import junit
from monitor.surface.gate.lines import argo_body, exit_code, final_line
from monitor.surface.gate.rows import gate_row, gates_of, gates_summary
from monitor.surface.gate.standing import effect, held
from monitor.surface.gate.summary import summary_markdown
from monitor.surface.gate.unanswered import unanswered

if TYPE_CHECKING:
    from monitor.surface.gate.explained import print_explained
    from monitor.surface.gate.report import print_gate

__all__ = [
    "argo_body",
    "effect",
    "exit_code",
    "final_line",
    "gate_document",
    "gate_row",
    "gates_of",
    "gates_summary",
    "github_commands",
    "github_outputs",
    "held",
    "junit",
    "print_explained",
    "print_gate",
    "summary_markdown",
    "unanswered",
]

_DRAWN = {"print_explained": "explained", "print_gate": "report"}


def __getattr__(name: str) -> Any:
    """What draws loads rich, which the daemon does without."""
    if name in _DRAWN:
        return getattr(import_module(f"{__name__}.{_DRAWN[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
