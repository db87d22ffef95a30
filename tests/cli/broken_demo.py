"""`python -m tests.cli.broken_demo ACT`: the demo in which this act does not happen. The last line of stderr says what was deployed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from monitor.cli import demo, main
from monitor.edge.daemon import Daemon
from monitor.lab import Lab
from monitor.lab.books import Books

PATIENCE = {1: 1.0, 2: 5.0, 3: 8.0, 4: 8.0, 5: 8.0, 6: 10.0, 7: 10.0}


def play(act: int) -> int:
    """More rounds than there is time for; a deploy that deploys nothing; a rollback that does not roll back; an incident that goes
    on; a fix that mends nothing; a job that mails nobody; a ledger in which one refund is not."""
    deploy, post = Lab.deploy, Daemon.post
    marked: list[tuple[str, str]] = []
    live: list[str] = []

    def mark(daemon: Daemon, path: str, body: Mapping[str, Any], *timeout: float) -> dict[str, object]:
        assert path != "/v1/deploys" or body["deploy"] == f"checkout-{body['version']}"
        if path == "/v1/deploys":
            marked.append((body["deploy"], body["phase"]))
        return post(daemon, path, body, *timeout)

    def half(lab: Lab, version: str) -> None:
        live.append(version)
        if act >= 4 or (act == 3 and version == "v2"):
            deploy(lab, {("v3", 5): "v2", ("v4", 6): "v3"}.get((version, act), version))

    demo.ACT_DEADLINE = PATIENCE[act]
    demo.SETTLED = "1h" if act == 4 else "1s" if act >= 5 else "3s"
    demo.HEALTHY = 1 if act > 1 else 1000
    demo.ROUND = 1.0
    Lab.deploy = half  # type: ignore[method-assign]
    Daemon.post = mark  # type: ignore[method-assign]
    if act == 7:
        Books.refunded = lambda *_: None  # type: ignore[method-assign]
    code = main(["demo"])
    print(json.dumps([(*each, version) for each, version in zip(marked, live, strict=True)]), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(play(int(sys.argv[1])))
