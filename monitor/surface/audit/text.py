"""An audit for a terminal or the log of a pipeline. Drawn from the JSON document: nothing in it is markup, nothing steers the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.surface.audit.document import LONGEST_TEXT, Document
from monitor.surface.audit.findings import BAD, Group, groups, lines_of_answers, providers, standing, tally, whence, worst_first
from monitor.surface.audit.tree import spf_tree
from monitor.surface.gate.safe import safe

COLOURS = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "magenta"}
STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan"}
SIGNS = {"fail": "✗", "warn": "!", "unknown": "?", "info": "i", "pass": "✓", "skip": "-"}
LABEL = 8
INDENT = 4
MOST_ROWS = 12  # results of one check that are listed; JSON has them all
MOST_UNSEEN = 30
MOST_DRIFTS = 30


def print_audit(document: Document, console: Console, everything: bool = False) -> None:
    """One answer a provider first, then what is wrong, worst first, then what could not be seen. `everything`: what passed, too."""
    domains = worst_first(document["domains"])
    several = document["wanted"] > 1
    if several and domains:
        console.print(_overview(domains))
    for domain in domains:
        if everything or not several or domain["verdict"] != "pass" or domain["counts"]["warning"]:
            if several:
                console.print()
            print_domain(domain, console, everything)
    for note in document["notes"]:
        _say(console, Text(f"note: {safe(note, LONGEST_TEXT)}", style="dim"))


def print_domain(domain: Document, console: Console, everything: bool = False) -> None:
    head = (
        Text(safe(domain["domain"]), style="bold").append(" ").append(domain["verdict"].upper(), style=COLOURS.get(domain["verdict"], ""))
    )
    _say(console, head.append(f"  {safe(tally(domain), LONGEST_TEXT)}", style="default"))
    for answer, style in lines_of_answers(domain):
        _say(console, Text(safe(answer["line"], LONGEST_TEXT), style=style), INDENT // 2)
    if domain["blind"] or domain["fault"]:
        return
    for group in groups(domain, BAD):
        console.print()
        _print_group(group, console)
    if domain["spf"] is not None:
        console.print()
        console.print(spf_tree(domain["spf"]))
    _print_unseen(domain, console)
    print_drifts(domain["drifts"], console)
    if everything:
        _print_rest(domain, console)
    console.print()
    asked = domain["questions"]
    unanswered = f", {asked['failed']} without an answer" if asked["failed"] else ""
    selectors = ", ".join(row["name"] for row in domain["selectors"]) or "none known: --selector"
    rows = [
        ("sends", whence(domain)),
        ("signs", f"selectors {selectors}"),
        ("asked", f"{asked['asked']} questions{unanswered}, {domain['seconds']:.1f} s"),
    ]
    for label, text in rows:
        _labelled(console, label, text, "dim")


def print_drifts(drifts: Sequence[Document], console: Console, most: int = MOST_DRIFTS) -> None:
    """Those that stand: what was approved, or came back, is no difference any more."""
    drifts = standing(drifts)
    if not drifts:
        return
    console.print()
    _say(console, Text("changed since the baseline", style="bold"))
    for drift in drifts[:most]:
        line = Text(f"{drift['severity']:<9}", style=STYLES.get(drift["severity"], "")).append(safe(drift["what"], LONGEST_TEXT))
        _say(console, line.append(f"  {drift['state']}, first seen {drift['first_seen']}", style="dim"), INDENT // 2)
        for label, text in (("before", drift["before"]), ("after", drift["after"])):
            _labelled(console, label, text or "(not there)", "dim")
    if len(drifts) > most:
        _say(console, Text(f"and {len(drifts) - most} more", style="dim"), INDENT // 2)


def _overview(domains: Sequence[Document]) -> Table:
    """Worst first; providers as columns."""
    names = providers(domains)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("domain", "verdict", *names, "findings"):
        table.add_column(name, no_wrap=name == "verdict", overflow="fold")
    for domain in domains:
        answers = {answer["name"]: (answer, style) for answer, style in lines_of_answers(domain)}
        cells = [
            Text(f"{answers[name][0]['passed']}/{answers[name][0]['asked']}", style=answers[name][1]) if name in answers else Text("-")
            for name in names
        ]
        verdict = Text(domain["verdict"], style=COLOURS.get(domain["verdict"], ""))
        table.add_row(Text(safe(domain["domain"])), verdict, *cells, Text(safe(tally(domain), LONGEST_TEXT)))
    return table


def _print_group(group: Group, console: Console) -> None:
    style = STYLES.get(group.severity, "")
    head = Text(f"{SIGNS[group.status]} {group.id} {group.severity}", style=style)
    _say(console, head.append(f"  {safe(group.title)}", style="bold"))
    for row in group.rows[:MOST_ROWS]:
        about = f"{safe(row['about'])}: " if row["about"] else ""
        _say(console, Text(about + safe(row["saw"], LONGEST_TEXT)), INDENT)
        if row["record"]:
            _labelled(console, "found", row["record"], "dim")
    if len(group.rows) > MOST_ROWS:
        _say(console, Text(f"and {len(group.rows) - MOST_ROWS} more", style="dim"), INDENT)
    if group.why:
        _labelled(console, "why", group.why)
    for mend in group.mends[:MOST_ROWS]:
        _labelled(console, "mend", mend, "bold")
    for publish in group.publishes[:MOST_ROWS]:
        _labelled(console, "publish", "")
        # on a line of its own and never broken: it is there to be copied
        console.print(Text(publish, style="green"), soft_wrap=True)


def _print_unseen(domain: Document, console: Console) -> None:
    unseen = groups(domain, ("unknown",))
    if not unseen:
        return
    console.print()
    _say(console, Text("could not be seen", style="bold"))
    rows = [(group, row) for group in unseen for row in group.rows]
    for group, row in rows[:MOST_UNSEEN]:
        line = Text(f"{SIGNS['unknown']} {group.id} {group.severity}", style="yellow")
        _say(console, line.append(f"  {safe(row['about'])}: {safe(row['saw'], LONGEST_TEXT)}", style="default"), INDENT // 2)
    if len(rows) > MOST_UNSEEN:
        _say(console, Text(f"and {len(rows) - MOST_UNSEEN} more", style="dim"), INDENT // 2)


def _print_rest(domain: Document, console: Console) -> None:
    console.print()
    for group in groups(domain, ("info", "pass", "skip")):
        for row in group.rows[:MOST_ROWS]:
            line = Text(f"{SIGNS[group.status]} {group.id}", style={"pass": "green", "info": "cyan"}.get(group.status, "dim"))
            about = f"{safe(row['about'])}: " if row["about"] else ""
            _say(console, line.append(f"  {about}{safe(row['saw'], LONGEST_TEXT)}", style="default"))


def _labelled(console: Console, label: str, text: str, style: str = "") -> None:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=LABEL, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(label, style="dim"), Text(safe(text, 2 * LONGEST_TEXT), style=style))
    console.print(Padding(grid, (0, 0, 0, INDENT)))


def _say(console: Console, text: Text, indent: int = 0) -> None:
    """Wrapped below its own beginning."""
    text.overflow = "fold"
    console.print(Padding(text, (0, 0, 0, indent), expand=False))
