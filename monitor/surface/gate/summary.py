"""A gate as Markdown: the step summary of GitHub, and whatever else shows Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monitor.surface.gate.classes import percent
from monitor.surface.gate.lines import Document, excuses, verdict_of
from monitor.surface.gate.phrases import about, compared, example_rows, failed_checks, open_rows, seconds
from monitor.surface.gate.safe import LONGEST_NAME, LONGEST_REASON, safe

LONGEST_SUMMARY = 100 * 1024  # bytes; a step may write 1 MiB, older runners take 128 KiB
MOST_ROWS = 100  # of one table
SIGN = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "error": "🛠️", "pending": "⏳"}
# A character reference is text, never structure (CommonMark 2.5). `:` and `.` only where a link would be made of them.
_ACTIVE = re.compile(r"[&<>\"`*_{}\[\]#!|~\\$@^]|:(?=//|[a-z+])|(?<=www)\.|(?<=WWW)\.")

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?&=%-]+")


def summary_markdown(document: Document) -> str:
    """At most LONGEST_SUMMARY bytes. Whatever a peer or a person said is shown letter by letter."""
    verdict = verdict_of(document)
    found = f", found {escaped(document['found'])}" if document["found"] != document["verdict"] else ""
    parts = [f"## {SIGN[verdict]} Gate {verdict.upper()}{found}", escaped(about(document), 5 * LONGEST_NAME)]
    parts += [f"**{escaped(line, 2 * LONGEST_REASON)}**" for line in excuses(document)]
    parts.append(f"**Why:** {escaped(document['reason']) or '-'}")
    parts += _classes(document)
    parts += _failed(document)
    parts += _listed("Arithmetic", [row["arithmetic"] for row in document["classes"]])
    parts += [f"**Worst example:** {escaped(line, 2 * LONGEST_REASON)}" for _, line in example_rows(document)]
    parts += _listed("Checks that are open", [line for _, line in open_rows(document)])
    parts += _listed("What it could not see", document["unseen"])
    if len(document["attempts"]) > 1:
        lines = [f"{row['attempt']} by {row['by']}: {row['verdict']} {row['reason']}" for row in document["attempts"]]
        parts += _listed("Attempts, evidence is pooled", lines)
    parts.append(f"**Next:** {escaped(document['next_step'], 2 * LONGEST_REASON)}")
    parts += [f"{name}: {_link(document[key])}" for name, key in (("Runbook", "runbook_url"), ("Report", "report_url")) if document[key]]
    return _fitted(parts)


def escaped(text: object, most: int = LONGEST_REASON) -> str:
    return _ACTIVE.sub(lambda found: f"&#{ord(found.group())};", safe(text, most))


def _link(url: object) -> str:
    """Only what can be nothing but an address of the web becomes a link."""
    text = safe(url, LONGEST_REASON)
    return f"<{text}>" if _URL.fullmatch(text) else escaped(url)


def _classes(document: Document) -> list[str]:
    rows = [
        (
            row["class"],
            row["verdict"],
            row["good"] if row["verdict"] == "fail" else f"{row['good']}/{row['needed']}",
            row["adverse"],
            row["pending"],
            row["aside"],
            compared(row),
            percent(row["loss_upper95"]) if row["verdict"] == "pass" else "-",
        )
        for row in document["classes"]
    ]
    waits = "pending" if document["state"] == "running" else "not waited for"
    return _table(("class", "verdict", "good", "adverse", waits, "aside", "control", "loss up to"), rows)


def _failed(document: Document) -> list[str]:
    names = ("name", "route", "observed", "threshold", "reason")
    rows = [tuple(row[name] for name in names) for row in failed_checks(document)]
    arms = [
        (arm, row["route"], row["sent"], row["delivered"], row["missing"], seconds(row["p50_s"]), seconds(row["p95_s"]))
        for arm in ("canary", "control")
        for row in document["arms"][arm]
    ]
    headings = ("failed check", "route", "observed", "threshold", "why")
    return [*_table(headings, rows), *_table(("arm", "route", "probes", "delivered", "missing", "p50", "p95"), arms)]


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines.append(f"| and {len(rows) - MOST_ROWS} more |{' |' * (len(headings) - 1)}")
    return ["\n".join(lines)]


def _listed(title: str, lines: Sequence[object]) -> list[str]:
    return ["\n".join([f"**{title}**", "", *(f"- {escaped(line, 2 * LONGEST_REASON)}" for line in lines)])] if lines else []


def _fitted(parts: Sequence[str]) -> str:
    """Whole parts only: half of a table would be something else."""
    kept, size = [], 0
    for part in parts:
        more = len(part.encode()) + 2
        if size + more <= LONGEST_SUMMARY:
            kept.append(part)
            size += more
    return "\n\n".join(kept) + "\n"
