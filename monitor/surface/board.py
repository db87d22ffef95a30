"""The status for a terminal, drawn from the document `mailcanary.status/v1` as the page is. It may come from another host: nothing in it
is markup, and nothing steers the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from monitor.model.verdict import Verdict
from monitor.rules.words import lapse
from monitor.surface.headline import clock, named, urgency
from monitor.surface.matrix import WIDTH, cell, matrix_table, waiting
from monitor.surface.report import COLOURS
from monitor.surface.story import COLOURS as GRAVITY
from monitor.surface.story import evidence, said, state

Document = Mapping[str, Any]

MOODS = {
    "page": "bold white on red",
    "blind": "bold black on magenta",
    "ticket": "bold black on yellow",
    "paused": "bold black on yellow",
    "stale": "bold black on magenta",
    "checking": "bold black on yellow",
    "starting": "bold black on cyan",
    "good": "bold black on green",
}
STRANGE = "bold black on magenta"  # a mood that this version does not know
AGES = 12  # columns of an age beside a cell
LABEL = 30  # columns that the names of mailboxes may take before the matrix is drawn as a list
MOST_BLIND, MOST_INCIDENTS, MOST_DOMAINS, MOST_SILENCES = 10, 20, 10, 10


def board(document: Document, width: int, lost: str = "") -> Group:
    """`width`: columns there are. `lost`: why there is nothing newer, and how old this is; empty: it is what the daemon says now."""
    return Group(*_parts(document, width, lost))


def news_key(document: Document) -> tuple[object, ...]:
    """Equal for two documents between which nothing happened that is worth a line: no age, no time."""
    return (
        document["headline"]["severity"],
        *sorted((row["id"], row["severity"], state(row, document)) for row in document["incidents"]["list"]),
        *((row["route"], row["reason"], row["stale"]) for row in document["routes"]),
        *((row["mailbox"], row["state"]) for row in document["mailboxes"]),
        *((row["channel"], row["failing_since"] is None) for row in document["channels"]),
        *((row["id"], row["state"]) for row in document.get("silences") or ()),
    )


def news_line(document: Document) -> str:
    return f"{document['at'][:19]}Z {document['headline']['word']}: {document['headline']['text']}"


def _parts(document: Document, width: int, lost: str) -> Iterator[RenderableType]:
    head = document["headline"]
    style = MOODS.get(head["severity"], STRANGE)
    if lost:
        yield _banner("NO ANSWER", STRANGE, said(f" {lost}", "bold"))
        style = "dim"
    yield _banner(said(head["word"]).plain, style, said(f" {head['text']}", "dim" if lost else "bold"))
    yield said(
        f"{document['environment']}, instance {document['instance']}, mailcanary {document['version']}, {document['at'][:19]}Z", "dim"
    )
    yield evidence(document["evidence"])
    if document["routes"]:
        yield Text()
        yield _matrix(document, width)
    yield from _section("cannot be looked into", _blind(document))
    yield from _section("incidents", _incidents(document))
    yield from _section("silences", _silences(document))
    yield from _section("gates and deploys", _deploys(document))
    yield from _section("domains", _domains(document))
    yield from _section("everything else", _rest(document))


def _banner(word: str, style: str, text: Text) -> Text:
    return Text().append(f" {word} ", style=style).append_text(text)


def _section(title: str, table: Table) -> Iterator[RenderableType]:
    if table.row_count:
        yield said(f"\n{title}", "bold", lines=True)
        yield table


def _matrix(document: Document, width: int) -> Table:
    """Paths beside each other where there is room for them, else a line for each route."""
    rows: Sequence[Document] = document["routes"]
    paths = list(dict.fromkeys(row["path"] for row in rows))
    labels = {row["mailbox"]: f"{row['mailbox']} ({row['provider']})" for row in sorted(rows, key=lambda row: str(row["provider"]))}
    blind = {row["mailbox"] for row in document["mailboxes"] if row["state"] != "watching"}
    longest = max(map(len, labels.values()))
    if longest > LABEL or longest + 2 + len(paths) * (WIDTH + AGES + 2) > width:
        return _routes(document, blind)
    table = matrix_table([one.plain for one in map(said, paths)], WIDTH + AGES)
    found = {(row["path"], row["mailbox"]): row for row in rows}
    for mailbox, label in labels.items():
        cells = (_cell(found[path, mailbox], document) if (path, mailbox) in found else Text("-", style="dim") for path in paths)
        table.add_row(said(label, "yellow" if mailbox in blind else ""), *cells)
    return table


def _routes(document: Document, blind: set[str]) -> Table:
    table = _table("route", "provider", "last")
    for row in document["routes"]:
        style = "yellow" if row["mailbox"] in blind else ""
        table.add_row(said(row["route"], style), said(row["provider"], style), _cell(row, document))
    return table


def _cell(row: Document, document: Document) -> Text:
    if row["verdict"] is None:
        text = waiting()
    else:
        ended = [trial for trial in row["recent"] if trial["verdict"] is not None]
        times = [trial["transit_seconds"] if trial["verdict"] == Verdict.PASS.value else None for trial in ended]
        known = row["verdict"] in frozenset(Verdict)  # a newer daemon may have others
        text = cell(times, Verdict(row["verdict"]) if known else Verdict.INCONCLUSIVE, said(row["reason"]).plain, row["transit_seconds"])
    if row["last_evidence_at"]:
        text.append(f" {lapse(_seconds(row['last_evidence_at'], document['at']))} ago", style="dim")
    if row["stale"]:
        text.append(" STALE", style="magenta")
    return text


def _blind(document: Document) -> Table:
    table = _table("mailbox", "provider", "why and what to do")
    table.show_header = False
    rows = [row for row in document["mailboxes"] if row["state"] == "blind"]
    for row in rows[:MOST_BLIND]:
        why = f"{row['why']}; {row['mend']}" if row["mend"] else row["why"]
        table.add_row(said(row["mailbox"], "yellow"), said(row["provider"]), said(why))
    return _cut(table, len(rows), MOST_BLIND)


def _incidents(document: Document) -> Table:
    table = _table("id", "severity", "state", "since", "where", "what")
    counts, rows = document["incidents"], sorted(document["incidents"]["list"], key=urgency)
    for row in rows[:MOST_INCIDENTS]:
        style = GRAVITY.get(row["severity"] if row["state"] == "open" else row["state"], STRANGE)
        what = f"{row['title']}: {row['summary']}" if row["summary"] else row["title"]
        since = clock(row["since"], document["at"])
        table.add_row(said(row["id"], style), said(row["severity"], style), *map(said, (state(row, document), since, row["scope"], what)))
    return _cut(table, counts["open"] + counts["suspected"], MOST_INCIDENTS)


def _silences(document: Document) -> Table:
    table = _table("id", "state", "from", "until", "by", "what and why")
    rows = document.get("silences") or ()
    for row in rows[:MOST_SILENCES]:
        what = ", ".join([*row["scopes"], *row["symptoms"]]) or "everything"
        begins, until = clock(row["begins"], document["at"]), clock(row["until"], document["at"])
        table.add_row(*map(said, (row["id"], row["state"], begins, until, row["by"], f"{what}: {row['reason']}")))
    return _cut(table, len(rows), MOST_SILENCES)


def _deploys(document: Document) -> Table:
    table = _table("", "", "")
    table.show_header = False
    gates = document["gates"]
    for row in gates["latest"]:
        table.add_row(said(f"gate of {row['deploy']}"), said(row["verdict"], GATES.get(row["verdict"], "yellow")), said(_gate(row)))
    for row in document["deploys"]:
        version = " ".join(part for part in (row["service"], row["version"]) if part)
        table.add_row(said(f"deploy {row['deploy']}"), said(row["phase"]), said(f"{clock(row['at'], document['at'])} {version}".rstrip()))
    if gates["held"]:
        table.add_row(said("held now"), said(gates["held"], "yellow"), said("`mailcanary gate status` shows which"))
    return table


GATES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "magenta", "pending": "cyan"}


def _gate(row: Document) -> str:
    excuse = ""
    if row["override"]:
        excuse = f"override by {row['override']['by']}, found {row['found']}; "
    elif row["advisory"] and row["found"] != row["verdict"]:
        excuse = f"advisory, found {row['found']}; "
    return f"{excuse}{row['reason'] or 'running'}"


def _domains(document: Document) -> Table:
    table = _table("domain", "verdict", "findings")
    for row in document["domains"][:MOST_DOMAINS]:
        found = ", ".join(f"{row[kind]} {kind}" for kind in ("critical", "error", "warning", "unknown") if row[kind]) or "none"
        blind = f"; DNS cannot be asked: {row['blind']}" if row["blind"] else ""
        never = "" if row["inspected_at"] else " (not inspected yet)"
        verdict = said(row["verdict"], COLOURS.get(row["verdict"], "yellow"))
        table.add_row(said(row["domain"]), verdict, said(f"{found}{blind}{never}"))
    return _cut(table, len(document["domains"]), MOST_DOMAINS)


def _rest(document: Document) -> Table:
    table = _table("", "")
    table.show_header = False
    for name, text, good in (*_ledger(document), *_monitor(document)):
        table.add_row(said(name, "dim"), said(text, "" if good else "yellow"))
    return table


def _ledger(document: Document) -> Iterator[tuple[str, str, bool]]:
    ledger = document["ledger"]
    if ledger is None:
        return
    counted = ", ".join(f"{number} {kind}" for kind, number in ledger["open"].items() if number) or "no difference"
    when = f"compared {clock(ledger['reconciled_at'], document['at'])}" if ledger["reconciled_at"] else "not compared yet"
    blind = f"; cannot be read: {named(ledger['blind'])}" if ledger["blind"] else ""
    yield "ledger", f"{counted}, {when}{blind}", not (blind or any(ledger["open"].values())) and bool(ledger["reconciled_at"])
    for line in ledger["volumes"]:
        yield "", line, False


def _monitor(document: Document) -> Iterator[tuple[str, str, bool]]:
    for row in document["channels"]:
        failing = f"failing since {clock(row['failing_since'], document['at'])}" if row["failing_since"] else ""
        last = f"last taken {clock(row['last_success_at'], document['at'])}" if row["last_success_at"] else "never used"
        whom = f" ({', '.join(row['told_of'])})" if row["told_of"] else " (told of nothing)"
        yield f"channel {row['channel']}", f"{failing or last}{whom}", not failing
    if pending := document["notifications_pending"]:
        yield "to be told", f"{pending} {'notification waits' if pending == 1 else 'notifications wait'}", False
    if not document["journal_writable"]:
        yield "journal", "cannot be written: nothing is tried until it can", False
    if stuck := document["stuck"]:
        yield "stuck", named(stuck), False
    configuration = document["configuration"]
    if not configuration["last_reload_successful"]:
        yield "configuration", "the last reload was refused; `mailcanary check-config` says why", False
    if document["strays"]:
        yield "strays", f"{len(document['strays'])} lately: refund-shaped mail that is no probe", True


def _cut(table: Table, there: int, most: int) -> Table:
    """Says how many rows are left out."""
    if there > most:
        table.add_row(said(f"and {there - most} more", "dim"))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings[:-1]:
        table.add_column(heading, overflow="fold")
    table.add_column(headings[-1], ratio=1, overflow="fold")
    return table


def _seconds(then: str, now: str) -> float:
    return max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds())
