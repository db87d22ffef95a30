"""`mailcanary ledger purge`: what is old, or one person, is forgotten for good."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from monitor.cli import UsageError, remark, tell
from monitor.cli.ledger.asking import LONG, Document, gave_up
from monitor.cli.server import ask, token
from monitor.edge.daemon import DaemonError
from monitor.rules.reconcile.impact import counted

LONGEST = 320  # characters of an address


def call(arguments: argparse.Namespace) -> int:
    body, what = _asked(arguments, sys.stdin.readline)
    if not arguments.yes and not _confirmed(what):
        raise UsageError("nothing was forgotten; --yes says that you mean it")
    try:
        gone: Document = ask(
            arguments, token(arguments), lambda daemon: daemon.post("/v1/ledger/purge", {**body, "by": arguments.by}, LONG)
        )
    except DaemonError as error:
        return gave_up(error)
    tell("forgotten: " + ", ".join(counted(gone[f"{what}s"], what) for what in ("refund", "confirmation", "difference")))
    return 0


def _asked(arguments: argparse.Namespace, line: Callable[[int], str]) -> tuple[dict[str, object], str]:
    """The address comes from the standard input only: it stands in no history of a shell and in no list of processes."""
    if arguments.before is not None:
        return {"before": arguments.before}, f"everything before {arguments.before} that is settled"
    if arguments.recipient != "-":
        raise UsageError("--recipient: write -, and the address on the standard input, where no history of a shell keeps it")
    if sys.stdin.isatty():
        remark("address of the person to forget:")
    address = line(LONGEST + 1).strip()
    if not address or len(address) > LONGEST:
        raise UsageError("--recipient -: there is no address on the standard input")
    return {"recipient": address}, "every trace of that person"


def _confirmed(what: str) -> bool:
    if not sys.stdin.isatty():
        return False
    remark(f"{what} is forgotten for good; type yes to go on:")
    return sys.stdin.readline().strip() == "yes"
