"""A result for people, drawn as a whole before it is printed: rich itself would exit 1 when the reader of stdout is gone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from rich.console import Console

WIDE = 160  # columns where no terminal sets a bound


def drawn(draw: Callable[[Console], None]) -> str:
    """What `draw` prints, with the colours and the width of stdout."""
    paper = io.StringIO()
    terminal = sys.stdout is not None and sys.stdout.isatty()  # None: closed before we began
    width = Console().width if terminal or "COLUMNS" in os.environ else WIDE
    draw(Console(file=paper, force_terminal=terminal or None, width=width, highlight=False))
    return paper.getvalue()
