"""A daemon's ledger, asked over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from monitor.cli import remark
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.model.verdict import Verdict

STANDING, DIFFERENCES = "mailcanary.ledger/v1", "mailcanary.differences/v1"
LONG = 120.0  # seconds: a first comparison of a million records takes some

Document = dict[str, Any]


def standing(arguments: argparse.Namespace) -> Document:
    return told(arguments, STANDING, lambda daemon: daemon.document("/v1/ledger"))


def reconciled(arguments: argparse.Namespace) -> Document:
    return told(arguments, STANDING, lambda daemon: daemon.post("/v1/ledger/reconcile", {}, LONG))


def differences(arguments: argparse.Namespace, query: list[tuple[str, str]]) -> Iterator[list[Document]]:
    """Page by page."""
    after: object = 0
    while after is not None:
        text = urlencode([*query, ("after", str(after))])
        page: Document = told(arguments, DIFFERENCES, lambda daemon, text=text: daemon.document(f"/v1/ledger/differences?{text}"))  # type: ignore[misc]
        yield page["differences"]
        after = page["after"]


def gave_up(error: DaemonError) -> int:
    remark(str(error))
    return Verdict.ERROR.exit_code
