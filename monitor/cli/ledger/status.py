"""`mailcanary ledger status`: how both sides stand, how far each source was read, and what of it could not be taken."""

from __future__ import annotations

import argparse
import json

from monitor.cli import tell
from monitor.cli.ledger.asking import gave_up, standing
from monitor.cli.ledger.pages import print_standing
from monitor.cli.paper import drawn
from monitor.edge.daemon import DaemonError


def call(arguments: argparse.Namespace) -> int:
    try:
        document = standing(arguments)
    except DaemonError as error:
        return gave_up(error)
    tell(json.dumps(document) if arguments.format == "json" else drawn(lambda console: print_standing(document, console)).rstrip())
    return 0
