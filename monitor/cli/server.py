"""The daemon that a command acts on."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from monitor.cli import UsageError
from monitor.edge.daemon import Daemon, DaemonError

T = TypeVar("T")


class Strange(DaemonError):
    """Something answers there that is no mailcanary, or none of this version."""


def ask(arguments: argparse.Namespace, token: str, question: Callable[[Daemon], T]) -> T:
    """The answer. Raises UsageError when the call is wrong or the daemon says no, DaemonError when it does not answer."""
    _check(arguments.server)
    try:
        return question(Daemon(arguments.server, token))
    except DaemonError as error:
        if error.refused:
            raise UsageError(str(error)) from None
        raise
    except (HTTPException, ValueError) as error:  # something answers, in no words that we know
        raise Strange(f"{arguments.server}: this is no mailcanary ({str(error).strip()!r}); is --server right?") from None


def _check(server: str) -> None:
    try:
        parts = urlsplit(server)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket is missing, the port is no number
        good = False
    if not good:
        raise UsageError(f"--server {server!r}: give a URL like http://127.0.0.1:9464")


def told(arguments: argparse.Namespace, schema: str, question: Callable[[Daemon], dict[str, object]]) -> dict[str, object]:
    """The answer, which is a document of this schema; raises as `ask` does."""
    return fits(arguments, schema, ask(arguments, token(arguments), question))


def fits(arguments: argparse.Namespace, schema: str, answer: dict[str, object]) -> dict[str, object]:
    """The answer, if it is a document of this schema."""
    if answer.get("schema") != schema:
        raise Strange(f"{arguments.server}: this is no mailcanary of this version (no {schema} in its answer); is --server right?")
    return answer


def token(arguments: argparse.Namespace) -> str:
    """The bearer token: --token-file, or $MAILCANARY_TOKEN. Raises UsageError, which never shows it."""
    where, text = "$MAILCANARY_TOKEN", os.environ.get("MAILCANARY_TOKEN", "")
    if arguments.token_file:
        where = f"--token-file {arguments.token_file}"
        try:
            text = Path(arguments.token_file).read_text().strip()
        except OSError as error:
            raise UsageError(f"{where}: {error.strerror}") from None
        except UnicodeDecodeError:
            text = "\0"
    if not (text.isascii() and text.isprintable()):
        raise UsageError(f"{where}: holds more than one line of plain characters; put the token there and nothing else")
    return text
