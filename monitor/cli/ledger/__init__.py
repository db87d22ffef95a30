"""`mailcanary ledger import|status|show|reconcile|purge`: real refunds and their confirmations."""

from __future__ import annotations

import argparse
from importlib import import_module


def call(arguments: argparse.Namespace) -> int:
    """Each action's module is imported when it is called: most need no daemon, or no store."""
    name = arguments.action
    if name == "reconcile":
        name = "one_shot" if arguments.refunds else "now"
    return int(import_module(f"monitor.cli.ledger.{'importing' if name == 'import' else name}").call(arguments))
