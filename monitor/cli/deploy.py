"""`mailcanary deploy start|finish|rollback`: mark a deploy, so that incidents can be set beside it."""

from __future__ import annotations

import argparse
import json
import sys

from monitor.cli import tell
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line


def call(arguments: argparse.Namespace) -> int:
    body: dict[str, object] = {
        "deploy": arguments.deploy,
        "phase": arguments.action,
        "service": arguments.service,
        "version": arguments.version,
        "sha": arguments.sha,
        "by": arguments.by,
        "source": "cli",
    }
    body |= {name: said for name, said in (("at", arguments.at), ("url", arguments.url)) if said}
    try:
        marker = told(arguments, "mailcanary.deploy/v1", lambda daemon: daemon.post("/v1/deploys", body))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    tell(
        json.dumps(marker)
        if arguments.format == "json"
        else one_line(f"deploy {marker['deploy']}: {marker['phase']} marked at {marker['at']}")
    )
    return 0
