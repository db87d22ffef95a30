"""`mailcanary healthz`: 0 when the daemon's event loop ticks, 4 otherwise."""

from __future__ import annotations

import argparse
import sys

from monitor.cli import tell
from monitor.cli.server import ask
from monitor.edge.daemon import DaemonError


def call(arguments: argparse.Namespace) -> int:
    try:
        tell(ask(arguments, "", lambda daemon: daemon.get("/livez")).strip())
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    return 0
