"""`python -m bench.raw_ledger DIRECTORY`: the raw limit of a reconciliation: both files as they are into SQLite, an index each, the joins.

It does what any script would do, and trusts its input: amounts, times and addresses are compared as text, no row is checked, nothing is
exact, hashed or reported, and late, doubled and reversed records are known only as far as the joins need it. Prints seconds and counts.
"""

from __future__ import annotations

import csv
import json
import resource
import sqlite3
import sys
import time
from pathlib import Path

from bench.books import CONFIRMATIONS, REFUNDS

_PAIRS = "SELECT count(DISTINCT r.refund) FROM refunds r JOIN confirmations c ON c.refund = r.refund WHERE"
JOINS = {
    "missing": """SELECT count(DISTINCT r.refund) FROM refunds r LEFT JOIN confirmations c ON c.refund = r.refund
        WHERE c.refund IS NULL AND r.status = 'processed'""",
    "spurious": "SELECT count(*) FROM confirmations c LEFT JOIN refunds r ON r.refund = c.refund WHERE r.refund IS NULL",
    "amount": f"{_PAIRS} c.amount <> r.amount",
    "currency": f"{_PAIRS} c.currency <> r.currency",
    "recipient": f"{_PAIRS} c.recipient <> r.recipient",
    "duplicate": """SELECT count(*) FROM (SELECT refund FROM confirmations WHERE resend = ''
        GROUP BY refund HAVING count(DISTINCT id) > 1)""",
}


def main(directory: Path) -> None:
    began = time.perf_counter()
    db = sqlite3.connect(directory / "raw.sqlite3", isolation_level=None)
    db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    for table, columns in (("refunds", REFUNDS), ("confirmations", CONFIRMATIONS)):
        named = ", ".join(f'"{column}"' for column in columns)
        db.execute(f"CREATE TABLE {table} ({named})")
        with (directory / f"{table}.csv").open(newline="") as file:
            rows = csv.reader(file)
            next(rows)
            db.execute("BEGIN")
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
            db.execute("COMMIT")
        db.execute(f"CREATE INDEX {table}_refund ON {table} (refund)")
    loaded = time.perf_counter()
    found = {kind: db.execute(join).fetchone()[0] for kind, join in JOINS.items()}
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": ended - began, "joins": ended - loaded, "rss": peak, "found": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
