"""`mailcanary audit --approve`: the daemon's latest observation of a domain becomes its baseline."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from monitor.cli import UsageError, tell
from monitor.cli.audit.known import server_of
from monitor.cli.audit.order import Order
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line
from monitor.surface.audit.observed import ONE
from monitor.surface.audit.text import print_drifts

MOST = 50  # domains that a person can have looked at


def approve(order: Order, arguments: argparse.Namespace) -> int:
    """Shows first what changes, and approves exactly that: the daemon refuses when it has seen something else meanwhile."""
    if len(order.domains) > MOST:
        raise UsageError(f"--approve: {len(order.domains)} domains are more than anybody looks at; name at most {MOST}")
    arguments.server = server_of(arguments, order.policy)
    approved = []
    for domain in order.domains:
        try:
            approved.append(_approved(domain.domain, arguments))
        except DaemonError as error:
            print(f"--approve needs the running daemon, whose observation it approves: {error}", file=sys.stderr)
            return 4
    if arguments.format == "json":
        tell(json.dumps({"schema": "mailcanary.approved/v1", "domains": approved}, indent=2))
    return 0


def _approved(domain: str, arguments: argparse.Namespace) -> dict[str, Any]:
    place = f"/v1/domains/{quote(domain, safe='')}"
    before: dict[str, Any] = told(arguments, ONE, lambda daemon: daemon.document(place))
    digest, drifts = before["digest"], before["audit"]["drifts"]
    if not digest:
        raise UsageError(f"--approve {domain}: the daemon has not inspected it yet; there is nothing to approve")
    if arguments.format != "json":
        tell(drawn(lambda console: print_drifts(drifts, console)).strip("\n") or f"{domain}: nothing has changed since the baseline")
    body = {"by": arguments.by, "digest": digest, "note": arguments.note}
    after = told(arguments, ONE, lambda daemon: daemon.post(f"{place}/baseline", body))
    if arguments.format != "json":
        tell(
            one_line(f"{domain}: what was observed at {before['inspected_at']} is the baseline now, approved by {arguments.by} ({digest})")
        )
    return {"domain": domain, "digest": digest, "drifts": drifts, "baseline": after["baseline"]}
