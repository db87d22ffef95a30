"""`python -m bench [ROW ...] [--json]`: print each row, its raw peer, the ratio and the target."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.audit import audit
from bench.gate import gate
from bench.ledger import ledger
from bench.page import page
from bench.rows import Row, help_text, idle_sidecar, sighting, start, thousand_mailboxes, throughput
from bench.soak import soak
from monitor.cli.run import run_loop

ROWS: dict[str, Callable[[], Coroutine[Any, Any, Row | list[Row]]]] = {
    "help": help_text,
    "start": start,
    "sighting": sighting,
    "throughput": throughput,
    "sidecar": idle_sidecar,
    "thousand": thousand_mailboxes,
    "gate": gate,
    "audit": audit,
    "ledger": ledger,
    "page": page,
    "soak": soak,
}
LONG = ("page", "soak")  # a quarter of an hour, an hour: only when they are named


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(ROWS)} (default: all but {', '.join(LONG)})")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    for name in arguments.rows:
        if name not in ROWS:
            parser.error(f"no row {name!r}; there are: {', '.join(ROWS)}")
    rows: list[Row] = []
    for name in arguments.rows or [name for name in ROWS if name not in LONG]:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        found = run_loop(ROWS[name]())  # the loop that the daemon runs on
        rows.extend(found if isinstance(found, list) else [found])
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        _print(rows)
    return 0


def _print(rows: list[Row]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("what", "measured", "raw, same run", "ratio", "target", "met"):
        table.add_column(heading)
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        table.add_row(row.what, row.measured, row.raw, ratio, row.target, "[green]yes[/]" if row.met else "[bold red]no[/]")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
