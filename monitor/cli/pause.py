"""`mailcanary pause` and `mailcanary resume`."""

from __future__ import annotations

import argparse
import json
import sys

from monitor.cli import tell
from monitor.cli.server import ask, token
from monitor.edge.daemon import DaemonError


def call(arguments: argparse.Namespace) -> int:
    body = {"by": arguments.by}
    if arguments.command == "pause":
        body["reason"] = arguments.reason
    try:
        answer = ask(arguments, token(arguments), lambda daemon: daemon.post(f"/v1/{arguments.command}", body))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    if arguments.format == "json":
        tell(json.dumps(answer))
    else:
        tell("submission is paused; `mailcanary resume` starts it again" if answer.get("paused") else "submission is running")
    return 0
