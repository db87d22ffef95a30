"""Pieces of a gate in words, the same in every form for people."""

from __future__ import annotations

from collections import Counter
from typing import Any

from monitor.rules.words import lapse
from monitor.surface.gate.lines import Document
from monitor.surface.gate.safe import LONGEST_NAME, safe

MOST_LINES = 10


def about(document: Document) -> str:
    """Which gate, of what, where."""
    deploy, policy = document["deploy"], document["policy"]
    of = " ".join(part for part in (deploy["service"], deploy["version"]) if part)
    parts = [str(document["id"]), f"deploy {deploy['id']}{f' ({of})' if of else ''}" if deploy["id"] else ""]
    parts += [f"in {document['environment']}" if document["environment"] else "", f"policy {policy['name']}" if policy["name"] else ""]
    again = f"attempt {document['attempt']}" if document["attempt"] > 1 else ""
    return safe(", ".join(part for part in (*parts, again) if part), 5 * LONGEST_NAME)


def example_rows(document: Document) -> list[tuple[str, str]]:
    example = document["example"]
    if not example:
        return []
    where = f"probe {example['probe_id']} on {example['route']}, sent {clock(example['sent_at'])}, {example['reason']}"
    return [("worst", f"{where}: {example['said']}" if example["said"] else where)]


def how_rows(document: Document) -> list[tuple[str, str]]:
    """The arithmetic; classes of which it is the same stand in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in document["classes"]:
        said, named = str(row["arithmetic"]), str(row["class"])
        before, name, after = said.partition(named) if named else ("", said, "")
        alike.setdefault((before, after), []).append(name)
    lines = [before + ", ".join(names) + after for (before, after), names in alike.items()]
    return [("how" if not place else "", line) for place, line in enumerate(lines)]


def unseen_rows(document: Document) -> list[tuple[str, str]]:
    return [("unseen" if not place else "", text) for place, text in enumerate(document["unseen"])]


def next_rows(document: Document) -> list[tuple[str, str]]:
    rows = [("next", document["next_step"]), ("runbook", document["runbook_url"]), ("report", document["report_url"])]
    return [(name, text) for name, text in rows if text]


def clock(stamp: Any) -> str:
    """2026-09-22T14:02:10.123Z -> 14:02:10Z."""
    text = safe(stamp, LONGEST_NAME)
    return f"{text[11:19]}Z" if len(text) > 19 and text[10] == "T" else text or "-"


def seconds(value: Any) -> str:
    return lapse(float(value)) if value is not None else "-"


def compared(row: Document) -> str:
    """The control arm of a class."""
    good, bad = row["control"]["good"], row["control"]["bad"]
    return f"{bad}/{good + bad} bad" if good + bad else "-"


def failed_checks(document: Document) -> list[Document]:
    return [row for row in document["checks"] if row["verdict"] == "fail"]


def open_rows(document: Document) -> list[tuple[str, str]]:
    """How many checks are neither passed nor failed, and why: a line for each reason."""
    counts = Counter(
        (safe(row["verdict"], LONGEST_NAME), safe(row["reason"])) for row in document["checks"] if row["verdict"] not in ("pass", "fail")
    )
    lines = [f"{count} {verdict}{f': {reason}' if reason else ''}" for (verdict, reason), count in counts.most_common(MOST_LINES)]
    return [("checks" if not place else "", line) for place, line in enumerate(lines)]
