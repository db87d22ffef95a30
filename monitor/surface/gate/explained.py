"""`gate explain`: how a gate came to its verdict, down to the sequence of probes of every class."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from monitor.surface.gate.classes import percent
from monitor.surface.gate.lines import Document
from monitor.surface.gate.phrases import clock, example_rows, failed_checks, next_rows, open_rows, seconds, unseen_rows
from monitor.surface.gate.report import COLOURS, labelled, plain_table, print_head, said
from monitor.surface.gate.safe import LONGEST_NAME, safe

GROUP = 10  # probes of a drawn sequence that stand together
LEGEND = "· good  x adverse  ? pending  - aside (no evidence either way); in the order in which they were sent"
MOST_CHECKS = 40


def print_explained(document: Document, console: Console) -> None:
    """All that the document says, in words and numbers."""
    print_head(document, console)
    console.print(labelled(_asked(document)))
    for row in document["classes"]:
        _class(row, console)
    if document["classes"]:
        console.print(said(LEGEND, "dim"))
    for title, headings, rows in (
        ("probes by arm and route", ("arm", "route", "probes", "shown", "p50", "p95"), _arms(document)),
        ("before the deploy", ("route", "good", "bad", "last good", "last bad"), _baseline(document)),
        ("checks that failed", ("check", "route", "verdict", "observed", "why"), _checks(document)),
        ("attempts, evidence is pooled", ("attempt", "by", "began", "decided", "verdict", "reason"), _attempts(document)),
    ):
        if rows:
            table = plain_table(*headings)
            for row in rows:
                table.add_row(*(said(cell, COLOURS.get(cell, "")) for cell in row))
            console.print()
            console.print(said(title, "bold"))
            console.print(table)
    console.print()
    console.print(
        labelled([*open_rows(document), *example_rows(document), *_stats(document), *unseen_rows(document), *next_rows(document)])
    )


def _asked(document: Document) -> list[tuple[str, str]]:
    deploy, policy, observed = document["deploy"], document["policy"], document["observed"]
    marked = "" if deploy["marked"] else ", when the gate was asked for (it has no marker)"
    rows = [
        ("deploy", f"{deploy['id']}, began {deploy['began_at']}{marked}; counts what {' or '.join(deploy['versions']) or '-'} served"),
        ("policy", policy_text(policy)),
        ("asked", f"by {document['requested_by'] or '-'} at {document['requested_at']}, until {clock(document['until'])}"),
    ]
    if observed["from"]:
        rows.append(("evidence", f"from {clock(observed['from'])} to {clock(observed['to'])}"))
    return rows


def policy_text(policy: Document) -> str:
    test = policy["sequential"]
    if test:
        how = f"sequential test of {test['good']:.2%} against {test['bad']:.2%} loss, at most {test['most']} probes of a class"
    else:
        steps = " or ".join(f"at {step['probes']} probes with at most {step['accept']} adverse" for step in policy["steps"])
        how = f"a class passes {steps or 'never'}, fails at {policy['reject']}"
    absent = f"absent after {seconds(policy['deadline_s'])}" if policy["deadline_s"] else "absent after the route's own deadline"
    parts = [how, absent, f"timeout {seconds(policy['timeout_s'])}", f"control {policy['control']}"]
    if policy["trust_target"]:
        parts.append("what tells no version is trusted to be the version under test")
    if policy["routes"]:
        parts.append(f"routes {', '.join(policy['routes'])}")
    return f"{policy['name']} ({policy['hash']}): {'; '.join(parts)}"


def _class(row: Document, console: Console) -> None:
    verdict = safe(row["verdict"], LONGEST_NAME)
    head = said(f"class {row['class']} ", "bold").append(verdict, style=COLOURS.get(verdict, ""))
    console.print()
    console.print(head)
    drawn = safe(row["sequence"], 400)
    groups = " ".join(drawn[at : at + GROUP] for at in range(0, len(drawn), GROUP))
    control = row["control"]
    reasons = ", ".join(f"{each['probes']} {each['reason']}" for each in row["reasons"]) or "none"
    console.print(
        labelled(
            [
                ("sequence", groups or "no probe"),
                ("how", row["arithmetic"]),
                ("adverse", reasons),
                ("control", f"{control['good']} good, {control['bad']} bad" if any(control.values()) else "no probe"),
            ]
        )
    )


def _arms(document: Document) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for arm in ("canary", "control"):
        for row in document["arms"][arm]:
            skip = ("route", "sent", "p50_s", "p95_s")
            shown = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row.items() if name not in skip and count)
            rows.append((arm, str(row["route"]), str(row["sent"]), shown or "-", seconds(row["p50_s"]), seconds(row["p95_s"])))
    return rows


def _baseline(document: Document) -> list[Sequence[str]]:
    return [
        (str(row["route"]), str(row["good"]), str(row["bad"]), clock(row["last_good"] or ""), clock(row["last_bad"] or ""))
        for row in document["baseline"]
    ]


def _checks(document: Document) -> list[Sequence[str]]:
    """With the probes that show it."""
    rows: list[Sequence[str]] = []
    for row in failed_checks(document)[:MOST_CHECKS]:
        shown = "; ".join(f"{each['probe_id']} sent {clock(each['sent_at'])}: {each['reply']}" for each in row["evidence"])
        rows.append((row["name"], row["route"], row["verdict"], f"{row['observed']}; {row['threshold']}", shown or row["reason"]))
    return rows


def _attempts(document: Document) -> list[Sequence[str]]:
    return [
        (str(row["attempt"]), row["by"], clock(row["requested_at"]), clock(row["decided_at"] or ""), row["verdict"], row["reason"])
        for row in document["attempts"]
    ]


def _stats(document: Document) -> list[tuple[str, str]]:
    stats = document["stats"]
    rows = []
    if document["found"] == "pass":
        rows.append(("bound", f"a loss up to {percent(stats['loss_upper95'])} is not excluded; {stats['assumption']}"))
    if stats["p_value"] is not None:
        rows.append(("arms", f"p = {stats['p_value']:.3g}: how often two arms that are alike differ so much by chance (Fisher, Holm)"))
    return rows
