"""Files that a command writes beside stdout. A place that takes nothing is a remark, no verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from monitor.cli import remark


def written(name: str, path: Path, text: str) -> None:
    """`name`: the flag, for the remark."""
    try:
        _replaced(path.resolve(), text)
    except OSError as error:
        remark(unwritten(f"{name} {path}", error))


def unwritten(name: str, error: OSError) -> str:
    return f"{name}: {error.strerror or error}; it was not written, which changes no verdict"


def _replaced(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Whole or not at all: whoever reads it meanwhile finds the old one. A device or a pipe is written to. Raises OSError."""
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as device:
            yield device
        return
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123
            yield file
        Path(name).chmod(0o644)  # another user may collect it, and there is no secret in it
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
