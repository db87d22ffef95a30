"""A daemon's ledger on a terminal, from its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]

COLOURS = {"missing": "bold red", "spurious": "bold red", "mismatched": "red", "duplicate": "yellow"}


def print_standing(document: Document, console: Console) -> None:
    standing, windows = document["standing"], document["windows"]
    differ = [row for row in standing["classes"] if row["open"]]
    unread = [row["source"] for row in document["sources"] if row["refused"] or row["blind"]]
    well = f"nothing differs among what could be read ({', '.join(unread)})" if unread else "nothing differs"
    line = ", ".join(f"{row['open']} {row['class']}" for row in differ) or well
    console.print(line, style="bold red" if differ else "bold yellow" if unread else "bold green", markup=False)
    console.print(
        f"{standing['refunds']} refunds, {standing['confirmed']} confirmed, {standing['awaited']} awaited; "
        f"{standing['confirmations']} confirmations, {standing['undecided']} undecided",
        markup=False,
    )
    console.print(
        f"refunds read until {_time(windows['refunds_until'])}, confirmations until {_time(windows['confirmations_until'])}", markup=False
    )
    if differ:
        console.print()
        table = _table("class", "open", "ever found", "customers", "money", "since", "newest found")
        for row in differ:
            money = ", ".join(f"{each['amount']} {each['currency']}" for each in row["money"])
            cells = [row["class"], row["open"], row["found"], row["customers"], money, _time(row["earliest"]), _time(row["latest"])]
            table.add_row(*map(_cell, cells), style=COLOURS[row["class"]])
        console.print(table)
    console.print()
    table = _table("source", "side", "kind", "records", "read until", "newest", "refused", "state")
    for row in document["sources"]:
        state = "blind" if row["blind"] else "read" if row["last_read"] else "never read"
        cells = [
            row["source"],
            row["side"],
            row["via"],
            row["records"],
            _time(row["read_until"]),
            _time(row["latest"]),
            row["refused"],
            state,
        ]
        table.add_row(*map(_cell, cells), style="bold red" if row["blind"] else "")
    console.print(table)
    for row in document["blind"]:
        console.print(f"{row['source']} is blind since {_time(row['since'])}: {row['detail']}; {row['mend']}", markup=False, style="red")
    for row in document["volumes"]:
        console.print(row["text"], markup=False, style="red")
    for row in document["sources"]:
        for fault in row["faults"]:
            line = f"{row['source']}, {fault['origin']}, line {fault['line']}: {fault['column']} {fault['what']}; {fault['mend']}"
            console.print(line, markup=False, style="yellow")


def print_differences(rows: Sequence[Document], console: Console) -> None:
    if not rows:
        console.print("nothing differs", style="bold green")
        return
    table = _table("what", "refund", "of", "refund says", "confirmation says", "where", "found", "note")
    for row in rows:
        says = [
            f"{row[f'{side}_amount']} {row[f'{side}_currency']}" if row[f"{side}_amount"] else "-" for side in ("refund", "confirmation")
        ]
        where = "; ".join(place for place in (row["refund_place"], row["confirmation_place"]) if place)
        note = f"settled {_time(row['settled'])} {row['note']}" if row["settled"] else row["note"]
        cells = [row["kind"], row["refund"], _time(row["refund_at"] or row["confirmation_at"]), *says, where, _time(row["found"]), note]
        table.add_row(*map(_cell, cells), style="dim" if row["settled"] else COLOURS[row["class"]])
    console.print(table)


def _time(text: str | None) -> str:
    """To the second."""
    return "never" if text is None else f"{text[:19].replace('T', ' ')}Z"


def _cell(value: object) -> Text:
    """No markup and no emoji: a number is shown as it is."""
    return Text(str(value))


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
