"""The report of a gate for a terminal or the log of a pipeline. Drawn from the JSON document, which may come from another host: nothing in
it is markup, nothing steers the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.surface.gate.classes import percent
from monitor.surface.gate.lines import Document, excuses, verdict_of
from monitor.surface.gate.phrases import about, compared, example_rows, how_rows, next_rows, unseen_rows
from monitor.surface.gate.safe import LONGEST_NAME, safe

COLOURS = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "magenta", "pending": "cyan"}
BAR = 8  # characters
LABEL = 9  # the longest label


def print_gate(document: Document, console: Console) -> None:
    """The verdict first, then why, then all that one must know before one trusts it."""
    print_head(document, console)
    if document["classes"]:
        console.print(classes_table(document["classes"]))
    rows = [*how_rows(document), *example_rows(document), *unseen_rows(document), *next_rows(document)]
    console.print(labelled(rows))


def print_head(document: Document, console: Console) -> None:
    verdict = verdict_of(document)
    style = COLOURS[verdict]
    found = f", found {safe(document['found'], LONGEST_NAME)}" if document["found"] != document["verdict"] else ""
    console.print(Text(f"GATE {verdict.upper()}", style=style).append(f"{found}  {about(document)}", style="bold"), highlight=False)
    for line in excuses(document):
        console.print(said(line[1:-1], "bold yellow"), highlight=False)
    because = f"{document['because'].replace('_', ' ')}: " if document["because"] and document["found"] != "pass" else ""
    console.print(labelled([("why", because + document["reason"])]))


def classes_table(rows: Sequence[Document]) -> Table:
    """Fits into 80 columns as long as the classes have names of ordinary length."""
    table = plain_table("class", "verdict", "probes", "good", "adverse", "open", "aside", "control", "loss ≤")
    for column in table.columns[1:]:
        column.no_wrap = True
    for row in rows:
        verdict = safe(row["verdict"], LONGEST_NAME)
        good = row["good"] if verdict == "fail" else f"{row['good']}/{row['needed']}"
        bound = percent(row["loss_upper95"]) if verdict == "pass" else "-"
        cells = [said(cell) for cell in (good, row["adverse"], row["pending"], row["aside"], compared(row), bound)]
        table.add_row(said(row["class"]), said(verdict, COLOURS.get(verdict, "")), bar(row), *cells)
    return table


def bar(row: Document) -> Text:
    """The probes that decide, an eighth in each character: full for good, x for adverse, dotted for what is still open."""
    whole = max(1, int(row["needed"]), int(row["good"]) + int(row["adverse"]))
    bad = min(BAR, -(-BAR * int(row["adverse"]) // whole))
    good = min(BAR - bad, BAR * int(row["good"]) // whole)
    return Text("█" * good, style="green").append("x" * bad, style="bold red").append("░" * (BAR - good - bad), style="dim")


def labelled(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(min_width=LABEL, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for name, text in rows:
        table.add_row(said(name, "dim"), said(text))
    return table


def plain_table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def said(text: Any, style: str = "") -> Text:
    return Text(safe(text, 1_000), style=style)
