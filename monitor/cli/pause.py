"""`mailcanary pause` and `mailcanary resume`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from monitor.cli import UsageError, tell
from monitor.cli.server import ask
from monitor.edge.daemon import DaemonError


def call(arguments: argparse.Namespace) -> int:
    body = {"by": arguments.by}
    if arguments.command == "pause":
        body["reason"] = arguments.reason
    try:
        answer = ask(arguments, token(arguments), lambda daemon: daemon.post(f"/v1/{arguments.command}", dict(body)))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    if arguments.format == "json":
        tell(json.dumps(answer))
    else:
        tell("submission is paused; `mailcanary resume` starts it again" if answer.get("paused") else "submission is running")
    return 0


def token(arguments: argparse.Namespace) -> str:
    """The bearer token: --token-file, or $MAILCANARY_TOKEN."""
    if arguments.token_file:
        try:
            return Path(arguments.token_file).read_text().strip()
        except OSError as error:
            raise UsageError(f"--token-file {arguments.token_file}: {error.strerror}") from None
    return os.environ.get("MAILCANARY_TOKEN", "")
