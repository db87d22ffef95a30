"""`python -m tests.matrix [--seed N] [--page FILE] [ROW ...]`: play the matrix, print its table, write the page."""

from __future__ import annotations

import argparse
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.matrix.all_rows import Matrix, play_all
from tests.matrix.rows import ROWS

HEAD = """\
# The matrix

Every single fault of the embedded mail world, and two at a time, against the whole daemon over real sockets. In each row the providers,
how many mailboxes are kept at each, how late the IMAP server announces mail, and where the fault strikes are drawn from the seed. Deadlines
are seconds here (a probe per route each 4 s, missing after 7 s); in production they are minutes. *Seconds* run from the fault to the
first incident. *Layer said* is what the incident says that stands for all of it five seconds later; *pages* is how many incidents have
woken somebody by then: a fault of everything is one page. Of two faults the first is the worse one: *right* means that its layer stands
first, and that the other one has an incident too. Under a planned silence an incident opens, and nobody is told.
A row that is amiss is played a second time, alone, where a busy machine cannot blur it; the last line names those rows.
`tests/matrix/rows.py` says which answer is right, and why.

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="only these, by number")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of the worlds (default: at random)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table there, as docs/matrix.md has it")
    arguments = parser.parse_args()
    matrix = play_all(arguments.seed, arguments.rows or range(len(ROWS)))
    print(matrix.text())
    for what in (*matrix.undetected, *matrix.wrong, *matrix.false_pages, *matrix.paged_again, *matrix.told_in_silence):
        print(what, file=sys.stderr)
    if arguments.page:
        arguments.page.write_text(page(matrix))
    return 0


def page(matrix: Matrix) -> str:
    head, *rows = ["| " + " | ".join(cells) + " |" for cells in matrix.lines()]
    rule = "|---" * head.count(" | ") + "|---|"
    wrong = "".join(f"* {ROWS[found.row].name}: {found.summary or 'nothing was told'}\n" for found in matrix.faulty if not found.right)
    closing = f"{matrix.verdict()[0].upper()}{matrix.verdict()[1:]}.\n" + (f"\nNot right:\n\n{wrong}" if wrong else "")
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} by `python -m tests.matrix --seed {matrix.seed} --page docs/matrix.md`.\n"
    return HEAD + "\n".join([head, rule, *rows]) + f"\n\n{closing}\n{made}"


if __name__ == "__main__":
    sys.exit(main())
