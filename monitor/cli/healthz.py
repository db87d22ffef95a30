"""`mailcanary healthz`: 0 when the daemon's event loop ticks, 4 otherwise."""

from __future__ import annotations

import argparse
import sys

from monitor.cli import UsageError
from monitor.edge.daemon import Daemon, DaemonError


def call(arguments: argparse.Namespace) -> int:
    try:
        print(Daemon(arguments.server).get("/livez").strip())
    except DaemonError as error:
        if error.refused:
            raise UsageError(str(error)) from None
        print(error, file=sys.stderr)
        return 4
    return 0
