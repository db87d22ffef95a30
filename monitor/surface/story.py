"""Incidents for people: a table of them, and the story of one. Drawn from the JSON documents, which may come from another host: nothing
in them is markup, and nothing steers the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.rules.plain import one_line
from monitor.rules.words import lapse

COLOURS = {"page": "bold red", "ticket": "yellow", "suspected": "dim", "resolved": "green"}
NAMED = 6  # routes that are named in a line

Document = Mapping[str, Any]


def print_incidents(document: Document, console: Console) -> None:
    """Schema `mailcanary.incidents/v1`."""
    rows = document["incidents"]
    if rows:
        table = _table("id", "severity", "state", "since", "where", "what")
        for row in rows:
            style = COLOURS[row["severity"]] if row["state"] == "open" else COLOURS[row["state"]]
            what = f"{row['title']}: {row['summary']}" if row["summary"] else row["title"]
            since = _clock(row["since"], document["at"])
            table.add_row(
                said(row["id"], style), said(row["severity"], style), *map(said, (state(row, document), since, row["scope"], what))
            )
        console.print(table)
    else:
        kind = "" if document["state"] == "all" else f"{document['state']} "
        console.print(said(f"no {kind}incident"))
    if document["state"] == "open" and (suspected := document["counts"]["suspected"]):
        console.print(said(f"{suspected} suspected: `mailcanary incident list --state suspected`", "yellow"))
    console.print(evidence(document["evidence"]))


def evidence(fresh: Document) -> Text:
    """How much the absence of incidents is worth."""
    if fresh["last_at"] is None:
        return said("no evidence yet: no probe was judged", "yellow")
    parts = [f"last evidence {lapse(fresh['age_seconds'])} ago, {fresh['fresh']} of {fresh['routes']} routes fresh"]
    if fresh["paused"]:
        parts.append("submission is paused")
    if fresh["stale"]:
        parts.append(f"STALE, no verdict for too long: {_named(fresh['stale'])}")
    if fresh["unknown"]:
        parts.append(f"nothing is known of {_named(fresh['unknown'])}")
    return said("; ".join(parts), "dim" if len(parts) == 1 else "yellow")


def print_incident(story: Document, console: Console) -> None:
    """Schema `mailcanary.incident/v1`."""
    style = COLOURS[story["severity"]] if story["state"] == "open" else COLOURS[story["state"]]
    head = said(f"{story['id']} {story['severity'].upper()} ", style)
    console.print(head.append(one_line(f"{story['title']}: {story['scope']}"), style="bold"))
    facts = _table("", "")
    facts.show_header = False
    for name, text in _facts(story):
        facts.add_row(said(name, "dim"), said(text))
    console.print(facts)
    for title, table in (
        ("tally, since it began and when it was last told", _tallies(story["tallies"])),
        ("timeline, UTC", _timeline(story)),
        ("who was told", _notifications(story)),
    ):
        if table.row_count:
            console.print(said(f"\n{title}", "bold", lines=True))
            console.print(table)
    console.print(Text("\n").append_text(evidence(story["freshness"])))


def _facts(story: Document) -> list[tuple[str, str]]:
    clock = _clock(story["since"], story["at"])
    ended = f" to {_clock(story['resolved_at'], story['at'])}" if story["resolved_at"] else ""
    rows = [("state", state(story, story)), ("since", f"{clock}{ended} ({lapse(story['seconds'])})")]
    if story["last_good"]:
        rows.append(("last good", _clock(story["last_good"], story["at"])))
    if story["opened_at"]:
        how = f", {story['opening']}" if story["opening"] else ""
        again = f", episode {story['episode']}" if story["episode"] > 1 else ""
        rows.append(("opened", f"{_clock(story['opened_at'], story['at'])}{how}{again}"))
    diagnosis = story["diagnosis"]
    if diagnosis is None:
        rows.append(("diagnosis", "none yet"))
    else:
        sure = f", confidence {known}" if (known := diagnosis.get("confidence")) else ""
        rows.append(("diagnosis", f"{diagnosis['layer']}{sure}: {diagnosis['summary']}"))
        rows += [("shows" if first else "", line) for first, line in _marked(diagnosis["shows"])]
        rows += [("against" if first else "", line) for first, line in _marked(diagnosis.get("against", ()))]
        rows += [("said" if first else "", f'"{line}"') for first, line in _marked(diagnosis["said"])]
        rows += [("changed" if first else "", line) for first, line in _marked(diagnosis["changed"])]
    deploys = [candidate["text"] for candidate in story["deploys"]] or ["none in the two hours before"]
    rows += [("deploys" if first else "", line) for first, line in _marked(deploys)]
    rows.append(("routes", _named(story["routes"]) or "none"))
    parts = [f"{part['id']} {part['state']}, {part['title']}: {part['scope']}" for part in story.get("parts") or ()]
    rows += [("parts" if first else "", line) for first, line in _marked(parts)]
    rows += [(name, story[key]["text"]) for name, key in (("impact", "impact"), ("impact now", "impact_now")) if story.get(key)]
    if story["cause"] and story["cause"] != story["parent"]:
        rows.append(("cause", f"possible: {story['cause']}"))
    if story["stale"]:
        last = f"; the last is of {_clock(story['last_evidence_at'], story['at'])}" if story["last_evidence_at"] else ""
        rows.append(("stale", f"none of its routes has fresh evidence{last}; it stays as it was"))
    if story["hushed"]:
        rows.append(("hushed", f"nobody is told: {story['hushed']}"))
    if story["to_do"]:
        rows.append(("next step", story["to_do"]))
    rows.append(("runbook", story["runbook"] or "-"))
    return rows


def state(row: Document, document: Document) -> str:
    """open, recovering, acknowledged by ann, ..."""
    parts = [row["state"]]
    if row["recovering"]:
        parts.append("recovering")
    if row["flapping"]:
        parts.append("flapping")
    if row["parent"]:
        parts.append(f"part of {row['parent']}")
    if row["acknowledged_by"] and row["state"] == "open":
        parts.append(f"acknowledged by {row['acknowledged_by']}")
    if row["silenced_until"]:
        parts.append(f"silenced until {_clock(row['silenced_until'], document['at'])}")
    return ", ".join(parts)


def _tallies(tallies: Sequence[Document]) -> Table:
    table = _table("path", "provider", "bad", "sent")
    for row in tallies:
        table.add_row(*map(said, (row["path"], row["provider"], row["bad"], row["sent"])))
    return table


def _timeline(story: Document) -> Table:
    table = _table("at", "what", "by", "")
    for step in story["steps"]:
        table.add_row(*map(said, (_clock(step["at"], story["at"]), step["what"], step["by"] or "-", step["text"])))
    return table


def _notifications(story: Document) -> Table:
    """A row for each channel and change; what was silenced, or overtaken by something newer, says so."""
    table = _table("told of", "channel", "at", "")
    for item in story["notifications"]:
        of = f"{item['of']} {_clock(item['at'], story['at'])}"
        rows = [(of, taken["channel"], _clock(taken["at"], story["at"]), "taken") for taken in item["taken"]]
        for failure in item["failed"]:
            what = "given up" if failure["given_up"] else f"attempt {failure['attempt']} failed"
            why = f"{failure['detail']}; {failure['mend']}" if failure["mend"] else failure["detail"]
            rows.append((of, failure["channel"], _clock(failure["at"], story["at"]), f"{what}: {why}"))
        if not rows:
            rows.append((of, "-", "-", _untold(item, story)))
        for row in rows:
            table.add_row(*map(said, row))
    return table


def _untold(item: Document, story: Document) -> str:
    if item["superseded"]:
        return "overtaken"
    if item["pending"]:
        return "not yet"
    return f"waits until {_clock(item['due_at'], story['at'])}" if item["due_at"] > story["at"] else "no channel is configured for it"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(headings[0], no_wrap=True)
    for heading in headings[1:-1]:
        table.add_column(heading, overflow="fold")
    table.add_column(headings[-1], ratio=1)
    return table


def said(value: object, style: str = "", *, lines: bool = False) -> Text:
    """As it is: never markup, and on one line unless the line breaks are ours."""
    return Text(str(value) if lines else one_line(str(value)), style=style)


def _marked(lines: Sequence[str]) -> list[tuple[bool, str]]:
    return [(place == 0, line) for place, line in enumerate(lines)]


def _named(routes: Sequence[str]) -> str:
    return ", ".join(routes[:NAMED]) + (f" and {len(routes) - NAMED} more" if len(routes) > NAMED else "")


def _clock(text: str, now: str) -> str:
    """The time of day of an ISO 8601 instant; with its date unless that is the one of `now`."""
    return f"{text[11:19]}Z" if text[:10] == now[:10] else f"{text[:10]} {text[11:19]}Z"
