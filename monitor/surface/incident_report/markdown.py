"""The report as GitHub's Markdown. Whatever a peer, a zone or a person said is shown letter by letter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.surface.gate.summary import escaped
from monitor.surface.incident_report.detection import gap
from monitor.surface.incident_report.phrases import NOT_MEASURED, length, when, where

Document = Mapping[str, Any]
LONGEST = 2_000  # characters of one text


def markdown(report: Document) -> str:
    """Of a document of schema `mailcanary.incident-report/v1`."""
    return "\n\n".join(part for part in _parts(report) if part) + "\n"


def _parts(report: Document) -> Iterator[str]:
    yield f"# Incident report {_text(report['id'])}: {_text(report['title'])}"
    if report["still_open"]:
        yield f"> **Still open.** As of {when(report['at'])}; what follows is not the whole story yet."
    yield _table(("environment", "severity", "where", "began", "resolved", "length"), [_head(report)])
    yield from _section("Summary", _text(report["summary"]))
    yield from _section("Impact", *_impact(report["impact"]))
    yield from _section("Detection", *_detection(report["detection"]))
    yield from _section("Timeline, UTC", _timeline(report["timeline"]))
    yield from _section("Diagnosis", *_diagnosis(report["diagnosis"]))
    yield from _section("What changed before it began", *_candidates(report["candidates"]))
    yield from _section("Related incidents", _related(report["related"]))
    yield from _section("Release gates in this time", _gates(report["gates"]))
    yield from _section("Ledger, open differences", _ledger(report["ledger"]))
    yield from _section("Who was told", *_notifications(report["notifications"]))
    if report["still_open"] and report["next_step"]:
        yield f"Next step: {_text(report['next_step'])}"
    if report["runbook"]:
        yield f"Runbook: {_text(report['runbook'])}"
    for blank in report["blanks"]:
        yield from _section(blank["title"], f"*{_text(blank['hint'])}*", "- [ ] ")
    yield from _status_page(report["status_page"])


def _head(report: Document) -> Sequence[object]:
    ended = when(report["resolved_at"]) if report["resolved_at"] else "still open"
    return report["environment"], report["severity"], where(report["scope"]), when(report["began"]), ended, length(report["seconds"])


def _impact(impact: Document) -> Iterator[str]:
    for name, key in (("As people were told", "told"), ("As the ledger has it now", "now")):
        if impact[key]:
            yield f"- **{name}:** {_text(impact[key]['text'])}"
    if not impact["measured"]:
        yield f"- **Real refunds:** {NOT_MEASURED}: {_text(impact['why'])}"
    yield _table(("path", "provider", "bad probes", "sent"), [[row[key] for key in ROW] for row in impact["probes"]])
    if not impact["probes"]:
        yield f"- **Probes:** {NOT_MEASURED}"


ROW = ("path", "provider", "bad", "sent")


def _detection(detection: Document) -> Iterator[str]:
    yield f"Found by: {_text(detection['by'])}."
    rows = [
        (
            step["name"],
            when(step["at"]) if step["at"] else "-",
            gap(step["seconds_after_began"]),
            gap(step["seconds_after_previous"]),
            step["text"],
        )
        for step in detection["steps"]
    ]
    yield _table(("step", "at", "after it began", "after the step before", "what it is"), rows)


def _timeline(rows: Sequence[Document]) -> str:
    lines = [(when(row["at"]), row["what"], row["by"], row["text"], row["shown_by"] or "-") for row in rows]
    return _table(("at", "what", "who", "in words", "shown by"), lines)


def _diagnosis(diagnosis: Document | None) -> Iterator[str]:
    if diagnosis is None:
        yield "None."
        return
    sure = f", confidence {_text(diagnosis['confidence'])}" if diagnosis["confidence"] else ""
    yield f"**{_text(diagnosis['layer'])}**{sure}: {_text(diagnosis['summary'])}"
    for title, key in (("For it", "shows"), ("Against it, or not seen", "against"), ("Said by the peer", "said")):
        yield _list(title, diagnosis[key])


def _candidates(rows: Sequence[Document]) -> Iterator[str]:
    if not rows:
        yield "Nothing is known to have changed in the two hours before."
        return
    yield "Candidates by their time, not causes."
    yield "\n".join(f"- {_text(row['kind'])}: {_text(row['text'])}" for row in rows)


def _related(rows: Sequence[Document]) -> str:
    return _table(
        ("incident", "relation", "state", "what", "where", "since"),
        [(row["id"], row["relation"], row["state"], row["title"], where(row["scope"]), when(row["since"])) for row in rows],
    )


def _gates(rows: Sequence[Document]) -> str:
    return _table(
        ("gate", "deploy", "verdict", "at", "why"),
        [(row["gate"], row["deploy"], row["verdict"], when(row["at"]), row["reason"]) for row in rows],
    )


def _ledger(ledger: Document | None) -> str:
    if ledger is None:
        return ""
    kinds = list((ledger["now"] or ledger["before"] or {}).keys())
    rows = [(name, *(ledger[key][kind] for kind in kinds)) for name, key in (("before", "before"), ("now", "now")) if ledger[key]]
    return _table(("", *kinds), rows) or f"{NOT_MEASURED}: nothing was compared yet"


def _notifications(told: Document) -> Iterator[str]:
    if not told["changes"]:
        yield "Nobody."
        return
    more = [f"{told[key]} {word}" for key, word in (("pending", "still to be told"), ("superseded", "overtaken")) if told[key]]
    yield f"{told['changes']} changes to tell{', ' if more else ''}{', '.join(more)}."
    yield _table(
        ("channel", "taken", "failed, tried again", "given up"),
        [(row["channel"], row["taken"], row["failed"], row["given_up"]) for row in told["channels"]],
    )


def _status_page(page: Document | None) -> Iterator[str]:
    if page is None:
        yield from _section("Text for the status page", "None: customers notice nothing of this.")
        return
    yield "## Text for the status page"
    yield "For a person to read, to correct and to publish."
    yield f"Component: {_text(page['component'])}, at worst {_text(page['worst'])}. Title: {_text(page['title'])}."
    for update in page["updates"]:
        at = when(update["at"]) if update["at"] else "-"
        yield f"**{_text(update['status'])}** ({at}, component {_text(update['component_status'])})\n\n> {_text(update['text'])}"


def _section(title: str, *parts: str) -> Iterator[str]:
    if any(parts):
        yield f"## {_text(title)}"
        yield from parts


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", "", *(f"- {_text(line)}" for line in lines)]) if lines else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    lines = [f"| {' | '.join(map(_text, headings))} |", f"|{' --- |' * len(headings)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_text, row))} |" for row in rows)])


def _text(value: object) -> str:
    return escaped(value, LONGEST)
