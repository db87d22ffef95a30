"""`mailcanary ledger reconcile` without files: a daemon compares what it has read, now."""

from __future__ import annotations

import argparse
import json

from monitor.cli import UsageError, tell
from monitor.cli.ledger.asking import gave_up, reconciled
from monitor.cli.ledger.pages import print_standing
from monitor.cli.paper import drawn
from monitor.edge.daemon import DaemonError
from monitor.model.verdict import Verdict

_OF_FILES = (
    "columns",
    "refund_columns",
    "confirmation_columns",
    "delimiter",
    "decimal",
    "minor_units",
    "negative",
    "currency",
    "time_zone",
    "time_format",
    "statuses",
    "refund_option",
    "confirmation_option",
    "match",
    "confirm_within",
    "refund_within",
    "as_of",
    "output",
    "config",
)
_UNSAID = {"decimal": ".", "time_zone": "UTC"}


def call(arguments: argparse.Namespace) -> int:
    """Exits as a comparison of files does: 1 when anything differs."""
    if given := next((name for name in _OF_FILES if getattr(arguments, name) not in (None, False, _UNSAID.get(name))), None):
        raise UsageError(f"--{given.replace('_', '-')} is for two files: mailcanary ledger reconcile REFUNDS CONFIRMATIONS")
    if arguments.format == "csv":
        raise UsageError("--format csv is for two files; `mailcanary ledger show --format csv` lists what differs in a daemon's ledger")
    try:
        document = reconciled(arguments)
    except DaemonError as error:
        return gave_up(error)
    tell(json.dumps(document) if arguments.format == "json" else drawn(lambda console: print_standing(document, console)).rstrip())
    if any(row["open"] for row in document["standing"]["classes"]):
        return Verdict.FAIL.exit_code
    read = document["windows"]["refunds_until"] and document["windows"]["confirmations_until"]
    return Verdict.PASS.exit_code if read and not document["blind"] else Verdict.INCONCLUSIVE.exit_code
